//! How long a lexical search takes in a shop of 100,000 described products, on one thread.
//!
//! Corpus: titles, brands and descriptions drawn from 20,000 words with weight 1/rank, seed 7; queries of one to four words
//! drawn in the same way; a page of ten, nothing personal.

use std::hint::black_box;
use std::time::Instant;

use accrue_event::{Item, ItemId, Timestamp};
use accrue_kernel::Draws;
use accrue_serve::search::SearchIndex;
use accrue_serve::{SearchRequest, Shop, Visitor};
use accrue_store::{Body, Facts, Offset, Record};
use accrue_train::Learner;

use super::sample::{figure, ms_since, quantile};
use super::shop::Folder;
use super::{Bed, Bench, Figure, Target, bench, row};

pub(super) const BENCHES: &[Bench] = &[bench(
    "search",
    "a lexical search among 100,000 described products, a page of 10, one thread: how long?",
    &[row("search_p99_ms", "ms", Target::AtMost(10.0)), row("search_p50_ms", "ms", Target::None)],
    search,
)];

const N_WORDS: f64 = 20_000.0;
const STREAM: u64 = 0x5345_4152;

fn search(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    (bed.big, bed.retail) = (None, None);
    let (n_items, n_queries) = bed.size.pick((500, 50), (100_000, 3_000), (100_000, 10_000));
    let folder = Folder::new()?;
    let started = Instant::now();
    let mut facts = Facts::new(1);
    let mut index = SearchIndex::open(Some(&folder.path().join("search")), bed.config.search.clone())?;
    for item in 0..n_items {
        let described = described(item);
        index.upsert(item, &described)?;
        let body = Body::Item(Box::new(described));
        facts.apply(&Record { offset: Offset(u64::from(item)), received_at: Timestamp(0), body });
    }
    index.commit()?;
    bed.note(format!("  {:.0} documents/s taken into the index", f64::from(n_items) / started.elapsed().as_secs_f64()));
    let version = Learner::new(bed.config.learning()).publish();
    let shop = Shop { facts: &facts, version: &version };
    let reader = index.reader();
    let mut took = Vec::with_capacity(n_queries);
    let mut n_found = 0;
    for query in 0..n_queries {
        let mut draws = Draws::new(7, STREAM + 1, query as u64);
        let n_words = 1 + draws.below(4);
        let request = SearchRequest {
            query: text(&mut draws, n_words),
            visitor: Visitor::default(),
            n: 10,
            offset: 0,
            filter: None,
            personalisation: 0.0,
            explain: false,
        };
        let started = Instant::now();
        let answer = black_box(shop.search(&reader, &request)?);
        took.push(ms_since(started));
        n_found += answer.total;
    }
    anyhow::ensure!(n_found > n_queries, "hardly anything was found");
    bed.note(format!("  {:.0} matches a query, worst {:.2} ms", n_found as f64 / n_queries as f64, quantile(&mut took, 1.0)));
    Ok(vec![figure(&mut took, 0.99), figure(&mut took, 0.5)])
}

fn described(item: u32) -> Item {
    let mut draws = Draws::new(7, STREAM, u64::from(item));
    let mut described = Item::bare(ItemId::from(format!("SKU-{item}").as_str()));
    let (n_title, n_description) = (4 + draws.below(8), 15 + draws.below(30));
    described.title = Some(text(&mut draws, n_title).into());
    described.description = Some(text(&mut draws, n_description).into());
    described.brand = Some(word(&mut draws).into());
    described
}

fn text(draws: &mut Draws, n_words: u64) -> String {
    (0..n_words).map(|_| word(draws)).collect::<Vec<_>>().join(" ")
}

/// The word of a rank that is drawn with a chance of about one by the rank.
fn word(draws: &mut Draws) -> String {
    const SYLLABLES: [&str; 10] = ["ka", "lo", "mi", "ter", "sun", "bra", "ped", "vol", "nix", "gar"];
    let mut rest = N_WORDS.powf(f64::from(draws.uniform())) as usize;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[rest % 10]);
        rest /= 10;
    }
    word
}
