//! From text to terms. In: a field of an item or a query, and a language. Out: terms with the words they came from.
//! Items and queries follow the same rules, so that equal spellings match.

mod code;
mod fold;
mod han;
mod language;
mod number;
mod plurals;
mod script;
mod unit;

use std::borrow::Cow;
use std::ops::Range;

use frostem::Stemmer;
use tantivy::tokenizer::Language;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub(super) use self::code::{code, codes_inside, digits_of_code, squashed};
use self::fold::fold;
use self::han::HanTerm;
pub(super) use self::han::{CHARACTER, END_PART, PART, load_dictionary, pinyin};
pub(super) use self::language::{LANGUAGES, StopWords, compounds, language_of};
use self::script::Script;

/// Longer words are not indexed as words; they are found as codes or not at all.
pub(super) const MAX_WORD_BYTES: usize = 64;

/// Letters of an abbreviation that are read as one word.
const MAX_ABBREVIATED: usize = 12;

/// Signs that are part of a name behind its word.
const MAX_SIGNS: usize = 2;

/// A term and the range of the (composed) text that it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// The stem, folded to plain letters.
    pub term: String,
    /// Other stems of it: of the word typed without its marks, and of a word that may be its singular.
    pub others: Vec<String>,
    /// The word in lower case and in plain letters; of a unit its usual name.
    pub plain: String,
    /// Other terms that an item is found by which has the word: numbers inside a size, letters of an abbreviation.
    pub parts: Vec<String>,
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

    /// The number that a unit behind the word belongs to: the word itself, or the last one of a size.
    pub(super) fn last_number(&self) -> Option<&str> {
        let last = self.parts.last().filter(|_| self.kind == Kind::Digits);
        if self.is_number() { Some(&self.plain) } else { last.map(|last| &**last) }
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
                take(Word {
                    term,
                    others: Vec::new(),
                    plain,
                    parts: Vec::new(),
                    surface: start + from..start + to,
                    kind,
                });
            };
            match script {
                Script::Words => self.letters(text, start..start + run.len(), is_item, &mut take),
                Script::Han if is_item => han::words(&han::simplified(run), |HanTerm { role, text, start: at }| {
                    let term = role.into_iter().chain(text.chars()).collect();
                    let surface = start + at..start + at + text.len();
                    let (others, parts) = (Vec::new(), Vec::new());
                    take(Word { term, others, plain: text.to_owned(), parts, surface, kind: Kind::Han });
                }),
                Script::Han => {
                    let run = han::simplified(run);
                    let mut at = 0;
                    for word in han::best(&run) {
                        whole(Kind::Han, word, at, at + word.len());
                        at += word.len();
                    }
                }
                Script::Pairs => {
                    script::pairs(run, |term, from, to| whole(Kind::Pair, &script::usual_kana(term), from, to))
                }
                Script::Symbol => script::symbols(run, |term, from, to| whole(Kind::Symbol, term, from, to)),
                Script::Mark => {}
            }
            start += run.len();
        }
    }

    /// The words of letters and digits in a part of a text.
    fn letters(&self, text: &str, part: Range<usize>, is_item: bool, take: &mut impl FnMut(Word)) {
        let (mut at, end) = (part.start, part.end);
        let mut number_ends = usize::MAX;
        while at < end {
            let rest = &text[at..end];
            let Some(c) = rest.chars().next() else { break };
            // Before a number it is the sign of a diameter.
            let is_diameter = matches!(c, 'Ø' | 'ø') && rest[c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
            if !c.is_alphanumeric() || is_diameter {
                if unit::is_inch_sign(text, at) {
                    take(self.named(unit::INCH, at..at + c.len_utf8(), Kind::Letters));
                }
                at += c.len_utf8();
                continue;
            }
            if let Some(read) = self.numeric(text, at..end) {
                at = read.surface.end;
                number_ends = at;
                take(read);
                continue;
            }
            if let Some(read) = self.abbreviation(text, at..end) {
                at = read.surface.end;
                number_ends = usize::MAX;
                take(read);
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
            // A query reads the word as the sign, which is no word: `50 %`.
            if !is_item && follows_number && unit::is_percent(word) {
                continue;
            }
            let read = self.word(word, surface, follows_number);
            number_ends = if read.is_number() { at } else { usize::MAX };
            take(read);
        }
    }

    /// A size, or a number whose thousands are grouped, at the beginning of a part of a text.
    fn numeric(&self, text: &str, part: Range<usize>) -> Option<Word> {
        let rest = &text[part.clone()];
        if !rest.as_bytes()[..rest.len().min(3)].iter().any(u8::is_ascii_digit)
            || number::is_inside_number(text, part.start)
        {
            return None;
        }
        let found = number::size(rest).or_else(|| number::grouped(rest))?;
        let mut word = self.word(&found.word, part.start..part.start + found.len, false);
        word.parts = found.parts;
        Some(word)
    }

    /// Letters with a dot behind each (`D.I.Y.`) as one word, at the beginning of a part of a text.
    fn abbreviation(&self, text: &str, part: Range<usize>) -> Option<Word> {
        let rest = &text[part.clone()];
        let mut letters = Vec::new();
        let mut len = 0;
        while let Some(letter) = rest[len..].chars().next().filter(|c| c.is_alphabetic()) {
            let after = len + letter.len_utf8();
            let is_dotted = rest[after..].starts_with('.');
            let is_last =
                rest[after..].chars().next().is_none_or(|c| !c.is_alphanumeric() && !fold::is_inside_words(c));
            if !is_dotted && (!is_last || letters.is_empty()) {
                break;
            }
            letters.push(letter);
            len = after + usize::from(is_dotted);
            if !is_dotted || letters.len() == MAX_ABBREVIATED {
                break;
            }
        }
        if letters.len() < 2 {
            return None;
        }
        let joined: String = letters.iter().collect();
        let mut word = self.word(&joined, part.start..part.start + len, false);
        word.parts = letters.iter().map(|letter| fold(&fold::lower(&letter.to_string())).into_owned()).collect();
        Some(word)
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
        let lower = match self.language {
            _ if word.is_ascii() && self.language != Language::Turkish => Cow::Borrowed(&*plain),
            Language::Turkish => Cow::Owned(fold::lower_turkish(word)),
            _ => Cow::Owned(fold::lower(word)),
        };
        let term = self.stem(&lower);
        let mut others = Vec::new();
        let without_marks = (*lower != plain).then(|| self.stem(&plain));
        // Shoppers also type the singular without its marks: `pao`.
        let likely = plurals::likely_singular(self.language, &lower).map(|singular| self.stem(&singular));
        let listed = self.singular(&plain).map(|singular| self.stem(&singular));
        for other in [without_marks, likely, listed].into_iter().flatten() {
            if other != term && !others.contains(&other) {
                others.push(other);
            }
        }
        Word { term, others, plain, parts: Vec::new(), surface, kind }
    }

    /// The singular of a plural that the stemmer does not know, in plain letters.
    pub(super) fn singular(&self, plain: &str) -> Option<String> {
        match plurals::singular(self.language, plain) {
            Cow::Owned(singular) => Some(fold(&singular).into_owned()),
            Cow::Borrowed(singular) if singular != plain => Some(fold(singular).into_owned()),
            Cow::Borrowed(_) => None,
        }
    }

    fn named(&self, name: &str, surface: Range<usize>, kind: Kind) -> Word {
        Word { term: self.stem(name), others: Vec::new(), plain: name.to_owned(), parts: Vec::new(), surface, kind }
    }

    /// Two Korean words as one share the pair of syllables where they meet.
    pub(super) fn meeting(one: &Word, other: &Word) -> Option<String> {
        let (last, first) = (one.plain.chars().next_back()?, other.plain.chars().next()?);
        let is_pair = one.kind == Kind::Pair && other.kind == Kind::Pair;
        (is_pair && script::is_hangul(last) && script::is_hangul(first)).then(|| String::from_iter([last, first]))
    }

    /// The stem of a word in lower case, folded to plain letters. Stemmers need their language's marks, so these are removed
    /// last.
    pub(super) fn stem(&self, lower: &str) -> String {
        let singular = plurals::singular(self.language, lower);
        let stem = self.stemmer.stem(&singular);
        plurals::usual_stem(self.language, fold(&stem)).into_owned()
    }
}

/// A word in lower case and in plain letters.
pub(super) fn plain_letters(word: &str) -> String {
    fold(&fold::lower(word)).into_owned()
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

/// Whether the `s` of a possessive follows a word (`M&M's`), which shoppers also write onto it.
pub(super) fn has_possessive(text: &str, word: &Range<usize>) -> bool {
    let mut after = text[word.end..].chars();
    after.next().is_some_and(is_apostrophe)
        && after.next().is_some_and(|c| matches!(c, 's' | 'S'))
        && after.next().is_none_or(|c| !c.is_alphanumeric())
}

/// A word with the signs that stand directly behind it and belong to a name: `C#`, `C++`, `S20+`.
pub(super) fn signed(text: &str, word: &Word) -> Option<String> {
    let after = &text[word.surface.end..];
    let rest = after.trim_start_matches(['+', '#']);
    let sign = &after[..after.len() - rest.len()];
    let is_name = matches!(word.kind, Kind::Letters | Kind::Digits)
        && (1..=MAX_SIGNS).contains(&sign.len())
        && rest.chars().next().is_none_or(|c| !c.is_alphanumeric());
    is_name.then(|| format!("{}{sign}", word.plain))
}

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '‛' | '`' | '＇' | '′' | '׳')
}

/// Whether what stands between a number and the next word leaves them together.
fn is_gap(between: &str) -> bool {
    matches!(between, "" | " " | "-" | "\u{a0}" | "\u{202f}")
}

/// Compatibility composition: full-width letters, ligatures and half-width kana become the usual ones.
pub(super) fn compose(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    // An acute accent alone would become a blank with a mark; keyboards have it beside the apostrophe.
    let text: Cow<'_, str> = if text.contains('´') { text.replace('´', "'").into() } else { text.into() };
    let composed: Cow<'_, str> = match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text,
        _ => text.nfkc().collect::<String>().into(),
    };
    match composed.contains(SARA_AM_SIGN) {
        true => tone_before_sara_am(&composed).into(),
        false => composed,
    }
}

/// The first of the two signs that Thai sara am consists of.
const SARA_AM_SIGN: char = '\u{e4d}';

/// Thai sara am with the tone before it, where keyboards also allow it between the two signs.
fn tone_before_sara_am(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for at in 1..chars.len() {
        if chars[at - 1] == SARA_AM_SIGN && matches!(chars[at], '\u{e48}'..='\u{e4b}') {
            chars.swap(at - 1, at);
        }
    }
    chars.into_iter().collect()
}

/// A text without the white space and the characters without a shape around it: a byte order mark that was pasted with it.
pub(super) fn trimmed(text: &str) -> &str {
    let has_no_shape = |c| {
        matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
    };
    text.trim_matches(|c: char| c.is_whitespace() || has_no_shape(c))
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
        Analyzer::new(Language::English).words("brûlée plain", |word| words.push((word.term, word.others)));
        assert_eq!(words, [("brulee".to_owned(), vec!["brule".to_owned()]), ("plain".to_owned(), vec![])]);
    }
}
