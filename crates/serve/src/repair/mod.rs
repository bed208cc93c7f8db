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
//! | `gate` | evidence: is it more than chance, and do the words fail today |
//! | `effect` | past searches answered with the rule and without it: what was chosen must not come later |
//! | `ties` | queries after which items of one category are chosen |
//!
//! **The gate.** A pair of words is proposed if (1) enough different shoppers, of the shop's own events, replaced one by the
//! other and chose something; (2) the share that did, of all who chose something by a later search, exceeds what chance
//! gives; (3) the words fail today: the share of their shoppers who chose is below a part of that of the other words;
//! (4) past searches gain by the rule and what was chosen after them does not come later. 2 and 3 are e-values, of which
//! those are taken that e-BH takes at 5 %. Words with digits, brands and texts with signs are never proposed: another
//! number or maker is another thing.

mod effect;
mod evidence;
mod gate;
mod phrases;
mod settings;
#[cfg(test)]
mod tests;
mod ties;
mod titles;

use accrue_event::{ItemId, ShopRule};
use accrue_store::{ProposalKind, Reformulations};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

pub use self::settings::RepairSettings;
use crate::search::{SearchError, SearchReader};

/// Proposals of one computation, at most.
pub const MAX_PROPOSALS: usize = 200;
/// Ties, and other proposals, that are tried on past searches, at most.
const MAX_TRIED: usize = 400;
/// Hits of a past search that are compared.
pub(crate) const DEPTH: usize = 100;

/// A query is shown beside a proposal from this many different visitors on: what one person typed is theirs.
const MIN_VISITORS: usize = 3;
/// Refused pairs of one computation that are listed.
const MAX_REFUSED: usize = 1_000;

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
    /// The refused ones that most shoppers showed, with the reason.
    pub refused: Vec<Refused>,
}

/// A pair that was tested and refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// What it would repair.
    pub kind: ProposalKind,
    /// What shoppers search for.
    pub from: Box<str>,
    /// What would be found too.
    pub to: Box<str>,
    /// Different shoppers of own events who show it.
    pub shoppers: usize,
    /// Different shoppers who chose something in the end, or after the query.
    pub of: usize,
    /// Why it was refused.
    pub why: Refusal,
}

/// Why a pair is not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Too few of those who chose something in the end show it: it may be chance.
    Chance,
    /// Shoppers choose something after these words: they work today.
    Works,
    /// Past searches would gain too little.
    NoGain,
    /// What was chosen after past searches would come later.
    Loss,
}

impl Proposals {
    fn refuse(&mut self, proposal: Proposal, why: Refusal) {
        if self.refused.len() < MAX_REFUSED {
            let Proposal { kind, from, to, shoppers, of, .. } = proposal;
            self.refused.push(Refused { kind, from, to, shoppers, of, why });
        }
    }
}

/// A pair with the evidence for it.
struct Tested {
    proposal: Proposal,
    share: gate::Share,
    /// The logarithm of an e-value.
    evidence: f64,
    /// Why it is refused if the evidence is too little.
    refusal: Refusal,
}

/// What shows a proposal.
enum Shown {
    Pair,
    Title(titles::NearWord),
    Tie(ties::Tie),
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
    let pairs = evidence::Evidence::of(found, view, settings).tested(reader)?;
    let pairs = pairs.into_iter().map(|tested| (tested, Shown::Pair));
    let near = titles::near_words(found, view, settings).into_iter();
    let near = near.map(|near| (near.tested(), Shown::Title(near)));
    let ties = ties::of(found, view, settings).into_iter().map(|tie| (tie.tested(), Shown::Tie(tie)));
    let mut all: Vec<(Tested, Shown)> = pairs.chain(near).chain(ties).collect();
    all.sort_by(|(a, _), (b, _)| by_strength(&a.proposal, &b.proposal));
    let enough = gate::enough(all.iter().map(|(tested, _)| tested.evidence));
    let mut outcome = Proposals { tested: all.len(), ..Proposals::default() };
    // Ties are many, and most of their categories stand first today.
    let (mut n_tried, mut n_ties) = (0, 0);
    for (Tested { mut proposal, share, evidence, refusal }, shown) in all {
        if evidence < enough {
            outcome.unproven += 1;
            outcome.refuse(proposal, refusal);
            continue;
        }
        let tried = if matches!(shown, Shown::Tie(_)) { &mut n_ties } else { &mut n_tried };
        if is_decided(&proposal.id) || *tried == MAX_TRIED {
            continue;
        }
        *tried += 1;
        proposal.share = share.low(enough) as f32;
        let gain = match shown {
            Shown::Pair => evidence::past(found, &proposal.from, &proposal.to).gain(view, reader, &proposal)?,
            Shown::Title(near) => near.past(found).gain(view, reader, &proposal)?,
            Shown::Tie(tie) => tie.gain(view, reader, CATEGORY_FACTOR)?,
        };
        match gain {
            Ok(gain) => outcome.proposals.push(Proposal { gain, ..proposal }),
            Err(refusal) => {
                outcome.without_gain += 1;
                outcome.refuse(proposal, refusal);
            }
        }
    }
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
