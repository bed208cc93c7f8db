//! What corrections and completions cost in a shop of 100,000 described products, on one thread.
//!
//! Corpus and queries: those of `search`. *Mistyped*: two neighbours are swapped in the longest word of the query. *Unfinished*: the
//! last word lacks its end. The words of the corpus are made of ten syllables, so more words are near each other than in a real
//! vocabulary.

use std::hint::black_box;
use std::time::Instant;

use accrue_serve::search::{SearchIndex, SearchReader};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since};
use super::search::{described, text, title_words};

pub(super) const BENCHES: &[Bench] = &[bench(
    "search_words",
    "a query among 100,000 products with a typing error, or with an unfinished last word, one thread: how long?",
    &[
        row("search_mistyped_p99_ms", "ms", Target::AtMost(3.0)),
        row("search_mistyped_per_s", "queries/s", Target::AtLeast(1_500.0)),
        row("search_unfinished_p99_ms", "ms", Target::AtMost(3.0)),
    ],
    search_words,
)];

fn search_words(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    (bed.big, bed.retail) = (None, None);
    let (n_items, n_queries) = bed.size.pick((500, 50), (100_000, 3_000), (100_000, 10_000));
    let folder = Folder::new()?;
    let mut index = SearchIndex::open(Some(&folder.path().join("search")), bed.config.search.clone())?;
    for item in 0..n_items {
        index.upsert(item, &described(item))?;
    }
    index.commit()?;
    let reader = index.reader();
    let query = |nth: u64| text(&title_words(nth, n_items));
    let mut took = ask(&reader, n_queries, |nth| mistyped(&query(nth)))?;
    let p99 = figure(&mut took, 0.99);
    let per_s = Figure { value: 1e3 * took.len() as f64 / took.iter().sum::<f64>(), samples: took.len() as u64 };
    let mut took = ask(&reader, n_queries, |nth| unfinished(&query(nth)))?;
    Ok(vec![p99, per_s, figure(&mut took, 0.99)])
}

/// The milliseconds of each query.
fn ask(reader: &SearchReader, n_queries: usize, query: impl Fn(u64) -> String) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::with_capacity(n_queries);
    let mut n_found = 0;
    for nth in 0..n_queries as u64 {
        let query = query(nth);
        let started = Instant::now();
        n_found += usize::from(black_box(reader.search(&query, &|_| true, 10, 0)?).total > 0);
        took.push(ms_since(started));
    }
    anyhow::ensure!(n_found * 2 > n_queries, "hardly anything was found");
    Ok(took)
}

fn mistyped(query: &str) -> String {
    let mut words: Vec<String> = query.split(' ').map(str::to_string).collect();
    if let Some(word) = words.iter_mut().max_by_key(|word| word.len())
        && word.len() > 3
    {
        let (start, end) = word.split_at(1);
        let mut letters: Vec<char> = end.chars().collect();
        letters.swap(0, 1);
        *word = start.chars().chain(letters).collect();
    }
    words.join(" ")
}

fn unfinished(query: &str) -> String {
    let n_left_out = if query.rsplit(' ').next().is_some_and(|last| last.len() > 5) { 2 } else { 0 };
    query[..query.len() - n_left_out].to_string()
}
