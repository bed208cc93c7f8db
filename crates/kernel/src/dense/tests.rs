use super::*;
use crate::Draws;
use proptest::prelude::*;

fn available() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

fn random_vector(n: usize, seed: u64) -> Vec<f32> {
    let mut draws = Draws::new(seed, 0, 0);
    (0..n).map(|_| draws.normal()).collect()
}

/// The definition of the sum, in its simplest form.
fn dot_by_rule(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let padded = |v: &[f32], i: usize| v.get(i).copied().unwrap_or(0.0);
    for i in 0..a.len().next_multiple_of(16) {
        lanes[i % 16] = padded(a, i).mul_add(padded(b, i), lanes[i % 16]);
    }
    for width in [8, 4, 2, 1] {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
    }
    lanes[0]
}

/// Equal bits; all `NaN`s count as equal.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

fn check(a: &[f32], b: &[f32]) {
    let alpha = b.first().copied().unwrap_or(0.3);
    let expected = dot_by_rule(a, b);
    for set in available() {
        let what = format!("{} d={}", set.name(), a.len());
        let found = dot_with(set, a, b);
        assert!(same(found, expected), "dot {what}: {found:e} {expected:e}");
        assert!(same(squared_norm_with(set, a), dot_by_rule(a, a)), "squared_norm {what}");
        let mut y = b.to_vec();
        axpy_with(set, alpha, a, &mut y);
        assert!((0..y.len()).all(|i| same(y[i], alpha.mul_add(a[i], b[i]))), "axpy {what}");
        let mut z = b.to_vec();
        axpby_with(set, alpha, a, 0.7, &mut z);
        assert!((0..z.len()).all(|i| same(z[i], alpha.mul_add(a[i], 0.7 * b[i]))), "axpby {what}");
        scale_with(set, alpha, &mut y);
        assert!((0..y.len()).all(|i| same(y[i], alpha.mul_add(a[i], b[i]) * alpha)), "scale {what}");
    }
}

#[test]
fn every_set_has_the_same_bits_at_every_length() {
    for d in (0..=130).chain([255, 256, 257, 1000, 4099]) {
        check(&random_vector(d, 1), &random_vector(d, 2));
    }
}

#[test]
fn zeros_denormals_and_infinities_have_the_same_bits() {
    for d in [1, 16, 17, 64, 100] {
        for value in [0.0, -0.0, 1e-40, -1e-40, 1e-23, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY] {
            check(&vec![value; d], &random_vector(d, 3));
            check(&vec![value; d], &vec![value; d]);
            check(&vec![value; d], &vec![-value; d]);
        }
    }
}

#[test]
fn a_nan_at_any_position_gives_nan() {
    for position in 0..40 {
        let mut a = random_vector(40, 4);
        a[position] = f32::NAN;
        for set in available() {
            assert!(dot_with(set, &a, &[0.0; 40]).is_nan());
            assert!(squared_norm_with(set, &a).is_nan());
        }
    }
}

proptest! {
    #[test]
    fn every_set_has_the_same_bits_on_any_floats(pairs in prop::collection::vec(any::<(f32, f32)>(), 0..80)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        check(&a, &b);
    }
}

#[test]
fn rows_have_the_bits_of_single_dots() {
    for d in (0..=34).chain([50, 64, 100, 128, 130, 384]) {
        for n in [0, 1, 3, 4, 5, 15, 16, 17, 40] {
            let (query, rows) = (random_vector(d, 5), random_vector(n * d, 6));
            for set in available() {
                let mut out = vec![f32::NAN; n];
                dot_rows_with(set, &query, &rows, &mut out);
                let all = (0..n).all(|r| same(out[r], dot_by_rule(&query, &rows[r * d..][..d])));
                assert!(all, "{} d={d} n={n}", set.name());
            }
        }
    }
}

#[test]
#[should_panic(expected = "lengths differ")]
fn dot_of_different_lengths_is_refused() {
    dot(&[1.0], &[1.0, 2.0]);
}

#[test]
#[should_panic(expected = "lengths differ")]
fn axpy_of_different_lengths_is_refused() {
    axpy(1.0, &[1.0], &mut [1.0, 2.0]);
}

#[test]
#[should_panic(expected = "rows are not")]
fn rows_of_another_width_are_refused() {
    dot_rows(&[1.0; 3], &[1.0; 7], &mut [0.0; 2]);
}
