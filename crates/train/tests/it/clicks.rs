//! The click heads learn what follows an impression, when its window has passed and not before.

use accrue_event::{Event, EventType, Timestamp};
use accrue_kernel::Draws;
use accrue_model::Part;
use accrue_model::ranker::HeadFigures;
use accrue_store::{Body, CheckedEvent, Offset, Record};
use accrue_train::{ClickSettings, LearnSettings, Learner};

use crate::shop::{N_ITEMS, facts, follow, purchase, records as described, settings};

const N_USERS: u64 = 30;
/// Milliseconds between events.
const BETWEEN_MS: i64 = 5_000;

/// Builds a log event by event.
struct Log {
    records: Vec<Record>,
    now_ms: i64,
}

impl Log {
    /// Descriptions, and a purchase of each user, so that all are known.
    fn new() -> Self {
        let mut records = described(N_ITEMS as usize, 1);
        let now_ms = 1_700_000_000_000;
        records.iter_mut().for_each(|record| record.received_at = Timestamp(now_ms));
        let mut log = Self { records, now_ms };
        (0..N_USERS).for_each(|user| log.push(EventType::Purchase, user, user % N_ITEMS, None));
        log
    }

    fn push(&mut self, event_type: EventType, user: u64, item: u64, position: Option<u32>) {
        let number = self.records.len();
        self.now_ms += BETWEEN_MS;
        let at = Timestamp(self.now_ms);
        let CheckedEvent { event, .. } = purchase(number, user, item);
        let event = Event { event_type, at, position, ..event };
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        self.records.push(Record { offset: Offset(number as u64), received_at: at, body });
    }

    /// A page of five items. A shopper likes one family of six, and the first places more; a click is followed by a cart
    /// in 4 of 10 cases, a cart by a purchase in 5 of 10.
    fn page(&mut self, number: u64, draws: &mut Draws) {
        let user = number % N_USERS;
        let items: Vec<u64> = (0..5).map(|_| draws.below(N_ITEMS)).collect();
        for (place, &item) in items.iter().enumerate() {
            self.push(EventType::Impression, user, item, Some(place as u32));
        }
        for (place, &item) in items.iter().enumerate() {
            let likes = item / 6 == user % (N_ITEMS / 6);
            let p = if likes { 0.6 } else { 0.06 } * (1.0 - 0.15 * place as f32);
            let steps = [(EventType::Click, p), (EventType::Cart, 0.4), (EventType::Purchase, 0.5)];
            for (event_type, p) in steps {
                if draws.uniform() >= p {
                    break;
                }
                self.push(event_type, user, item, None);
            }
        }
    }

    fn with_pages(n: u64) -> Vec<Record> {
        let mut log = Self::new();
        let mut draws = Draws::new(3, 4, 5);
        (0..n).for_each(|number| log.page(number, &mut draws));
        log.records
    }
}

fn with_clicks(window_s: u32, capacity: usize) -> LearnSettings {
    LearnSettings { clicks: ClickSettings { enabled: true, window_s, capacity }, ..settings(Part::Blend) }
}

fn learned(settings: LearnSettings, records: &[Record]) -> Learner {
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts(records), records);
    learner
}

#[test]
fn clicks_carts_and_purchases_are_told_apart_and_calibrated() {
    let learner = learned(with_clicks(120, 1_000), &Log::with_pages(6_000));
    let heads = learner.clicks().heads();
    assert!(heads.n_learned() > 29_900, "{}", heads.n_learned());
    let figures: Vec<HeadFigures> = heads.quality().iter().map(|quality| quality.figures()).collect();
    for (head, figures) in figures.iter().enumerate() {
        // Nothing is known at the beginning, so the whole stream is less calibrated than its end.
        assert!((figures.predicted - figures.rate).abs() < 0.01, "{head}: {figures:?}");
        assert!(figures.calibration_worst < 0.05, "{head}: {figures:?}");
        assert!(figures.auc > 0.7, "{head}: {figures:?}");
    }
    let rates: Vec<f64> = figures.iter().map(|figures| figures.rate).collect();
    assert!((rates[1] / rates[0] - 0.4).abs() < 0.1 && (rates[2] / rates[1] - 0.5).abs() < 0.15, "{rates:?}");
}

#[test]
fn a_learner_that_stops_while_impressions_wait_goes_on_to_the_same_bytes() {
    let records = Log::with_pages(60);
    let facts = facts(&records);
    let whole = learned(with_clicks(60, 1_000), &records);
    for stop in (150..175).chain([records.len() - 3]) {
        let mut learner = Learner::new(with_clicks(60, 1_000));
        follow(&mut learner, &facts, &records[..stop]);
        let mut resumed: Learner = postcard::from_bytes(&postcard::to_stdvec(&learner).unwrap()).unwrap();
        follow(&mut resumed, &facts, &records);
        assert!(postcard::to_stdvec(&resumed).unwrap() == postcard::to_stdvec(&whole).unwrap(), "stopped at {stop}");
    }
}

#[test]
fn an_impression_is_learned_when_its_window_has_passed_with_what_followed() {
    let mut log = Log::new();
    log.push(EventType::Impression, 1, 7, Some(0));
    log.push(EventType::Impression, 1, 8, Some(1));
    log.push(EventType::Click, 1, 7, None);
    log.push(EventType::Cart, 1, 7, None);
    let waits = learned(with_clicks(60, 1_000), &log.records);
    assert_eq!((waits.clicks().n_waiting(), waits.clicks().heads().n_learned()), (2, 0));
    // Two minutes later another shopper does something.
    log.now_ms += 120_000;
    log.push(EventType::Purchase, 2, 9, None);
    let passed = learned(with_clicks(60, 1_000), &log.records);
    assert_eq!((passed.clicks().n_waiting(), passed.clicks().heads().n_followed()), (0, [1, 1, 0]));
    // A purchase afterwards is none of its consequences.
    log.push(EventType::Purchase, 1, 8, None);
    assert_eq!(learned(with_clicks(60, 1_000), &log.records).clicks().heads().n_followed(), [1, 1, 0]);
}

#[test]
fn a_choice_is_credited_to_the_latest_impression_of_the_pair() {
    let mut log = Log::new();
    log.push(EventType::Impression, 1, 7, Some(0));
    log.push(EventType::Impression, 1, 7, Some(3));
    log.push(EventType::Click, 1, 7, None);
    log.now_ms += 120_000;
    log.push(EventType::Purchase, 2, 9, None);
    let heads = learned(with_clicks(60, 1_000), &log.records);
    assert_eq!((heads.clicks().heads().n_learned(), heads.clicks().heads().n_followed()), (2, [1, 0, 0]));
}

#[test]
fn while_too_many_wait_new_ones_are_left_out_and_counted() {
    let mut log = Log::new();
    (0..10).for_each(|item| log.push(EventType::Impression, 1, item, None));
    let learner = learned(with_clicks(600, 4), &log.records);
    assert_eq!((learner.clicks().n_waiting(), learner.clicks().n_left_out()), (4, 6));
    let off = ClickSettings { enabled: false, ..ClickSettings::default() };
    let off = learned(LearnSettings { clicks: off, ..settings(Part::Blend) }, &log.records);
    assert_eq!((off.clicks().n_waiting(), off.clicks().n_left_out()), (0, 0));
}
