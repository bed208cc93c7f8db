//! Whether an item may be shown, read from the words that shop systems use for it.
//!
//! A word that is not understood refuses the record, and so does one in place of the number of pieces: what the
//! catalogue has stays, and neither is a product shown that may be sold out, nor one taken off sale by a typing error.
//! Attributes in which shop systems mark drafts and removed products hide an item, whatever its availability says.

use super::availability_words::{NEGATIONS, NOT_SOLD, SOLD, WITHDRAWN};
use super::number::excerpt;
use super::removed;
use super::repairs::Repairs;
use super::text::prefix;
use super::verdict::{Reason, Rejection, Repair};
use super::words_of_exports::{is_active, truth, without_subject};
use crate::Cell as _;
use crate::near::folded;
use crate::raw_value::RawValue;
use crate::{Attribute, Attributes};

/// No known word is longer, the address of schema.org included.
const MAX_BYTES: usize = 64;

/// Names of attributes in which feeds of other systems state the availability, in lower case and without separators.
const OTHER_NAMES: &[&str] = &[
    "availability",
    "stockstatus",
    "instock",
    "isinstock",
    "available",
    "isavailable",
    "inventorystatus",
    "availabilitystatus",
    "stockavailability",
    "pålager",
    "ilager",
];

/// Names of attributes that say that a product was taken out of the shop where they are true, as [`bare`] has them.
const WITHDRAWN_IF_TRUE: &[&str] = &[
    "archived",
    "archiviert",
    "blocked",
    "deactivated",
    "deaktiviert",
    "deleted",
    "disabled",
    "draft",
    "gelöscht",
    "gesperrt",
    "hidden",
    "inactive",
    "inaktiv",
    "private",
    "trash",
    "trashed",
    "unpublished",
    "skjult",
    "dold",
    "slettet",
    "raderad",
    "arkiveret",
    "arkiverad",
    "arkivert",
    "piilotettu",
    "poistettu",
    "下架",
    "已下架",
    "是否删除",
    "已删除",
];

/// As [`WITHDRAWN_IF_TRUE`], where it says that a product cannot be bought and not that it was taken out of the shop.
const NOT_SOLD_IF_TRUE: &[&str] =
    &["discontinued", "expired", "outofstock", "soldout", "udsolgt", "utsolgt", "slutsåld", "loppuunmyyty"];

/// Names of attributes that say that a product was taken out of the shop where they are false.
const WITHDRAWN_IF_FALSE: &[&str] = &[
    "active01",
    "enabled",
    "online",
    "publish",
    "published",
    "visible",
    "veröffentlicht",
    "gepubliceerd",
    "pubblicato",
    "opublikowany",
    "опубликован",
    "yayında",
    "synlig",
    "publiceret",
    "publisert",
    "publicerad",
    "julkaistu",
    "上架",
    "是否启用",
    "是否发布",
    "公開",
];

/// As [`WITHDRAWN_IF_FALSE`], where it says that a product cannot be bought and not that it was taken out of the shop.
const NOT_SOLD_IF_FALSE: &[&str] = &[
    "availableforsale",
    "buyable",
    "orderable",
    "purchasable",
    "salable",
    "saleable",
    "sellable",
    // Without the first word, they are numbers of pieces.
    "是否在售",
    "是否可售",
    "是否销售",
];

/// Names of attributes that hide an item where they hold a state in which shop systems do not show a product.
const STATES: &[&str] = &[
    "catalogvisibility",
    "lifecycle",
    "lifecyclestate",
    "lifecyclestatus",
    "productstate",
    "productstatus",
    "publicationstatus",
    "state",
    "status",
    "visibility",
    "visibilityincatalog",
    "artikelstatus",
    "produktstatus",
    "varestatus",
    "synlighed",
    "synlighet",
    "tila",
    "tuotteentila",
    "näkyvyys",
    "verkaufsstatus",
    "statut",
    "statutproduit",
    "étatproduit",
    "estado",
    "estadoproducto",
    "estadodelproducto",
    "stato",
    "statoprodotto",
    "productstatus",
    "verkoopstatus",
    "statusproduktu",
    "stav",
    "stavproduktu",
    "situação",
    "situaçãodoproduto",
    "статус",
    "статустовара",
    "состояние",
    "durum",
    "üründurumu",
    "satışdurumu",
    "状态",
    "上架状态",
    "上下架状态",
    "商品状态",
    "产品状态",
    "销售状态",
    "宝贝状态",
    "狀態",
    "上架狀態",
    "商品狀態",
    "銷售狀態",
    "ステータス",
    "商品ステータス",
    "公開状態",
    "公開ステータス",
    "販売状態",
    "販売ステータス",
    "상태",
    "상품상태",
    "판매상태",
    "진열상태",
    "전시상태",
];

/// The field `available`, with each of the names that it has elsewhere.
pub(super) fn other_names() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    OTHER_NAMES.iter().map(|name| ("available", *name))
}

/// The availability that a record states; `None` if it states none.
///
/// # Errors
/// If it states one in a word that is not known.
pub(super) fn read(value: &RawValue, attributes: &[(Box<str>, RawValue)]) -> Result<Option<bool>, Rejection> {
    if attributes.iter().any(|(name, value)| is_hidden_by(name, value)) {
        return Ok(Some(false));
    }
    let is_other = |name: &str| compact(name).is_some_and(|name| OTHER_NAMES.contains(&without_subject(&name)));
    let of_other = || attributes.iter().rev().find(|(name, value)| !value.is_missing() && is_other(name));
    let (name, value) = match value.is_missing() {
        false => ("available", value),
        true => match of_other() {
            Some((name, value)) => (&**name, value),
            None => return Ok(None),
        },
    };
    let unknown = || {
        let name = prefix(name, MAX_BYTES);
        let detail = format!("{name}: {} does not say whether the item can be bought", excerpt(value));
        Rejection::new(Reason::BadAvailability, detail)
    };
    understood(value).map(Some).ok_or_else(unknown)
}

/// Whether an availability says that a product was taken out of the shop, with all its variants: in a word such as `draft`, or
/// by being false, in any language. A product that is merely sold out was not.
///
/// ```
/// use accrue_event::{RawValue, says_withdrawn};
///
/// let says = |text: &str| says_withdrawn(&RawValue::text(text));
/// assert!(says("draft") && says("no") && says("FALSCH") && says("0"));
/// assert!(!says("sold out") && !says("yes"));
/// ```
pub fn says_withdrawn(available: &RawValue) -> bool {
    match available {
        RawValue::Text(text) if text.trim() == "0" => true,
        RawValue::Text(text) => {
            compact(text).is_some_and(|word| truth(&word) == Some(false) || is_in(WITHDRAWN, &word))
        }
        RawValue::Int(number) => *number == 0,
        RawValue::Float(number) => *number == 0.0,
        RawValue::Bool(is_available) => !is_available,
        RawValue::Null | RawValue::List(_) | RawValue::Other(_) => false,
    }
}

/// The truth value that a text stands for, as programs, spreadsheets and people write it in the languages of shops; `None` for
/// numbers and other words.
pub fn truth_value(text: &str) -> Option<bool> {
    truth(&compact(text)?)
}

/// Whether the attributes of a product say that it is a draft or was taken out of the shop, with all its variants. A
/// product that is merely sold out is not.
pub fn is_withdrawn(attributes: &Attributes) -> bool {
    attributes.iter().any(|(name, value)| {
        let Some(name) = compact(name) else { return false };
        let text = || match value {
            Attribute::Bool(is_true) => is_true.to_string(),
            Attribute::Number(number) => number.to_string(),
            Attribute::Text(text) => text.to_string(),
            Attribute::List(_) => String::new(),
        };
        if removed::may_say_so(&name) && removed::is_removed(&name, &text()) {
            return true;
        }
        let truth = || match value {
            Attribute::Bool(is_true) => Some(*is_true),
            Attribute::Number(number) => Some(*number > 0.0),
            Attribute::Text(text) => word(text),
            Attribute::List(_) => None,
        };
        let state = || match value {
            Attribute::Text(text) => compact(text),
            _ => None,
        };
        withdraws(&name, truth) || (is_in(STATES, &name) && state().is_some_and(|it| is_in(WITHDRAWN, &it)))
    })
}

/// Whether an attribute of this name, in the form of [`compact`], says that the product was taken out of the shop.
fn withdraws(name: &str, truth: impl Fn() -> Option<bool>) -> bool {
    (is_named(WITHDRAWN_IF_TRUE, name) && truth() == Some(true))
        || ((is_named(WITHDRAWN_IF_FALSE, name) || is_active(bare(name)) || is_active(name)) && truth() == Some(false))
}

/// Whether a name is one of these, as it is or as [`bare`] has it.
fn is_named(names: &[&str], name: &str) -> bool {
    is_in(names, name) || is_in(names, bare(name))
}

/// The name of an attribute without the thing that it is of and the verb before it: `product_is_deleted`, `isInactive`,
/// `是否下架`.
fn bare(name: &str) -> &str {
    let without_verb = |name| {
        let verbs = ["是否", "ist", "is"].iter();
        verbs.filter_map(|verb| str::strip_prefix(name, verb)).find(|rest| !rest.is_empty()).unwrap_or(name)
    };
    without_subject(without_verb(without_subject(name)))
}

/// Whether an attribute of this name can say that a product is not to be shown.
pub(super) fn may_hide(name: &str) -> bool {
    let Some(name) = compact(name) else { return false };
    if removed::may_say_so(&name) {
        return true;
    }
    let lists = [WITHDRAWN_IF_TRUE, NOT_SOLD_IF_TRUE, WITHDRAWN_IF_FALSE, NOT_SOLD_IF_FALSE, STATES];
    lists.iter().any(|names| is_named(names, &name)) || is_active(bare(&name)) || is_active(&name)
}

/// Whether an attribute says that the product is not to be shown.
pub(super) fn is_hidden_by(name: &str, value: &RawValue) -> bool {
    let Some(name) = compact(name) else { return false };
    if removed::may_say_so(&name) && removed::is_removed(&name, &value.text()) {
        return true;
    }
    let state = || match value {
        RawValue::Text(text) => compact(text),
        _ => None,
    };
    let is_zero = || matches!(value, RawValue::Int(0)) || matches!(value, RawValue::Text(text) if text.trim() == "0");
    withdraws(&name, || understood(value))
        || (is_named(NOT_SOLD_IF_TRUE, &name) && understood(value) == Some(true))
        || (is_named(NOT_SOLD_IF_FALSE, &name) && understood(value) == Some(false))
        // OpenCart, Gambio, Zen Cart and others number the states of products, and in tables every value is a text.
        || (is_in(&["status", "productstatus"], &name) && is_zero())
        || (is_in(STATES, &name) && state().is_some_and(|state| is_hidden_state(&name, &state)))
}

/// Whether a state is one in which shop systems do not show a product. Of truth values, of numbers and of words for
/// "none", which may mean anything as a state, none is. What is `retired` is not made any more, and may still be sold, unless
/// the name says that it is the state in the shop.
fn is_hidden_state(name: &str, state: &str) -> bool {
    const OF_ANYTHING: &[&str] =
        &["never", "deny", "pending", "reserved", "отсутствует", "yok", "brak", "loppu", "없음"];
    let is_of_the_thing = state == "retired" && is_in(&["status", "state"], name);
    let is_of_anything = truth(state).is_some() || is_in(OF_ANYTHING, state) || is_of_the_thing;
    !is_of_anything && (is_in(WITHDRAWN, state) || is_in(NOT_SOLD, state))
}

fn is_in(words: &[&str], word: &str) -> bool {
    words.contains(&word)
}

/// The pieces that a text in place of their number states, such as `10+`, `5 pcs`, `sold out` or `in stock`. The inner
/// `None` are some of which nothing says how many, the outer a text that is not understood.
pub(super) fn pieces(text: &str, repairs: &mut Repairs) -> Option<Option<u32>> {
    match word(text) {
        Some(true) => return Some(None),
        Some(false) => return Some(Some(0)),
        None => {}
    }
    let text = prefix(text.trim_start_matches(|c: char| c.is_whitespace() || ">≥~+".contains(c)), MAX_BYTES);
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // `1,234,567 pcs`: the digits before a sign are not the number.
    let is_cut = text[n_digits..]
        .strip_prefix(['.', ',', '\'', '’'])
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let n = if is_cut { None } else { text[..n_digits].parse().ok() }?;
    repairs.note(Repair::NumberFromText);
    Some(Some(n))
}

/// Whether a value says that an item can be bought; `None` if it is not understood.
pub(super) fn understood(value: &RawValue) -> Option<bool> {
    match value {
        RawValue::Bool(value) => Some(*value),
        // A count of pieces, or a truth value as a number.
        RawValue::Int(number) => Some(*number > 0),
        RawValue::Float(number) if number.is_finite() => Some(*number > 0.0),
        RawValue::Text(text) => word(text),
        RawValue::Null | RawValue::Float(_) | RawValue::List(_) | RawValue::Other(_) => None,
    }
}

fn word(text: &str) -> Option<bool> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number > 0.0);
    }
    if text == "∞" {
        return Some(true);
    }
    let word = compact(text)?;
    let word = ["httpswwwschemaorg", "httpwwwschemaorg", "httpsschemaorg", "httpschemaorg", "schemaorg", "schema"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix).filter(|rest| !rest.is_empty()))
        .unwrap_or(&word);
    if let Some(is_true) = truth(word) {
        return Some(is_true);
    }
    match word {
        word if is_in(SOLD, word) => Some(true),
        word if is_in(NOT_SOLD, word) || is_in(WITHDRAWN, word) => Some(false),
        _ => NEGATIONS.iter().any(|negation| says_alone(word, negation)).then_some(false),
    }
}

/// Whether a part of a word stands in it without something that turns it round: `不缺货` is not sold out, and `품절임박` not
/// yet.
fn says_alone(word: &str, part: &str) -> bool {
    const BEFORE: &[&str] = &[
        "不",
        "未",
        "no",
        "没有",
        "没",
        "沒有",
        "沒",
        "無",
        "not",
        "never",
        "almost",
        "nearly",
        "soon",
        "nicht",
        "nie",
        "fast",
        "bald",
        "beinahe",
        "pas",
        "jamais",
        "presque",
        "bientôt",
        "casi",
        "nunca",
        "quasi",
        "mai",
        "quase",
        "bijna",
        "niet",
        "prawie",
        "skoro",
        "inte",
        "ej",
        "ikke",
        "nästan",
        "næsten",
        "nesten",
        "snart",
        "melkein",
        "не",
        "почти",
        "即将",
    ];
    const BEHIND: &[&str] = &["임박", "間近", "次第", "まで", "soon", "bald", "bientôt", "pronto", "在即"];
    let places = word.match_indices(part);
    places.map(|(place, _)| (&word[..place], &word[place + part.len()..])).any(|(before, behind)| {
        !BEFORE.iter().any(|turned| before.ends_with(turned)) && !BEHIND.iter().any(|turned| behind.starts_with(turned))
    })
}

/// The letters and digits of a word in lower case; `None` if it is too long to be a known one.
fn compact(text: &str) -> Option<String> {
    (text.len() <= MAX_BYTES).then(|| folded(text))
}

#[cfg(test)]
#[path = "availability_tests.rs"]
mod tests;
