//! An item as a document: its stems with their places, the other forms that they are found by, its codes and its vocabulary.

use accrue_event::{Attribute, Item, privacy_of, truth_value};
use tantivy::TantivyDocument;
use tantivy::tokenizer::{PreTokenizedString, Token};

use super::MAX_FIELD_BYTES;
use super::analysis::{
    Analyzer, END_PART, Kind, Word, code, codes_inside, compose, compounds, has_possessive, head, is_apostrophe,
    is_han_character, pinyin, plain_letters, signed,
};
use super::schema::{CODE, END, FOLDED_ID, Fields, HAN, PLACE_BITS, PLACE_MAX, RAW_ID};

/// Longer joined words are not indexed.
const MAX_JOINED_BYTES: usize = 48;
/// What follows a number may be its unit up to this length.
const MAX_UNIT_BYTES: usize = 4;
/// Shorter words are not split into the parts of a compound.
const MIN_COMPOUND_CHARS: usize = 6;

/// The tokens of an item by field of the index.
#[derive(Default)]
struct Tokens {
    text: Vec<Token>,
    form: Vec<Token>,
    attribute: Vec<Token>,
    words: Vec<String>,
    ends: Vec<String>,
}

/// Which words of a text are also found written as one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    /// All neighbours: of titles and names.
    All,
    /// Those that no blank separates, and a number with its unit.
    Tight,
}

pub(super) fn document(fields: Fields, analyzer: &Analyzer, item_idx: u32, item: &Item) -> TantivyDocument {
    let mut tokens = Tokens::default();
    tokens.add_item(analyzer, item);
    let mut document = TantivyDocument::new();
    document.add_u64(fields.item, item_idx.into());
    let mut add = |field, tokens: Vec<Token>| {
        document.add_pre_tokenized_text(field, PreTokenizedString { text: String::new(), tokens });
    };
    let plain = |mut texts: Vec<String>| -> Vec<Token> {
        texts.sort_unstable();
        texts.dedup();
        texts.into_iter().map(|text| Token { position: 0, text, ..Token::default() }).collect()
    };
    add(fields.text, tokens.text);
    add(fields.form, tokens.form);
    add(fields.attribute, tokens.attribute);
    add(fields.code, plain(codes_of(item)));
    add(fields.word, plain(tokens.words));
    add(fields.end, plain(tokens.ends));
    document
}

impl Tokens {
    fn add_item(&mut self, analyzer: &Analyzer, item: &Item) {
        self.add_field(analyzer, 0, Joins::All, &mut item.title.as_deref().into_iter());
        self.add_field(analyzer, 1, Joins::All, &mut item.brand.as_deref().into_iter());
        let categories = &mut item.categories.iter().chain(&item.tags).map(|text| &**text);
        self.add_field(analyzer, 2, Joins::All, categories);
        self.add_field(analyzer, 3, Joins::Tight, &mut item.description.as_deref().into_iter());
        let mut place = 0;
        let mut left = MAX_FIELD_BYTES;
        // A search for an address must not find what its owner bought.
        for (name, value) in item.attributes.iter().filter(|(name, value)| privacy_of(name, value).is_none()) {
            let mut add = |text: &str, joins: Joins| {
                let text = head(text, left);
                left -= text.len();
                self.add_attribute(analyzer, text, joins, &mut place);
            };
            match value {
                // What an item is, by the name of the attribute: `waterproof`.
                Attribute::Bool(true) => add(&words_of_name(name), Joins::All),
                Attribute::Text(text) => {
                    add(text, Joins::Tight);
                    if is_yes(text) {
                        add(&words_of_name(name), Joins::All);
                    }
                }
                Attribute::List(texts) => texts.iter().for_each(|text| add(text, Joins::Tight)),
                Attribute::Number(n) if n.fract() == 0.0 && (0.0..1e6).contains(n) => {
                    add(&format!("{n:.0}"), Joins::Tight);
                    if *n == 1.0 {
                        add(&words_of_name(name), Joins::All);
                    }
                }
                Attribute::Number(_) | Attribute::Bool(false) => {}
            }
            // `size 42` names the attribute.
            let word = words_of_name(name);
            let is_size = |word: &&str| SIZE.contains(&&*plain_letters(word));
            let is_false = matches!(value, Attribute::Bool(_));
            if let Some(word) = word.split(' ').find(is_size).filter(|_| !is_false) {
                add(word, Joins::Tight);
            }
        }
    }

    fn add_field(&mut self, analyzer: &Analyzer, field: usize, joins: Joins, texts: &mut dyn Iterator<Item = &str>) {
        let mut places = Places::default();
        for text in texts {
            let text = compose(head(text, MAX_FIELD_BYTES));
            let mut before: Option<(Word, usize)> = None;
            let mut pair = Pair::default();
            let mut name = Names::default();
            let mut reading: Option<(String, usize)> = None;
            let mut chain = Chain::default();
            places.run = None;
            analyzer.words(&text, |word| {
                let position = (field << PLACE_BITS) + PLACE_MAX.min(places.of(&text, &word));
                if let Some((one, position)) = &before {
                    self.form.extend(chain.add(analyzer, one, *position, &word, &text));
                    if text.get(one.surface.end..word.surface.start) == Some(" ") {
                        self.form.extend(Analyzer::meeting(one, &word).map(|term| token(*position, term)));
                    }
                    if is_joined(&text, one, &word, joins) {
                        let joined = self.joined(analyzer, &text, one, &word);
                        self.form.extend(joined.map(|term| token(*position, term)));
                        self.form.extend(pair.with(analyzer, one, *position, &word));
                    } else {
                        pair = Pair::default();
                    }
                }
                self.text.push(token(position, word.term.clone()));
                self.form.extend(other_forms(analyzer, &text, &word).map(|term| token(position, term)));
                if joins == Joins::All {
                    self.form.extend(name.initials(&text, &word, position));
                }
                self.add_vocabulary(analyzer, &word);
                if word.kind == Kind::Han && joins == Joins::All && !word.term.starts_with(END_PART) {
                    self.add_latin(&word, position, &mut reading);
                }
                before = Some((word, position));
            });
            self.form.extend(chain.end(analyzer));
        }
    }

    /// Two words as one: their stems; also as a word of the vocabulary if no blank separates them, or a number and its unit.
    fn joined<'a>(
        &mut self,
        analyzer: &'a Analyzer,
        text: &'a str,
        one: &'a Word,
        other: &'a Word,
    ) -> impl Iterator<Item = String> + use<'a> {
        let is_unit = one.last_number().is_some() && other.plain.len() <= MAX_UNIT_BYTES;
        let is_tight = between(text, one, other).is_some_and(|between| !between.contains([' ', '\u{a0}']));
        let whole = format!("{}{}", one.plain, other.plain);
        if (is_tight || is_unit) && whole.len() <= MAX_JOINED_BYTES {
            self.words.push(whole.clone());
        }
        let s = has_possessive(text, &other.surface).then(|| analyzer.stem(&format!("{whole}s")));
        let last = one.last_number().filter(|last| is_unit && *last != one.plain);
        let unit = last.map(|last| analyzer.stem(&format!("{last}{}", other.plain)));
        let joined = joined(analyzer, one, other);
        let s = s.filter(|s| joined.as_ref().is_some_and(|joined| joined != s));
        joined.into_iter().chain(unit).chain(s)
    }

    fn add_attribute(&mut self, analyzer: &Analyzer, text: &str, joins: Joins, place: &mut usize) {
        // An address names nothing that a shopper would type.
        if text.contains("://") {
            return;
        }
        let text = compose(text);
        let mut before: Option<(Word, usize)> = None;
        analyzer.words(&text, |word| {
            let position = (4 << PLACE_BITS) + PLACE_MAX.min(*place);
            *place += 1;
            if let Some((one, position)) = &before
                && is_joined(&text, one, &word, joins)
            {
                let joined = self.joined(analyzer, &text, one, &word);
                self.attribute.extend(joined.map(|term| token(*position, term)));
            }
            self.attribute.push(token(position, word.term.clone()));
            self.attribute.extend(other_forms(analyzer, &text, &word).map(|term| token(position, term)));
            self.add_vocabulary(analyzer, &word);
            before = Some((word, position));
        });
    }

    fn add_vocabulary(&mut self, analyzer: &Analyzer, word: &Word) {
        if !matches!(word.kind, Kind::Letters | Kind::Digits) {
            return;
        }
        self.words.push(word.plain.clone());
        if word.kind != Kind::Letters {
            return;
        }
        let singular = analyzer.singular(&word.plain);
        // `knif` is the beginning of knives.
        self.words.extend(singular.clone());
        if compounds(analyzer.language()) && word.plain.chars().nth(MIN_COMPOUND_CHARS - 1).is_some() {
            self.ends.push(word.term.chars().rev().collect());
            for whole in
                [Some(&word.plain), singular.as_ref()].into_iter().flatten().filter(|whole| **whole != word.term)
            {
                let reversed: String = whole.chars().rev().collect();
                self.ends.push(format!("{reversed}{END}{}", word.term));
            }
        }
    }

    /// A Han word as it is typed in Latin letters, also together with the word before it (`before`: its reading and
    /// its end).
    fn add_latin(&mut self, word: &Word, position: usize, before: &mut Option<(String, usize)>) {
        let Some(latin) = pinyin(&word.plain) else { return };
        if word.term == word.plain {
            if let Some((one, _)) = before.as_ref().filter(|(_, end)| *end == word.surface.start) {
                let joined = format!("{one}{latin}");
                self.words.push(joined.clone());
                self.form.push(token(position, joined));
            }
            *before = Some((latin.clone(), word.surface.end));
        }
        self.words.push(latin.clone());
        self.form.push(token(position, latin));
    }
}

/// Words for a size as names of attributes, in plain letters.
const SIZE: [&str; 22] = [
    "size",
    "groesse",
    "grosse",
    "taille",
    "pointure",
    "talla",
    "taglia",
    "misura",
    "tamanho",
    "maat",
    "storlek",
    "storrelse",
    "koko",
    "rozmiar",
    "velikost",
    "marime",
    "beden",
    "meret",
    "размер",
    "μεγεθος",
    "مقاس",
    "サイズ",
];

/// Whether a text is what shops write for yes.
fn is_yes(text: &str) -> bool {
    text.trim() == "1" || truth_value(text) == Some(true)
}

/// The name of an attribute as words: `hand_made`, `handMade` and `is-hand-made` are `hand made`.
fn words_of_name(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut last = ' ';
    for c in name.chars() {
        if c.is_uppercase() && last.is_lowercase() {
            words.push(' ');
        }
        words.push(if matches!(c, '_' | '-' | '.' | ':' | '/') { ' ' } else { c });
        last = c;
    }
    let words = words.trim();
    ["is ", "has "].iter().find_map(|first| words.strip_prefix(first)).unwrap_or(words).to_owned()
}

/// The places of words in a field. Of Han text, whose words overlap, each character has a place, so that neighbours in
/// the text are neighbours here.
#[derive(Default)]
struct Places {
    next: usize,
    /// The run of Han text: where it begins and ends, and the place of its first character.
    run: Option<(usize, usize, usize)>,
}

impl Places {
    fn of(&mut self, text: &str, word: &Word) -> usize {
        if word.kind != Kind::Han {
            self.run = None;
            self.next += 1;
            return self.next - 1;
        }
        let (start, end, first) =
            self.run.filter(|(_, end, _)| word.surface.start <= *end).unwrap_or((word.surface.start, 0, self.next));
        let n_chars = |to: usize| text.get(start..to).map_or(0, |text| text.chars().count());
        let end = end.max(word.surface.end);
        self.run = Some((start, end, first));
        self.next = first + n_chars(end);
        first + n_chars(word.surface.start)
    }
}

fn token(position: usize, text: String) -> Token {
    Token { position, text, ..Token::default() }
}

/// What stands between two words that may be typed as one.
fn between<'t>(text: &'t str, one: &Word, other: &Word) -> Option<&'t str> {
    let are_words = [one, other].iter().all(|word| matches!(word.kind, Kind::Letters | Kind::Digits));
    let are_numbers = one.is_number() && other.is_number();
    if are_words && !are_numbers { text.get(one.surface.end..other.surface.start) } else { None }
}

/// Whether two words may be typed as one and no blank separates them.
pub(super) fn is_tight(text: &str, one: &Word, other: &Word) -> bool {
    between(text, one, other).is_some_and(|between| {
        let is_sign = |c| is_apostrophe(c) || matches!(c, '-' | '‐' | '‑' | '–' | '&' | '.' | '/' | '+');
        // Two signs stand in `Jack-o'-lantern`.
        between.chars().all(is_sign) && between.chars().nth(2).is_none()
    })
}

/// Whether two words in a text may be typed as one.
fn is_joined(text: &str, one: &Word, other: &Word, joins: Joins) -> bool {
    let Some(between) = between(text, one, other) else { return false };
    let is_blank = between == " " || between == "\u{a0}";
    is_tight(text, one, other)
        || (joins == Joins::All
            && (is_blank || matches!(between, " & " | ". ") || between.trim_matches(is_apostrophe) == " "))
        || (is_blank && one.last_number().is_some() && other.plain.len() <= MAX_UNIT_BYTES)
}

/// The stem of two words written as one.
pub(super) fn joined(analyzer: &Analyzer, one: &Word, other: &Word) -> Option<String> {
    let joined = format!("{}{}", one.plain, other.plain);
    (joined.len() <= MAX_JOINED_BYTES).then(|| analyzer.stem(&joined))
}

/// The terms that a word is also found by.
fn other_forms(analyzer: &Analyzer, text: &str, word: &Word) -> impl Iterator<Item = String> {
    let s = (word.kind == Kind::Letters && has_possessive(text, &word.surface))
        .then(|| analyzer.stem(&format!("{}s", word.plain)))
        .filter(|s| *s != word.term);
    word.others.iter().chain(&word.parts).cloned().chain(s).chain(signed(text, word))
}

/// The words before one, as far as they may be the first part of a name of two: `Dolce & Gabbana`, `Marks and Spencer`.
#[derive(Default)]
struct Names {
    /// The word before, and the one before a conjunction: initial, end and place.
    last: Option<(char, usize, usize)>,
    first: Option<(char, usize, usize)>,
}

impl Names {
    /// The initials of a name that ends with `word`, as shoppers write them: `d&g`.
    fn initials(&mut self, text: &str, word: &Word, position: usize) -> Option<Token> {
        let surface = text.get(word.surface.clone()).unwrap_or_default();
        if is_conjunction(surface) {
            self.first = self.last.take();
            return None;
        }
        let is_name = surface.starts_with(char::is_uppercase) && surface.chars().nth(1).is_some();
        let initial = word.plain.chars().next().filter(|_| is_name && word.kind == Kind::Letters);
        let (first, last) = (self.first.take(), self.last.take());
        self.last = initial.map(|initial| (initial, word.surface.end, position));
        let is_and = |sign: &str| matches!(sign, "&" | "+") || is_conjunction(sign);
        let (one, _, place) = first
            .or(last)
            .filter(|(_, end, _)| text.get(*end..word.surface.start).is_some_and(|between| is_and(between.trim())))?;
        Some(token(place, initials(one, initial?)))
    }
}

/// The term of a name by its initials.
pub(super) fn initials(one: char, other: char) -> String {
    format!("{one}&{other}")
}

fn is_conjunction(word: &str) -> bool {
    matches!(word, "and" | "und" | "et" | "en" | "og" | "och" | "y" | "e")
}

/// Two neighbours of a title, which with the next one are also found as one: `eaudetoilette`.
#[derive(Default)]
struct Pair {
    words: Option<(String, usize)>,
}

impl Pair {
    /// The pair and the word that follows `one`, its second word, as one; then these two are the pair.
    fn with(&mut self, analyzer: &Analyzer, one: &Word, position: usize, word: &Word) -> Option<Token> {
        let next = (format!("{}{}", one.plain, word.plain), position);
        let (words, position) = self.words.replace(next)?;
        let whole = format!("{words}{}", word.plain);
        (whole.len() <= MAX_JOINED_BYTES).then(|| token(position, analyzer.stem(&whole)))
    }
}

/// Three words or more that no blank separates (`Mund-Nasen-Schutz`), which are also found as one.
#[derive(Default)]
struct Chain {
    joined: String,
    position: usize,
    n_words: usize,
}

impl Chain {
    /// Takes in the word that follows `one`; the chain that ends before it.
    fn add(&mut self, analyzer: &Analyzer, one: &Word, position: usize, word: &Word, text: &str) -> Option<Token> {
        if !is_tight(text, one, word) {
            return self.end(analyzer);
        }
        if self.n_words == 0 {
            (self.position, self.n_words) = (position, 1);
            self.joined.push_str(&one.plain);
        }
        self.joined.push_str(&word.plain);
        self.n_words += 1;
        None
    }

    fn end(&mut self, analyzer: &Analyzer) -> Option<Token> {
        let Chain { joined, position, n_words } = std::mem::take(self);
        (n_words > 2 && joined.len() <= MAX_JOINED_BYTES).then(|| token(position, analyzer.stem(&joined)))
    }
}

/// Whether most letters of a title are Han characters.
fn is_han(title: &str) -> bool {
    let letters = title.chars().filter(|c| c.is_alphabetic());
    let (n, n_han) = letters.fold((0, 0), |(n, n_han), c| (n + 1, n_han + usize::from(is_han_character(c))));
    2 * n_han > n
}

fn codes_of(item: &Item) -> Vec<String> {
    let id = item.id.as_str();
    let mut codes = vec![format!("{RAW_ID}{id}"), format!("{FOLDED_ID}{}", compose(id).to_lowercase())];
    codes.extend(item.title.as_deref().is_some_and(is_han).then(|| HAN.to_owned()));
    let mut add = |found: String| codes.push(format!("{CODE}{found}"));
    for name in [Some(id), item.parent.as_deref()].into_iter().flatten() {
        code(&compose(name)).map(&mut add);
    }
    if let Some(text) = item.title.as_deref() {
        codes_inside(&compose(head(text, MAX_FIELD_BYTES))).for_each(&mut add);
    }
    for (_, value) in item.attributes.iter().filter(|(name, value)| privacy_of(name, value).is_none()) {
        match value {
            Attribute::Text(text) => attribute_code(text).into_iter().for_each(&mut add),
            Attribute::List(texts) => texts.iter().filter_map(|text| attribute_code(text)).for_each(&mut add),
            // Numbers of the length of an EAN, whole and represented exactly.
            Attribute::Number(n) if *n >= 1e7 && *n < 9e15 && n.fract() == 0.0 => add(format!("{n:.0}")),
            Attribute::Number(_) | Attribute::Bool(_) => {}
        }
    }
    codes
}

fn attribute_code(text: &str) -> Option<String> {
    if text.contains(char::is_whitespace) { None } else { code(&compose(text)) }
}
