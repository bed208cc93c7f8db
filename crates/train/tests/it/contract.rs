//! For each model: prediction is pure, equal inputs give equal bytes, a resumed learner equals one that never stopped,
//! unknown shoppers and items get scores, nothing is NaN, and a planted pattern is found.

use accrue_model::{Context, Part, Prepared, TypeWeights};
use accrue_store::{Body, Facts, History, Interaction, ItemVector, Offset, Record};
use accrue_train::Learner;
use proptest::prelude::*;

use crate::shop::{N_ITEMS, facts, follow, settings};

/// The records of the shop, with vectors of its items among them: those of a family point the same way. From record 400
/// on some are of another space.
fn records(n: usize, seed: u64) -> Vec<Record> {
    let mut records = crate::shop::records(n, seed);
    let places = (N_ITEMS as usize..n).step_by(5);
    for (number, place) in places.enumerate().take(2 * N_ITEMS as usize) {
        let item = number as u64 % N_ITEMS;
        let codes = (0..16).map(|i| if i == item / 6 { 120 } else { (item * 7 + i * 3) as i8 % 20 }).collect();
        let space = 1 + u64::from(place >= 400 && item.is_multiple_of(2));
        let vector =
            ItemVector { item: format!("item-{item}").as_str().into(), space, text: item, scale: 1.0 / 127.0, codes };
        records[place].body = Body::Encoded(Box::new(vector));
    }
    records
}

fn trained(part: Part, n: usize, seed: u64) -> (Learner, Facts) {
    let records = records(n, seed);
    let facts = facts(&records);
    let settings = settings(part);
    // A part that is switched off gives 0 for everything, and would keep every promise below.
    settings.models.validate().expect("the part that is tested is switched on");
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts, &records);
    (learner, facts)
}

fn bytes(learner: &Learner) -> Vec<u8> {
    postcard::to_stdvec(learner).expect("states serialise")
}

fn scores(learner: &Learner, history: &History, facts: &Facts) -> Vec<f32> {
    let context = Context::new(history, None, facts.stream_time.0, learner.weights());
    let mut prepared = Prepared::default();
    learner.ensemble().prepare(&context, &mut prepared);
    // Some items beyond those that were ever seen.
    (0..N_ITEMS as u32 + 5).map(|item| learner.ensemble().score(&prepared, item)).collect()
}

#[test]
fn prediction_changes_nothing() {
    for &part in Part::ALL {
        let (learner, facts) = trained(part, 600, 1);
        let before = bytes(&learner);
        let first = scores(&learner, &facts.histories.get(0), &facts);
        assert_eq!(first, scores(&learner, &facts.histories.get(0), &facts), "{}", part.name());
        assert!(bytes(&learner) == before, "{}", part.name());
    }
}

#[test]
fn the_place_of_an_item_is_its_place_in_the_ranked_list() {
    for &part in Part::ALL {
        let (learner, facts) = trained(part, 600, 1);
        let models = learner.ensemble();
        let mut prepared = Prepared::default();
        for shopper in 0..3 {
            let history = facts.histories.get(shopper);
            let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
            for limit in [5, 20] {
                let list = models.rank(&context, &mut prepared, limit, |_| true);
                for item in 0..N_ITEMS as u32 + 5 {
                    let expected = list.iter().position(|scored| scored.item == item);
                    let found = models.place_of(&context, &mut prepared, limit, item);
                    assert_eq!(found, expected, "{} item {item} of {limit}", part.name());
                }
            }
        }
    }
}

#[test]
fn the_same_events_give_the_same_bytes() {
    for &part in Part::ALL {
        assert!(bytes(&trained(part, 600, 1).0) == bytes(&trained(part, 600, 1).0), "{}", part.name());
    }
}

#[test]
fn publishing_changes_no_state_and_a_version_never_changes() {
    for &part in Part::ALL {
        let records = records(600, 1);
        let facts = facts(&records);
        let mut often = Learner::new(settings(part));
        let mut early = None;
        for end in (50..=600).step_by(50) {
            follow(&mut often, &facts, &records[..end]);
            let version = often.publish();
            early.get_or_insert_with(|| (version.clone(), postcard::to_stdvec(&version.ensemble).unwrap()));
        }
        let (version, at_publication) = early.unwrap();
        assert!(postcard::to_stdvec(&version.ensemble).unwrap() == at_publication, "{}", part.name());
        assert!(bytes(&often) == bytes(&trained(part, 600, 1).0), "{}", part.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn resuming_equals_never_stopping(stop in 1_usize..600, part in 0..Part::ALL.len()) {
        let part = Part::ALL[part];
        let records = records(600, 2);
        let facts = facts(&records);
        let mut learner = Learner::new(settings(part));
        follow(&mut learner, &facts, &records[..stop]);
        let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
        follow(&mut resumed, &facts, &records);
        prop_assert!(bytes(&resumed) == bytes(&trained(part, 600, 2).0), "{} stopped at {}", part.name(), stop);
    }
}

#[test]
fn unknown_shoppers_and_items_get_scores_and_every_number_is_finite() {
    for &part in Part::ALL {
        for n in [0, 61, 300] {
            let (learner, facts) = trained(part, n, 3);
            let ensemble = learner.ensemble();
            assert!(ensemble.members.is_finite() && ensemble.blend.is_finite(), "{} {n}", part.name());
            let stranger = History::default();
            assert!(scores(&learner, &stranger, &facts).iter().all(|score| score.is_finite()), "{} {n}", part.name());
            let known = scores(&learner, &facts.histories.get(0), &facts);
            assert!(known.iter().all(|score| score.is_finite()), "{} {n}", part.name());
        }
    }
}

#[test]
fn the_first_event_of_a_new_shopper_changes_the_scores() {
    // By the planted pattern, one purchase of item 12 is followed by its family, 12 to 17.
    let parts = [
        Part::Neighbours,
        Part::Preference,
        Part::Factorization,
        Part::Sequence,
        Part::Fitted,
        Part::Content,
        Part::TwoTower,
    ];
    for part in parts.into_iter().chain([Part::Blend]) {
        let (learner, facts) = trained(part, 3000, 4);
        let mut history = History::default();
        let at_ms = facts.stream_time.0;
        let view = Interaction { shopper: 0, item: 12, type_code: 1, at_ms, session: None, value: 1.0, quantity: 1 };
        history.push(&view, 10);
        let scores = scores(&learner, &history, &facts);
        let mean = |items: std::ops::Range<usize>| scores[items.clone()].iter().sum::<f32>() / items.len() as f32;
        let (family, others) = (mean(13..18), (mean(18..60) * 42.0 + mean(0..12) * 12.0) / 54.0);
        assert!(family > others, "{}: {family} against {others}", part.name());
    }
}

#[test]
fn shares_sum_to_the_score() {
    for &part in Part::ALL {
        let (learner, facts) = trained(part, 900, 5);
        let history = facts.histories.get(1);
        let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
        let mut prepared = Prepared::default();
        learner.ensemble().prepare(&context, &mut prepared);
        for item in 0..N_ITEMS as u32 {
            let (score, shares) =
                (learner.ensemble().score(&prepared, item), learner.ensemble().shares(&prepared, item));
            assert!((score - shares.iter().sum::<f32>()).abs() < 1e-3 * (1.0 + score.abs()), "{}", part.name());
        }
    }
}

#[test]
fn the_learner_predicts_better_than_chance() {
    let (learner, _) = trained(Part::Blend, 4000, 6);
    let quality = learner.quality();
    assert!(quality.all.samples > 50);
    // Twenty places for sixty items: chance is a third.
    assert!(quality.all.hit_rate() > 0.6, "hit rate {}", quality.all.hit_rate());
}

#[test]
fn types_without_weight_teach_nothing_positive() {
    let weights = TypeWeights::default();
    assert_eq!(weights.get(0), 0.0);
    assert!(weights.get(6) < 0.0);
}

#[test]
fn the_blend_learns_nothing_from_items_that_were_unknown_before_in_any_pass() {
    let mut records = records(400, 3);
    // Items without any record before they were bought, each bought once.
    records.drain(..N_ITEMS as usize);
    for (place, record) in records.iter_mut().enumerate() {
        record.offset = Offset(place as u64);
        if let Body::Event(checked) = &mut record.body {
            checked.event.item = Some(format!("once-{place}").as_str().into());
        }
    }
    let facts = facts(&records);
    let untaught = Learner::new(settings(Part::Blend)).ensemble().blend.clone();
    let mut learner = Learner::new(settings(Part::Blend));
    for pass in 1..=2 {
        for record in &records {
            learner.step(learner.end(), record.received_at.0, facts.resolve(record)).unwrap();
        }
        assert!(learner.ensemble().blend == untaught, "pass {pass}");
        learner.begin_epoch();
    }
    assert!(*learner.ensemble().popularity() != Default::default(), "other models have learned");
}
