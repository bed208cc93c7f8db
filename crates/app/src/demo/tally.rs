//! Clicks by the arm that filled a page, in the first window, the last one and the whole run.
//!
//! A page has the clicks that happened, and two figures that only the simulator knows: the expected clicks of the page,
//! and of the best possible page. Their difference is the regret.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The arm that filled a page, and the kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// A front page by the models.
    Home,
    /// A front page by the list of popular items.
    Popular,
    /// A front page drawn uniformly from the items in stock.
    Random,
    /// Items like the one whose page is open.
    Similar,
    /// Results of a search.
    Search,
}

/// Number of arms.
const N_ARMS: usize = 5;
/// Samples of freshness that the figures are computed from.
const N_FRESH: usize = 1_000;

/// One page and its clicks.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The arm that filled it.
    pub arm: Arm,
    /// Clicks that happened.
    pub n_clicks: usize,
    /// Its expected clicks.
    pub expected: f64,
    /// The expected clicks of the best page.
    pub best: f64,
    /// How long the server took to answer, if it was asked.
    pub answer: Option<Duration>,
}

/// Means over some pages of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Worth {
    /// How many pages.
    pub pages: u64,
    /// Clicks per page.
    pub clicks: f64,
    /// Expected clicks per page: the same without the noise of clicks.
    pub expected: f64,
    /// Expected clicks missed per page, compared with the best page.
    pub regret: f64,
}

/// Pages of a window, by arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Window {
    /// Front pages by the models.
    pub learned: Worth,
    /// Front pages with popular items.
    pub popular: Worth,
    /// Front pages drawn uniformly.
    pub random: Worth,
    /// Pages of similar items.
    pub similar: Worth,
    /// Pages of search results.
    pub search: Worth,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums([(u64, f64, f64, f64); N_ARMS]);

impl Sums {
    fn add(&mut self, page: &Page) {
        let (n, clicks, expected, best) = &mut self.0[page.arm as usize];
        *n += 1;
        *clicks += page.n_clicks as f64;
        *expected += page.expected;
        *best += page.best;
    }

    fn window(&self) -> Window {
        let worth = |arm: Arm| {
            let (pages, clicks, expected, best) = self.0[arm as usize];
            let mean = |sum: f64| sum / pages.max(1) as f64;
            Worth { pages, clicks: mean(clicks), expected: mean(expected), regret: mean(best - expected) }
        };
        Window {
            learned: worth(Arm::Home),
            popular: worth(Arm::Popular),
            random: worth(Arm::Random),
            similar: worth(Arm::Similar),
            search: worth(Arm::Search),
        }
    }
}

/// The median and the 99th percentile of some times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Half were shorter.
    pub p50: f64,
    /// One in a hundred was longer.
    pub p99: f64,
}

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let at = |share: f64| {
            let place = (share * times.len() as f64) as usize;
            times.get(place.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_micros() as f64 / 1e3)
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// All pages of a run.
#[derive(Debug)]
pub struct Tally {
    window: usize,
    first: Sums,
    last: VecDeque<Page>,
    whole: Sums,
    n_pages: u64,
    n_events: u64,
    /// Acknowledged, but not yet known to be learned: the log's end, and the time.
    unlearned: VecDeque<(u64, Instant)>,
    fresh: VecDeque<Duration>,
}

impl Tally {
    /// An empty one; windows have this many pages.
    pub fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            first: Sums::default(),
            last: VecDeque::new(),
            whole: Sums::default(),
            n_pages: 0,
            n_events: 0,
            unlearned: VecDeque::new(),
            fresh: VecDeque::new(),
        }
    }

    /// Counts a page and the events that it led to.
    pub fn add(&mut self, page: Page, n_events: usize) {
        self.n_pages += 1;
        self.n_events += n_events as u64;
        self.whole.add(&page);
        if self.n_pages <= self.window as u64 {
            self.first.add(&page);
        }
        if self.last.len() == self.window {
            self.last.pop_front();
        }
        self.last.push_back(page);
    }

    /// Events were acknowledged; the log ended at `end` then.
    pub fn acknowledged(&mut self, end: u64, at: Instant) {
        self.unlearned.push_back((end, at));
    }

    /// An answer came from a version that has learned all records before `end`.
    pub fn answered(&mut self, end: u64, at: Instant) {
        while let Some(&(_, since)) = self.unlearned.front().filter(|(wanted, _)| *wanted <= end) {
            self.unlearned.pop_front();
            if self.fresh.len() == N_FRESH {
                self.fresh.pop_front();
            }
            self.fresh.push_back(at.saturating_duration_since(since));
        }
    }

    /// Pages so far.
    pub fn n_pages(&self) -> u64 {
        self.n_pages
    }

    /// Events so far.
    pub fn n_events(&self) -> u64 {
        self.n_events
    }

    /// Pages of a window.
    pub fn window(&self) -> usize {
        self.window
    }

    /// The first pages.
    pub fn first(&self) -> Window {
        self.first.window()
    }

    /// The last pages.
    pub fn last(&self) -> Window {
        let mut sums = Sums::default();
        self.last.iter().for_each(|page| sums.add(page));
        sums.window()
    }

    /// All pages.
    pub fn whole(&self) -> Window {
        self.whole.window()
    }

    /// How long the server took to answer, over the last pages.
    pub fn answer_ms(&self) -> Times {
        Times::of(self.last.iter().filter_map(|page| page.answer))
    }

    /// From the acknowledgement of events until an answer came from a version that had learned from them.
    pub fn fresh_ms(&self) -> Times {
        Times::of(self.fresh.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(arm: Arm, n_clicks: usize, expected: f64) -> Page {
        Page { arm, n_clicks, expected, best: 1.0, answer: None }
    }

    #[test]
    fn windows_hold_their_own_pages() {
        let mut tally = Tally::new(2);
        for (n, expected) in [0.1, 0.3, 0.5, 0.7].into_iter().enumerate() {
            tally.add(page(Arm::Home, n, expected), 10);
        }
        let close = |worth: Worth, clicks: f64, expected: f64| {
            (worth.clicks - clicks).abs() < 1e-9
                && (worth.expected - expected).abs() < 1e-9
                && (worth.regret - (1.0 - expected)).abs() < 1e-9
        };
        assert!(close(tally.first().learned, 0.5, 0.2), "{:?}", tally.first());
        assert!(close(tally.last().learned, 2.5, 0.6), "{:?}", tally.last());
        assert!(close(tally.whole().learned, 1.5, 0.4), "{:?}", tally.whole());
        assert_eq!((tally.last().learned.pages, tally.whole().learned.pages, tally.n_events()), (2, 4, 40));
        assert_eq!(tally.last().random, Worth::default());
    }

    #[test]
    fn freshness_ends_with_the_first_answer_that_has_learned_the_events() {
        let mut tally = Tally::new(2);
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        tally.acknowledged(10, at(0));
        tally.acknowledged(20, at(30));
        tally.answered(9, at(40));
        assert_eq!(tally.fresh_ms(), Times::default());
        tally.answered(10, at(50));
        tally.answered(25, at(60));
        assert_eq!(tally.fresh_ms(), Times { p50: 50.0, p99: 50.0 });
        assert_eq!(Times::of([30, 50].map(Duration::from_millis).into_iter()).p50, 50.0);
    }
}
