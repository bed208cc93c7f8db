//! Names that are near a known one, so that a misspelt key, field or filter is told and not guessed.
//!
//! In: a name and the known ones. Out: how far they are apart, or the nearest.

/// Longest name that is compared, in characters.
const MAX_CHARS: usize = 64;
/// A name of more bytes has more characters, or hardly anything but separators.
const MAX_BYTES: usize = 8 * MAX_CHARS;
/// Letters by which the lengths of near names differ at most: three edits, and the ending of a plural.
const MAX_DIFFERENCE: usize = 5;

/// How far a name is from a known one: 0 if they differ in case, separators or the plural alone, otherwise the letters
/// to insert, delete or replace and the neighbours to swap; `None` if they are not near.
///
/// ```
/// use accrue_event::misspelling;
///
/// assert_eq!(misspelling("titel", "title"), Some(1));
/// assert_eq!(misspelling("publishedAt", "published_at"), Some(0));
/// assert_eq!(misspelling("colour", "title"), None);
/// ```
pub fn misspelling(name: &str, known: &str) -> Option<usize> {
    if !may_be_near(name, known) {
        return None;
    }
    let (one, other) = (singular(&folded(name)), singular(&folded(known)));
    if one == other {
        return Some(0);
    }
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let longest = one.len().max(other.len());
    let most = match longest {
        0..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    if longest > MAX_CHARS || one.len().abs_diff(other.len()) > most {
        return None;
    }
    Some(edits(&one, &other)).filter(|edits| *edits <= most)
}

/// Whether two names can be near by their lengths alone. Anyone can send names, so that this is looked at before anything is
/// copied.
fn may_be_near(one: &str, other: &str) -> bool {
    if one.len() > MAX_BYTES || other.len() > MAX_BYTES {
        return false;
    }
    // Of other letters the case may change how many there are.
    let letters = |name: &str| name.bytes().filter(u8::is_ascii_alphanumeric).count();
    !one.is_ascii() || !other.is_ascii() || letters(one).abs_diff(letters(other)) <= MAX_DIFFERENCE
}

/// The known name that is nearest to `name`, if one is near; of several the first.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = known.into_iter().filter_map(|known| Some((misspelling(name, known)?, known)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// A name without its case and separators.
pub fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A name without the ending of an English plural.
pub(crate) fn singular(name: &str) -> String {
    match name.strip_suffix("ies") {
        Some(stem) if !stem.is_empty() => format!("{stem}y"),
        _ => name.strip_suffix('s').filter(|stem| stem.len() > 1).unwrap_or(name).into(),
    }
}

/// Letters to insert, delete or replace, or neighbours to swap, to make one text of the other.
fn edits(one: &[char], other: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_wrong_missing_or_swapped_are_counted() {
        let chars = |text: &str| text.chars().collect::<Vec<char>>();
        for (one, other, n) in [("seed", "seed", 0), ("sede", "seed", 1), ("", "ab", 2), ("stok", "stock", 1)] {
            assert_eq!(edits(&chars(one), &chars(other)), n, "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["title", "price", "stock", "available", "categories", "published_at"];
        for (name, near) in [
            ("stok", "stock"),
            ("titel", "title"),
            ("prize", "price"),
            ("availabel", "available"),
            ("category", "categories"),
            ("publshed_at", "published_at"),
        ] {
            assert_eq!(nearest(name, known), Some(near), "{name}");
        }
        for far in ["colour", "size", "style", "x", "", "material", "season"] {
            assert_eq!(nearest(far, known), None, "{far}");
        }
        assert_eq!(nearest(&"s".repeat(1 << 20), known), None);
    }

    #[test]
    fn lengths_rule_out_no_name_that_is_near() {
        for (name, known, distance) in [
            ("published___at", "publishedAt", Some(0)),
            ("categories", "category", Some(0)),
            ("availabilityyy_s", "availability", Some(2)),
            ("GRÖSSE", "größe", Some(2)),
            ("farben", "Farbe", Some(1)),
            ("STRASSEN", "straßen", Some(2)),
        ] {
            assert_eq!(misspelling(name, known), distance, "{name} {known}");
        }
    }

    #[test]
    fn a_long_name_is_not_copied_to_be_compared() {
        let long = "a".repeat(1 << 20);
        assert!(!may_be_near(&long, "title") && !may_be_near("title", &long));
        assert_eq!(misspelling(&long, "title"), None);
    }
}
