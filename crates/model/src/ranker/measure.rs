//! How good predicted probabilities are: order, loss, calibration.
//!
//! In: labels (1 or 0) and predictions. Out: numbers. Empty input gives 0.

/// Probabilities are kept this far from 0 and 1 in a loss, so that one prediction cannot make it infinite.
const FLOOR: f64 = 1e-7;
/// Groups of equal size in which calibration is measured.
pub const DECILES: usize = 10;

/// The share of pairs of a positive and a negative row that are in the right order; ties count half.
/// `labels, scores: [n]`
pub fn auc(labels: &[f32], scores: &[f32]) -> f64 {
    let mut order: Vec<u32> = (0..labels.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
    let (mut negatives, mut ordered) = (0_u64, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a as usize] == scores[b as usize]) {
        let n_positive = tied.iter().filter(|&&index| labels[index as usize] > 0.5).count() as u64;
        let n_negative = tied.len() as u64 - n_positive;
        ordered += n_positive as f64 * (negatives as f64 + 0.5 * n_negative as f64);
        negatives += n_negative;
    }
    let positives = labels.len() as u64 - negatives;
    if positives == 0 || negatives == 0 { 0.0 } else { ordered / (positives as f64 * negatives as f64) }
}

/// The mean of `−ln p` of what happened. `labels, probabilities: [n]`
pub fn log_loss(labels: &[f32], probabilities: &[f32]) -> f64 {
    let loss = |(&label, &p): (&f32, &f32)| {
        let p = f64::from(p).clamp(FLOOR, 1.0 - FLOOR);
        -libm::log(if label > 0.5 { p } else { 1.0 - p })
    };
    labels.iter().zip(probabilities).map(loss).sum::<f64>() / labels.len().max(1) as f64
}

/// One tenth of the rows, from the least to the most probable.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decile {
    /// Number of rows.
    pub n: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of rows in which it happened.
    pub happened: f64,
}

/// Predicted and observed rates by tenths. `labels, probabilities: [n]`
pub fn deciles(labels: &[f32], probabilities: &[f32]) -> Vec<Decile> {
    let mut order: Vec<u32> = (0..labels.len() as u32).collect();
    // Equal predictions keep their order, which is independent of the labels.
    order.sort_by(|&a, &b| probabilities[a as usize].total_cmp(&probabilities[b as usize]));
    let n = order.len();
    let tenth = |place: usize| {
        let rows = &order[place * n / DECILES..(place + 1) * n / DECILES];
        let mean = |of: &[f32]| rows.iter().map(|&row| f64::from(of[row as usize])).sum::<f64>() / rows.len() as f64;
        Decile { n: rows.len(), predicted: mean(probabilities), happened: mean(labels) }
    };
    (0..DECILES).map(tenth).filter(|decile| decile.n > 0).collect()
}

/// The mean distance between predicted and observed rates over tenths, weighted by their rows: the expected
/// calibration error of Naeini, Cooper and Hauskrecht (AAAI 2015).
pub fn calibration_error(deciles: &[Decile]) -> f64 {
    let n: usize = deciles.iter().map(|decile| decile.n).sum();
    let weighted = deciles.iter().map(|decile| decile.n as f64 * (decile.predicted - decile.happened).abs());
    weighted.sum::<f64>() / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_ordered_pairs() {
        let labels = [1.0, 0.0, 1.0, 0.0, 0.0];
        // Pairs: (.9 over .8, .2, .5), (.5 over .2, ties .5, under .8).
        assert_eq!(auc(&labels, &[0.9, 0.8, 0.5, 0.2, 0.5]), (3.0 + 1.5) / 6.0);
        assert_eq!(auc(&labels, &[0.3; 5]), 0.5);
        assert_eq!(auc(&[1.0], &[0.3]), 0.0);
        assert_eq!(auc(&[], &[]), 0.0);
    }

    #[test]
    fn the_loss_is_that_of_its_formula_and_finite() {
        let expected = -(0.5_f64.ln() + 0.75_f64.ln()) / 2.0;
        assert!((log_loss(&[1.0, 0.0], &[0.5, 0.25]) - expected).abs() < 1e-9);
        assert!(log_loss(&[1.0], &[0.0]) < 17.0);
    }

    #[test]
    fn tenths_are_ordered_and_have_equal_size() {
        let probabilities: Vec<f32> = (0..100).map(|n| (n * 37 % 100) as f32 / 100.0).collect();
        let labels: Vec<f32> = probabilities.iter().map(|&p| f32::from(u8::from(p >= 0.5))).collect();
        let tenths = deciles(&labels, &probabilities);
        assert!(tenths.iter().all(|tenth| tenth.n == 10) && tenths.len() == 10);
        assert!((tenths[0].predicted - 0.045).abs() < 1e-6 && tenths[0].happened == 0.0);
        assert!((calibration_error(&tenths) - 0.25).abs() < 0.01, "{}", calibration_error(&tenths));
        assert_eq!(deciles(&[1.0], &[0.5]).len(), 1);
    }
}
