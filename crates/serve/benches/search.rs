//! Speed of lexical search on a shop of 100,000 products, on one thread.
//!
//! Corpus: titles, brands and descriptions drawn from a vocabulary of 20,000 words with Zipf's weights, by a seed.
//! Queries: one to four words drawn in the same way, a page of ten with reasons. The time of a reference loop shows how
//! fast the machine is.
//! Command: `cargo bench -p accrue-serve --bench search` (`-- --tiny` for a run of a second).

use std::hint::black_box;
use std::time::{Duration, Instant};

use accrue_event::Item;
use accrue_serve::search::{Admitted, Match, SearchIndex, SearchSettings};

const SEED: u64 = 7;
const N_WORDS: usize = 20_000;

fn main() {
    // `cargo test --benches` runs this too, so it must compile and be short.
    let arguments: Vec<String> = std::env::args().collect();
    let tiny = arguments.iter().any(|argument| argument == "--tiny") || !arguments.iter().any(|a| a == "--bench");
    let (n_items, n_queries) = if tiny { (2_000, 500) } else { (100_000, 20_000) };
    println!("reference loop {:.0} ms", ms(reference_loop()));

    let mut words = Words::new(SEED);
    let items: Vec<Item> = (0..n_items).map(|i| words.item(i)).collect();
    let start = Instant::now();
    let mut index = SearchIndex::open(None, SearchSettings::default()).expect("an index in memory opens");
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item).expect("memory accepts writes");
    }
    index.commit().expect("memory accepts commits");
    println!("index: {:.0} documents/s ({n_items})", n_items as f64 / start.elapsed().as_secs_f64());

    let mut commits: Vec<Duration> = Vec::new();
    for (i, item) in items.iter().take(20).enumerate() {
        let start = Instant::now();
        index.upsert(i as u32, item).expect("memory accepts writes");
        index.commit().expect("memory accepts commits");
        commits.push(start.elapsed());
    }
    commits.sort();
    println!("one changed item, commit to found: median {:.1} ms, worst {:.1} ms", ms(commits[10]), ms(commits[19]));

    let reader = index.reader();
    let queries: Vec<String> = (0..n_queries).map(|_| words.query()).collect();
    measure("search, page of 10 with reasons", &queries, |query| {
        black_box(reader.search(query, &|_| true, 10, 0).expect("memory is readable")).total
    });
    measure("search, one item in ten accepted", &queries, |query| {
        black_box(reader.search(query, &|idx| idx % 10 == 0, 10, 0).expect("memory is readable")).total
    });
    measure("retrieve 200 candidates", &queries, |query| {
        let lexical = |found: Match| Some(Admitted { score: found.lexical, product: None });
        black_box(reader.retrieve(query, &lexical, 200).expect("memory is readable")).total
    });
}

fn measure(name: &str, queries: &[String], mut ask: impl FnMut(&str) -> usize) {
    let mut took = Vec::with_capacity(queries.len());
    let mut total = 0;
    for query in queries {
        let start = Instant::now();
        total += ask(query);
        took.push(start.elapsed());
    }
    let sum: Duration = took.iter().sum();
    took.sort();
    println!(
        "{name}: {:.0} queries/s, p50 {:.3} ms, p99 {:.3} ms, {:.0} matches each",
        queries.len() as f64 / sum.as_secs_f64(),
        ms(took[took.len() / 2]),
        ms(took[took.len() * 99 / 100]),
        total as f64 / queries.len() as f64,
    );
}

/// Products and queries, by a seed.
struct Words {
    state: u64,
}

impl Words {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Rank r with a probability of about 1/r.
    fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (N_WORDS as f64).powf(uniform) as usize;
        let syllables = ["ka", "lo", "mi", "ter", "sun", "bra", "ped", "vol", "nix", "gar"];
        let mut word = String::new();
        let mut rest = rank;
        while rest > 0 {
            word.push_str(syllables[rest % 10]);
            rest /= 10;
        }
        word
    }

    fn text(&mut self, n_words: u64) -> String {
        (0..n_words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn item(&mut self, i: usize) -> Item {
        let mut item = Item::bare(format!("SKU-{i}").as_str().into());
        let (n_title, n_description) = (4 + self.next() % 8, 15 + self.next() % 30);
        item.title = Some(self.text(n_title).into());
        item.description = Some(self.text(n_description).into());
        item.brand = Some(self.word().into());
        item
    }

    fn query(&mut self) -> String {
        let n_words = 1 + self.next() % 4;
        self.text(n_words)
    }
}

fn reference_loop() -> Duration {
    let start = Instant::now();
    let mut words = Words::new(SEED);
    black_box((0..100_000_000).fold(0_u64, |sum, _| sum ^ words.next()));
    start.elapsed()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
