//! Cleaning of texts: trimmed, without control characters, in normalization form C, bounded in length.
//!
//! A text that is already clean is returned without an allocation.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::repairs::Repairs;
use super::verdict::Repair;

/// Whether a text may have several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Line breaks and tabs are kept.
    Keep,
    /// Line breaks and tabs become spaces.
    Join,
}

/// The cleaned text; empty if nothing remains. The length is not bounded.
pub(super) fn clean<'t>(text: &'t str, lines: Lines, repairs: &mut Repairs) -> Cow<'t, str> {
    let trimmed = trim(text);
    // An empty text counts as absent, which is not a repair.
    if trimmed.is_empty() {
        return Cow::Borrowed("");
    }
    if trimmed.len() != text.len() {
        repairs.note(Repair::Trimmed);
    }
    let printable = trimmed.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if printable {
        return Cow::Borrowed(trimmed);
    }
    let mut clean = Cow::Borrowed(trimmed);
    if trimmed.chars().any(|c| is_unwanted(c, lines)) {
        repairs.note(Repair::ControlRemoved);
        clean = Cow::Owned(without_controls(trimmed, lines));
    }
    // `Maybe` can be decided only by the whole normalization.
    if is_nfc_quick(clean.chars()) != IsNormalized::Yes {
        let normal: String = clean.nfc().collect();
        if normal != *clean {
            repairs.note(Repair::Nfc);
            clean = Cow::Owned(normal);
        }
    }
    match trim(&clean) {
        inner if inner.len() == clean.len() => clean,
        inner => Cow::Owned(inner.to_owned()),
    }
}

/// The cleaned text, cut to `max_bytes` at a character boundary.
pub(super) fn clean_cut<'t>(text: &'t str, max_bytes: usize, lines: Lines, repairs: &mut Repairs) -> Cow<'t, str> {
    // Normalization shortens a text to a third at most, so what is beyond this length would be cut off in any case.
    let trimmed = trim(text);
    let near = prefix(trimmed, 4 * max_bytes + 16);
    let looked_at = if near.len() == trimmed.len() { text } else { near };
    let clean = clean(looked_at, lines, repairs);
    if clean.len() <= max_bytes {
        if looked_at.len() != text.len() {
            repairs.note(Repair::Truncated);
        }
        return clean;
    }
    repairs.note(Repair::Truncated);
    let cut = prefix(&clean, max_bytes).trim_end().len();
    match clean {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..cut]),
        Cow::Owned(mut text) => {
            text.truncate(cut);
            Cow::Owned(text)
        }
    }
}

/// The longest prefix of whole characters within `max_bytes`.
pub(crate) fn prefix(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Removes white space, and the marks that editors leave, from both ends of a text.
fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    if let [first, .., last] = bytes
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || is_unwanted(c, Lines::Join))
}

fn is_unwanted(c: char, lines: Lines) -> bool {
    match c {
        '\n' | '\t' => lines == Lines::Join,
        // Line and paragraph separators, the byte order mark, and other control characters.
        '\u{2028}' | '\u{2029}' => lines == Lines::Join,
        '\u{feff}' => true,
        _ => c.is_control(),
    }
}

fn without_controls(text: &str, lines: Lines) -> String {
    text.chars()
        .filter_map(|c| match c {
            _ if !is_unwanted(c, lines) => Some(c),
            _ if c.is_whitespace() && lines == Lines::Join => Some(' '),
            _ => None,
        })
        .collect()
}

/// Whether a text is in the form that [`clean`] returns.
#[cfg(test)]
pub(super) fn is_clean(text: &str, lines: Lines) -> bool {
    !text.is_empty()
        && trim(text) == text
        && unicode_normalization::is_nfc(text)
        && !text.chars().any(|c| is_unwanted(c, lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str, expected_repairs: &[Repair]) {
        let mut repairs = Repairs::default();
        assert_eq!(clean_cut(text, 16, Lines::Join, &mut repairs), expected, "{text:?}");
        assert_eq!(repairs.as_slice(), expected_repairs, "{text:?}");
    }

    #[test]
    fn texts_are_trimmed_normalized_and_cut() {
        check("red mug", "red mug", &[]);
        check(" red mug\u{a0}", "red mug", &[Repair::Trimmed]);
        check("   ", "", &[]);
        check("red\tmug\u{0}", "red mug", &[Repair::Trimmed, Repair::ControlRemoved]);
        check("cafe\u{301}", "café", &[Repair::Nfc]);
        check("größe", "größe", &[]);
        check("sixteen bytes äää", "sixteen bytes ä", &[Repair::Truncated]);
        check("fifteen bytes a b", "fifteen bytes a", &[Repair::Truncated]);
        check("\u{feff}sku", "sku", &[Repair::Trimmed]);
    }

    #[test]
    fn ten_megabytes_are_cut_without_being_read_to_the_end() {
        let long = "é".repeat(5 << 20);
        check(&long, "éééééééé", &[Repair::Truncated]);
        let blank = " ".repeat(10 << 20);
        check(&blank, "", &[]);
    }

    #[test]
    fn line_breaks_are_kept_where_allowed() {
        let mut repairs = Repairs::default();
        assert_eq!(clean("two\nlines\u{7}", Lines::Keep, &mut repairs), "two\nlines");
    }

    proptest! {
        #[test]
        fn cleaned_texts_are_clean(text in "\\PC*|.*|[a\\u{301}\\u{344}\\u{1100}\\u{1161}\\u{11a8}\\u{2001} \\n\\u{0}]*") {
            let mut repairs = Repairs::default();
            let cleaned = clean_cut(&text, 16, Lines::Join, &mut repairs);
            prop_assert!(cleaned.len() <= 16);
            prop_assert!(cleaned.is_empty() || is_clean(&cleaned, Lines::Join), "{cleaned:?}");
            let mut again = Repairs::default();
            prop_assert_eq!(&clean_cut(&cleaned, 16, Lines::Join, &mut again), &cleaned);
            prop_assert_eq!(again.as_slice(), &[]);
        }
    }
}
