//! Past searches answered with a rule and without it.
//!
//! What was chosen after a search must not come later, and what was found only by another search must come earlier.
//! Both are NDCG@10 with the number of different shoppers who chose an item as its gain, so the figures are those of
//! search quality.

use std::collections::BTreeMap;

use accrue_event::ItemId;
use accrue_store::{ChosenItem, ProposalKind, QueryOutcome, Reformulations};

use super::phrases::phrases_of;
use super::{DEPTH, Proposal, Refusal, RepairView, synonym_line};
use crate::search::{Admitted, Match, SearchError, SearchReader, Synonyms};

/// Past queries that a proposal is tried on, those of most own shoppers first.
const MAX_QUERIES: usize = 20;
/// Places that count.
const TOP: usize = 10;
/// What searches that led to nothing must gain in NDCG@10.
const LEAST_GAIN: f64 = 0.1;
/// Or else: the share of what was meant that must be among the first [`DEPTH`] hits and was not. Where a hundred hits are
/// as good, as for a word misspelt in a few of many titles, the first ten need not change.
const LEAST_FOUND: f64 = 0.5;
/// What searches after which something was chosen may lose on average, and one of them at most.
const MOST_LOSS: f64 = 0.005;
const MOST_LOSS_OF_ONE: f64 = 0.05;

/// Items with how many different shoppers chose them.
pub(super) type Chosen = BTreeMap<ItemId, f64>;

/// A query with what was chosen after it, and what its shoppers found by another search.
type PastQuery = (Box<str>, Chosen, Chosen);

/// Past searches with the words of a proposal.
#[derive(Debug, Default)]
pub(super) struct PastSearches {
    queries: Vec<PastQuery>,
}

impl PastSearches {
    /// The past searches that have these words. `meant` gives of a query what its shoppers meant: items that they chose
    /// after a later one.
    pub fn of_words<'f>(
        found: &'f Reformulations,
        words: &str,
        meant: impl Fn(&str, &'f QueryOutcome) -> Vec<&'f ChosenItem>,
    ) -> Self {
        let has = |query: &str| phrases_of(query).any(|phrase| phrase == words);
        let mut queries: Vec<(usize, PastQuery)> = Vec::new();
        for (query, outcome) in found.queries().filter(|(query, _)| has(query)) {
            queries.push((
                outcome.searchers.len(),
                (query.into(), counted(&outcome.items), counted(meant(query, outcome))),
            ));
        }
        queries.sort_by(|(a, (x, ..)), (b, (y, ..))| b.cmp(a).then(x.cmp(y)));
        Self { queries: queries.into_iter().take(MAX_QUERIES).map(|(_, query)| query).collect() }
    }

    /// What the searches that led to nothing gain by the proposal, if that is enough and others do not lose.
    pub fn gain(
        &self,
        view: &RepairView<'_>,
        reader: &SearchReader,
        proposal: &Proposal,
    ) -> Result<Result<f32, Refusal>, SearchError> {
        let line = synonym_line(proposal.kind, &proposal.from, &proposal.to).unwrap_or_default();
        let Ok(rule) = Synonyms::parse(&line) else { return Ok(Err(Refusal::NoGain)) };
        let with = reader.with_more_synonyms(&rule);
        let mut effect = Effect::default();
        for (query, chosen, meant) in &self.queries {
            if chosen.is_empty() && meant.is_empty() {
                continue;
            }
            let (before, after) = ((view.rank)(reader, query)?, (view.rank)(&with, query)?);
            // Where today's answer leaves out a word and the one with the right title does not, what was chosen was in
            // place of it. Only a misspelt word is the same word, so other rules may not replace what was chosen.
            let was_replaced = proposal.kind == ProposalKind::Title
                && !chosen.is_empty()
                && n_dropped(&with, query)? < n_dropped(reader, query)?;
            let none = Chosen::new();
            effect.add(if was_replaced { &none } else { chosen }, meant, &ids(&before), &ids(&after));
        }
        Ok(effect.gain())
    }
}

/// The words of a query that its answer leaves out.
fn n_dropped(reader: &SearchReader, query: &str) -> Result<usize, SearchError> {
    let admit = |found: Match| Some(Admitted { score: found.lexical, product: None });
    Ok(reader.retrieve(query, &admit, 1)?.dropped.len())
}

/// How past searches change, by different shoppers.
#[derive(Debug, Default)]
pub(super) struct Effect {
    lost: f64,
    most_lost: f64,
    n_chosen: f64,
    gained: f64,
    found: f64,
    n_meant: f64,
}

impl Effect {
    /// Compares two lists of one query. Items that were chosen after the query itself must keep their places; those
    /// that were meant should get better ones.
    pub fn add(&mut self, chosen: &Chosen, meant: &Chosen, before: &[&ItemId], after: &[&ItemId]) {
        let weight = |chosen: &Chosen| chosen.values().sum::<f64>();
        if !chosen.is_empty() {
            let loss = ndcg(chosen, before) - ndcg(chosen, after);
            self.lost += weight(chosen) * loss;
            self.most_lost = self.most_lost.max(loss);
            self.n_chosen += weight(chosen);
        }
        if !meant.is_empty() {
            self.gained += weight(meant) * (ndcg(meant, after) - ndcg(meant, before));
            let found = |list: &[&ItemId]| list.iter().filter_map(|id| meant.get(*id)).sum::<f64>();
            self.found += found(after) - found(before);
            self.n_meant += weight(meant);
        }
    }

    pub fn gain(&self) -> Result<f32, Refusal> {
        let of_meant = |sum: f64| sum / self.n_meant.max(1.0);
        if self.lost / self.n_chosen.max(1.0) > MOST_LOSS || self.most_lost > MOST_LOSS_OF_ONE {
            return Err(Refusal::Loss);
        }
        let gained = of_meant(self.gained);
        let helps = gained >= LEAST_GAIN || of_meant(self.found) >= LEAST_FOUND;
        if helps { Ok(gained as f32) } else { Err(Refusal::NoGain) }
    }
}

/// How many different shoppers of own events chose each item.
pub(super) fn counted<'c>(items: impl IntoIterator<Item = &'c ChosenItem>) -> Chosen {
    let mut chosen = Chosen::new();
    for item in items.into_iter().filter(|item| !item.shoppers.is_empty()) {
        *chosen.entry(item.item.clone()).or_default() += item.shoppers.len() as f64;
    }
    chosen
}

/// What was chosen after a query.
pub(super) fn chosen_after(outcome: &QueryOutcome) -> Chosen {
    counted(&outcome.items)
}

pub(super) fn ids(hits: &[(ItemId, f32)]) -> Vec<&ItemId> {
    hits.iter().take(DEPTH).map(|(id, _)| id).collect()
}

pub(super) fn ndcg(gains: &Chosen, list: &[&ItemId]) -> f64 {
    let discount = |place: usize| 1.0 / libm::log2(place as f64 + 2.0);
    let found = list.iter().take(TOP).enumerate();
    let dcg: f64 = found.map(|(place, id)| gains.get(*id).copied().unwrap_or(0.0) * discount(place)).sum();
    let mut ideal: Vec<f64> = gains.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = ideal.iter().take(TOP).enumerate().map(|(place, gain)| gain * discount(place)).sum();
    if ideal > 0.0 { dcg / ideal } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_puts_what_was_chosen_later_is_refused() {
        let id = |name: &str| ItemId::from(name);
        let [a, b, c] = ["a", "b", "c"].map(id);
        let (chosen, meant) = (Chosen::from([(a.clone(), 4.0)]), Chosen::from([(b.clone(), 4.0)]));
        let effect = |before: &[&ItemId], after: &[&ItemId]| {
            let mut effect = Effect::default();
            effect.add(&chosen, &meant, before, after);
            effect.gain()
        };
        assert!(effect(&[&a], &[&a, &b]).is_ok());
        assert_eq!(effect(&[&a], &[&b, &a]), Err(Refusal::Loss), "what was chosen comes later");
        assert_eq!(effect(&[&a], &[&a, &c]), Err(Refusal::NoGain), "what was meant is not found");
        assert_eq!(effect(&[&a, &b], &[&a, &b]), Err(Refusal::NoGain), "nothing changes");
        let others: Vec<ItemId> = (0..20).map(|n| id(&format!("o{n}"))).collect();
        let before: Vec<&ItemId> = std::iter::once(&a).chain(&others).collect();
        let after: Vec<&ItemId> = before.iter().copied().chain([&b]).collect();
        assert_eq!(effect(&before, &after), Ok(0.0), "what was meant is found behind others that are as good");
    }
}
