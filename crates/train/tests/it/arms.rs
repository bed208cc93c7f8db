//! Arms of an experiment that learn apart: the models of each learn from its own shoppers, beside the shared models, and are part of
//! the fold.

use accrue_model::{Part, SequenceKind};
use accrue_store::{Body, Fact, Facts, Offset, Record, Share, Split};
use accrue_train::{LearnSettings, Learner};

use crate::shop::{self, facts, follow, settings, settings_with};

fn split(name: &str, shares: &[f64]) -> Option<Split> {
    let arms = shares.iter().zip(["a", "b", "c"]).map(|(&share, name)| Share { name: name.into(), share }).collect();
    Some(Split { experiment: name.into(), arms })
}

/// Replaces a record by one that puts these settings in force.
fn adopt(records: &mut [Record], at: usize, settings: &LearnSettings) {
    records[at].body = Body::Settings(settings.to_record().into());
}

/// Settings without a guard, equal but for the arms.
fn with_arms(part: Part, arms: Option<Split>) -> LearnSettings {
    let mut settings = LearnSettings { arms, ..settings(part) };
    settings.guard.enabled = false;
    settings
}

fn bytes(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap()
}

fn learned(settings: LearnSettings, facts: &Facts, records: &[Record]) -> Learner {
    let mut learner = Learner::new(settings);
    follow(&mut learner, facts, records);
    learner
}

#[test]
fn shared_models_do_not_depend_on_arms_and_an_arm_of_all_shoppers_equals_them() {
    for &part in Part::ALL {
        let records = shop::records(900, 3);
        let facts = facts(&records);
        let without = learned(with_arms(part, None), &facts, &records);
        let two = learned(with_arms(part, split("x", &[0.5, 0.5])), &facts, &records);
        assert!(bytes(without.ensemble()) == bytes(two.ensemble()), "{part:?}");
        let [a, b] = two.current().arms().unwrap().1 else { panic!("two arms") };
        assert!(bytes(a) != bytes(b), "{part:?}: arms learn from others");
        let one = learned(with_arms(part, split("x", &[1.0])), &facts, &records);
        let [all] = one.current().arms().unwrap().1 else { panic!("one arm") };
        assert!(bytes(all) == bytes(one.ensemble()), "{part:?}");
        let quality = &one.quality().arms[0];
        assert!(quality.own.samples > 20 && quality.own == quality.shared, "{part:?}: {quality:?}");
    }
}

#[test]
fn an_arm_learns_from_its_own_shoppers_alone() {
    let mut records = shop::records(1_500, 3);
    let split = split("x", &[0.4, 0.6]).unwrap();
    let names = |facts: &Facts, record: &Record| match facts.resolve(record) {
        Fact::Interaction(_, names) => split.arm_of(names.shopper),
        _ => 0,
    };
    let known = facts(&records);
    let whole = learned(with_arms(Part::Blend, Some(split.clone())), &known, &records);
    // The shoppers of arm a choose other items, and arm b stays the same.
    for (place, record) in records.iter_mut().enumerate().skip(100) {
        if names(&known, record) == 0
            && let Body::Event(checked) = &mut record.body
        {
            checked.event.item = Some(format!("item-{}", place % 7).as_str().into());
        }
    }
    let other = learned(with_arms(Part::Blend, Some(split.clone())), &known, &records);
    let models = |learner: &Learner, arm: usize| bytes(&learner.current().arms().unwrap().1[arm]);
    assert!(models(&whole, 0) != models(&other, 0));
    assert!(models(&whole, 1) == models(&other, 1));
    let n: Vec<u64> = whole.quality().arms.iter().map(|arm| arm.n_choices).collect();
    assert_eq!(n.iter().sum::<u64>(), whole.n_learned());
    assert!(n[0] > 200 && n[1] > n[0], "{n:?}");
}

#[test]
fn arms_begin_from_the_shared_models_survive_other_settings_and_end() {
    let mut records = shop::records(1_300, 3);
    let begun = with_arms(Part::Neighbours, split("x", &[0.5, 0.5]));
    adopt(&mut records, 500, &begun);
    let mut slower = begun.clone();
    slower.models.neighbours.capacity /= 2;
    adopt(&mut records, 700, &slower);
    adopt(&mut records, 900, &with_arms(Part::Neighbours, split("y", &[0.5, 0.5])));
    adopt(&mut records, 1_100, &with_arms(Part::Neighbours, None));
    let facts = facts(&records);
    let mut learner = Learner::new(with_arms(Part::Neighbours, None));
    let all_alike = |learner: &Learner| {
        let (_, models) = learner.current().arms().unwrap();
        models.iter().all(|arm| bytes(arm) == bytes(learner.ensemble()))
    };
    follow(&mut learner, &facts, &records[..500]);
    assert!(learner.current().arms().is_none());
    follow(&mut learner, &facts, &records[..501]);
    assert!(all_alike(&learner));
    follow(&mut learner, &facts, &records[..701]);
    assert!(!all_alike(&learner) && learner.quality().arms[0].n_choices > 50, "arms survive other settings of models");
    let (_, models) = learner.current().arms().unwrap();
    assert!(models.iter().all(|arm| arm.settings == slower.models), "which hold for arms too");
    follow(&mut learner, &facts, &records[..901]);
    assert!(all_alike(&learner) && learner.quality().arms[0].n_choices == 0, "another name begins again");
    follow(&mut learner, &facts, &records);
    assert!(learner.current().arms().is_none() && learner.quality().arms.is_empty());
    assert!(learner.publish().arms.is_none());
}

#[test]
fn a_learner_with_arms_that_stops_goes_on_to_the_same_bytes() {
    let arms = split("x", &[0.3, 0.7]);
    let settings = LearnSettings { arms, ..settings_with(Part::Blend, SequenceKind::Gru) };
    let records = shop::records(1_200, 5);
    let facts = facts(&records);
    let whole = learned(settings.clone(), &facts, &records);
    for stop in [99, 600, 601, 1_100] {
        let mut learner = learned(settings.clone(), &facts, &records[..stop]);
        // Publishing changes nothing either.
        learner.publish();
        let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
        follow(&mut resumed, &facts, &records);
        assert!(bytes(&resumed) == bytes(&whole), "stopped at {stop}");
    }
}

#[test]
fn shoppers_of_an_arm_are_answered_by_its_models() {
    let records = shop::records(900, 3);
    let facts = facts(&records);
    let mut learner = learned(with_arms(Part::Blend, split("x", &[0.5, 0.5])), &facts, &records);
    let version = learner.publish();
    let (split, versions) = version.arms.as_ref().unwrap();
    let [a, b] = learner.current().arms().unwrap().1 else { panic!("two arms") };
    assert!(versions[0].ensemble == *a && versions[1].ensemble == *b);
    for shopper in 0..50 {
        let own = version.of_shopper(Some(shopper));
        assert!(std::ptr::eq(own, &versions[split.arm_of(shopper)]));
        assert_eq!((own.number, own.offset), (version.number, version.offset));
    }
    assert!(std::ptr::eq(version.of_shopper(None), &version), "an unknown visitor is in no arm");
}

#[test]
fn arms_are_undone_with_the_version_that_they_belong_to() {
    let mut settings = LearnSettings { arms: split("x", &[0.5, 0.5]), ..settings(Part::Blend) };
    settings.guard.version_every = 1_000;
    settings.guard.confirm_after = 500;
    let mut records = shop::records(6_001, 3);
    let known = facts(&records);
    let mut learner = learned(settings, &known, &records[..6_000]);
    let (good, state) = learner.lineage().good().map(|(number, state)| (number, state.clone())).unwrap();
    let models = |learner: &Learner| bytes(&learner.current().arms().unwrap().1[0].blend);
    let current = models(&learner);
    records[6_000].body = Body::Chosen { version: good, why: "a test".into() };
    let facts = facts(&records);
    follow(&mut learner, &facts, &records);
    assert!(learner.end() == Offset(6_001) && models(&learner) != current);
    assert!(models(&learner) == bytes(&state.arms().unwrap().1[0].blend));
    // Another experiment began: the good version has no models of its arms, so its shared models answer.
    let mut settings = learner.settings().clone();
    settings.arms = split("y", &[0.5, 0.5]);
    learner.step(learner.end(), 0, Fact::Settings(&settings.to_record())).unwrap();
    assert!(learner.publish().arms.is_some() && learner.publish_good().unwrap().arms.is_none());
}
