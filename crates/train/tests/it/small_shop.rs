//! A shop of a few items, which are described one after the other while shoppers already choose them: what the models
//! learn stays finite, and every item can be scored.

use accrue_event::{DAY_MS, Item, UserId};
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
        let history = facts.histories.get(shopper);
        let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
        let mut prepared = Prepared::default();
        ensemble.prepare(&context, &mut prepared);
        let items: Vec<u32> = (0..n_items as u32).collect();
        let scores = ensemble.score_all(&prepared, &items);
        assert!(scores.iter().all(|score| score.is_finite()), "{n_items} items, seed {seed}: {scores:?}");
    }
}

const YEARS_MS: i64 = 10 * 365 * DAY_MS;

/// When each of four items was first seen. Their descriptions arrive years after the orders of the first three, and lie
/// before or behind these in the log.
fn first_sights(catalogue_is_first: bool, is_published: bool, settings_record: &str) -> Vec<i64> {
    let described = (0..4).map(|item| Body::Item(Box::new(Item::bare(format!("item-{item}").as_str().into()))));
    let ordered = (0..30).map(|number| {
        let mut order = purchase(number, number as u64 % 3, number as u64 % 3);
        if is_published {
            order.event.id = format!("@publish:web:{number}").as_str().into();
        }
        Body::Event(order)
    });
    let begin = std::iter::once(Body::Settings(settings_record.into()));
    let bodies: Vec<Body> = match catalogue_is_first {
        true => begin.chain(described).chain(ordered).collect(),
        false => begin.chain(ordered).chain(described).collect(),
    };
    let mut records: Vec<Record> = bodies.into_iter().enumerate().map(|(n, body)| record(n, body)).collect();
    records.iter_mut().for_each(|record| record.received_at.0 += YEARS_MS);
    let facts = facts(&records);
    let mut learner = Learner::new(settings(Part::Blend));
    follow(&mut learner, &facts, &records);
    let item = |item| facts.items.get(&format!("item-{item}")).unwrap();
    (0..4).map(|number| learner.ensemble().first_seen_ms(item(number)).unwrap()).collect()
}

#[test]
fn an_item_is_as_old_as_its_first_order_where_the_catalogue_came_later() {
    let present = settings(Part::Blend).to_record();
    let ordered_ms = |item: usize| purchase(item, 0, 0).event.at.0;
    for catalogue_is_first in [true, false] {
        let seen = first_sights(catalogue_is_first, false, &present);
        assert_eq!(seen[..3], [ordered_ms(0), ordered_ms(1), ordered_ms(2)], "catalogue first: {catalogue_is_first}");
        assert!(seen[3] >= ordered_ms(0) + YEARS_MS, "without an order, since its description: {}", seen[3]);
    }
    let seen = first_sights(true, true, &present);
    assert!(
        seen.iter().all(|&at_ms| at_ms >= ordered_ms(0) + YEARS_MS),
        "events of published keys age nothing: {seen:?}"
    );
}

#[test]
fn in_a_log_of_an_older_build_items_are_as_old_as_their_descriptions() {
    let present = settings(Part::Blend).to_record();
    let older: String =
        present.lines().filter(|line| !line.starts_with("dates_items")).map(|line| format!("{line}\n")).collect();
    assert_ne!(older, present);
    let seen = first_sights(true, false, &older);
    assert!(seen.iter().all(|&at_ms| at_ms >= YEARS_MS + purchase(0, 0, 0).event.at.0), "{seen:?}");
}
