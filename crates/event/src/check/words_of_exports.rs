//! Words that exports have where other sources have plain values: truth values in each language, the marks of a price that is
//! not told, and the names under which systems keep what is active.

use crate::amount::{self, Decimal};

/// What programs, spreadsheets and people write for true, in all languages of shops, of letters and digits in lower case. There is
/// no other list of these words.
#[rustfmt::skip]
pub(crate) const TRUE: &[&str] = &[
    "true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda", "pravda", "sand", "sant", "tosi", "igaz", "истина",
    "doğru", "真", "yes", "y", "j", "t", "on", "ja", "jo", "oui", "si", "sí", "sì", "tak", "ano", "áno", "sim", "да", "evet", "kyllä",
    "igen", "نعم", "是", "はい", "예", "네",
];

/// What they write for false. In capitals, the Turkish `I` without a dot becomes an `i`.
#[rustfmt::skip]
pub(crate) const FALSE: &[&str] = &[
    "false", "falsch", "faux", "falso", "onwaar", "fałsz", "nepravda", "usand", "falsk", "falskt", "epätosi", "hamis", "ложь", "yanlış", "yanliş",
    "假", "no", "n", "f", "off", "nein", "non", "nee", "nie", "ne", "não", "нет", "hayır", "hayir", "nej", "nei", "ei", "nem", "لا", "否", "いいえ",
    "아니오", "아니요",
];

/// The truth value that a word of letters and digits in lower case stands for.
pub(super) fn truth(word: &str) -> Option<bool> {
    match word {
        word if TRUE.contains(&word) => Some(true),
        word if FALSE.contains(&word) => Some(false),
        _ => None,
    }
}

/// What spreadsheets write for a formula that has no result.
pub(super) fn is_spreadsheet_error(text: &str) -> bool {
    const ERRORS: &[&str] = &[
        "#VALUE!",
        "#WERT!",
        "#VALEUR!",
        "#VALOR!",
        "#VALORE!",
        "#WAARDE!",
        "#ARG!",
        "#REF!",
        "#BEZUG!",
        "#DIV/0!",
        "#NAME?",
        "#NOM?",
        "#NULL!",
        "#NUM!",
        "#ZAHL!",
        "#NOMBRE!",
        "#N/A",
        "#NV",
        "#N/D",
        "#N/B",
        "#Н/Д",
        "#ССЫЛКА!",
        "#ЗНАЧ!",
    ];
    ERRORS.iter().any(|error| text.trim().eq_ignore_ascii_case(error))
}

/// Whether a text says that the price is not told, or gives a range of prices of which none is that of the item.
pub(super) fn is_no_price(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "-",
        "--",
        "–",
        "—",
        "poa",
        "on request",
        "price on request",
        "call for price",
        "auf anfrage",
        "preis auf anfrage",
        "sur demande",
        "prix sur demande",
        "a consultar",
        "bajo pedido",
        "su richiesta",
        "op aanvraag",
        "na zapytanie",
        "по запросу",
    ];
    let text = text.trim();
    if text.len() > 64 {
        return false;
    }
    let lower = text.to_lowercase();
    let is_amount = |part: &str| amount::read_price(part.trim(), Decimal::Any).is_some_and(|found| found.number >= 0.0);
    let is_range = [" - ", "–", "—", " to ", " bis "]
        .iter()
        .any(|sign| lower.split_once(sign).is_some_and(|(from, to)| is_amount(from) && is_amount(to)));
    WORDS.contains(&&*lower) || is_range
}

/// The name of an attribute without the thing that it is of: `product_is_available` for `isavailable`.
pub(super) fn without_subject(name: &str) -> &str {
    const SUBJECTS: &[&str] = &["product", "item", "variant", "artikel", "produkt", "produit"];
    SUBJECTS.iter().find_map(|subject| name.strip_prefix(subject).filter(|rest| !rest.is_empty())).unwrap_or(name)
}

/// Whether an attribute says that a product is active: what is not is shown by no system that has such a field.
pub(super) fn is_active(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "active",
        "activ",
        "aktiv",
        "actif",
        "activo",
        "attivo",
        "ativo",
        "actief",
        "aktywny",
        "aktivní",
        "aktiivinen",
        "активен",
        "isactivated",
        "canbesold",
        "forsale",
        "sellonline",
    ];
    NAMES.contains(&without_subject(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_not_told_and_a_range_of_prices_are_none() {
        for text in ["-", "auf Anfrage", "12,50 – 19,90 €", "12.50 - 19.90", "Price on request"] {
            assert!(is_no_price(text), "{text}");
        }
        for text in ["12.50", "-3", "dear", "1,234", "12–50€ off"] {
            assert!(!is_no_price(text), "{text}");
        }
    }
}
