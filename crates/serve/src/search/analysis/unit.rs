//! One name for a unit of measure that follows a number: `500 millilitres` and `500 ml` are equal, and so are `7"` and `7 inch`.

/// The usual name of a unit, by its name in lower case.
pub(super) fn usual_name(word: &str) -> Option<&'static str> {
    UNITS.iter().find(|(_, names)| names.contains(&word)).map(|(unit, _)| *unit)
}

/// Whether a word in lower case is a unit, by its usual name or another one.
pub(super) fn is_unit(word: &str) -> bool {
    UNITS.iter().any(|(unit, names)| *unit == word || names.contains(&word))
}

/// What the sign of an inch is read as.
pub(super) const INCH: &str = "inch";

/// The names are in lower case and in plain letters.
const UNITS: [(&str, &[&str]); 18] = [
    (
        INCH,
        &["inch", "inches", "zoll", "pouces", "pouce", "pulgadas", "pulgada", "polegadas", "pollici", "tommer", "tum"],
    ),
    ("ft", &["foot", "feet", "fts"]),
    ("mm", &["millimetre", "millimetres", "millimeter", "millimeters", "milimetros", "millimetri", "mms", "мм"]),
    ("cm", &["centimetre", "centimetres", "centimeter", "centimeters", "centimetros", "centimetri", "cms", "см"]),
    ("m", &["metre", "metres", "meter", "meters", "metros", "metri", "mtr", "mtrs", "м"]),
    ("ml", &["millilitre", "millilitres", "milliliter", "milliliters", "mililitros", "millilitri", "mls", "мл"]),
    ("cl", &["centilitre", "centilitres", "centiliter", "centiliters", "centilitros", "cls"]),
    ("l", &["litre", "litres", "liter", "liters", "litro", "litros", "litri", "ltr", "ltrs", "л"]),
    ("mg", &["milligram", "milligrams", "milligramm", "milligrammes", "miligramos", "mgs", "мг"]),
    (
        "g",
        &["gram", "grams", "gramme", "grammes", "gramm", "gramos", "grammi", "gramas", "gr", "grs", "gm", "gms", "г"],
    ),
    ("kg", &["kilogram", "kilograms", "kilogramm", "kilogrammes", "kilogramos", "kilo", "kilos", "kgs", "кг"]),
    ("oz", &["ounce", "ounces", "ozs"]),
    ("lb", &["lbs"]),
    ("w", &["watt", "watts", "вт"]),
    ("v", &["volt", "volts"]),
    ("mb", &["megabyte", "megabytes"]),
    ("gb", &["gigabyte", "gigabytes", "гб"]),
    ("tb", &["terabyte", "terabytes", "тб"]),
];

/// Whether a word names the sign of a percentage.
pub(super) fn is_percent(word: &str) -> bool {
    const NAMES: [&str; 9] =
        ["percent", "pct", "prozent", "procent", "prosent", "pourcent", "pourcents", "percento", "процентов"];
    NAMES.contains(&&*word.to_lowercase())
}

/// `500millilitres` as `500ml`.
pub(super) fn shortened(word: &str) -> Option<String> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let unit = (digits > 0).then(|| word.get(digits..)).flatten()?;
    Some(format!("{}{}", &word[..digits], usual_name(unit)?))
}

/// Whether a quotation mark at `at` stands for inches: it follows a digit and closes no quotation.
pub(super) fn is_inch_sign(text: &str, at: usize) -> bool {
    let is_quote = |c: char| matches!(c, '"' | '″' | '”' | '“' | '„');
    let before = &text[..at];
    text[at..].starts_with(is_quote)
        && before.ends_with(|c: char| c.is_ascii_digit())
        && (text[at..].starts_with('″') || is_even(before, is_quote))
}

/// Whether the quotation marks before are closed, where those that mean inches open nothing.
fn is_even(before: &str, is_quote: impl Fn(char) -> bool) -> bool {
    let mut is_open = false;
    let mut last = ' ';
    for c in before.chars() {
        if is_quote(c) {
            is_open = if is_open { false } else { !last.is_ascii_digit() };
        }
        last = c;
    }
    !is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_mark_after_a_number_is_an_inch_unless_it_closes_a_quotation() {
        for (text, at, is_inch) in
            [("7\"", 1, true), ("tv 43\" and 55\"", 5, true), ("tv 43\" and 55\"", 13, true), ("\"size 7\"", 7, false)]
        {
            assert_eq!(is_inch_sign(text, at), is_inch, "{text} {at}");
        }
        assert_eq!(shortened("500millilitres").as_deref(), Some("500ml"));
        assert_eq!((shortened("500x"), shortened("inch"), usual_name("zoll")), (None, None, Some("inch")));
    }
}
