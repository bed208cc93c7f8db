//! Misspelt titles: a word of an item that was chosen in the end, and that is nearly a word of the search which led to
//! nothing.
//!
//! Shoppers do not type what is misspelt in a title, so no pair of queries shows it. It shows in the item: whoever
//! searched for `rain poncho` and found the one that is called `Pancho` only by its maker lacked that word.

use std::collections::{BTreeMap, BTreeSet};

use accrue_event::{ItemId, misspelling, normalised};
use accrue_store::{ProposalKind, QueryOutcome, Reformulations, Searcher};

use super::effect::PastSearches;
use super::gate::{Share, exceeds_chance};
use super::{MIN_VISITORS, Proposal, Refusal, RepairSettings, RepairView, Tested, is_plain};

/// Shorter words are near too many others.
const MIN_CHARS: usize = 5;
/// Queries that a proposal shows.
const N_QUERIES: usize = 5;

/// A word of titles that is nearly a word of searches.
pub(super) struct NearWord {
    typed: String,
    written: String,
    shoppers: BTreeSet<u32>,
    /// Who searched for the typed word, chose nothing, and later chose an item without that word.
    of: BTreeSet<u32>,
    queries: BTreeSet<Box<str>>,
    /// The items with the written word.
    items: BTreeSet<ItemId>,
}

/// The pairs of a typed and a written word that enough shoppers of own events show.
pub(super) fn near_words(found: &Reformulations, view: &RepairView<'_>, settings: &RepairSettings) -> Vec<NearWord> {
    let typed: BTreeSet<&str> = {
        let chose = |searchers: &[Searcher]| searchers.iter().any(|searcher| searcher.chose);
        let counts = |outcome: &QueryOutcome| {
            chose(&outcome.searchers) || (settings.published > 0.0 && chose(&outcome.published))
        };
        let chosen_after = found.queries().filter(|(_, outcome)| counts(outcome));
        chosen_after.flat_map(|(query, _)| query.split(' ')).collect()
    };
    let mut near: BTreeMap<(String, String), NearWord> = BTreeMap::new();
    let mut without: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (query, outcome) in found.queries().filter(|(_, outcome)| !outcome.later.is_empty()) {
        let words: Vec<&str> = query.split(' ').filter(|word| is_word(word)).collect();
        for chosen in outcome.later.iter().filter(|chosen| !chosen.shoppers.is_empty()) {
            let Some(item) = (view.item)(&chosen.item) else { continue };
            let title = normalised(&item.title).into_owned();
            let written: BTreeSet<&str> = title.split(|c: char| !c.is_alphanumeric()).filter(|w| is_word(w)).collect();
            for &word in &words {
                if written.iter().any(|known| misspelling(word, known) == Some(0)) {
                    continue;
                }
                without.entry(word.into()).or_default().extend(&chosen.shoppers);
                for &other in &written {
                    // A word that shoppers type, and choose something after, is no misspelling.
                    let is_near = misspelling(word, other).is_some_and(|edits| edits > 0) && !typed.contains(other);
                    if is_near && word.chars().next() == other.chars().next() {
                        let pair = near.entry((word.into(), other.into())).or_insert_with(|| NearWord {
                            typed: word.into(),
                            written: other.into(),
                            shoppers: BTreeSet::new(),
                            of: BTreeSet::new(),
                            queries: BTreeSet::new(),
                            items: BTreeSet::new(),
                        });
                        pair.shoppers.extend(&chosen.shoppers);
                        if outcome.n_searchers() >= MIN_VISITORS {
                            pair.queries.insert(query.into());
                        }
                        pair.items.insert(chosen.item.clone());
                    }
                }
            }
        }
    }
    let mut near: Vec<NearWord> = near.into_values().collect();
    near.retain(|pair| pair.shoppers.len() >= settings.least_shoppers as usize);
    near.iter_mut().for_each(|pair| pair.of = without.remove(&pair.typed).unwrap_or_default());
    near
}

fn is_word(word: &str) -> bool {
    is_plain(word) && word.chars().nth(MIN_CHARS - 1).is_some()
}

impl NearWord {
    /// It with its evidence: more of those who missed something missed this than chance gives.
    pub(super) fn tested(&self) -> Tested {
        let n = self.shoppers.len();
        let share = Share { n: n as f64, of: self.of.len().max(n) as f64 };
        let mut proposal = Proposal::new(ProposalKind::Title, &self.typed, &self.written);
        (proposal.shoppers, proposal.of) = (n, share.of as usize);
        proposal.queries = self.queries.iter().take(N_QUERIES).cloned().collect();
        Tested { proposal, share, evidence: exceeds_chance(share, 0.0), refusal: Refusal::Chance }
    }

    /// The past searches with the typed word.
    pub(super) fn past(&self, found: &Reformulations) -> PastSearches {
        PastSearches::of_words(found, &self.typed, |_, outcome| {
            outcome.later.iter().filter(|chosen| self.items.contains(&chosen.item)).collect()
        })
    }
}
