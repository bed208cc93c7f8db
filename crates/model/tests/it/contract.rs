//! The contract of fitted models, checked for every model of the registry.

use accrue_model::collaborative::{AnyModel, Fit, FitError, Interactions, Kind};

/// Items 0–9 and 10–19 are two tastes; each user goes through one of them in order. Item 20 was never chosen.
fn two_tastes() -> Interactions {
    let mut draws = accrue_kernel::Draws::new(7, 1, 1);
    let walk = |taste: u32, draws: &mut accrue_kernel::Draws| -> Vec<u32> {
        let (start, length) = (draws.below(10) as u32, 3 + draws.below(5) as u32);
        (start..start + length).map(|step| taste * 10 + step % 10).collect()
    };
    Interactions::new(21, (0..80).map(|user| walk(user % 2, &mut draws)).collect::<Vec<_>>())
}

fn fitted(kind: Kind, seed: u64, threads: usize) -> AnyModel {
    kind.default_settings().fit(&two_tastes(), &Fit::quiet(seed, threads)).expect("the defaults fit plain data")
}

fn scores(model: &AnyModel, history: &[u32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; 21];
    model.score(history, &mut out);
    out
}

fn for_all(check: impl Fn(Kind, AnyModel)) {
    for &kind in Kind::ALL {
        check(kind, fitted(kind, 3, 2));
    }
}

const HISTORIES: [&[u32]; 5] = [&[], &[1, 2, 3], &[20], &[13, 13, 12, 20], &[0]];

#[test]
fn every_score_is_finite_and_prediction_is_pure() {
    for_all(|kind, model| {
        for history in HISTORIES {
            let first = scores(&model, history);
            assert!(first.iter().all(|score| score.is_finite()), "{}: {history:?}: {first:?}", kind.name());
            assert_eq!(first, scores(&model, history), "{}: {history:?}", kind.name());
        }
    });
}

#[test]
fn a_batch_has_the_bits_of_single_scores() {
    for_all(|kind, model| {
        let mut batch = vec![f32::NAN; 21 * HISTORIES.len()];
        model.score_batch(&HISTORIES, &mut batch);
        for (history, batch) in HISTORIES.iter().zip(batch.chunks(21)) {
            assert_eq!(batch, scores(&model, history), "{}: {history:?}", kind.name());
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    for_all(|kind, model| {
        let bytes = |model: &AnyModel| postcard::to_allocvec(model).expect("models can be written");
        assert!(bytes(&model) == bytes(&fitted(kind, 3, 1)), "{}", kind.name());
    });
}

#[test]
fn a_saved_model_scores_as_before() {
    for_all(|kind, model| {
        let bytes = postcard::to_allocvec(&model).expect("models can be written");
        let loaded: AnyModel = postcard::from_bytes(&bytes).expect("what was written can be read");
        for history in HISTORIES {
            assert_eq!(scores(&loaded, history), scores(&model, history), "{}: {history:?}", kind.name());
        }
    });
}

#[test]
fn a_taste_is_recognised() {
    for_all(|kind, model| {
        if matches!(kind, Kind::ItemCounts | Kind::RecentRepeat) {
            return; // These models do not use which items are similar.
        }
        let scores = scores(&model, &[2, 3, 4]);
        let (own, other) = (scores[5] + scores[6], scores[15] + scores[16]);
        assert!(own > other, "{}: {scores:?}", kind.name());
        assert!(model.n_params() > 0, "{}", kind.name());
    });
}

#[test]
fn one_user_is_enough_and_none_is_an_error() {
    for &kind in Kind::ALL {
        let one = kind.default_settings().fit(&Interactions::new(3, [[0, 1]]), &Fit::quiet(1, 2));
        let model = one.unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
        let mut out = [f32::NAN; 3];
        model.score(&[0, 2], &mut out);
        assert!(out.iter().all(|score| score.is_finite()), "{}: {out:?}", kind.name());
        let nobody = Interactions::new(3, Vec::<Vec<u32>>::new());
        assert_eq!(kind.default_settings().fit(&nobody, &Fit::quiet(1, 2)), Err(FitError::Empty), "{}", kind.name());
    }
}
