//! Han text: traditional characters as simplified ones, the words of jieba's dictionary, and how words are typed in Latin letters.

use std::borrow::Cow;
use std::sync::LazyLock;

use jieba_rs::Jieba;
use pinyin::ToPinyin as _;

/// About half a million words, which takes a part of a second and tens of megabytes; loaded when the first Han text
/// comes, or by [`load_dictionary`].
static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

/// Loads the dictionary if it is not loaded yet.
pub(in crate::search) fn load_dictionary() {
    LazyLock::force(&JIEBA);
}

/// Pairs of a traditional character and its simplified form, in the order of the former. From OpenCC's `TSCharacters`
/// (Apache-2.0), the pairs of the basic plane, the first form of each.
const SIMPLIFIED: &str = include_str!("simplified.txt");

static PAIRS: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let chars: Vec<char> = SIMPLIFIED.chars().collect();
    chars.as_chunks::<2>().0.iter().map(|&[traditional, simplified]| (traditional, simplified)).collect()
});

/// The text in simplified characters; each takes as many bytes as the one that it replaces.
pub(super) fn simplified(run: &str) -> Cow<'_, str> {
    let form = |c: char| PAIRS.binary_search_by_key(&c, |(traditional, _)| *traditional).ok().map(|i| PAIRS[i].1);
    if run.chars().all(|c| form(c).is_none()) {
        return Cow::Borrowed(run);
    }
    Cow::Owned(run.chars().map(|c| form(c).unwrap_or(c)).collect())
}

/// What a term stands for, as its first character: a part that ends a word, which says what kind of thing it is (`衣柜`
/// in `大衣柜`); another part of a word (`大衣` there); and a character, whose neighbours make every text that stands in a
/// title, also across words. A word itself has none.
pub(in crate::search) const END_PART: char = '\u{1}';
pub(in crate::search) const PART: char = '\u{2}';
pub(in crate::search) const CHARACTER: char = '\u{3}';

/// A term at a place in Latin or Han text.
pub(super) struct HanTerm<'r> {
    /// What it stands for; `None` for a word.
    pub role: Option<char>,
    pub text: &'r str,
    pub start: usize,
}

/// The words of an item's text: the likeliest segmentation, the words of the dictionary inside these, and every
/// character. A query's segmentation may differ from a title's, because it depends on the context; what stands inside
/// a word, or across two, is found too and counts less. In order of their beginnings.
pub(super) fn words<'r>(run: &'r str, mut push: impl FnMut(HanTerm<'r>)) {
    for word in best(run) {
        let start = place(run, word);
        let n_chars = word.chars().count();
        push(HanTerm { role: None, text: word, start });
        let mut at = 0;
        for (nth, c) in word.chars().enumerate() {
            let text = &word[at..at + c.len_utf8()];
            push(HanTerm { role: Some(CHARACTER), text, start: start + at });
            if n_chars > 1 && nth + 1 == n_chars {
                push(HanTerm { role: Some(END_PART), text, start: start + at });
            }
            at += c.len_utf8();
        }
        if n_chars < 3 {
            continue;
        }
        for part in JIEBA.cut_all(word) {
            let (text, from) = (part.word, place(word, part.word));
            if text.chars().nth(1).is_some() && text.len() < word.len() {
                let role = if from + text.len() == word.len() { END_PART } else { PART };
                push(HanTerm { role: Some(role), text, start: start + from });
            }
        }
    }
}

/// The likeliest segmentation, by the words of the dictionary alone.
pub(super) fn best(run: &str) -> impl Iterator<Item = &str> {
    JIEBA.cut(run, false).into_iter().map(|word| word.word)
}

/// A word as two words of the dictionary, or a word and its last character: `保温` and `杯`.
pub(super) fn halves(word: &str) -> Option<(&str, &str)> {
    let last = word.char_indices().next_back().map(|(at, _)| at).filter(|_| word.chars().nth(2).is_some())?;
    let starts = word.char_indices().map(|(at, _)| at);
    let is_word = |text: &str| text.chars().nth(1).is_some() && JIEBA.has_word(text);
    let split = starts.filter(|&at| at > 0).find(|&at| is_word(&word[..at]) && (at == last || is_word(&word[at..])));
    split.map(|at| word.split_at(at))
}

fn place(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// How a word is typed in Latin letters, without tones: `shouji` for `手机`. `None` for characters that have no reading.
pub(crate) fn pinyin(word: &str) -> Option<String> {
    word.to_pinyin().map(|reading| reading.map(|reading| reading.plain())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traditional_characters_are_read_as_simplified_ones() {
        assert_eq!(simplified("手機殼 藍牙"), "手机壳 蓝牙");
        assert_eq!(simplified("手机"), "手机");
        assert!(PAIRS.is_sorted() && PAIRS.iter().all(|(a, b)| a.len_utf8() == b.len_utf8()));
    }
}
