//! From text to terms. In: a field of an item or a query, and a language. Out: terms with the words they came from.
//! Items and queries follow the same rules, so that equal spellings match.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use jieba_rs::Jieba;
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter,
    TextAnalyzer, TokenStream as _,
};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Longer words are not indexed as words; they are found as codes or not at all.
const MAX_WORD_BYTES: usize = 64;
/// Longer codes are not indexed.
const MAX_CODE_BYTES: usize = 64;

/// A term and the range of the (composed) text that it came from.
pub(super) struct Word {
    pub term: String,
    pub surface: Range<usize>,
}

/// Tokenises texts of one language. Cheap to clone.
#[derive(Clone)]
pub(super) struct Analyzer {
    western: TextAnalyzer,
}

/// About half a million words; loaded when the first Han text comes.
static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

impl Analyzer {
    pub(super) fn new(language: Language) -> Self {
        let western = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
            .filter(LowerCaser)
            .filter(Stemmer::new(language))
            // Stemmers need their language's accents, so accents are removed last.
            .filter(AsciiFoldingFilter)
            .build();
        Self { western }
    }

    /// Terms of a text that went through [`compose`], in order.
    pub(super) fn words(&mut self, text: &str, mut take: impl FnMut(Word)) {
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            let script = Script::of(first);
            let len = text[start..].find(|c| Script::of(c) != script).unwrap_or(text.len() - start);
            let run = &text[start..start + len];
            let mut push = |term: &str, from: usize, to: usize| {
                take(Word { term: term.to_owned(), surface: start + from..start + to });
            };
            match script {
                Script::Other => {
                    let mut tokens = self.western.token_stream(run);
                    while let Some(token) = tokens.next() {
                        push(&token.text, token.offset_from, token.offset_to);
                    }
                }
                // Every word of the dictionary at this place, including overlapping ones: the best segmentation depends
                // on the context, and a query's would differ from a title's.
                Script::Han => {
                    for word in JIEBA.cut_all(run) {
                        let from = word.word.as_ptr() as usize - run.as_ptr() as usize;
                        push(word.word, from, from + word.word.len());
                    }
                }
                Script::Kana => pairs(run, push),
                Script::Symbol => symbols(run, push),
                Script::Mark => {}
            }
            start += len;
        }
    }
}

/// Kana has neither blanks nor a dictionary here: every pair of neighbours is a term, and so is a single one.
fn pairs(run: &str, mut push: impl FnMut(&str, usize, usize)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    if let [from, to] = starts[..] {
        push(run, from, to);
    }
    for window in starts.windows(3) {
        push(&run[window[0]..window[2]], window[0], window[2]);
    }
}

/// Each symbol is a term; a flag, which is written as two letters, is one term.
fn symbols(run: &str, mut push: impl FnMut(&str, usize, usize)) {
    let is_flag_letter = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    let mut rest = run.char_indices().peekable();
    while let Some((from, c)) = rest.next() {
        let second = if is_flag_letter(c) { rest.next_if(|&(_, c)| is_flag_letter(c)) } else { None };
        let to = second.map_or(from + c.len_utf8(), |(at, c)| at + c.len_utf8());
        push(&run[from..to], from, to);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Kana,
    /// Emoji, arrows, stars and other pictures, and signs of currencies. Signs of the Latin-1 block (`©`, `°`) and
    /// punctuation are no terms.
    Symbol,
    /// What changes the look of a symbol: the tone of skin, the choice between text and picture, and joiners. Without
    /// them, all looks of a symbol are one term.
    Mark,
    Other,
}

impl Script {
    fn of(c: char) -> Self {
        match c {
            '\u{200d}' | '\u{20e3}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => Script::Mark,
            '\u{e0020}'..='\u{e007f}' => Script::Mark,
            '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' => Script::Symbol,
            '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' => Script::Symbol,
            '\u{1f000}'..='\u{1faff}' => Script::Symbol,
            '\u{0}'..='\u{2fff}' => Script::Other,
            '々' | '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Script::Han,
            '\u{20000}'..='\u{323af}' => Script::Han,
            '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Script::Kana,
            _ => Script::Other,
        }
    }
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

/// Whether a word has little meaning in a language (a stop word).
pub(super) struct StopWords(Option<TextAnalyzer>);

impl StopWords {
    pub(super) fn new(language: Language) -> Self {
        Self(
            StopWordFilter::new(language)
                .map(|stop| TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(stop).build()),
        )
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.0.as_ref().is_some_and(|analyzer| !analyzer.clone().token_stream(word).advance())
    }
}

/// The stemmer for a locale such as `de-AT`.
pub(super) fn language_of(locale: &str) -> Option<Language> {
    let language = locale.split(['-', '_']).next().unwrap_or(locale);
    LANGUAGES.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(language)).map(|(_, language)| *language)
}

/// The tag of each language with a stemmer; of several tags the usual one first.
pub(super) const LANGUAGES: [(&str, Language); 20] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("nl", Language::Dutch),
    ("en", Language::English),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("de", Language::German),
    ("el", Language::Greek),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("no", Language::Norwegian),
    ("nb", Language::Norwegian),
    ("nn", Language::Norwegian),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("es", Language::Spanish),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// The letters and digits of a word in lower case, if it looks like a code: a letter and a digit in at least four
/// characters, or at least eight digits.
pub(super) fn code(word: &str) -> Option<String> {
    if word.len() > MAX_CODE_BYTES || !word.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let squashed: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let n_chars = squashed.chars().count();
    let has_letter = squashed.chars().any(char::is_alphabetic);
    (if has_letter { n_chars >= 4 } else { n_chars >= 8 }).then_some(squashed)
}

/// The codes among a text's words that tokenising would split: those with punctuation inside.
pub(super) fn codes_inside(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_whitespace().filter_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if word.chars().all(char::is_alphanumeric) { None } else { code(word) }
    })
}
