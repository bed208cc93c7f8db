//! The time and memory of an evaluation: the only part of a report that differs from run to run.

use std::time::Instant;

use serde::Serialize;

/// Seconds and memory used by an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Wall-clock seconds of learning.
    pub train_s: f64,
    /// Wall-clock seconds of predicting and ranking.
    pub eval_s: f64,
    /// CPU seconds of learning, over all threads.
    pub train_cpu_s: f64,
    /// Events learned per second of learning.
    pub events_per_s: f64,
    /// Largest resident memory of the process, in megabytes.
    pub peak_rss_mb: f64,
}

/// Divides the time since its start between learning and evaluation.
#[derive(Debug)]
pub struct Stopwatch {
    started: Instant,
    cpu_at_start: f64,
    eval_s: f64,
    eval_cpu_s: f64,
}

impl Stopwatch {
    /// Starts the clock. All time counts as learning, except within [`evaluating`](Self::evaluating).
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu_at_start: cpu_s(), eval_s: 0.0, eval_cpu_s: 0.0 }
    }

    /// Runs `evaluate` and counts its time as evaluation.
    pub fn evaluating<T>(&mut self, evaluate: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), cpu_s());
        let result = evaluate();
        self.eval_s += wall.elapsed().as_secs_f64();
        self.eval_cpu_s += cpu_s() - cpu;
        result
    }

    /// The cost so far, after `n_events` were learned.
    pub fn cost(&self, n_events: u64) -> Cost {
        let train_s = self.started.elapsed().as_secs_f64() - self.eval_s;
        Cost {
            train_s,
            eval_s: self.eval_s,
            train_cpu_s: cpu_s() - self.cpu_at_start - self.eval_cpu_s,
            events_per_s: n_events as f64 / train_s.max(1e-9),
            peak_rss_mb: peak_rss_mb(),
        }
    }
}

/// CPU seconds of all threads of this process, including finished ones; 0 if the system does not report them.
fn cpu_s() -> f64 {
    /// Clock ticks per second in `/proc/self/stat`.
    const TICKS: f64 = 100.0;
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process, in parentheses, may contain spaces. User and system time are the 12th and 13th field
    // after it.
    let fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
