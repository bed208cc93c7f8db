//! A shopper's text as what is looked up in the index. In: a text and the languages in use. Out: concepts and codes, without a
//! look at the index (`plan` adds corrections, beginnings and parts of compounds).

use std::ops::Range;

use super::analysis::{
    Analyzer, CHARACTER, END_PART, Kind, MAX_WORD_BYTES, PART, StopWords, Word, code, compose, compounds,
    digits_of_code, halves, head, is_apostrophe, trimmed,
};
use super::document::{initials, is_tight, joined};
use super::joints::first_parts;
use super::quantity::quantities;
use super::schema::{CODE, FOLDED_ID, RAW_ID};
use super::synonyms::Meanings;
use super::{EXACT_ID, MAX_CONCEPTS, MAX_QUERY_BYTES};

/// A query, as lookups in the index.
pub(super) struct Query {
    /// As it was typed, without white space around it.
    pub text: String,
    pub concepts: Vec<Concept>,
    pub codes: Vec<CodeWord>,
    /// The text has only white space, so it restricts nothing.
    pub is_blank: bool,
    /// The last word may be unfinished.
    pub is_open: bool,
}

/// One meaning, in the ways it may be written.
pub(super) struct Concept {
    /// As it was typed, in lower case.
    pub surface: Box<str>,
    /// Its place in the composed text.
    pub range: Range<usize>,
    pub plain: String,
    pub kind: Kind,
    /// It stands in a word with digits, so it is spelled as it is.
    pub is_code: bool,
    /// The quantity with decimals that it is a part of, by its number in the query: its parts mean nothing alone.
    pub quantity: Option<usize>,
    pub alternatives: Vec<Alternative>,
}

/// A way to write a concept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alternative {
    /// Terms that stand side by side; mostly one.
    pub terms: Vec<String>,
    /// What it is worth, in comparison with the word itself.
    pub worth: f32,
    /// It joins words of the query, so that neighbours in a title that would be joined too are no other spelling.
    pub is_joined: bool,
    /// It is another word of the same meaning.
    pub is_synonym: bool,
    /// Its terms need not stand side by side.
    pub is_apart: bool,
}

/// A word, or the whole query, read as an id or a code.
pub(super) struct CodeWord {
    pub surface: Box<str>,
    /// A term of the code field.
    pub term: String,
    /// What it adds; `None` for its idf.
    pub weight: Option<f32>,
    /// The concepts that it stands for, a bit each.
    pub covers: u32,
}

/// What a concept is worth in the spelling that writes it and its neighbour as one word.
const JOINED: f32 = 0.95;
/// What a name is worth that has these initials.
const INITIALS: f32 = 0.8;
/// What an equal quantity in another unit is worth.
const EQUAL_QUANTITY: f32 = 0.9;
/// What a Han word is worth that ends a longer one, that stands in a longer one otherwise, whose halves stand apart,
/// and that is written across other words.
const HAN_END: f32 = 0.85;
const HAN_PART: f32 = 0.6;
const HAN_HALVES: f32 = 0.5;
const HAN_ACROSS: f32 = 0.25;
/// Han characters that join words and tell nothing.
const HAN_PARTICLES: [&str; 4] = ["的", "了", "吗", "呢"];

/// Nouns of one character that 子 only makes a word of two: `杯子` is `杯`. Words like `电子`, `孩子` and `包子` mean something else.
const NOUNS_WITH_ZI: &str = "杯盒瓶箱袋桌椅柜架镜梳刷筷勺叉盘碟锅罐被毯垫帘席扇靴帽裤裙鞋袜袖领绳链坠珠钉锤钳锯梯笼凳篮盆桶管棍夹套罩盖剪铲\
                             兔鸭狮猴桃橘柿栗椰茄豆褂袄褥轮";

/// In longer queries no two words are looked for as a compound with letters between.
const MAX_LINKED: usize = 8;
/// Shorter words are no parts of a compound.
const MIN_PART_BYTES: usize = 3;

impl Query {
    pub(super) fn new(text: &str, analyzers: &[Analyzer], stop: &StopWords, meanings: &Meanings) -> Self {
        let is_open = !text.ends_with(char::is_whitespace);
        // Characters without a shape are no blank query: they are signs that nothing has.
        let is_blank = text.trim().is_empty();
        let text = trimmed(head(text, MAX_QUERY_BYTES));
        let composed = compose(text);
        let concepts = concepts(&composed, analyzers, stop, meanings);
        let codes = codes(&composed, text, &concepts);
        Self { text: composed.into_owned(), concepts, codes, is_blank, is_open }
    }

    /// The query with other words in the place of some concepts.
    pub(super) fn rewritten(&self, words: &[(usize, &str)]) -> Box<str> {
        let mut places: Vec<(&Range<usize>, &str)> =
            words.iter().map(|(concept, word)| (&self.concepts[*concept].range, *word)).collect();
        places.sort_by_key(|(range, _)| range.start);
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for (range, word) in places {
            text.push_str(self.text.get(at..range.start).unwrap_or_default());
            text.push_str(word);
            at = range.end;
        }
        text.push_str(&self.text[at..]);
        text.into()
    }
}

fn concepts(text: &str, analyzers: &[Analyzer], stop: &StopWords, meanings: &Meanings) -> Vec<Concept> {
    let Some((first, others)) = analyzers.split_first() else { return Vec::new() };
    let mut words: Vec<Word> = Vec::new();
    first.query_words(text, |word| words.push(word));
    let mut all: Vec<Concept> = words.iter().map(|word| Concept::new(text, word)).collect();
    for analyzer in others {
        // Languages differ in their stems, not in word boundaries, so the i-th word is the same in all of them.
        let mut of_word = all.iter_mut();
        analyzer.query_words(text, |word| {
            if let Some(concept) = of_word.next() {
                [word.term].into_iter().chain(word.others).for_each(|term| concept.add(vec![term], 1.0));
            }
        });
    }
    join_neighbours(text, analyzers, &words, &mut all);
    convert_quantities(text, analyzers, &words, &mut all);
    meanings.expand(&words, &mut |concepts, terms, worth| {
        concepts.for_each(|concept| all[concept].add(terms.to_vec(), worth));
    });
    let tells = |concept: &Concept| concept.kind != Kind::Han || !HAN_PARTICLES.contains(&&*concept.plain);
    if all.iter().any(tells) {
        all.retain(tells);
    }
    if all.iter().any(|concept| !stop.has(&concept.surface)) {
        all.retain(|concept| !stop.has(&concept.surface));
    }
    let mut distinct: Vec<Concept> = Vec::new();
    for concept in all {
        if distinct.len() == MAX_CONCEPTS {
            break;
        }
        if distinct.iter().all(|known| known.alternatives[0] != concept.alternatives[0]) {
            distinct.push(concept);
        }
    }
    distinct
}

impl Concept {
    fn new(text: &str, word: &Word) -> Self {
        let mut concept = Self {
            surface: text[word.surface.clone()].to_lowercase().into(),
            range: word.surface.clone(),
            plain: word.plain.clone(),
            kind: word.kind,
            is_code: has_digit(word_around(text, &word.surface)),
            quantity: None,
            alternatives: vec![Alternative {
                terms: vec![word.term.clone()],
                worth: 1.0,
                is_joined: false,
                is_synonym: false,
                is_apart: false,
            }],
        };
        if word.kind == Kind::Han {
            concept.add_han(&word.plain);
        }
        word.others.iter().for_each(|other| concept.add(vec![other.clone()], 1.0));
        concept
    }

    fn add(&mut self, terms: Vec<String>, worth: f32) {
        if self.alternatives.iter().all(|known| known.terms != terms) {
            self.alternatives.push(Alternative {
                terms,
                worth,
                is_joined: false,
                is_synonym: worth < 1.0,
                is_apart: false,
            });
        }
    }

    /// The places where a Han word may stand that is no word of a title by itself.
    fn add_han(&mut self, word: &str) {
        let mut add = |terms: Vec<String>, worth: f32, is_apart: bool| {
            self.alternatives.push(Alternative { terms, worth, is_joined: false, is_synonym: false, is_apart });
        };
        add(vec![format!("{END_PART}{word}")], HAN_END, false);
        if word.chars().nth(1).is_some() {
            add(vec![format!("{PART}{word}")], HAN_PART, false);
        }
        if let Some((one, other)) = halves(word) {
            add(vec![one.to_owned(), other.to_owned()], HAN_HALVES, true);
            // The head noun may end another word: `保温` and `水杯`.
            add(vec![one.to_owned(), format!("{END_PART}{other}")], HAN_HALVES, true);
        }
        if let Some(noun) = word.strip_suffix('子').filter(|noun| NOUNS_WITH_ZI.contains(noun) && noun.len() == 3) {
            add(vec![noun.to_owned()], HAN_END, false);
            add(vec![format!("{END_PART}{noun}")], HAN_END, false);
        }
        add(word.chars().map(|c| format!("{CHARACTER}{c}")).collect(), HAN_ACROSS, false);
    }

    fn add_joined(&mut self, term: String) {
        if self.alternatives.iter().all(|known| known.terms != [&*term]) {
            self.alternatives.push(Alternative {
                terms: vec![term],
                worth: JOINED,
                is_joined: true,
                is_synonym: false,
                is_apart: false,
            });
        }
    }
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|b| b.is_ascii_digit())
}

/// What stands between white space around a place.
fn word_around<'a>(text: &'a str, place: &Range<usize>) -> &'a str {
    let start = text[..place.start].rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let end = text[place.end..].find(char::is_whitespace).map_or(text.len(), |at| place.end + at);
    text.get(start..end).unwrap_or_default()
}

/// Two words that stand side by side may be one in a title: `cake stand` is also found as `cakestand`. The joined word is
/// another spelling of both; so is the whole of words with a hyphen between each two.
fn join_neighbours(text: &str, analyzers: &[Analyzer], words: &[Word], all: &mut [Concept]) {
    for (left, pair) in words.windows(2).enumerate() {
        let [one, other] = pair else { continue };
        let are_words = [one, other].iter().all(|word| matches!(word.kind, Kind::Letters | Kind::Digits));
        let between = text.get(one.surface.end..other.surface.start);
        let is_apart = between.is_some_and(|between| {
            matches!(between, "" | " " | "-" | "&" | " & " | "." | ". " | "/" | "+")
                || (between.chars().all(is_apostrophe) && between.chars().nth(1).is_none())
        });
        if !are_words || !is_apart || (one.is_number() && other.is_number()) {
            continue;
        }
        let is_and = between.is_some_and(|between| matches!(between.trim(), "&" | "+"));
        if is_and && let ([one], [other]) = (&*chars(one), &*chars(other)) {
            all[left..=left + 1].iter_mut().for_each(|concept| concept.add(vec![initials(*one, *other)], INITIALS));
        }
        for analyzer in analyzers {
            let Some(term) = joined(analyzer, one, other) else { continue };
            let linked = if words.len() <= MAX_LINKED { linked(analyzer, text, one, other) } else { Vec::new() };
            for concept in &mut all[left..=left + 1] {
                concept.add_joined(term.clone());
                linked.iter().for_each(|term| concept.add_joined(term.clone()));
            }
        }
    }
    let mut start = 0;
    for chain in words.chunk_by(|one, other| is_tight(text, one, other)) {
        let concepts = start..start + chain.len();
        start = concepts.end;
        let whole: String = chain.iter().map(|word| &*word.plain).collect();
        if chain.len() > 2 && whole.len() <= MAX_WORD_BYTES {
            for analyzer in analyzers {
                let term = analyzer.stem(&whole);
                all[concepts.clone()].iter_mut().for_each(|concept| concept.add_joined(term.clone()));
            }
        }
    }
}

fn chars(word: &Word) -> Vec<char> {
    word.plain.chars().collect()
}

/// A quantity is also found in other units.
fn convert_quantities(text: &str, analyzers: &[Analyzer], words: &[Word], all: &mut [Concept]) {
    for (nth, quantity) in quantities(text, words).into_iter().enumerate() {
        for concept in &mut all[quantity.words] {
            concept.quantity = quantity.is_decimal.then_some(nth);
            for terms in &quantity.spellings {
                for analyzer in analyzers {
                    concept.add(terms.iter().map(|term| analyzer.stem(term)).collect(), EQUAL_QUANTITY);
                }
            }
        }
    }
}

/// Two words as the parts of a compound, with the letters that join them: `geburtstag kerze` for Geburtstagskerze.
fn linked(analyzer: &Analyzer, text: &str, one: &Word, other: &Word) -> Vec<String> {
    let are_parts = [one, other].iter().all(|word| word.kind == Kind::Letters && word.plain.len() >= MIN_PART_BYTES);
    if !are_parts || !compounds(analyzer.language()) || one.plain.len() + other.plain.len() + 2 > MAX_WORD_BYTES {
        return Vec::new();
    }
    // Stemmers need the marks, which shoppers leave out.
    let lower = |word: &Word| text.get(word.surface.clone()).unwrap_or_default().to_lowercase();
    let mut spellings = vec![(lower(one), lower(other)), (one.plain.clone(), other.plain.clone())];
    spellings.dedup();
    let of_parts = |(first, second): &(String, String)| {
        let firsts = first_parts(analyzer.language(), first).into_iter();
        firsts.map(|first| analyzer.stem(&format!("{first}{second}"))).collect::<Vec<_>>()
    };
    spellings.iter().flat_map(of_parts).collect()
}

fn codes(composed: &str, text: &str, concepts: &[Concept]) -> Vec<CodeWord> {
    let mut found: Vec<CodeWord> = Vec::new();
    let mut push = |surface: &str, term: String, weight: Option<f32>, covers: u32| {
        if found.iter().all(|known| known.term != term) {
            found.push(CodeWord { surface: surface.to_lowercase().into(), term, weight, covers });
        }
    };
    let covered = |place: Range<usize>| {
        let inside = |concept: &Concept| place.start <= concept.range.start && concept.range.end <= place.end;
        concepts.iter().enumerate().filter(|(_, concept)| inside(concept)).map(|(i, _)| 1 << i).sum()
    };
    let everything = covered(0..composed.len());
    let words = text.split_whitespace().zip(places(composed)).take(MAX_CONCEPTS);
    let words = words.map(|(word, place)| (word, covered(place)));
    let whole = (text.split_whitespace().nth(1).is_some()).then_some((text, everything));
    for (word, covers) in words.chain(whole) {
        // A shopper who names an item wants it, whatever else the query says. A short number or a plain word among others
        // names none: in `iphone 15` the 15 is a word, although an item may have that id.
        if word == text || is_unlike_words(word) {
            // Two halves, so that ids that differ only in case are both found, the one as written first.
            push(word, format!("{RAW_ID}{word}"), Some(EXACT_ID / 2.0), everything);
            push(word, format!("{FOLDED_ID}{}", compose(word).to_lowercase()), Some(EXACT_ID / 2.0), everything);
        }
        if let Some(code) = code(&compose(word)).or_else(|| digits_of_code(word)) {
            push(word, format!("{CODE}{code}"), None, covers);
        }
    }
    found
}

/// Whether a word has the shape of an id: letters and digits, five digits or more, or signs inside.
fn is_unlike_words(word: &str) -> bool {
    let n_digits = word.chars().filter(char::is_ascii_digit).count();
    let has_letter = word.chars().any(char::is_alphabetic);
    let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
    (has_letter && n_digits > 0) || n_digits >= 5 || !inside.chars().all(char::is_alphanumeric)
}

/// The places of the words between white space.
fn places(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.split_whitespace().map(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        start..start + word.len()
    })
}
