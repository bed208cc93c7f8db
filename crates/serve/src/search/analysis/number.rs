//! Numbers that are written with signs or blanks inside: thousands (`1,000`) and sizes (`160 x 230 cm`).

use std::ops::Range;

use super::unit;

/// Longer parts of a text are not read as one number or size.
const MAX_BYTES: usize = 48;
/// Letters before the first number of a size, at most: `M8x40`.
const MAX_LETTERS: usize = 2;

/// A number or a size as one word.
#[derive(Debug, PartialEq)]
pub(super) struct Numeric {
    /// With `x` between the numbers of a size, and without the signs that group thousands.
    pub word: String,
    /// The numbers inside, which it is also found by; a unit may follow the last one.
    pub parts: Vec<String>,
    /// Bytes of the text.
    pub len: usize,
}

/// A size at the beginning of a text: numbers with `x`, `×` or `*` between them, with blanks or without, each with the same unit
/// or only the last one with a unit. The unit of the last number is not read.
pub(super) fn size(text: &str) -> Option<Numeric> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters > MAX_LETTERS {
        return None;
    }
    let start = text[..letters].to_ascii_lowercase();
    let first = number(&text[letters..])?;
    let mut size = Numeric { word: format!("{start}{}", first.plain), parts: Vec::new(), len: 0 };
    if letters > 0 {
        size.parts.push(size.word.clone());
    }
    size.add_parts(&first, &text[letters..]);
    size.len = letters + first.len;
    let mut unit_inside: Option<&str> = None;
    let mut n_numbers = 1;
    while size.len < MAX_BYTES {
        let rest = &text[size.len..];
        let unit = unit_at(rest);
        let after_unit = &rest[unit.end..];
        let Some(times) = times(after_unit) else { break };
        let Some(next) = number(&after_unit[times..]) else { break };
        let name = &rest[unit.clone()];
        if unit_inside.is_some_and(|inside| inside != name) {
            return None;
        }
        unit_inside = Some(name);
        size.add_parts(&next, &after_unit[times..]);
        size.word.push('x');
        size.word.push_str(&next.plain);
        size.len += unit.end + times + next.len;
        n_numbers += 1;
    }
    let rest = &text[size.len..];
    let unit = unit_at(rest);
    let name = &rest[unit.clone()];
    let ends = rest[unit.end..].chars().next().is_none_or(|c| !c.is_alphanumeric());
    let is_same = unit_inside.is_none_or(|inside| inside.is_empty() || inside == name);
    (n_numbers > 1 && is_same && ends).then_some(size)
}

/// A number whose thousands are grouped, at the beginning of a text, with what is written onto it (`1,000ml`).
pub(super) fn grouped(text: &str) -> Option<Numeric> {
    let number = number(text).filter(|number| number.is_grouped)?;
    let rest = &text[number.len..];
    let onto = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let mut found = Numeric {
        word: format!("{}{}", number.plain, rest[..onto].to_lowercase()),
        parts: Vec::new(),
        len: number.len + onto,
    };
    found.add_parts(&number, text);
    (found.len <= MAX_BYTES).then_some(found)
}

/// Whether a number at `at` would begin inside another one: `2.000` in `1.2.000`.
pub(super) fn is_inside_number(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    before.next().is_some_and(|c| matches!(c, '.' | ',')) && before.next().is_some_and(|c| c.is_ascii_digit())
}

struct Number {
    /// Without the signs that group thousands, with a point before decimals.
    plain: String,
    len: usize,
    is_grouped: bool,
}

impl Numeric {
    /// Adds the number and its groups of digits.
    fn add_parts(&mut self, number: &Number, text: &str) {
        let digits = text[..number.len].split(|c: char| !c.is_ascii_digit()).map(str::to_owned);
        for part in digits.chain([number.plain.clone()]) {
            self.parts.retain(|known| *known != part);
            self.parts.extend((!part.is_empty()).then_some(part));
        }
    }
}

/// The number at the beginning of a text: digits, grouped by threes or with decimals.
fn number(text: &str) -> Option<Number> {
    let n_digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first = n_digits(text);
    if first == 0 {
        return None;
    }
    let mut len = first;
    let sign = text[first..].chars().next().filter(|c| matches!(c, ',' | '.' | '\'' | '’'));
    let Some(sign) = sign else { return Some(Number { plain: text[..len].to_owned(), len, is_grouped: false }) };
    let mut plain = text[..first].to_owned();
    if first <= 3 && !text.starts_with('0') {
        while let Some(group) = text[len..].strip_prefix(sign).filter(|group| n_digits(group) == 3) {
            plain.push_str(&group[..3]);
            len += sign.len_utf8() + 3;
        }
        let goes_on = text[len..].strip_prefix(sign).is_some_and(|rest| n_digits(rest) > 0);
        if len > first && !goes_on {
            return Some(Number { plain, len, is_grouped: true });
        }
    }
    let decimals = if matches!(sign, ',' | '.') { n_digits(&text[first + 1..]) } else { 0 };
    let after = text.get(first + 1 + decimals..).unwrap_or_default();
    if decimals == 0 || (after.starts_with(sign) && n_digits(&after[1..]) > 0) {
        return Some(Number { plain: text[..first].to_owned(), len: first, is_grouped: false });
    }
    let plain = format!("{}.{}", &text[..first], &text[first + 1..first + 1 + decimals]);
    Some(Number { plain, len: first + 1 + decimals, is_grouped: false })
}

/// The sign between two numbers of a size, with the blanks around it.
fn times(text: &str) -> Option<usize> {
    let blank = |text: &str| text.len() - text.strip_prefix(' ').unwrap_or(text).len();
    let before = blank(text);
    // The third one is the Cyrillic letter.
    let sign = text[before..].chars().next().filter(|c| matches!(c, 'x' | 'X' | '×' | 'х' | 'Х' | '*'))?;
    let after = before + sign.len_utf8();
    Some(after + blank(&text[after..]))
}

/// The place of a unit at the beginning of a text, behind a blank or not; empty if there is none.
fn unit_at(text: &str) -> Range<usize> {
    let start = text.len() - text.strip_prefix(' ').unwrap_or(text).len();
    let rest = &text[start..];
    if rest.starts_with(['"', '″', '”']) {
        return start..start + rest.chars().next().map_or(0, char::len_utf8);
    }
    // The `x` of `20cmx30cm` is none of the unit's letters.
    let len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let is_unit = |len: usize| len > 0 && unit::is_unit(&rest[..len].to_ascii_lowercase());
    match len {
        _ if is_unit(len) => start..start + len,
        _ if rest[..len].ends_with(['x', 'X']) && is_unit(len - 1) => start..start + len - 1,
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of(text: &str) -> Option<(String, usize)> {
        size(text).map(|size| (size.word, size.len))
    }

    #[test]
    fn a_size_is_one_word_however_it_is_written() {
        for (text, len) in [
            ("160x230", 7),
            ("160 x 230 cm", 9),
            ("160×230", 8),
            ("160 X230cm", 8),
            ("160 cm x 230 cm", 12),
            ("160cmx230cm", 9),
            ("160*230 mm", 7),
            ("160 х 230", 10),
        ] {
            assert_eq!(size_of(text), Some(("160x230".into(), len)), "{text}");
        }
        assert_eq!(size_of("M8 x 40"), Some(("m8x40".into(), 7)));
        assert_eq!(size_of("2,5 x 10 x 1.000"), Some(("2.5x10x1000".into(), 16)));
        for none in ["160", "160 x", "x 20", "0x1f", "2x", "4 x usb", "1 m x 50 cm", "8 x 10th", "iphone 12 x 3"] {
            assert_eq!(size_of(none), None, "{none}");
        }
        let parts = size("M8 x 2,5").unwrap();
        assert_eq!(parts.parts.join(" "), "m8 8 2 5 2.5");
    }

    #[test]
    fn thousands_are_one_number() {
        for (text, word) in [("1,000 pieces", "1000"), ("1.000", "1000"), ("1’000ml", "1000ml"), ("1,299.90", "1299")]
        {
            assert_eq!(grouped(text).map(|found| found.word).as_deref(), Some(word), "{text}");
        }
        for none in ["1000", "1,00", "0.125", "1,0000", "1.000.0", "12", "1234,567", "1,"] {
            assert_eq!(grouped(none), None, "{none}");
        }
    }
}
