use accrue_event::Timestamp;

use super::outcome::{MAX_SHOPPERS, MAX_THEN};
use super::*;
use crate::{CheckedEvent, Offset};

fn record(kind: EventType, user: &str, query: &str, item: Option<&str>, at_s: i64, is_published: bool) -> Record {
    let event = Event {
        user: Some(user.into()),
        item: item.map(ItemId::from),
        query: Some(query.into()),
        ..Event::bare(if is_published { "@publish:web:1".into() } else { "e".into() }, kind, Timestamp(at_s * 1_000))
    };
    let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
    Record { offset: Offset(0), received_at: Timestamp(0), body }
}

fn search(found: &mut Reformulations, user: &str, query: &str, at_s: i64) {
    found.observe(&record(EventType::Search, user, query, None, at_s, false));
}

fn click(found: &mut Reformulations, user: &str, query: &str, at_s: i64) {
    found.observe(&record(EventType::Click, user, query, Some("i1"), at_s, false));
}

#[test]
fn a_choice_that_names_its_answer_is_no_further_search_whatever_its_time() {
    let mut found = Reformulations::default();
    let answer = |id: &str, received_at: i64| {
        let served = Served {
            user: Some("ann".into()),
            version: 1,
            items: vec!["i1".into()],
            ..Served::bare(id.into(), Page::Search { query: "mug".into() })
        };
        Record { offset: Offset(0), received_at: Timestamp(received_at), body: Body::Served(Box::new(served)) }
    };
    let choose = |found: &mut Reformulations, kind: EventType, id: &str| {
        let mut record = record(kind, "ann", "mug", Some("i1"), 9, false);
        if let Body::Event(checked) = &mut record.body {
            checked.event.recommendation_id = Some(id.into());
        }
        found.observe(&record);
    };
    let years_later = 40 * 365 * accrue_event::DAY_MS;
    found.observe(&answer("r1", years_later));
    choose(&mut found, EventType::Click, "r1");
    choose(&mut found, EventType::Cart, "r1");
    assert_eq!(found.totals(), SearchTotals { searches: 1, without_result: 0, chosen: 1 });
    choose(&mut found, EventType::Click, "of-another-day");
    assert_eq!(found.totals().searches, 2);
}

#[test]
fn a_search_that_led_to_nothing_is_followed_to_the_one_that_did() {
    let mut found = Reformulations::default();
    for user in ["ann", "bob"] {
        search(&mut found, user, "Brolly", 0);
        search(&mut found, user, "rain  cover", 20);
        search(&mut found, user, "umbrella", 40);
        click(&mut found, user, "umbrella", 60);
        click(&mut found, user, "umbrella", 61);
    }
    let brolly = found.of("brolly").unwrap();
    assert_eq!((brolly.searches, brolly.chosen, brolly.without_choice()), (2, 0, 2));
    assert!(brolly.searchers.iter().all(|searcher| searcher.moved_on && !searcher.chose));
    assert_eq!((&*brolly.then[0].query, brolly.then[0].own.len()), ("umbrella", 2));
    assert_eq!(brolly.then[0].items[0].shoppers.len(), 2);
    assert_eq!(found.of("rain cover").unwrap().then.len(), 1);
    assert!(found.of("umbrella").unwrap().then.is_empty());
    assert_eq!(found.totals(), SearchTotals { searches: 6, without_result: 0, chosen: 2 });
    assert_eq!(found.most(1, |outcome| outcome.without_choice())[0].0, "brolly");
}

#[test]
fn a_search_after_a_choice_or_much_later_is_another_wish() {
    let mut found = Reformulations::default();
    search(&mut found, "ann", "mug", 0);
    click(&mut found, "ann", "mug", 5);
    search(&mut found, "ann", "lamp", 20);
    click(&mut found, "ann", "lamp", 25);
    search(&mut found, "bob", "mug", 0);
    search(&mut found, "bob", "lamp", 400);
    click(&mut found, "bob", "lamp", 410);
    assert!(found.of("mug").unwrap().then.is_empty());
}

#[test]
fn letters_typed_on_are_one_search_and_choices_imply_theirs() {
    let mut found = Reformulations::default();
    for (n, text) in ["u", "umb", "umbrella"].iter().enumerate() {
        search(&mut found, "ann", text, n as i64);
    }
    search(&mut found, "ann", "umbrella", 3);
    click(&mut found, "ann", "umbrella", 4);
    click(&mut found, "bob", "lamp", 4);
    assert_eq!(
        found.queries().map(|(query, outcome)| (query, outcome.searches)).collect::<Vec<_>>(),
        [("lamp", 1), ("umbrella", 1)]
    );
    assert_eq!(found.totals().searches, 2);
}

#[test]
fn published_choices_are_kept_apart_and_everything_is_bounded() {
    let mut found = Reformulations::default();
    for n in 0..500 {
        let user = format!("s{n}");
        search(&mut found, &user, "brolly", 0);
        found.observe(&record(EventType::Click, &user, &format!("q{}", n % 40), Some("i1"), 10, true));
    }
    let brolly = found.of("brolly").unwrap();
    assert!(brolly.then.len() <= MAX_THEN && brolly.searchers.len() <= MAX_SHOPPERS);
    assert!(brolly.then.iter().all(|then| then.own.is_empty() && !then.published.is_empty()));
    assert!(brolly.then.iter().all(|then| then.items.iter().all(|item| item.shoppers.is_empty())));
    click(&mut found, "ann", "kept", 0);
    for n in 0..MAX_QUERIES + 100 {
        search(&mut found, "bob", &format!("word {n} x"), 1_000 * n as i64);
    }
    assert!(found.queries.len() <= MAX_QUERIES && found.of("kept").is_some());
    search(&mut found, "bob", &"x".repeat(10_000), 0);
    assert!(found.queries().all(|(query, _)| query.len() <= crate::searches::MAX_QUERY_BYTES));
}

#[test]
fn published_keys_change_nothing_of_what_own_shoppers_did() {
    let mut found = Reformulations::default();
    for n in 0..30 {
        let user = format!("ann{n}");
        search(&mut found, &user, "gamp", 60 * n);
        search(&mut found, &user, "umbrella", 60 * n + 20);
        click(&mut found, &user, "umbrella", 60 * n + 30);
    }
    for n in 0..20 {
        let choice = record(EventType::Click, &format!("bob{n}"), "gamp", Some(&format!("own{n}")), 5_000, false);
        found.observe(&choice);
    }
    let before = found.of("gamp").unwrap().clone();
    for n in 0..400_i64 {
        let mut published = |kind, session: &str, query: &str, item: Option<&str>| {
            let mut record = record(kind, session, query, item, 6_000 + n, true);
            let Body::Event(checked) = &mut record.body else { unreachable!() };
            checked.event.session = checked.event.user.take().map(|user| user.as_str().into());
            found.observe(&record);
        };
        let session = format!("x{n}");
        published(EventType::Search, &session, "gamp", None);
        published(EventType::Click, &session, "gamp", Some(&format!("m{}", n % 22)));
        published(EventType::Search, &format!("y{n}"), "gamp", None);
        published(EventType::Click, &format!("y{n}"), &format!("other {n}"), Some("m1"));
    }
    let after = found.of("gamp").unwrap();
    assert_eq!(after.searchers, before.searchers);
    assert_eq!(after.published.len(), MAX_SHOPPERS);
    let own = |outcome: &QueryOutcome| {
        let items: Vec<_> =
            outcome.items.iter().filter(|item| !item.shoppers.is_empty()).map(|item| &item.item).cloned().collect();
        (items, outcome.then.iter().map(|then| then.own.clone()).filter(|own| !own.is_empty()).collect::<Vec<_>>())
    };
    assert_eq!(own(after), own(&before));
    assert!(after.n_searchers() > before.n_searchers());
}

#[test]
fn a_published_event_that_names_a_user_is_no_part_of_their_visit() {
    let mut found = Reformulations::default();
    for n in 0..10 {
        let user = format!("ann{n}");
        found.observe(&record(EventType::Search, &user, "mug", None, 0, true));
        search(&mut found, &user, "umbrella", 10);
        click(&mut found, &user, "umbrella", 20);
    }
    let of_mug = found.of("mug").unwrap();
    assert!(of_mug.then.is_empty() && of_mug.searchers.is_empty(), "{of_mug:?}");
}

#[test]
fn searches_of_a_page_count_as_own_ones_once_an_own_choice_follows() {
    let mut found = Reformulations::default();
    let answered = |found: &mut Reformulations, query: &str, at_ms| {
        let served = Served {
            session: Some("s1".into()),
            version: 1,
            items: vec!["i1".into()],
            published: true,
            ..Served::bare("r".into(), Page::Search { query: query.into() })
        };
        let body = Body::Served(Box::new(served));
        found.observe(&Record { offset: Offset(0), received_at: Timestamp(at_ms), body });
    };
    answered(&mut found, "gamp", 0);
    answered(&mut found, "umbrella", 10_000);
    let searchers = |found: &Reformulations, query: &str| {
        let outcome = found.of(query).unwrap();
        (
            outcome.searchers.len(),
            outcome.published.len(),
            outcome.then.iter().map(|then| then.own.len()).sum::<usize>(),
        )
    };
    assert_eq!((searchers(&found, "gamp"), searchers(&found, "umbrella")), ((0, 1, 0), (0, 1, 0)));
    let mut choice = record(EventType::Click, "", "umbrella", Some("i1"), 15, false);
    let Body::Event(checked) = &mut choice.body else { unreachable!() };
    (checked.event.user, checked.event.session) = (None, Some("s1".into()));
    found.observe(&choice);
    assert_eq!((searchers(&found, "gamp"), searchers(&found, "umbrella")), ((1, 1, 1), (1, 1, 0)));
}
