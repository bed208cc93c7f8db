//! Han text: traditional characters as simplified ones, the words of jieba's dictionary, and how words are typed in Latin letters.

use std::borrow::Cow;
use std::sync::LazyLock;

use jieba_rs::Jieba;
use pinyin::ToPinyin as _;

/// About half a million words; loaded when the first Han text comes.
static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

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

/// Every word of the dictionary at its place, including overlapping ones: the best segmentation depends on the context, and
/// a query's would differ from a title's.
pub(super) fn words(run: &str, mut push: impl FnMut(&str, usize, usize)) {
    for word in JIEBA.cut_all(run) {
        let from = word.word.as_ptr() as usize - run.as_ptr() as usize;
        push(word.word, from, from + word.word.len());
    }
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
