use super::*;
use crate::Init;

/// Compares the gradients of a network with finite differences of its loss, a fixed weighting of the outputs.
///
/// `build` adds weights; `run` is the forward pass from a leaf to an output.
fn check<W: Copy>(
    what: &str,
    segments: &[usize],
    width: usize,
    build: impl Fn(&mut Weights) -> W,
    run: impl Fn(&mut Tape, Var, W) -> Var,
) {
    let mut weights = Weights::new(11);
    let ids = build(&mut weights);
    let n: usize = segments.iter().sum();
    let mut draws = Draws::new(12, 0, 0);
    let mut x: Vec<f32> = (0..n * width).map(|_| draws.normal()).collect();
    let mut buffers = Buffers::default();
    let mut loss = |weights: &Weights, x: &[f32], gradient: Option<&mut Vec<f32>>| -> (f64, Vec<f32>) {
        let mode = Mode::Train(Draws::new(5, 6, 7));
        let mut tape = Tape::new(&mut buffers, weights, segments, mode);
        let leaf = tape.leaf(n, width, |to| to.copy_from_slice(x));
        let out = run(&mut tape, leaf, ids);
        let slope = |i: usize| ((i * 7 + 3) % 11) as f32 * 0.2 - 1.0;
        let total = tape.value(out).iter().enumerate().map(|(i, &y)| f64::from(y) * f64::from(slope(i))).sum();
        if let Some(gradient) = gradient {
            for (i, to) in tape.gradient_mut(out).iter_mut().enumerate() {
                *to = slope(i);
            }
            tape.backward(gradient);
            return (total, tape.gradient(leaf).to_vec());
        }
        (total, Vec::new())
    };
    let mut gradient = vec![0.0; weights.values().len()];
    let (_, dx) = loss(&weights, &x, Some(&mut gradient));
    let agree = |found: f32, difference: f64, place: String| {
        let error = (f64::from(found) - difference).abs();
        assert!(error < 2e-2 * (1.0 + difference.abs()), "{what}, {place}: {found} against {difference}");
    };
    const STEP: f32 = 4e-3;
    for i in 0..x.len() {
        let before = x[i];
        x[i] = before + STEP;
        let above = loss(&weights, &x, None).0;
        x[i] = before - STEP;
        let below = loss(&weights, &x, None).0;
        x[i] = before;
        agree(dx[i], (above - below) / f64::from(2.0 * STEP), format!("input {i}"));
    }
    // Checking every third weight is enough and keeps the test fast.
    for i in (0..gradient.len()).step_by(3) {
        let mut at = |step: f32| {
            weights.change(|values| values[i] += step);
            loss(&weights, &x, None).0
        };
        let (above, below) = (at(STEP), at(-2.0 * STEP));
        at(STEP);
        agree(gradient[i], (above - below) / f64::from(2.0 * STEP), format!("weight {i}"));
    }
}

fn no_weights(_: &mut Weights) {}

fn bias(weights: &mut Weights, n: usize) -> WeightId {
    weights.rows("bias", [1, n], Init::Normal { deviation: 0.3 })
}

#[test]
fn linear_layers_have_the_gradients_of_finite_differences() {
    let build = |weights: &mut Weights| (weights.matrix("w", [5, 3], Init::Xavier), bias(weights, 3));
    check("linear", &[4], 5, build, |tape, x, (w, b)| tape.linear(x, w, Some(b)));
    check("linear without bias", &[4], 5, build, |tape, x, (w, _)| tape.linear(x, w, None));
}

#[test]
fn normalisation_has_the_gradients_of_finite_differences() {
    let build =
        |weights: &mut Weights| (weights.rows("gain", [1, 7], Init::Normal { deviation: 1.0 }), bias(weights, 7));
    check("layer norm", &[3], 7, build, |tape, x, (gain, shift)| tape.layer_norm(x, gain, shift));
}

#[test]
fn elementwise_operations_have_the_gradients_of_finite_differences() {
    for rate in [0.0, 0.4] {
        for activation in [Activation::Identity, Activation::Gelu] {
            check("activate", &[3], 5, no_weights, |tape, x, ()| tape.activate(x, activation, rate));
        }
        check("relu", &[3], 5, no_weights, |tape, x, ()| {
            // Keeps x away from 0, where a finite difference would span both slopes.
            let x = tape.product(x, x);
            tape.activate(x, Activation::Relu, rate)
        });
        check("dropout", &[3], 5, no_weights, |tape, x, ()| tape.dropout(x, rate));
        check("residual", &[3], 5, no_weights, |tape, x, ()| {
            let y = tape.tanh(x);
            tape.add_dropped(x, y, rate)
        });
    }
    check("sigmoid", &[3], 5, no_weights, |tape, x, ()| tape.sigmoid(x));
    check("square", &[3], 5, no_weights, |tape, x, ()| tape.product(x, x));
    check("concat", &[3], 5, no_weights, |tape, x, ()| {
        let y = tape.sigmoid(x);
        tape.concat(x, y)
    });
    check("row dots", &[3], 5, no_weights, |tape, x, ()| {
        let y = tape.sigmoid(x);
        tape.row_dots(x, y)
    });
    check("pair products", &[3], 6, no_weights, |tape, x, ()| tape.pair_products(x, 2));
    check("columns", &[3], 5, no_weights, |tape, x, ()| tape.columns(x, 1, 3));
    check("select", &[4], 5, no_weights, |tape, x, ()| tape.select(x, &[3, 0, 3]));
    check("max", &[3, 1, 2], 4, no_weights, |tape, x, ()| tape.max_over_segments(x));
}

#[test]
fn positions_have_the_gradients_of_finite_differences() {
    let build = |weights: &mut Weights| weights.rows("positions", [6, 4], Init::Xavier);
    check("positions", &[3, 2], 4, build, |tape, x, table| tape.add_rows(x, table, &[0, 1, 2, 0, 5]));
}

#[test]
fn attention_has_the_gradients_of_finite_differences() {
    for (n_heads, is_causal, dropout) in [(1, true, 0.0), (2, true, 0.3), (2, false, 0.0)] {
        let how = Attention { n_heads, is_causal, dropout };
        check(&format!("{how:?}"), &[5, 1, 3], 12, no_weights, |tape, x, ()| tape.attention(x, how));
    }
}

#[test]
fn gated_units_have_the_gradients_of_finite_differences() {
    let build = |weights: &mut Weights| (weights.matrix("w", [3, 9], Init::Xavier), bias(weights, 9));
    check("gru", &[4, 1, 3], 9, build, |tape, x, (w, b)| tape.gru(x, w, b));
}

#[test]
fn convolutions_have_the_gradients_of_finite_differences() {
    let build = |weights: &mut Weights| (weights.matrix("w", [6, 4], Init::Xavier), bias(weights, 4));
    for dilation in [1, 2] {
        check("convolution", &[5, 1, 2], 2, build, |tape, x, (w, b)| tape.convolution(x, w, b, 3, dilation));
    }
}

#[test]
fn sliding_operations_have_the_gradients_of_finite_differences() {
    for reach in [1, 2, 9] {
        // With this shape no two maxima are so close that a finite difference would span both.
        check("sliding max", &[5, 1, 3], 2, no_weights, |tape, x, ()| tape.sliding_max(x, reach));
    }
    let build = |weights: &mut Weights| weights.rows("w", [2, 3], Init::Normal { deviation: 0.5 });
    check("vertical convolution", &[5, 1, 2], 4, build, |tape, x, w| tape.vertical_convolution(x, w));
}

/// Runs operations without weights and returns the output.
fn value(segments: &[usize], width: usize, x: &[f32], run: impl Fn(&mut Tape, Var) -> Var) -> Vec<f32> {
    let (mut buffers, weights) = (Buffers::default(), Weights::new(0));
    let mut tape = Tape::new(&mut buffers, &weights, segments, Mode::Predict);
    let x = tape.leaf(segments.iter().sum(), width, |to| to.copy_from_slice(x));
    let out = run(&mut tape, x);
    tape.value(out).to_vec()
}

#[test]
fn attention_over_equal_keys_is_the_mean_of_the_visible_values() {
    // Queries and keys are 0, so all visible rows have equal weight; the values are 1, 3, 8.
    let qkv = [0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 8.0];
    let how = |is_causal| Attention { n_heads: 1, is_causal, dropout: 0.0 };
    let run = |segments: &[usize], is_causal| value(segments, 3, &qkv, |tape, x| tape.attention(x, how(is_causal)));
    assert_eq!(run(&[3], true), [1.0, 2.0, 4.0]);
    assert_eq!(run(&[3], false), [4.0; 3]);
    // A sequence does not attend to the one before it.
    assert_eq!(run(&[2, 1], true), [1.0, 2.0, 8.0]);
}

#[test]
fn attention_gives_the_most_weight_to_the_matching_key() {
    // One row's query matches the first key: softmax(√½ · (2, 0)) over the values 1 and 0.
    let qkv = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let how = Attention { n_heads: 1, is_causal: true, dropout: 0.0 };
    let out = value(&[2], 6, &qkv, |tape, x| tape.attention(x, how));
    let weight = (2.0_f32 * 0.5_f32.sqrt()).exp();
    assert!((out[2] - weight / (weight + 1.0)).abs() < 1e-6, "{out:?}");
}

/// Compares with values that can be computed by hand, within a millionth.
fn golden(
    what: &str,
    segments: &[usize],
    width: usize,
    x: &[f32],
    expected: &[f32],
    run: impl Fn(&mut Tape, Var) -> Var,
) {
    let found = value(segments, width, x, run);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{what}: {found} against {expected}");
    }
}

#[test]
fn elementwise_operations_have_the_values_of_their_formulas() {
    let x = [-2.0, 0.0, 0.5, 3.0];
    golden("identity", &[1], 4, &x, &x, |tape, x| tape.activate(x, Activation::Identity, 0.0));
    golden("relu", &[1], 4, &x, &[0.0, 0.0, 0.5, 3.0], |tape, x| tape.activate(x, Activation::Relu, 0.0));
    // x · Φ(x), from tables of the normal distribution.
    let gelu = [-0.045_500_264, 0.0, 0.345_731_23, 2.995_950_3];
    golden("gelu", &[1], 4, &x, &gelu, |tape, x| tape.activate(x, Activation::Gelu, 0.0));
    let sigmoid = [0.119_202_92, 0.5, 0.622_459_35, 0.952_574_13];
    golden("sigmoid", &[1], 4, &x, &sigmoid, |tape, x| tape.sigmoid(x));
    let tanh = [-0.964_027_6, 0.0, 0.462_117_16, 0.995_054_8];
    golden("tanh", &[1], 4, &x, &tanh, |tape, x| tape.tanh(x));
    golden("product", &[1], 4, &x, &[4.0, 0.0, 0.25, 9.0], |tape, x| tape.product(x, x));
    golden("add", &[1], 4, &x, &[-4.0, 0.0, 1.0, 6.0], |tape, x| tape.add(x, x));
    golden("nothing dropped", &[1], 4, &x, &[-4.0, 0.0, 1.0, 6.0], |tape, x| tape.add_dropped(x, x, 0.9));
}

#[test]
fn rows_are_joined_and_selected_in_the_given_order() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let beside = [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0];
    golden("concat", &[3], 2, &x, &beside, |tape, x| tape.concat(x, x));
    golden("row dots", &[3], 2, &x, &[5.0, 25.0, 61.0], |tape, x| tape.row_dots(x, x));
    golden("select", &[3], 2, &x, &[5.0, 6.0, 1.0, 2.0, 5.0, 6.0], |tape, x| tape.select(x, &[2, 0, 2]));
    // 1 · 3 + (1 + 3) · 5 and 2 · 4 + (2 + 4) · 6.
    golden("pair products", &[1], 6, &x, &[23.0, 44.0], |tape, x| tape.pair_products(x, 2));
    golden("columns", &[2], 3, &x, &[2.0, 3.0, 5.0, 6.0], |tape, x| tape.columns(x, 1, 2));
    let peaks = [1.0, 9.0, 3.0, 4.0, -5.0, -6.0];
    golden("max", &[2, 1], 2, &peaks, &[3.0, 9.0, -5.0, -6.0], |tape, x| tape.max_over_segments(x));
}

#[test]
fn layers_have_the_values_of_their_formulas() {
    let mut weights = Weights::new(0);
    let w = weights.matrix("w", [2, 3], Init::Constant(0.0));
    let b = weights.rows("b", [1, 3], Init::Constant(0.0));
    let gain = weights.rows("gain", [1, 2], Init::Constant(2.0));
    let shift = weights.rows("shift", [1, 2], Init::Constant(0.5));
    let table = weights.rows("positions", [2, 2], Init::Constant(0.0));
    let kernel = weights.matrix("kernel", [4, 1], Init::Constant(0.0));
    let kernel_bias = weights.rows("kernel.bias", [1, 1], Init::Constant(10.0));
    let ranges = [w, b, table, kernel].map(|id| weights.range(id));
    weights.change(|values| {
        let numbers: [&[f32]; 4] =
            [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.1, 0.2, 0.3], &[10.0, 20.0, 30.0, 40.0], &[1.0, 2.0, 3.0, 4.0]];
        ranges.into_iter().zip(numbers).for_each(|(range, numbers)| values[range].copy_from_slice(numbers));
    });
    let mut buffers = Buffers::default();
    let mut tape = Tape::new(&mut buffers, &weights, &[2], Mode::Predict);
    let x = tape.leaf(2, 2, |x| x.copy_from_slice(&[1.0, -1.0, 0.0, 2.0]));
    let close = |tape: &Tape, of: Var, expected: &[f32]| {
        for (found, expected) in tape.value(of).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{:?} against {expected}", tape.value(of));
        }
        assert_eq!(tape.value(of).len(), expected.len());
    };
    let y = tape.linear(x, w, Some(b));
    close(&tape, y, &[-2.9, -2.8, -2.7, 8.1, 10.2, 12.3]);
    let y = tape.linear(x, w, None);
    close(&tape, y, &[-3.0, -3.0, -3.0, 8.0, 10.0, 12.0]);
    // The elements of a row of two differ from their mean by one deviation each.
    let y = tape.layer_norm(x, gain, shift);
    close(&tape, y, &[2.5, -1.5, -1.5, 2.5]);
    let y = tape.add_rows(x, table, &[1, 0]);
    close(&tape, y, &[31.0, 39.0, 10.0, 22.0]);
    // Zeros, then (1, -1); (1, -1), then (0, 2): times 1, 2 and 3, 4, plus 10.
    let y = tape.convolution(x, kernel, kernel_bias, 2, 1);
    close(&tape, y, &[9.0, 17.0]);
}

#[test]
fn unfolding_gives_earlier_rows_and_zeros_before_the_first() {
    let out = value(&[3, 1], 1, &[1.0, 2.0, 3.0, 4.0], |tape, x| tape.unfold(x, 2, 1));
    assert_eq!(out, [0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 0.0, 4.0]);
}

#[test]
fn a_sliding_maximum_covers_its_reach_and_stays_in_its_sequence() {
    let out = value(&[4, 2], 1, &[5.0, 1.0, 2.0, -1.0, -7.0, -8.0], |tape, x| tape.sliding_max(x, 2));
    assert_eq!(out, [5.0, 5.0, 2.0, 2.0, -7.0, -7.0]);
}

#[test]
fn the_earliest_of_equal_maxima_gets_the_gradient() {
    let (mut buffers, weights) = (Buffers::default(), Weights::new(0));
    let mut tape = Tape::new(&mut buffers, &weights, &[3], Mode::Predict);
    let x = tape.leaf(3, 1, |x| x.fill(2.0));
    let out = tape.sliding_max(x, 2);
    tape.gradient_mut(out).copy_from_slice(&[1.0, 10.0, 100.0]);
    tape.backward(&mut []);
    assert_eq!(tape.gradient(x), [11.0, 100.0, 0.0]);
}

#[test]
fn vertical_filters_weight_the_rows_of_all_columns_equally() {
    let mut weights = Weights::new(0);
    let w = weights.rows("w", [2, 2], Init::Constant(0.0));
    weights.change(|w| w.copy_from_slice(&[10.0, 1.0, 0.0, 3.0]));
    let mut buffers = Buffers::default();
    let mut tape = Tape::new(&mut buffers, &weights, &[2, 1], Mode::Predict);
    let x = tape.leaf(3, 2, |x| x.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let out = tape.vertical_convolution(x, w);
    let first = [1.0, 2.0, 3.0, 6.0];
    let second = [13.0, 24.0, 9.0, 12.0];
    let third = [5.0, 6.0, 15.0, 18.0];
    assert_eq!(tape.value(out), [first, second, third].concat());
}

#[test]
fn a_gated_unit_has_the_values_of_its_formula() {
    let mut weights = Weights::new(0);
    let w = weights.matrix("w", [1, 3], Init::Constant(0.5));
    let b = weights.rows("b", [1, 3], Init::Constant(0.1));
    let mut buffers = Buffers::default();
    let mut tape = Tape::new(&mut buffers, &weights, &[2], Mode::Predict);
    let gates = tape.leaf(2, 3, |x| x.copy_from_slice(&[0.2, -0.3, 0.4, 0.1, 0.0, -0.2]));
    let out = tape.gru(gates, w, b);
    let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
    let step = |x: [f64; 3], h: f64| {
        let (r, z) = (sigma(x[0] + 0.5 * h + 0.1), sigma(x[1] + 0.5 * h + 0.1));
        let c = (x[2] + r * (0.5 * h + 0.1)).tanh();
        (1.0 - z) * c + z * h
    };
    let first = step([0.2, -0.3, 0.4], 0.0);
    let second = step([0.1, 0.0, -0.2], first);
    for (found, expected) in tape.value(out).iter().zip([first, second]) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn predicting_drops_nothing_and_training_masks_repeat_for_the_same_key() {
    let (mut buffers, weights) = (Buffers::default(), Weights::new(0));
    let mut run = |mode| {
        let mut tape = Tape::new(&mut buffers, &weights, &[50], mode);
        let x = tape.leaf(50, 4, |x| x.fill(1.0));
        let out = tape.dropout(x, 0.5);
        tape.value(out).to_vec()
    };
    assert_eq!(run(Mode::Predict), [1.0; 200]);
    let train = |counter| Mode::Train(Draws::new(1, 2, counter));
    let dropped = run(train(3));
    assert!(dropped.contains(&0.0) && dropped.contains(&2.0));
    assert_eq!(dropped, run(train(3)));
    assert_ne!(dropped, run(train(4)));
}

#[test]
fn buffers_of_a_longer_tape_do_not_change_the_result() {
    let mut weights = Weights::new(3);
    let w = weights.matrix("w", [12, 4], Init::Xavier);
    let run = |buffers: &mut Buffers, length: usize| {
        let segments = [length];
        let mut tape = Tape::new(buffers, &weights, &segments, Mode::Predict);
        let x = tape.leaf(length, 12, |x| x.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.3).sin()));
        let out = tape.linear(x, w, None);
        tape.gradient_mut(out).fill(1.0);
        let mut gradient = vec![0.0; weights.values().len()];
        tape.backward(&mut gradient);
        gradient.extend_from_slice(tape.gradient(x));
        gradient
    };
    let mut used = Buffers::default();
    run(&mut used, 30);
    assert_eq!(run(&mut used, 5), run(&mut Buffers::default(), 5));
}

#[test]
#[should_panic(expected = "linear: [1, 2]·[3, 4]")]
fn shapes_that_do_not_match_are_refused() {
    let mut weights = Weights::new(0);
    let w = weights.matrix("w", [3, 4], Init::Xavier);
    let mut buffers = Buffers::default();
    let mut tape = Tape::new(&mut buffers, &weights, &[1], Mode::Predict);
    let x = tape.leaf(1, 2, |_| {});
    tape.linear(x, w, None);
}
