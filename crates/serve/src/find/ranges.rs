//! The ranges in which a facet counts numbers: a few, with round ends, and with about as many products in each.
//!
//! In: the numbers of all matches, each with the product that it counts for. Out: the least, the greatest, and ranges
//! that cover all of them and do not overlap: `from` is in the range, `to` is not. Prices of shops are far from evenly
//! spread, so the ends are sixths of the sorted numbers (of a sample of [`SAMPLE`]), rounded to one or one and a half
//! digits.

use super::facet::{NumberCounts, RangeCount};
use crate::shop::Product;

/// Ranges, at most.
pub const MAX_RANGES: usize = 6;
/// Numbers that decide where ranges end.
const SAMPLE: usize = 1_024;
/// The first digits of round numbers.
const ROUND: [f64; 9] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];

/// How the numbers are spread.
pub(super) fn ranges(numbers: &[(f64, Product)]) -> NumberCounts {
    let Some(min) = numbers.iter().map(|(number, _)| *number).reduce(f64::min) else { return NumberCounts::default() };
    let max = numbers.iter().map(|(number, _)| *number).fold(min, f64::max);
    let ends = ends(numbers, min, max);
    let mut counts = vec![0; ends.len() - 1];
    let mut of_products = Vec::new();
    for &(number, product) in numbers {
        let range = ends.partition_point(|&end| end <= number).clamp(1, counts.len()) - 1;
        match product {
            Product::Alone(_) => counts[range] += 1,
            Product::OfVariants(product) => of_products.push((product, range)),
        }
    }
    // A product counts once in a range, however many of its variants are in it.
    of_products.sort_unstable();
    of_products.dedup();
    of_products.iter().for_each(|&(_, range)| counts[range] += 1);
    let ranges = ends.windows(2).zip(counts).map(|(ends, count)| RangeCount { from: ends[0], to: ends[1], count });
    NumberCounts { min: Some(min), max: Some(max), ranges: ranges.filter(|range| range.count > 0).collect() }
}

/// Two ends or more, ascending; the first is at most `min`, the last above `max`.
fn ends(numbers: &[(f64, Product)], min: f64, max: f64) -> Vec<f64> {
    let step = numbers.len().div_ceil(SAMPLE);
    let mut sample: Vec<f64> = numbers.iter().step_by(step).map(|(number, _)| *number).collect();
    sample.sort_unstable_by(f64::total_cmp);
    let mut ends = vec![below(min)];
    for nth in 1..MAX_RANGES {
        let end = nearest(sample[sample.len() * nth / MAX_RANGES]);
        if end > ends[ends.len() - 1].max(min) && end <= max {
            ends.push(end);
        }
    }
    ends.push(above(max));
    ends
}

/// The greatest round number that is not above `x`.
fn below(x: f64) -> f64 {
    if x < 0.0 { -at_least(-x) } else { around(x).0 }
}

/// The least round number above `x`.
fn above(x: f64) -> f64 {
    match x {
        0.0 => 1.0,
        x if x > 0.0 => around(x).1,
        x => {
            let (lower, _) = around(-x);
            if lower < -x { -lower } else { -under(lower) }
        }
    }
}

fn nearest(x: f64) -> f64 {
    let (lower, upper) = around(x.abs());
    (if x.abs() - lower <= upper - x.abs() { lower } else { upper }).copysign(x)
}

/// The least round number that is not below `x`, which is above 0.
fn at_least(x: f64) -> f64 {
    let (lower, upper) = around(x);
    if lower == x { lower } else { upper }
}

/// The greatest round number below the round number `x`.
fn under(x: f64) -> f64 {
    let (digit, exponent) = parts(x);
    match ROUND.iter().rposition(|&round| round < digit) {
        Some(place) => decimal(ROUND[place], exponent),
        None => decimal(ROUND[ROUND.len() - 1], exponent - 1),
    }
}

/// The round numbers next to `x`, which is not negative: the greatest that is not above it, and the least above it.
fn around(x: f64) -> (f64, f64) {
    if x == 0.0 {
        return (0.0, 1.0);
    }
    let (digit, exponent) = parts(x);
    let place = ROUND.partition_point(|&round| round <= digit).max(1);
    let upper = ROUND.get(place).map_or(decimal(1.0, exponent + 1), |&round| decimal(round, exponent));
    (decimal(ROUND[place - 1], exponent), upper.min(f64::MAX))
}

/// `x` as a number from 1 to 10 and a power of 10.
fn parts(x: f64) -> (f64, i32) {
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.parse().unwrap_or(1.0), exponent.parse().unwrap_or(0))
}

/// `digit · 10^exponent`, as it would be read from its decimal form.
fn decimal(digit: f64, exponent: i32) -> f64 {
    format!("{digit}e{exponent}").parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[f64]) -> NumberCounts {
        let numbers: Vec<(f64, Product)> =
            numbers.iter().zip(0..).map(|(&number, item)| (number, Product::Alone(item))).collect();
        ranges(&numbers)
    }

    #[test]
    fn ends_are_round_and_follow_the_numbers() {
        let prices: Vec<f64> = (0..1000).map(|n| 0.42 + f64::from(n * n) / 20_000.0).collect();
        let counts = of(&prices);
        let ends: Vec<(f64, f64)> = counts.ranges.iter().map(|range| (range.from, range.to)).collect();
        assert_eq!(ends, [(0.4, 2.0), (2.0, 6.0), (6.0, 15.0), (15.0, 25.0), (25.0, 40.0), (40.0, 60.0)]);
        assert!(counts.ranges.iter().all(|range| (80..300).contains(&range.count)), "{counts:?}");
        assert_eq!((counts.min, counts.max), (Some(0.42), Some(prices[999])));
        assert_eq!(of(&[]), NumberCounts::default());
        for same in [0.0, 7.0, 10.0, -3.0, -10.0, 1e-300, 9e300] {
            let counts = of(&[same, same]);
            assert_eq!((counts.ranges.len(), counts.ranges[0].count), (1, 2), "{counts:?}");
            assert!(counts.ranges[0].from <= same && same < counts.ranges[0].to, "{counts:?}");
        }
    }

    #[test]
    fn a_product_counts_once_in_a_range() {
        let numbers = [(5.0, Product::OfVariants(0)), (5.0, Product::OfVariants(0)), (500.0, Product::OfVariants(0))];
        let counts = ranges(&numbers).ranges;
        assert!(counts.len() >= 2 && counts.iter().all(|range| range.count == 1), "{counts:?}");
    }

    proptest! {
        #[test]
        fn every_number_is_in_one_range(numbers in prop::collection::vec(-1e9..1e9_f64, 1..300)) {
            let counts = of(&numbers);
            prop_assert!(counts.ranges.len() <= MAX_RANGES);
            prop_assert!(counts.ranges.windows(2).all(|pair| pair[0].to <= pair[1].from));
            for range in &counts.ranges {
                let inside = |number: &&f64| range.from <= **number && **number < range.to;
                prop_assert_eq!(numbers.iter().filter(inside).count(), range.count);
            }
            prop_assert_eq!(counts.ranges.iter().map(|range| range.count).sum::<usize>(), numbers.len());
        }
    }
}
