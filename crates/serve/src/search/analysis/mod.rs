//! From text to terms. In: a field of an item or a query, and a language. Out: terms with the words they came from.
//! Items and queries follow the same rules, so that equal spellings match.

mod code;
mod fold;
mod han;
mod language;
mod script;
mod unit;

use std::borrow::Cow;
use std::ops::Range;

use frostem::Stemmer;
use tantivy::tokenizer::Language;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub(super) use self::code::{code, codes_inside, squashed};
use self::fold::fold;
use self::han::HanTerm;
pub(super) use self::han::{CHARACTER, END_PART, PART, pinyin};
pub(super) use self::language::{LANGUAGES, StopWords, compounds, language_of};
use self::script::Script;

/// Longer words are not indexed as words; they are found as codes or not at all.
const MAX_WORD_BYTES: usize = 64;

/// A term and the range of the (composed) text that it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// The stem, folded to plain letters.
    pub term: String,
    /// The stem of the word typed without its marks, if that is another one.
    pub other: Option<String>,
    /// The word in lower case and in plain letters; of a unit its usual name.
    pub plain: String,
    pub surface: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word of letters.
    Letters,
    /// A word with digits in it.
    Digits,
    /// A word of Han text; words overlap.
    Han,
    /// Two neighbouring characters of a script without blanks.
    Pair,
    /// An emoji or another picture.
    Symbol,
}

impl Word {
    pub(super) fn is_number(&self) -> bool {
        self.kind == Kind::Digits && self.plain.bytes().all(|b| b.is_ascii_digit())
    }
}

/// Tokenises texts of one language. Cheap to clone.
#[derive(Clone)]
pub(super) struct Analyzer {
    language: Language,
    stemmer: Stemmer,
}

impl Analyzer {
    pub(super) fn new(language: Language) -> Self {
        Self { language, stemmer: language::stemmer(language) }
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// Terms of an item's text that went through [`compose`], in order; those of Han text overlap.
    pub(super) fn words(&self, text: &str, take: impl FnMut(Word)) {
        self.each(text, true, take);
    }

    /// The words of a query that went through [`compose`], in order. They do not overlap.
    pub(super) fn query_words(&self, text: &str, take: impl FnMut(Word)) {
        self.each(text, false, take);
    }

    fn each(&self, text: &str, is_item: bool, mut take: impl FnMut(Word)) {
        let mut start = 0;
        while let Some((script, run)) = Script::first_run(&text[start..]) {
            let mut whole = |kind: Kind, term: &str, from: usize, to: usize| {
                let (term, plain) = (term.to_owned(), term.to_owned());
                take(Word { term, other: None, plain, surface: start + from..start + to, kind });
            };
            match script {
                Script::Words => self.letters(text, start..start + run.len(), &mut take),
                Script::Han if is_item => han::words(&han::simplified(run), |HanTerm { role, text, start: at }| {
                    let term = role.into_iter().chain(text.chars()).collect();
                    let surface = start + at..start + at + text.len();
                    take(Word { term, other: None, plain: text.to_owned(), surface, kind: Kind::Han });
                }),
                Script::Han => {
                    let run = han::simplified(run);
                    let mut at = 0;
                    for word in han::best(&run) {
                        whole(Kind::Han, word, at, at + word.len());
                        at += word.len();
                    }
                }
                Script::Pairs => script::pairs(run, |term, from, to| whole(Kind::Pair, term, from, to)),
                Script::Symbol => script::symbols(run, |term, from, to| whole(Kind::Symbol, term, from, to)),
                Script::Mark => {}
            }
            start += run.len();
        }
    }

    /// The words of letters and digits in a part of a text.
    fn letters(&self, text: &str, part: Range<usize>, take: &mut impl FnMut(Word)) {
        let (mut at, end) = (part.start, part.end);
        let mut number_ends = usize::MAX;
        while at < end {
            let rest = &text[at..end];
            let Some(c) = rest.chars().next() else { break };
            if !c.is_alphanumeric() {
                if unit::is_inch_sign(text, at) {
                    take(self.named(unit::INCH, at..at + c.len_utf8(), Kind::Letters));
                }
                at += c.len_utf8();
                continue;
            }
            let is_inside = |c: char| c.is_alphanumeric() || fold::is_inside_words(c);
            let len = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
            let surface = at..at + len;
            let word = &rest[..len];
            at += len;
            if len > MAX_WORD_BYTES || is_possessive(text, &surface) {
                continue;
            }
            let follows_number = number_ends != usize::MAX && is_gap(&text[number_ends..surface.start]);
            let read = self.word(word, surface, follows_number);
            number_ends = if read.is_number() { at } else { usize::MAX };
            take(read);
        }
    }

    fn word(&self, word: &str, surface: Range<usize>, follows_number: bool) -> Word {
        let plain = fold(&fold::lower(word)).into_owned();
        if follows_number && let Some(unit) = unit::usual_name(&plain) {
            return self.named(unit, surface, Kind::Letters);
        }
        if let Some(short) = unit::shortened(&plain) {
            return self.named(&short, surface, Kind::Digits);
        }
        let kind = if plain.bytes().any(|b| b.is_ascii_digit()) { Kind::Digits } else { Kind::Letters };
        let (term, other) = match word.is_ascii() && self.language != Language::Turkish {
            true => (self.stem(&plain), None),
            false => {
                let lower = match self.language {
                    Language::Turkish => fold::lower_turkish(word),
                    _ => fold::lower(word),
                };
                let (term, other) = (self.stem(&lower), self.stem(&plain));
                (term.clone(), (other != term).then_some(other))
            }
        };
        Word { term, other, plain, surface, kind }
    }

    fn named(&self, name: &str, surface: Range<usize>, kind: Kind) -> Word {
        Word { term: self.stem(name), other: None, plain: name.to_owned(), surface, kind }
    }

    /// The stem of a word in lower case, folded to plain letters. Stemmers need their language's marks, so these are removed
    /// last.
    pub(super) fn stem(&self, lower: &str) -> String {
        let singular = match self.language {
            Language::English => language::singular(lower),
            _ => Cow::Borrowed(lower),
        };
        fold(&self.stemmer.stem(&singular)).into_owned()
    }
}

/// A Han word as two words of the dictionary, if it is made of them.
pub(super) fn halves(word: &str) -> Option<(&str, &str)> {
    han::halves(word)
}

pub(super) fn is_han_character(c: char) -> bool {
    Script::of(c) == Script::Han
}

/// Whether a word is the `s` of a possessive (`Levi's`).
fn is_possessive(text: &str, word: &Range<usize>) -> bool {
    let before = text[..word.start].strip_suffix(is_apostrophe);
    text[word.clone()].eq_ignore_ascii_case("s") && before.is_some_and(|before| before.ends_with(char::is_alphanumeric))
}

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '＇' | '′')
}

/// Whether what stands between a number and the next word leaves them together.
fn is_gap(between: &str) -> bool {
    matches!(between, "" | " " | "-" | "\u{a0}" | "\u{202f}")
}

/// Compatibility composition: full-width letters, ligatures and half-width kana become the usual ones.
pub(super) fn compose(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        return text.into();
    }
    text.nfkc().collect::<String>().into()
}

/// Whether a text shows nothing: it has only white space, control characters, and characters without a shape.
pub(super) fn is_blank(text: &str) -> bool {
    let has_no_shape = |c| {
        matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
    };
    text.chars().all(|c| c.is_whitespace() || c.is_control() || has_no_shape(c))
}

/// The first `limit` bytes of a text, or a little less to end between two characters.
pub(super) fn head(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        Analyzer::new(language).words(&compose(text), |word| terms.push(word.term));
        terms
    }

    #[test]
    fn words_end_where_letters_end() {
        for (text, expected) in [
            ("Levi's 501", &["levi", "501"][..]),
            ("Men’s L'Oréal O'Neill", &["man", "l", "oreal", "o", "neill"]),
            ("500 Millilitres 7\" 55zoll", &["500", "ml", "7", "inch", "55inch"]),
            ("knives", &["knife"]),
            ("i\u{307}stanbul x\u{301}z", &["istanbul", "xz"]),
            ("🎄 大衣", &["🎄", "大衣", "\u{3}大", "\u{3}衣", "\u{1}衣"]),
        ] {
            assert_eq!(terms(Language::English, text), expected, "{text}");
        }
        assert_eq!(terms(Language::English, "รองเท้า"), ["รอ", "อง", "งเ", "เท้", "ท้า"]);
        assert_eq!(terms(Language::German, "Häuser"), ["haus"]);
    }

    #[test]
    fn a_word_without_its_marks_has_a_stem_of_its_own() {
        let mut words = Vec::new();
        Analyzer::new(Language::English).words("brûlée plain", |word| words.push((word.term, word.other)));
        assert_eq!(words, [("brulee".to_owned(), Some("brule".to_owned())), ("plain".to_owned(), None)]);
    }
}
