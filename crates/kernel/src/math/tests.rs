use super::*;
use crate::Draws;

/// Largest relative error of `f` against `truth` over every `step`-th f32 of a range; denormal results are skipped.
fn worst(f: fn(f32) -> f32, truth: fn(f64) -> f64, from: f32, to: f32, step: usize) -> f64 {
    let range = |a: f32, b: f32| (a.to_bits()..=b.to_bits()).step_by(step).map(f32::from_bits);
    let positive = range(from.max(0.0), to.max(0.0));
    let negative = range((-to).max(0.0), (-from).max(0.0)).map(|x| -x);
    let mut worst = 0.0_f64;
    for x in positive.chain(negative) {
        let expected = truth(f64::from(x));
        if expected.abs() < f64::from(f32::MIN_POSITIVE) || !(from..=to).contains(&x) {
            continue;
        }
        worst = worst.max(((f64::from(f(x)) - expected) / expected).abs());
    }
    worst
}

#[test]
fn errors_stay_within_the_documented_bounds() {
    // Two ulp are at most 2 · 2⁻²³ = 2.4e-7.
    type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f32, f32, f64);
    let cases: [Case; 8] = [
        ("exp", exp, f64::exp, -87.3, 88.72, 2.4e-7),
        ("exp2", exp2, f64::exp2, -126.0, 127.99, 2.4e-7),
        ("ln", ln, f64::ln, 1e-45, f32::MAX, 2.4e-7),
        ("ln near 1", ln, f64::ln, 0.5, 2.0, 2.4e-7),
        ("ln_1p", ln_1p, f64::ln_1p, -0.999_999, 1e30, 4e-7),
        ("sigmoid", sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -87.0, 100.0, 4e-7),
        ("softplus", softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), -87.0, 100.0, 4e-7),
        ("ln_1p of tiny", ln_1p, f64::ln_1p, -1e-3, 1e-3, 4e-7),
    ];
    for (what, f, truth, from, to, bound) in cases {
        let worst = worst(f, truth, from, to, 2003);
        println!("{what}: {worst:.2e}");
        assert!(worst <= bound, "{what}: {worst:e} is above {bound:e}");
    }
}

#[test]
fn extremes_are_defined() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    assert_eq!([exp(-inf), exp(-104.0), exp(0.0), exp(88.8), exp(inf)], [0.0, 0.0, 1.0, inf, inf]);
    assert_eq!([exp2(-inf), exp2(-151.0), exp2(0.0), exp2(128.0), exp2(inf)], [0.0, 0.0, 1.0, inf, inf]);
    assert_eq!([ln(0.0), ln(-0.0), ln(1.0), ln(inf)], [-inf, -inf, 0.0, inf]);
    assert_eq!([ln_1p(-1.0), ln_1p(0.0), ln_1p(1e-40), ln_1p(inf)], [-inf, 0.0, 1e-40, inf]);
    assert_eq!([sigmoid(-inf), sigmoid(0.0), sigmoid(inf)], [0.0, 0.5, 1.0]);
    assert_eq!([softplus(-inf), softplus(100.0), softplus(inf)], [0.0, 100.0, inf]);
    for f in [exp, exp2, ln, ln_1p, sigmoid, softplus] {
        assert!(f(nan).is_nan());
    }
    assert!(ln(-1.0).is_nan() && ln(-inf).is_nan() && ln_1p(-1.5).is_nan() && ln_1p(-inf).is_nan());
    assert!((exp(-100.0) - 3.8e-44).abs() <= 1.5e-45, "gradual underflow");
}

#[test]
fn exp2_of_integers_is_exact() {
    for n in -149..128 {
        assert_eq!(f64::from(exp2(n as f32)), 2.0_f64.powi(n), "2^{n}");
    }
}

#[test]
fn golden_bits_never_change() {
    let golden = [exp(1.0), exp2(0.3), ln(10.0), ln_1p(0.1), sigmoid(-2.0), softplus(0.7)].map(f32::to_bits);
    assert_eq!(golden, GOLDEN, "{golden:#x?}");
}
const GOLDEN: [u32; 6] = [0x402d_f854, 0x3f9d_9624, 0x4013_5d8e, 0x3dc3_31fc, 0x3df4_20a9, 0x3f8d_3533];

#[test]
fn softmax_sums_to_one_and_returns_log_sum_exp() {
    let mut draws = Draws::new(1, 0, 0);
    for n in (1..=40).chain([1000]) {
        let scores: Vec<f32> = (0..n).map(|_| 20.0 * draws.normal()).collect();
        let expected = scores.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        let mut probabilities = scores.clone();
        let found = f64::from(softmax_in_place(&mut probabilities));
        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} {expected}");
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn softmax_has_the_same_bits_on_every_set() {
    let mut draws = Draws::new(2, 0, 0);
    for n in 0..=130 {
        let scores: Vec<f32> = (0..n).map(|_| 10.0 * draws.normal()).collect();
        let expected: Vec<u32> = scores.iter().map(|&x| exp(x - 1.0).to_bits()).collect();
        for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let mut found = scores.clone();
            exp_of_differences_on(Supported::check(set), 1.0, &mut found);
            assert_eq!(found.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected, "{}", set.name());
        }
    }
}

#[test]
fn softmax_of_empty_infinite_and_nan_scores_is_as_documented() {
    let inf = f32::INFINITY;
    assert_eq!(softmax_in_place(&mut []), -inf);
    let mut masked = [-inf; 4];
    assert_eq!((softmax_in_place(&mut masked), masked), (-inf, [0.25; 4]));
    for bad in [f32::NAN, inf] {
        let mut scores = [1.0, bad, -inf];
        softmax_in_place(&mut scores);
        assert!(scores.iter().all(|x| x.is_nan()));
    }
    let mut only_nan = [-inf, f32::NAN];
    assert!(softmax_in_place(&mut only_nan).is_nan());
}

#[test]
fn quotients_are_rounded_twice_on_every_set() {
    let x: Vec<f64> = (0..37).map(|n| f64::from(n) * f64::from(n) * 1_234_567.25).collect();
    for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let mut out = vec![f32::NAN; x.len()];
        quotients_on(Supported::check(set), &x, 86_400_000.0, &mut out);
        let expected: Vec<f32> = x.iter().map(|x| (x / 86_400_000.0) as f32).collect();
        assert_eq!(out, expected, "{}", set.name());
    }
}
