//! What a model of judgments knows of a query and a title: how their words, their letters and their vectors agree.
//!
//! In: queries and titles as the search reads them, which pairs are judged, and the vectors of both if there are any. Out:
//! a row of numbers for each pair, without its rating. Some compare a pair with the other pairs of its query: what the
//! judges saw beside it.

use std::collections::HashMap;

use accrue_kernel::{dot, ln, squared_norm};

use super::{Pair, Text};
use crate::boosting::Rows;

/// Letters from which on a word may be written differently.
const MIN_LETTERS: usize = 4;
/// Words that resemble each other less are different ones.
const LEAST_ALIKE: f32 = 0.6;
/// What a word inside a longer one is worth.
const INSIDE: f32 = 0.85;
/// BM25.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Words behind which a title no longer says what the thing is.
const PREPOSITIONS: [&str; 8] = ["in", "with", "for", "of", "by", "from", "to", "at"];

/// Names of the features, in their order.
pub(super) const NAMES: [&str; N] = [
    "query_words",
    "title_words",
    "query_letters",
    "title_letters",
    "matched",
    "matched_share",
    "matched_of_title",
    "idf_share",
    "missing_idf",
    "missing_idf_most",
    "matched_idf_most",
    "bm25",
    "bm25_share",
    "neighbours",
    "run",
    "ordered",
    "alike_share",
    "alike_idf_share",
    "alike_least",
    "trigrams",
    "trigrams_of_both",
    "fourgrams",
    "first_word",
    "last_word",
    "head",
    "head_place",
    "first_of_title",
    "numbers",
    "numbers_matched",
    "title_numbers",
    "phrase",
    "joined",
    "place",
    "window",
    "title_pairs",
    "query_pairs",
    "query_idf",
    "query_idf_least",
    "missing_asked",
    "title_asked",
    "cosine",
    "head_cosine",
    "centre_cosine",
    "idf_share_over",
    "alike_over",
    "bm25_over",
    "trigrams_over",
    "cosine_over",
    "centre_over",
    "idf_share_mean",
    "alike_mean",
    "trigrams_mean",
    "cosine_mean",
    "cosine_rank",
    "cosine_spread",
    "title_mean_cosine",
];
const N: usize = 56;
/// Features that are also compared within the query, and where the difference stands.
const OVER: [(&str, &str); 6] = [
    ("idf_share", "idf_share_over"),
    ("alike_idf_share", "alike_over"),
    ("bm25", "bm25_over"),
    ("trigrams", "trigrams_over"),
    ("cosine", "cosine_over"),
    ("centre_cosine", "centre_over"),
];
/// Features of which the mean over the query is one too.
const MEAN: [(&str, &str); 4] = [
    ("idf_share", "idf_share_mean"),
    ("alike_idf_share", "alike_mean"),
    ("trigrams", "trigrams_mean"),
    ("cosine", "cosine_mean"),
];

/// The vectors of queries and of titles.
type BothVectors<'v> = (&'v [Vec<f32>], &'v [Vec<f32>]);

/// The features of all pairs. Vectors, if there are any, have the length 1.
pub(super) fn features(queries: &[Text], titles: &[Text], pairs: &[Pair], vectors: Option<BothVectors<'_>>) -> Rows {
    let corpus = Corpus::new(queries, titles, pairs);
    let mut values = vec![f32::NAN; pairs.len() * N];
    for (pair, row) in pairs.iter().zip(values.chunks_mut(N)) {
        let row = &mut Row(row);
        let (query, title) = (&corpus.queries[pair.query], &corpus.titles[pair.title]);
        corpus.words(query, title, row);
        corpus.alike(query, title, row);
        letters(query, title, row);
        numbers(query, title, row);
        row.set("title_pairs", ln(1.0 + corpus.of_title[pair.title].len() as f32));
        row.set("query_pairs", corpus.of_query[pair.query].len() as f32);
    }
    if let Some((of_queries, of_titles)) = vectors {
        corpus.meaning(pairs, of_queries, of_titles, &mut values);
    }
    corpus.within_queries(&mut values);
    Rows { values, width: N }
}

/// One row, by the names of features.
struct Row<'a>(&'a mut [f32]);

/// The place of a feature.
pub(super) fn place(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).expect("a feature of the list")
}

impl Row<'_> {
    fn set(&mut self, name: &str, value: f32) {
        self.0[place(name)] = value;
    }
}

/// A text with its words as numbers.
struct Read<'a> {
    text: &'a Text,
    terms: Vec<u32>,
    /// Hashes of three and of four neighbouring letters, sorted, each once.
    trigrams: Vec<u64>,
    fourgrams: Vec<u64>,
    /// The place of the word that says what a title is of.
    head: usize,
}

/// All texts with what is counted over them.
struct Corpus<'a> {
    queries: Vec<Read<'a>>,
    titles: Vec<Read<'a>>,
    /// By term.
    idf: Vec<f32>,
    /// By term the logarithm of how many queries have it.
    asked: Vec<f32>,
    mean_words: f32,
    of_query: Vec<Vec<usize>>,
    of_title: Vec<Vec<usize>>,
}

impl<'a> Corpus<'a> {
    fn new(queries: &'a [Text], titles: &'a [Text], pairs: &[Pair]) -> Self {
        let mut ids: HashMap<&'a str, u32> = HashMap::new();
        let mut read = |text: &'a Text| {
            let mut terms = Vec::with_capacity(text.words.len());
            for word in &text.words {
                let next = ids.len() as u32;
                terms.push(*ids.entry(&word.term).or_insert(next));
            }
            let cut = text.words.iter().position(|word| PREPOSITIONS.contains(&&*word.plain)).unwrap_or(terms.len());
            let named = (0..cut).rev().find(|&place| !text.words[place].has_digits);
            let (trigrams, fourgrams) = (grams(&text.plain, 3), grams(&text.plain, 4));
            Read { text, terms, trigrams, fourgrams, head: named.unwrap_or(0) }
        };
        let queries: Vec<Read<'a>> = queries.iter().map(&mut read).collect();
        let titles: Vec<Read<'a>> = titles.iter().map(&mut read).collect();
        let count = |texts: &[Read<'a>]| {
            let mut counts = vec![0.0_f32; ids.len()];
            for text in texts {
                let mut terms = text.terms.clone();
                terms.sort_unstable();
                terms.dedup();
                terms.iter().for_each(|&term| counts[term as usize] += 1.0);
            }
            counts
        };
        let n = titles.len() as f32;
        let idf = count(&titles).into_iter().map(|df| ln(1.0 + (n - df + 0.5) / (df + 0.5))).collect();
        let asked = count(&queries).into_iter().map(|df| ln(1.0 + df)).collect();
        let mean_words = titles.iter().map(|title| title.terms.len() as f32).sum::<f32>() / n.max(1.0);
        let by = |n: usize, of: fn(&Pair) -> usize| {
            let mut all = vec![Vec::new(); n];
            pairs.iter().enumerate().for_each(|(at, pair)| all[of(pair)].push(at));
            all
        };
        let (of_query, of_title) = (by(queries.len(), |pair| pair.query), by(titles.len(), |pair| pair.title));
        Self { queries, titles, idf, asked, mean_words, of_query, of_title }
    }

    fn idf(&self, term: u32) -> f32 {
        self.idf[term as usize]
    }

    /// Which words of the query the title has, where, and what they weigh.
    fn words(&self, query: &Read<'_>, title: &Read<'_>, row: &mut Row<'_>) {
        let n_title = title.terms.len().max(1) as f32;
        let places: Vec<Option<usize>> =
            query.terms.iter().map(|term| title.terms.iter().position(|other| other == term)).collect();
        let (mut matched, mut all, mut missing, mut missing_most, mut matched_most) = (0.0, 0.0, 0.0, 0.0_f32, 0.0_f32);
        let (mut n, mut bm25, mut asked) = (0.0, 0.0, 0.0_f32);
        let mut least = f32::INFINITY;
        let norm = K1 * (1.0 - B + B * n_title / self.mean_words.max(1.0));
        for (&term, place) in query.terms.iter().zip(&places) {
            let idf = self.idf(term);
            all += idf;
            least = least.min(idf);
            if place.is_none() {
                missing += idf;
                missing_most = missing_most.max(idf);
                asked = asked.max(self.asked[term as usize]);
                continue;
            }
            let tf = title.terms.iter().filter(|other| **other == term).count() as f32;
            n += 1.0;
            matched += idf;
            matched_most = matched_most.max(idf);
            bm25 += idf * (K1 + 1.0) * tf / (tf + norm);
        }
        let n_query = query.terms.len().max(1) as f32;
        let title_asked = title.terms.iter().map(|&term| self.asked[term as usize]).sum::<f32>() / n_title;
        for (name, value) in [
            ("query_words", query.terms.len() as f32),
            ("title_words", title.terms.len() as f32),
            ("matched", n),
            ("matched_share", n / n_query),
            ("matched_of_title", n / n_title),
            ("idf_share", matched / all.max(1e-6)),
            ("missing_idf", missing),
            ("missing_idf_most", missing_most),
            ("matched_idf_most", matched_most),
            ("bm25", bm25),
            ("bm25_share", bm25 / all.max(1e-6)),
            ("query_idf", all / n_query),
            ("query_idf_least", least),
            ("missing_asked", asked),
            ("title_asked", title_asked),
            ("first_of_title", f32::from(title.terms.first().is_some_and(|first| query.terms.contains(first)))),
        ] {
            row.set(name, value);
        }
        order(&places, n_title, row);
    }

    /// How much the words of the query resemble words of the title.
    fn alike(&self, query: &Read<'_>, title: &Read<'_>, row: &mut Row<'_>) {
        let (mut sum, mut weighted, mut all, mut least) = (0.0, 0.0, 0.0, 1.0_f32);
        let mut of_word = Vec::with_capacity(query.terms.len());
        for (place, &term) in query.terms.iter().enumerate() {
            let best = |best: f32, other: usize| best.max(alike(query, place, title, other));
            let alike = (0..title.terms.len()).fold(0.0, best);
            sum += alike;
            weighted += self.idf(term) * alike;
            all += self.idf(term);
            least = least.min(alike);
            of_word.push(alike);
        }
        row.set("alike_share", sum / of_word.len().max(1) as f32);
        row.set("alike_idf_share", weighted / all.max(1e-6));
        row.set("alike_least", least);
        row.set("first_word", of_word.first().copied().unwrap_or(0.0));
        row.set("last_word", of_word.last().copied().unwrap_or(0.0));
        let Some(last) = query.terms.len().checked_sub(1).filter(|_| !title.terms.is_empty()) else { return };
        row.set("head", alike(query, query.head, title, title.head));
        let found = (0..title.terms.len()).rev().find(|&other| alike(query, last, title, other) > INSIDE - 0.01);
        let after = found.map_or(1.0, |place| (title.head as f32 - place as f32) / title.terms.len() as f32);
        row.set("head_place", after);
    }

    /// How near the vectors are: of the pair, and of the title to the mean of the titles that were judged beside it.
    fn meaning(&self, pairs: &[Pair], of_queries: &[Vec<f32>], of_titles: &[Vec<f32>], values: &mut [f32]) {
        let width = of_titles.first().map_or(0, Vec::len);
        let mut mean = vec![0.0; width];
        of_titles.iter().for_each(|title| add(title, &mut mean));
        let length = squared_norm(&mean).sqrt().max(f32::MIN_POSITIVE);
        mean.iter_mut().for_each(|number| *number /= length);
        for (query, of_query) in self.of_query.iter().enumerate() {
            let mut centre = vec![0.0; width];
            of_query.iter().for_each(|&at| add(&of_titles[pairs[at].title], &mut centre));
            let cosines: Vec<f32> =
                of_query.iter().map(|&at| dot(&of_queries[query], &of_titles[pairs[at].title])).collect();
            let n = of_query.len().max(1) as f32;
            let average = cosines.iter().sum::<f32>() / n;
            let spread = (cosines.iter().map(|cosine| (cosine - average).powi(2)).sum::<f32>() / n).sqrt();
            for (&at, &cosine) in of_query.iter().zip(&cosines) {
                let title = &of_titles[pairs[at].title];
                // The mean of the other titles.
                let others: Vec<f32> = centre.iter().zip(title).map(|(sum, own)| sum - own).collect();
                let length = squared_norm(&others).sqrt();
                let row = &mut Row(&mut values[at * N..(at + 1) * N]);
                row.set("cosine", cosine);
                row.set("centre_cosine", if length > 1e-6 { dot(&others, title) / length } else { f32::NAN });
                row.set(
                    "head_cosine",
                    if length > 1e-6 { dot(&others, &of_queries[query]) / length } else { f32::NAN },
                );
                row.set("cosine_rank", cosines.iter().filter(|other| **other > cosine).count() as f32 / n);
                row.set("cosine_spread", spread);
                row.set("title_mean_cosine", dot(title, &mean));
            }
        }
    }

    /// What is compared with the other pairs of the query.
    fn within_queries(&self, values: &mut [f32]) {
        for of_query in &self.of_query {
            let mean = |values: &[f32], feature: usize| {
                of_query.iter().map(|&at| values[at * N + feature]).sum::<f32>() / of_query.len().max(1) as f32
            };
            for (feature, to) in OVER.map(|(feature, to)| (place(feature), place(to))) {
                let mean = mean(values, feature);
                of_query.iter().for_each(|&at| values[at * N + to] = values[at * N + feature] - mean);
            }
            for (feature, to) in MEAN.map(|(feature, to)| (place(feature), place(to))) {
                let mean = mean(values, feature);
                of_query.iter().for_each(|&at| values[at * N + to] = mean);
            }
        }
    }
}

fn add(vector: &[f32], sum: &mut [f32]) {
    sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += number);
}

/// Whether the words that a title has stand together and in the order of the query.
fn order(places: &[Option<usize>], n_title: f32, row: &mut Row<'_>) {
    let follows = |pair: &[Option<usize>]| matches!(pair, [Some(one), Some(other)] if *other == one + 1);
    let in_order = |pair: &[Option<usize>]| matches!(pair, [Some(one), Some(other)] if other > one);
    let n_between = places.len().saturating_sub(1).max(1) as f32;
    row.set("neighbours", places.windows(2).filter(|pair| follows(pair)).count() as f32 / n_between);
    row.set("ordered", places.windows(2).filter(|pair| in_order(pair)).count() as f32 / n_between);
    let (mut run, mut longest) = (0.0_f32, 0.0_f32);
    for at in 0..places.len() {
        let goes_on = at > 0 && follows(&places[at - 1..=at]);
        run = if goes_on { run + 1.0 } else { f32::from(u8::from(places[at].is_some())) };
        longest = longest.max(run);
    }
    row.set("run", longest / places.len().max(1) as f32);
    let found: Vec<usize> = places.iter().flatten().copied().collect();
    let (Some(first), Some(last)) = (found.iter().min(), found.iter().max()) else { return };
    row.set("place", found.iter().sum::<usize>() as f32 / (found.len() as f32 * n_title));
    row.set("window", (last - first + 1) as f32 / found.len() as f32);
}

/// How the letters of both agree, whatever the words.
fn letters(query: &Read<'_>, title: &Read<'_>, row: &mut Row<'_>) {
    let (asked, of_title) = (&*query.text.plain, &*title.text.plain);
    row.set("query_letters", asked.len() as f32);
    row.set("title_letters", of_title.len() as f32);
    let common = shared(&query.trigrams, &title.trigrams);
    row.set("trigrams", common / query.trigrams.len().max(1) as f32);
    row.set("trigrams_of_both", common / ((query.trigrams.len() + title.trigrams.len()) as f32 - common).max(1.0));
    row.set("fourgrams", shared(&query.fourgrams, &title.fourgrams) / query.fourgrams.len().max(1) as f32);
    row.set("phrase", f32::from(u8::from(of_title.contains(asked))));
    row.set("joined", f32::from(u8::from(of_title.replace(' ', "").contains(&asked.replace(' ', "")))));
}

fn numbers(query: &Read<'_>, title: &Read<'_>, row: &mut Row<'_>) {
    let of = |read: &Read<'_>| -> Vec<u32> {
        read.terms.iter().zip(&read.text.words).filter(|(_, word)| word.has_digits).map(|(term, _)| *term).collect()
    };
    let (asked, has) = (of(query), of(title));
    row.set("numbers", asked.len() as f32);
    row.set("title_numbers", has.len() as f32);
    if !asked.is_empty() {
        row.set(
            "numbers_matched",
            asked.iter().filter(|number| has.contains(number)).count() as f32 / asked.len() as f32,
        );
    }
}

/// How much a word of the query resembles one of the title: 1 if they are the same.
fn alike(query: &Read<'_>, place: usize, title: &Read<'_>, other: usize) -> f32 {
    if query.terms.is_empty() || query.terms[place] == title.terms[other] {
        return f32::from(u8::from(!query.terms.is_empty()));
    }
    let (word, has) = (&query.text.words[place], &title.text.words[other]);
    let n = word.plain.len().min(has.plain.len());
    if word.has_digits || has.has_digits || n < MIN_LETTERS {
        return 0.0;
    }
    if has.plain.contains(&*word.plain) || word.plain.contains(&*has.plain) {
        return INSIDE;
    }
    let longest = word.plain.len().max(has.plain.len()) as f32;
    // A word of another length cannot be alike enough.
    if (n as f32) < LEAST_ALIKE * longest {
        return 0.0;
    }
    let alike = 1.0 - edits(word.plain.as_bytes(), has.plain.as_bytes()) as f32 / longest;
    if alike < LEAST_ALIKE { 0.0 } else { alike }
}

/// The edits that make one word of another (Levenshtein).
fn edits(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = before + usize::from(a != b);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// Hashes of every `n` neighbouring letters, sorted, each once. A blank stands at both ends.
fn grams(text: &str, n: usize) -> Vec<u64> {
    let text = format!(" {text} ");
    let hash = |gram: &[u8]| gram.iter().fold(0_u64, |hash, &byte| (hash << 8) | u64::from(byte));
    let mut grams: Vec<u64> = text.as_bytes().windows(n).map(hash).collect();
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// How many elements two sorted lists share.
fn shared(one: &[u64], other: &[u64]) -> f32 {
    let (mut i, mut j, mut n) = (0, 0, 0_u32);
    while i < one.len() && j < other.len() {
        n += u32::from(one[i] == other[j]);
        let (a, b) = (one[i], other[j]);
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    n as f32
}

#[cfg(test)]
mod tests {
    use super::super::tests::text;
    use super::*;

    fn row(query: &str, title: &str) -> Vec<f32> {
        let titles = [text(title), text("garden hose reel"), text("oak shelf with brackets")];
        let pair = Pair { query: 0, title: 0, rating: 1.0 };
        features(&[text(query)], &titles, &[pair], None).values
    }

    #[test]
    fn what_agrees_is_what_the_features_say() {
        let row = row("steel shelf braket 12", "steel brackets 12 in white for shelf");
        let of = |name: &str| row[place(name)];
        assert_eq!((of("query_words"), of("matched"), of("matched_share")), (4.0, 3.0, 0.75));
        assert_eq!((of("numbers"), of("numbers_matched"), of("title_numbers")), (1.0, 1.0, 1.0));
        assert!(of("alike_least") > 0.7 && of("alike_least") < 1.0, "{}", of("alike_least"));
        assert!(of("idf_share") < of("alike_idf_share") && of("bm25") > 0.0);
        assert_eq!((of("phrase"), of("neighbours")), (0.0, 0.0));
        assert!(of("cosine").is_nan(), "without vectors");
        assert_eq!(edits(b"kitten", b"sitting"), 3);
    }

    #[test]
    fn texts_without_words_have_features_too() {
        for (query, title) in [("", "shelf"), ("shelf", ""), ("", "")] {
            let row = row(query, title);
            assert!(row.iter().all(|value| !value.is_infinite() || *value > 0.0), "{query:?} {title:?} {row:?}");
        }
    }

    #[test]
    fn a_pair_is_compared_with_the_others_of_its_query() {
        let titles = [text("oak shelf"), text("oak table"), text("garden hose")];
        let pairs = [0, 1, 2].map(|title| Pair { query: 0, title, rating: 1.0 });
        let vectors = [vec![1.0, 0.0], vec![0.8, 0.6], vec![0.0, 1.0]];
        let rows = features(&[text("oak shelf")], &titles, &pairs, Some((&[vec![1.0, 0.0]], &vectors)));
        let of = |name: &str| [0, 1, 2].map(|at| rows.row(at)[place(name)]);
        assert!(of("idf_share_over")[0] > 0.0 && of("idf_share_over")[2] < 0.0);
        assert!((of("cosine_over").iter().sum::<f32>()).abs() < 1e-6 && of("cosine")[1] == 0.8);
        assert_eq!(of("cosine_rank")[0], 0.0);
        assert!(of("centre_cosine")[1] > of("centre_cosine")[2]);
    }
}
