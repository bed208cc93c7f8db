//! An impression without a choice becomes a negative when its window has passed, and not before.

use accrue_event::EventType;
use accrue_model::Part;
use accrue_store::{Body, Record};
use accrue_train::{ImpressionSettings, LearnSettings, Learner};

use crate::shop::{self, facts, follow, settings};

/// Every third event becomes an impression. Events come ten minutes apart.
fn records(n: usize) -> Vec<Record> {
    let mut records = shop::records(n, 8);
    for record in records.iter_mut().filter(|record| record.offset.0.is_multiple_of(3)) {
        if let Body::Event(checked) = &mut record.body {
            checked.event.event_type = EventType::Impression;
        }
    }
    records
}

fn with_window(window_s: u32) -> LearnSettings {
    let impressions = ImpressionSettings { window_s, ..ImpressionSettings::default() };
    LearnSettings { impressions, ..settings(Part::Factorization) }
}

fn learned(settings: LearnSettings, records: &[Record]) -> Learner {
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts(records), records);
    learner
}

fn factorization(learner: &Learner) -> Vec<u8> {
    postcard::to_stdvec(learner.ensemble().factorization().unwrap()).unwrap()
}

#[test]
fn a_learner_that_stops_while_impressions_wait_goes_on_to_the_same_bytes() {
    let records = records(400);
    let facts = facts(&records);
    let whole = learned(with_window(7_200), &records);
    for stop in (100..120).chain([399]) {
        let mut learner = Learner::new(with_window(7_200));
        follow(&mut learner, &facts, &records[..stop]);
        let mut resumed: Learner = postcard::from_bytes(&postcard::to_stdvec(&learner).unwrap()).unwrap();
        follow(&mut resumed, &facts, &records);
        assert!(postcard::to_stdvec(&resumed).unwrap() == postcard::to_stdvec(&whole).unwrap(), "stopped at {stop}");
    }
}

#[test]
fn nothing_is_learned_from_an_impression_before_its_window_has_passed() {
    let records = records(150);
    let never = learned(with_window(0), &records);
    let long = learned(with_window(1_000_000), &records);
    assert!(factorization(&never) == factorization(&long));
    let short = learned(with_window(600), &records);
    assert!(factorization(&never) != factorization(&short));
}

#[test]
fn a_choice_within_the_window_removes_the_impression() {
    let mut records = shop::records(200, 8);
    let last = records.len() - 1;
    let chosen = records[last].body.clone();
    // The item is shown, chosen ten minutes later, and the window of twenty passes.
    let (mut shown, mut tail) = (records[last].clone(), shop::records(206, 8).split_off(201));
    if let Body::Event(checked) = &mut shown.body {
        checked.event.event_type = EventType::Impression;
    }
    records[last] = shown;
    let mut choice = shop::records(201, 8).pop().unwrap();
    choice.body = chosen;
    records.push(choice);
    records.append(&mut tail);
    assert!(factorization(&learned(with_window(1_200), &records)) == factorization(&learned(with_window(0), &records)));
    // Without the choice it is a negative.
    records.remove(last + 1);
    records.iter_mut().enumerate().for_each(|(place, record)| record.offset.0 = place as u64);
    assert!(factorization(&learned(with_window(1_200), &records)) != factorization(&learned(with_window(0), &records)));
}
