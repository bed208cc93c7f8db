//! How long a lexical search takes in a shop of 100,000 described products, on one thread.
//!
//! Corpus: titles, brands and descriptions drawn from 20,000 words with weight 1/rank, seed 7. Queries: one to four words of
//! some product's title, without the 50 commonest words, as shoppers leave out words that distinguish nothing. The
//! worst case has its own row: words drawn like those of the texts, so that one query matches a third of the shop.

use std::hint::black_box;
use std::time::Instant;

use accrue_engine::learn_settings;
use accrue_event::{Item, ItemId, Price, Timestamp};
use accrue_kernel::Draws;
use accrue_serve::search::{SearchIndex, SearchReader};
use accrue_serve::{Campaigns, Rules, Scenes, SearchRequest, Shop};
use accrue_store::{Body, Facts, Offset, Record};
use accrue_train::Learner;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since, quantile};

pub(super) const BENCHES: &[Bench] = &[bench(
    "search",
    "a lexical search among 100,000 described products, a page of 10, one thread: how long?",
    &[
        row("search_p99_ms", "ms", Target::AtMost(10.0)),
        row("search_p50_ms", "ms", Target::None),
        row("search_common_words_p99_ms", "ms", Target::None),
    ],
    search,
)];

const N_WORDS: f64 = 20_000.0;
/// Words so common that shoppers do not search for them.
const COMMON: usize = 50;
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
    bed.note(format!("  {:.0} documents/s indexed", f64::from(n_items) / started.elapsed().as_secs_f64()));
    let version = Learner::new(learn_settings(&bed.config)).publish();
    let now_ms = facts.stream_time.0;
    let (catalogue, rules) = (bed.config.catalogue, Rules::NONE);
    let shop = Shop {
        facts: &facts,
        version: &version,
        now_ms,
        catalogue,
        rules,
        scenes: Scenes::built_in(),
        campaigns: Campaigns::NONE,
    };
    let reader = index.reader();
    let mut took = Vec::new();
    let of_titles = ask(bed, &shop, &reader, n_queries, &mut took, |query| title_words(query, n_items))?;
    let p50 = figure(&mut took, 0.5);
    let common_words = ask(bed, &shop, &reader, n_queries / 10, &mut took, |query| {
        let mut draws = Draws::new(7, STREAM + 2, query);
        (0..1 + draws.below(4)).map(|_| rank(&mut draws)).collect()
    })?;
    Ok(vec![of_titles, p50, common_words])
}

/// The words of a query: one to four of some title, without common ones.
pub(super) fn title_words(query: u64, n_items: u32) -> Vec<usize> {
    let mut draws = Draws::new(7, STREAM + 1, query);
    let n_words = 1 + draws.below(4) as usize;
    let mut words = Vec::new();
    while words.is_empty() {
        let title = title(&mut Draws::new(7, STREAM, draws.below(u64::from(n_items))));
        words = title.into_iter().filter(|&rank| rank > COMMON).take(n_words).collect();
    }
    words
}

/// Sends `n_queries` queries of the words that `words` returns; their times are left in `took`, the result is the p99.
fn ask(
    bed: &Bed<'_>,
    shop: &Shop<'_>,
    reader: &SearchReader,
    n_queries: usize,
    took: &mut Vec<f64>,
    words: impl Fn(u64) -> Vec<usize>,
) -> anyhow::Result<Figure> {
    took.clear();
    let mut n_found = 0;
    for query in 0..n_queries as u64 {
        let request = SearchRequest { query: text(&words(query)), personalisation: 0.0, ..SearchRequest::default() };
        let started = Instant::now();
        let answer = black_box(shop.search(reader, &request)?);
        took.push(ms_since(started));
        n_found += answer.total;
    }
    anyhow::ensure!(n_found > n_queries, "hardly anything was found");
    let worst = quantile(took, 1.0);
    bed.note(format!("  {:.0} matches a query, worst {worst:.2} ms", n_found as f64 / n_queries as f64));
    Ok(figure(took, 0.99))
}

pub(super) fn described(item: u32) -> Item {
    let mut draws = Draws::new(7, STREAM, u64::from(item));
    let mut described = Item::bare(ItemId::from(format!("SKU-{item}").as_str()));
    described.title = Some(text(&title(&mut draws)).into());
    let n_words = 15 + draws.below(30);
    let description: Vec<usize> = (0..n_words).map(|_| rank(&mut draws)).collect();
    described.description = Some(text(&description).into());
    described.brand = Some(word(rank(&mut draws)).into());
    let n_categories = 1 + draws.below(3);
    described.categories = (0..n_categories).map(|_| format!("group {}", draws.below(300)).into()).collect();
    described.price = Price::new(0.99 + draws.below(10_000) as f64 / 100.0);
    described
}

fn title(draws: &mut Draws) -> Vec<usize> {
    (0..4 + draws.below(8)).map(|_| rank(draws)).collect()
}

pub(super) fn text(ranks: &[usize]) -> String {
    ranks.iter().map(|&rank| word(rank)).collect::<Vec<_>>().join(" ")
}

/// The place of a word among all, with a probability of about 1/place.
fn rank(draws: &mut Draws) -> usize {
    N_WORDS.powf(f64::from(draws.uniform())) as usize
}

fn word(mut rank: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ka", "lo", "mi", "ter", "sun", "bra", "ped", "vol", "nix", "gar"];
    let mut word = String::new();
    while rank > 0 {
        word.push_str(SYLLABLES[rank % 10]);
        rank /= 10;
    }
    word
}
