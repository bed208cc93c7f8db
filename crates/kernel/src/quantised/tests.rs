use super::*;
use crate::{Draws, dot_rows, top_k};
use proptest::prelude::*;

fn available() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

fn random_rows(n: usize, d: usize, seed: u64) -> Vec<f32> {
    let mut draws = Draws::new(seed, 0, 0);
    (0..n * d).map(|_| draws.normal()).collect()
}

fn quantise_rows(rows: &[f32], d: usize) -> (Vec<i8>, Vec<f32>) {
    let mut codes = vec![0; rows.len()];
    let scales = rows.chunks_exact(d).zip(codes.chunks_exact_mut(d)).map(|(row, out)| quantise(row, out)).collect();
    (codes, scales)
}

fn check(query: &QuantisedQuery, codes: &[i8], scales: &[f32]) {
    let d = query.dimensions();
    let mut expected = vec![0.0_f32; scales.len()];
    for (r, out) in expected.iter_mut().enumerate() {
        let row = &codes[r * d..][..d];
        let sum: i64 = row.iter().zip(query.codes()).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
        *out = i32::try_from(sum).expect("d is within MAX_DIMENSIONS") as f32 * scales[r] * query.scale();
    }
    for set in available() {
        let mut out = vec![f32::NAN; scales.len()];
        scan_with(set, query, codes, scales, &mut out);
        let same = expected.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{} d={d} n={}", set.name(), scales.len());
    }
}

#[test]
fn every_set_equals_the_integer_reference_for_odd_shapes() {
    for d in (1..=130).chain([255, 256, 257, 1000]) {
        for n in [1, 7, 8, 9, 15, 16, 17, 33] {
            let (codes, scales) = quantise_rows(&random_rows(n, d, 1), d);
            check(&QuantisedQuery::new(&random_rows(1, d, 2)), &codes, &scales);
        }
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for d in [64, 100, MAX_DIMENSIONS] {
        for value in [1.0, -1.0] {
            let query = QuantisedQuery::new(&vec![value; d]);
            for code in [-128, -127, 127] {
                check(&query, &vec![code; 17 * d], &[0.5; 17]);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_set_equals_the_integer_reference(codes in prop::collection::vec(any::<i8>(), 64 * 19), seed in any::<u64>()) {
        check(&QuantisedQuery::new(&random_rows(1, 64, seed)), &codes, &[0.25; 19]);
    }

    #[test]
    fn codes_are_within_half_a_step(row in prop::collection::vec(-1e3_f32..1e3, 1..100)) {
        let mut codes = vec![0; row.len()];
        let scale = quantise(&row, &mut codes);
        for (&x, &code) in row.iter().zip(&codes) {
            prop_assert!(code >= -127);
            prop_assert!((x - f32::from(code) * scale).abs() <= scale * 0.5001);
        }
    }
}

#[test]
fn zero_and_vanishing_rows_get_scale_zero() {
    for value in [0.0, -0.0, 1e-40, 1e-37] {
        let mut codes = [1; 5];
        assert_eq!(quantise(&[value; 5], &mut codes), 0.0);
        assert_eq!(codes, [0; 5]);
    }
}

#[test]
fn rows_with_nan_or_infinity_score_nan_in_every_set() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut codes = [1; 3];
        let scale = quantise(&[1.0, bad, 2.0], &mut codes);
        assert!(scale.is_nan());
        for set in available() {
            let mut out = [0.0];
            scan_with(set, &QuantisedQuery::new(&[1.0; 3]), &codes, &[scale], &mut out);
            assert!(out[0].is_nan());
        }
    }
}

#[test]
fn scanning_then_rescoring_the_best_50_finds_the_true_best_10() {
    let (n, d, n_queries) = (10_000, 64, 100);
    let rows = random_rows(n, d, 3);
    let (codes, scales) = quantise_rows(&rows, d);
    let queries = random_rows(n_queries, d, 4);
    let (mut exact, mut rough) = (vec![0.0; n], vec![0.0; n]);
    let mut found = 0;
    for query in queries.chunks_exact(d) {
        dot_rows(query, &rows, &mut exact);
        scan(&QuantisedQuery::new(query), &codes, &scales, &mut rough);
        let best_50 = top_k(&rough, 50);
        found += top_k(&exact, 10).iter().filter(|(_, id)| best_50.iter().any(|(_, other)| other == id)).count();
    }
    let recall = found as f64 / (n_queries * 10) as f64;
    assert!(recall >= 0.999, "recall@10 {recall}");
}

#[test]
#[should_panic(expected = "rows are not")]
fn rows_of_another_width_are_refused() {
    scan(&QuantisedQuery::new(&[1.0; 4]), &[0; 7], &[1.0; 2], &mut [0.0; 2]);
}
