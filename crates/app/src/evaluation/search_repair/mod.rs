//! The protocol `search-repair`: sixty faults are planted into the vocabulary of a simulated shop, and a hundred
//! replacements that would do harm; simulated shoppers search, and search again; what is proposed is accepted by
//! itself.
//!
//! Out: how many faults are repaired, how many harmful replacements were accepted, what else was, and the NDCG@10 of
//! fresh shoppers' searches before and after. A fault is *repaired* if searches with it are answered at least half as
//! well as they would be without the fault, and were not before; one that today's search answers is counted apart.

mod faults;
mod shoppers;

use std::collections::{BTreeMap, BTreeSet};

use accrue_event::{Item, ItemId, normalised};
use accrue_kernel::Draws;
use accrue_lab::search::{Ratings, SearchedQuery};
use accrue_lab::simulator::{Simulator, SimulatorSettings};
use accrue_serve::repair::{Proposal, Proposals, RepairItem, RepairSettings, RepairView, propose, synonym_line};
use accrue_serve::search::{SearchError, SearchIndex, SearchReader, SearchSettings, Synonyms};
use anyhow::{bail, ensure};
use serde_json::{Value, json};

use self::faults::{Fault, FaultKind, Harm, HarmKind, all, harms, misspell, words};
use self::shoppers::{Intent, Named, Shoppers};
use super::request::Run;
use super::search::LEXICAL;
use super::settings::number;

/// The name of the protocol.
pub const SEARCH_REPAIR: &str = "search-repair";
/// Fresh shoppers whose first searches are measured.
const N_FRESH: u64 = 3_000;
/// The stream of random numbers of those.
const FRESH: u64 = 0x4652_5348;
/// A fault whose searches are answered as well as this, compared with those without it, is none.
const RIGHT: f64 = 0.5;
/// Hits that are compared.
const DEPTH: usize = 100;

/// Plants, lets shoppers search, and measures.
pub(super) fn search_repair(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    ensure!(
        run.model == LEXICAL,
        "there is no model `{}` for the protocol {SEARCH_REPAIR}; there is {LEXICAL}",
        run.model
    );
    let (mut n_visits, mut n_items) = (60_000_u64, 2_000_usize);
    for (key, value) in run.settings {
        match key.as_str() {
            "visits" => n_visits = number(Some(value), key, n_visits)?,
            "items" => n_items = number(Some(value), key, n_items)?,
            _ => bail!("there is no setting `{key}`; there is visits=N, items=N"),
        }
    }
    let seed = run.config.learn.seed;
    let shop = Planted::new(n_items, seed, &run.config.search)?;
    let (reader, harms) = (shop.reader.clone(), shop.harms());
    let mut shoppers = Shoppers::new(&shop.items, &shop.names, &shop.faults, &reader, seed);
    for (nth, harm) in harms.iter().enumerate() {
        shoppers.harm(nth, harm)?;
    }
    for n in 0..n_visits {
        shoppers.visit(n)?;
        if n % 1_000 == 0 {
            progress(n as f64 / n_visits as f64, "the searches");
        }
    }
    let proposed = shop.propose(&shoppers, &run.config.search.repair)?;
    let accepted = &proposed.proposals;
    let lines: Vec<String> = accepted.iter().filter_map(|one| synonym_line(one.kind, &one.from, &one.to)).collect();
    let repaired = reader.with_more_synonyms(&Synonyms::parse(&lines.join("\n"))?);
    let fresh: Vec<Intent> = (0..N_FRESH).map(|n| shoppers.intent(&mut Draws::new(seed, FRESH, n))).collect();
    let (before, after) = (shop.ndcg(&reader, &fresh)?, shop.ndcg(&repaired, &fresh)?);
    let mut report = json!({
        "protocol": SEARCH_REPAIR, "model": LEXICAL, "seed": seed, "n_items": shop.items.len(), "visits": n_visits,
        "faults": shop.faults_report(&reader, &repaired, &proposed)?,
        "harms": harms_report(&harms, accepted),
        "metrics": {
            "ndcg@10_before": rounded(before), "ndcg@10_after": rounded(after), "ndcg@10_gain": rounded(after - before),
        },
        "tested": proposed.tested, "unproven": proposed.unproven, "without_gain": proposed.without_gain,
        "accepted": accepted.len(),
        "others": shop.others(accepted, &harms),
    });
    report["settings"] = run.settings.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect();
    Ok(report)
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A shop with faults in its vocabulary.
struct Planted {
    items: Vec<Item>,
    /// What the items are called without faults.
    names: Vec<Named>,
    faults: Vec<Fault>,
    /// The faults with the places of the items whose titles have them.
    misspelt: Vec<(usize, usize)>,
    reader: SearchReader,
    by_id: BTreeMap<ItemId, usize>,
}

impl Planted {
    fn new(n_items: usize, seed: u64, settings: &SearchSettings) -> anyhow::Result<Self> {
        let settings_of_shop = SimulatorSettings { n_items, n_shoppers: 10, seed, ..SimulatorSettings::default() };
        let mut items = Simulator::new(settings_of_shop).items_at_start();
        let names: Vec<Named> = items.iter().map(Named::of).collect();
        let faults = all();
        let misspelt = misspell(&mut items, &faults);
        let mut index = SearchIndex::open(None, settings.clone())?;
        for (place, item) in items.iter().enumerate() {
            index.upsert(place as u32, item)?;
        }
        index.commit()?;
        let by_id = items.iter().enumerate().map(|(place, item)| (item.id.clone(), place)).collect();
        Ok(Self { names, faults, misspelt, reader: index.reader(), by_id, items })
    }

    fn harms(&self) -> Vec<Harm> {
        let with_fault: BTreeSet<&str> = self.faults.iter().map(|fault| fault.word).collect();
        let nouns: BTreeSet<&str> = self
            .names
            .iter()
            .filter_map(|name| words(&name.noun).last())
            .filter(|noun| !with_fault.contains(noun))
            .collect();
        let brands: BTreeSet<String> = self.names.iter().map(|name| name.brand.clone()).collect();
        harms(&nouns.into_iter().collect::<Vec<_>>(), &brands.into_iter().collect::<Vec<_>>())
    }

    fn propose(&self, shoppers: &Shoppers<'_>, settings: &RepairSettings) -> anyhow::Result<Proposals> {
        let brands: BTreeSet<String> =
            self.items.iter().filter_map(|item| Some(normalised(item.brand.as_deref()?).into_owned())).collect();
        let item = |id: &ItemId| {
            let item = &self.items[*self.by_id.get(id)?];
            Some(RepairItem { title: item.title.clone().unwrap_or_default(), categories: item.categories.clone() })
        };
        let rank = |reader: &SearchReader, query: &str| self.hits(reader, query);
        let view = RepairView { item: &item, is_brand: &|text| brands.contains(text), rank: &rank };
        Ok(propose(&shoppers.found, &view, &self.reader, settings, &|_| false)?)
    }

    fn hits(&self, reader: &SearchReader, query: &str) -> Result<Vec<(ItemId, f32)>, SearchError> {
        let found = reader.search(query, &|_| true, DEPTH, 0)?;
        Ok(found.hits.into_iter().map(|hit| (self.items[hit.item_idx as usize].id.clone(), hit.score)).collect())
    }

    /// Mean NDCG@10 of first searches: items like the wanted one are right, itself most.
    fn ndcg(&self, reader: &SearchReader, fresh: &[Intent]) -> anyhow::Result<f64> {
        let mut known: BTreeMap<&str, Vec<(ItemId, f32)>> = BTreeMap::new();
        let mut sum = 0.0;
        for Intent { item, query } in fresh {
            if !known.contains_key(&**query) {
                known.insert(query, self.hits(reader, query)?);
            }
            let like = self.names.iter().enumerate().filter(|(_, name)| name.is_like(&self.names[*item]));
            let rating = |place: usize| if place == *item { 3.0 } else { 1.0 };
            let ratings: Ratings =
                like.map(|(place, _)| (self.items[place].id.as_str().to_owned(), rating(place))).collect();
            let found: Vec<&str> = known[&**query].iter().map(|(id, _)| id.as_str()).collect();
            sum += SearchedQuery::new(query, query, &ratings, &found).ndcg;
        }
        Ok(sum / fresh.len().max(1) as f64)
    }

    /// How well searches with a fault are answered: the share of the first ten hits that have what is meant, or for
    /// misspelt titles the share of the misspelt items among the hits of their material and noun.
    fn answered(&self, reader: &SearchReader, nth: usize) -> anyhow::Result<f64> {
        let fault = &self.faults[nth];
        if fault.kind != FaultKind::Title {
            let hits = self.hits(reader, fault.wrong)?;
            let has = |id: &ItemId| {
                let name = &self.names[self.by_id[id]];
                words(&name.noun).chain(words(&name.material)).any(|word| word == fault.word)
            };
            let first = hits.iter().take(10);
            return Ok(first.clone().filter(|(id, _)| has(id)).count() as f64 / first.len().max(1) as f64);
        }
        let (mut n, mut n_found) = (0, 0);
        for &(_, place) in self.misspelt.iter().filter(|(of, _)| *of == nth) {
            let name = &self.names[place];
            let hits = self.hits(reader, &format!("{} {}", name.material, name.noun))?;
            n += 1;
            n_found += usize::from(hits.iter().any(|(id, _)| self.by_id[id] == place));
        }
        Ok(f64::from(n_found as u32) / f64::from(n.max(1)))
    }

    fn faults_report(
        &self,
        before: &SearchReader,
        after: &SearchReader,
        proposed: &Proposals,
    ) -> anyhow::Result<Value> {
        let mut by_kind: BTreeMap<&str, [u32; 3]> = BTreeMap::new();
        let mut missed = Vec::new();
        for (nth, fault) in self.faults.iter().enumerate() {
            let (was, is) = (self.answered(before, nth)?, self.answered(after, nth)?);
            let counts = by_kind.entry(fault.kind.name()).or_default();
            counts[0] += 1;
            if was >= RIGHT {
                counts[1] += 1;
            } else if is >= RIGHT {
                counts[2] += 1;
            } else {
                missed.push(missed_report(fault, was, is, proposed));
            }
        }
        let total = |place: usize| by_kind.values().map(|counts| counts[place]).sum::<u32>();
        let of_kind = |(kind, [planted, right, repaired]): (&&str, &[u32; 3])| {
            ((*kind).to_owned(), json!({"planted": planted, "right_before": right, "repaired": repaired}))
        };
        Ok(json!({
            "planted": total(0), "right_before": total(1), "repaired": total(2),
            "by_kind": by_kind.iter().map(of_kind).collect::<serde_json::Map<_, _>>(), "missed": missed,
        }))
    }

    /// What was accepted and is neither a planted fault nor a planted harm.
    fn others(&self, accepted: &[Proposal], harms: &[Harm]) -> Vec<String> {
        let is_fault = |one: &Proposal| self.faults.iter().any(|fault| is_about(fault, &one.from, &one.to));
        let other = |one: &&Proposal| !is_fault(one) && !harms.iter().any(|harm| is_of(harm, one));
        accepted.iter().filter(other).map(|one| format!("{} {} => {}", one.kind.name(), one.from, one.to)).collect()
    }
}

/// Whether a pair of words is that of a fault.
fn is_about(fault: &Fault, from: &str, to: &str) -> bool {
    let words = [fault.word, fault.wrong];
    words.iter().any(|word| from.contains(word)) && words.iter().any(|word| to.contains(word))
}

/// Why a fault is not repaired: what was proposed for it, and what was refused with its reason.
fn missed_report(fault: &Fault, was: f64, is: f64, proposed: &Proposals) -> Value {
    let accepted = proposed.proposals.iter().filter(|one| is_about(fault, &one.from, &one.to));
    let refused = proposed.refused.iter().filter(|one| is_about(fault, &one.from, &one.to));
    json!({
        "kind": fault.kind.name(), "wrong": fault.wrong, "word": fault.word,
        "answered_before": rounded(was), "answered_after": rounded(is),
        "accepted": accepted.map(|one| format!("{} => {}", one.from, one.to)).collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
    })
}

/// Whether a proposal is a planted harmful replacement.
fn is_of(harm: &Harm, proposal: &Proposal) -> bool {
    let is_from = *proposal.from == *harm.from;
    match harm.kind {
        HarmKind::OtherInterest => is_from && harm.to.iter().any(|to| **to == *proposal.to),
        _ => is_from,
    }
}

fn harms_report(harms: &[Harm], accepted: &[Proposal]) -> Value {
    let mut by_kind: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    for harm in harms {
        let counts = by_kind.entry(harm.kind.name()).or_default();
        counts[0] += 1;
        counts[1] += u32::from(accepted.iter().any(|proposal| is_of(harm, proposal)));
    }
    let n_accepted: u32 = by_kind.values().map(|counts| counts[1]).sum();
    let of_kind = |(kind, [planted, accepted]): (&&str, &[u32; 2])| {
        ((*kind).to_owned(), json!({"planted": planted, "accepted": accepted}))
    };
    json!({
        "planted": harms.len(), "accepted": n_accepted,
        "by_kind": by_kind.iter().map(of_kind).collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use accrue_engine::Config;

    use super::super::{Request, evaluate};
    use super::*;

    #[test]
    fn planted_faults_are_repaired_and_harmful_replacements_are_not_accepted() {
        let request = Request {
            protocol: SEARCH_REPAIR.to_owned(),
            models: vec![LEXICAL.to_owned()],
            settings: vec![("visits".into(), "6000".into()), ("items".into(), "400".into())],
            ..Request::default()
        };
        let report = &evaluate(&Config::default(), &request, &|_, _| {}).unwrap()[0];
        assert_eq!(report["harms"]["planted"], 100);
        assert_eq!(report["harms"]["accepted"], 0, "{report:#}");
        assert!(report["faults"]["repaired"].as_u64().unwrap() >= 8, "{report:#}");
        assert!(report["metrics"]["ndcg@10_gain"].as_f64().unwrap() > 0.005, "{report:#}");
    }
}
