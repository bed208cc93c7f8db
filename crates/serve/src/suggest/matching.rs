//! The texts that have every word of a request.
//!
//! In: the words that were typed, the last one perhaps unfinished. Out: the texts that have a word for each of them. One
//! list of texts is read, that of the rarest word; each of its texts is asked whether it has the others. Where few words
//! may stand for one that was typed, their lists are looked up; where many may, as behind a single letter, the words of the
//! text itself are compared. So the work does not grow with the vocabulary, and [`Left`] bounds it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::index::{MAX_COMPARED, Suggestions};
use super::words::{errors, errors_allowed, words};

/// Words that may stand for one word of a request with typing errors.
const MAX_CORRECTIONS: usize = 32;
/// Words that are compared with one word of a request.
const MAX_WORDS_COMPARED: usize = 20_000;
/// Lists that are looked up for one text; where there are more, the words of the text are compared.
const FEW_LISTS: usize = 64;

/// What a request may still compare.
#[derive(Debug)]
pub(super) struct Left {
    /// Words of the shop, with words that may have typing errors.
    pub words: usize,
    /// Texts, in all spellings of the request.
    pub texts: usize,
}

impl Default for Left {
    fn default() -> Self {
        Self { words: 3 * MAX_WORDS_COMPARED, texts: 4 * MAX_COMPARED }
    }
}

/// The texts of each word that may stand for a word of the request.
struct Postings<'s> {
    typed: &'s str,
    lists: Vec<&'s [u32]>,
}

impl Postings<'_> {
    fn n_texts(&self) -> usize {
        self.lists.iter().map(|list| list.len()).sum()
    }

    /// Whether a text is among them; `own` are the words of the text.
    fn have(&self, entry: u32, own: impl Fn() -> bool) -> bool {
        if self.lists.len() > FEW_LISTS {
            return own();
        }
        self.lists.iter().any(|list| list.binary_search(&entry).is_ok())
    }
}

impl Suggestions {
    /// The entries that have a word for each of `typed`, the last one as a beginning; at most [`MAX_COMPARED`] are
    /// looked at. With `with_errors` the words may have typing errors.
    pub(super) fn matching(&self, typed: &[String], with_errors: bool, left: &mut Left) -> Vec<u32> {
        // Words without errors are looked up, so they come first: one that no text has ends the answer.
        let mut order: Vec<usize> = (0..typed.len()).collect();
        order.sort_by_key(|&nth| with_errors && errors_allowed(&typed[nth]) > 0);
        let mut all: Vec<(usize, Postings<'_>)> = Vec::with_capacity(typed.len());
        for nth in order {
            let is_whole = nth + 1 < typed.len();
            let postings = Postings { typed: &typed[nth], lists: self.lists(&typed[nth], is_whole, with_errors, left) };
            if postings.lists.is_empty() {
                return Vec::new();
            }
            all.push((nth, postings));
        }
        all.sort_by_key(|(nth, _)| *nth);
        let Some(rarest) = (0..all.len()).min_by_key(|&nth| all[nth].1.n_texts()) else { return Vec::new() };
        let mut found = BTreeSet::new();
        let looked_at = all[rarest].1.lists.iter().copied().flatten().take(MAX_COMPARED.min(left.texts));
        for &entry in looked_at {
            left.texts -= 1;
            let own = OnceCell::new();
            let has = |postings: &Postings<'_>| {
                postings.have(entry, || {
                    let own = own.get_or_init(|| words(&self.entries[entry as usize].text));
                    own.iter().any(|word: &String| word.starts_with(postings.typed))
                })
            };
            if all.iter().enumerate().all(|(nth, (_, postings))| nth == rarest || has(postings)) {
                found.insert(entry);
            }
        }
        found.into_iter().collect()
    }

    /// The entries of each word that `typed` may be: the word itself or, unless it is a `whole` word, one that begins
    /// like it. There are more than [`MAX_CORRECTIONS`] lists only where each of their words begins like `typed`.
    fn lists(&self, typed: &str, whole: bool, with_errors: bool, left: &mut Left) -> Vec<&[u32]> {
        let most = if with_errors && left.words > 0 { errors_allowed(typed) } else { 0 };
        if most == 0 && whole {
            return self.words.get(typed).map(|list| &**list).into_iter().collect();
        }
        let from = |start: &str| self.words.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        if most == 0 {
            let begins = from(typed).take_while(|(word, _)| word.starts_with(typed)).take(MAX_WORDS_COMPARED);
            return begins.map(|(_, list)| &**list).collect();
        }
        let Some(first) = typed.chars().next() else { return Vec::new() };
        let mut buffer = [0; 4];
        let first: &str = first.encode_utf8(&mut buffer);
        let alike = from(first).take_while(|(word, _)| word.starts_with(first));
        let alike = alike.take(MAX_WORDS_COMPARED.min(left.words)).inspect(|_| left.words -= 1);
        let mut near: Vec<(usize, &str, &[u32])> =
            alike.filter_map(|(word, list)| Some((errors(typed, word, whole, most)?, &**word, &**list))).collect();
        near.sort_unstable();
        near.truncate(MAX_CORRECTIONS.max(near.iter().filter(|(errors, ..)| *errors == 0).count()));
        near.into_iter().map(|(_, _, list)| list).collect()
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::Item;

    use super::*;

    /// Texts of three words each: `set`, one of many that begin with `s`, and one of few.
    fn large(n: usize) -> Suggestions {
        let mut suggestions = Suggestions::default();
        for place in 0..n {
            let mut item = Item::bare(format!("i{place}").as_str().into());
            item.title = Some(format!("Set s{place:05} Kind{}", char::from(b'a' + (place % 7) as u8)).into());
            suggestions.set(place as u32, Some(&item));
        }
        suggestions
    }

    fn typed(text: &str) -> Vec<String> {
        words(text)
    }

    #[test]
    fn what_is_found_behind_a_letter_is_what_has_all_words() {
        let suggestions = large(1_500);
        for text in
            ["set s", "s kindd s", "kindb set s0", "set kindc", "set kindc s0001", "set x", "kindx s", "s01499 s"]
        {
            let typed = typed(text);
            let found = suggestions.matching(&typed, false, &mut Left::default());
            let entries = (0..suggestions.entries.len() as u32)
                .filter(|&entry| super::super::has_all(&suggestions.entries[entry as usize].text, &typed));
            assert_eq!(found, entries.collect::<Vec<_>>(), "{text}");
        }
        let near = suggestions.matching(&typed("set kimdd s"), true, &mut Left::default());
        assert!(
            near.len() == 1_500 / 7
                && near.iter().all(|&entry| suggestions.entries[entry as usize].text.ends_with("Kindd"))
        );
    }

    #[test]
    fn the_work_of_a_request_does_not_grow_with_the_vocabulary() {
        let spent = |suggestions: &Suggestions, text: &str, with_errors: bool| {
            let mut left = Left::default();
            suggestions.matching(&typed(text), with_errors, &mut left);
            let before = Left::default();
            (before.words - left.words, before.texts - left.texts)
        };
        let all = large(30_000);
        assert_eq!(spent(&all, "set s", false), (0, MAX_COMPARED));
        assert_eq!(spent(&all, &"s ".repeat(24), false), (0, 0), "no text has the word s");
        assert_eq!(spent(&all, &format!("{}xyz", "setset ".repeat(23)), true), (0, 0), "the last word is in no text");
        assert_eq!(spent(&all, &"setset ".repeat(24), true), (MAX_WORDS_COMPARED, 0), "the first word is like none");
        // Each of the words is like `set`, which is found behind 10,000 others.
        assert_eq!(spent(&large(10_000), &"seta ".repeat(24), true).0, 3 * MAX_WORDS_COMPARED);
    }
}
