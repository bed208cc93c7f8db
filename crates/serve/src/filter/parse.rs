//! Reads filter texts by recursive descent, with bounded depth and length; never panics.

use accrue_event::{Timestamp, normalised};
use unicode_normalization::UnicodeNormalization as _;

use super::{Choice, Choices, Moment, Node, Number, NumberField, Span, Test, TextField};

/// A filter text has at most this many bytes.
pub const MAX_LEN: usize = 4096;
/// Parentheses and `NOT`s nest at most this deep.
pub const MAX_DEPTH: usize = 32;
/// At most this many texts are sought in titles and descriptions: each is sought in the whole text of every item.
pub const MAX_TEXTS: usize = 32;

/// The filter of a request has at most this many conditions, each of which is compared with every item. Conditions on one
/// field that `OR` joins are one.
pub const MAX_CONDITIONS: usize = 64;
/// The conditions of a request's filter have at most this many values and ranges in all.
pub const MAX_VALUES: usize = 512;

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// More than [`MAX_LEN`] bytes.
    #[error("the filter is longer than {MAX_LEN} bytes; split the request or use a list such as brand:(a OR b)")]
    TooLong,
    /// More than [`MAX_DEPTH`] levels.
    #[error("the filter nests deeper than {MAX_DEPTH} levels at character {position}; use fewer parentheses")]
    TooDeep {
        /// Characters before the place, so 0 is the first.
        position: usize,
    },
    /// More than [`MAX_TEXTS`] texts to seek.
    #[error("the filter seeks more than {MAX_TEXTS} texts in titles and descriptions; search for words with q instead")]
    TooManyTexts,
    /// More than [`MAX_CONDITIONS`] conditions.
    #[error(
        "the filter has more than {MAX_CONDITIONS} conditions; write those on one field as a list such as brand:(a OR b)"
    )]
    TooManyConditions,
    /// More than [`MAX_VALUES`] values.
    #[error(
        "the conditions of the filter have more than {MAX_VALUES} values; split the request, or give the items a tag of their own"
    )]
    TooManyValues,
    /// Something else was expected.
    #[error("expected {expected} at character {position} of the filter, found {found}")]
    Unexpected {
        /// Characters before the place, so 0 is the first.
        position: usize,
        /// What was expected there.
        expected: String,
        /// What was found there.
        found: String,
    },
}

const OPERATORS: [&str; 3] = ["AND", "OR", "NOT"];
const OTHER_NAMES: [&str; 4] = ["price", "stock", "published_at", "available"];
const ATTRIBUTES: &str = "attributes.";

/// The names of all fields but attributes.
pub(super) fn own_names() -> impl Iterator<Item = &'static str> {
    OTHER_NAMES.into_iter().chain(TextField::ALL.iter().map(|(_, own)| *own))
}

/// Whether a bare name would be read as something other than an attribute.
pub(super) fn is_own_name(name: &str) -> bool {
    own_name(name).is_some() || name.starts_with(ATTRIBUTES)
}

/// The field that a name means, in any case.
fn own_name(name: &str) -> Option<&'static str> {
    own_names().find(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a name or value can be printed without quotes.
pub(super) fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '%' | '#' | '&'))
        && !text.contains("..")
        && !OPERATORS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    if text.len() > MAX_LEN {
        return Err(FilterError::TooLong);
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.any()?;
    parser.skip_blanks();
    match parser.rest() {
        "" if n_sought(&node) > MAX_TEXTS => Err(FilterError::TooManyTexts),
        "" => Ok(node),
        _ => Err(parser.unexpected("AND, OR or the end")),
    }
}

/// Texts that the conditions seek in titles and descriptions.
fn n_sought(node: &Node) -> usize {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().map(n_sought).sum(),
        Node::Not(part) => n_sought(part),
        Node::Test(Test::Text(TextField::Title | TextField::Description, texts)) => texts.given().len(),
        Node::Test(_) => 0,
    }
}

/// Refuses more conditions or values than a request may have.
pub(super) fn check_bounds(node: &Node) -> Result<(), FilterError> {
    let (n_conditions, n_values) = n_compared(node);
    if n_conditions > MAX_CONDITIONS {
        return Err(FilterError::TooManyConditions);
    }
    if n_values > MAX_VALUES { Err(FilterError::TooManyValues) } else { Ok(()) }
}

/// Conditions, and what they compare with in all.
fn n_compared(node: &Node) -> (usize, usize) {
    match node {
        Node::All(parts) | Node::Any(parts) => {
            parts.iter().map(n_compared).fold((0, 0), |(a, b), (more, values)| (a + more, b + values))
        }
        Node::Not(part) => n_compared(part),
        Node::Test(test) => {
            let n_values = match test {
                Test::Number(_, spans) => spans.len(),
                Test::PublishedAt(spans) => spans.len(),
                Test::Available(_) => 1,
                Test::Text(_, texts) => texts.given().len(),
                Test::Attribute(_, choices) => choices.given.len(),
            };
            (1, n_values)
        }
    }
}

/// Joins the conditions on one field, any of which is enough, into one with all of their texts.
fn joined_by_field(parts: Vec<Node>) -> Vec<Node> {
    enum Joined {
        Texts(TextField, Vec<Box<str>>),
        Values(Box<str>, Vec<Choice>),
        Other(Node),
    }
    let mut joined: Vec<Joined> = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Node::Test(Test::Text(field, texts)) => {
                let known = joined.iter_mut().find_map(|known| match known {
                    Joined::Texts(of, texts) if *of == field => Some(texts),
                    _ => None,
                });
                match known {
                    Some(known) => known.extend(texts.into_given()),
                    None => joined.push(Joined::Texts(field, texts.into_given())),
                }
            }
            Node::Test(Test::Attribute(name, choices)) if choices.are_values() => {
                let known = joined.iter_mut().find_map(|known| match known {
                    Joined::Values(of, values) if *of == name => Some(values),
                    _ => None,
                });
                match known {
                    Some(known) => known.extend(choices.given.into_vec()),
                    None => joined.push(Joined::Values(name, choices.given.into_vec())),
                }
            }
            other => joined.push(Joined::Other(other)),
        }
    }
    let node = |part| match part {
        Joined::Texts(field, texts) => Node::Test(Test::Text(field, field.texts(texts))),
        Joined::Values(name, values) => Node::Test(Test::Attribute(name, Choices::new(values))),
        Joined::Other(node) => node,
    };
    joined.into_iter().map(node).collect()
}

impl Choices {
    /// Whether there is no range among them. Some ranges can be printed by themselves only.
    fn are_values(&self) -> bool {
        self.given.iter().all(|choice| matches!(choice, Choice::Value { .. }))
    }
}

/// A value in the form in which texts of items are compared. Items have `&` where a page of the shop has `&amp;`.
fn as_kept(text: &str) -> String {
    normalised(text.trim()).replace("&amp;", "&")
}

struct Parser<'t> {
    text: &'t str,
    /// Byte offset of what comes next; always on a character's boundary.
    at: usize,
    depth: usize,
}

/// A name or value as written in the text.
struct Word {
    start: usize,
    text: String,
    quoted: bool,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.all()?];
        while self.take_operator("OR") {
            parts.push(self.all()?);
        }
        let any = flatten(parts, Node::Any, |node| match node {
            Node::Any(parts) => Ok(parts),
            other => Err(other),
        });
        Ok(match any {
            Node::Any(parts) => flatten(joined_by_field(parts), Node::Any, Err),
            other => other,
        })
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.one()?];
        while self.take_operator("AND") {
            parts.push(self.one()?);
        }
        Ok(flatten(parts, Node::All, |node| match node {
            Node::All(parts) => Ok(parts),
            other => Err(other),
        }))
    }

    fn one(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::TooDeep { position: self.position(self.at) });
        }
        let node = if self.take_operator("NOT") {
            Node::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let node = self.any()?;
            self.expect(")", "AND, OR or a closing parenthesis")?;
            node
        } else {
            Node::Test(self.test()?)
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Test, FilterError> {
        let name = self.word("the name of a field", |c| matches!(c, ':' | '<' | '>' | '=' | '(' | ')' | '"'))?;
        if name.text.is_empty() || name.text == ATTRIBUTES {
            return Err(self.unexpected_at(name.start, "the name of a field"));
        }
        // Names of records are composed and trimmed too.
        let name = Word { text: name.text.trim().nfc().collect(), ..name };
        let comparison = [">=", ">", "<=", "<"].into_iter().find(|sign| self.take(sign));
        if let Some(sign) = comparison {
            let end = self.value("a number or a day to compare with")?;
            return self.typed(&name.text, vec![Choosing { end, sign: Some(sign) }]);
        }
        if !self.take(":") {
            return Err(self.unexpected("':' or a comparison after the field's name"));
        }
        if !self.take("(") {
            let end = self.value("a value")?;
            return self.typed(&name.text, vec![Choosing { end, sign: None }]);
        }
        let mut choices = Vec::new();
        loop {
            choices.push(Choosing { end: self.value("a value")?, sign: None });
            if !self.take_operator("OR") {
                break;
            }
        }
        self.expect(")", "OR or the closing parenthesis of the list")?;
        self.typed(&name.text, choices)
    }

    /// Gives the values the type that the field has.
    fn typed(&self, name: &str, choices: Vec<Choosing>) -> Result<Test, FilterError> {
        fn each<T>(
            choices: &[Choosing],
            read: impl Fn(&Choosing) -> Result<T, FilterError>,
        ) -> Result<Vec<T>, FilterError> {
            choices.iter().map(read).collect()
        }
        let name = own_name(name).unwrap_or(name);
        if let Some((field, _)) = TextField::ALL.iter().find(|(_, own)| *own == name) {
            return Ok(Test::Text(*field, field.texts(each(&choices, |choice| self.text_of(choice))?)));
        }
        let number = |choice: &Choosing| self.span(choice, "a number", number);
        match name {
            "price" => Ok(Test::Number(NumberField::Price, each(&choices, number)?)),
            "stock" => Ok(Test::Number(NumberField::Stock, each(&choices, number)?)),
            "published_at" => Ok(Test::PublishedAt(each(&choices, |choice| {
                self.span(choice, "a day (2026-11-21) or an RFC 3339 time", moment)
            })?)),
            "available" => match choices.as_slice() {
                [Choosing { end, sign: None }] if end.text.eq_ignore_ascii_case("true") => Ok(Test::Available(true)),
                [Choosing { end, sign: None }] if end.text.eq_ignore_ascii_case("false") => Ok(Test::Available(false)),
                [first, ..] => Err(self.unexpected_at(first.end.start, "true or false")),
                [] => Err(self.unexpected("true or false")),
            },
            _ => {
                let name = name.strip_prefix(ATTRIBUTES).unwrap_or(name);
                let choices = each(&choices, |choice| self.attribute_choice(choice))?;
                Ok(Test::Attribute(name.into(), Choices::new(choices)))
            }
        }
    }

    fn text_of(&self, choice: &Choosing) -> Result<Box<str>, FilterError> {
        if choice.sign.is_some() || choice.range().is_some() {
            return Err(
                self.unexpected_at(choice.end.start, "a text (in quotes if it holds '..'); this field has no order")
            );
        }
        Ok(as_kept(&choice.end.text).into())
    }

    fn attribute_choice(&self, choice: &Choosing) -> Result<Choice, FilterError> {
        if choice.sign.is_some() || choice.range().is_some() {
            return self.span(choice, "a number (or quotes around a text that holds '..')", number).map(Choice::Range);
        }
        let text: Box<str> = as_kept(&choice.end.text).into();
        let number = number(&text).map(|n| n.0);
        Ok(Choice::Value { text, number })
    }

    fn span<T: Copy + Before>(
        &self,
        choice: &Choosing,
        expected: &str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Span<T>, FilterError> {
        let start = choice.end.start;
        let end = |text: &str, offset: usize| read(text).ok_or_else(|| self.unexpected_at(start + offset, expected));
        if let Some(sign) = choice.sign {
            let end = end(&choice.end.text, 0)?;
            return Ok(match sign {
                ">=" => Span::AtLeast(end),
                ">" => Span::MoreThan(end),
                "<=" => Span::AtMost(end),
                _ => Span::LessThan(end),
            });
        }
        let Some((low, high)) = choice.range() else { return Ok(Span::Exactly(end(&choice.end.text, 0)?)) };
        let after = low.len() + "..".len();
        Ok(match (low, high) {
            ("", high) => Span::AtMost(end(high, after)?),
            (low, "") => Span::AtLeast(end(low, 0)?),
            (low, high) => {
                let (low, high) = (end(low, 0)?, end(high, after)?);
                if high.before(low) {
                    return Err(self.unexpected_at(start, "a range that starts with its smaller end"));
                }
                Span::Between(low, high)
            }
        })
    }

    fn value(&mut self, expected: &str) -> Result<Word, FilterError> {
        self.word(expected, |c| matches!(c, '(' | ')' | '"'))
    }

    /// A quoted text, or the text up to a blank or one of `ends`.
    fn word(&mut self, expected: &str, ends: fn(char) -> bool) -> Result<Word, FilterError> {
        self.skip_blanks();
        let start = self.at;
        if self.take("\"") {
            return self.quoted(start);
        }
        let rest = self.rest();
        let len = rest.find(|c: char| c.is_whitespace() || ends(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.unexpected(expected));
        }
        self.at += len;
        Ok(Word { start, text: rest[..len].to_owned(), quoted: false })
    }

    fn quoted(&mut self, start: usize) -> Result<Word, FilterError> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(Word { start, text, quoted: true });
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => return Err(self.unexpected_at(self.at + offset, "\\\" or \\\\ for a quote or a backslash")),
                },
                c => text.push(c),
            }
        }
        Err(self.unexpected_at(self.text.len(), "a closing quote"))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// `AND`, `OR`, `NOT`, unless it is the start of a longer word or a field's name.
    fn take_operator(&mut self, operator: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest();
        let Some(word) = rest.get(..operator.len()) else { return false };
        let next = rest[operator.len()..].chars().next();
        let ends = next.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        let found = ends && word.eq_ignore_ascii_case(operator);
        if found {
            self.at += operator.len();
        }
        found
    }

    fn expect(&mut self, sign: &str, expected: &str) -> Result<(), FilterError> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &str) -> FilterError {
        self.unexpected_at(self.at, expected)
    }

    fn unexpected_at(&self, at: usize, expected: &str) -> FilterError {
        let rest = self.text.get(at..).unwrap_or("").trim_start();
        let word: String = rest.split_whitespace().next().unwrap_or("").chars().take(24).collect();
        let found = if word.is_empty() { "the end".to_owned() } else { format!("{word:?}") };
        FilterError::Unexpected { position: self.position(at), expected: expected.to_owned(), found }
    }

    fn position(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).chars().count()
    }
}

/// A value as written, with the comparison before it, if any.
struct Choosing {
    end: Word,
    sign: Option<&'static str>,
}

impl Choosing {
    /// The two ends of `a..b`, either of which may be empty. A quoted value is a text.
    fn range(&self) -> Option<(&str, &str)> {
        if self.end.quoted { None } else { self.end.text.split_once("..") }
    }
}

trait Before {
    fn before(self, other: Self) -> bool;
}

impl Before for Number {
    fn before(self, other: Self) -> bool {
        self.0 < other.0
    }
}

impl Before for Moment {
    fn before(self, other: Self) -> bool {
        self.last() < other.first()
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    // -0 and 0 are equal and must be printed alike.
    Some(Number(number + 0.0))
}

fn moment(text: &str) -> Option<Moment> {
    let is_day = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    if is_day {
        return Timestamp::parse(&format!("{text}T00:00:00Z")).map(|at| Moment::Day(at.day()));
    }
    Timestamp::parse(text).map(Moment::At)
}

/// Joins parts and flattens those of the same kind, so that equal filters have equal trees.
fn flatten(parts: Vec<Node>, join: fn(Vec<Node>) -> Node, same: fn(Node) -> Result<Vec<Node>, Node>) -> Node {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match same(part) {
            Ok(parts) => flat.extend(parts),
            Err(other) => flat.push(other),
        }
    }
    match flat.pop() {
        Some(only) if flat.is_empty() => only,
        Some(last) => {
            flat.push(last);
            join(flat)
        }
        None => join(flat),
    }
}
