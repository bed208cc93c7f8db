//! The protocol `search`: a catalogue is indexed, judged queries are asked, and the lists are scored.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use accrue_event::{Check, Item, RecordKind, RuleStatistics};
use accrue_ingest::{Entry, Progress, ReadSettings, Reader};
use accrue_lab::search::{SearchReport, SearchedQuery, compare_searches, mistyped, read_judgments};
use accrue_serve::search::{Admitted, Match, SearchIndex, Synonyms};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{BATCH, Run, number};

/// The name of the protocol.
pub const SEARCH: &str = "search";
/// The name of its model.
pub const LEXICAL: &str = "lexical";
/// Hits of a query that are read, so that ten judged ones are among them.
const DEPTH: usize = 1_000;

/// What to ask, out of `key=value` pairs.
struct Asked {
    corrects: bool,
    /// The seed of typing errors.
    typos: Option<u64>,
    /// For judged queries the text to send.
    sent: BTreeMap<String, String>,
    synonyms: Synonyms,
}

/// Asks the judged queries of the test file in the catalogue of the items' file.
pub(super) fn search(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let request = run.request;
    ensure!(run.model == LEXICAL, "there is no model `{}` for the protocol {SEARCH}; there is {LEXICAL}", run.model);
    let (Some(items), Some(test)) = (&request.items, &request.test) else {
        bail!("{SEARCH} needs --items, the catalogue, and --test, judgments with rows query,docid,rating");
    };
    let other = request.against.as_deref().map(read_answers).transpose()?;
    let asked = asked(run)?;
    let judgments = read_judgments(&text_of(test)?).with_context(|| test.display().to_string())?;
    let started = Instant::now();
    let (items, refused) = read_items(run, items)?;
    let mut index = SearchIndex::open(None, run.config.search.clone())?;
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item)?;
    }
    index.commit()?;
    let index_s = started.elapsed().as_secs_f64();
    let reader = index.reader();
    reader.set_synonyms(&asked.synonyms);
    let mut queries = Vec::with_capacity(judgments.len());
    let mut took_ms = Vec::with_capacity(judgments.len());
    for (nth, (query, ratings)) in judgments.iter().enumerate() {
        let sent = match asked.typos {
            Some(seed) => mistyped(query, seed, nth as u64),
            None => asked.sent.get(query).unwrap_or(query).clone(),
        };
        let started = Instant::now();
        let lexical = |found: Match| Some(Admitted { score: found.lexical, product: None });
        let found = reader.read(&sent, asked.corrects)?.retrieve(&lexical, DEPTH)?;
        took_ms.push(started.elapsed().as_secs_f64() * 1e3);
        let ids: Vec<&str> =
            found.candidates.iter().map(|hit| items[hit.found.item_idx as usize].id.as_str()).collect();
        let scored = SearchedQuery::new(query, &sent, ratings, &ids);
        queries.push(SearchedQuery { corrected: found.corrected.map(Into::into), ..scored });
        progress((nth + 1) as f64 / judgments.len() as f64, "the queries");
    }
    if let Some(path) = &request.predictions {
        let lines = queries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        std::fs::write(path, lines.join("\n") + "\n")
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let seed = run.config.learn.seed;
    let mut report = serde_json::to_value(SearchReport::new(&queries, seed))?;
    let settings: BTreeMap<_, _> = run.settings.iter().cloned().collect();
    took_ms.sort_by(f64::total_cmp);
    let ms = took_ms.iter().sum::<f64>() / took_ms.len().max(1) as f64;
    let p99 = took_ms[(took_ms.len() - 1) * 99 / 100];
    let more = json!({
        "protocol": SEARCH, "model": LEXICAL, "settings": settings, "seed": seed, "n_items": items.len(), "refused": refused,
        "cost": {"index_s": index_s, "ms": ms, "p99_ms": p99},
    });
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
    if let Some(other) = other {
        report["against"] = serde_json::to_value(compare_searches(&queries, &other, seed)?)?;
    }
    Ok(report)
}

fn asked(run: &Run<'_>) -> anyhow::Result<Asked> {
    let mut asked = Asked { corrects: true, typos: None, sent: BTreeMap::new(), synonyms: Synonyms::default() };
    for (key, value) in run.settings {
        match key.as_str() {
            "typo" => asked.corrects = number(Some(value), key, true)?,
            "typos" => asked.typos = Some(number(Some(value), key, 0)?),
            "queries" => {
                let text = text_of(Path::new(value))?;
                let pairs = text.lines().filter_map(|line| line.split_once('\t'));
                asked.sent = pairs.map(|(query, sent)| (query.to_string(), sent.to_string())).collect();
            }
            "synonyms" => asked.synonyms = Synonyms::parse(&text_of(Path::new(value))?)?,
            _ => {
                bail!("there is no setting `{key}`; there is typo=true|false, typos=SEED, queries=FILE, synonyms=FILE")
            }
        }
    }
    Ok(asked)
}

/// A text file, plain or `.zst`.
fn text_of(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bytes = match path.extension().is_some_and(|ending| ending == "zst") {
        true => zstd::decode_all(&*bytes).with_context(|| format!("{} is no zstd file", path.display()))?,
        false => bytes,
    };
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The queries of an earlier run, as `--predictions` wrote them.
fn read_answers(path: &Path) -> anyhow::Result<Vec<SearchedQuery>> {
    let read =
        |line: &str| serde_json::from_str(line).with_context(|| format!("{}: not a searched query", path.display()));
    text_of(path)?.lines().map(read).collect()
}

/// Reads and checks the catalogue; returns the items with the counts of refused ones.
fn read_items(run: &Run<'_>, path: &Path) -> anyhow::Result<(Vec<Item>, BTreeMap<String, u64>)> {
    let request = run.request;
    let mut mapping = request.mapping.clone().unwrap_or_else(|| request.named.clone());
    mapping.kind = RecordKind::Items;
    let settings = ReadSettings { mapping, columns: request.columns.clone(), ..ReadSettings::default() };
    let check = Check::new(run.config.check.clone(), RuleStatistics::default())?;
    let mut reader = Reader::open(path, &settings, &Progress::default())?;
    let mut items: Vec<Item> = Vec::new();
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok((items, refused));
        }
        for entry in batch.entries {
            let rejection = match entry {
                Entry::Item(item) => match check.judge_item(&item) {
                    Ok((item, _)) => {
                        items.push(item);
                        continue;
                    }
                    Err(rejection) => rejection,
                },
                Entry::Unreadable(refusal) => refusal.rejection,
                _ => bail!("{}: items are needed here", path.display()),
            };
            *refused.entry(rejection.reason.code().to_string()).or_default() += 1;
        }
    }
}
