//! The text by which an item is encoded.

use accrue_event::Item;

/// Words of a description that are encoded. Later ones tell little of what the item is, and the cost grows with them.
const DESCRIPTION_WORDS: usize = 60;

/// What an encoder reads of an item: title, brand, categories, and the first words of the description; `None` for an
/// item without a title, brand or category.
///
/// Many shops write titles in capitals. Encoders know capitals from names and abbreviations, so a text without a small
/// letter is written small.
///
/// ```
/// use accrue_event::Item;
/// let mut mug = Item::bare("mug".into());
/// assert_eq!(accrue_encode::item_text(&mug), None);
/// (mug.title, mug.brand) = (Some("RED MUG".into()), Some("Acme".into()));
/// assert_eq!(accrue_encode::item_text(&mug).as_deref(), Some("red mug. Acme"));
/// ```
pub fn item_text(item: &Item) -> Option<String> {
    let named = item.title.iter().chain(&item.brand).chain(&item.categories);
    let mut parts: Vec<String> = named.filter_map(|text| readable(text)).collect();
    if parts.is_empty() {
        return None;
    }
    let description = item.description.as_deref().unwrap_or("");
    let words: Vec<&str> = description.split_whitespace().take(DESCRIPTION_WORDS).collect();
    parts.extend(readable(&words.join(" ")));
    Some(parts.join(". "))
}

/// The text in one line, in small letters if it has none; `None` if it is blank.
fn readable(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return None;
    }
    Some(if text.chars().any(char::is_lowercase) { text } else { text.to_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_its_title_brand_categories_and_the_beginning_of_its_description() {
        let mut item = Item::bare("x".into());
        item.title = Some("  Teapot\n blue ".into());
        item.categories = vec!["KITCHEN".into(), " ".into()];
        item.description = Some("word ".repeat(100).into());
        let text = item_text(&item).unwrap();
        assert!(text.starts_with("Teapot blue. kitchen. word word"), "{text}");
        assert_eq!(text.matches("word").count(), DESCRIPTION_WORDS);
    }

    #[test]
    fn a_description_alone_does_not_name_an_item() {
        let mut item = Item::bare("x".into());
        item.description = Some("something".into());
        assert_eq!(item_text(&item), None);
    }
}
