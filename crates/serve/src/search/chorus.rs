//! Quality on real judgments: the Chorus electronics catalogue, 62 queries with something relevant.
//! Needs `ACCRUE_DATASETS`, the folder that holds `chorus-icecat-search`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use accrue_event::{Attribute, Item};
use serde_json::Value;

use super::{Admitted, Match, SearchIndex, SearchSettings};

const DEPTH: usize = 10;

#[test]
fn chorus_ndcg_holds() {
    let Some(root) = std::env::var_os("ACCRUE_DATASETS") else {
        println!("skipped: search::chorus::chorus_ndcg_holds (ACCRUE_DATASETS is not set)");
        return;
    };
    let dir = Path::new(&root).join("chorus-icecat-search");
    let items = products(&unpacked(&dir.join("products.jsonl.zst")));
    let judgments = judgments(&unpacked(&dir.join("judgments.csv.zst")));
    let mut index = SearchIndex::open(None, SearchSettings::default()).unwrap();
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item).unwrap();
    }
    index.commit().unwrap();
    let reader = index.reader();
    let (mut sum, mut condensed, mut judged) = (0.0, 0.0, 0);
    for (query, gains) in &judgments {
        let lexical = |found: Match| Some(Admitted { score: found.lexical, product: None });
        let found = reader.retrieve(query, &lexical, 1_000).unwrap().candidates;
        let ids: Vec<&str> = found.iter().map(|c| items[c.found.item_idx as usize].id.as_str()).collect();
        judged += ids.iter().take(DEPTH).filter(|id| gains.contains_key(**id)).count();
        let got = dcg(ids.iter().map(|id| gains.get(*id).copied().unwrap_or(0.0)));
        let got_of_judged = dcg(ids.iter().filter_map(|id| gains.get(*id).copied()));
        let mut ideal: Vec<f64> = gains.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let ideal = dcg(ideal.into_iter());
        (sum, condensed) = (sum + got / ideal, condensed + got_of_judged / ideal);
    }
    let n = judgments.len() as f64;
    let (ndcg, condensed, judged) = (sum / n, condensed / n, judged as f64 / (n * DEPTH as f64));
    println!("nDCG@10 {ndcg:.4}, condensed {condensed:.4}, judged@10 {judged:.3}, {n} queries");
    assert!(ndcg >= 0.763 && condensed >= 0.811, "nDCG@10 {ndcg}, condensed {condensed}");
}

fn dcg(gains: impl Iterator<Item = f64>) -> f64 {
    gains.take(DEPTH).enumerate().map(|(i, gain)| gain / (i as f64 + 2.0).log2()).sum()
}

fn products(lines: &str) -> Vec<Item> {
    let read = |line: &str| {
        let product: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| product[name].as_str().map(Into::into);
        let mut item = Item::bare(product["id"].as_str().unwrap().into());
        item.title = text("title");
        item.description = text("short_description");
        item.brand = text("supplier");
        for (name, value) in product.as_object().unwrap() {
            if let (Some(name), Some(text)) = (name.strip_prefix("attr_t_"), value.as_str()) {
                item.attributes.insert(name.into(), Attribute::Text(text.into()));
            } else if let (Some(name), Some(is)) = (name.strip_prefix("attr_b_"), value.as_bool()) {
                item.attributes.insert(name.into(), Attribute::Bool(is));
            }
        }
        item
    };
    lines.split('\n').filter(|line| !line.is_empty()).map(read).collect()
}

/// Gain 2^rating − 1 by query and item; queries without anything relevant are left out.
fn judgments(csv: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut all: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let mut cells = line.rsplitn(3, ',');
        let rating: f64 = cells.next().unwrap().parse().unwrap();
        let (id, query) = (cells.next().unwrap(), cells.next().unwrap().trim_matches('"'));
        all.entry(query.to_owned()).or_default().insert(id.to_owned(), rating.exp2() - 1.0);
    }
    all.retain(|_, gains| gains.values().any(|gain| *gain > 0.0));
    all
}

fn unpacked(path: &Path) -> String {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    text
}
