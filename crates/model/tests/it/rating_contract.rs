//! The contract of models of ratings, checked for every model of the registry.

use accrue_kernel::Draws;
use accrue_model::collaborative::ratings::{AnyRatingModel, RatingKind, Ratings};
use accrue_model::collaborative::{Fit, FitError};

const N_ITEMS: usize = 13;

/// Half of the users like items 0–5 and dislike 6–11, the others the reverse; item 12 was never rated. Stars from 1 to 5.
fn two_tastes() -> Ratings {
    let users = (0..60_u64).map(|user| {
        let mut draws = Draws::new(5, 6, user);
        let rated = (0..12_u32).filter(|_| draws.below(3) > 0).collect::<Vec<_>>();
        let stars = |item: u32| if u64::from(item / 6) == user % 2 { 4.0 } else { 2.0 };
        rated.into_iter().map(|item| (item, stars(item) + draws.below(3) as f32 - 1.0)).collect()
    });
    Ratings::new(N_ITEMS, users.collect())
}

fn fitted(kind: RatingKind, threads: usize) -> AnyRatingModel {
    kind.default_settings().fit(&two_tastes(), &Fit::quiet(3, threads)).expect("the defaults fit plain data")
}

fn rates(model: &AnyRatingModel, rated: &[(u32, f32)]) -> Vec<f32> {
    let items: Vec<u32> = (0..N_ITEMS as u32).collect();
    let mut out = vec![f32::NAN; N_ITEMS];
    model.rate(rated, &items, &mut out);
    out
}

const LISTS: [&[(u32, f32)]; 4] = [&[], &[(0, 5.0), (7, 1.0)], &[(12, 3.0)], &[(3, 1.0)]];

#[test]
fn every_rating_is_finite_within_the_scale_and_pure() {
    for &kind in RatingKind::ALL {
        let model = fitted(kind, 2);
        for rated in LISTS {
            let first = rates(&model, rated);
            assert!(first.iter().all(|rating| (1.0..=5.0).contains(rating)), "{}: {rated:?}: {first:?}", kind.name());
            assert_eq!(first, rates(&model, rated), "{}: {rated:?}", kind.name());
        }
        assert!(model.n_params() > 0, "{}", kind.name());
    }
}

#[test]
fn a_rating_does_not_depend_on_the_other_items_in_the_request() {
    for &kind in RatingKind::ALL {
        let (model, mut alone) = (fitted(kind, 2), [f32::NAN]);
        let together = rates(&model, LISTS[1]);
        for (item, &expected) in (0..).zip(&together) {
            model.rate(LISTS[1], &[item], &mut alone);
            assert_eq!(alone[0], expected, "{}: {item}", kind.name());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    for &kind in RatingKind::ALL {
        let bytes = |threads| postcard::to_allocvec(&fitted(kind, threads)).expect("models can be written");
        assert!(bytes(1) == bytes(3), "{}", kind.name());
    }
}

#[test]
fn a_saved_model_rates_as_before() {
    for &kind in RatingKind::ALL {
        let model = fitted(kind, 2);
        let bytes = postcard::to_allocvec(&model).expect("models can be written");
        let loaded: AnyRatingModel = postcard::from_bytes(&bytes).expect("what was written can be read");
        for rated in LISTS {
            assert_eq!(rates(&loaded, rated), rates(&model, rated), "{}: {rated:?}", kind.name());
        }
    }
}

#[test]
fn a_taste_is_recognised() {
    for &kind in RatingKind::ALL {
        if kind == RatingKind::Baseline {
            continue; // The baseline has biases of users and items, but no similarities.
        }
        let found = rates(&fitted(kind, 2), &[(0, 5.0), (1, 5.0), (2, 5.0), (6, 1.0), (7, 1.0), (8, 1.0)]);
        let (own, other) = (found[3] + found[4] + found[5], found[9] + found[10] + found[11]);
        assert!(own > other + 1.0, "{}: {found:?}", kind.name());
    }
}

#[test]
fn one_rating_is_enough_and_none_is_an_error() {
    for &kind in RatingKind::ALL {
        let one = kind.default_settings().fit(&Ratings::new(2, vec![vec![(0, 4.0)]]), &Fit::quiet(1, 2));
        let model = one.unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
        let mut out = [f32::NAN; 2];
        model.rate(&[(1, 3.0)], &[0, 1], &mut out);
        assert!(out.iter().all(|rating| rating.is_finite()), "{}: {out:?}", kind.name());
        let none = kind.default_settings().fit(&Ratings::new(2, vec![Vec::new()]), &Fit::quiet(1, 2));
        assert_eq!(none.err(), Some(FitError::Empty), "{}", kind.name());
    }
}
