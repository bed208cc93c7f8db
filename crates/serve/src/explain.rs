//! Why an item is on the page: for each event of the past that matters, what the score would be without it.
//!
//! A cited share is a difference of two scores, not an attribution: ask again with the history given inline and the cited event
//! left out, and the score is lower by just this share. Shares of several events do not add up by themselves (evidence
//! overlaps), so the rest of the history is a reason of its own, and all reasons sum to the score.

use accrue_model::{Context, Part, Prepared, ReasonKind, Scored};
use accrue_store::{History, ItemIdx};

use crate::request::CitedEvent;
use crate::shop::Past;
use crate::{Reason, Recommended, Shop};

/// The latest events that may be cited for any item.
const LATEST: usize = 8;
/// Events that may be cited in all, items' own earlier events included.
const MOST: usize = 24;
/// Reasons that cite an event, at most, for one item.
const CITED: usize = 3;
/// A share below this part of the score's size is not worth a sentence.
const WORTH_SAYING: f32 = 0.01;

/// Fills in the reasons of the page's items.
pub(crate) fn explain(shop: &Shop<'_>, past: &Past, part: Option<Part>, picked: &[Scored], items: &mut [Recommended]) {
    let context = past.context(shop);
    let ensemble = &shop.version.ensemble;
    let mut prepared = Prepared::default();
    ensemble.prepare(&context, &mut prepared);
    prepared.score_by(part);
    let events = citable(&context, picked);
    // shares[e][i]: what event e adds to item i.
    let shares: Vec<Vec<f32>> = events
        .iter()
        .map(|&event| {
            let without = Past { history: past.history.without(event), session: past.session };
            let mut counterfactual = Prepared::default();
            ensemble.prepare(&without.context(shop), &mut counterfactual);
            counterfactual.score_by(part);
            let scores = ensemble.score_all(&counterfactual, &items_of(picked));
            picked.iter().zip(scores).map(|(scored, without)| scored.score - without).collect()
        })
        .collect();
    for (place, (scored, item)) in picked.iter().zip(items).enumerate() {
        let mut cited: Vec<(usize, f32)> =
            events.iter().zip(&shares).map(|(&event, shares)| (event, shares[place])).collect();
        // What speaks against an item is no reason to show it; it stays in the rest.
        cited.retain(|&(_, share)| share > WORTH_SAYING * scored.score.abs());
        cited.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        cited.truncate(CITED);
        item.reasons = cited.iter().map(|&(event, share)| cite(shop, &past.history, event, share)).collect();
        add_rest(shop, &context, &prepared, scored, &mut item.reasons);
    }
}

fn items_of(picked: &[Scored]) -> Vec<ItemIdx> {
    picked.iter().map(|scored| scored.item).collect()
}

/// Places in the history of the events that may be cited: the latest ones, and the last one about each item of the page.
fn citable(context: &Context<'_>, picked: &[Scored]) -> Vec<usize> {
    let n = context.past.len();
    let mut events: Vec<usize> = (n.saturating_sub(LATEST)..n).collect();
    for scored in picked {
        events.extend(context.past.iter().rposition(|past| past.item == scored.item));
    }
    events.sort_unstable();
    events.dedup();
    let surplus = events.len().saturating_sub(MOST);
    events.drain(..surplus);
    events
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

/// Popularity and newness are the same for everybody; what then is left of the score is the rest of the history's.
fn add_rest(shop: &Shop<'_>, context: &Context<'_>, prepared: &Prepared, scored: &Scored, reasons: &mut Vec<Reason>) {
    let shares = shop.version.ensemble.shares(prepared, scored.item);
    let columns = shop.version.ensemble.columns();
    let of = |reason: ReasonKind| -> f32 {
        let shares = columns.iter().zip(&shares).filter(|(column, _)| column.reason == reason);
        shares.map(|(_, share)| share).sum()
    };
    let cited: f32 = reasons.iter().map(|reason| reason.share).sum();
    let (popular, new) = (of(ReasonKind::Popular), of(ReasonKind::New));
    reasons.push(Reason::plain("popular", "popular with other shoppers", popular));
    reasons.push(Reason::plain("new_item", "how long it has been in the shop", new));
    let rest = scored.score - cited - popular - new;
    let (code, text) = if context.past.is_empty() {
        ("no_history", "nothing is known of you yet")
    } else {
        ("rest_of_history", "the rest of your history")
    };
    reasons.push(Reason::plain(code, text, rest));
}
