//! A fitted model: the offsets at which its fits begin and take effect are part of the fold; the thread that computes them is not.

use accrue_model::collaborative::{AnySettings, Kind, SampledFactorizationSettings};
use accrue_model::{FittedKind, Part, SequenceKind};
use accrue_train::Learner;

use crate::shop::{facts, fitting, follow, records, settings, settings_with};

fn bytes(learner: &Learner) -> Vec<u8> {
    postcard::to_stdvec(learner).unwrap()
}

fn n_fits(learner: &Learner) -> u64 {
    learner.ensemble().fitted().unwrap().n_fits()
}

#[test]
fn every_fitted_model_goes_on_to_the_same_bytes_wherever_it_was_stopped() {
    let records = records(560, 2);
    let facts = facts(&records);
    for &kind in Kind::ALL {
        let start = Learner::new(fitting(settings_with(Part::Blend, SequenceKind::None), kind));
        let mut whole = start.clone();
        follow(&mut whole, &facts, &records);
        assert!(n_fits(&whole) >= 4, "{}: {}", kind.name(), n_fits(&whole));
        // Just before a fit begins, while it waits to be in force, and long after.
        for stop in [165, 215, 559] {
            let mut learner = start.clone();
            follow(&mut learner, &facts, &records[..stop]);
            let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
            assert!(resumed == learner, "{} at {stop}", kind.name());
            follow(&mut resumed, &facts, &records);
            assert!(bytes(&resumed) == bytes(&whole), "{} stopped at {stop}", kind.name());
        }
    }
}

#[test]
fn a_fit_computed_ahead_by_another_thread_is_the_fit_that_is_due() {
    let records = records(600, 2);
    let facts = facts(&records);
    let mut waited = Learner::new(settings(Part::Fitted));
    follow(&mut waited, &facts, &records);
    let mut spared = Learner::new(settings(Part::Fitted));
    let mut n_ahead = 0;
    for end in 1..=records.len() {
        follow(&mut spared, &facts, &records[..end]);
        for fit in spared.pending_fits().filter(|fit| fit.claim()) {
            let fit = fit.clone();
            n_ahead += 1;
            std::thread::spawn(move || fit.compute()).join().unwrap();
        }
    }
    assert!(n_ahead >= 4 && n_ahead >= n_fits(&spared), "{n_ahead}");
    assert!(bytes(&spared) == bytes(&waited));
}

#[test]
fn a_failed_fit_is_reported_and_learning_goes_on() {
    let records = records(700, 3);
    let facts = facts(&records);
    let mut exploding = settings(Part::Fitted);
    let mf = SampledFactorizationSettings { rate: 1e30, ..SampledFactorizationSettings::default() };
    exploding.models.fitted.model = FittedKind::of(AnySettings::SampledFactorization(mf));
    let mut learner = Learner::new(exploding);
    follow(&mut learner, &facts, &records);
    let fitted = learner.ensemble().fitted().unwrap();
    assert!(fitted.n_fits() == 0 && fitted.n_failed() >= 4, "{} {}", fitted.n_fits(), fitted.n_failed());
    assert!(fitted.fault().is_some_and(|fault| fault.contains("diverged")), "{:?}", fitted.fault());
}

#[test]
fn a_fitted_model_is_begun_and_ended_by_settings_and_the_blend_goes_on() {
    let records = records(900, 3);
    let facts = facts(&records);
    let without = settings_with(Part::Blend, SequenceKind::None);
    let mut learner = Learner::new(without.clone());
    follow(&mut learner, &facts, &records[..600]);
    let mut ensemble = learner.ensemble().clone();
    let blend = ensemble.blend.clone();
    ensemble.set_settings(fitting(without.clone(), Kind::Markov).models, 1);
    assert!(ensemble.fitted().is_some());
    ensemble.set_settings(without.models, 1);
    assert!(ensemble.fitted().is_none());
    assert_eq!(ensemble.blend, blend);
}

#[test]
fn the_blend_learns_the_curve_of_a_fitted_model() {
    let records = records(4000, 6);
    let facts = facts(&records);
    let settings = fitting(settings_with(Part::Blend, SequenceKind::None), Kind::Ease);
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts, &records);
    assert!(n_fits(&learner) > 30);
    assert!(learner.quality().all.hit_rate() > 0.6, "hit rate {}", learner.quality().all.hit_rate());
}
