//! The protocol `search`: a catalogue is indexed, judged queries are asked, and the lists are scored.
//!
//! With an encoder, items and queries get vectors as in a server. If several weights are given, each is tried, and every
//! query is answered with what did best on the other queries.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use accrue_encode::{Encoder, Kind};
use accrue_event::Item;
use accrue_lab::search::{
    Ratings, SearchReport, SearchedQuery, compare_searches, cross_validated, mistyped, read_judgments,
};
use accrue_model::Vectors;
use accrue_serve::search::{
    Admitted, Match, QueryVector, SearchIndex, SearchReader, SearchSettings, SimilarSettings, Synonyms,
};
use accrue_store::{HitFeature, N_FEATURES};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::biased_clicks::{JudgedItem, JudgedQuery, simulate};
use super::judged::JUDGED;
use super::request::Run;
use super::search_files::{SEARCH, read_answers, read_items, text_of};
use super::settings::{ENCODER, number};
use super::vectors::vectors_of;

/// The name of its model.
pub const LEXICAL: &str = "lexical";
/// Hits of a query that are read, so that ten judged ones are among them.
const DEPTH: usize = 1_000;
/// Folds over queries, where one of several settings is chosen.
const FOLDS: usize = 5;
/// Settings that are tried, at most.
const MAX_TRIED: usize = 200;

/// What to ask, out of `key=value` pairs.
struct Asked {
    corrects: bool,
    /// Whether the common synonyms are in use.
    has_common: bool,
    /// The seed of typing errors.
    typos: Option<u64>,
    /// For judged queries the text to send.
    sent: BTreeMap<String, String>,
    synonyms: Synonyms,
    /// A folder, or `hashed`; empty for none.
    encoder: String,
    /// The file that keeps the vectors of items.
    vectors: Option<PathBuf>,
    /// What to try.
    similar: Vec<SimilarSettings>,
    /// Simulated searches to learn from, and the queries that are searched for, at most.
    clicks: u64,
    clicked_queries: usize,
}

/// The judged queries, and what answers them.
struct Bench<'a> {
    judgments: &'a BTreeMap<String, Ratings>,
    asked: &'a Asked,
    items: &'a [Item],
    reader: SearchReader,
    meanings: Option<Meanings>,
}

/// The vectors of items, and the encoder of queries.
struct Meanings {
    encoder: Encoder,
    vectors: Vectors,
    n_vectors: usize,
    encode_s: f64,
}

/// Asks the judged queries of the test file in the catalogue of the items' file.
pub(super) fn search(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let request = run.request;
    ensure!(
        run.model == LEXICAL,
        "there is no model `{}` for the protocol {SEARCH}; there is {LEXICAL}, {JUDGED}",
        run.model
    );
    let (Some(items), Some(test)) = (&request.items, &request.test) else {
        bail!("{SEARCH} needs --items, the catalogue, and --test, judgments with rows query,docid,rating");
    };
    let other = request.against.as_deref().map(read_answers).transpose()?;
    let asked = asked(run)?;
    let judgments = read_judgments(&text_of(test)?).with_context(|| test.display().to_string())?;
    let started = Instant::now();
    let (items, refused) = read_items(run, items)?;
    let ids: HashSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
    let mut judged = judgments.values().flat_map(|ratings| ratings.keys());
    ensure!(
        judged.any(|item| ids.contains(&**item)),
        "none of the judged items is among the {} of the catalogue: {} has ids of other items",
        items.len(),
        test.display()
    );
    let index = indexed(run, &asked, &items)?;
    let index_s = started.elapsed().as_secs_f64();
    let reader = index.reader();
    reader.set_synonyms(&asked.synonyms);
    let meanings = meanings(run, &asked, &items, progress)?;
    let bench = Bench { judgments: &judgments, asked: &asked, items: &items, reader, meanings };
    let mut took_ms = Vec::new();
    let mut tried = Vec::with_capacity(asked.similar.len());
    for (nth, similar) in asked.similar.iter().enumerate() {
        tried.push(bench.ask(similar, &mut took_ms)?);
        progress((nth + 1) as f64 / asked.similar.len() as f64, "the queries");
    }
    let seed = run.config.learn.seed;
    let (queries, chosen) = match tried.len() {
        1 => (tried.swap_remove(0), Vec::new()),
        _ => cross_validated(&tried, FOLDS, seed)?,
    };
    if let Some(path) = &request.predictions {
        let lines = queries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        std::fs::write(path, lines.join("\n") + "\n")
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut report = serde_json::to_value(SearchReport::new(&queries, seed))?;
    let (ms, p99) = mean_and_p99(took_ms);
    let more = json!({
        "protocol": SEARCH, "model": LEXICAL, "seed": seed,
        "settings": run.settings.iter().cloned().collect::<BTreeMap<_, _>>(), "n_items": items.len(), "refused": refused,
        "cost": {"index_s": index_s, "ms": ms, "p99_ms": p99},
    });
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
    if let Some(Meanings { n_vectors, encode_s, .. }) = &bench.meanings {
        report["n_vectors"] = json!(n_vectors);
        report["cost"]["encode_s"] = json!(encode_s);
    }
    if !chosen.is_empty() {
        report["tried"] = tried_settings(&asked.similar, &tried, seed);
        report["chosen"] = chosen.iter().map(|&one| setting(&asked.similar[one])).collect();
    }
    if asked.clicks > 0 {
        report["clicks"] = simulate(bench.judged()?, asked.clicks, asked.clicked_queries, seed);
    }
    if let Some(other) = other {
        report["against"] = serde_json::to_value(compare_searches(&queries, &other, seed)?)?;
    }
    Ok(report)
}

/// The items in an index of their own.
fn indexed(run: &Run<'_>, asked: &Asked, items: &[Item]) -> anyhow::Result<SearchIndex> {
    let settings = SearchSettings { common_synonyms: asked.has_common, ..run.config.search.clone() };
    let mut index = SearchIndex::open(None, settings)?;
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item)?;
    }
    index.commit()?;
    Ok(index)
}

fn mean_and_p99(mut took_ms: Vec<f64>) -> (f64, f64) {
    took_ms.sort_by(f64::total_cmp);
    let mean = took_ms.iter().sum::<f64>() / took_ms.len().max(1) as f64;
    (mean, took_ms[(took_ms.len() - 1) * 99 / 100])
}

/// The settings that were tried, each with its metrics over all queries.
fn tried_settings(similar: &[SimilarSettings], tried: &[Vec<SearchedQuery>], seed: u64) -> Value {
    let one = |(similar, queries): (&SimilarSettings, &Vec<SearchedQuery>)| {
        let mut one = setting(similar);
        one["metrics"] = json!(SearchReport::new(queries, seed).metrics);
        one
    };
    similar.iter().zip(tried).map(one).collect()
}

fn setting(similar: &SimilarSettings) -> Value {
    // Through f64, a number is written as it was given.
    let shown = |value: f32| value.to_string().parse::<f64>().unwrap_or(f64::from(value));
    json!({"similarity": shown(similar.weight), "floor": shown(similar.floor), "similar_items": similar.items})
}

impl Bench<'_> {
    /// The answers to all queries under a setting.
    fn ask(&self, similar: &SimilarSettings, took_ms: &mut Vec<f64>) -> anyhow::Result<Vec<SearchedQuery>> {
        let (asked, mut vectors) = (self.asked, BTreeMap::new());
        let mut queries = Vec::with_capacity(self.judgments.len());
        for (nth, (query, ratings)) in self.judgments.iter().enumerate() {
            let sent = match asked.typos {
                Some(seed) => mistyped(query, seed, nth as u64),
                None => asked.sent.get(query).unwrap_or(query).clone(),
            };
            let started = Instant::now();
            let mut read = self.reader.read(&sent, asked.corrects)?;
            if let Some(meanings) = self.meanings.as_ref().filter(|_| similar.weight > 0.0) {
                let text = read.likely();
                let vector = match vectors.get(&text) {
                    Some(vector) => Arc::clone(vector),
                    None => meanings.query(&text)?,
                };
                read.compare_with(&meanings.vectors, &vector, similar);
                vectors.insert(text, vector);
            }
            let admit = |found: Match| Some(Admitted { score: found.relevance(), product: None });
            let found = read.retrieve(&admit, DEPTH)?;
            took_ms.push(started.elapsed().as_secs_f64() * 1e3);
            let ids: Vec<&str> =
                found.candidates.iter().map(|hit| self.items[hit.found.item_idx as usize].id.as_str()).collect();
            let scored = SearchedQuery::new(query, &sent, ratings, &ids);
            queries.push(SearchedQuery { corrected: found.corrected.map(Into::into), ..scored });
        }
        Ok(queries)
    }
}

impl Bench<'_> {
    /// The judged items of each query with their features, under the first setting.
    fn judged(&self) -> anyhow::Result<Vec<JudgedQuery>> {
        let places: BTreeMap<&str, u32> =
            self.items.iter().enumerate().map(|(place, item)| (item.id.as_str(), place as u32)).collect();
        let similar = &self.asked.similar[0];
        let mut queries = Vec::with_capacity(self.judgments.len());
        for (query, ratings) in self.judgments {
            let mut read = self.reader.read(query, self.asked.corrects)?;
            if let Some(meanings) = self.meanings.as_ref().filter(|_| similar.weight > 0.0) {
                let vector = meanings.query(&read.likely())?;
                read.compare_with(&meanings.vectors, &vector, similar);
            }
            let judged: Vec<(u32, f64)> =
                ratings.iter().filter_map(|(id, rating)| Some((*places.get(&**id)?, *rating))).collect();
            let matches = read.matches(&judged.iter().map(|(item, _)| *item).collect::<Vec<_>>())?;
            let unit = read.unit();
            let item = |(found, (item, rating)): (Match, (u32, f64))| {
                let mut features = [0.0; N_FEATURES];
                features[HitFeature::Words as usize] = found.lexical / unit;
                features[HitFeature::Meaning as usize] = found.similar / unit;
                JudgedItem { item, rating, score: found.relevance() / unit, features }
            };
            let items = matches.into_iter().zip(judged).map(item).collect();
            queries.push(JudgedQuery { text: query.clone(), items });
        }
        Ok(queries)
    }
}

impl Meanings {
    fn query(&self, text: &str) -> anyhow::Result<Arc<QueryVector>> {
        let vectors = self.encoder.encode(Some(Kind::Query), &[text], 1)?;
        Ok(QueryVector::new(self.encoder.space().0, &vectors[0]))
    }
}

fn meanings(
    run: &Run<'_>,
    asked: &Asked,
    items: &[Item],
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Option<Meanings>> {
    if asked.encoder.is_empty() {
        return Ok(None);
    }
    let started = Instant::now();
    let encoder = Encoder::open(&asked.encoder, &run.config.content.prefixes())?;
    let of_items = vectors_of(&encoder, items.iter().enumerate(), asked.vectors.as_deref(), &|done| {
        progress(done, "the vectors")
    })?;
    let mut vectors = Vectors::default();
    of_items.iter().for_each(|(item, vector)| vectors.put(*item as u32, vector));
    let encode_s = started.elapsed().as_secs_f64();
    Ok(Some(Meanings { encoder, vectors, n_vectors: of_items.len(), encode_s }))
}

fn asked(run: &Run<'_>) -> anyhow::Result<Asked> {
    let own = &run.config.search.similar;
    let mut asked = Asked {
        corrects: true,
        has_common: run.config.search.common_synonyms,
        typos: None,
        sent: BTreeMap::new(),
        synonyms: Synonyms::default(),
        encoder: run.config.content.encoder.clone(),
        vectors: None,
        similar: Vec::new(),
        clicks: 0,
        clicked_queries: usize::MAX,
    };
    let (mut weights, mut floors, mut items) = (vec![own.weight], vec![own.floor], vec![own.items]);
    for (key, value) in run.settings {
        match key.as_str() {
            "typo" => asked.corrects = number(Some(value), key, true)?,
            "common" => asked.has_common = number(Some(value), key, true)?,
            "typos" => asked.typos = Some(number(Some(value), key, 0)?),
            "queries" => {
                let text = text_of(Path::new(value))?;
                let pairs = text.lines().filter_map(|line| line.split_once('\t'));
                asked.sent = pairs.map(|(query, sent)| (query.to_string(), sent.to_string())).collect();
            }
            "synonyms" => asked.synonyms = Synonyms::parse(&text_of(Path::new(value))?)?,
            "encoder" | ENCODER => asked.encoder.clone_from(value),
            "vectors" => asked.vectors = Some(value.into()),
            "similarity" => weights = numbers(value, key)?,
            "floor" => floors = numbers(value, key)?,
            "clicks" => asked.clicks = number(Some(value), key, 0)?,
            "clicked_queries" => asked.clicked_queries = number(Some(value), key, 0)?,
            "similar_items" => items = numbers(value, key)?,
            _ => {
                bail!(
                    "there is no setting `{key}`; there is typo=true|false, common=true|false, typos=SEED, queries=FILE, synonyms=FILE, \
                     encoder=DIR, vectors=FILE, and, each with one value or several to choose from, similarity=WEIGHT, \
                     floor=SIMILARITY, similar_items=N; clicks=SEARCHES and clicked_queries=N simulate learning from clicks"
                )
            }
        }
    }
    for &weight in &weights {
        for &floor in &floors {
            for &items in &items {
                let similar = SimilarSettings { weight, floor, items, ..own.clone() };
                similar.validate()?;
                asked.similar.push(similar);
            }
        }
    }
    ensure!(asked.similar.len() <= MAX_TRIED, "{} settings; at most {MAX_TRIED} are tried", asked.similar.len());
    Ok(asked)
}

/// Numbers with commas between them.
fn numbers<T: std::str::FromStr + Default>(value: &str, key: &str) -> anyhow::Result<Vec<T>> {
    value.split(',').map(|one| number(Some(one.trim()), key, T::default())).collect()
}

#[cfg(test)]
mod tests {
    use accrue_engine::Config;

    use super::super::{Request, evaluate};
    use super::*;

    /// The report of a judged set that the project has.
    fn report(folder: &str, settings: &[(&str, &str)]) -> Value {
        report_with(&Config::default(), folder, settings)
    }

    fn report_with(config: &Config, folder: &str, settings: &[(&str, &str)]) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
        let request = Request {
            protocol: SEARCH.to_owned(),
            models: vec![LEXICAL.to_owned()],
            items: Some(folder.join("items.jsonl")),
            test: Some(folder.join("judgments.csv")),
            settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Request::default()
        };
        evaluate(config, &request, &|_, _| {}).unwrap().remove(0)
    }

    /// `ACCRUE_ENCODERS` names a folder with `e5`, a folder of multilingual-e5-small.
    #[test]
    fn queries_find_titles_in_other_languages_with_the_default_settings() {
        let Some(root) = std::env::var_os("ACCRUE_ENCODERS").map(PathBuf::from) else {
            return eprintln!("skipped: ACCRUE_ENCODERS is not set");
        };
        let mut config = Config::default();
        (config.content.query_prefix, config.content.passage_prefix) = ("query: ".into(), "passage: ".into());
        let encoder = root.join("e5");
        let report = report_with(&config, "search-languages", &[("encoder", encoder.to_str().unwrap())]);
        assert!(report["metrics"]["ndcg@10"].as_f64().unwrap() > 0.75, "{report:#}");
    }

    #[test]
    fn chinese_queries_are_answered_well_and_without_common_synonyms_worse() {
        let with = report("search-zh", &[]);
        let without = report("search-zh", &[("common", "false")]);
        let ndcg = |report: &Value| report["metrics"]["ndcg@10"].as_f64().unwrap();
        assert_eq!((&with["n_eval"], &with["n_items"]), (&json!(78), &json!(253)));
        assert!(ndcg(&with) > 0.85, "{with:#}");
        assert!(ndcg(&without) > 0.65 && ndcg(&without) < ndcg(&with), "{without:#}");
    }
}
