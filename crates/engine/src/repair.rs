//! Search that repairs itself: proposals are made from what came of searches when they are asked for, and decisions about
//! them become records.
//!
//! In: what came of searches. Out: proposals, and for a decision one commit with its record and what follows from it: a
//! line of the shop's synonyms or a rule of the shop, as an operator would write it.

use std::collections::BTreeSet;

use accrue_event::{ItemId, normalised};
use accrue_serve::repair::{
    Proposal, Proposals, RepairItem, RepairSettings, RepairView, category_rule, propose, synonym_line,
};
use accrue_serve::search::{SearchError, SearchReader, Synonyms};
use accrue_serve::{Rules, SearchRequest, Shop};
use accrue_store::{Body, Facts, MAX_DECISIONS, ProposalKind, Reformulations, SearchProposal};

use crate::engine::Engine;
use crate::error::{EngineError, Resource};
use crate::in_force::rules::written;
use crate::write::job::Job;

/// What search proposes, with what was decided about before.
#[derive(Clone, Debug, Default)]
pub struct ProposalList {
    /// What passed the gate and was not decided about.
    pub open: Proposals,
    /// All decisions, by id.
    pub decided: Vec<SearchProposal>,
}

/// The proposals of a shop whose index `reader` reads.
///
/// # Errors
/// Only when the index's files cannot be read.
pub fn proposals_of(
    shop: &Shop<'_>,
    reader: &SearchReader,
    found: &Reformulations,
    settings: &RepairSettings,
) -> Result<ProposalList, EngineError> {
    let rank = |reader: &SearchReader, query: &str| ranked(shop, reader, query);
    let item = |id: &ItemId| item_of(shop, id);
    let brands = brands(shop.facts);
    let is_brand = |text: &str| brands.contains(text);
    let view = RepairView { item: &item, is_brand: &is_brand, rank: &rank };
    let decided = &shop.facts.search_proposals;
    let open = propose(found, &view, reader, settings, &|id| decided.contains_key(id))?;
    Ok(ProposalList { open, decided: decided.values().cloned().collect() })
}

/// Hits that are compared; the places behind them do not count.
const N: usize = 100;

fn ranked(shop: &Shop<'_>, reader: &SearchReader, query: &str) -> Result<Vec<(ItemId, f32)>, SearchError> {
    let request = SearchRequest { query: query.to_owned(), n: N, personalisation: 0.0, ..SearchRequest::default() };
    let answer = shop.search(reader, &request)?;
    Ok(answer.hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
}

fn item_of(shop: &Shop<'_>, id: &ItemId) -> Option<RepairItem> {
    let index = shop.facts.items.get(id.as_str())?;
    let item = shop.facts.described(index)?;
    let shown = shop.facts.entry(index).is_some_and(|entry| entry.can_be_shown());
    let categories = item.categories().to_vec();
    shown.then(|| RepairItem { title: item.title().unwrap_or_default().into(), categories })
}

/// The names of brands, in lower case.
fn brands(facts: &Facts) -> BTreeSet<String> {
    let described = facts.entries().iter().filter_map(|place| place.known());
    described.filter_map(|entry| Some(normalised(entry.item.brand.as_deref()?).into_owned())).collect()
}

impl Engine {
    /// What came of searches, by the log up to now. It may read the log for seconds when it is first called.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn search_outcomes<T>(&self, read: impl FnOnce(&Reformulations) -> T) -> Result<T, EngineError> {
        self.running().search_outcomes.with(read)
    }

    /// What search proposes to repair in itself. It answers past searches for each, which takes up to seconds; the
    /// facts are free for writes between them.
    ///
    /// # Errors
    /// If the log or the index cannot be read.
    pub fn search_proposals(&self) -> Result<ProposalList, EngineError> {
        let running = self.running();
        let settings = &self.inner.config.search.repair;
        let rank = |reader: &SearchReader, query: &str| running.with_shop(|shop| ranked(&shop, reader, query));
        let item = |id: &ItemId| running.with_shop(|shop| item_of(&shop, id));
        let (brands, decided) = running.with_shop(|shop| (brands(shop.facts), shop.facts.search_proposals.clone()));
        let is_brand = |text: &str| brands.contains(text);
        let view = RepairView { item: &item, is_brand: &is_brand, rank: &rank };
        // A copy, so that nothing waits for the searches.
        let found = self.search_outcomes(Reformulations::clone)?;
        let open = propose(&found, &view, &running.search, settings, &|id| decided.contains_key(id))?;
        Ok(ProposalList { open, decided: decided.into_values().collect() })
    }

    /// Whether this server accepts proposals by itself.
    pub fn repairs_itself(&self) -> bool {
        self.inner.config.search.repair.automatic
    }

    /// Switches a proposal on or off: one that is open, or one that was decided about before. Switching it off takes
    /// its line of synonyms or its rule away again, and it is not proposed any more.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Conflict`], and those of [`Engine::ingest_from`].
    pub async fn decide_proposal(&self, id: &str, is_accepted: bool) -> Result<SearchProposal, EngineError> {
        let known = self.with_shop(|shop| shop.facts.search_proposals.get(id).cloned());
        let decided = match known {
            Some(known) => SearchProposal { is_accepted, is_automatic: false, ..known },
            None => {
                let engine = self.clone();
                let open = tokio::task::spawn_blocking(move || engine.search_proposals()).await;
                let open = open.map_err(|_| EngineError::Closing)??.open.proposals;
                let found = open.iter().find(|proposal| &*proposal.id == id);
                let found =
                    found.ok_or_else(|| EngineError::NotFound { what: Resource::SearchProposal, id: id.to_owned() })?;
                decision(found, is_accepted, false)
            }
        };
        let record = decided.clone();
        self.edit(move |facts, _| bodies(facts, record)).await?;
        self.put_synonyms_in_force()?;
        Ok(decided)
    }

    /// Accepts all proposals that are open; returns them. For a server that repairs itself; it blocks.
    ///
    /// # Errors
    /// Those of [`Engine::search_proposals`] and of [`Engine::ingest`].
    pub fn accept_proposals(&self) -> Result<Vec<Proposal>, EngineError> {
        let open = self.search_proposals()?.open.proposals;
        for proposal in &open {
            let record = decision(proposal, true, true);
            // An operator may have decided meanwhile.
            let edit = move |facts: &Facts, _: &_| match facts.search_proposals.contains_key(&record.id) {
                true => Ok(Vec::new()),
                false => bodies(facts, record),
            };
            self.ask_blocking(|reply| Job::Edit(Box::new(edit), reply))?;
        }
        if !open.is_empty() {
            self.put_synonyms_in_force()?;
        }
        Ok(open)
    }
}

fn decision(proposal: &Proposal, is_accepted: bool, is_automatic: bool) -> SearchProposal {
    SearchProposal {
        id: proposal.id.clone(),
        kind: proposal.kind,
        from: proposal.from.clone(),
        to: proposal.to.clone(),
        is_accepted,
        is_automatic,
    }
}

/// The records of a decision.
fn bodies(facts: &Facts, decided: SearchProposal) -> Result<Vec<Body>, EngineError> {
    let known = facts.search_proposals.get(&decided.id);
    if known.is_none() && facts.search_proposals.len() >= MAX_DECISIONS {
        let message = format!("{MAX_DECISIONS} proposals were decided about, and no more decisions are kept");
        return Err(EngineError::Conflict { message });
    }
    let mut bodies = Vec::new();
    if known != Some(&decided) {
        bodies.push(Body::SearchProposal(Box::new(decided.clone())));
    }
    let SearchProposal { id, kind, from, to, is_accepted, .. } = &decided;
    match kind {
        ProposalKind::Category => bodies.extend(changed_rules(facts, id, *kind, from, to, *is_accepted)?),
        _ => bodies.extend(changed_synonyms(facts, *kind, from, to, *is_accepted)?),
    }
    Ok(bodies)
}

fn changed_synonyms(
    facts: &Facts,
    kind: ProposalKind,
    from: &str,
    to: &str,
    is_accepted: bool,
) -> Result<Option<Body>, EngineError> {
    let line = synonym_line(kind, from, to).unwrap_or_default();
    let others: Vec<&str> = facts.synonyms.lines().filter(|known| *known != line).collect();
    let mut lines = others.clone();
    lines.extend(is_accepted.then_some(&*line));
    let text = lines.join("\n");
    Synonyms::parse(&text)?;
    Ok((*text != *facts.synonyms).then(|| Body::Synonyms(text.into())))
}

fn changed_rules(
    facts: &Facts,
    id: &str,
    kind: ProposalKind,
    from: &str,
    to: &str,
    is_accepted: bool,
) -> Result<Option<Body>, EngineError> {
    let Some(rule) = category_rule(id, kind, from, to) else { return Ok(None) };
    let before = written(facts);
    let mut changed = before.clone();
    changed.rules.retain(|known| known.name != rule.name);
    changed.rules.extend(is_accepted.then_some(rule));
    if changed == before {
        return Ok(None);
    }
    Rules::read(&changed.rules)?;
    Ok(Some(Body::Rules(changed.to_json()?.into())))
}
