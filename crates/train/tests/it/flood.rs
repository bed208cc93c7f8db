//! One shopper repeats one choice: on each day a bounded number of them is learned.

use accrue_event::{EventType, Timestamp};
use accrue_model::Part;
use accrue_store::{Body, Record};
use accrue_train::{LearnSettings, Learner};

use crate::shop::{self, facts, follow, settings};

const CALM: usize = 400;

/// An ordinary shop; then one shopper chooses one item every `gap_ms`.
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
    (postcard::to_stdvec(learner.ensemble()).unwrap(), learner.n_repeats_skipped())
}

#[test]
fn a_repeated_choice_is_learned_up_to_the_daily_limit() {
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
fn the_limit_holds_for_each_day_at_any_rate_of_events() {
    const DAY_MS: i64 = 86_400_000;
    let records = records(CALM + 200, 3_600_000);
    let mut of_day = std::collections::BTreeMap::new();
    for record in &records[CALM..] {
        let Body::Event(checked) = &record.body else { continue };
        *of_day.entry(checked.event.at.0.div_euclid(DAY_MS)).or_insert(0_u64) += 1;
    }
    assert!(of_day.len() > 7, "{of_day:?}");
    for bound in [12, 24] {
        let passed: u64 = of_day.values().map(|&n: &u64| n.saturating_sub(u64::from(bound))).sum();
        let settings = LearnSettings { same_item_a_day: bound, ..settings(Part::Blend) };
        assert_eq!(learned(&settings, &records).1, passed, "{bound}");
        let mut late = records.clone();
        late[CALM..].reverse();
        (CALM..).zip(&mut late[CALM..]).for_each(|(place, record)| {
            (record.offset, record.received_at) = (records[place].offset, records[place].received_at);
        });
        assert_eq!(learned(&settings, &late).1, passed, "{bound}, the newest first");
    }
}

#[test]
fn another_type_of_choice_has_a_limit_of_its_own() {
    let mut records = records(CALM + 60, 1_000);
    let settings = settings(Part::Blend);
    let before = learned(&settings, &records[..CALM + 50]);
    for record in &mut records[CALM + 50..] {
        if let Body::Event(checked) = &mut record.body {
            checked.event.event_type = EventType::Dislike;
        }
    }
    let after = learned(&settings, &records);
    assert_eq!((before.1, after.1), (30, 30));
    assert!(before.0 != after.0, "nothing was learned from ten dislikes");
}
