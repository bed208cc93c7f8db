//! Numbers as people and shop systems write them: prices with a currency, group signs, a decimal comma, weights.
//!
//! In: the text of one cell. Out: the number, and the currency if the text names one. A text that may mean two numbers
//! (`1,234`, and as a price `1.234`) is read as neither, unless the file says which character is its decimal sign or the
//! currency beside it has no decimals.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::time_text::with_plain_blanks;

/// The character before the decimals of a file's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decimal {
    /// Not known: `9,99` and `9.99` are both read, `1,234` is not.
    #[default]
    #[serde(skip)]
    Any,
    /// A comma; a point separates groups of digits.
    #[serde(rename = ",")]
    Comma,
    /// A point; a comma separates groups of digits.
    #[serde(rename = ".")]
    Point,
}

impl Decimal {
    /// Whether the sign is not known.
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// The sign in a text that is certainly a number with decimals: `9,99`, `1.234,50 €`. Three decimals may be a group.
    pub fn shown_by(text: &str) -> Option<Self> {
        decimal_sign(text)
    }
}

/// What a text says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Amount {
    /// The number.
    pub number: f64,
    /// Three letters, if the text names a currency by its code or by a sign that only one currency has.
    pub currency: Option<Box<str>>,
}

/// Longest text that is looked at.
const MAX_BYTES: usize = 64;

/// Signs that stand for one currency. `$`, `kr` and others stand for several, so they are passed over.
const SIGNS: &[(&str, &str)] = &[
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("₴", "UAH"),
    ("₸", "KZT"),
    ("₦", "NGN"),
    ("฿", "THB"),
    ("₱", "PHP"),
    ("zł", "PLN"),
    ("zl", "PLN"),
    ("kč", "CZK"),
    ("r$", "BRL"),
    ("us$", "USD"),
    ("ca$", "CAD"),
    ("c$", "CAD"),
    ("au$", "AUD"),
    ("a$", "AUD"),
    ("nz$", "NZD"),
    ("hk$", "HKD"),
    ("s$", "SGD"),
    ("nt$", "TWD"),
    ("mx$", "MXN"),
    ("лв", "BGN"),
    ("лв.", "BGN"),
    ("руб", "RUB"),
    ("руб.", "RUB"),
    ("грн", "UAH"),
    ("ft", "HUF"),
    ("lei", "RON"),
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("tl", "TRY"),
    ("vnđ", "VND"),
    ("rp", "IDR"),
    ("rp.", "IDR"),
    ("rm", "MYR"),
    ("đ", "VND"),
    ("円", "JPY"),
    ("s/", "PEN"),
    ("s/.", "PEN"),
    ("ksh", "KES"),
    ("mex$", "MXN"),
    ("৳", "BDT"),
    // A letter alone, before the number.
    ("r", "ZAR"),
    ("q", "GTQ"),
];

/// Currencies whose prices have no decimals, by ISO 4217 or in the practice of shops: the sign before three digits
/// separates groups.
const WITHOUT_DECIMALS: &str = "BIF CLP COP DJF GNF HUF IDR IRR ISK JPY KMF KRW LAK MMK PYG RWF TWD UGX UZS VND VUV XAF XOF \
    XPF";

/// Currencies whose prices have three decimals.
const WITH_THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// The codes of ISO 4217 that are in use.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF \
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP \
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK \
    SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF \
    YER ZAR ZMW ZWL";

/// Words beside a number that say nothing about it: signs of several currencies, units, counters.
const WORDS: &[&str] = &[
    "$", "¥", "￥", "kr", "kr.", "rs", "rs.", "fr", "fr.", "sfr.", "₨", "₤", "元", "원", "*", ",-", ".-", "-", "–",
    "—", ",–", ".–", ",—", ".—", "kg", "g", "gr", "mg", "lb", "lbs", "oz", "l", "lt", "ltr", "ml", "cl", "dl", "m",
    "cm", "mm", "m²", "m2", "m³", "x", "×", "pc", "pcs", "pcs.", "pc.", "pieces", "piece", "units", "unit", "st",
    "st.", "stk", "stk.", "stück", "stück.", "ud", "uds", "szt", "szt.", "ks", "pz", "ea", "+", ">", "<", "≥", "≤",
    "~", "/kg", "/l", "/m", "/st", "/stk", "/pc", "incl", "incl.", "inc", "inc.", "excl", "excl.", "vat", "tax", "gst",
    "mwst", "mwst.", "ust", "ust.", "inkl", "inkl.", "zzgl", "zzgl.", "ttc", "ht", "iva", "netto", "brutto", "ab",
    "from", "ca.", "à", "us", "/-", ":-",
];

/// The number that a text states, with the currency beside it; `None` if it states none, or may state two. A point before
/// three digits is a decimal sign, as in `1.250 kg`.
pub(crate) fn read(text: &str, decimal: Decimal) -> Option<Amount> {
    read_as(text, decimal, false)
}

/// As [`read`], of a price: hardly any has three decimals, so `1.299` may as well be 1299 and is not read either.
pub(crate) fn read_price(text: &str, decimal: Decimal) -> Option<Amount> {
    read_as(text, decimal, true)
}

/// Whether a text is one of digits with one point that may be a decimal or a group sign: `1.299`.
pub(crate) fn is_open_price(text: &str) -> bool {
    is_open(text, '.')
}

/// Whether a text is one of digits with one such sign, which may stand before decimals or between groups.
pub(crate) fn is_open(text: &str, sign: char) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '-');
    let is_digits = || text.chars().all(|c| c.is_ascii_digit() || c == sign);
    // One to three digits, the sign and three digits.
    (5..=7).contains(&text.len()) && is_digits() && text.matches(sign).count() == 1 && is_ambiguous(text, sign)
}

fn read_as(text: &str, decimal: Decimal, is_price: bool) -> Option<Amount> {
    let plain = with_plain_blanks(text);
    let plain = with_plain_digits(&plain);
    let text = plain.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    let is_core = |c: char| c.is_ascii_digit();
    let (first, last) = (text.find(is_core)?, text.rfind(is_core)?);
    // A separator right before the first digit belongs to the number (`.99`), unless it ends a word (`Rs.99`).
    let before = &text[..first];
    let starts_with_sign =
        before.ends_with(['.', ',']) && before[..before.len() - 1].chars().all(|c| !c.is_alphabetic());
    let first = if starts_with_sign { first - 1 } else { first };
    let (mut before, core, mut after) = (&text[..first], &text[first..=last], text[last + 1..].trim());
    let mut is_negative = false;
    if let (Some(inner), Some(rest)) = (before.trim().strip_prefix('('), after.strip_suffix(')')) {
        // Bookkeeping writes losses in parentheses.
        (before, after, is_negative) = (inner, rest.trim(), true);
    }
    let mut before = before.trim();
    for minus in ['-', '−', '–'] {
        if let Some(rest) = before.strip_prefix(minus).or_else(|| before.strip_suffix(minus)) {
            (before, is_negative) = (rest.trim(), true);
            break;
        }
    }
    if let Some(rest) = after.strip_suffix('-').filter(|rest| rest.is_empty()) {
        (after, is_negative) = (rest, true);
    }
    let currency = match (word(before)?, word(after)?) {
        (Some(one), Some(other)) if one != other => return None,
        (one, other) => one.or(other),
    };
    // The sign of the yen and the yuan: the one has no decimals, of the other two are usual, and nobody writes three.
    let is_yen = [before, after].iter().any(|beside| beside.contains(['¥', '￥']));
    let currency_of_sign = if is_yen { Some("JPY") } else { currency.as_deref() };
    let number = digits(core, sign_of(core, decimal, currency_of_sign, is_price)?)?;
    Some(Amount { number: if is_negative { -number } else { number }, currency })
}

/// Full-width digits and signs, as Japanese keyboards write them, in their common form.
fn with_plain_digits(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| matches!(c, '０'..='９' | '，' | '．')) {
        return Cow::Borrowed(text);
    }
    let plain = text.chars().map(|c| match c {
        '０'..='９' | '，' | '．' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        c => c,
    });
    Cow::Owned(plain.collect())
}

/// The currency that the text beside a number names, if any; `None` if the text has another meaning.
fn word(text: &str) -> Option<Option<Box<str>>> {
    let mut currency = None;
    for word in text.split_whitespace() {
        // `12.99 (inc. VAT)`
        let word = word.trim_matches(['(', ')']);
        if word.is_empty() {
            continue;
        }
        let lower = word.to_lowercase();
        let said = match SIGNS.iter().find(|(sign, _)| *sign == lower) {
            Some((_, code)) => Some((*code).into()),
            None if WORDS.contains(&&*lower) => None,
            None => {
                // `$USD`, `EUR/kg`, `EUR.`: a code among signs.
                let letters = word.trim_matches(|c: char| !c.is_alphabetic());
                let letters = letters.split('/').next().unwrap_or_default();
                let code = CODES.split(' ').find(|code| code.eq_ignore_ascii_case(letters))?;
                Some(code.into())
            }
        };
        currency = match (currency, said) {
            (Some(one), Some(other)) if one != other => return None,
            (one, other) => one.or(other),
        };
    }
    Some(currency)
}

/// The decimal sign of a text of digits, as far as the currency beside them tells it; `None` if the text has two meanings.
fn sign_of(core: &str, decimal: Decimal, currency: Option<&str>, is_price: bool) -> Option<Decimal> {
    let is_in = |codes: &str| currency.is_some_and(|currency| codes.split(' ').any(|code| code == currency));
    if !decimal.is_any() {
        return Some(decimal);
    }
    let is_lone = |sign: char| core.matches(['.', ',']).count() == 1 && is_ambiguous(core, sign);
    match (is_lone('.'), is_lone(',')) {
        (true, _) if is_in(WITHOUT_DECIMALS) => Some(Decimal::Comma),
        (_, true) if is_in(WITHOUT_DECIMALS) => Some(Decimal::Point),
        (true, _) if is_price && !is_in(WITH_THREE_DECIMALS) => None,
        _ => Some(Decimal::Any),
    }
}

/// The value of digits with signs between them.
fn digits(core: &str, decimal: Decimal) -> Option<f64> {
    let is_group_only = |c: char| matches!(c, '\'' | '’' | '_' | '٬') || c.is_whitespace();
    if !core.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',') || is_group_only(c)) {
        return exponent(core);
    }
    let count = |sign| core.matches(sign).count();
    let (points, commas) = (count('.'), count(','));
    let point = match decimal {
        Decimal::Comma if commas <= 1 => (commas == 1).then_some(','),
        Decimal::Point if points <= 1 => (points == 1).then_some('.'),
        Decimal::Comma | Decimal::Point => return None,
        Decimal::Any => match (points, commas) {
            (0, 0) => None,
            // The sign that comes last is the decimal sign, and occurs once.
            (1.., 1..) => Some(if core.rfind('.') > core.rfind(',') { '.' } else { ',' }),
            (1, 0) => Some('.'),
            (0, 1) if is_ambiguous(core, ',') => return None,
            (0, 1) => Some(','),
            _ => None,
        },
    };
    let (whole, fraction) = match point {
        Some(sign) => core.split_once(sign)?,
        None => (core, ""),
    };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let groups: Vec<&str> = whole.split(|c: char| matches!(c, '.' | ',') || is_group_only(c)).collect();
    let separators: Vec<char> = whole.chars().filter(|c| !c.is_ascii_digit()).collect();
    // One kind of sign between groups; a decimal point without digits before it is `.5`.
    let is_grouped = || {
        separators.iter().all(|sign| *sign == separators[0])
        && !groups[0].is_empty()
        && groups[0].len() <= 3
        && groups.last().is_some_and(|last| last.len() == 3)
        // Of three digits each, or two, as in India (`1,23,456`).
        && groups[1..groups.len() - 1].iter().all(|group| group.len() == 3 || (group.len() == 2 && groups[0].len() < 3))
    };
    if groups.len() > 1 && !is_grouped() {
        return None;
    }
    let plain = format!("{}.{}", groups.concat(), if fraction.is_empty() { "0" } else { fraction });
    plain.parse().ok()
}

/// `1.5e3`, as spreadsheets and programs write it.
fn exponent(core: &str) -> Option<f64> {
    let is_plain = core.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    is_plain.then(|| core.parse().ok()).flatten()
}

/// Whether the one sign may be a decimal or a group sign: exactly three digits follow, and one to three stand before.
fn is_ambiguous(core: &str, sign: char) -> bool {
    core.split_once(sign).is_some_and(|(whole, fraction)| {
        let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
        fraction.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0')
    })
}

fn decimal_sign(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let core = &text[text.find(|c: char| c.is_ascii_digit())?..=text.rfind(|c: char| c.is_ascii_digit())?];
    let n_decimals = core.bytes().rev().take_while(u8::is_ascii_digit).count();
    if text.len() > MAX_BYTES || n_decimals == core.len() || n_decimals == 3 {
        return None;
    }
    let sign = match core.as_bytes()[core.len() - n_decimals - 1] {
        b',' => Decimal::Comma,
        b'.' => Decimal::Point,
        _ => return None,
    };
    read(text, sign).map(|_| sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, decimal: Decimal, expected: Option<(f64, Option<&str>)>) {
        let found = read(text, decimal).map(|amount| (amount.number, amount.currency));
        assert_eq!(found, expected.map(|(number, code)| (number, code.map(Into::into))), "{text:?} {decimal:?}");
    }

    #[test]
    fn prices_are_read_in_the_spellings_of_shops() {
        let cases: &[(&str, f64, Option<&str>)] = &[
            ("15.00 USD", 15.0, Some("USD")),
            ("USD 15.00", 15.0, Some("USD")),
            ("EUR9.90", 9.9, Some("EUR")),
            ("9,99 €", 9.99, Some("EUR")),
            ("€ 9,99", 9.99, Some("EUR")),
            ("$1,299.00", 1299.0, None),
            ("US$ 1,299.00", 1299.0, Some("USD")),
            ("1.299,00\u{a0}€", 1299.0, Some("EUR")),
            ("1 299,00 zł", 1299.0, Some("PLN")),
            ("1\u{202f}299,50 €", 1299.5, Some("EUR")),
            ("\u{200e}1\u{2009}299,50\u{2007}€", 1299.5, Some("EUR")),
            ("CHF 1'299.50", 1299.5, Some("CHF")),
            ("¥1,980", 1980.0, None),
            ("￥1,980", 1980.0, None),
            ("1,980円", 1980.0, Some("JPY")),
            ("９９９円", 999.0, Some("JPY")),
            ("150.000 đ", 150_000.0, Some("VND")),
            ("R 129.00", 129.0, Some("ZAR")),
            ("S/ 129.90", 129.9, Some("PEN")),
            ("12,99 € *", 12.99, Some("EUR")),
            ("12.99 (inc. VAT)", 12.99, None),
            ("Fr. 12.–", 12.0, None),
            ("12,-", 12.0, None),
            ("Rs.1,23,456.00", 123_456.0, None),
            ("₹1,23,456", 123_456.0, Some("INR")),
            ("R$ 49,90", 49.9, Some("BRL")),
            ("1.234.567", 1_234_567.0, None),
            ("1,234,567", 1_234_567.0, None),
            ("0,125", 0.125, None),
            ("1234,567", 1234.567, None),
            (",99", 0.99, None),
            (".99", 0.99, None),
            ("-9,99", -9.99, None),
            ("(9.99)", -9.99, None),
            ("9.99-", -9.99, None),
            ("1.5 kg", 1.5, None),
            ("0,350 kg", 0.35, None),
            ("3 Stück", 3.0, None),
            ("10+", 10.0, None),
            ("2 x", 2.0, None),
            ("12.90 EUR/kg", 12.9, Some("EUR")),
            ("+5", 5.0, None),
            ("1.5e3", 1500.0, None),
            ("kr 99,50", 99.5, None),
            ("Rs 1,299.00/-", 1299.0, None),
            ("1 299:-", 1299.0, None),
            ("£1,299.00 inc VAT", 1299.0, Some("GBP")),
        ];
        for (text, number, currency) in cases {
            check(text, Decimal::Any, Some((*number, *currency)));
        }
    }

    #[test]
    fn a_price_with_one_sign_before_three_digits_is_read_where_the_currency_decides() {
        let price = |text: &str| read_price(text, Decimal::Any).map(|amount| amount.number);
        for (text, number) in [
            ("150.000₫", 150_000.0),
            ("150.000 VND", 150_000.0),
            ("150,000 VND", 150_000.0),
            ("1.299 Ft", 1299.0),
            ("NT$1,280", 1280.0),
            ("Rp150.000", 150_000.0),
            ("1.980 JPY", 1980.0),
            ("12.500 KWD", 12.5),
            ("0.125", 0.125),
            ("1299.000", 1299.0),
            ("1.299,90 TL", 1299.9),
            ("￥1980", 1980.0),
            ("9,99 € inkl. MwSt.", 9.99),
            ("1.29", 1.29),
        ] {
            assert_eq!(price(text), Some(number), "{text}");
            assert_eq!(read(text, Decimal::Any).map(|amount| amount.number), Some(number), "{text}");
        }
        for text in ["1.299", "2.499 €", "$1.299", "1,299", "12,500 KWD"] {
            assert_eq!(price(text), None, "{text}");
        }
        assert_eq!(read_price("1.299", Decimal::Point).map(|amount| amount.number), Some(1.299));
        assert_eq!(read_price("1.299", Decimal::Comma).map(|amount| amount.number), Some(1299.0));
    }

    #[test]
    fn whole_numbers_of_any_length_are_read() {
        for n in [7, 85, 850, 999, 8_500, 85_000, 850_000, 8_500_000] {
            for decimal in [Decimal::Any, Decimal::Comma, Decimal::Point] {
                check(&n.to_string(), decimal, Some((f64::from(n), None)));
                check(&format!("{n} EUR"), decimal, Some((f64::from(n), Some("EUR"))));
            }
            check(&format!("{n}.50"), Decimal::Any, Some((f64::from(n) + 0.5, None)));
        }
    }

    #[test]
    fn what_may_mean_two_numbers_or_none_is_not_read() {
        for text in [
            "1,234",
            "1,23,4",
            "10 20",
            "9.99.9",
            "1.2345,6,7",
            "USD 5 EUR",
            "from 5 to 9",
            "abc",
            "",
            "€",
            "12:30",
            "2026-01-05",
            "1'23",
            "5 apples",
            "5 red",
            "a5",
            "9,99 $ 3",
            "1.234,5.6",
        ] {
            check(text, Decimal::Any, None);
        }
        check(&"1".repeat(65), Decimal::Any, None);
    }

    #[test]
    fn the_decimal_sign_of_the_file_decides() {
        check("1,234", Decimal::Comma, Some((1.234, None)));
        check("1.234", Decimal::Comma, Some((1234.0, None)));
        check("1.234,5", Decimal::Comma, Some((1234.5, None)));
        check("9.99", Decimal::Comma, None);
        check("1,234", Decimal::Point, Some((1234.0, None)));
        check("9,99", Decimal::Point, None);
        check("1.234", Decimal::Any, Some((1.234, None)));
    }

    #[test]
    fn decimals_tell_their_sign_where_it_is_certain() {
        assert_eq!(decimal_sign("9,99"), Some(Decimal::Comma));
        assert_eq!(decimal_sign("1.234,50 €"), Some(Decimal::Comma));
        assert_eq!(decimal_sign("9.99"), Some(Decimal::Point));
        for open in ["7", "1,234", "1.234", "05.07.2026", "", "x"] {
            assert_eq!(decimal_sign(open), None, "{open}");
        }
    }
}
