//! Other ways to write what was typed: two words as one (`cake st` for cakestand) and one word as two (`tshi` for T-Shirt).

use super::index::Suggestions;
use super::words::words;

/// Words of a request that are written together or apart, at most.
const MAX_WORDS: usize = 6;
/// Shorter words are not written apart.
const MIN_LETTERS: usize = 4;
/// Spellings of one request, at most.
const MAX_SPELLINGS: usize = 16;

/// Words in the place of those that were typed.
pub(super) struct Spelling {
    pub words: Vec<String>,
    /// The place of two words that must stand side by side, because they are one in the request.
    apart: Option<usize>,
}

impl Spelling {
    /// Whether a text has the two words that were typed as one side by side.
    pub(super) fn fits(&self, text: &str) -> bool {
        let Some(apart) = self.apart else { return true };
        let (left, right) = (&self.words[apart], &self.words[apart + 1]);
        let is_whole = apart + 2 < self.words.len();
        let is_right = |word: &String| if is_whole { word == right } else { word.starts_with(&**right) };
        words(text).windows(2).any(|pair| pair[0] == *left && is_right(&pair[1]))
    }
}

impl Suggestions {
    /// The other spellings of a request that texts may have.
    pub(super) fn spellings(&self, typed: &[String]) -> Vec<Spelling> {
        let mut all = Vec::new();
        if typed.len() > MAX_WORDS {
            return all;
        }
        for (left, pair) in typed.windows(2).enumerate() {
            let mut words = typed.to_vec();
            words.splice(left..left + 2, [pair.concat()]);
            all.push(Spelling { words, apart: None });
        }
        for (place, word) in typed.iter().enumerate() {
            let is_long = word.chars().nth(MIN_LETTERS - 1).is_some();
            for (at, _) in word.char_indices().skip(1).filter(|_| is_long) {
                let (left, right) = word.split_at(at);
                if !self.words.contains_key(left) {
                    continue;
                }
                let mut words = typed.to_vec();
                words.splice(place..=place, [left.to_owned(), right.to_owned()]);
                all.push(Spelling { words, apart: Some(place) });
            }
        }
        all.truncate(MAX_SPELLINGS);
        all
    }
}
