use super::*;
use crate::{Draws, gelu};
use proptest::prelude::*;

fn available() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

fn random_matrix(n: usize, seed: u64) -> Vec<f32> {
    let mut draws = Draws::new(seed, 0, 0);
    (0..n).map(|_| draws.normal()).collect()
}

/// The definition of an element, computed without tiles. `a: [m, k], b: [k, n]`.
fn by_rule(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize), start: &[f32], activation: Activation) -> Vec<f32> {
    let mut out = start.to_vec();
    for row in 0..m {
        for column in 0..n {
            let sum = (0..k).fold(start[row * n + column], |sum, p| a[row * k + p].mul_add(b[p * n + column], sum));
            out[row * n + column] = match activation {
                Activation::Identity => sum,
                Activation::Relu => sum.max(0.0),
                Activation::Gelu => gelu(sum),
            };
        }
    }
    out
}

fn transpose(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|i| x[(i % rows) * cols + i / rows]).collect()
}

fn same_bits(found: &[f32], expected: &[f32]) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn check(shape @ (m, k, n): (usize, usize, usize), activation: Activation) {
    let (a, b) = (random_matrix(m * k, 1), random_matrix(k * n, 2));
    let (bias, before) = (random_matrix(n, 3), random_matrix(m * n, 4));
    let (a_t, b_t) = (transpose(&a, m, k), transpose(&b, k, n));
    let packed = Packed::of(View::new(&b, k, n));
    let packed_from_transposed = Packed::of(View::new(&b_t, n, k).transposed());
    assert!(same_bits(packed.panels(), packed_from_transposed.panels()), "packing of {shape:?}");
    let zeros = vec![0.0; m * n];
    let biases = bias.repeat(m);
    for (start, from) in [(Start::Zero, &zeros), (Start::Bias(&bias), &biases), (Start::Output, &before)] {
        let expected = by_rule(&a, &b, shape, from, activation);
        for set in available() {
            for left in [View::new(&a, m, k), View::new(&a_t, k, m).transposed()] {
                let mut out = before.clone();
                multiply_with(set, left, &packed, start, activation, ViewMut::new(&mut out, m, n));
                assert!(same_bits(&out, &expected), "{} {shape:?} {start:?} {activation:?}", set.name());
            }
        }
    }
}

#[test]
fn every_set_returns_the_defined_bits_at_every_tail() {
    for m in [1, 2, 3, 4, 5, 6, 7, 13] {
        for n in [1, 15, 16, 17, 48, 63, 64, 65, 100, 130] {
            check((m, 9, n), Activation::Identity);
        }
    }
    for k in [0, 1, 127, 128, 129, 330] {
        check((7, k, 70), Activation::Identity);
    }
    // Larger than one block in every dimension.
    check((193, 260, 385), Activation::Relu);
    check((50, 64, 64), Activation::Relu);
    check((13, 170, 70), Activation::Gelu);
}

#[test]
fn a_product_without_rows_or_columns_writes_nothing() {
    let mut out = [7.0; 4];
    let packed = Packed::of(View::new(&[], 3, 0));
    let no_columns = ViewMut::columns(&mut out, 2, 0, 2);
    multiply(View::new(&[1.0; 6], 2, 3), &packed, Start::Zero, Activation::Identity, no_columns);
    let packed = Packed::of(View::new(&[1.0; 6], 3, 2));
    let no_rows = ViewMut::columns(&mut out, 0, 2, 2);
    multiply(View::new(&[], 0, 3), &packed, Start::Zero, Activation::Identity, no_rows);
    assert_eq!(out, [7.0; 4]);
}

#[test]
fn packing_a_smaller_matrix_overwrites_a_larger_one() {
    let mut packed = Packed::of(View::new(&[7.0; 200], 2, 100));
    packed.pack(View::new(&[1.0, 2.0, 3.0], 3, 1));
    let mut out = [9.0];
    let ones = [1.0; 3];
    multiply(View::new(&ones, 1, 3), &packed, Start::Zero, Activation::Identity, ViewMut::new(&mut out, 1, 1));
    assert_eq!(out, [6.0]);
}

#[test]
fn columns_of_wider_matrices_are_read_and_written_in_place() {
    // Two heads of two columns each in rows of five.
    let wide: Vec<f32> = (0..15_u8).map(f32::from).collect();
    let identity = Packed::of(View::new(&[1.0, 0.0, 0.0, 1.0], 2, 2));
    let mut out = vec![-1.0; 15];
    let head = View::columns(&wide[2..], 3, 2, 5);
    multiply(head, &identity, Start::Zero, Activation::Identity, ViewMut::columns(&mut out[1..], 3, 2, 5));
    let expected = [-1.0, 2.0, 3.0, -1.0, -1.0, -1.0, 7.0, 8.0, -1.0, -1.0, -1.0, 12.0, 13.0, -1.0, -1.0];
    assert_eq!(out, expected);
}

#[test]
#[should_panic(expected = "multiply: [2, 3]·[2, 2]")]
fn shapes_that_do_not_match_are_refused() {
    let packed = Packed::of(View::new(&[0.0; 4], 2, 2));
    multiply(View::new(&[0.0; 6], 2, 3), &packed, Start::Zero, Activation::Identity, ViewMut::new(&mut [0.0; 4], 2, 2));
}

#[test]
#[should_panic(expected = "ends after the slice")]
fn a_view_past_the_end_is_refused() {
    View::columns(&[0.0; 9], 2, 4, 6);
}

proptest! {
    #[test]
    fn every_set_returns_the_defined_bits_at_any_shape(m in 1..20_usize, k in 0..40_usize, n in 1..140_usize) {
        check((m, k, n), Activation::Identity);
    }
}
