//! One shopper who makes one choice over and over: of a day's, a bounded number is learned.

use accrue_event::Timestamp;
use accrue_model::Part;
use accrue_store::{Body, Record};
use accrue_train::{LearnSettings, Learner};

use crate::shop::{self, facts, follow, settings};

const CALM: usize = 400;

/// A calm shop; then one shopper wants one item, every `gap_ms`.
fn records(n: usize, gap_ms: i64) -> Vec<Record> {
    let mut records = shop::records(n, 8);
    let begins = records[CALM].received_at;
    for (number, record) in records[CALM..].iter_mut().enumerate() {
        if let Body::Event(checked) = &mut record.body {
            checked.event.user = Some("flooder".into());
            checked.event.item = Some("item-7".into());
            checked.event.at = Timestamp(begins.0 + number as i64 * gap_ms);
        }
    }
    records
}

fn learned(settings: &LearnSettings, records: &[Record]) -> (Vec<u8>, u64) {
    let mut learner = Learner::new(settings.clone());
    follow(&mut learner, &facts(records), records);
    (postcard::to_stdvec(learner.ensemble()).unwrap(), learner.n_repeats_passed())
}

#[test]
fn of_one_choice_made_all_day_so_many_are_learned_and_no_more() {
    let mut settings = settings(Part::Blend);
    settings.guard.enabled = false;
    let few = learned(&settings, &records(CALM + 20, 1_000));
    let many = learned(&settings, &records(CALM + 300, 1_000));
    assert_eq!((few.1, many.1), (0, 280));
    assert!(few.0 == many.0, "what came after the twentieth was learned");
    settings.same_item_a_day = 0;
    assert!(learned(&settings, &records(CALM + 300, 1_000)).0 != many.0);
}

#[test]
fn another_day_is_learned_again() {
    // One an hour: twenty-four in any day.
    let settings = LearnSettings { same_item_a_day: 24, ..settings(Part::Blend) };
    assert_eq!(learned(&settings, &records(CALM + 100, 3_600_000)).1, 0);
    let settings = LearnSettings { same_item_a_day: 12, ..settings };
    assert!(learned(&settings, &records(CALM + 100, 3_600_000)).1 > 0);
}
