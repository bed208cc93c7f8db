//! Article numbers, EANs and names of models: words that are looked up as a whole, with or without their punctuation.

/// Longer codes are not indexed.
const MAX_CODE_BYTES: usize = 64;

/// The letters and digits of a word in lower case, if it looks like a code: a letter and a digit in at least four
/// characters, or at least eight digits.
pub(crate) fn code(word: &str) -> Option<String> {
    if word.len() > MAX_CODE_BYTES || !word.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let squashed = squashed(word);
    let n_chars = squashed.chars().count();
    let has_letter = squashed.chars().any(char::is_alphabetic);
    (if has_letter { n_chars >= 4 } else { n_chars >= 8 }).then_some(squashed)
}

/// The letters and digits of a word in lower case.
pub(crate) fn squashed(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The codes among a text's words that tokenising would split: those with punctuation inside.
pub(crate) fn codes_inside(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_whitespace().filter_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if word.chars().all(char::is_alphanumeric) { None } else { code(word) }
    })
}
