//! Tests of the choices after searches: what counts, how much, and for how long.

use accrue_event::Timestamp;
use accrue_kernel::Draws;

use super::*;

fn event(kind: EventType, user: &str, query: &str, position: Option<u32>) -> Event {
    Event {
        user: Some(user.into()),
        query: Some(query.into()),
        position,
        ..Event::bare("e".into(), kind, Timestamp(1_000))
    }
}

fn strength(searches: &Searches, query: &str, item: ItemIdx) -> f32 {
    searches.chosen(query, 1_000).iter().find(|chosen| chosen.item == item).map_or(0.0, |chosen| chosen.strength)
}

#[test]
fn an_item_counts_once_several_shoppers_chose_it_after_the_same_words() {
    let mut searches = Searches::default();
    for n in 0..100 {
        searches.observe(&event(EventType::Click, "ann", &format!("Red  mug {}", n % 2), Some(0)), 7);
        searches.observe(&event(EventType::Click, "ann", "red mug", Some(0)), 7);
    }
    searches.observe(&event(EventType::Click, "bob", "red mug", Some(0)), 7);
    assert_eq!(searches.chosen("red mug", 1_000), [], "two shoppers, however often");
    searches.observe(&event(EventType::Click, "eve", " RED mug", Some(0)), 7);
    assert!(strength(&searches, "Red   MUG", 7) > 0.5);
    let common =
        |beginning| searches.common(beginning, 10, 1_000).into_iter().map(|(text, ..)| text).collect::<Vec<_>>();
    assert_eq!((common("re"), common("red mug 0")), (vec!["red mug"], vec![]), "what one shopper typed stays theirs");
    assert_eq!(searches.chosen("mug red", 1_000), [], "other words");
    searches.observe(&event(EventType::Search, "eve", "red mug", None), 8);
    searches.observe(&event(EventType::Return, "eve", "red mug", None), 8);
    assert_eq!(searches.chosen("red mug", 1_000).len(), 1);
    assert!(searches.chosen("red mug", 1_000 + 300 * DAY_MS)[0].strength < 0.2, "it fades");
}

#[test]
fn events_of_published_keys_weigh_less_and_need_more_shoppers() {
    let mut searches = Searches::default();
    for n in 0..PUBLISHED_SHOPPERS - 1 {
        let mut click = event(EventType::Click, "x", "mug", None);
        (click.user, click.session, click.id) = (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
        searches.observe(&click, 7);
    }
    assert_eq!(searches.chosen("mug", 1_000), []);
    searches.observe(&event(EventType::Click, "ann", "mug", None), 7);
    let published = strength(&searches, "mug", 7);
    let mut own = Searches::default();
    (0..PUBLISHED_SHOPPERS).for_each(|n| own.observe(&event(EventType::Click, &n.to_string(), "mug", None), 7));
    assert!(published > 0.0 && strength(&own, "mug", 7) > published);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut searches = Searches::default();
    for n in 0..MAX_QUERIES + 100 {
        let mut click = event(EventType::Click, "ann", &format!("query {n}"), None);
        click.at = Timestamp(n as i64);
        searches.observe(&click, 7);
    }
    assert!(searches.n_queries() <= MAX_QUERIES && searches.n_queries() > MAX_QUERIES / 2);
    for item in 0..10 * MAX_ITEMS as u32 {
        searches.observe(&event(EventType::Click, "ann", "mug", Some(1_000_000)), item);
    }
    assert_eq!(searches.queries[&key("mug").unwrap()].items.len(), MAX_ITEMS);
    assert_eq!(key(&"x".repeat(10_000)), None);
    assert_eq!(key(" \t"), None);
}

#[test]
fn published_choices_take_no_place_from_own_ones() {
    let published = |n: usize, query: &str| {
        let mut click = event(EventType::Cart, "x", query, Some(99));
        (click.user, click.session, click.id) = (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
        click.at = Timestamp(2_000 + n as i64);
        click
    };
    let mut searches = Searches::default();
    for shopper in ["ann", "bob", "eve"] {
        searches.observe(&event(EventType::Click, shopper, "red mug", Some(0)), 7);
    }
    let strength_before = strength(&searches, "red mug", 7);
    (0..3 * MAX_ITEMS).for_each(|n| searches.observe(&published(n, "red mug"), 100 + n as u32));
    assert_eq!(strength(&searches, "red mug", 7), strength_before, "items of a query");
    (0..2 * MAX_QUERIES).for_each(|n| searches.observe(&published(n, &format!("query {n}")), 8));
    assert_eq!(strength(&searches, "red mug", 7), strength_before, "queries");
    assert!(searches.n_queries() <= MAX_QUERIES);
    for item in 200..200 + 2 * MAX_ITEMS as u32 {
        searches.observe(&event(EventType::Click, "ann", "red mug", None), item);
    }
    let of_query = &searches.queries[&key("red mug").unwrap()];
    assert!(of_query.items.iter().all(ItemChoices::has_own), "own choices take the places of published ones");
}

#[test]
fn the_bias_of_positions_is_estimated_and_taken_out_of_choices() {
    // Two items are equally good, but one mostly stands below; positions are looked at with these probabilities.
    let looked_at = [1.0, 0.5, 0.25, 0.12];
    let mut searches = Searches::default();
    let mut draws = Draws::new(7, 1, 0);
    for n in 0..20_000_u32 {
        let shopper = format!("u{n}");
        let mut order = [0_u32, 1, 2, 3];
        if draws.below(10) < 3 {
            order.rotate_left(draws.below(4) as usize);
        }
        for (position, &item) in order.iter().enumerate() {
            let at = Some(position as u32);
            searches.observe(&event(EventType::Impression, &shopper, "mug", at), item);
            if draws.uniform() < 0.3 * looked_at[position] {
                searches.observe(&event(EventType::Click, &shopper, "mug", at), item);
            }
        }
    }
    for (position, truth) in looked_at.iter().enumerate() {
        let found = searches.propensity(position, false);
        assert!((found - truth).abs() < 0.25 * truth + 0.05, "{position}: {found} instead of {truth}");
    }
    let (top, below) = (strength(&searches, "mug", 0), strength(&searches, "mug", 3));
    assert!(below > 0.7 * top && top > 0.7 * below, "{top} {below}");
}

#[test]
fn published_events_do_not_decide_how_own_choices_count() {
    let published = |kind, n: usize, position| {
        let mut event = event(kind, "x", &format!("query {n}"), Some(position));
        (event.user, event.session, event.id) = (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
        event
    };
    let fill = |searches: &mut Searches| {
        for n in 0..400 {
            searches.observe(&published(EventType::Impression, n, 0), 1);
            searches.observe(&published(EventType::Impression, n, 3), 2);
        }
        for n in 0..1_800 {
            searches.observe(&published(EventType::Click, n, 0), 3);
        }
    };
    let own = |searches: &mut Searches| {
        for n in 0..16 {
            let (item, position) = if n < 12 { (10, 0) } else { (20, 3) };
            searches.observe(&event(EventType::Click, &format!("u{n}"), "mug", Some(position)), item);
        }
    };
    let (mut flooded, mut plain) = (Searches::default(), Searches::default());
    fill(&mut flooded);
    own(&mut flooded);
    own(&mut plain);
    assert_eq!(flooded.chosen("mug", 1_000), plain.chosen("mug", 1_000));
    assert_eq!(flooded.propensity(3, false), plain.propensity(3, false));
    assert!(flooded.propensity(3, true) < plain.propensity(3, true), "those of published keys by what these say");
    // What is known from own events holds for all.
    for n in 0..400 {
        flooded.observe(&event(EventType::Impression, &format!("v{n}"), "mug", Some(0)), 10);
        flooded.observe(&event(EventType::Impression, &format!("v{n}"), "mug", Some(3)), 20);
    }
    assert_eq!(flooded.propensity(3, true), flooded.propensity(3, false));
}

/// The form of section version 1, item by item.
type Older = (
    BTreeMap<u64, (Vec<(ItemIdx, f32, f32, f32, i64, Vec<u32>, Vec<u32>)>, bool, i64)>,
    BTreeMap<Box<str>, u64>,
    Positions,
);

#[test]
fn what_earlier_builds_saved_is_read() {
    let positions = Positions { shown: vec![500.0], chosen: vec![20.0], expected: vec![30.0] };
    let older = |published: Vec<u32>| -> Older {
        let item = (7, 3.5, 3.0, 9.0, 1_000, vec![1, 2, 3], published);
        ([(9, (vec![item], true, 1_000))].into(), [("mug".into(), 9)].into(), positions.clone())
    };
    let read = |older: Older| -> Searches {
        Searches::from(postcard::from_bytes::<FirstSearches>(&postcard::to_stdvec(&older).unwrap()).unwrap())
    };
    let own = read(older(Vec::new()));
    let looks = [Looks { n: 3.0, seen: 9.0 }, Looks::default()];
    let item = &own.queries[&9].items[0];
    assert_eq!((item.item, item.chosen, item.looks, item.shoppers.len()), (7, 3.5, looks, 3));
    assert_eq!((&own.positions, &own.published), (&positions, &Positions::default()));
    let mixed = read(older(vec![4]));
    assert_eq!((&mixed.positions, &mixed.published), (&Positions::default(), &positions));
    assert_eq!(postcard::from_bytes::<Searches>(&postcard::to_stdvec(&mixed).unwrap()).unwrap(), mixed);
}
