//! Search that repairs itself: what the log shows to be missing from the shop's vocabulary.
//!
//! In: what came of searches ([`Reformulations`]), the catalogue, and a function that answers a search. Out: proposals
//! that passed the gate, each a rule as an operator would write it: `brolly => umbrella`, or a category to raise for a
//! query. It changes nothing.
//!
//! | file | what it does |
//! |---|---|
//! | `evidence` | which words shoppers replaced by which, counted over different shoppers |
//! | `titles` | words of chosen items that are nearly a word of a search which led to nothing |
//! | `gate` | bounds of confidence: is it more than chance, and do the words fail today |
//! | `effect` | past searches answered with the rule and without it: what was chosen must not come later |
//! | `ties` | queries after which items of one category are chosen |
//!
//! **The gate.** A pair of words is proposed if (1) enough different shoppers, of the shop's own events, replaced one by the
//! other and chose something; (2) the lower bound of the share that did, of all who searched on, exceeds what chance
//! gives; (3) the words fail today: the upper bound of the share of their shoppers who chose is below half of that of
//! the other words, and the lower bound of the difference is above 0; (4) past searches gain by the rule and what was
//! chosen after them does not come later. The bounds are Wilson's and Newcombe's, at 5 % divided by the number of
//! pairs that are tested. Words with digits, brands and texts with signs are never proposed: another number or maker
//! is another thing.

mod effect;
mod evidence;
mod gate;
#[cfg(test)]
mod tests;
mod ties;
mod titles;

use accrue_event::{ItemId, SettingFault, ShopRule};
use accrue_store::{ProposalKind, Reformulations};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::search::{SearchError, SearchReader};

/// Proposals of one computation, at most.
pub const MAX_PROPOSALS: usize = 200;
/// Hits of a past search that are compared.
pub(crate) const DEPTH: usize = 100;

/// A query is shown beside a proposal from this many different visitors on: what one person typed is theirs.
const MIN_VISITORS: usize = 3;

/// How search repairs itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepairSettings {
    /// Whether a server accepts what passes the gate by itself.
    pub automatic: bool,
    /// Different shoppers without whom nothing is proposed.
    pub least_shoppers: u32,
    /// What a shopper counts who is known from events of published keys alone. At 0 they count nothing, so that no
    /// visitor of a page can make a proposal.
    pub published: f32,
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self { automatic: false, least_shoppers: 4, published: 0.0 }
    }
}

impl RepairSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("least_shoppers", self.least_shoppers, 2..=1_000)?;
        SettingFault::check("published", self.published, 0.0..=1.0)
    }
}

/// Answers a search: the first hits with their scores.
pub type RankFn<'a> = dyn Fn(&SearchReader, &str) -> Result<Vec<(ItemId, f32)>, SearchError> + 'a;

/// The shop, as far as proposals are made and judged by it.
pub struct RepairView<'a> {
    /// The title and the categories of an item that may be shown.
    pub item: &'a dyn Fn(&ItemId) -> Option<RepairItem>,
    /// Whether a text is the name of a brand.
    pub is_brand: &'a dyn Fn(&str) -> bool,
    /// The first hits of a search without a shopper, with their scores.
    pub rank: &'a RankFn<'a>,
}

/// What proposals use of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairItem {
    /// Its title.
    pub title: Box<str>,
    /// Its categories.
    pub categories: Vec<Box<str>>,
}

/// A repair of the search, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// A hash of its kind and words.
    pub id: Box<str>,
    /// What it repairs.
    pub kind: ProposalKind,
    /// What shoppers search for.
    pub from: Box<str>,
    /// What is to be found too: other words, or a category.
    pub to: Box<str>,
    /// Different shoppers of own events who show it.
    pub shoppers: usize,
    /// The same of events of published keys.
    pub published: usize,
    /// Different shoppers who searched on after those words, or chose after the query.
    pub of: usize,
    /// The lower bound of the share.
    pub share: f32,
    /// How much better past searches become, as a difference of NDCG@10.
    pub gain: f32,
    /// Some of the queries in which it was seen.
    pub queries: Vec<Box<str>>,
}

/// Proposals, and what was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Proposals {
    /// Those that passed the gate, with most shoppers first.
    pub proposals: Vec<Proposal>,
    /// Pairs that enough shoppers showed, so that they were tested.
    pub tested: usize,
    /// Of these, those that were no more than chance or whose words work today.
    pub unproven: usize,
    /// Those that would have made past searches no better, or worse.
    pub without_gain: usize,
}

/// The factor of the rule that raises a category.
const CATEGORY_FACTOR: f32 = 1.5;

impl Proposal {
    pub(crate) fn new(kind: ProposalKind, from: &str, to: &str) -> Self {
        let id = xxh3_64(format!("{}\n{from}\n{to}", kind.name()).as_bytes());
        Self {
            id: format!("{id:016x}").into(),
            kind,
            from: from.into(),
            to: to.into(),
            shoppers: 0,
            published: 0,
            of: 0,
            share: 0.0,
            gain: 0.0,
            queries: Vec::new(),
        }
    }
}

/// The line of synonyms that carries a proposal out; `None` for one that takes a rule of the shop.
///
/// ```
/// use accrue_serve::repair::synonym_line;
/// use accrue_store::ProposalKind;
///
/// let line = synonym_line(ProposalKind::Synonym, "brolly", "umbrella");
/// assert_eq!(line.as_deref(), Some("brolly => umbrella"));
/// ```
pub fn synonym_line(kind: ProposalKind, from: &str, to: &str) -> Option<String> {
    (kind != ProposalKind::Category).then(|| format!("{from} => {to}"))
}

/// The rule of the shop that carries a proposal out, if it is about a category.
pub fn category_rule(id: &str, kind: ProposalKind, from: &str, to: &str) -> Option<ShopRule> {
    (kind == ProposalKind::Category).then(|| ShopRule {
        name: format!("search proposal {id}").into(),
        action: accrue_event::RuleAction::Boost,
        query: Some(from.into()),
        category: None,
        items: Vec::new(),
        filter: Some(format!("category:\"{to}\"").into()),
        position: None,
        factor: Some(CATEGORY_FACTOR),
        attribute: None,
        full_at: None,
        from: None,
        until: None,
    })
}

/// What search proposes to repair in itself. `is_decided` says of an id that it was decided about before.
///
/// # Errors
/// Only when the index's files cannot be read.
pub fn propose(
    found: &Reformulations,
    view: &RepairView<'_>,
    reader: &SearchReader,
    settings: &RepairSettings,
    is_decided: &dyn Fn(&str) -> bool,
) -> Result<Proposals, SearchError> {
    let pairs = evidence::Evidence::of(found, view, settings);
    let near = titles::near_words(found, view, settings);
    let ties = ties::of(found, view, settings);
    let tested = pairs.n_tested() + near.len() + ties.len();
    let mut outcome = Proposals { tested, ..Proposals::default() };
    let mut passed: Vec<(Proposal, effect::Past)> = Vec::new();
    passed.extend(pairs.proven(found, tested));
    passed.extend(near.into_iter().filter_map(|near| near.proven(found, tested)));
    let mut ties: Vec<ties::Tie> = ties.into_iter().filter_map(|tie| tie.proven(tested)).collect();
    outcome.unproven = tested - passed.len() - ties.len();
    passed.retain(|(proposal, _)| !is_decided(&proposal.id));
    ties.retain(|tie| !is_decided(&tie.proposal.id));
    passed.sort_by(|(a, _), (b, _)| by_strength(a, b));
    passed.truncate(MAX_PROPOSALS);
    for (mut proposal, past) in passed {
        match past.gain(view, reader, &proposal)? {
            Some(gain) => {
                proposal.gain = gain;
                outcome.proposals.push(proposal);
            }
            None => outcome.without_gain += 1,
        }
    }
    for tie in ties.into_iter().take(MAX_PROPOSALS) {
        match tie.with_gain(view, reader, CATEGORY_FACTOR)? {
            Some(proposal) => outcome.proposals.push(proposal),
            None => outcome.without_gain += 1,
        }
    }
    outcome.proposals.sort_by(by_strength);
    outcome.proposals.truncate(MAX_PROPOSALS);
    Ok(outcome)
}

fn by_strength(a: &Proposal, b: &Proposal) -> std::cmp::Ordering {
    (b.shoppers + b.published, &a.from, &a.to).cmp(&(a.shoppers + a.published, &b.from, &b.to))
}

/// Whether a word may stand in a proposal: letters, and hyphens or apostrophes between them. Digits make another
/// thing, and signs could be read as a part of a rule.
fn is_plain(word: &str) -> bool {
    const MAX_CHARS: usize = 40;
    let inside = |c: char| {
        c.is_alphabetic() || matches!(c, '-' | '\'' | '’') || unicode_normalization::char::is_combining_mark(c)
    };
    word.chars().nth(MAX_CHARS).is_none()
        && word.chars().all(inside)
        && word.starts_with(char::is_alphabetic)
        && word.ends_with(|c: char| !matches!(c, '-' | '\'' | '’'))
}
