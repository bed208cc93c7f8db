//! Words of suggestions, and how far two of them are apart.
//!
//! In: texts as shops and shoppers write them. Out: words without case and marks, and the number of typing errors
//! between a word that is being typed and one that it may become.

use accrue_event::normalised;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words of one text that are used; the rest is ignored.
pub(super) const MAX_WORDS: usize = 24;
/// Characters of a word that are used.
const MAX_LETTERS: usize = 32;
/// The same with the errors that a word may have.
const LONGEST: usize = MAX_LETTERS + 2;

/// The words of a text. A Han character is a word of its own, because nothing separates words there.
pub(crate) fn words(text: &str) -> Vec<String> {
    let folded: String = normalised(text).nfkd().filter(|c| !is_combining_mark(*c)).collect();
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    for c in folded.chars() {
        if !c.is_alphanumeric() {
            // An apostrophe joins: children's is one word.
            is_open = is_open && matches!(c, '\'' | '’');
            continue;
        }
        let is_alone = is_han(c);
        if !is_open || is_alone {
            if words.len() == MAX_WORDS {
                break;
            }
            words.push(String::new());
        }
        is_open = !is_alone;
        if let Some(word) = words.last_mut().filter(|word| word.len() < 4 * MAX_LETTERS) {
            word.push(c);
        }
    }
    words
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Typing errors that a word may have: none in short words and in numbers, whose neighbours mean something else.
pub(super) fn errors_allowed(word: &str) -> usize {
    match word.chars().count() {
        _ if word.chars().any(|c| c.is_numeric()) => 0,
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

/// The errors between `typed` and the beginning of `word` that is nearest to it, or all of `word` if it must be
/// `whole`; `None` if they are more than `most`. An error is a letter that is missing, added or replaced, or two
/// neighbours swapped (Damerau, *A technique for computer detection and correction of spelling errors*, 1964, in its
/// restricted form).
pub(super) fn errors(typed: &str, word: &str, whole: bool, most: usize) -> Option<usize> {
    let mut letters = [['\0'; LONGEST]; 2];
    let [typed_letters, word_letters] = &mut letters;
    let typed = first_letters(typed, typed_letters, MAX_LETTERS);
    // Letters beyond this cannot make the distance smaller.
    let word = first_letters(word, word_letters, if whole { MAX_LETTERS } else { typed.len() + most });
    if word.len() + most < typed.len() || (whole && typed.len() + most < word.len()) {
        return None;
    }
    let mut before = [0; LONGEST + 1];
    let mut last: [usize; LONGEST + 1] = std::array::from_fn(|place| place);
    for i in 1..=typed.len() {
        let mut row = [i; LONGEST + 1];
        for j in 1..=word.len() {
            let replaced = last[j - 1] + usize::from(typed[i - 1] != word[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && typed[i - 1] == word[j - 2] && typed[i - 2] == word[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row[j] = least;
        }
        if row[..=word.len()].iter().min().is_some_and(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    let last = &last[..=word.len()];
    let least = if whole { last.last() } else { last.iter().min() };
    least.copied().filter(|errors| *errors <= most)
}

/// The first letters of a word, at most `n`, written into `letters`.
fn first_letters<'l>(word: &str, letters: &'l mut [char; LONGEST], n: usize) -> &'l [char] {
    let mut len = 0;
    for (place, letter) in letters.iter_mut().take(n).zip(word.chars()) {
        *place = letter;
        len += 1;
    }
    &letters[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_neither_case_nor_marks() {
        assert_eq!(words("Café Crème, 0.3 l"), ["cafe", "creme", "0", "3", "l"]);
        assert_eq!(words("Children's T-shirt"), ["childrens", "t", "shirt"]);
        assert_eq!(words("红色杯子 set"), ["红", "色", "杯", "子", "set"]);
        assert_eq!(words(" -- "), [""; 0]);
        assert_eq!(words(&"a ".repeat(1000)).len(), MAX_WORDS);
        assert!(words(&"a".repeat(10_000))[0].len() <= 4 * MAX_LETTERS);
    }

    #[test]
    fn errors_are_those_of_the_nearest_beginning() {
        assert_eq!(errors("lun", "lunchbag", false, 1), Some(0));
        assert_eq!(errors("luch", "lunchbag", false, 1), Some(1));
        assert_eq!(errors("lucnh", "lunchbag", false, 1), Some(1));
        assert_eq!(errors("luxxh", "lunchbag", false, 1), None);
        assert_eq!(errors("lunch", "lunchbag", true, 2), None);
        assert_eq!(errors("botle", "bottle", true, 1), Some(1));
        assert_eq!(errors("bottles", "bottle", true, 1), Some(1));
        assert_eq!((errors_allowed("cup"), errors_allowed("bottle"), errors_allowed("85a4c")), (0, 1, 0));
    }
}
