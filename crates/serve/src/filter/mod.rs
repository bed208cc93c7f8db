//! Filters: the syntax in which a request says which items it accepts.
//!
//! In: a text such as `price:10..20 AND brand:Acme AND NOT category:used`. Out: a [`Filter`] that accepts an [`Item`]
//! or not, or a [`FilterError`] that says where reading stopped and what was expected there. Filters rank nothing, read
//! no clock and keep no state.
//!
//! ```text
//! filter  = all ("OR" all)*
//! all     = one ("AND" one)*
//! one     = "NOT" one | "(" filter ")" | test
//! test    = name ":" ( choice | "(" choice ("OR" choice)* ")" )
//!         | name (">=" | ">" | "<=" | "<") end
//! choice  = end ".." end | end ".." | ".." end | value      both ends are included
//! name    = bare | quoted        value = bare | quoted      quoted = "…", with \" for a quote and \\ for a backslash
//! ```
//!
//! `AND`, `OR`, `NOT` may be written in any case; a bare word ends at a blank, a parenthesis or a quote.
//!
//! | name | takes | matches |
//! |---|---|---|
//! | `price`, `stock` | numbers, ranges | the number |
//! | `published_at` | RFC 3339 times or days (`2026-11-21`, UTC), ranges | the moment; a day means all of it |
//! | `available` | `true`, `false` | the mark |
//! | `id`, `parent`, `brand`, `currency`, `locale` | texts | the whole text |
//! | `category`, `tag` | texts | one of the item's |
//! | `title`, `description` | texts | a part of the text |
//! | `attributes.NAME`, or just `NAME` | texts, numbers, `true`, `false`, ranges | the value, or one of a list's |
//!
//! Texts are equal when they are after Unicode composition (NFC) and lower-casing; names of attributes are taken as
//! written. A variant has from its product what it lacks. What an item does not have matches nothing, so
//! `NOT colour:red` keeps items without a colour. A filter on an attribute that no item has is refused before it is
//! used ([`Shop::check_filter`](crate::Shop::check_filter)).

mod fields;
mod narrowed;
mod parse;
mod pass;
#[cfg(test)]
mod tests;
mod texts;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use accrue_event::{Attribute, DAY_MS, Item, Timestamp, normalised};
use accrue_store::Described;

pub use fields::UnknownField;
pub(crate) use narrowed::{FacetField, Narrowed, Passes};
pub use parse::{FilterError, MAX_CONDITIONS, MAX_DEPTH, MAX_LEN, MAX_TEXTS, MAX_VALUES};
pub(crate) use pass::FilterPass;
pub use pass::{MAX_WORK, counting_reads};

use pass::{Meter, OF_ATTRIBUTE, cost_of};
use texts::Texts;

/// A condition on items, parsed once and evaluated often.
///
/// ```
/// use accrue_event::{Item, Price};
/// use accrue_serve::filter::Filter;
///
/// let mut mug = Item::bare("mug".into());
/// mug.price = Price::new(12.5);
/// mug.brand = Some("ACME".into());
/// let filter = Filter::parse("price:10..20 AND brand:(Acme OR Bolt) AND NOT category:used").unwrap();
/// assert!(filter.matches(&mug));
/// assert_eq!(filter.to_string(), "price:10..20 AND brand:(acme OR bolt) AND NOT category:used");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Node,
}

/// `All` and `Any` never contain their own kind, nor fewer than two parts, so that equal filters are printed alike.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Number(NumberField, Vec<Span<Number>>),
    PublishedAt(Vec<Span<Moment>>),
    Available(bool),
    Text(TextField, Texts),
    Attribute(Box<str>, Choices),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberField {
    Price,
    Stock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Id,
    Parent,
    Brand,
    Category,
    Tag,
    Currency,
    Locale,
    Title,
    Description,
}

/// What an attribute is compared with.
#[derive(Clone, Debug, PartialEq)]
struct Choices {
    given: Box<[Choice]>,
    /// The texts of those that are values.
    texts: Texts,
}

/// The value that an attribute is compared with. The text is normalised; `number` is its reading as a number.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Value { text: Box<str>, number: Option<f64> },
    Range(Span<Number>),
}

/// A range of an ordered quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Span<T> {
    Exactly(T),
    Between(T, T),
    AtLeast(T),
    MoreThan(T),
    AtMost(T),
    LessThan(T),
}

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(f64);

/// A moment, or all of a day (days since the epoch, UTC).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    At(Timestamp),
    Day(i64),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The character at which the text is no longer valid and what was expected there. Texts over [`MAX_LEN`] bytes, nesting
    /// over [`MAX_DEPTH`], and more than [`MAX_TEXTS`] texts that are sought in titles and descriptions are refused.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let filter = Self { root: parse::parse(text)? };
        // Lower-casing can lengthen a text; what is printed must be readable again.
        if filter.to_string().len() > MAX_LEN {
            return Err(FilterError::TooLong);
        }
        Ok(filter)
    }

    /// Reads a filter that came with a request, which may be anyone's: its conditions and values are bounded too. Filters
    /// that are stored were written by the shop, and are read whatever their number is.
    ///
    /// # Errors
    /// Those of [`Filter::parse`], and more than [`MAX_CONDITIONS`] conditions or [`MAX_VALUES`] values.
    pub fn of_request(text: &str) -> Result<Self, FilterError> {
        let filter = Self::parse(text)?;
        parse::check_bounds(&filter.root)?;
        Ok(filter)
    }

    /// Whether the item passes the filter.
    pub fn matches(&self, item: &Item) -> bool {
        self.root.matches(&Subject::new(item.into()))
    }

    /// Whether an item passes the filter with what it has from its product.
    pub fn matches_described(&self, item: Described<'_>) -> bool {
        self.root.matches(&Subject::new(item))
    }
}

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

/// An item that conditions are compared with. Its texts are normalised once, however many conditions read them.
struct Subject<'a> {
    described: Described<'a>,
    title: OnceCell<String>,
    description: OnceCell<String>,
    categories: OnceCell<Vec<Cow<'a, str>>>,
    tags: OnceCell<Vec<Cow<'a, str>>>,
    /// Counts what is read, in a pass over a catalogue.
    meter: Option<&'a Meter>,
}

impl<'a> Subject<'a> {
    fn new(described: Described<'a>) -> Self {
        let (title, description) = (OnceCell::new(), OnceCell::new());
        let (categories, tags) = (OnceCell::new(), OnceCell::new());
        Self { described, title, description, categories, tags, meter: None }
    }

    /// The same in a pass over a catalogue.
    fn metered(described: Described<'a>, meter: &'a Meter) -> Self {
        Self { meter: Some(meter), ..Self::new(described) }
    }

    /// Whether this much may be read.
    fn pay(&self, units: usize) -> bool {
        self.meter.is_none_or(|meter| meter.pay(units))
    }

    /// Whether a text that may be absent holds one of `wanted`. `cell` keeps the normalised text.
    fn holds(&self, cell: &OnceCell<String>, text: Option<&str>, wanted: &Texts) -> bool {
        let Some(text) = text else { return false };
        self.pay(cost_of(text)) && wanted.occur_in(cell.get_or_init(|| normalised(text).into_owned()))
    }

    /// Whether one of several texts is one of `wanted`. `cell` keeps the normalised texts.
    fn has(&self, cell: &OnceCell<Vec<Cow<'a, str>>>, texts: &'a [Box<str>], wanted: &Texts) -> bool {
        let texts = cell.get_or_init(|| texts.iter().map(|text| normalised(text)).collect());
        self.pay(texts.len()) && texts.iter().any(|text| wanted.contain(text))
    }
}

impl Node {
    fn matches(&self, item: &Subject<'_>) -> bool {
        match self {
            Node::All(parts) => parts.iter().all(|part| part.matches(item)),
            Node::Any(parts) => parts.iter().any(|part| part.matches(item)),
            Node::Not(part) => !part.matches(item),
            Node::Test(test) => test.matches(item),
        }
    }
}

impl Test {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let described = subject.described;
        let item = described.own();
        if !subject.pay(1) {
            return false;
        }
        match self {
            Test::Number(NumberField::Price, spans) => {
                described.price().is_some_and(|price| spans.iter().any(|span| span.map(|n| n.0).holds(price.to_f64())))
            }
            Test::Number(NumberField::Stock, spans) => {
                item.stock.is_some_and(|stock| spans.iter().any(|span| span.map(|n| n.0).holds(f64::from(stock))))
            }
            Test::PublishedAt(spans) => item.published_at.is_some_and(|at| spans.iter().any(|span| span.holds_at(at))),
            Test::Available(wanted) => item.available == *wanted,
            Test::Text(field, wanted) => field.matches(subject, wanted),
            Test::Attribute(name, choices) => {
                subject.pay(OF_ATTRIBUTE)
                    && described.attribute(name).is_some_and(|value| choices.accept(subject, value))
            }
        }
    }
}

impl TextField {
    const ALL: [(TextField, &str); 9] = [
        (TextField::Id, "id"),
        (TextField::Parent, "parent"),
        (TextField::Brand, "brand"),
        (TextField::Category, "category"),
        (TextField::Tag, "tag"),
        (TextField::Currency, "currency"),
        (TextField::Locale, "locale"),
        (TextField::Title, "title"),
        (TextField::Description, "description"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(field, _)| *field == self).map_or("", |(_, name)| name)
    }

    /// The texts of a condition on this field.
    fn texts(self, given: Vec<Box<str>>) -> Texts {
        match self {
            TextField::Title | TextField::Description => Texts::sought(given),
            _ => Texts::whole(given),
        }
    }

    fn matches(self, subject: &Subject<'_>, wanted: &Texts) -> bool {
        let item = subject.described;
        let is = |text: Option<&str>| text.is_some_and(|text| wanted.have(text));
        match self {
            TextField::Id => wanted.have(item.own().id.as_str()),
            TextField::Parent => is(item.own().parent.as_deref()),
            TextField::Brand => is(item.brand()),
            TextField::Category => subject.has(&subject.categories, item.categories(), wanted),
            TextField::Tag => subject.has(&subject.tags, item.tags(), wanted),
            TextField::Currency => is(item.currency()),
            TextField::Locale => is(item.locale()),
            TextField::Title => subject.holds(&subject.title, item.title(), wanted),
            TextField::Description => subject.holds(&subject.description, item.description(), wanted),
        }
    }
}

impl Choices {
    fn new(given: Vec<Choice>) -> Self {
        let text = |choice: &Choice| match choice {
            Choice::Value { text, .. } => Some(text.clone()),
            Choice::Range(_) => None,
        };
        let texts = Texts::whole(given.iter().filter_map(text).collect());
        Self { given: given.into(), texts }
    }

    fn accept(&self, subject: &Subject<'_>, value: &Attribute) -> bool {
        let is_chosen = |text: &str| subject.pay(cost_of(text)) && self.texts.have(text);
        match value {
            Attribute::Bool(value) => self.texts.contain(if *value { "true" } else { "false" }),
            Attribute::Number(value) => self.given.iter().any(|choice| choice.is_number(*value)),
            Attribute::Text(value) => is_chosen(value),
            Attribute::List(values) => values.iter().any(|value| is_chosen(value)),
        }
    }
}

impl Choice {
    fn is_number(&self, value: f64) -> bool {
        match self {
            Choice::Value { number, .. } => *number == Some(value),
            Choice::Range(span) => span.map(|n| n.0).holds(value),
        }
    }
}

impl<T: Copy> Span<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Span<U> {
        match self {
            Span::Exactly(x) => Span::Exactly(f(x)),
            Span::Between(low, high) => Span::Between(f(low), f(high)),
            Span::AtLeast(low) => Span::AtLeast(f(low)),
            Span::MoreThan(low) => Span::MoreThan(f(low)),
            Span::AtMost(high) => Span::AtMost(f(high)),
            Span::LessThan(high) => Span::LessThan(f(high)),
        }
    }
}

impl<T: PartialOrd> Span<T> {
    fn holds(self, value: T) -> bool {
        match self {
            Span::Exactly(x) => value == x,
            Span::Between(low, high) => low <= value && value <= high,
            Span::AtLeast(low) => low <= value,
            Span::MoreThan(low) => low < value,
            Span::AtMost(high) => value <= high,
            Span::LessThan(high) => value < high,
        }
    }
}

impl Span<Moment> {
    fn holds_at(self, at: Timestamp) -> bool {
        match self {
            Span::Exactly(x) => x.first() <= at && at <= x.last(),
            Span::Between(low, high) => low.first() <= at && at <= high.last(),
            Span::AtLeast(low) => low.first() <= at,
            Span::MoreThan(low) => low.last() < at,
            Span::AtMost(high) => at <= high.last(),
            Span::LessThan(high) => at < high.first(),
        }
    }
}

impl Moment {
    fn first(self) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Day(day) => Timestamp(day * DAY_MS),
        }
    }

    fn last(self) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Day(day) => Timestamp(day * DAY_MS + DAY_MS - 1),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::All(parts) => joined(f, parts, " AND ", |part| matches!(part, Node::Any(_))),
            Node::Any(parts) => joined(f, parts, " OR ", |_| false),
            Node::Not(part) => {
                f.write_str("NOT ")?;
                joined(f, std::slice::from_ref(&**part), "", |part| matches!(part, Node::All(_) | Node::Any(_)))
            }
            Node::Test(test) => test.fmt(f),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Node], word: &str, wrap: fn(&Node) -> bool) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        if wrap(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Number(NumberField::Price, spans) => write_test(f, "price", spans),
            Test::Number(NumberField::Stock, spans) => write_test(f, "stock", spans),
            Test::PublishedAt(spans) => write_test(f, "published_at", spans),
            Test::Available(wanted) => write!(f, "available:{wanted}"),
            Test::Text(field, texts) => {
                write_test(f, field.name(), &texts.given().iter().map(|text| Quoted(text)).collect::<Vec<_>>())
            }
            Test::Attribute(name, choices) => write_test(f, &attribute_name(name), &choices.given),
        }
    }
}

/// The name of an attribute in the form in which it is read as one.
fn attribute_name(name: &str) -> String {
    if parse::is_own_name(name) { Quoted(&format!("attributes.{name}")).to_string() } else { Quoted(name).to_string() }
}

/// One condition as `name:value`, or `name>value` for a comparison; several as a list.
fn write_test(f: &mut fmt::Formatter<'_>, name: &str, choices: &[impl fmt::Display]) -> fmt::Result {
    if let [one] = choices {
        let one = one.to_string();
        let colon = if one.starts_with(['<', '>']) { "" } else { ":" };
        return write!(f, "{name}{colon}{one}");
    }
    write!(f, "{name}:(")?;
    for (i, choice) in choices.iter().enumerate() {
        write!(f, "{}{choice}", if i > 0 { " OR " } else { "" })?;
    }
    f.write_str(")")
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Value { text, .. } => Quoted(text).fmt(f),
            Choice::Range(span) => span.fmt(f),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Span<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Exactly(x) => write!(f, "{x}"),
            Span::Between(low, high) => write!(f, "{low}..{high}"),
            Span::AtLeast(low) => write!(f, "{low}.."),
            Span::MoreThan(low) => write!(f, ">{low}"),
            Span::AtMost(high) => write!(f, "..{high}"),
            Span::LessThan(high) => write!(f, "<{high}"),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, short) = (self.0.to_string(), format!("{:e}", self.0));
        f.write_str(if plain.len() <= 12 || plain.len() <= short.len() { &plain } else { &short })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.first().to_string();
        match self {
            Moment::At(_) => f.write_str(&text),
            Moment::Day(_) => f.write_str(text.split_once('T').map_or(&text, |(day, _)| day)),
        }
    }
}

/// Prints a name or a value, with quotes if a bare word would be read as something else.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_bare(self.0) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
