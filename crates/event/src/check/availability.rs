//! Whether an item may be shown, read from the words that shop systems use for it.
//!
//! A word that is not understood refuses the record, and so does one in place of the number of pieces: what the
//! catalogue has stays, and neither is a product shown that may be sold out, nor one taken off sale by a typing error.
//! Attributes in which shop systems mark drafts and removed products hide an item, whatever its availability says.

use super::availability_words::{NEGATIONS, NOT_SOLD, SOLD, WITHDRAWN};
use super::number::excerpt;
use super::repairs::Repairs;
use super::text::prefix;
use super::verdict::{Reason, Rejection, Repair};
use super::words_of_exports::{is_active, spreadsheet_boolean, without_subject};
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
];

/// Names of attributes that hide an item where their value is true.
const HIDE_IF_TRUE: &[&str] = &[
    "archived",
    "deleted",
    "disabled",
    "discontinued",
    "draft",
    "expired",
    "hidden",
    "isarchived",
    "isdeleted",
    "isdisabled",
    "isdiscontinued",
    "isdraft",
    "isexpired",
    "ishidden",
    "isoutofstock",
    "issoldout",
    "isblocked",
    "blocked",
    "gesperrt",
    "inaktiv",
    "archiviert",
    "gelöscht",
    "outofstock",
    "soldout",
    "unpublished",
];

/// Names of attributes that hide an item where their value is false.
const HIDE_IF_FALSE: &[&str] = &[
    "active01",
    "enabled",
    "isactive",
    "isenabled",
    "isonline",
    "ispublished",
    "isvisible",
    "online",
    "publish",
    "published",
    "visible",
    "istaktiv",
    "veröffentlicht",
    "gepubliceerd",
    "pubblicato",
    "opublikowany",
    "опубликован",
    "yayında",
    "是否上架",
    "是否启用",
    "是否发布",
    "上架",
    "公開",
];

/// As [`HIDE_IF_FALSE`], where it says that a product cannot be bought and not that it was taken out of the shop.
const NOT_SOLD_IF_FALSE: &[&str] = &[
    "availableforsale",
    "buyable",
    "isbuyable",
    "isorderable",
    "ispurchasable",
    "issalable",
    "issaleable",
    "issellable",
    "orderable",
    "purchasable",
    "salable",
    "saleable",
    "sellable",
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

/// Names of attributes that say that a product was taken out of the shop where they are true.
const FLAGS: &[&str] = &[
    "archived",
    "deleted",
    "disabled",
    "draft",
    "hidden",
    "inactive",
    "private",
    "trash",
    "unpublished",
    "下架",
    "已下架",
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

/// Whether a word says that a product is a draft or was taken out of the shop, with all its variants.
pub(crate) fn is_withdrawn_word(text: &str) -> bool {
    compact(text).is_some_and(|word| is_in(WITHDRAWN, &word))
}

/// Whether the attributes of a product say that it is a draft or was taken out of the shop, with all its variants. A
/// product that is merely sold out is not.
pub fn is_withdrawn(attributes: &Attributes) -> bool {
    attributes.iter().any(|(name, value)| {
        let Some(name) = compact(name) else { return false };
        let is_true = || match value {
            Attribute::Bool(is_true) => Some(*is_true),
            Attribute::Number(number) => Some(*number > 0.0),
            Attribute::Text(text) => word(text),
            Attribute::List(_) => None,
        };
        let is_state = || match value {
            Attribute::Text(text) => compact(text).is_some_and(|state| is_in(WITHDRAWN, &state)),
            _ => false,
        };
        let is_flag = is_in(FLAGS, name.strip_prefix("is").unwrap_or(&name));
        (is_flag && is_true() == Some(true))
            || ((is_in(HIDE_IF_FALSE, &name) || is_active(&name)) && is_true() == Some(false))
            || (is_in(STATES, &name) && is_state())
    })
}

/// Whether an attribute says that the product is not to be shown.
fn is_hidden_by(name: &str, value: &RawValue) -> bool {
    let Some(name) = compact(name) else { return false };
    let state = || match value {
        RawValue::Text(text) => compact(text),
        _ => None,
    };
    let is_no = || {
        let names = [HIDE_IF_FALSE, NOT_SOLD_IF_FALSE];
        is_active(&name) || names.iter().any(|names| is_in(names, without_subject(&name)))
    };
    let is_zero = || matches!(value, RawValue::Int(0)) || matches!(value, RawValue::Text(text) if text.trim() == "0");
    (is_in(HIDE_IF_TRUE, &name) && understood(value) == Some(true))
        || (is_no() && understood(value) == Some(false))
        // Magento and OpenCart number the states of products.
        || (is_in(&["status", "productstatus"], &name) && is_zero())
        || (is_in(STATES, &name) && state().is_some_and(|state| is_hidden_state(&state)))
}

/// Whether a state is one in which shop systems do not show a product. Of truth values and numbers, which may mean anything
/// as a state, none is.
fn is_hidden_state(state: &str) -> bool {
    const OF_ANYTHING: &[&str] = &[
        "false",
        "no",
        "n",
        "f",
        "off",
        "never",
        "deny",
        "pending",
        "reserved",
        "nein",
        "non",
        "nee",
        "nie",
        "ne",
        "não",
        "нет",
        "hayır",
        "否",
        "いいえ",
        "아니오",
        "없음",
    ];
    !OF_ANYTHING.contains(&state) && (is_in(WITHDRAWN, state) || is_in(NOT_SOLD, state))
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
    if let Some(is_true) = spreadsheet_boolean(word) {
        return Some(is_true);
    }
    match word {
        word if is_in(SOLD, word) => Some(true),
        word if is_in(NOT_SOLD, word) || is_in(WITHDRAWN, word) => Some(false),
        _ => NEGATIONS.iter().any(|negation| word.contains(negation)).then_some(false),
    }
}

/// The letters and digits of a word in lower case; `None` if it is too long to be a known one.
fn compact(text: &str) -> Option<String> {
    (text.len() <= MAX_BYTES)
        .then(|| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Option<Option<bool>> {
        read(&RawValue::text(text), &[]).ok()
    }

    #[test]
    fn words_of_shop_systems_are_understood() {
        for shown in
            ["in stock", "InStock", "in_stock", "https://schema.org/InStock", "http://schema.org/PreOrder", "instock"]
        {
            assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
        }
        for shown in
            ["TRUE", "1", "12", "yes", "onbackorder", "available for order", "auf Lager", "active", "schema:InStock"]
        {
            assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
        }
        for hidden in
            ["out of stock", "OutOfStock", "https://schema.org/SoldOut", "Sold Out", "discontinued", "f", "off", "0"]
        {
            assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
        }
        for hidden in [
            "0.0",
            "-3",
            "draft",
            "trash",
            "unavailable",
            "ausverkauft",
            "rupture de stock",
            "http://www.schema.org/Discontinued",
        ] {
            assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
        }
        for hidden in ["Sold out until May", "currently not available", "leider nicht mehr lieferbar", "No longer sold"]
        {
            assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
        }
        assert_eq!(read_text("  "), Some(None));
    }

    #[test]
    fn words_of_the_usual_languages_are_understood() {
        for shown in [
            "有貨",
            "出售中",
            "在庫あり",
            "판매중",
            "skladem",
            "В наличии",
            "em estoque",
            "Stokta var",
            "dostępny",
            "en stock",
        ] {
            assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
        }
        for hidden in [
            "下架",
            "已下架",
            "缺货",
            "停售",
            "仓库中",
            "暂时缺货",
            "缺貨中",
            "売り切れ",
            "販売終了",
            "일시 품절",
            "vyprodáno",
            "Нет в наличии",
            "esgotado",
            "Tükendi",
            "niedostępny",
            "wycofany ze sprzedaży",
            "Nicht bestellbar",
            "Fuori produzione",
            "rupture",
            "slut i lager",
        ] {
            assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
        }
        for word in SOLD {
            assert!(!NOT_SOLD.contains(word) && !WITHDRAWN.contains(word), "{word} has two meanings");
            assert_eq!(compact(word).as_deref(), Some(*word));
        }
        for word in NOT_SOLD.iter().chain(WITHDRAWN) {
            assert_eq!(compact(word).as_deref(), Some(*word));
        }
    }

    #[test]
    fn a_text_in_place_of_the_number_of_pieces_is_read_or_states_none() {
        let read = |text: &str| pieces(text, &mut Repairs::default());
        for text in ["in stock", "Unlimited", "∞", "Unbegrenzt", "不限"] {
            assert_eq!(read(text), Some(None), "{text}");
        }
        for (text, n) in
            [("sold out", 0), ("out of stock, back in 3 weeks", 0), ("10+", 10), ("> 100", 100), ("5 pcs", 5)]
        {
            assert_eq!(read(text), Some(Some(n)), "{text}");
        }
        for text in ["ask us", "?", "NaN", "in 3 weeks", "99999999999999999999x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_draft_or_removed_product_is_hidden_whatever_its_availability() {
        let of = |name: &str, value: RawValue| read(&RawValue::Bool(true), &[(name.into(), value)]).unwrap();
        for (name, value) in [
            ("status", RawValue::text("Draft")),
            ("catalog_visibility", RawValue::text("hidden")),
            ("Published", RawValue::text("FALSE")),
            ("is_active", RawValue::Int(0)),
            ("deleted", RawValue::Bool(true)),
            ("sold_out", RawValue::text("yes")),
            ("gesperrt", RawValue::text("J")),
            ("上架状态", RawValue::text("下架")),
            ("商品状态", RawValue::text("仓库中")),
            ("商品狀態", RawValue::text("已下架")),
            ("是否上架", RawValue::text("否")),
            ("公開状態", RawValue::text("非公開")),
            ("판매상태", RawValue::text("판매 중지")),
            ("Artikelstatus", RawValue::text("gesperrt")),
            ("Statut", RawValue::text("Désactivé")),
            ("Estado", RawValue::text("Descatalogado")),
            ("Stato", RawValue::text("Bozza")),
            ("Stav produktu", RawValue::text("Skryto")),
            ("Статус", RawValue::text("Снят с продажи")),
            ("Ürün durumu", RawValue::text("Pasif")),
            ("status", RawValue::text("discontinued")),
            // As in the products of Stripe, Odoo, JTL and Lightspeed.
            ("active", RawValue::Bool(false)),
            ("active", RawValue::text("0")),
            ("Aktiv", RawValue::text("N")),
            ("actif", RawValue::text("FAUX")),
            ("Can be Sold", RawValue::text("False")),
            ("product_enabled", RawValue::text("no")),
            ("status", RawValue::text("0")),
        ] {
            assert_eq!(of(name, value), Some(false), "{name}");
        }
        for (name, value) in [
            ("status", RawValue::text("publish")),
            ("status", RawValue::text("new arrival")),
            ("published", RawValue::text("2024-03-01")),
            ("deleted", RawValue::Int(0)),
            ("Aktiv", RawValue::text("J")),
            ("active", RawValue::text("noise cancelling")),
            ("status", RawValue::Int(1)),
            ("hidden", RawValue::text("zip pocket")),
            ("gesperrt", RawValue::text("N")),
            ("上架状态", RawValue::text("上架")),
            ("商品状态", RawValue::text("出售中")),
            ("estado", RawValue::text("usado")),
            ("status", RawValue::text("no")),
            ("concept", RawValue::text("online")),
        ] {
            assert_eq!(of(name, value), Some(true), "{name}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_refuses_the_record() {
        for unknown in ["perhaps", "ask us", "?", "NaN", "https://schema.org/Whatever"] {
            assert_eq!(read_text(unknown), None, "{unknown}");
        }
        assert_eq!(read_text(&"in stock ".repeat(100)), None);
        for value in [RawValue::List(Vec::new()), RawValue::Other("{}".into()), RawValue::Float(f64::NAN)] {
            let rejection = read(&value, &[]).unwrap_err();
            assert_eq!(rejection.reason, Reason::BadAvailability);
            assert!(rejection.detail.starts_with("available: "), "{rejection}");
        }
        assert_eq!(read(&RawValue::Float(0.0), &[]), Ok(Some(false)));
    }

    #[test]
    fn the_fields_of_other_systems_count_where_availability_itself_is_missing() {
        let of = |name: &str, word: &str| read(&RawValue::Null, &[(name.into(), RawValue::text(word))]).ok();
        assert_eq!(of("stock_status", "outofstock"), Some(Some(false)));
        assert_eq!(of("availability", "out of stock"), Some(Some(false)));
        assert_eq!(of("is_in_stock", "1"), Some(Some(true)));
        assert_eq!(of("availability", " "), Some(None));
        assert_eq!(of("availability", "in two weeks"), None);
        assert_eq!(of("colour", "off"), Some(None));
        assert_eq!(of("product_is_available", "false"), Some(Some(false)));
        assert_eq!(of("available", "FALSCH"), Some(Some(false)));
        assert_eq!(of("in_stock", "VRAI"), Some(Some(true)));
    }
}
