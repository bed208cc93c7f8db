//! What the stages of all pages did since the start: counters that answers add to and metrics read.

use std::sync::atomic::{AtomicU64, Ordering};

use accrue_serve::{PageWork, Stage, StageWork};

/// The counters of one stage.
#[derive(Debug, Default)]
struct StageCounters {
    n_in: AtomicU64,
    n_out: AtomicU64,
    took_ns: AtomicU64,
    fallbacks: AtomicU64,
}

/// The counters of all stages.
#[derive(Debug, Default)]
pub(crate) struct PageCounters {
    pages: AtomicU64,
    stages: [StageCounters; Stage::ALL.len()],
}

/// What a stage did for all pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageStatus {
    /// Name of the stage.
    pub stage: &'static str,
    /// Candidates that went in.
    pub n_in: u64,
    /// Candidates that came out.
    pub n_out: u64,
    /// Nanoseconds.
    pub took_ns: u64,
    /// Pages for which it did less than their scene asks for.
    pub fallbacks: u64,
}

impl PageCounters {
    /// Adds what the stages did for one page.
    pub fn add(&self, work: &PageWork) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        for (stage, counters) in Stage::ALL.into_iter().zip(&self.stages) {
            let StageWork { n_in, n_out, took_ns, fell_back } = work.of(stage);
            for (counter, n) in [
                (&counters.n_in, n_in),
                (&counters.n_out, n_out),
                (&counters.took_ns, took_ns),
                (&counters.fallbacks, u64::from(fell_back)),
            ] {
                if n > 0 {
                    counter.fetch_add(n, Ordering::Relaxed);
                }
            }
        }
    }

    /// Pages made, and what each stage did for them.
    pub fn status(&self) -> (u64, Vec<StageStatus>) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stages = Stage::ALL.into_iter().zip(&self.stages).map(|(stage, counters)| StageStatus {
            stage: stage.name(),
            n_in: read(&counters.n_in),
            n_out: read(&counters.n_out),
            took_ns: read(&counters.took_ns),
            fallbacks: read(&counters.fallbacks),
        });
        (read(&self.pages), stages.collect())
    }
}
