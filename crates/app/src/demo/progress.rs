//! The demo's progress and summary, as values and as text for people.

use std::fmt;
use std::time::Duration;

use accrue_event::Timestamp;
use serde::Serialize;

use super::drive::{Drive, Fates};
use super::tally::{Times, Window, Worth};

/// The lines above the lines of a [`Progress`].
pub const HEADER: [&str; 2] = [
    "            events    clicks per front page          expected clicks   regret   answers in ms   learned after ms",
    "  visits  a second  learned popular random        learned popular  learned     p50     p99        p50     p99",
];

/// The progress of the demo.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Pages served.
    pub visits: u64,
    /// Simulated time.
    pub at: Timestamp,
    /// Seconds since the first visit.
    pub seconds: f64,
    /// Events a second since the last progress.
    pub events_per_s: f64,
    /// The last pages: as many as `window`.
    pub last: Window,
    /// Pages of a window.
    pub window: usize,
    /// How long the server took to answer.
    pub answer_ms: Times,
    /// From acknowledged to learned, measured by the next answers.
    pub fresh_ms: Times,
}

impl Progress {
    pub(super) fn new(drive: &Drive, elapsed: Duration, events_per_s: f64) -> Self {
        let tally = &drive.tally;
        Self {
            visits: tally.n_pages(),
            at: drive.shop.now(),
            seconds: elapsed.as_millis() as f64 / 1e3,
            events_per_s,
            last: tally.last(),
            window: tally.window(),
            answer_ms: tally.answer_ms(),
            fresh_ms: tally.fresh_ms(),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, events_per_s, last, answer_ms, fresh_ms, .. } = self;
        let Window { learned, popular, random, .. } = last;
        write!(
            f,
            "{visits:>8}  {events_per_s:>8.0}  {:>7.3} {:>7.3} {:>6.3}",
            learned.clicks, popular.clicks, random.clicks
        )?;
        write!(f, "        {:>7.3} {:>7.3}  {:>7.3}", learned.expected, popular.expected, learned.regret)?;
        write!(f, "  {:>6.2}  {:>6.2}     {:>6.0}  {:>6.0}", answer_ms.p50, answer_ms.p99, fresh_ms.p50, fresh_ms.p99)
    }
}

/// One arm's figures in a window.
type Of = fn(&Window) -> &Worth;

/// The summary of the demo.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Always true: the shoppers are simulated.
    pub simulated: bool,
    /// Pages served.
    pub visits: u64,
    /// Events sent.
    pub events: u64,
    /// Their outcomes.
    pub fates: Fates,
    /// Seconds from the first visit to the last.
    pub seconds: f64,
    /// Days that passed in the shop.
    pub simulated_days: f64,
    /// Pages of a window.
    pub window: usize,
    /// The first pages.
    pub first: Window,
    /// The last pages.
    pub last: Window,
    /// All pages.
    pub whole: Window,
    /// How long the server took to answer, in the last window.
    pub answer_ms: Times,
    /// From acknowledged to learned, measured by the next answers.
    pub fresh_ms: Times,
}

impl Summary {
    pub(super) fn new(drive: &Drive, elapsed: Duration) -> Self {
        let tally = &drive.tally;
        Self {
            simulated: true,
            visits: tally.n_pages(),
            events: tally.n_events(),
            fates: drive.fates,
            seconds: elapsed.as_millis() as f64 / 1e3,
            simulated_days: drive.shop.now().days_since(drive.shop.settings().start),
            window: tally.window(),
            first: tally.first(),
            last: tally.last(),
            whole: tally.whole(),
            answer_ms: tally.answer_ms(),
            fresh_ms: tally.fresh_ms(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, events, fates, seconds, simulated_days, window, first, last, whole, .. } = self;
        writeln!(
            f,
            "\nSimulated: {visits} pages and {events} events in {seconds:.1} s, {simulated_days:.1} days in the shop."
        )?;
        writeln!(
            f,
            "Events accepted {}, repaired {}, duplicates {}, quarantined {}.",
            fates.accepted, fates.repaired, fates.duplicates, fates.quarantined
        )?;
        writeln!(
            f,
            "Answers took {:.2} ms (p50), {:.2} ms (p99); events were learned from after {:.0} ms (p50), {:.0} ms (p99).\n",
            self.answer_ms.p50, self.answer_ms.p99, self.fresh_ms.p50, self.fresh_ms.p99
        )?;
        let window = (*window as u64).min(*visits);
        writeln!(f, "Per page, in the first {window} pages → in the last {window} → in all:\n")?;
        writeln!(
            f,
            "                       clicks                  expected clicks         regret                  pages"
        )?;
        let rows: [(&str, Of); 5] = [
            ("front page, learned", |window| &window.learned),
            ("front page, popular", |window| &window.popular),
            ("front page, random", |window| &window.random),
            ("similar items", |window| &window.similar),
            ("search", |window| &window.search),
        ];
        for (name, of) in rows {
            write!(f, "{name:<23}")?;
            for figure in [|worth: &Worth| worth.clicks, |worth: &Worth| worth.expected, |worth: &Worth| worth.regret] {
                let [first, last, whole] = [first, last, whole].map(|window| figure(of(window)));
                write!(f, "{first:.3} → {last:.3} → {whole:.3}   ")?;
            }
            writeln!(f, "{:>5}", of(whole).pages)?;
        }
        writeln!(
            f,
            "\nExpected clicks and regret (the expected clicks that the best page would add) are known only because the shop is simulated."
        )
    }
}
