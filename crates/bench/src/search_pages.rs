//! How long the parts of a page of results take beside the hits, in a shop of 100,000 described products, on one thread:
//! facets under a filter, an order by price, suggestions.
//!
//! Corpus and queries are those of the bench `search`: one to four words of some product's title. Each product has one of
//! 20,000 brands with weight 1/rank, one to three of 300 categories, and a price. Suggestions are asked for with the first
//! letters of such words, one in four with a typing error.

use std::hint::black_box;
use std::time::Instant;

use accrue_engine::learn_settings;
use accrue_event::Timestamp;
use accrue_kernel::Draws;
use accrue_model::Version;
use accrue_serve::filter::Filter;
use accrue_serve::search::{SearchIndex, SearchReader};
use accrue_serve::{Campaigns, Rules, Scenes, SearchRequest, Shop, SuggestRequest, Suggestions};
use accrue_store::{Body, Facts, ItemIdx, Offset, Record};
use accrue_train::Learner;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since};
use super::search::{described, text, title_words};

pub(super) const BENCHES: &[Bench] = &[bench(
    "search_pages",
    "facets under a filter, an order and suggestions among 100,000 products, one thread: how many a second, how long?",
    &[
        row("search_facets_per_s", "searches/s", Target::AtLeast(1_000.0)),
        row("search_facets_p99_ms", "ms", Target::AtMost(20.0)),
        row("search_by_price_p99_ms", "ms", Target::AtMost(20.0)),
        row("suggest_p50_ms", "ms", Target::None),
        row("suggest_p99_ms", "ms", Target::AtMost(2.0)),
    ],
    run,
)];

const STREAM: u64 = 0x5041_4745;

/// A shop with its index.
struct Described {
    facts: Facts,
    version: Version,
    reader: SearchReader,
    suggestions: Suggestions,
    n_items: u32,
}

impl Described {
    fn new(bed: &Bed<'_>, folder: &Folder, n_items: u32) -> anyhow::Result<Self> {
        let mut facts = Facts::new(1);
        let mut index = SearchIndex::open(Some(&folder.path().join("search")), bed.config.search.clone())?;
        let mut suggestions = Suggestions::default();
        let mut taken_in_s = 0.0;
        for item in 0..n_items as ItemIdx {
            let described = described(item);
            index.upsert(item, &described)?;
            let started = Instant::now();
            suggestions.set(item, Some(&described));
            taken_in_s += started.elapsed().as_secs_f64();
            let body = Body::Item(Box::new(described));
            facts.apply(&Record { offset: Offset(u64::from(item)), received_at: Timestamp(0), body });
        }
        index.commit()?;
        let (n_texts, rate) = (suggestions.n_texts(), f64::from(n_items) / taken_in_s);
        bed.note(format!("  {n_texts} texts to suggest, {rate:.0} items/s taken in"));
        let version = Learner::new(learn_settings(&bed.config)).publish();
        let reader = index.reader();
        index.close()?;
        Ok(Self { facts, version, reader, suggestions, n_items })
    }

    fn shop(&self, bed: &Bed<'_>) -> Shop<'_> {
        let now_ms = self.facts.stream_time.0;
        let (facts, version, catalogue) = (&self.facts, &self.version, bed.config.catalogue);
        Shop {
            facts,
            version,
            now_ms,
            catalogue,
            rules: Rules::NONE,
            scenes: Scenes::built_in(),
            campaigns: Campaigns::NONE,
        }
    }
}

fn run(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    (bed.big, bed.retail) = (None, None);
    let (n_items, n_queries) = bed.size.pick((500, 50), (100_000, 3_000), (100_000, 10_000));
    let folder = Folder::new()?;
    let described = Described::new(bed, &folder, n_items)?;
    let shop = described.shop(bed);
    let price = Some(Filter::parse("price:10..60")?);
    let facets = ["brand", "category", "price"].map(|name| shop.facet(name));
    let faceted = SearchRequest {
        filter: price,
        facets: facets.into_iter().collect::<Result<_, _>>()?,
        personalisation: 0.0,
        ..SearchRequest::default()
    };
    let sorted = SearchRequest { sort: shop.sort(["price:asc"])?, personalisation: 0.0, ..SearchRequest::default() };
    let mut took = ask(bed, &described, &faceted, n_queries)?;
    let seconds = took.iter().sum::<f64>() / 1e3;
    let per_s = Figure { value: took.len() as f64 / seconds, samples: took.len() as u64 };
    let facets_p99 = figure(&mut took, 0.99);
    let sorted_p99 = figure(&mut ask(bed, &described, &sorted, n_queries)?, 0.99);
    let mut took = suggest(bed, &described, n_queries)?;
    Ok(vec![per_s, facets_p99, sorted_p99, figure(&mut took, 0.5), figure(&mut took, 0.99)])
}

/// Milliseconds of each query.
fn ask(bed: &Bed<'_>, described: &Described, like: &SearchRequest, n: usize) -> anyhow::Result<Vec<f64>> {
    let (shop, mut n_found) = (described.shop(bed), 0);
    let mut took = Vec::with_capacity(n);
    for query in 0..n as u64 {
        let request = SearchRequest { query: text(&title_words(query, described.n_items)), ..like.clone() };
        let started = Instant::now();
        let answer = black_box(shop.search(&described.reader, &request)?);
        took.push(ms_since(started));
        n_found += answer.total;
    }
    anyhow::ensure!(n_found > n, "hardly anything was found");
    bed.note(format!("  {:.0} hits a query", n_found as f64 / n as f64));
    Ok(took)
}

/// Milliseconds of each suggestion.
fn suggest(bed: &Bed<'_>, described: &Described, n: usize) -> anyhow::Result<Vec<f64>> {
    let (shop, mut n_found) = (described.shop(bed), 0);
    let mut took = Vec::with_capacity(n);
    for query in 0..n as u64 {
        let mut draws = Draws::new(7, STREAM, query);
        let mut typed = text(&title_words(query, described.n_items));
        // The words are plain letters.
        typed.truncate(1 + draws.below(typed.len() as u64) as usize);
        if draws.below(4) == 0 && typed.len() > 4 {
            typed.remove(2);
        }
        let request = SuggestRequest { query: typed, n: 10, ..SuggestRequest::default() };
        let started = Instant::now();
        let suggested = black_box(shop.suggest(&described.suggestions, &request));
        took.push(ms_since(started));
        n_found += suggested.len();
    }
    bed.note(format!("  {:.1} suggestions a text", n_found as f64 / n as f64));
    Ok(took)
}
