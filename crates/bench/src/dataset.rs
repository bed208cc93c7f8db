//! A real shop's year, if it is available: UCI Online Retail II, `online-retail-uci/y2009_2010.tsv.zst`.
//!
//! In: tab-separated invoice lines in the order of time. Out: purchases of articles (codes of five digits and letters) by
//! known customers, with dense indices in the order of appearance. Cancellations and fees are left out.

use std::collections::HashMap;
use std::path::Path;

use accrue_event::{EventType, Timestamp};
use accrue_store::Interaction;
use anyhow::Context as _;

/// What is known of an article.
pub(super) struct Article {
    /// Its first description.
    pub title: String,
    /// Its first price.
    pub price: f64,
}

pub(super) fn online_retail(datasets: &Path) -> anyhow::Result<Vec<Interaction>> {
    online_retail_described(datasets).map(|(events, _)| events)
}

/// The purchases, and the articles by their indices.
pub(super) fn online_retail_described(datasets: &Path) -> anyhow::Result<(Vec<Interaction>, Vec<Article>)> {
    let path = datasets.join("online-retail-uci").join("y2009_2010.tsv.zst");
    let file = std::fs::File::open(&path).with_context(|| format!("{}", path.display()))?;
    let text = std::io::read_to_string(zstd::Decoder::new(file)?)?;
    let type_code = EventType::BUILT_IN.iter().position(|known| *known == EventType::Purchase).expect("built in") as u8;
    let (mut items, mut shoppers) = (HashMap::new(), HashMap::new());
    let (mut events, mut articles) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [invoice, item, title, quantity, at, price, customer, ..] = cells[..] else { continue };
        if invoice.starts_with('C') || customer.is_empty() || !is_article(item) {
            continue;
        }
        let Some(at) = Timestamp::parse(&format!("{at}Z")) else { continue };
        let next = items.len() as u32;
        let item = *items.entry(item).or_insert(next);
        if item as usize == articles.len() {
            articles.push(Article { title: title.to_owned(), price: price.parse().unwrap_or(0.0) });
        }
        let next = shoppers.len() as u32;
        let shopper = *shoppers.entry(customer).or_insert(next);
        let quantity = quantity.parse().unwrap_or(1);
        events.push(Interaction { shopper, item, type_code, at_ms: at.0, session: None, value: 1.0, quantity });
    }
    anyhow::ensure!(!events.is_empty(), "{}: no line could be used", path.display());
    Ok((events, articles))
}

/// Five digits, then letters or nothing.
fn is_article(code: &str) -> bool {
    code.len() >= 5
        && code.is_char_boundary(5)
        && code[..5].bytes().all(|b| b.is_ascii_digit())
        && code[5..].bytes().all(|b| b.is_ascii_alphabetic())
}
