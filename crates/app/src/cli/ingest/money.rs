//! Columns that hold amounts of money, told by their values: for files whose price has no usual name.

use accrue_event::{RecordKind, unclear_sale, usual_column, usual_sale};
use accrue_ingest::Sample;

use crate::cli::output::Output;

/// Parts of names that speak for the price that shoppers pay.
const OF_SALE: &[&str] = &[
    "brutto", "gross", "vk", "verkauf", "sale", "sell", "retail", "price", "preis", "prix", "ttc", "precio", "pvp",
    "prezzo", "cena", "prijs", "售", "价", "価",
];
/// Parts of names that speak for another amount: what the shop pays, without tax, of a deposit, of a line.
const OF_OTHERS: &[&str] = &[
    "netto",
    "net",
    "ek",
    "einkauf",
    "cost",
    "purchase",
    "wholesale",
    "excl",
    "msrp",
    "uvp",
    "rrp",
    "compare",
    "tax",
    "steuer",
    "mwst",
    "rabatt",
    "discount",
    "gesamt",
    "total",
    "summe",
    "pfand",
    "deposit",
    "shipping",
    "versand",
    "weight",
    "gewicht",
    "市场",
    "成本",
    "进",
];

/// The columns of which every value is an amount of money, the likeliest price first.
pub(super) fn columns<'c>(sample: &Sample, columns: impl Iterator<Item = &'c str>) -> Vec<&'c str> {
    let is_amount = |column: &&str| {
        let mut texts = sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).peekable();
        texts.peek().is_some() && texts.all(is_money)
    };
    let mut found: Vec<&str> = columns.filter(is_amount).collect();
    let rank = |column: &&str| {
        let name = column.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        i32::from(has(OF_OTHERS)) * 2 - i32::from(has(OF_SALE))
    };
    found.sort_by_key(rank);
    found
}

/// Says of products whose price has no usual name which column may be it.
pub(super) fn tell_price(file: &str, sample: &Sample, output: Output) {
    let names: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    if usual_column(RecordKind::Items, "price", &names).is_some() {
        return;
    }
    if let Some(price) = columns(sample, names.into_iter()).first() {
        let key = toml::Value::String((*price).to_owned());
        output.note(&format!(
            "{file}no column has a usual name of the price, and `{price}` holds amounts; if it is the price, write `price = {key}` under \
             [fields] into the mapping that --guess prints"
        ));
    }
}

/// Whether a text is an amount with a currency, or one with two decimals.
fn is_money(text: &str) -> bool {
    let signs = ["€", "$", "£", "¥", "₽", "₩", "₹", "元", "円", "zł", "Kč", "kr", "Ft"];
    let has_currency = signs.iter().any(|sign| text.contains(sign))
        || text.split_whitespace().any(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()));
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let decimals = text.rsplit(['.', ',']).next().filter(|rest| rest.len() < text.len());
    let has_cents = decimals.is_some_and(|rest| rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | ' ' | '\u{a0}' | '-'));
    let n_letters = text.chars().filter(|c| c.is_alphabetic()).count();
    digits > 0 && ((is_number && has_cents) || (has_currency && n_letters <= 3))
}

/// The table of a mapping for the price of a sale, if one of the columns has it.
pub(super) fn sale_table(columns: &[&str]) -> String {
    let quoted = |name: &str| toml::Value::String(name.to_owned()).to_string();
    if let Some((price, beside)) = unclear_sale(columns) {
        return format!(
            "\n# [sale]    # if {} does not say that it is over\n# price = {}\n",
            quoted(beside),
            quoted(price)
        );
    }
    let Some(sale) = usual_sale(columns) else { return String::new() };
    let keys = [("price", &sale.price), ("from", &sale.from), ("until", &sale.until), ("period", &sale.period)];
    let lines = keys.iter().filter_map(|(key, names)| Some(format!("{key} = {}\n", quoted(names.iter().next()?))));
    format!("\n[sale]    # counts while it is valid\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_amounts_are_found_and_the_price_is_the_first() {
        let texts = |row: &str| row.split(';').map(str::to_owned).collect::<Vec<_>>();
        let sample = Sample {
            columns: texts("nr;EK;VK netto;VK brutto;Gewicht;Größe;Datum"),
            rows: [texts("1;3,10;50,34;59,90 €;0,350;36-38;01.02.2025"), texts("2;4,00;;1.129,50 €;1;M;01.02.2025")]
                .into(),
            is_table: true,
            ..Sample::default()
        };
        let found = columns(&sample, sample.columns.iter().map(String::as_str));
        assert_eq!(found, ["VK brutto", "VK netto", "EK"]);
    }

    #[test]
    fn amounts_are_told_from_other_numbers() {
        for text in ["59,90", "1.129,50 €", "¥59.90", "15.00 USD", "1 280,00 zł", "$5", "120 Kč"] {
            assert!(is_money(text), "{text}");
        }
        for text in [
            "59",
            "0,350",
            "36-38",
            "2026-11-01",
            "M",
            "XL",
            "01.02.2025",
            "4006700000001",
            "10 x 20 cm",
            "KEY 5 of many",
        ] {
            assert!(!is_money(text), "{text}");
        }
    }
}
