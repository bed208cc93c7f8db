//! Usual names of the columns of a price that is valid for some time.

use super::super::{Names, Sale};
use crate::near::folded;

/// Names of the price of a sale, beside which a product has its usual price. `salesprice` and the like are usual prices.
const SALE_PRICES: &[&str] = &[
    "saleprice",
    "onlinesaleprice",
    "sonderangebotspreis",
    "onsaleprice",
    "specialprice",
    "promoprice",
    "promotionprice",
    "promotionalprice",
    "offerprice",
    "discountedprice",
    "discountprice",
    "reducedprice",
    "aktionspreis",
    "aktionspreisbrutto",
    "angebotspreis",
    "sonderpreis",
    "prixpromo",
    "prixpromotionnel",
    "prixsoldé",
    "preciooferta",
    "preciodeoferta",
    "preciorebajado",
    "prezzoscontato",
    "prezzoofferta",
    "prezzospeciale",
    "actieprijs",
    "aanbiedingsprijs",
    "cenapromocyjna",
    "akčnícena",
    "preçopromocional",
    "促销价",
    "活动价",
    "セール価格",
    "할인가",
];
/// Names of the time from which such a price holds.
const SALE_STARTS: &[&str] = &[
    "salestart",
    "salestartdate",
    "salepricestartdate",
    "salefrom",
    "datesalepricestarts",
    "specialpricefrom",
    "specialpricefromdate",
    "specialfrom",
    "specialfromdate",
    "specialpricestart",
    "specialpricestartdate",
    "salestartsat",
    "salestartat",
    "salestartsdate",
    "salefromdate",
    "salepricefrom",
    "salepricefromdate",
    "salepricestart",
    "salepricestartsat",
    "salevalidfrom",
    "saledatefrom",
    "promostart",
    "promostartdate",
    "promofrom",
    "offerstart",
    "offerstartdate",
    "offerfrom",
    "sonderpreisvon",
    "sonderpreisgültigvon",
    "sonderpreisgültigab",
    "aktionspreisgültigvon",
    "aktionspreisgültigab",
    "angebotspreisgültigvon",
    "gültigvon",
    "gültigab",
    "aktionvon",
    "aktionspreisvon",
    "angebotspreisvon",
];
/// Names of the time until which it does.
const SALE_ENDS: &[&str] = &[
    "saleend",
    "saleenddate",
    "salepriceenddate",
    "saleuntil",
    "saleto",
    "datesalepriceends",
    "specialpriceto",
    "specialpricetodate",
    "specialto",
    "specialtodate",
    "specialpriceend",
    "specialpriceenddate",
    "specialpriceuntil",
    "saleendsat",
    "saleendat",
    "saleendsdate",
    "saletodate",
    "saleuntildate",
    "salepriceuntil",
    "salepriceto",
    "salepricetodate",
    "salepriceend",
    "salepriceendsat",
    "salevalidto",
    "salevaliduntil",
    "saledateto",
    "promoend",
    "promoenddate",
    "promoto",
    "promountil",
    "offerend",
    "offerenddate",
    "offerto",
    "offeruntil",
    "sonderpreisbis",
    "sonderpreisgültigbis",
    "aktionspreisgültigbis",
    "aktiongültigbis",
    "angebotspreisgültigbis",
    "gültigbis",
    "aktionbis",
    "aktionspreisbis",
    "angebotspreisbis",
];
/// Names of both in one.
const SALE_PERIODS: &[&str] = &["salepriceeffectivedate", "saleperiod"];

/// Beginnings of the words with which the names of what belongs to a sale are made.
#[rustfmt::skip]
const OF_SALES: &[&str] = &[
    "sale", "onsale", "special", "promo", "offer", "discount", "reduced", "aktion", "angebot", "sonderpreis", "soldé", "soldes",
    "oferta", "rebaja", "scontat", "actie", "aanbieding", "akční", "akce", "促销", "活动", "特价", "セール", "할인",
];
/// Words that begin so and are none of a sale: of usual prices, of what can be sold, of what is active.
const NOT_OF_SALES: &[&str] =
    &["sales", "saleable", "salesperson", "offerid", "specialty", "specialties", "actief", "actieve"];
/// Words that say nothing more of a column than that it is of the price.
#[rustfmt::skip]
const OF_PRICES: &[&str] = &[
    "price", "preis", "prix", "precio", "prezzo", "prijs", "cena", "preço", "value", "amount", "of", "the", "de", "effective", "date",
    "dates", "datum", "time", "at", "on", "valid", "gültig", "active", "day",
];
/// What a word says of the time for which a sale's price holds.
#[rustfmt::skip]
const FROM: &[&str] = &[
    "from", "start", "starts", "started", "starting", "begin", "begins", "since", "von", "ab", "beginn", "desde", "inicio", "début",
    "debut", "dal", "inizio", "vanaf", "van", "od", "início",
];
#[rustfmt::skip]
const UNTIL: &[&str] = &[
    "to", "until", "till", "end", "ends", "ending", "through", "expires", "expiry", "expiration", "bis", "ende", "hasta", "fin",
    "jusque", "al", "fine", "scadenza", "tot", "einde", "do", "até", "fim",
];
/// Words of what tells nothing of whether a sale is over.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "currency", "percent", "percentage", "rate", "rabatt", "label", "text", "badge", "name", "title", "description", "message", "note",
    "id", "url", "link", "image", "tax", "net", "gross", "incl", "excl", "vat", "brutto", "netto", "rounded", "formatted",
    "type", "group", "category", "qty", "quantity", "min", "max", "unit", "uom", "pct", "count", "features", "notes", "order", "priority",
    "banner", "gmt", "utc", "usd", "eur", "gbp", "bulk", "use", "config", "allow", "able", "radius",
];

/// Ends of words that say whether a sale is on, or for whom.
const SWITCHES: &[&str] = &[
    "active",
    "aktiv",
    "enabled",
    "status",
    "state",
    "on",
    "live",
    "running",
    "customer",
    "customers",
    "member",
    "members",
    "wholesale",
];

/// What is found of a sale among the columns of a list.
pub(super) enum Found<'c> {
    None,
    Sale(Sale),
    /// The column of a sale's price, and one that may say that the sale is over.
    Unclear(&'c str, &'c str),
}

/// What a column beside the price of a sale says.
#[derive(PartialEq, Eq)]
enum Beside {
    From,
    Until,
    /// Nothing of the sale, or nothing of its time.
    Harmless,
    Unknown,
}

/// The columns of a price that is valid for some time, under usual names. Any column that belongs to the sale and of which it is
/// not known what it says makes the sale unclear: it may say that the sale is over.
pub(super) fn sale<'c>(columns: &[&'c str]) -> Found<'c> {
    let find = |names: &[&str]| names.iter().find_map(|name| columns.iter().copied().find(|it| folded(it) == **name));
    let Some(price) = find(SALE_PRICES) else { return Found::None };
    let (listed_from, listed_until, period) = (find(SALE_STARTS), find(SALE_ENDS), find(SALE_PERIODS));
    let others = || columns.iter().copied().filter(|column| *column != price && Some(*column) != period);
    let said = |wanted: Beside| others().find(|column| beside(column) == wanted);
    // Where the end is known, nothing else says that the sale is over but a column that switches it off.
    let is_dated = period.is_some() || listed_until.is_some() || said(Beside::Until).is_some();
    let decides = |column: &&str| {
        let words = words_of(column);
        !is_dated || words.iter().any(|word| SWITCHES.iter().any(|switch| word.ends_with(switch)))
    };
    if let Some(unknown) = others().filter(|column| beside(column) == Beside::Unknown).find(decides) {
        return Found::Unclear(price, unknown);
    }
    let names = |found: Option<&str>| -> Names { found.into_iter().collect() };
    Found::Sale(Sale {
        price: names(Some(price)),
        from: names(listed_from.or_else(|| said(Beside::From))),
        until: names(listed_until.or_else(|| said(Beside::Until))),
        period: names(period),
        ..Sale::default()
    })
}

fn beside(column: &str) -> Beside {
    let name = folded(column);
    let is_in = |names: &[&str]| names.contains(&&*name);
    if is_in(SALE_STARTS) {
        return Beside::From;
    }
    if is_in(SALE_ENDS) {
        return Beside::Until;
    }
    let words = words_of(column);
    let is_other = is_in(NOT_OF_SALES)
        || is_in(SALE_PRICES)
        || words.first().is_none_or(|word| word.starts_with("sales"))
        || name.ends_with("forsale");
    if is_other || !words.iter().any(|word| behind_sale(word).is_some()) {
        return Beside::Harmless;
    }
    let more: Vec<&str> = words
        .iter()
        .map(|word| behind_sale(word).unwrap_or(word))
        .filter(|word| !word.is_empty() && !OF_PRICES.contains(word))
        .collect();
    match more[..] {
        [word] if FROM.contains(&word) => Beside::From,
        [word] if UNTIL.contains(&word) => Beside::Until,
        // How much less it is.
        [] if is_in(&["discount", "discounts", "discountamount", "discountvalue"]) => Beside::Harmless,
        [] => Beside::Unknown,
        _ if more.iter().all(|word| HARMLESS.contains(word)) => Beside::Harmless,
        _ => Beside::Unknown,
    }
}

/// What stands behind the word for a sale in a word that begins with it, if that says something: `end` in `saleend`, and nothing in
/// `aktionspreis`. `None` for other words.
fn behind_sale(word: &str) -> Option<&str> {
    // Scripts without blanks have the word at any place.
    let has = |start: &str| word.starts_with(start) || (start.chars().all(|c| c > '\u{2E80}') && word.contains(start));
    let sale = OF_SALES.iter().filter(|start| has(start)).max_by_key(|start| start.len())?;
    if NOT_OF_SALES.contains(&word) {
        return None;
    }
    let rest = word.strip_prefix(sale).unwrap_or_default();
    let rest = rest.strip_prefix("price").unwrap_or(rest);
    let says_something = [FROM, UNTIL, HARMLESS].iter().any(|words| words.contains(&rest));
    Some(if says_something { rest } else { "" })
}

/// The words of a name in lower case: `discountEndDate` and `Discount end-date` have the same.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if c.is_alphanumeric() {
            words.last_mut().expect("there is a first word").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of a sale: its columns, or the column that makes it unclear.
    fn found(columns: &str) -> String {
        match sale(&columns.split(',').collect::<Vec<_>>()) {
            Found::None => "none".into(),
            Found::Sale(sale) => {
                let one = |names: &Names| names.iter().next().unwrap_or("-").to_owned();
                [one(&sale.price), one(&sale.from), one(&sale.until), one(&sale.period)].join(" | ")
            }
            Found::Unclear(price, beside) => format!("{price}: unclear by {beside}"),
        }
    }

    #[test]
    fn the_ends_of_a_sale_are_found_under_any_name_of_its_price() {
        for (columns, expected) in [
            ("id,price,discount_price,discount_end_date", "discount_price | - | discount_end_date | -"),
            ("id,price,special_price,special_from,special_until", "special_price | special_from | special_until | -"),
            ("Preis,Sonderpreis,Sonderpreis Ende", "Sonderpreis | - | Sonderpreis Ende | -"),
            ("Preis,Angebotspreis,Angebot bis", "Angebotspreis | - | Angebot bis | -"),
            ("price,reduced_price,reduced_until", "reduced_price | - | reduced_until | -"),
            ("Precio,Precio oferta,Oferta hasta", "Precio oferta | - | Oferta hasta | -"),
            ("Precio,Precio oferta,Fin de oferta", "Precio oferta | - | Fin de oferta | -"),
            ("Prijs,Actieprijs,Actie tot", "Actieprijs | - | Actie tot | -"),
            ("price,salePrice,salePriceExpires", "salePrice | - | salePriceExpires | -"),
            ("price,sale_price,sale_start_date,sale_end_time", "sale_price | sale_start_date | sale_end_time | -"),
            (
                "price,sale_price,sale_label,discount_percent,wholesale_price,sales_rank,forSale",
                "sale_price | - | - | -",
            ),
            ("price,discount_price,discount", "discount_price | - | - | -"),
            ("prijs,actieprijs,actief,discountpercentage", "actieprijs | - | - | -"),
        ] {
            assert_eq!(found(columns), expected, "{columns}");
        }
    }

    #[test]
    fn a_column_of_a_sale_that_is_not_known_makes_it_unclear() {
        for (columns, unclear) in [
            ("price,sale_price,on_sale", "on_sale"),
            ("price,sale_price,sale", "sale"),
            ("price,sale_price,sale_start,sale_active", "sale_active"),
            ("price,sale_price,sale_from,sale_to,sale_customer_group", "sale_customer_group"),
            ("price,discount_price,discount_code", "discount_code"),
            ("price,sale_price,isOnSale", "isOnSale"),
            ("Preis,Sonderpreis,Sonderpreis aktiv", "Sonderpreis aktiv"),
            ("価格,セール価格,セール終了", "セール終了"),
        ] {
            assert!(found(columns).ends_with(&format!("unclear by {unclear}")), "{columns}: {}", found(columns));
        }
    }
}
