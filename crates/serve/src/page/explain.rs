//! Explanation: why each item is on the page, in reasons that sum to its score.
//!
//! A score is explained by how it changes without each event of the past that matters. A cited share is a difference of
//! two scores, not an attribution: a request with the history given inline and the cited event left out has a score
//! that is lower by exactly this share. Shares of several events do not sum to their joint effect, because evidence
//! overlaps, so the rest of the history is a reason of its own. What the stages did comes last, as they recorded it.

use accrue_model::{Context, Prepared, ReasonKind};
use accrue_store::{History, ItemIdx};

use super::{Candidate, Situation};
use crate::request::CitedEvent;
use crate::shop::VisitorHistory;
use crate::{Reason, Shop};

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
    let events = citable(&situation.context, &items);
    let without = scores_without(situation, &events, &items);
    let explain_one = |(place, candidate): (usize, &Candidate)| {
        let noted: f32 = candidate.shares.iter().map(|share| share.added).sum();
        let by_models = candidate.score - noted;
        let shares = events.iter().zip(&without).map(|(&event, scores)| (event, by_models - scores[place]));
        let mut reasons = cited(situation, shares.collect(), by_models);
        add_rest(situation, candidate.item, by_models, &mut reasons);
        reasons.extend(candidate.shares.iter().map(|share| Reason::plain(share.code, share.text, share.added)));
        reasons
    };
    page.iter().enumerate().map(explain_one).collect()
}

/// The models' scores of `items` without each of `events`, places in the history: `[events, items]`.
fn scores_without(situation: &Situation<'_>, events: &[usize], items: &[ItemIdx]) -> Vec<Vec<f32>> {
    let Situation { shop, request, past, work, .. } = situation;
    let mut counterfactual = Prepared::default();
    let without = |&event: &usize| {
        let without = VisitorHistory { history: past.history.without(event), session: past.session };
        shop.version.ensemble.prepare(&without.context(shop), &mut counterfactual);
        counterfactual.score_by(request.part);
        work.score(items.len());
        shop.version.ensemble.score_all(&counterfactual, items)
    };
    events.iter().map(without).collect()
}

/// Positions in the history of the events that may be cited: the latest ones, and the last one about each item of the
/// page.
fn citable(context: &Context<'_>, items: &[ItemIdx]) -> Vec<usize> {
    let n = context.past.len();
    let mut events: Vec<usize> = (n.saturating_sub(LATEST)..n).collect();
    for &item in items {
        events.extend(context.past.iter().rposition(|past| past.item == item));
    }
    events.sort_unstable();
    events.dedup();
    let surplus = events.len().saturating_sub(MOST);
    events.drain(..surplus);
    events
}

/// The events that add most, as reasons. `shares`: positions in the history with what each adds to the score.
fn cited(situation: &Situation<'_>, mut shares: Vec<(usize, f32)>, score: f32) -> Vec<Reason> {
    // An event that lowers the score is no reason to show the item; its share stays in the rest.
    shares.retain(|&(_, share)| share > WORTH_SAYING * score.abs());
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    shares.truncate(CITED);
    let cite = |&(event, share): &(usize, f32)| cite(&situation.shop, &situation.past.history, event, share);
    shares.iter().map(cite).collect()
}

fn cite(shop: &Shop<'_>, history: &History, event: usize, share: f32) -> Reason {
    let past = &history.past()[event];
    let event_type = shop.facts.type_of(past.type_code).map_or_else(|| "chose".to_string(), |known| known.to_string());
    let verb = match event_type.as_str() {
        "view" => "viewed",
        "click" => "clicked",
        "favorite" => "marked",
        "cart" => "put into your cart",
        "purchase" => "bought",
        "return" => "returned",
        "rating" => "rated",
        "dislike" => "disliked",
        _ => "chose",
    };
    let id = shop.facts.items.name(past.item).map(Into::into);
    Reason {
        code: "because_of_event",
        text: format!("because you {verb} {}", shop.title(past.item)),
        item: id,
        event: Some(CitedEvent { event_type, at: accrue_event::Timestamp(past.at_ms()) }),
        share,
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
    let (popular, new) = (of(ReasonKind::Popular), of(ReasonKind::New));
    reasons.push(Reason::plain("popular", "popular with other shoppers", popular));
    reasons.push(Reason::plain("new_item", "how long it has been in the shop", new));
    let rest = score - cited - popular - new;
    let (code, text) = if situation.context.past.is_empty() {
        ("no_history", "there is no history to go by yet")
    } else {
        ("rest_of_history", "the rest of your history")
    };
    reasons.push(Reason::plain(code, text, rest));
}
