//! Words that exports have where other sources have plain values: truth values as spreadsheets write them in each
//! language, the marks of a price that is not told, and the names under which systems keep what is active.

use crate::amount::{self, Decimal};

/// A truth value as a spreadsheet writes it, of letters and digits in lower case.
pub(super) fn spreadsheet_boolean(word: &str) -> Option<bool> {
    match word {
        "vrai" | "wahr" | "verdadero" | "vero" | "verdadeiro" | "waar" | "prawda" | "pravda" | "sand" | "sant"
        | "tosi" | "igaz" | "истина" | "doğru" | "真" => Some(true),
        "faux" | "falsch" | "falso" | "onwaar" | "fałsz" | "nepravda" | "falsk" | "falskt" | "epätosi" | "hamis"
        | "ложь" | "yanlış" | "假" => Some(false),
        _ => None,
    }
}

/// What spreadsheets write for a formula that has no result.
pub(super) fn is_spreadsheet_error(text: &str) -> bool {
    const ERRORS: &[&str] = &[
        "#VALUE!", "#WERT!", "#VALEUR!", "#VALOR!", "#VALORE!", "#WAARDE!", "#ARG!", "#REF!", "#BEZUG!", "#DIV/0!",
        "#NAME?", "#NOM?", "#NULL!", "#NUM!", "#ZAHL!", "#NOMBRE!", "#N/A", "#NV", "#N/D",
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
