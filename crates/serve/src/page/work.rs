//! The cost of an answer: operations, and what passed each stage in how much time.
//!
//! Operations are the same on every machine, so tests can check bounds on them, and so do the limits of the stages. A
//! limit in time would make equal requests answer differently; times are measured for metrics alone.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use crate::Degraded;

/// A stage of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Sources find candidates.
    Sources,
    /// What the request, the shopper and the shop leave out is removed.
    Filter,
    /// The models score what is left.
    Rank,
    /// Rules, variants, kept places, diversity and drawn places make a list of it.
    Rerank,
    /// Reasons are computed.
    Explain,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Stage; 5] = [Self::Sources, Self::Filter, Self::Rank, Self::Rerank, Self::Explain];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Filter => "filter",
            Self::Rank => "rank",
            Self::Rerank => "rerank",
            Self::Explain => "explain",
        }
    }
}

/// What one stage did for one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageWork {
    /// Candidates that went in; of the sources 0.
    pub n_in: u64,
    /// Candidates that came out.
    pub n_out: u64,
    /// Nanoseconds.
    pub took_ns: u64,
    /// Whether it did less than its scene asks for.
    pub fell_back: bool,
}

/// What every stage did for one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageWork([StageWork; Stage::ALL.len()]);

impl PageWork {
    /// What a stage did.
    pub fn of(&self, stage: Stage) -> StageWork {
        self.0[stage as usize]
    }
}

/// Counters of one answer.
#[derive(Debug, Default)]
pub(super) struct Work {
    looked_at: Cell<u64>,
    scored: Cell<u64>,
    compared: Cell<u64>,
    stages: Cell<PageWork>,
    fallbacks: RefCell<Vec<Degraded>>,
}

impl Work {
    /// `n` items were tested for whether the page may show them.
    pub fn look_at(&self, n: usize) {
        self.looked_at.set(self.looked_at.get() + n as u64);
    }

    /// The models scored `n` items.
    pub fn score(&self, n: usize) {
        self.scored.set(self.scored.get() + n as u64);
    }

    /// `n` pairs of items were compared by their descriptions.
    pub fn compare(&self, n: usize) {
        self.compared.set(self.compared.get() + n as u64);
    }

    /// Runs a part of a stage and adds its time.
    pub fn time<T>(&self, stage: Stage, run: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = run();
        let took_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.change(stage, |work| work.took_ns += took_ns);
        done
    }

    /// `n_in` candidates went into a stage, and `n_out` came out.
    pub fn pass(&self, stage: Stage, n_in: usize, n_out: usize) {
        self.change(stage, |work| {
            work.n_in += n_in as u64;
            work.n_out += n_out as u64;
        });
    }

    /// A stage does less than its scene asks for, which `degraded` says.
    pub fn fall_back(&self, stage: Stage, degraded: Degraded) {
        self.change(stage, |work| work.fell_back = true);
        let mut fallbacks = self.fallbacks.borrow_mut();
        if !fallbacks.contains(&degraded) {
            fallbacks.push(degraded);
        }
    }

    /// What stages could not do, as words of `degraded`.
    pub fn fallbacks(&self) -> Vec<&'static str> {
        self.fallbacks.borrow().iter().map(|degraded| degraded.name()).collect()
    }

    /// What every stage did.
    pub fn of_page(&self) -> PageWork {
        self.stages.get()
    }

    fn change(&self, stage: Stage, change: impl FnOnce(&mut StageWork)) {
        let mut stages = self.stages.get();
        change(&mut stages.0[stage as usize]);
        self.stages.set(stages);
    }
}

#[cfg(test)]
impl Work {
    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    pub fn scored(&self) -> u64 {
        self.scored.get()
    }

    pub fn compared(&self) -> u64 {
        self.compared.get()
    }
}
