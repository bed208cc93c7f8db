//! The contract of click models, checked for every model of the registry.

use accrue_kernel::Draws;
use accrue_model::collaborative::{Fit, FitError};
use accrue_model::ranker::{
    AnyClickSettings, AnyFittedClicks, ClickData, ClickKind, ClickRows, ClickShape, Feature, auc, calibration_error,
    deciles,
};

const N_USERS: u64 = 30;
const N_ITEMS: u64 = 20;
const SHAPE: ClickShape = ClickShape { n_fields: 3, n_rows: (N_USERS + N_ITEMS) as usize + 1 };

/// Users of even and odd numbers click on items of their own parity, more so at a high value of a measured feature. No
/// feature alone says anything: only pairs do.
fn rows(n: u64, seed: u64) -> ClickRows {
    let mut rows = ClickRows::default();
    for row in 0..n {
        let mut draws = Draws::new(seed, 7, row);
        let (user, item, x) = (draws.below(N_USERS), draws.below(N_ITEMS), draws.normal());
        let likes = if user % 2 == item % 2 { 1.5 } else { -1.5 };
        let p = accrue_kernel::sigmoid(likes + 0.5 * x);
        let feature = |field, row: u64, value| Feature { field, row: row as u32, value };
        let features = [feature(0, user, 1.0), feature(1, N_USERS + item, 1.0), feature(2, N_USERS + N_ITEMS, x)];
        rows.push(if draws.uniform() < p { 1.0 } else { 0.0 }, features);
    }
    rows
}

/// The settings of a model without its name.
fn defaults(kind: ClickKind) -> toml::Table {
    let tagged = toml::Table::try_from(kind.default_settings()).expect("plain settings");
    tagged.into_iter().find_map(|(_, own)| own.as_table().cloned()).expect("tagged by the name")
}

/// Small networks, so that the tests are fast.
fn settings(kind: ClickKind) -> AnyClickSettings {
    let mut own = defaults(kind);
    for (name, number) in
        [("hidden", 32), ("hidden_2", 32), ("layers", 2), ("heads", 4), ("batch", 128), ("epochs", 20), ("d", 4)]
    {
        if own.contains_key(name) {
            own.insert(name.into(), number.into());
        }
    }
    // A batch has so few rows that the pull must be weaker than in the published recipes. No feature alone tells
    // anything, so the first passes bring nothing.
    for (name, number) in [("l2", 1e-5), ("learning_rate", 1e-2), ("online_rate", 1e-2), ("slower", 1.0)] {
        own.insert(name.into(), number.into());
    }
    own.insert("patience".into(), 20.into());
    kind.read_settings(toml::Value::Table(own)).expect("settings of this model")
}

fn fitted(kind: ClickKind, threads: usize) -> Box<dyn AnyFittedClicks> {
    let (train, valid) = (rows(4_000, 1), rows(1_000, 2));
    let data = ClickData { train: &train, valid: &valid, shape: SHAPE };
    settings(kind).fit(data, &Fit::quiet(3, threads)).expect("plain data")
}

#[test]
fn pairs_of_features_are_learned_and_probabilities_are_calibrated() {
    let test = rows(4_000, 5);
    for &kind in ClickKind::ALL {
        let predicted = fitted(kind, 2).probabilities(&test, 2);
        let (auc, error) = (auc(test.labels(), &predicted), calibration_error(&deciles(test.labels(), &predicted)));
        // The true probabilities reach .86.
        assert!(auc > 0.83, "{}: {auc}", kind.name());
        assert!(error < 0.05, "{}: {error}", kind.name());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let test = rows(300, 5);
    for &kind in ClickKind::ALL {
        let one = fitted(kind, 1).probabilities(&test, 1);
        assert_eq!(one, fitted(kind, 3).probabilities(&test, 2), "{}", kind.name());
    }
}

#[test]
fn unseen_features_rows_without_features_and_extreme_values_have_finite_probabilities() {
    let mut odd = ClickRows::default();
    odd.push(0.0, []);
    odd.push(1.0, [Feature { field: 0, row: u32::MAX, value: 1.0 }, Feature { field: 9, row: 0, value: 1.0 }]);
    odd.push(1.0, [Feature { field: 2, row: (N_USERS + N_ITEMS) as u32, value: 4.0 }]);
    for &kind in ClickKind::ALL {
        let model = fitted(kind, 2);
        let predicted = model.probabilities(&odd, 2);
        assert!(predicted.iter().all(|p| (0.0..=1.0).contains(p)), "{}: {predicted:?}", kind.name());
        assert!(model.n_params() > 0);
    }
}

#[test]
fn a_stream_is_predicted_before_it_is_learned_and_learned_at_once() {
    let stream = rows(12_000, 8);
    for &kind in ClickKind::ALL {
        let run = |threads| {
            let mut model = settings(kind).online(ClickShape { n_rows: 10, ..SHAPE }, 3).expect("plain settings");
            let mut logits = vec![0.0; stream.len()];
            let (early, late) = logits.split_at_mut(6_000);
            model.predict_and_learn(&stream, 0, threads, early).expect("finite");
            // More features become known; what was learned stays.
            model.grow(SHAPE.n_rows);
            model.predict_and_learn(&stream, 6_000, threads, late).expect("finite");
            logits
        };
        let logits = run(1);
        assert_eq!(logits, run(2), "{}", kind.name());
        let late = auc(&stream.labels()[9_000..], &logits[9_000..]);
        assert!(late > 0.7, "{}: {late}", kind.name());
        assert!(logits[0].abs() < 0.5, "{}: nothing is known of the first row: {}", kind.name(), logits[0]);
    }
}

#[test]
fn a_row_with_enormous_values_leaves_the_weights_finite() {
    let (stream, plain) = (rows(500, 8), rows(50, 9));
    let mut enormous = ClickRows::default();
    let feature = |field, row: u64| Feature { field, row: row as u32, value: 1e30 };
    enormous.push(1.0, [feature(0, 1), feature(1, N_USERS + 1), feature(2, N_USERS + N_ITEMS)]);
    enormous.push(0.0, [feature(2, N_USERS + N_ITEMS)]);
    for &kind in ClickKind::ALL {
        let mut model = settings(kind).online(SHAPE, 3).expect("plain settings");
        let mut logits = vec![0.0; stream.len()];
        model.predict_and_learn(&stream, 0, 1, &mut logits).expect("finite");
        for row in 0..enormous.len() {
            // Whether the row is refused is the model's own affair.
            let _ = model.predict_and_learn(&enormous, row, 1, &mut [0.0]);
        }
        let mut after = vec![0.0; plain.len()];
        model.predict_and_learn(&plain, 0, 1, &mut after).expect("finite");
        assert!(after.iter().all(|logit| logit.is_finite()), "{}: {after:?}", kind.name());
    }
}

#[test]
fn invalid_settings_are_refused_with_their_names() {
    let rows = rows(50, 1);
    let data = ClickData { train: &rows, valid: &rows, shape: SHAPE };
    for &kind in ClickKind::ALL {
        let mut own = defaults(kind);
        own.insert("d".into(), 0.into());
        let bad = kind.read_settings(toml::Value::Table(own)).expect("a number");
        let error = bad.fit(data, &Fit::quiet(1, 1)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("d=0"), "{}: {error}", kind.name());
        let empty = ClickRows::default();
        let nothing = ClickData { train: &empty, valid: &rows, shape: SHAPE };
        let error = settings(kind).fit(nothing, &Fit::quiet(1, 1)).err();
        assert_eq!(error, Some(FitError::Empty), "{}", kind.name());
    }
}
