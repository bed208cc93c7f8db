//! A shop of a few items, which are described one after the other while shoppers already choose them: what the models
//! learn stays finite, and every item can be scored.

use accrue_event::{Item, UserId};
use accrue_kernel::Draws;
use accrue_model::{Context, Part, Prepared};
use accrue_store::{Body, Record};
use accrue_train::Learner;

use crate::shop::{facts, follow, purchase, record, settings};

/// Each item is described before the first purchase of it; all are of one brand and of one of two categories, so most of what
/// describes the first ones is rare when they are described and common afterwards.
fn records(n_items: u64, seed: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for item in 0..n_items {
        let mut described = Item::bare(format!("item-{item}").as_str().into());
        described.title = Some(if seed.is_multiple_of(2) { "mug".into() } else { format!("mug number{item}").into() });
        described.brand = Some("Acme".into());
        described.categories = vec![format!("category-{}", item % 2).into()];
        records.push(record(records.len(), Body::Item(Box::new(described))));
        for _ in 0..12 {
            let number = records.len();
            let mut draws = Draws::new(seed, 9, number as u64);
            let (user, item) = (draws.below(4), draws.below(item + 1));
            records.push(record(number, Body::Event(purchase(number, user, item))));
        }
    }
    records
}

#[test]
fn what_is_learned_of_a_few_items_is_finite() {
    for (n_items, seed) in (1..=20).flat_map(|n_items| (0..6).map(move |seed| (n_items, seed))) {
        let records = records(n_items, seed);
        let facts = facts(&records);
        let mut learner = Learner::new(settings(Part::Blend));
        follow(&mut learner, &facts, &records);
        let ensemble = learner.ensemble();
        assert!(ensemble.members.is_finite() && ensemble.blend.is_finite(), "{n_items} items, seed {seed}");
        let user: UserId = "user-1".into();
        let Some(shopper) = facts.shopper(&accrue_event::Shopper::User(user)) else { continue };
        let context = Context::new(facts.histories.get(shopper), None, facts.stream_time.0, learner.weights());
        let mut prepared = Prepared::default();
        ensemble.prepare(&context, &mut prepared);
        let items: Vec<u32> = (0..n_items as u32).collect();
        let scores = ensemble.score_all(&prepared, &items);
        assert!(scores.iter().all(|score| score.is_finite()), "{n_items} items, seed {seed}: {scores:?}");
    }
}
