//! Quantities in a query, and the other ways in which titles write them: `0.5l` is `500ml`, `1kg` is `1000 g`.
//!
//! In: the words of a query. Out: which words are one quantity, and the terms of an equal one. Only units that differ by powers
//! of ten are converted, so every spelling is exact.

use std::ops::Range;

use super::analysis::Word;

/// Longer numbers are no quantities.
const MAX_DIGITS: usize = 6;
/// A spelling has at most this many decimals, and no number above the largest.
const MAX_DECIMALS: usize = 3;
const MAX_NUMBER: u64 = 99_999;

/// Units by dimension, each with how many of the smallest one it is.
const DIMENSIONS: [&[(&str, u64)]; 3] = [
    &[("mg", 1), ("g", 1_000), ("kg", 1_000_000)],
    &[("ml", 1), ("cl", 10), ("l", 1_000)],
    &[("mm", 1), ("cm", 10), ("m", 1_000)],
];

/// A number with its unit in a query.
#[derive(Debug, PartialEq)]
pub(super) struct Quantity {
    /// Its words.
    pub words: Range<usize>,
    /// It has decimals, which mean nothing without the rest.
    pub is_decimal: bool,
    /// Equal quantities, each as words that stand side by side.
    pub spellings: Vec<Vec<String>>,
}

/// The quantities among the words of a text.
pub(super) fn quantities(text: &str, words: &[Word]) -> Vec<Quantity> {
    let mut found: Vec<Quantity> = Vec::new();
    for start in 0..words.len() {
        if found.last().is_none_or(|last| last.words.end <= start) {
            found.extend(quantity_at(text, words, start));
        }
    }
    found
}

fn quantity_at(text: &str, words: &[Word], start: usize) -> Option<Quantity> {
    let gap = |end: usize| text.get(words[end - 1].surface.end..words.get(end)?.surface.start);
    let is_after_point = start > 0 && matches!(gap(start), Some("." | ","));
    let (whole, mut unit) = number_and_unit(&words[start].plain).filter(|_| !is_after_point)?;
    let (mut end, mut decimals) = (start + 1, "");
    if unit.is_empty() && matches!(gap(end), Some("." | ",")) {
        (decimals, unit) = number_and_unit(&words[end].plain)?;
        end += 1;
    }
    if unit.is_empty() {
        matches!(gap(end), Some("" | " " | "\u{a0}" | "-")).then_some(())?;
        unit = &words[end].plain;
        end += 1;
    }
    let units = DIMENSIONS.iter().find(|units| units.iter().any(|(name, _)| *name == unit))?;
    let per_unit = units.iter().find(|(name, _)| *name == unit)?.1;
    let scale = 10_u64.checked_pow(decimals.len() as u32)?;
    let scaled = format!("{whole}{decimals}").parse::<u64>().ok()?.checked_mul(per_unit)?;
    let others = units.iter().filter(|(name, _)| *name != unit && scaled % scale == 0);
    let spellings = others.flat_map(|(name, per)| spellings(scaled / scale, name, *per)).collect();
    Some(Quantity { words: start..end, is_decimal: !decimals.is_empty(), spellings })
}

/// Digits, and what is written onto them.
fn number_and_unit(word: &str) -> Option<(&str, &str)> {
    let n_digits = word.bytes().take_while(u8::is_ascii_digit).count();
    (1..=MAX_DIGITS).contains(&n_digits).then(|| word.split_at(n_digits))
}

/// An amount of the smallest unit in a unit that is `per` of it: as one word, or with decimals as two or three.
fn spellings(amount: u64, unit: &str, per: u64) -> Vec<Vec<String>> {
    let (whole, rest) = (amount / per, amount % per);
    if rest == 0 {
        return if (1..=MAX_NUMBER).contains(&whole) { vec![vec![format!("{whole}{unit}")]] } else { Vec::new() };
    }
    let width = per.ilog10() as usize;
    let padded = format!("{rest:0width$}");
    let decimals = padded.trim_end_matches('0');
    if decimals.len() > MAX_DECIMALS {
        return Vec::new();
    }
    let whole = whole.to_string();
    vec![vec![whole.clone(), format!("{decimals}{unit}")], vec![whole, decimals.to_owned(), unit.to_owned()]]
}

#[cfg(test)]
mod tests {
    use tantivy::tokenizer::Language;

    use super::super::analysis::Analyzer;
    use super::*;

    fn read(text: &str) -> Vec<(Range<usize>, bool, String)> {
        let mut words = Vec::new();
        Analyzer::new(Language::English).query_words(text, |word| words.push(word));
        let joined = |spellings: &[Vec<String>]| {
            let all: Vec<String> = spellings.iter().map(|terms| terms.join(" ")).collect();
            all.join(", ")
        };
        quantities(text, &words)
            .iter()
            .map(|found| (found.words.clone(), found.is_decimal, joined(&found.spellings)))
            .collect()
    }

    #[test]
    fn a_quantity_has_the_spellings_of_its_other_units() {
        for (text, words, is_decimal, spellings) in [
            ("0.5l", 0..2, true, "500ml, 50cl"),
            ("0,5 l bottle", 0..3, true, "500ml, 50cl"),
            ("flour 1000 g", 1..3, false, "1kg"),
            ("1,000g", 0..1, false, "1kg"),
            ("500 millilitres", 0..2, false, "50cl, 0 5l, 0 5 l"),
            ("1.5 kg", 0..3, true, "1500g"),
            ("cable 2m", 1..2, false, "2000mm, 200cm"),
        ] {
            assert_eq!(read(text), [(words, is_decimal, spellings.to_owned())], "{text}");
        }
        for none in ["iphone 15", "42.5", "usb 3.0", "1.2.3 l", "5 things", "l", "12345678 g"] {
            assert_eq!(read(none), [], "{none}");
        }
    }
}
