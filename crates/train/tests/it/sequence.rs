//! Sequence networks in the learner: the contract of all models also holds while events wait for a training step.

use accrue_model::{Part, SequenceKind};
use accrue_train::Learner;

use crate::shop::{facts, follow, records, settings_with};

const KINDS: [SequenceKind; 3] = [SequenceKind::Gru, SequenceKind::Transformer, SequenceKind::Convolution];

fn bytes(learner: &Learner) -> Vec<u8> {
    postcard::to_stdvec(learner).unwrap()
}

#[test]
fn a_learner_that_stops_between_two_steps_goes_on_to_the_same_bytes() {
    let records = records(420, 2);
    let facts = facts(&records);
    for kind in KINDS {
        let start = Learner::new(settings_with(Part::Blend, kind));
        let mut whole = start.clone();
        follow(&mut whole, &facts, &records);
        assert!(whole.ensemble().sequence().unwrap().n_steps() > 20, "{kind:?}");
        // A step is taken every eight events: every place within one, and some further apart.
        for stop in (200..210).chain([61, 333, 419]) {
            let mut learner = start.clone();
            follow(&mut learner, &facts, &records[..stop]);
            let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
            assert!(resumed == learner, "{kind:?} at {stop}");
            follow(&mut resumed, &facts, &records);
            assert!(bytes(&resumed) == bytes(&whole), "{kind:?} stopped at {stop}");
        }
    }
}

#[test]
fn a_published_version_does_not_see_later_steps() {
    let records = records(400, 2);
    let facts = facts(&records);
    let mut learner = Learner::new(settings_with(Part::Blend, SequenceKind::Gru));
    follow(&mut learner, &facts, &records[..300]);
    let version = learner.publish();
    let at_publication = postcard::to_stdvec(&version.ensemble).unwrap();
    follow(&mut learner, &facts, &records);
    assert!(postcard::to_stdvec(&version.ensemble).unwrap() == at_publication);
    assert_ne!(learner.ensemble().sequence(), version.ensemble.sequence());
}

#[test]
fn a_network_is_begun_and_ended_by_settings_and_the_blend_goes_on() {
    let records = records(900, 3);
    let facts = facts(&records);
    let without = settings_with(Part::Blend, SequenceKind::None);
    let mut learner = Learner::new(without.clone());
    follow(&mut learner, &facts, &records[..600]);
    let mut ensemble = learner.ensemble().clone();
    let blend = ensemble.blend.clone();
    ensemble.set_settings(settings_with(Part::Blend, SequenceKind::Gru).models, 1);
    assert!(ensemble.sequence().is_some());
    assert_eq!(ensemble.blend.n_columns(), blend.n_columns() + 1);
    ensemble.set_settings(without.models, 1);
    assert!(ensemble.sequence().is_none());
    assert_eq!(ensemble.blend, blend);
}

#[test]
fn exploding_rates_leave_every_number_finite() {
    let records = records(700, 4);
    let facts = facts(&records);
    let mut settings = settings_with(Part::Sequence, SequenceKind::Transformer);
    settings.models.sequence.row_rate = 10.0;
    settings.models.sequence.learning_rate = 1.0;
    settings.models.sequence.clip = 0.0;
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts, &records);
    assert!(learner.ensemble().members.is_finite());
}

#[test]
fn a_network_predicts_a_planted_order() {
    let records = records(6000, 4);
    let facts = facts(&records);
    for kind in KINDS {
        let mut learner = Learner::new(settings_with(Part::Sequence, kind));
        follow(&mut learner, &facts, &records);
        // Twenty places for sixty items: chance is a third.
        let hit_rate = learner.quality().recent_hit_rate;
        assert!(hit_rate > 0.6, "{kind:?}: {hit_rate}");
    }
}
