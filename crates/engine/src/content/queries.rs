//! Vectors of queries: computed by a few threads of their own, remembered, and waited for only so long.
//!
//! In: the text of a query. Out: its vector, or why a search goes without it. A search hands its text to the threads
//! and waits; equal texts are encoded once, also while several searches wait for one. A vector that comes too late
//! for its search is remembered for the next one. What is remembered is bounded by a number of texts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_encode::ItemEncoder;
use accrue_event::normalised;
use accrue_serve::Degraded;
use accrue_serve::search::{QueryVector, SimilarSettings};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Condvar, Mutex};

/// Texts that wait to be encoded; a search beyond them goes without a vector at once.
const MAX_WAITING: usize = 64;
/// The share of a text that the encoder must know.
const KNOWN: f32 = 0.5;
/// Neighbours of a query, at most.
const MAX_NEAR: usize = 8;
/// How similar they are at least: as [`SimilarSettings`] measure it, with the mean over the queries that are
/// remembered.
const NEAR: f32 = 0.6;

/// What became of a text: its vector, or why there is none.
type Outcome = Result<Arc<QueryVector>, Degraded>;

/// The vectors of the latest queries.
pub(crate) struct QueryVectors {
    /// Whether searches compare vectors at all.
    is_on: bool,
    within: Duration,
    /// Set once its files are read.
    encoder: ArcSwapOption<ItemEncoder>,
    state: Mutex<State>,
    /// The texts with vectors that are remembered, as of the last one that was encoded.
    remembered: ArcSwap<Vec<(Arc<str>, Arc<QueryVector>)>>,
    /// The state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: Remembered,
    waiting: VecDeque<Arc<str>>,
    /// The texts that wait or are being encoded.
    asked: HashSet<Arc<str>>,
    is_closing: bool,
}

/// Texts in two generations: when the younger one is full it becomes the older one, whose texts are forgotten. A text
/// that is asked for again is young again. So the texts in use stay, and nothing has to be ordered.
#[derive(Default)]
struct Remembered {
    capacity: usize,
    young: HashMap<Arc<str>, Outcome>,
    old: HashMap<Arc<str>, Outcome>,
}

impl Remembered {
    fn get(&mut self, text: &str) -> Option<Outcome> {
        if let Some(outcome) = self.young.get(text) {
            return Some(outcome.clone());
        }
        let (text, outcome) = self.old.remove_entry(text)?;
        self.put(text, outcome.clone());
        Some(outcome)
    }

    fn put(&mut self, text: Arc<str>, outcome: Outcome) {
        if self.young.len() >= self.capacity.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, outcome);
    }

    /// All texts with vectors, in the order of the texts.
    fn with_vectors(&self) -> Vec<(Arc<str>, Arc<QueryVector>)> {
        let all = self.young.iter().chain(&self.old);
        let mut all: Vec<_> =
            all.filter_map(|(text, outcome)| Some((text.clone(), outcome.as_ref().ok()?.clone()))).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

impl QueryVectors {
    /// Without an encoder, until one is put in.
    pub fn new(is_on: bool, settings: &SimilarSettings) -> Self {
        let known = Remembered { capacity: settings.remembered, ..Remembered::default() };
        Self {
            is_on: is_on && settings.weight > 0.0,
            within: Duration::from_millis(settings.within_ms),
            encoder: ArcSwapOption::empty(),
            state: Mutex::new(State { known, ..State::default() }),
            remembered: ArcSwap::default(),
            changed: Condvar::new(),
        }
    }

    /// Whether searches compare vectors.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Uses this encoder from now on.
    pub fn use_encoder(&self, encoder: Arc<ItemEncoder>) {
        self.encoder.store(Some(encoder));
    }

    /// The vector of a text, after waiting for it as long as the settings say.
    pub fn vector(&self, text: &str) -> Outcome {
        if self.encoder.load().is_none() {
            return Err(Degraded::NoEncoder);
        }
        let text = normalised(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let until = Instant::now() + self.within;
        let mut state = self.state.lock();
        if let Some(outcome) = state.known.get(&text) {
            return outcome;
        }
        let text: Arc<str> = text.into();
        if !state.asked.contains(&text) {
            if state.waiting.len() >= MAX_WAITING {
                return Err(Degraded::LateEncoder);
            }
            state.asked.insert(text.clone());
            state.waiting.push_back(text.clone());
            self.changed.notify_all();
        }
        while !state.is_closing {
            let is_late = self.changed.wait_until(&mut state, until).timed_out();
            if let Some(outcome) = state.known.get(&text) {
                return outcome;
            }
            if is_late {
                break;
            }
        }
        Err(Degraded::LateEncoder)
    }

    /// The remembered queries that mean nearly the same as the one with this vector, itself left out, nearest first,
    /// with their similarities from 0 to 1.
    pub fn near(&self, vector: &Arc<QueryVector>) -> Vec<(Arc<str>, f32)> {
        let remembered = self.remembered.load();
        let others = remembered.iter().filter(|(_, other)| !Arc::ptr_eq(other, vector) && other.space == vector.space);
        let cosines: Vec<(&Arc<str>, f32)> = others.map(|(text, other)| (text, vector.cosine(other))).collect();
        let mean = cosines.iter().map(|(_, cosine)| cosine).sum::<f32>() / cosines.len().max(1) as f32;
        let similarity = |cosine: f32| (cosine - mean) / (1.0 - mean).max(1e-3);
        let mut near: Vec<(Arc<str>, f32)> = cosines
            .into_iter()
            .map(|(text, cosine)| (text.clone(), similarity(cosine).min(1.0)))
            .filter(|(_, similarity)| *similarity >= NEAR)
            .collect();
        near.sort_by(|(a_text, a), (b_text, b)| b.total_cmp(a).then_with(|| a_text.cmp(b_text)));
        near.truncate(MAX_NEAR);
        near
    }

    /// Encodes what waits until [`QueryVectors::close`]; the work of one thread.
    pub fn run(&self) {
        let mut state = self.state.lock();
        loop {
            if state.is_closing {
                return;
            }
            let Some(text) = state.waiting.pop_front() else {
                self.changed.wait(&mut state);
                continue;
            };
            drop(state);
            let outcome = self.encode(&text);
            state = self.state.lock();
            state.asked.remove(&text);
            state.known.put(text, outcome);
            self.remembered.store(Arc::new(state.known.with_vectors()));
            self.changed.notify_all();
        }
    }

    /// Ends the threads.
    pub fn close(&self) {
        self.state.lock().is_closing = true;
        self.changed.notify_all();
    }

    fn encode(&self, text: &str) -> Outcome {
        let Some(encoder) = self.encoder.load_full() else { return Err(Degraded::NoEncoder) };
        let encoded = encoder.known_share(text).and_then(|known| {
            if known < KNOWN {
                return Ok(Err(Degraded::UnknownLanguage));
            }
            let vector = encoder.query(text)?;
            Ok(vector.map(|vector| QueryVector::new(encoder.space().0, &vector)).ok_or(Degraded::NoEncoder))
        });
        encoded.unwrap_or_else(|error| {
            tracing::error!(%error, "a query was not encoded; searches for it are lexical");
            Err(Degraded::NoEncoder)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use accrue_encode::{HASHED, ItemEncoderSettings};

    use super::*;

    fn vectors(settings: &SimilarSettings) -> Arc<QueryVectors> {
        let vectors = Arc::new(QueryVectors::new(true, settings));
        let settings = ItemEncoderSettings { text: HASHED.into(), ..ItemEncoderSettings::default() };
        vectors.use_encoder(Arc::new(ItemEncoder::open(&settings).unwrap()));
        vectors
    }

    #[test]
    fn equal_texts_are_encoded_once_and_every_search_gets_the_vector() {
        let vectors = vectors(&SimilarSettings { within_ms: 10_000, ..SimilarSettings::default() });
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            let texts = ["red mug", "RED  mug", " red mug ", "blue mug"];
            let searches: Vec<_> = (0..16)
                .map(|n| {
                    scope.spawn({
                        let vectors = &vectors;
                        move || vectors.vector(texts[n % 4])
                    })
                })
                .collect();
            let found: Vec<_> = searches.into_iter().map(|search| search.join().unwrap().unwrap()).collect();
            assert!(Arc::ptr_eq(&found[0], &found[1]) && Arc::ptr_eq(&found[0], &found[14]));
            assert!(!Arc::ptr_eq(&found[0], &found[3]));
            assert_eq!(vectors.state.lock().known.young.len(), 2);
            vectors.close();
        });
    }

    #[test]
    fn a_search_goes_on_without_a_vector_that_is_late_and_the_next_one_has_it() {
        let vectors = vectors(&SimilarSettings { within_ms: 1, ..SimilarSettings::default() });
        assert_eq!(vectors.vector("mug").unwrap_err(), Degraded::LateEncoder);
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            while vectors.vector("mug").is_err() {
                thread::yield_now();
            }
            vectors.close();
        });
        let none = QueryVectors::new(true, &SimilarSettings::default());
        assert_eq!(none.vector("mug").unwrap_err(), Degraded::NoEncoder);
    }

    #[test]
    fn queries_that_mean_nearly_the_same_are_neighbours() {
        let vectors = vectors(&SimilarSettings { within_ms: 10_000, ..SimilarSettings::default() });
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            for text in ["umbrella stand", "red mug", "wool hat", "desk lamp", "cake tin", "umbrella stands"] {
                vectors.vector(text).unwrap();
            }
            let near = vectors.near(&vectors.vector("umbrella stand").unwrap());
            assert_eq!(near.iter().map(|(text, _)| &**text).collect::<Vec<_>>(), ["umbrella stands"], "{near:?}");
            vectors.close();
        });
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let settings = SimilarSettings { within_ms: 1, remembered: 10, ..SimilarSettings::default() };
        let vectors = vectors(&settings);
        (0..2 * MAX_WAITING).for_each(|n| assert!(vectors.vector(&format!("mug {n}")).is_err()));
        assert_eq!(vectors.state.lock().waiting.len(), MAX_WAITING);
        let mut known = Remembered { capacity: 10, ..Remembered::default() };
        for n in 0..100 {
            known.put(n.to_string().as_str().into(), Err(Degraded::NoEncoder));
            assert!(known.get("0").is_some(), "what is asked for again stays");
            assert!(known.young.len() + known.old.len() <= 10);
        }
    }
}
