//! Article numbers, EANs and names of models: words that are looked up as a whole, with or without their punctuation.

/// Longer codes are not indexed.
const MAX_CODE_BYTES: usize = 64;
/// Fewer digits with signs inside are no code.
const MIN_SIGNED_DIGITS: usize = 5;

/// The letters and digits of a word in lower case, if it looks like a code: a letter and a digit in at least four
/// characters, at least eight digits, or at least five with signs inside.
pub(crate) fn code(word: &str) -> Option<String> {
    if word.len() > MAX_CODE_BYTES || !word.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let squashed = squashed(word);
    let n_chars = squashed.chars().count();
    let has_letter = squashed.chars().any(char::is_alphabetic);
    let is_signed = word.bytes().any(|b| b.is_ascii_punctuation());
    let least = if has_letter {
        4
    } else if is_signed {
        MIN_SIGNED_DIGITS
    } else {
        8
    };
    (n_chars >= least).then_some(squashed)
}

/// A word of digits alone that may be a code which is written with signs inside: `70123` for `70-123`.
pub(crate) fn digits_of_code(word: &str) -> Option<String> {
    let is_code =
        (MIN_SIGNED_DIGITS..=MAX_CODE_BYTES).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    is_code.then(|| word.to_owned())
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
