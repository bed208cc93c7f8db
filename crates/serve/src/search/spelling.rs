//! What a mistyped word may have been: words of the catalogue, the likelier ones first.
//!
//! A candidate's score is the logarithm of how often the catalogue has it, less what its edits cost: a noisy channel (Kernighan,
//! Church & Gale, *A Spelling Correction Program Based on a Noisy Channel Model*, 1990) with costs by the kind of error in place
//! of probabilities counted from a corpus.

use accrue_kernel::ln;

use super::SearchError;
use super::schema::In;
use super::snapshot::Snapshot;
use super::vocabulary::{Known, Near};

/// A word that a shopper may have meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MeantWord {
    pub word: String,
    /// The logarithm of how likely it is; only differences mean something.
    pub score: f32,
    /// Items that have it.
    pub df: u64,
}

/// Longer words are not corrected.
const MAX_CHARS: usize = 32;
/// From this many letters a word is corrected by itself; a shorter one only beside another word that is known.
const MIN_CHARS: usize = 4;
/// The shortest word that is corrected at all.
const SHORTEST: usize = 3;
/// From this many letters, in the longer of two words, they may differ by two edits.
const TWO_EDITS: usize = 7;
/// Guesses that are searched for.
const MAX_GUESSES: usize = 5;
/// Completions that are searched for, and words read to find them.
const MAX_COMPLETIONS: usize = 16;
const MAX_COMPLETIONS_READ: usize = 1024;
/// What a word that is not finished costs, and each letter that is missing.
const UNFINISHED: f32 = 0.35;
const PER_LETTER: f32 = 0.08;
/// How much the logarithm of the frequency counts against the cost of an edit.
const FREQUENCY: f32 = 0.2;
/// What an item counts that has a word in an attribute alone.
const IN_ATTRIBUTES: f32 = 0.05;
/// How much an edit of cost 1 lowers the logarithm of the likelihood.
const EDIT: f32 = 2.2;
/// From this many letters a word may be the beginning of several words written as one.
const MIN_JOINED_CHARS: usize = 3;
/// What writing two words as one adds to the cost.
const JOINED: f32 = 0.3;

impl Snapshot {
    /// What `word` (folded) may stand for; `beside_known`: whether the query has another word that is known.
    pub(super) fn guesses(&self, word: &str, beside_known: bool) -> Result<Vec<MeantWord>, SearchError> {
        let n_chars = word.chars().count();
        let least = if beside_known { SHORTEST } else { MIN_CHARS };
        if !(least..=MAX_CHARS).contains(&n_chars) || !word.chars().all(char::is_alphabetic) {
            return Ok(Vec::new());
        }
        let mut scored: Vec<MeantWord> = Vec::new();
        let mut add = |place: In, near: &Near, more: f32| -> Result<(), SearchError> {
            for known in self.near(place, word, near)? {
                let is_word = known.word.chars().all(char::is_alphabetic) && known.word.chars().nth(1).is_some();
                let longer = n_chars.max(known.word.chars().count());
                let allowed = if longer >= TWO_EDITS { 2.0 } else { 1.0 };
                let (edits, cost) = distance(word, &known.word);
                if !is_word || edits > allowed || scored.iter().any(|other| other.word == known.word) {
                    continue;
                }
                let score = FREQUENCY * self.frequency(&known)? - EDIT * (cost + more);
                scored.push(MeantWord { score, word: known.word, df: known.df });
            }
            Ok(())
        };
        let first_may_differ = n_chars > MIN_CHARS || (beside_known && n_chars == MIN_CHARS);
        add(In::Word, if first_may_differ { &Near::One } else { &Near::OneAfterFirst }, 0.0)?;
        if n_chars > 5 {
            add(In::Form, &Near::OneAfterFirst, JOINED)?;
            add(In::Word, &Near::TwoAfterFirst, 0.0)?;
        }
        scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.word.cmp(&b.word)));
        scored.truncate(MAX_GUESSES);
        Ok(scored)
    }

    /// The logarithm of how many items have a word in their texts; those that have it in an attribute alone count little, because
    /// the words of attributes are repeated in every item of a kind.
    fn frequency(&self, known: &Known) -> Result<f32, SearchError> {
        let in_text = self.document_frequency(In::Text, &self.analyzers[0].stem(&known.word))?;
        Ok(ln(1.0 + in_text as f32 + IN_ATTRIBUTES * known.df as f32))
    }

    /// Neighbours in titles that, written as one, begin with `word`, where no word of the vocabulary does: `redbu` for Red Bull.
    /// What only continues one of the `known` completions adds nothing. Their stems, because these are what the index has.
    pub(super) fn joined_completions(&self, word: &str, known: &[MeantWord]) -> Result<Vec<MeantWord>, SearchError> {
        if !word.contains(char::is_alphabetic) || word.chars().nth(MIN_JOINED_CHARS - 1).is_none() {
            return Ok(Vec::new());
        }
        let n_chars = word.chars().count();
        let is_new = |joined: &str| known.iter().all(|guess| !joined.starts_with(&*guess.word));
        let joined = self.beginning(In::Form, word, MAX_COMPLETIONS_READ)?.into_iter();
        let guess = |joined: Known| {
            let n_more = joined.word.chars().count().saturating_sub(n_chars) as f32;
            let cost = (UNFINISHED + PER_LETTER * n_more).min(1.0) + JOINED;
            MeantWord { score: FREQUENCY * ln(joined.df as f32 + 1.0) - EDIT * cost, word: joined.word, df: joined.df }
        };
        let mut guesses: Vec<MeantWord> = joined.filter(|joined| is_new(&joined.word)).map(guess).collect();
        guesses.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.word.cmp(&b.word)));
        guesses.truncate(MAX_COMPLETIONS);
        Ok(guesses)
    }

    /// Words that `word` is the beginning of, or with `is_mistyped` nearly the beginning; the likelier ones first.
    pub(super) fn completions(&self, word: &str, is_mistyped: bool) -> Result<Vec<MeantWord>, SearchError> {
        let known = match is_mistyped {
            false => self.beginning(In::Word, word, MAX_COMPLETIONS_READ)?,
            true => self.near(In::Word, word, &Near::Beginning)?,
        };
        let n_chars = word.chars().count();
        let cost = |known: &str| {
            let n_more = known.chars().count().saturating_sub(n_chars) as f32;
            (UNFINISHED + PER_LETTER * n_more).min(1.0) + if is_mistyped { 1.0 } else { 0.0 }
        };
        let known = known.into_iter().filter(|known| known.word != word);
        let guess = |known: Known| {
            let score = FREQUENCY * ln(known.df as f32 + 1.0) - EDIT * cost(&known.word);
            MeantWord { score, word: known.word, df: known.df }
        };
        let mut guesses: Vec<MeantWord> = known.map(guess).collect();
        guesses.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.word.cmp(&b.word)));
        guesses.truncate(MAX_COMPLETIONS);
        Ok(guesses)
    }
}

/// The number of edits between two words and what they cost: insertions, deletions, replacements and swaps of neighbours
/// (optimal string alignment). The cheapest path need not be the one with the fewest edits, but differs from it by little.
fn distance(typed: &str, meant: &str) -> (f32, f32) {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    let width = meant.len() + 1;
    let mut table = vec![(0.0_f32, 0.0_f32); (typed.len() + 1) * width];
    for i in 0..=typed.len() {
        for j in 0..=meant.len() {
            if i + j == 0 {
                continue;
            }
            let mut best = (f32::INFINITY, f32::INFINITY);
            let mut step = |from: usize, cost: f32| {
                let edits = if cost > 0.0 { 1.0 } else { 0.0 };
                let sum = (table[from].0 + edits, table[from].1 + cost);
                if sum.1 < best.1 {
                    best = sum;
                }
            };
            // A wrong first letter is rare.
            let first = if i <= 1 && j <= 1 { FIRST } else { 0.0 };
            if i > 0 {
                let is_double = i > 1 && typed[i - 1] == typed[i - 2];
                step((i - 1) * width + j, first + if is_double { DOUBLE } else { INSERTED });
            }
            if j > 0 {
                let is_double = j > 1 && meant[j - 1] == meant[j - 2];
                step(i * width + j - 1, first + if is_double { DOUBLE } else { LEFT_OUT });
            }
            if i > 0 && j > 0 {
                let cost = replacement(typed[i - 1], meant[j - 1]);
                step((i - 1) * width + j - 1, if cost > 0.0 { cost + first } else { 0.0 });
            }
            if i > 1
                && j > 1
                && typed[i - 1] == meant[j - 2]
                && typed[i - 2] == meant[j - 1]
                && typed[i - 1] != typed[i - 2]
            {
                step((i - 2) * width + j - 2, SWAPPED);
            }
            table[i * width + j] = best;
        }
    }
    table[typed.len() * width + meant.len()]
}

const FIRST: f32 = 0.7;
const DOUBLE: f32 = 0.7;
const INSERTED: f32 = 1.0;
const LEFT_OUT: f32 = 0.9;
const SWAPPED: f32 = 0.8;
const BESIDE: f32 = 0.8;
const REPLACED: f32 = 1.15;

fn replacement(typed: char, meant: char) -> f32 {
    if typed == meant {
        return 0.0;
    }
    let is_vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    if beside(typed, meant) || (is_vowel(typed) && is_vowel(meant)) { BESIDE } else { REPLACED }
}

/// Whether two letters are neighbours on a keyboard (QWERTY, or the place of Z and Y on QWERTZ).
fn beside(a: char, b: char) -> bool {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let place = |c: char| ROWS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.find(c)?)));
    let (Some((row, column)), Some((other_row, other_column))) = (place(a), place(b)) else { return false };
    match row.abs_diff(other_row) {
        0 => column.abs_diff(other_column) == 1,
        // A key touches the one above it and the one to the right of that.
        1 => {
            let (upper, lower) = if row < other_row { (column, other_column) } else { (other_column, column) };
            upper == lower || upper == lower + 1
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelier_errors_cost_less() {
        let cost = |typed, meant| distance(typed, meant).1;
        assert_eq!(distance("mug", "mug"), (0.0, 0.0));
        assert_eq!(distance("chritsmas", "christmas").0, 1.0, "swapped neighbours are one edit");
        assert!(cost("umbrela", "umbrella") < cost("umrella", "umbrella"));
        assert!(cost("lanp", "lamp") < cost("latp", "lamp"), "n and m are neighbours");
        assert!(cost("camp", "lamp") > cost("lamo", "lamp"));
        assert!(beside('g', 'h') && beside('g', 't') && beside('g', 'v') && !beside('g', 'p') && !beside('q', 'z'));
    }
}
