//! Which pairs are learned from and which are held out, and what is close to a query and does not belong to it.

use std::collections::{BTreeMap, BTreeSet};

use accrue_encode::{Pairs, TuneSettings, Tuner};
use accrue_kernel::dot_rows;

use super::train::Done;
use super::{PairKind, TextPair, TextPairs, TuneEnd, TuneError, TuneReport, TuneRequest};

/// Pairs that a training needs at least, and pairs to judge it on.
pub(super) const MIN_PAIRS: usize = 200;
pub(super) const MIN_HELD_OUT: usize = 50;
/// Pairs that an encoder is judged on, at most.
const JUDGED: usize = 5_000;
/// Passages that are close to a query are hard negatives if their cosine is below this share of its own passage's:
/// above it they are often right (Moreira et al., *NV-Retriever*, 2024). So many of the closest are looked at and kept.
const NEGATIVE_SHARE: f32 = 0.95;
const LOOKED_AT: usize = 64;
const NEGATIVES: usize = 10;

/// Pairs to learn from and later ones to judge by.
pub(super) struct Split {
    pub trained_on: Vec<TextPair>,
    pub held_out: Vec<TextPair>,
}

impl Split {
    /// Of each kind the latest share is held out; those of titles, which have no time, by the hash of the item.
    pub fn of(read: &TextPairs, share: f64) -> Result<Self, TuneError> {
        let mut split = Self { trained_on: Vec::new(), held_out: Vec::new() };
        for kind in PairKind::ALL {
            let of_kind: Vec<TextPair> = read.pairs.iter().filter(|pair| pair.kind == kind).copied().collect();
            let first = of_kind.len() - (of_kind.len() as f64 * share).round() as usize;
            // Pairs of one time are of one basket, which is not divided.
            let cut = of_kind.get(first).map(|pair| pair.at_ms);
            let later = |pair: &TextPair| kind == PairKind::Title || cut.is_some_and(|cut| pair.at_ms >= cut);
            let place = (0..of_kind.len()).position(|place| later(&of_kind[place])).unwrap_or(of_kind.len());
            let place = if kind == PairKind::Title { first } else { place };
            split.trained_on.extend_from_slice(&of_kind[..place]);
            split.held_out.extend_from_slice(&of_kind[place..]);
        }
        let (found, held_out) = (split.trained_on.len(), split.held_out.len());
        if found < MIN_PAIRS || held_out < MIN_HELD_OUT {
            return Err(TuneError::TooFew { found, held_out });
        }
        // Some in equal distances, where there are many.
        if held_out > JUDGED {
            split.held_out = (0..JUDGED).map(|at| split.held_out[at * held_out / JUDGED]).collect();
        }
        Ok(split)
    }

    pub fn settings(&self, request: &TuneRequest) -> TuneSettings {
        let steps_each = (self.trained_on.len() / request.batch.min(self.trained_on.len())).max(1);
        TuneSettings {
            trained: request.trained,
            batch: request.batch,
            steps: ((steps_each as f64 * request.epochs).ceil() as u64).max(1),
            rate: request.rate.unwrap_or(TuneSettings::usual_rate(request.trained)),
            warm_up: 0.1,
            weight_decay: 0.01,
            temperature: request.temperature,
            tokens: request.tokens,
            seed: request.seed,
            prefixes: request.prefixes.clone(),
        }
    }

    /// The pairs of the training, with hard negatives by the old encoder's vectors.
    pub fn pairs(&self, read: &TextPairs, vectors: &[Vec<f32>]) -> Pairs {
        let pairs: Vec<[u32; 2]> = self.trained_on.iter().map(|pair| [pair.query, pair.passage]).collect();
        let known: BTreeSet<[u32; 2]> =
            pairs.iter().flat_map(|&[query, passage]| [[query, passage], [passage, query]]).collect();
        let mut hard = vec![Vec::new(); pairs.len()];
        for (kind, candidates) in &read.candidates {
            let of_kind = |place: &usize| self.trained_on[*place].kind == *kind;
            let places: Vec<usize> = (0..pairs.len()).filter(of_kind).collect();
            if places.is_empty() {
                continue;
            }
            let table: Vec<f32> = candidates.iter().flat_map(|&text| &vectors[text as usize]).copied().collect();
            let mut closest: BTreeMap<u32, Vec<(f32, u32)>> = BTreeMap::new();
            for place in places {
                let [query, passage] = pairs[place];
                let closest = closest.entry(query).or_insert_with(|| closest_of(vectors, query, &table, candidates));
                let mut own = [0.0];
                dot_rows(&vectors[query as usize], &vectors[passage as usize], &mut own);
                let is_negative = |&&(score, text): &&(f32, u32)| {
                    score < NEGATIVE_SHARE * own[0] && text != query && !known.contains(&[query, text])
                };
                let negatives = closest.iter().filter(is_negative).take(NEGATIVES);
                hard[place] = negatives.map(|(_, text)| *text).collect();
            }
        }
        Pairs { pairs, hard, known }
    }

    pub fn report(&self, request: &TuneRequest, tuner: &Tuner, done: &Done) -> TuneReport {
        let mut pairs = BTreeMap::new();
        self.trained_on.iter().for_each(|pair| *pairs.entry(pair.kind.name().to_owned()).or_insert(0) += 1);
        TuneReport {
            end: TuneEnd::BrokenOff,
            out: request.out.clone(),
            pairs,
            held_out: self.held_out.len(),
            parameters: tuner.n_trained(),
            steps: [tuner.n_steps(), self.settings(request).steps],
            step_ms: done.step_ms,
            loss: done.loss,
            comparison: None,
        }
    }
}

/// The candidates closest to a query, closest first.
fn closest_of(vectors: &[Vec<f32>], query: u32, table: &[f32], candidates: &[u32]) -> Vec<(f32, u32)> {
    let mut scores = vec![0.0; candidates.len()];
    dot_rows(&vectors[query as usize], table, &mut scores);
    let mut scored: Vec<(f32, u32)> = scores.into_iter().zip(candidates.iter().copied()).collect();
    let by_score = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if scored.len() > LOOKED_AT {
        scored.select_nth_unstable_by(LOOKED_AT, by_score);
        scored.truncate(LOOKED_AT);
    }
    scored.sort_unstable_by(by_score);
    scored
}
