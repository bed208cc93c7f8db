use accrue_event::{Campaign, CampaignDocument, EventType};
use accrue_kernel::Draws;

use super::answers::WAITING;
use super::*;
use crate::Page;

const HOURS: usize = 24;
const HOUR_MS: i64 = DAY_MS / HOURS as i64;

fn document() -> String {
    let campaign = Campaign {
        id: "spring".into(),
        items: vec!["mug".into()],
        filter: None,
        bid: 50,
        daily_budget: 5_000,
        scenes: Vec::new(),
        categories: Vec::new(),
        queries: Vec::new(),
        shoppers: None,
        per_shopper: Some(3),
        quality_floor: None,
        from: None,
        until: None,
    };
    let document = CampaignDocument { campaigns: vec![campaign], ..CampaignDocument::default() };
    serde_json::to_string(&CampaignRecord::Document(document)).unwrap()
}

fn served(id: &str, price: u64) -> Served {
    Served {
        version: 1,
        items: vec!["cup".into(), "mug".into()],
        sponsored: vec![SponsoredSlot { place: 1, campaign: "spring".into(), price }],
        ..Served::bare(id.into(), Page::Recommend)
    }
}

fn charge(answer: &str, amount: u64, day: i64) -> String {
    let (campaign, answer, item) = ("spring".into(), answer.into(), "mug".into());
    serde_json::to_string(&CampaignRecord::Charge(Charge { campaign, answer, item, price: amount, amount, day }))
        .unwrap()
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.take(&document(), Offset(1), Timestamp(0), Timestamp(0));
    ledger
}

/// An event that moves the time of the stream.
fn pass(ledger: &mut Ledger, at_ms: i64) {
    happened(ledger, at_ms, at_ms, "e1");
}

/// An answer at a moment of the stream.
fn serve(ledger: &mut Ledger, served: &Served, shopper: Option<u64>, received_at: Timestamp, at: Timestamp) {
    ledger.roll(at);
    ledger.serve(served, shopper, received_at);
}

fn happened(ledger: &mut Ledger, at_ms: i64, received_at_ms: i64, id: &str) {
    let event = Event { id: id.into(), at: Timestamp(at_ms), ..click("r0", "mug") };
    ledger.pass(&event, Timestamp(received_at_ms), true);
}

fn click(answer: &str, item: &str) -> Event {
    Event {
        item: Some(item.into()),
        recommendation_id: Some(answer.into()),
        ..Event::bare("e1".into(), EventType::Click, Timestamp(0))
    }
}

#[test]
fn a_click_is_charged_for_the_visitor_who_was_shown_the_item() {
    let mut ledger = ledger();
    let to_ann = Served { user: Some("ann".into()), session: Some("s1".into()), ..served("ann", 45) };
    let to_guest = Served { session: Some("s1".into()), ..served("guest", 45) };
    let all = [to_ann, to_guest, served("nobody", 45)];
    all.iter().for_each(|served| serve(&mut ledger, served, None, Timestamp(0), Timestamp(0)));
    let by = |answer: &str, id: &str, user: Option<&str>, session: Option<&str>| {
        let (user, session) = (user.map(Into::into), session.map(Into::into));
        let event = Event { id: id.into(), user, session, ..click(answer, "mug") };
        let is_charged = ledger.waiting(&event, Timestamp(0)).is_some();
        assert_eq!(all.iter().any(|served| Ledger::on_its_way(served, &event).is_some()), is_charged, "{event:?}");
        is_charged
    };
    let (own, web) = ("e1", "@publish:web:e1");
    assert!(by("ann", own, Some("ann"), None) && by("ann", own, Some("other"), Some("s1")));
    assert!(!by("ann", own, Some("other"), Some("s2")) && !by("ann", own, None, None));
    assert!(by("guest", web, None, Some("s1")) && by("ann", web, None, Some("s1")));
    assert!(!by("guest", web, None, Some("s2")) && !by("ann", web, Some("ann"), Some("s2")));
    assert!(by("nobody", own, Some("bob"), None), "the shop's own event, of an answer to an unknown visitor");
    assert!(!by("nobody", web, None, Some("s9")), "anybody could have guessed the answer's id");
}

#[test]
fn a_shown_item_waits_for_its_click_and_is_charged_once() {
    let mut ledger = ledger();
    let now = Timestamp(DAY_MS);
    let mug = |answer: &str| click(answer, "mug");
    serve(&mut ledger, &served("r1", 45), Some(7), now, now);
    assert_eq!(ledger.waiting(&mug("r1"), now).map(|known| known.slot.price), Some(45));
    assert!(ledger.waiting(&click("r1", "cup"), now).is_none(), "the other item is not sponsored");
    assert!(ledger.waiting(&mug("r2"), now).is_none());
    assert!(ledger.waiting(&mug("r1"), Timestamp(now.0 + CLICK_WINDOW_MS + 1)).is_none());
    ledger.take(&charge("r1", 45, 1), Offset(3), Timestamp(DAY_MS), Timestamp(0));
    assert!(ledger.waiting(&mug("r1"), now).is_none());
    let account = ledger.account("spring").unwrap();
    assert_eq!(account.total, Spend { impressions: 1, clicks: 1, amount: 45, invalid: 0 });
    assert_eq!((ledger.spent("spring", 1), ledger.spent("spring", 2)), (45, 0));
    assert_eq!((ledger.n_shown(7, "spring", 1), ledger.n_shown(8, "spring", 1)), (1, 0));
}

#[test]
fn a_new_day_begins_the_caps_again_and_keeps_the_amounts() {
    let mut ledger = ledger();
    serve(&mut ledger, &served("r1", 45), Some(7), Timestamp(0), Timestamp(DAY_MS));
    ledger.take(&charge("r1", 45, 1), Offset(3), Timestamp(DAY_MS), Timestamp(0));
    pass(&mut ledger, 2 * DAY_MS);
    assert_eq!((ledger.n_shown(7, "spring", 2), ledger.spent("spring", 1)), (0, 45));
    for day in 2..60 {
        ledger.take(&charge("later", 1, day), Offset(4), Timestamp(DAY_MS), Timestamp(0));
    }
    let account = ledger.account("spring").unwrap();
    assert_eq!((account.days.len(), account.total.amount), (DAYS, 45 + 58));
    assert!(account.days.is_sorted_by_key(|(day, _)| *day));
}

#[test]
fn answers_that_wait_are_bounded_and_end() {
    let mut ledger = ledger();
    for n in 0..WAITING + 10 {
        serve(&mut ledger, &served(&format!("r{n}"), 1), None, Timestamp(0), Timestamp(0));
    }
    assert_eq!(ledger.own.sizes(), (WAITING, WAITING));
    serve(&mut ledger, &served("late", 1), None, Timestamp(CLICK_WINDOW_MS + 1), Timestamp(0));
    assert_eq!(ledger.own.sizes(), (1, 1));
    // The same id again.
    serve(&mut ledger, &served("late", 2), None, Timestamp(CLICK_WINDOW_MS + 1), Timestamp(0));
    assert_eq!((ledger.own.sizes(), ledger.dropped().answers), ((1, 1), [10, 0]));
}

#[test]
fn records_that_cannot_be_read_change_nothing() {
    let mut ledger = ledger();
    let before = ledger.clone();
    for json in ["", "{}", r#"{"later":{}}"#, r#"{"charge":{"amount":-1}}"#] {
        ledger.take(json, Offset(9), Timestamp(0), Timestamp(0));
    }
    assert_eq!(ledger, before);
}

#[test]
fn the_allowance_follows_the_usual_traffic_of_the_day_and_never_exceeds_the_budget() {
    let mut ledger = ledger();
    assert_eq!(ledger.allowance(2_400, 6 * HOUR_MS), 600, "evenly, while nothing is known");
    // Three days with all events between 18 and 21 o'clock.
    for day in 1..4 {
        for n in 0..3_000 {
            pass(&mut ledger, day * DAY_MS + 18 * HOUR_MS + n * 3_600);
        }
    }
    pass(&mut ledger, 4 * DAY_MS);
    let by = |hour: i64| ledger.allowance(10_000, 4 * DAY_MS + hour * HOUR_MS);
    assert!(by(18) < 600 && by(21) > 9_700, "{} {}", by(18), by(21));
    assert!((0..24).map(by).is_sorted());
    assert!(ledger.allowance(u64::MAX >> 8, DAY_MS - 1) <= u64::MAX >> 8);
}

/// A shop's day: visitors come by the hour, a page has the campaign while its pacing lets it take part, and some
/// click.
#[test]
fn a_simulated_day_spends_the_budget_over_the_whole_day_and_never_more() {
    const BUDGET: u64 = 5_000;
    let traffic =
        |hour: usize| [1, 1, 1, 1, 1, 2, 4, 6, 8, 10, 11, 12, 12, 12, 11, 11, 12, 14, 16, 18, 18, 14, 8, 3][hour];
    let mut ledger = ledger();
    let mut draws = Draws::new(3, 4, 0);
    let mut by_hour = [[0_u64; HOURS]; 6];
    for (day, by_hour) in (0..).zip(&mut by_hour) {
        for (hour, settled) in by_hour.iter_mut().enumerate() {
            let n = 20 * traffic(hour);
            for visitor in 0..n {
                let now = Timestamp(day * DAY_MS + hour as i64 * HOUR_MS + HOUR_MS * visitor / n);
                pass(&mut ledger, now.0);
                let spent = ledger.spent("spring", day);
                if spent > 0 && spent >= ledger.allowance(BUDGET, now.0) {
                    continue;
                }
                let (id, price) = (format!("{day}-{hour}-{visitor}"), 30 + draws.below(21));
                serve(&mut ledger, &served(&id, price), None, now, now);
                if draws.below(10) == 0 {
                    let amount = price.min(BUDGET - spent);
                    ledger.take(&charge(&id, amount, day), Offset(9), now, Timestamp(0));
                    *settled += amount;
                }
            }
        }
    }
    let whole: u64 = (0..HOURS).map(|hour| traffic(hour) as u64).sum();
    for (day, by_hour) in by_hour.iter().enumerate() {
        let spent: u64 = by_hour.iter().sum();
        assert!((BUDGET * 9 / 10..=BUDGET).contains(&spent), "day {day}: {spent}");
        assert_eq!(spent, ledger.spent("spring", day as i64));
    }
    // From the third day on, each quarter of the day has its part of the traffic of the money.
    for by_hour in &by_hour[2..] {
        let spent: u64 = by_hour.iter().sum();
        for quarter in 0..4 {
            let hours = 6 * quarter..6 * quarter + 6;
            let money = by_hour[hours.clone()].iter().sum::<u64>() as f64 / spent as f64;
            let usual = hours.map(|hour| traffic(hour) as u64).sum::<u64>() as f64 / whole as f64;
            assert!(
                (money - usual).abs() < 0.08,
                "quarter {quarter}: {money:.3} of the money, {usual:.3} of the traffic"
            );
        }
    }
}

#[test]
fn what_published_keys_ask_for_takes_no_place_from_what_the_shop_asks_for() {
    let mut ledger = ledger();
    let now = Timestamp(DAY_MS);
    serve(&mut ledger, &served("own", 45), Some(7), now, now);
    let page = |n: usize| Served { published: true, session: Some("s".into()), ..served(&format!("p{n}"), 1) };
    for n in 0..SHOWN + 10 {
        serve(&mut ledger, &page(n), Some(100 + n as u64), now, now);
    }
    assert_eq!(ledger.waiting(&click("own", "mug"), now).map(|known| known.slot.price), Some(45));
    assert_eq!((ledger.own.sizes().0, ledger.published.sizes().0), (1, WAITING));
    assert_eq!((ledger.shown_own.len(), ledger.shown_published.len()), (1, SHOWN));
    let dropped = DroppedOfLedger { answers: [0, (SHOWN + 10 - WAITING) as u64], shown: [0, 10] };
    assert_eq!(ledger.dropped(), dropped);
    let n_shown = |shopper| ledger.n_shown(shopper, "spring", 1);
    assert_eq!((n_shown(7), n_shown(1_000_000), n_shown(100), n_shown(110)), (1, 0, 0, 1), "the oldest begin again");
}

#[test]
fn only_campaigns_with_a_cap_count_whom_they_were_shown_to() {
    let mut ledger = ledger();
    let now = Timestamp(DAY_MS);
    let slot = SponsoredSlot { place: 0, campaign: "uncapped".into(), price: 1 };
    serve(&mut ledger, &Served { sponsored: vec![slot], ..served("r1", 1) }, Some(7), now, now);
    assert_eq!((ledger.shown_own.len(), ledger.account("uncapped").unwrap().total.impressions), (0, 1));
}

#[test]
fn a_further_click_of_a_visitor_is_recognised_for_an_hour() {
    let mut ledger = ledger();
    let to = |answer: &str, user: &str| Served { user: Some(user.into()), ..served(answer, 45) };
    let now = Timestamp(DAY_MS);
    for (answer, user) in [("r1", "ann"), ("r2", "ann"), ("r3", "bob")] {
        serve(&mut ledger, &to(answer, user), None, now, now);
    }
    let by = |ledger: &Ledger, answer: &str, user: &str, after_ms: i64| {
        let event = Event { user: Some(user.into()), ..click(answer, "mug") };
        let visitor = ledger.waiting(&event, now).unwrap().visitor.unwrap();
        ledger.was_charged_lately(visitor, "spring", &"mug".into(), Timestamp(now.0 + after_ms))
    };
    assert!(!by(&ledger, "r2", "ann", 0));
    ledger.take(&charge("r1", 45, 1), Offset(3), now, Timestamp(0));
    assert!(by(&ledger, "r2", "ann", REPEATED_MS - 1) && !by(&ledger, "r2", "ann", REPEATED_MS));
    assert!(!by(&ledger, "r3", "bob", 1));
    let visitor =
        ledger.waiting(&Event { user: Some("ann".into()), ..click("r2", "mug") }, now).unwrap().visitor.unwrap();
    assert!(!ledger.was_charged_lately(visitor, "other", &"mug".into(), now));
    // The invalid click is counted, and its item can no longer be charged for.
    let invalid = InvalidClick {
        campaign: "spring".into(),
        answer: "r2".into(),
        item: "mug".into(),
        why: accrue_event::InvalidReason::Repeated,
        day: 1,
    };
    ledger.take(&serde_json::to_string(&CampaignRecord::Invalid(invalid)).unwrap(), Offset(4), now, Timestamp(0));
    assert!(ledger.waiting(&Event { user: Some("ann".into()), ..click("r2", "mug") }, now).is_none());
    let account = ledger.account("spring").unwrap();
    assert_eq!(account.total, Spend { impressions: 3, clicks: 1, amount: 45, invalid: 1 });
    assert_eq!(account.of_day(1).invalid, 1);
}

#[test]
fn events_of_the_past_are_no_traffic_of_the_hour_in_which_they_are_imported() {
    let mut ledger = ledger();
    for minute in 0..24 * 60 {
        pass(&mut ledger, DAY_MS + minute * 60_000);
    }
    let (one, at_one) = (2 * DAY_MS + HOUR_MS, |ledger: &Ledger| ledger.allowance(10_000, 3 * DAY_MS + HOUR_MS));
    pass(&mut ledger, one);
    let mut imported = ledger.clone();
    for n in 0..20_000 {
        happened(&mut imported, one - 30 * DAY_MS + n, one, "e1");
        // Of the day before, just before midnight.
        happened(&mut imported, 2 * DAY_MS - 1, one, "e1");
    }
    for ledger in [&mut ledger, &mut imported] {
        pass(ledger, 3 * DAY_MS);
    }
    assert_eq!(at_one(&imported), at_one(&ledger));
    assert!((400..440).contains(&at_one(&ledger)), "{}", at_one(&ledger));
}

/// Impressions, clicks, spent.
type OlderCounts = (u64, u64, u64);

/// The counts of a campaign, and those of each day.
type OlderAccount = (OlderCounts, Vec<(i64, OlderCounts)>);

/// The form in which the first builds with campaigns saved a ledger.
#[derive(Serialize)]
struct Older {
    document: RuleTexts,
    accounts: BTreeMap<Box<str>, OlderAccount>,
    waiting: BTreeMap<u64, Answer>,
    order: Vec<u64>,
    day: i64,
    shown: BTreeMap<(u64, u64), u16>,
    hours: [[u64; HOURS]; 2],
}

#[test]
fn a_ledger_of_the_first_builds_is_read() {
    let mut expected = ledger();
    let now = Timestamp(DAY_MS);
    pass(&mut expected, now.0);
    serve(&mut expected, &served("r1", 45), Some(7), now, now);
    let answer = expected.own.get(hash("r1")).unwrap().clone();
    let mut hours = [[0; HOURS]; 2];
    hours[0][0] = 1;
    let older = Older {
        document: expected.document.clone(),
        accounts: [("spring".into(), ((1, 0, 0), vec![(1, (1, 0, 0))]))].into(),
        waiting: [(hash("r1"), answer)].into(),
        order: vec![hash("r1")],
        day: 1,
        shown: [((7, hash("spring")), 1)].into(),
        hours,
    };
    let first: FirstLedger = postcard::from_bytes(&postcard::to_stdvec(&older).unwrap()).unwrap();
    let read = Ledger::from(first);
    assert_eq!(read, expected);
    let again: Ledger = postcard::from_bytes(&postcard::to_stdvec(&read).unwrap()).unwrap();
    assert_eq!(again, expected);
}

#[test]
fn a_published_event_ahead_of_the_clock_does_not_begin_the_next_day() {
    let mut ledger = ledger();
    let evening = 2 * DAY_MS - 240_000;
    pass(&mut ledger, evening);
    serve(&mut ledger, &served("r1", 45), Some(7), Timestamp(evening), Timestamp(evening));
    happened(&mut ledger, 2 * DAY_MS, evening, "@publish:web:e1");
    assert_eq!((ledger.time(), ledger.n_shown(7, "spring", 1)), (Timestamp(evening), 1));
    happened(&mut ledger, 2 * DAY_MS, evening, "e2");
    assert_eq!(
        (ledger.time(), ledger.n_shown(7, "spring", 2)),
        (Timestamp(2 * DAY_MS), 0),
        "the shop's own clock counts"
    );
}

#[test]
fn answers_before_the_first_event_count_on_the_day_of_their_arrival() {
    let mut ledger = ledger();
    let (monday, tuesday) = (20_000, 20_001);
    ledger.serve(&served("r1", 10), Some(1), Timestamp(monday * DAY_MS + 5));
    ledger.serve(&served("r2", 10), Some(1), Timestamp(tuesday * DAY_MS + 5));
    let account = ledger.account("spring").unwrap().clone();
    let days: Vec<(i64, u64)> = account.days.iter().map(|(day, spend)| (*day, spend.impressions)).collect();
    assert_eq!(days, [(monday, 1), (tuesday, 1)]);
    assert_eq!(ledger.today(&account).impressions, 1);
    pass(&mut ledger, tuesday * DAY_MS + 9);
    ledger.serve(&served("r3", 10), Some(1), Timestamp(tuesday * DAY_MS + 10));
    let account = ledger.account("spring").unwrap();
    assert_eq!((account.of_day(tuesday).impressions, ledger.today(account).impressions), (2, 2));
}

#[test]
fn an_event_that_is_no_traffic_moves_the_time_and_no_hour() {
    let mut ledgers = [true, false].map(|is_traffic| {
        let mut ledger = ledger();
        for n in 0..900 {
            let at = Timestamp(20 * HOUR_MS + n);
            let event = Event { id: format!("@publish:web:{n}").as_str().into(), at, ..click("r0", "mug") };
            ledger.pass(&event, at, is_traffic);
        }
        pass(&mut ledger, DAY_MS + 1);
        (ledger.allowance(2_400, DAY_MS + 12 * HOUR_MS), ledger.time())
    });
    ledgers.reverse();
    let [(even, time), (late, other_time)] = ledgers;
    assert_eq!((even, time), (1_200, other_time));
    assert!(late < 600, "{late}");
}
