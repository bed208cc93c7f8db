use accrue_event::Event;

use super::*;

fn event(id: &str, user: &str, item: &str, at_s: i64) -> Body {
    Body::Event(CheckedEvent {
        event: Event {
            user: Some(user.into()),
            item: Some(item.into()),
            ..Event::bare(id.into(), EventType::View, Timestamp(at_s * 1000))
        },
        repairs: vec![],
        raw: None,
    })
}

fn fold(bodies: Vec<Body>) -> Facts {
    let mut facts = Facts::new(10);
    for (place, body) in bodies.into_iter().enumerate() {
        facts.apply(&Record { offset: Offset(place as u64), received_at: Timestamp(0), body });
    }
    facts
}

#[test]
fn names_get_indices_in_order_of_appearance() {
    let facts = fold(vec![event("1", "ann", "mug", 1), event("2", "bob", "cup", 2), event("3", "ann", "cup", 3)]);
    assert_eq!((facts.items.get("mug"), facts.items.get("cup")), (Some(0), Some(1)));
    assert_eq!(facts.user_names().collect::<Vec<_>>(), ["ann", "bob"]);
    assert_eq!(facts.histories.n_events(0), 2);
    assert_eq!(facts.stream_time, Timestamp(3000));
}

#[test]
fn a_tombstone_changes_nothing_but_the_end() {
    let before = fold(vec![event("1", "ann", "mug", 1)]);
    let mut after = fold(vec![event("1", "ann", "mug", 1), Body::Tombstone]);
    assert_eq!(after.end, Offset(2));
    after.end = before.end;
    assert!(after == before);
}

#[test]
fn a_served_answer_changes_nothing_but_the_end() {
    let served = crate::Served {
        user: Some("bob".into()),
        version: 3,
        learned: Offset(1),
        items: vec!["cup".into()],
        ..crate::Served::bare("r1".into(), crate::Page::Recommend)
    };
    assert_eq!(served.propensity(0), 1.0, "where nothing was drawn");
    let before = fold(vec![event("1", "ann", "mug", 1)]);
    let mut after = fold(vec![event("1", "ann", "mug", 1), Body::Served(Box::new(served))]);
    after.end = before.end;
    assert!(after == before, "an impression creates neither a shopper nor an item");
}

#[test]
fn a_retired_item_is_hidden_until_it_is_described_again() {
    let item = Item { title: Some("Red mug".into()), ..Item::bare("mug".into()) };
    let describe = || Body::Item(Box::new(item.clone()));
    let retired = fold(vec![describe(), Body::ItemRetired("mug".into())]);
    assert!(!retired.find(&"mug".into()).unwrap().can_be_shown());
    let back = fold(vec![describe(), Body::ItemRetired("mug".into()), describe()]);
    assert!(back.find(&"mug".into()).unwrap().can_be_shown());
}

#[test]
fn what_an_address_says_again_is_no_evidence() {
    // An answer of the shop's own program: those to published keys are not in the account of draws.
    let served = |n: usize, trial: crate::Trial| crate::Served {
        session: Some("s1".into()),
        version: 1,
        items: vec!["mug".into(), "cup".into()],
        propensities: vec![0.5, 1.0],
        trial,
        ..crate::Served::bare(format!("r{n}").into(), crate::Page::Recommend)
    };
    let click = |repair: &str| {
        let Body::Event(mut checked) = event("@publish:web:c", "ann", "mug", 2) else { unreachable!() };
        let Event { event_type, recommendation_id, user, session, .. } = &mut checked.event;
        (*event_type, *user, *session) = (EventType::Click, None, Some("s1".into()));
        *recommendation_id = Some("r1".into());
        checked.repairs = vec![repair.into()];
        Body::Event(checked)
    };
    let slots = vec![crate::NewSlot { place: 0, propensity: 0.5, is_new: true }];
    let clicks = |repair: &str| {
        let facts = fold(vec![
            event("1", "ann", "mug", 1),
            event("2", "ann", "cup", 1),
            Body::Served(Box::new(served(1, crate::Trial::With(slots.clone())))),
            click(repair),
        ]);
        let of = |account: &DrawAccount| account.days().map(|day| day.drawn.clicks).sum::<u64>();
        [of(&facts.draws), of(&facts.new_products.trial), facts.new_products.of_all().clicks]
    };
    assert_eq!(clicks("at_filled"), [1, 1, 1]);
    assert_eq!(clicks("no_evidence"), [0, 0, 0]);
}

#[test]
fn places_of_guests_are_counted_again_from_the_log_as_they_were_counted() {
    let day = |day: i64| Timestamp(day * accrue_event::DAY_MS);
    let published = |id: &str, session: &str| {
        let Body::Event(mut checked) = event(&format!("@publish:web:{id}"), "-", "mug", 2) else { unreachable!() };
        (checked.event.user, checked.event.session) = (None, Some(session.into()));
        Body::Event(checked)
    };
    let bodies = [
        (1, event("1", "ann", "mug", 1)),
        (1, published("a", "s1")),
        (1, Body::User(User { id: "bob".into(), attributes: Default::default() })),
        (2, published("b", "s1")),
        (2, published("c", "s2")),
        (3, Body::Merged { session: "s3".into(), user: "bob".into() }),
        (3, Body::Merged { session: "s1".into(), user: "cid".into() }),
        (3, published("d", "s3")),
        (31, published("e", "s4")),
    ];
    let records = bodies.into_iter().enumerate();
    let records: Vec<Record> = records
        .map(|(place, (of, body))| Record { offset: Offset(place as u64), received_at: day(of), body })
        .collect();
    let mut facts = Facts::new(10);
    records.iter().for_each(|record| facts.apply(record));
    assert_eq!([1, 2, 3, 31, 60, 61].map(|of| facts.published.n_places(day(of))), [3, 3, 3, 3, 1, 0]);
    let mut again = OlderParts::default();
    records.iter().for_each(|record| again.apply(&facts, record));
    let mut other = facts.clone();
    other.published.places.clear();
    again.replace_in(&mut other);
    assert!(other == facts);
}

#[test]
fn what_is_for_own_pages_teaches_no_search_and_paces_nothing() {
    let choice = |repair: &str| {
        let Body::Event(mut checked) = event("@publish:web:c", "-", "mug", 2) else { unreachable!() };
        (checked.event.user, checked.event.session) = (None, Some("s1".into()));
        checked.event.query = Some("red mug".into());
        checked.repairs = vec![repair.into()];
        let is = (checked.is_evidence(), checked.is_traffic());
        let facts = fold(vec![event("1", "ann", "mug", 1), Body::Event(checked)]);
        (is, facts.searches != fold(vec![event("1", "ann", "mug", 1)]).searches, facts.histories.n_events(1))
    };
    assert_eq!(choice("at_filled"), ((true, true), true, 1));
    assert_eq!(choice("own_pages"), ((false, false), false, 1));
    assert_eq!(choice("no_traffic"), ((true, false), true, 1));
}
