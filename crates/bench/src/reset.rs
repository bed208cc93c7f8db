//! The cost of a periodic reset for the current model.
//!
//! Corpus: the retail-like stream (4,000 items, 4,000 customers, 200,000 events, seed 7), names already resolved, nothing published.
//! The second half is learned twice from the same state: alone, and beside a challenger in the shadow that was trained
//! on the first half, as long as in a server: until the verdict. CPU time is that of the thread, so that other
//! processes do not affect it.

use accrue_engine::learn_settings;
use accrue_store::{Fact, Interaction, Names, Offset};
use accrue_train::{EarlierRecords, Learner, ResetSettings, Take, TrainError, Verdict};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::machine::thread_cpu_s;
use super::measure::{Figure, Target, row};
use super::sample::median_rate;
use super::shop::retail_corpus;

pub(super) const BENCHES: &[Bench] = &[bench(
    "reset",
    "the learner on a retail-like stream of 200,000 events: alone, with a challenger in the shadow until the verdict, and the challenger by itself",
    &[
        row("reset_learner_alone_per_cpu_s", "events/s", Target::None),
        row("reset_learner_shadowed_per_cpu_s", "events/s", Target::None),
        row("reset_challenger_per_cpu_s", "events/s", Target::None),
        row("reset_verdict_after", "events", Target::None),
    ],
    reset,
)];

/// Events as records of a past, twenty milliseconds apart.
struct Events<'a>(&'a [Interaction]);

impl EarlierRecords for Events<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        for (offset, event) in (from.0..to.0).zip(&self.0[from.0 as usize..]) {
            take(Offset(offset), received_ms(offset), Fact::Interaction(*event, Names::default()))?;
        }
        Ok(())
    }
}

/// With the time between events of the target rate, because the guard's work depends on it.
fn received_ms(offset: u64) -> i64 {
    offset as i64 / 50
}

/// Learns the rest of the events, or until a challenger in the shadow has its verdict; returns the rate.
fn learn(learner: &mut Learner, events: &[Interaction]) -> Result<f64, TrainError> {
    let before = thread_cpu_s();
    let begun = learner.end().0;
    for (offset, event) in (begun..).zip(&events[begun as usize..]) {
        learner.step(Offset(offset), received_ms(offset), Fact::Interaction(*event, Names::default()))?;
        if learner.shadow_result().is_some_and(|result| result.verdict != Verdict::Open) {
            break;
        }
    }
    Ok(rate(learner.end().0 - begun, thread_cpu_s() - before))
}

fn rate(n_events: u64, cpu_s: f64) -> f64 {
    // If the system does not provide CPU time, it is 0.
    n_events as f64 / cpu_s.max(1e-3)
}

fn reset(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_events = bed.size.pick(2_000, 200_000, 200_000);
    let events: Vec<Interaction> = retail_corpus(n_events).lines().map(|line| line.interaction()).collect();
    let half = events.len() / 2;
    let (mut alone, mut shadowed, mut by_itself, mut verdicts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bed.size.pick(1, 3, 3) {
        let mut learner = Learner::new(learn_settings(&bed.config));
        learn(&mut learner, &events[..half])?;
        let mut beside = learner.clone();
        alone.push(learn(&mut learner, &events)?);

        let before = thread_cpu_s();
        let mut challenger = beside.reset()?;
        challenger.learn(&mut Events(&events), Offset(half as u64))?;
        by_itself.push(rate(half as u64, thread_cpu_s() - before));
        beside.shadow(challenger, ResetSettings::default().gate());
        shadowed.push(learn(&mut beside, &events)?);
        verdicts.push((beside.end().0 - half as u64) as f64);
        if let Some(result) = beside.shadow_result() {
            let (n, challenger, current) = (result.n, result.challenger, result.current);
            bed.note(format!(
                "  mean gain {challenger:.4} against {current:.4} over {n} choices: {:?}",
                result.verdict
            ));
        }
    }
    let n_verdicts = verdicts.len() as u64;
    let verdicts = median_rate(verdicts, n_verdicts);
    let (half, until) = (half as u64, verdicts.value as u64);
    Ok(vec![median_rate(alone, half), median_rate(shadowed, until), median_rate(by_itself, half), verdicts])
}
