//! A shop whose shoppers order from lists of their own, each in an order of their own: what comes next is in the shopper's
//! earlier visits, and in no count over all shoppers.

use accrue_event::{Shopper, UserId};
use accrue_kernel::Draws;
use accrue_model::{Context, Part, Prepared};
use accrue_store::{Body, History, Interaction, Record};
use accrue_train::Learner;

use crate::shop::{facts, follow, purchase, record, settings};

const N_USERS: u64 = 12;
const N_ITEMS: u64 = 20;
/// Items of a list.
const LISTED: usize = 16;
/// Lines of a list that one visit takes.
const TAKEN: usize = 4;

fn list_of(user: u64) -> Vec<u64> {
    let mut items: Vec<u64> = (0..N_ITEMS).collect();
    Draws::new(11, 1, user).shuffle(&mut items);
    items.truncate(LISTED);
    items
}

/// Visits, each of which takes lines of its shopper's list that follow each other.
fn records(n_visits: usize) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for visit in 0..n_visits {
        let mut draws = Draws::new(11, 2, visit as u64);
        // Never the shopper of the visit before, which this one would continue.
        let user = 2 * draws.below(N_USERS / 2) + visit as u64 % 2;
        let first = draws.below((LISTED - TAKEN + 1) as u64) as usize;
        for &item in &list_of(user)[first..first + TAKEN] {
            records.push(record(records.len(), Body::Event(purchase(records.len(), user, item))));
        }
    }
    records
}

#[test]
fn the_next_line_of_the_shoppers_own_list_is_expected() {
    let records = records(1_500);
    let facts = facts(&records);
    let mut learner = Learner::new(settings(Part::Blend));
    follow(&mut learner, &facts, &records);
    let ensemble = learner.ensemble();
    let items: Vec<u32> = (0..N_ITEMS as u32).collect();
    let item_of = |number: u64| facts.items.get(&format!("item-{number}")).expect("each item was bought");
    let (mut n_first, mut n) = (0, 0);
    for user in 0..N_USERS {
        let name: UserId = format!("user-{user}").as_str().into();
        let shopper = facts.shopper(&Shopper::User(name)).expect("each shopper bought something");
        for lines in list_of(user).windows(2) {
            let mut history: History = facts.histories.get(shopper);
            let at_ms = facts.stream_time.0 + accrue_event::DAY_MS;
            let (item, type_code) = (item_of(lines[0]), history.past()[0].type_code);
            history.push(&Interaction { shopper, item, type_code, at_ms, session: None, value: 1.0, quantity: 1 }, 500);
            let context = Context::new(&history, None, at_ms, learner.weights());
            let mut prepared = Prepared::default();
            ensemble.prepare(&context, &mut prepared);
            let scores = ensemble.score_all(&prepared, &items);
            let next = item_of(lines[1]) as usize;
            n_first += usize::from((0..scores.len()).all(|other| other == next || scores[other] < scores[next]));
            n += 1;
        }
    }
    assert!(n_first * 10 > n * 7, "first in {n_first} of {n}");
}
