//! How a language joins two words to one compound.

use tantivy::tokenizer::Language;

/// Shorter parts are no words.
pub(super) const MIN_PART_CHARS: usize = 3;

/// The first parts of compounds that a word may become, other than the word itself: `geburtstags`, `hunde`, `weihnachts`.
pub(super) fn first_parts(language: Language, word: &str) -> Vec<String> {
    let (joints, endings): (&[&str], &[&str]) = match language {
        Language::German => (&["s", "n", "en", "e", "er", "es", "ens", "nen"], &["e", "en"]),
        Language::Dutch => (&["s", "e", "en", "n", "er", "eren"], &["e"]),
        Language::Swedish => (&["s", "e", "a", "u", "o"], &["a", "e"]),
        Language::Danish | Language::Norwegian => (&["s", "e", "er"], &["e"]),
        Language::Finnish => (&["n", "en"], &[]),
        _ => (&[], &[]),
    };
    let mut parts: Vec<String> = joints.iter().map(|joint| format!("{word}{joint}")).collect();
    let shorter = endings.iter().filter_map(|ending| word.strip_suffix(ending));
    for start in shorter.filter(|start| start.chars().nth(MIN_PART_CHARS - 1).is_some()) {
        parts.extend(["", "s"].map(|joint| format!("{start}{joint}")));
    }
    // A short vowel doubles the consonant behind it: `dam` in Dammskor, `zon` in Zonnebril.
    if let (Language::Swedish | Language::Dutch, Some(last)) = (language, word.chars().next_back()) {
        let joint = if language == Language::Dutch { "e" } else { "" };
        parts.push(format!("{word}{last}{joint}"));
    }
    parts
}
