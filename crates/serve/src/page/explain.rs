//! Explanation: why each item is on the page, in reasons that sum to its score.
//!
//! A score is explained by how it changes without each event of the past that matters. A cited share is a difference of
//! two scores, not an attribution: a request with the history given inline and the cited event left out has a score
//! that is lower by exactly this share. Shares of several events do not sum to their joint effect, because evidence
//! overlaps, so the rest of the history is a reason of its own. What the stages did comes last, as they recorded it.
//!
//! Only what the shopper chose is cited: a return or a dislike is no reason to show anything, and neither is the
//! purchase of an item that was sent back. What the shopper did with the recommended item itself is one reason, which
//! says how often and when (`bought 3 times, last in May`).

use accrue_event::{DAY_MS, EventType, Timestamp};
use accrue_model::{Prepared, ReasonKind};
use accrue_store::{ItemIdx, PastEvent};

use super::seen::unwanted;
use super::{Candidate, Situation};
use crate::request::CitedEvent;
use crate::{Grouping, Reason, ReasonCode, Shop};

/// The latest events that may be cited for every item.
const LATEST: usize = 8;
/// Events that may be cited in all, including the items' own earlier events.
const MOST: usize = 24;
/// Reasons that cite an event, at most, for one item.
const CITED: usize = 3;
/// A share below this part of the score's size is not cited.
const WORTH_SAYING: f32 = 0.01;

/// The reasons of the page's items, in their order.
pub(super) fn explain(situation: &Situation<'_>, page: &[Candidate]) -> Vec<Vec<Reason>> {
    let items: Vec<ItemIdx> = page.iter().map(|candidate| candidate.item).collect();
    let events = citable(situation, &items);
    let without = scores_without(situation, &events, &items);
    let explain_one = |(place, candidate): (usize, &Candidate)| {
        let noted: f32 = candidate.shares.iter().map(|share| share.added).sum();
        let by_models = candidate.score - noted;
        let shares = events.iter().zip(&without).map(|(&event, scores)| (event, by_models - scores[place]));
        let mut reasons = cited(situation, candidate.item, shares.collect(), by_models);
        add_rest(situation, candidate.item, by_models, &mut reasons);
        reasons.extend(candidate.shares.iter().map(|share| Reason::plain(share.code.name(), &share.text, share.added)));
        reasons
    };
    page.iter().enumerate().map(explain_one).collect()
}

/// The models' scores of `items` without each of `events`, places in the history: `[events, items]`.
fn scores_without(situation: &Situation<'_>, events: &[usize], items: &[ItemIdx]) -> Vec<Vec<f32>> {
    let Situation { shop, request, past, work, .. } = situation;
    let mut counterfactual = Prepared::default();
    let without = |&event: &usize| {
        let history = past.history.without(event);
        let context = past.context_after(&history, shop, request.circumstances());
        shop.version.ensemble.prepare(&context, &mut counterfactual);
        counterfactual.score_by(request.part);
        work.score(items.len());
        shop.version.ensemble.score_all(&counterfactual, items)
    };
    events.iter().map(without).collect()
}

/// Positions in the history of the events that may be cited: the latest ones, and the last one about each item of the
/// page. An event that was no choice is never cited, nor one about an item that the shopper does not want any more.
fn citable(situation: &Situation<'_>, items: &[ItemIdx]) -> Vec<usize> {
    let Situation { shop, context, .. } = situation;
    let unwanted = unwanted(shop, context.past);
    let is_choice = |event: &PastEvent| context.weight(event) > 0.0 && unwanted.binary_search(&event.item).is_err();
    let chosen: Vec<usize> = (0..context.past.len()).filter(|&place| is_choice(&context.past[place])).collect();
    let mut events: Vec<usize> = chosen[chosen.len().saturating_sub(LATEST)..].to_vec();
    for &item in items {
        events.extend(chosen.iter().rev().find(|&&place| context.past[place].item == item));
    }
    events.sort_unstable();
    events.dedup();
    let surplus = events.len().saturating_sub(MOST);
    events.drain(..surplus);
    events
}

/// The events that add most to the score of `item`, as reasons; one of those about the item itself. `shares`: positions
/// in the history with what each adds to the score.
fn cited(situation: &Situation<'_>, item: ItemIdx, mut shares: Vec<(usize, f32)>, score: f32) -> Vec<Reason> {
    let Situation { shop, request, context, .. } = situation;
    // An event that lowers the score is no reason to show the item; its share stays in the rest.
    shares.retain(|&(_, share)| share > WORTH_SAYING * score.abs());
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    let is_own = |event: &PastEvent| match request.grouping {
        Grouping::Product => shop.product(event.item) == shop.product(item),
        Grouping::Item => event.item == item,
    };
    let mut has_own = false;
    shares.retain(|&(place, _)| !is_own(&context.past[place]) || !std::mem::replace(&mut has_own, true));
    shares.truncate(CITED);
    let cite = |&(place, share): &(usize, f32)| {
        let event = &context.past[place];
        if is_own(event) { cite_own(situation, item, event, share) } else { cite_other(shop, event, share) }
    };
    shares.iter().map(cite).collect()
}

/// What the shopper did with another item.
fn cite_other(shop: &Shop<'_>, event: &PastEvent, share: f32) -> Reason {
    let (event_type, verb) = type_and_verb(shop, event);
    let title = shop.title(event.item);
    let text = match shop.facts.type_of(event.type_code) {
        Some(EventType::Cart) => format!("because you put {title} into your cart"),
        _ => format!("because you {verb} {title}"),
    };
    reason(shop, event, event_type, ReasonCode::BecauseOfEvent, text, share)
}

/// What the shopper did with the item itself, or with another variant of it: how often, and when last.
fn cite_own(situation: &Situation<'_>, item: ItemIdx, event: &PastEvent, share: f32) -> Reason {
    let Situation { shop, context, .. } = situation;
    let (event_type, verb) = type_and_verb(shop, event);
    let alike = context.past.iter().filter(|past| past.item == event.item && past.type_code == event.type_code);
    let n = alike.clone().count();
    let last_ms = alike.map(PastEvent::at_ms).max().unwrap_or(event.at_ms());
    let what = if event.item == item { String::new() } else { "another variant ".to_owned() };
    let when = when(last_ms, context.now_ms);
    let text = match n {
        0 | 1 => format!("{what}{verb} {when}"),
        2 => format!("{what}{verb} twice, last {when}"),
        n => format!("{what}{verb} {n} times, last {when}"),
    };
    reason(shop, event, event_type, ReasonCode::ChosenBefore, text, share)
}

fn reason(
    shop: &Shop<'_>,
    event: &PastEvent,
    event_type: Option<String>,
    code: ReasonCode,
    text: String,
    share: f32,
) -> Reason {
    let item = shop.facts.items.name(event.item).map(Into::into);
    let event = event_type.map(|event_type| CitedEvent { event_type, at: Timestamp(event.at_ms()) });
    Reason { code: code.name(), text, item, event, share }
}

/// The name of an event's type, if it has one, and what the shopper did.
fn type_and_verb(shop: &Shop<'_>, event: &PastEvent) -> (Option<String>, &'static str) {
    let event_type = shop.facts.type_of(event.type_code);
    let verb = match event_type {
        Some(EventType::View) => "viewed",
        Some(EventType::Click) => "clicked",
        Some(EventType::Favorite) => "marked",
        Some(EventType::Cart) => "put into your cart",
        Some(EventType::Purchase) => "bought",
        Some(EventType::Rating) => "rated",
        _ => "chose",
    };
    (event_type.map(|known| known.to_string()), verb)
}

/// A moment as a shopper remembers it: the day within a month, else the month, with the year if it is long ago.
fn when(at_ms: i64, now_ms: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let date = Timestamp(at_ms).to_string();
    let mut parts = date.split(['-', 'T']);
    let year = parts.next().unwrap_or_default();
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).unwrap_or(1);
    let (month, day) = (number(), number());
    let month = MONTHS[(month - 1).min(11)];
    match now_ms.saturating_sub(at_ms) / DAY_MS {
        ..=27 => format!("on {day} {month}"),
        28..=330 => format!("in {month}"),
        _ => format!("in {month} {year}"),
    }
}

/// Adds what is the same for every visitor, kind by kind; what is then left of the score belongs to the rest of the
/// history.
fn add_rest(situation: &Situation<'_>, item: ItemIdx, score: f32, reasons: &mut Vec<Reason>) {
    let ensemble = &situation.shop.version.ensemble;
    let (columns, shares) = (ensemble.columns(), ensemble.shares(situation.prepared, item));
    let of = |sought: ReasonKind| -> f32 {
        columns.iter().zip(&shares).filter(|(column, _)| column.reason == sought).map(|(_, share)| share).sum()
    };
    let cited: f32 = reasons.iter().map(|reason| reason.share).sum();
    let (popular, new, circumstances) = (of(ReasonKind::Popular), of(ReasonKind::New), of(ReasonKind::Circumstances));
    // What a curve of the blend adds where the words do not hold, for instance because other old items sell well, belongs to
    // the rest of the score.
    let popular = if popular > 0.0 && !was_chosen(situation, item) { 0.0 } else { popular };
    let new = if (new > 0.0) == is_new(situation, item) { new } else { 0.0 };
    let rest = score - cited - popular - new - circumstances;
    let by_sign = |share: f32, more: &'static str, less: &'static str| if share >= 0.0 { more } else { less };
    let popular_text = by_sign(popular, "popular with other shoppers", "less popular than other items");
    let new_text = by_sign(new, "new in the shop", "long in the shop");
    let circumstances_text = by_sign(
        circumstances,
        "chosen more on such pages and by such shoppers",
        "chosen less on such pages and by such shoppers",
    );
    let (rest_code, rest_text) = if situation.context.past.is_empty() {
        (ReasonCode::NoHistory, "nothing is known about your taste yet")
    } else {
        (ReasonCode::RestOfHistory, "the rest of your history")
    };
    let all = [
        (ReasonCode::Popular, popular_text, popular),
        (ReasonCode::NewItem, new_text, new),
        (ReasonCode::Circumstances, circumstances_text, circumstances),
        (rest_code, rest_text, rest),
    ];
    let told = all.into_iter().filter(|&(_, _, share)| share != 0.0);
    reasons.extend(told.map(|(code, text, share)| Reason::plain(code.name(), text, share)));
}

/// Days for which an item counts as new in the shop.
const NEW_DAYS: i64 = 30;

/// Whether a shopper chose the item.
fn was_chosen(situation: &Situation<'_>, item: ItemIdx) -> bool {
    situation.shop.version.ensemble.popularity().weekly_level(item) > f32::NEG_INFINITY
}

/// Whether an item was published, or first seen, a short while ago.
fn is_new(situation: &Situation<'_>, item: ItemIdx) -> bool {
    let shop = situation.shop;
    let published = shop.facts.entry(item).and_then(|entry| entry.item.published_at).map(|at| at.0);
    let first_seen = shop.version.ensemble.first_seen_ms(item);
    let since = published.into_iter().chain(first_seen).min();
    since.is_none_or(|since_ms| situation.context.now_ms.saturating_sub(since_ms) <= NEW_DAYS * DAY_MS)
}

#[cfg(test)]
mod tests {
    use accrue_event::EventType::{self, Cart, Dislike, Purchase, Return, View};
    use accrue_event::{DAY_MS, Timestamp};

    use super::when;
    use crate::fixture::{Fixture, Size, item_name};
    use crate::{Reason, RecommendRequest};

    /// The reasons of item 3, and of all items, after this past.
    fn reasons(past: &[(EventType, u64)]) -> (Vec<Reason>, Vec<Reason>) {
        let fixture = Fixture::new(Size { n_items: 40, n_unmet: 0, n_events: 300, ..Size::default() });
        let events = past.iter().zip(1..).map(|((kind, item), at)| fixture.event(kind.clone(), *item, at)).collect();
        let request = RecommendRequest { events: Some(events), n: 40, explain: true, ..Default::default() };
        let items = fixture.shop().recommend(&request).items;
        let own = items.iter().find(|item| item.id.as_str() == item_name(3)).map(|item| item.reasons.clone());
        (own.unwrap_or_default(), items.into_iter().flat_map(|item| item.reasons).collect())
    }

    #[test]
    fn what_was_done_with_the_item_itself_is_said_once_with_count_and_time() {
        let (own, _) = reasons(&[(Purchase, 3), (View, 4), (Purchase, 3), (Purchase, 3)]);
        let about: Vec<&Reason> =
            own.iter().filter(|reason| reason.item.as_ref().is_some_and(|id| id.as_str() == "i3")).collect();
        let [reason] = about[..] else { panic!("{own:?}") };
        assert!(reason.code == "chosen_before" && reason.text.starts_with("bought 3 times, last on "), "{reason:?}");
        assert!(own.iter().all(|reason| reason.share != 0.0), "{own:?}");
    }

    #[test]
    fn an_item_is_told_to_be_new_or_long_in_the_shop_by_its_age() {
        let mut fixture = Fixture::new(Size { n_items: 40, n_unmet: 0, n_events: 300, ..Size::default() });
        let mut told_after = |days: i64| {
            fixture.facts.stream_time.0 += days * DAY_MS;
            let request = RecommendRequest { n: 40, explain: true, ..Default::default() };
            let items = fixture.shop().recommend(&request).items;
            let told = items.into_iter().flat_map(|item| item.reasons).filter(|reason| reason.code == "new_item");
            told.map(|reason| (reason.text, reason.share > 0.0)).collect::<Vec<_>>()
        };
        for (days, expected) in [(0, ("new in the shop", true)), (400, ("long in the shop", false))] {
            for (text, adds) in told_after(days) {
                assert_eq!((&*text, adds), expected, "after {days} days");
            }
        }
    }

    #[test]
    fn neither_a_return_nor_a_dislike_nor_what_was_sent_back_is_a_reason() {
        let (_, all) = reasons(&[(Purchase, 3), (Purchase, 4), (Return, 3), (View, 8), (Dislike, 8), (Cart, 9)]);
        let cited: Vec<&str> = all.iter().filter_map(|reason| reason.item.as_ref().map(|id| id.as_str())).collect();
        assert!(cited.contains(&"i4") && cited.contains(&"i9"), "{cited:?}");
        assert!(!cited.contains(&"i3") && !cited.contains(&"i8"), "{cited:?}");
    }

    #[test]
    fn a_time_is_told_as_a_shopper_remembers_it() {
        let at = Timestamp::parse("2026-05-09T23:00:00Z").unwrap().0;
        let after = |days: i64| when(at, at + days * DAY_MS);
        assert_eq!([after(-1), after(20), after(90), after(400)], ["on 9 May", "on 9 May", "in May", "in May 2026"]);
    }
}
