use accrue_event::{Price, Shopper};

use super::*;
use crate::{NewSlot, Vocabulary};

const NOW: Now = Now { at_ms: 400 * DAY_MS, has_events: true };

fn item(id: &str, published_day: Option<i64>) -> Item {
    let published_at = published_day.map(|day| Timestamp(day * DAY_MS));
    let (brand, price) = (Some("Acme".into()), Price::new(8.5));
    Item { published_at, brand, price, categories: vec!["mugs".into()], ..Item::bare(id.into()) }
}

fn event(event_type: EventType, position: Option<u32>) -> Event {
    Event {
        user: Some("ann".into()),
        item: Some("mug".into()),
        recommendation_id: position.map(|_| "r1".into()),
        position,
        ..Event::bare("e1".into(), event_type, Timestamp(NOW.at_ms))
    }
}

fn answer(id: &str) -> Served {
    Served { version: 1, items: vec!["cup".into(), "mug".into()], ..Served::bare(id.into(), crate::Page::Recommend) }
}

#[test]
fn an_item_is_new_from_its_publication_or_its_first_description_on() {
    let mut library = NewProducts::default();
    let before = Now { has_events: false, ..NOW };
    library.describe(0, &item("first catalogue", None), Earlier::NotNamed, before);
    library.describe(1, &item("dated", Some(390)), Earlier::NotNamed, before);
    library.describe(2, &item("old", Some(200)), Earlier::NotNamed, NOW);
    library.describe(3, &item("just named", None), Earlier::NotNamed, NOW);
    library.describe(4, &item("known from events", None), Earlier::Named, NOW);
    library.describe(5, &item("to come", Some(410)), Earlier::NotNamed, NOW);
    library.describe(3, &item("just named", None), Earlier::Described(None), Now { at_ms: 450 * DAY_MS, ..NOW });
    library.describe(6, &item("changed", Some(399)), Earlier::Described(None), NOW);
    library.describe(7, &item("changed again", Some(399)), Earlier::Described(Some(Timestamp(0))), NOW);
    library.describe(8, &item("preponed", Some(395)), Earlier::Described(Some(Timestamp(410 * DAY_MS))), NOW);
    let since: Vec<(u32, i64)> = library.latest().map(|(item, new)| (item, new.since_ms / DAY_MS)).collect();
    assert_eq!(since, [(8, 395), (5, 410), (3, 400), (1, 390)]);
    for number in 10..10 + 2 * KEPT as u32 {
        library.describe(number, &item("many", None), Earlier::NotNamed, NOW);
    }
    assert_eq!((library.known.len(), library.order.len()), (KEPT, KEPT));
    assert!(library.get(5).is_none(), "the oldest made room");
}

#[test]
fn impressions_and_clicks_of_pages_count_for_the_product_and_its_kinds() {
    let mut library = NewProducts::default();
    let (mug, other) = (item("mug", Some(399)), Item { brand: None, ..item("cup", None) });
    library.describe(0, &mug, Earlier::NotNamed, NOW);
    let mut observe = |kind: EventType, position, index, item: &Item| {
        library.observe(&event(kind, position), index, Some(item), Timestamp(0));
    };
    observe(EventType::Impression, Some(3), 0, &mug);
    observe(EventType::Impression, Some(3), 7, &other);
    observe(EventType::Click, Some(3), 0, &mug);
    observe(EventType::Click, None, 0, &mug);
    observe(EventType::Purchase, Some(3), 0, &mug);
    let counts = |impressions, clicks| ShownClicked { impressions, clicks };
    assert_eq!((library.of_all(), library.get(0).unwrap().shown), (counts(2, 1), counts(1, 1)));
    let of_kinds: Vec<ShownClicked> = library.of_kinds(&mug).collect();
    assert_eq!(of_kinds, [counts(2, 1), counts(1, 1), counts(2, 1)], "category, brand, price");
}

#[test]
fn draws_count_for_the_product_and_answers_for_the_account() {
    let mut library = NewProducts::default();
    library.describe(0, &item("mug", Some(399)), Earlier::NotNamed, NOW);
    let mut items = Vocabulary::default();
    items.intern("mug");
    let served = |id: &str, trial: Trial| Served { trial, ..answer(id) };
    let slot = |is_new| Trial::With(vec![NewSlot { place: 1, propensity: 0.25, is_new }]);
    for (id, trial) in [("a", slot(true)), ("b", Trial::Without), ("c", slot(false)), ("d", Trial::None)] {
        library.serve(&served(id, trial), None, Timestamp(0), |id| items.get(id.as_str()));
    }
    assert_eq!(library.get(0).unwrap().draws, 1);
    let day = *library.trial.days().next().unwrap();
    assert_eq!((day.drawn.answers, day.others.answers), (2, 1));
}

#[test]
fn with_a_published_key_each_item_of_an_answer_counts_once_and_only_for_its_shopper() {
    let mut library = NewProducts::default();
    let mut items = Vocabulary::default();
    let (mug, cup) = (items.intern("mug"), items.intern("cup"));
    library.describe(mug, &item("mug", Some(399)), Earlier::NotNamed, NOW);
    let guest = Shopper::PublishedGuest("s1".into());
    let served = Served {
        published: true,
        trial: Trial::With(vec![NewSlot { place: 0, propensity: 0.5, is_new: true }]),
        ..answer("r1")
    };
    library.serve(&served, Some(shopper_hash(&guest)), Timestamp(0), |id| items.get(id.as_str()));
    let mut observe = |kind, session: &str, of: &str, index| {
        let event = Event {
            id: format!("{}k:e", accrue_event::PUBLISHED_PREFIX).as_str().into(),
            user: None,
            session: Some(session.into()),
            recommendation_id: Some(of.into()),
            ..event(kind, Some(0))
        };
        library.observe(&event, index, Some(&item("mug", Some(399))), Timestamp(0));
    };
    for _ in 0..30 {
        observe(EventType::Impression, "s1", "r1", mug);
        observe(EventType::Click, "s1", "r1", mug);
        observe(EventType::Click, "s1", "r1", cup);
        observe(EventType::Click, "s2", "r1", mug);
        observe(EventType::Click, "s1", "no answer", mug);
        observe(EventType::Click, "s1", "r1", 77);
    }
    assert_eq!(library.get(mug).unwrap().shown, ShownClicked { impressions: 1, clicks: 1 });
    assert_eq!(library.of_all(), ShownClicked { impressions: 1, clicks: 2 });
    assert_eq!(library.trial.days().next().unwrap().drawn.clicks, 1);
    // The shop's own event about that answer, of a user whom the answer did not know; and the answer once more.
    let own = Event { recommendation_id: Some("r1".into()), ..event(EventType::Click, Some(1)) };
    library.observe(&own, cup, Some(&item("cup", None)), Timestamp(0));
    assert_eq!(library.of_all().clicks, 2, "it was clicked before");
    library.serve(&served, Some(shopper_hash(&guest)), Timestamp(0), |id| items.get(id.as_str()));
    library.observe(&own, cup, Some(&item("cup", None)), Timestamp(0));
    assert_eq!(library.of_all().clicks, 2, "an id that is served twice counts once");
    assert_eq!(library.get(mug).unwrap().draws, 0);
    for number in 0..2 * PAGES {
        library.serve(
            &Served { recommendation_id: format!("{number}").into(), ..served.clone() },
            None,
            Timestamp(0),
            |id| items.get(id.as_str()),
        );
    }
    assert_eq!((library.pages.len(), library.pages_in_order.len()), (PAGES, PAGES));
    let later = Timestamp(CLICK_WINDOW_MS + 1);
    library.serve(&Served { recommendation_id: "late".into(), ..served }, None, later, |id| items.get(id.as_str()));
    assert_eq!(library.pages.len(), 1, "what cannot be clicked any more is forgotten");
}

#[test]
fn a_shopper_counts_once_for_an_item_whichever_answers_the_events_cite() {
    let guest = |session: &str| Shopper::PublishedGuest(session.into());
    let event_of = |kind, session: &str, of: &str, key: &str| Event {
        id: format!("{key}e").as_str().into(),
        user: None,
        session: Some(session.into()),
        recommendation_id: Some(of.into()),
        ..event(kind, Some(0))
    };
    // With a published key on pages of published keys and of the shop's own server; and the shop's own events.
    for (published, key) in [(true, "@publish:k:"), (false, "@publish:k:"), (false, "")] {
        let mut library = NewProducts::default();
        let mut items = Vocabulary::default();
        let mug = items.intern("mug");
        let described = item("mug", Some(399));
        library.describe(mug, &described, Earlier::NotNamed, NOW);
        let mut visit = |session: &str, at: i64, numbers: std::ops::Range<usize>| {
            for number in numbers {
                let id = format!("{session}-{number}");
                let trial = Trial::With(vec![NewSlot { place: 1, propensity: 0.5, is_new: true }]);
                let served = Served { published, trial, ..answer(&id) };
                let shopper = Some(shopper_hash(&guest(session)));
                library.serve(&served, shopper, Timestamp(at), |id| items.get(id.as_str()));
                for kind in [EventType::Impression, EventType::Click] {
                    library.observe(&event_of(kind, session, &id, key), mug, Some(&described), Timestamp(at));
                }
            }
            let (new, of_all) = (*library.get(mug).unwrap(), library.of_all());
            assert_eq!(of_all, new.shown);
            let clicks = library.trial.days().next().unwrap().drawn.clicks;
            (new.shown.impressions, new.shown.clicks, new.draws, clicks)
        };
        let draws = |n: u64| if published { 0 } else { n };
        assert_eq!(visit("s1", 0, 0..20), (1, 1, draws(1), 1), "{published} {key}");
        assert_eq!(visit("s2", 5, 0..20), (2, 2, draws(2), 2), "another shopper");
        let later = CLICK_WINDOW_MS + 1;
        assert_eq!(visit("s1", later, 20..30), (3, 3, draws(3), 3), "another visit");
    }
}

#[test]
fn what_is_not_counted_again_is_bounded() {
    let mut library = NewProducts::default();
    for number in 0..2 * COUNTED as u32 {
        assert!(library.is_first(Seen::Click, 1, number, Timestamp(0)));
    }
    assert_eq!(library.counted.len(), COUNTED);
    assert!(!library.is_first(Seen::Click, 1, 2 * COUNTED as u32 - 1, Timestamp(0)));
    assert!(library.is_first(Seen::Click, 1, 7, Timestamp(CLICK_WINDOW_MS + 1)));
    assert_eq!(library.counted.len(), 1, "what is over is forgotten");
}

#[test]
fn what_an_earlier_build_saved_is_read() {
    let mut library = NewProducts::default();
    library.describe(3, &item("mug", Some(399)), Earlier::NotNamed, NOW);
    let served = Served { trial: Trial::Without, ..answer("a") };
    library.serve(&served, Some(7), Timestamp(5), |_| Some(3));
    let NewProducts { known, order, of_all, by_kind, trial, pages, pages_in_order, .. } = library.clone();
    let saved = postcard::to_stdvec(&(known, order, of_all, by_kind, trial, pages, pages_in_order)).unwrap();
    assert_eq!(NewProducts::from(postcard::from_bytes::<FirstNewProducts>(&saved).unwrap()), library);
}

#[test]
fn a_draw_counts_as_an_impression_where_the_shop_sends_none() {
    let new = NewProduct { draws: 40, ..NewProduct::default() };
    assert_eq!(new.seen(), ShownClicked { impressions: 40, clicks: 0 });
    let new = NewProduct { shown: ShownClicked { impressions: 50, clicks: 2 }, ..new };
    assert_eq!(new.seen(), ShownClicked { impressions: 50, clicks: 2 });
}
