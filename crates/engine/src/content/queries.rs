//! Vectors of queries: computed by a few threads of their own, remembered, and waited for only so long.
//!
//! In: the text of a query. Out: its vector, or why a search goes without it. A search hands its text to the threads and
//! waits; equal texts are encoded once, also while several searches wait for one. A vector that comes too late for its
//! search is remembered for the next one. What is remembered is bounded by a number of texts. A text whose encoding failed
//! is not remembered, so the next search for it tries again. Texts wait by caller ([`ByAsker`]), and only the
//! first words of a long one are encoded, so that a caller that sends without pause delays others by one text each time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_encode::ItemEncoder;
use accrue_event::normalised;
use accrue_serve::Degraded;
use accrue_serve::search::{QueryVector, SimilarSettings};
use arc_swap::ArcSwapOption;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::Notify;

use crate::by_asker::{Asker, ByAsker};

/// Texts that wait to be encoded; a search beyond them goes without a vector at once.
const MAX_WAITING: usize = 64;
/// Words of a query that are encoded. The time of an encoding grows with the text, and no query of a shopper has more.
const MAX_WORDS: usize = 32;
/// Bytes of a query that are encoded.
const MAX_BYTES: usize = 256;
/// The share of a text that the encoder must know.
const KNOWN: f32 = 0.5;
/// Neighbours of a query, at most.
const MAX_NEAR: usize = 8;
/// Queries that a query is compared with: the latest ones. A comparison takes some tens of nanoseconds.
const MAX_COMPARED: usize = 4_096;
/// How similar they are at least: as [`SimilarSettings`] measure it, with the mean over the queries that are compared.
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
    /// The texts with vectors that are remembered, in the order in which they were encoded. It is locked after `state`, and
    /// by the comparison of a query alone.
    vectors: RwLock<Vec<(Arc<str>, Arc<QueryVector>)>>,
    /// The state has changed.
    changed: Condvar,
    /// The same for those that do not block a thread while they wait.
    has_changed: Notify,
}

struct State {
    known: Remembered,
    /// A text that several ask for waits for each of them.
    waiting: ByAsker<Arc<str>>,
    /// The texts that wait or are being encoded.
    asked: HashSet<Arc<str>>,
    /// The texts that are being encoded.
    in_work: HashSet<Arc<str>>,
    /// The latest texts whose encoding failed and was not asked for again since.
    failed: VecDeque<Arc<str>>,
    is_closing: bool,
}

impl State {
    fn new(known: Remembered) -> Self {
        Self {
            known,
            waiting: ByAsker::new(MAX_WAITING),
            asked: HashSet::new(),
            in_work: HashSet::new(),
            failed: VecDeque::new(),
            is_closing: false,
        }
    }

    /// Has a text wait to be encoded. Where there is no room, the latest text of an asker that has many is given up.
    fn ask(&mut self, asker: Asker, text: &str) {
        if self.in_work.contains(text) || self.waiting.of(asker).any(|waiting| **waiting == *text) {
            return;
        }
        let text: Arc<str> = self.asked.get(text).cloned().unwrap_or_else(|| text.into());
        self.asked.insert(text.clone());
        self.waiting.push(asker, text);
        let given_up = self.waiting.crowded_by().and_then(|crowded| self.waiting.take_latest(crowded));
        if let Some(given_up) = given_up.filter(|text| !self.waiting.all().any(|waiting| waiting == text)) {
            self.asked.remove(&given_up);
        }
    }

    /// The text that is encoded next.
    fn next(&mut self) -> Option<Arc<str>> {
        loop {
            let text = self.waiting.next()?;
            // Another asker's turn may have come first.
            if self.asked.contains(&text) && self.in_work.insert(text.clone()) {
                return Some(text);
            }
        }
    }

    /// What became of a text that was asked for; `None` while it waits.
    fn outcome(&mut self, text: &str) -> Option<Outcome> {
        self.known.get(text).or_else(|| {
            let has_failed = self.failed.iter().any(|failed| **failed == *text);
            has_failed.then_some(Err(Degraded::FailedEncoder))
        })
    }
}

/// Texts in two generations: when the recent one is full it becomes the previous one, whose texts are forgotten. A text that
/// is asked for again is recent again. So the texts in use stay, and nothing has to be ordered.
#[derive(Default)]
struct Remembered {
    capacity: usize,
    recent: HashMap<Arc<str>, Outcome>,
    previous: HashMap<Arc<str>, Outcome>,
    /// How often texts were forgotten.
    n_forgotten: u64,
}

impl Remembered {
    fn get(&mut self, text: &str) -> Option<Outcome> {
        if let Some(outcome) = self.recent.get(text) {
            return Some(outcome.clone());
        }
        let (text, outcome) = self.previous.remove_entry(text)?;
        self.put(text, outcome.clone());
        Some(outcome)
    }

    fn put(&mut self, text: Arc<str>, outcome: Outcome) {
        if self.recent.len() >= self.capacity.div_ceil(2) {
            self.previous = std::mem::take(&mut self.recent);
            self.n_forgotten += 1;
        }
        self.recent.insert(text, outcome);
    }

    fn has(&self, text: &str) -> bool {
        self.recent.contains_key(text) || self.previous.contains_key(text)
    }
}

/// The vector of a query that is being computed, and how long it is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    text: String,
    until: Instant,
}

impl QueryVectors {
    /// Without an encoder, until one is put in.
    pub fn new(is_on: bool, settings: &SimilarSettings) -> Self {
        let known = Remembered { capacity: settings.remembered, ..Remembered::default() };
        Self {
            is_on: is_on && settings.weight > 0.0,
            within: Duration::from_millis(settings.within_ms),
            encoder: ArcSwapOption::empty(),
            state: Mutex::new(State::new(known)),
            vectors: RwLock::default(),
            changed: Condvar::new(),
            has_changed: Notify::new(),
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

    /// The vector of a text if it was computed, and otherwise why a search goes without it.
    pub fn vector(&self, text: &str) -> Outcome {
        if self.encoder.load().is_none() {
            return Err(Degraded::NoEncoder);
        }
        self.outcome(&mut self.state.lock(), &equal_form(text)).unwrap_or(Err(Degraded::LateEncoder))
    }

    /// Has the vector of a text computed; `None` if it is known already, or there will be none in time.
    pub fn begin(&self, asker: Asker, text: &str) -> Option<Encoding> {
        self.encoder.load().as_ref()?;
        let (text, until) = (equal_form(text), Instant::now() + self.within);
        let mut state = self.state.lock();
        state.failed.retain(|failed| **failed != *text);
        if self.outcome(&mut state, &text).is_some() {
            return None;
        }
        state.ask(asker, &text);
        if !state.asked.contains(&*text) {
            return None;
        }
        self.changed.notify_all();
        Some(Encoding { text, until })
    }

    /// Returns when something became of the text, or the search has waited as long as the settings say. The thread is
    /// blocked meanwhile.
    pub fn wait(&self, encoding: &Encoding) {
        let mut state = self.state.lock();
        while !self.is_over(&mut state, encoding) {
            if self.changed.wait_until(&mut state, encoding.until).timed_out() {
                return;
            }
        }
    }

    /// [`QueryVectors::wait`] without a blocked thread.
    pub async fn ended(&self, encoding: &Encoding) {
        let has_ended = async {
            loop {
                // Registered before the state is looked at, so that no change between the two is missed.
                let mut change = std::pin::pin!(self.has_changed.notified());
                change.as_mut().enable();
                if self.is_over(&mut self.state.lock(), encoding) {
                    return;
                }
                change.await;
            }
        };
        // Whether it is there in time is seen by the search.
        let _ = tokio::time::timeout_at(encoding.until.into(), has_ended).await;
    }

    /// Whether there is nothing to wait for any more. A text that was given up is not asked for any more.
    fn is_over(&self, state: &mut State, encoding: &Encoding) -> bool {
        state.is_closing || !state.asked.contains(&*encoding.text) || self.outcome(state, &encoding.text).is_some()
    }

    /// [`State::outcome`]; vectors of texts that it forgets are forgotten too.
    fn outcome(&self, state: &mut State, text: &str) -> Option<Outcome> {
        let n_before = state.known.n_forgotten;
        let outcome = state.outcome(text);
        self.forget_since(n_before, &state.known);
        outcome
    }

    /// Forgets the vectors of the texts that were forgotten since.
    fn forget_since(&self, n_before: u64, known: &Remembered) {
        if known.n_forgotten != n_before {
            self.vectors.write().retain(|(text, _)| known.has(text));
        }
    }

    /// The latest queries that mean nearly the same as the one with this vector, itself left out, nearest first, with their
    /// similarities from 0 to 1.
    pub fn near(&self, vector: &Arc<QueryVector>) -> Vec<(Arc<str>, f32)> {
        let vectors = self.vectors.read();
        let latest = vectors.iter().rev().take(MAX_COMPARED);
        let others = latest.filter(|(_, other)| !Arc::ptr_eq(other, vector) && other.space == vector.space);
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
            let Some(text) = state.next() else {
                self.changed.wait(&mut state);
                continue;
            };
            drop(state);
            let outcome = self.encode(&text);
            state = self.state.lock();
            self.keep(&mut state, text, outcome);
            self.changed.notify_all();
            self.has_changed.notify_waiters();
        }
    }

    /// Remembers what became of a text.
    fn keep(&self, state: &mut State, text: Arc<str>, outcome: Outcome) {
        state.asked.remove(&text);
        state.in_work.remove(&text);
        if !matches!(outcome, Ok(_) | Err(Degraded::UnknownLanguage)) {
            state.failed.push_back(text);
            if state.failed.len() > MAX_WAITING {
                state.failed.pop_front();
            }
            return;
        }
        let n_before = state.known.n_forgotten;
        state.known.put(text.clone(), outcome.clone());
        self.forget_since(n_before, &state.known);
        if let Ok(vector) = outcome {
            self.vectors.write().push((text, vector));
        }
    }

    /// Ends the threads.
    pub fn close(&self) {
        self.state.lock().is_closing = true;
        self.changed.notify_all();
        self.has_changed.notify_waiters();
    }

    fn encode(&self, text: &str) -> Outcome {
        let Some(encoder) = self.encoder.load_full() else { return Err(Degraded::NoEncoder) };
        let encoded = encoder.known_share(text).and_then(|known| {
            if known < KNOWN {
                return Ok(Err(Degraded::UnknownLanguage));
            }
            let vector = encoder.query(text)?;
            Ok(vector.map(|vector| QueryVector::new(encoder.space().0, &vector)).ok_or(Degraded::FailedEncoder))
        });
        encoded.unwrap_or_else(|error| {
            tracing::error!(%error, "a query was not encoded; this search for it is by words alone");
            Err(Degraded::FailedEncoder)
        })
    }
}

/// The part of a text that is encoded, in the form in which equal searches are equal.
fn equal_form(text: &str) -> String {
    let mut words = normalised(text).split_whitespace().take(MAX_WORDS).collect::<Vec<_>>().join(" ");
    let end = (0..=words.len().min(MAX_BYTES)).rev().find(|end| words.is_char_boundary(*end)).unwrap_or(0);
    words.truncate(end);
    words
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

    /// What a search gets that waits.
    fn waited(vectors: &QueryVectors, text: &str) -> Outcome {
        vectors.begin(Asker::Shop, text).iter().for_each(|encoding| vectors.wait(encoding));
        vectors.vector(text)
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
                        move || waited(vectors, texts[n % 4])
                    })
                })
                .collect();
            let found: Vec<_> = searches.into_iter().map(|search| search.join().unwrap().unwrap()).collect();
            assert!(Arc::ptr_eq(&found[0], &found[1]) && Arc::ptr_eq(&found[0], &found[14]));
            assert!(!Arc::ptr_eq(&found[0], &found[3]));
            assert_eq!(vectors.state.lock().known.recent.len(), 2);
            vectors.close();
        });
    }

    #[test]
    fn a_search_goes_on_without_a_vector_that_is_late_and_the_next_one_has_it() {
        let vectors = vectors(&SimilarSettings { within_ms: 1, ..SimilarSettings::default() });
        assert_eq!(waited(&vectors, "mug").unwrap_err(), Degraded::LateEncoder);
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            let deadline = Instant::now() + Duration::from_secs(60);
            while vectors.vector("mug").is_err() && Instant::now() < deadline {
                thread::yield_now();
            }
            assert!(vectors.vector("mug").is_ok());
            vectors.close();
        });
        let none = QueryVectors::new(true, &SimilarSettings::default());
        assert_eq!(none.vector("mug").unwrap_err(), Degraded::NoEncoder);
    }

    #[test]
    fn a_text_whose_encoding_failed_is_tried_again_and_not_remembered() {
        let vectors = vectors(&SimilarSettings { within_ms: 10_000, ..SimilarSettings::default() });
        assert!(vectors.begin(Asker::Shop, "red mug").is_some());
        {
            let mut state = vectors.state.lock();
            let text = state.next().unwrap();
            vectors.keep(&mut state, text, Err(Degraded::FailedEncoder));
        }
        assert_eq!(vectors.vector("red mug").unwrap_err(), Degraded::FailedEncoder);
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            assert!(waited(&vectors, "red mug").is_ok(), "the next search has it encoded again");
            vectors.close();
        });
        for n in 0..2 * MAX_WAITING {
            vectors.keep(&mut vectors.state.lock(), n.to_string().as_str().into(), Err(Degraded::FailedEncoder));
        }
        assert_eq!(vectors.state.lock().failed.len(), MAX_WAITING);
    }

    #[test]
    fn a_vector_can_be_waited_for_without_a_blocked_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let vectors = vectors(&SimilarSettings { within_ms: 60_000, ..SimilarSettings::default() });
        let encoding = vectors.begin(Asker::Shop, "red mug").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            runtime.block_on(vectors.ended(&encoding));
            assert!(vectors.vector(" RED mug").is_ok() && vectors.begin(Asker::Shop, "red mug").is_none());
            vectors.close();
        });
        // Without a thread that encodes, it ends when the time is over.
        let late = Encoding { text: "blue mug".into(), until: Instant::now() };
        runtime.block_on(vectors.ended(&late));
        assert_eq!(vectors.vector("blue mug").unwrap_err(), Degraded::LateEncoder);
    }

    #[test]
    fn the_vectors_that_are_compared_are_those_of_the_remembered_texts() {
        let vectors = vectors(&SimilarSettings { remembered: 10, ..SimilarSettings::default() });
        let vector = QueryVector::new(1, &[1.0; 8]);
        for n in 0..100 {
            let mut state = vectors.state.lock();
            vectors.keep(&mut state, n.to_string().as_str().into(), Ok(vector.clone()));
            assert!(vectors.outcome(&mut state, "0").is_some(), "it is in use");
            let known = vectors.vectors.read();
            assert!(known.len() <= 10 && known.iter().all(|(text, _)| state.known.has(text)), "{n}");
            assert!(known.iter().any(|(text, _)| **text == *"0"), "{n}");
        }
    }

    #[test]
    fn queries_that_mean_nearly_the_same_are_neighbours() {
        let vectors = vectors(&SimilarSettings { within_ms: 10_000, ..SimilarSettings::default() });
        thread::scope(|scope| {
            scope.spawn(|| vectors.run());
            for text in ["umbrella stand", "red mug", "wool hat", "desk lamp", "cake tin", "umbrella stands"] {
                waited(&vectors, text).unwrap();
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
        (0..2 * MAX_WAITING).for_each(|n| assert!(waited(&vectors, &format!("mug {n}")).is_err()));
        assert_eq!(vectors.state.lock().waiting.len(), MAX_WAITING);
        let mut known = Remembered { capacity: 10, ..Remembered::default() };
        for n in 0..100 {
            known.put(n.to_string().as_str().into(), Err(Degraded::NoEncoder));
            assert!(known.get("0").is_some(), "what is asked for again stays");
            assert!(known.recent.len() + known.previous.len() <= 10);
        }
    }
    #[test]
    fn one_who_searches_without_pause_delays_others_by_one_text_each_time() {
        let vectors = vectors(&SimilarSettings { within_ms: 60_000, ..SimilarSettings::default() });
        let address = |last: u8| Asker::Page(Some([10, 0, 0, last].into()));
        let flood: Vec<_> = (0..3 * MAX_WAITING).map(|n| vectors.begin(address(1), &format!("flood {n}"))).collect();
        assert_eq!(flood.iter().flatten().count(), MAX_WAITING, "the others are told at once");
        let shopper = vectors.begin(address(2), "red mug").expect("there is a place for another address");
        let own = vectors.begin(Asker::Shop, "blue mug").expect("there is a place for the shop");
        assert!(vectors.begin(Asker::Shop, "flood 0").is_some(), "a text may wait for two");
        let mut state = vectors.state.lock();
        assert_eq!(state.waiting.len(), MAX_WAITING);
        assert!(flood.iter().flatten().any(|given_up| vectors.is_over(&mut state, given_up)), "it does not wait");
        assert!(!vectors.is_over(&mut state, &shopper) && !vectors.is_over(&mut state, &own));
        let first: Vec<Arc<str>> = (0..5).map_while(|_| state.next()).collect();
        assert_eq!(
            first.iter().map(|text| &**text).collect::<Vec<_>>(),
            ["blue mug", "flood 0", "red mug", "flood 1", "flood 2"]
        );
    }

    #[test]
    fn only_the_first_words_of_a_long_text_are_encoded() {
        let words = vec!["mug"; 500].join(" ");
        assert_eq!(equal_form(&words).split(' ').count(), MAX_WORDS);
        assert_eq!(equal_form(&"杯".repeat(400)).len(), MAX_BYTES - MAX_BYTES % "杯".len());
        assert_eq!(equal_form(" Red  MUG "), "red mug");
    }
}
