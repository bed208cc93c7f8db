//! Quality and load since the server began, as a curve.
//!
//! In: the engine's status every few seconds. Out: at most [`MAX_SAMPLES`] samples, evenly spaced. When there are that
//! many, every second one is dropped and the interval doubles, so that memory is bounded and the curve covers the whole
//! time. Nothing of it is stored: the log has what is needed to compute quality again, and versions keep their figures.

use std::time::{Duration, Instant};

use accrue_engine::Status;
use accrue_event::Timestamp;
use accrue_train::Hits;
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

/// Samples that are kept, at most.
const MAX_SAMPLES: usize = 360;
/// The interval at the start.
pub(super) const FIRST_INTERVAL: Duration = Duration::from_secs(5);

/// The curve so far.
pub(super) struct History(Mutex<Curve>);

struct Curve {
    every: Duration,
    latest: Option<Instant>,
    samples: Vec<Sample>,
}

/// Counts and figures at one moment. Counts are those since the beginning of the log, or of the server.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at: Timestamp,
    log_end: u64,
    lag: u64,
    n_requests: u64,
    n_without_result: u64,
    recent_ndcg: f64,
    recent_hit_rate: f64,
    all: Sums,
    first_time: Sums,
    repeat: Sums,
}

/// Predictions of one slice, and the sum of their gains.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: u64,
    gains: f64,
}

impl From<&Hits> for Sums {
    fn from(hits: &Hits) -> Self {
        Self { n: hits.samples, gains: hits.ndcg() * hits.samples as f64 }
    }
}

impl Sums {
    /// The mean gain since an earlier moment; `None` if nothing was predicted.
    fn since(self, earlier: Self) -> Option<f64> {
        let n = self.n.saturating_sub(earlier.n);
        (n > 0).then(|| ((self.gains - earlier.gains) / n as f64).clamp(0.0, 1.0))
    }
}

/// Counts of requests since the server began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests {
    pub answered: u64,
    pub without_result: u64,
}

impl History {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Curve { every: FIRST_INTERVAL, latest: None, samples: Vec::new() }))
    }

    /// Whether a sample is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let curve = self.0.lock();
        curve.latest.is_none_or(|latest| now.saturating_duration_since(latest) >= curve.every)
    }

    /// Adds a sample.
    pub(super) fn add(&self, status: &Status, requests: Requests, at: Timestamp, now: Instant) {
        let quality = &status.quality;
        let mut curve = self.0.lock();
        curve.latest = Some(now);
        curve.samples.push(Sample {
            at,
            log_end: status.log_end,
            lag: status.log_end.saturating_sub(status.learned),
            n_requests: requests.answered,
            n_without_result: requests.without_result,
            recent_ndcg: quality.recent_ndcg,
            recent_hit_rate: quality.recent_hit_rate,
            all: (&quality.all).into(),
            first_time: (&quality.first_time).into(),
            repeat: (&quality.repeat).into(),
        });
        if curve.samples.len() > MAX_SAMPLES {
            let mut place = 0;
            // The first and the latest sample stay.
            curve.samples.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            curve.every *= 2;
        }
    }

    /// Records a second in the latest interval; `None` before there are two samples.
    pub(super) fn latest_rate(&self) -> Option<f64> {
        let curve = self.0.lock();
        let [.., before, after] = &curve.samples[..] else { return None };
        Some(SampleBody::of(*before, *after).records_per_s)
    }

    pub(super) fn body(&self) -> HistoryBody {
        let curve = self.0.lock();
        let pairs = curve.samples.windows(2);
        HistoryBody {
            every_s: curve.every.as_secs(),
            samples: pairs.map(|pair| SampleBody::of(pair[0], pair[1])).collect(),
        }
    }
}

/// Quality and load since the server began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryBody {
    /// Seconds between two samples; it doubles when there are 360 of them.
    #[schema(example = 5)]
    every_s: u64,
    /// Oldest first.
    samples: Vec<SampleBody>,
}

/// What happened between two moments, and the state at the second of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QualitySample)]
pub(super) struct SampleBody {
    /// The second moment.
    #[schema(value_type = String, example = "2026-11-21T10:00:00Z")]
    at: Timestamp,
    /// Records in the log.
    log_end: u64,
    /// Records that the published version had not learned from.
    lag: u64,
    /// Records a second that were added to the log.
    records_per_s: f64,
    /// Requests a second that were answered.
    requests_per_s: f64,
    /// Searches that found nothing.
    searches_without_result: u64,
    /// NDCG at 20 over about the last 500 predictions.
    recent_ndcg: f64,
    /// Hit rate at 20 over about the last 500 predictions.
    recent_hit_rate: f64,
    /// Predictions in between.
    predictions: u64,
    /// Mean NDCG at 20 of the predictions in between; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg: Option<f64>,
    /// The same over items that the shopper had not chosen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg_first_time: Option<f64>,
    /// The same over items chosen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg_repeat: Option<f64>,
}

impl SampleBody {
    fn of(before: Sample, after: Sample) -> Self {
        let seconds = (after.at.0.saturating_sub(before.at.0)).max(1) as f64 / 1e3;
        let per_s = |after: u64, before: u64| (10.0 * after.saturating_sub(before) as f64 / seconds).round() / 10.0;
        Self {
            at: after.at,
            log_end: after.log_end,
            lag: after.lag,
            records_per_s: per_s(after.log_end, before.log_end),
            requests_per_s: per_s(after.n_requests, before.n_requests),
            searches_without_result: after.n_without_result.saturating_sub(before.n_without_result),
            recent_ndcg: after.recent_ndcg,
            recent_hit_rate: after.recent_hit_rate,
            predictions: after.all.n.saturating_sub(before.all.n),
            ndcg: after.all.since(before.all),
            ndcg_first_time: after.first_time.since(before.first_time),
            ndcg_repeat: after.repeat.since(before.repeat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_covers_the_whole_time_with_few_samples() {
        let (history, began) = (History::new(), Instant::now());
        let mut n = 0;
        // A day.
        for second in (0..86_400).step_by(5) {
            let now = began + Duration::from_secs(second);
            if !history.is_due(now) {
                continue;
            }
            n += 1;
            let mut status = Status { log_end: 10 * second, learned: 10 * second, ..Default::default() };
            status.quality.count(Some(0), false, 1);
            let requests = Requests { answered: 2 * second, without_result: 0 };
            history.add(&status, requests, Timestamp(1_000 * second as i64), now);
        }
        let body = history.body();
        assert!((MAX_SAMPLES / 2 - 1..MAX_SAMPLES).contains(&body.samples.len()), "{} of {n}", body.samples.len());
        assert!(body.samples.iter().all(|sample| (sample.records_per_s, sample.requests_per_s) == (10.0, 2.0)));
        assert_eq!(body.samples.last().unwrap().lag, 0);
        assert!(body.samples[0].log_end < 10_000 && body.samples.last().unwrap().log_end > 850_000);
    }

    #[test]
    fn the_quality_of_an_interval_is_that_of_its_predictions() {
        let (early, late) = (Sums { n: 10, gains: 5.0 }, Sums { n: 14, gains: 6.0 });
        assert_eq!((late.since(early), early.since(early)), (Some(0.25), None));
    }
}
