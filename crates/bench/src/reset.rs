//! What a periodic reset costs what is being learned.
//!
//! Corpus: the retail-like stream (4,000 items, 4,000 customers, 200,000 events, seed 7), names already resolved, nothing published.
//! The second half is learned twice from the same state: alone, and with a challenger riding along that was learned from the first
//! half, as long as a server lets it: until the verdict. CPU time is the thread's own, so what else the machine does is left out.

use accrue_engine::learn_settings;
use accrue_store::{Fact, Interaction, Names, Offset};
use accrue_train::{Learner, Past, ResetSettings, Take, TrainError, Verdict};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::machine::thread_cpu_s;
use super::measure::{Figure, Target, row};
use super::sample::median_rate;
use super::shop::retail_corpus;

pub(super) const BENCHES: &[Bench] = &[bench(
    "reset",
    "the learner on a retail-like stream of 200,000 events: alone, with a challenger riding along until the verdict, and the challenger by itself",
    &[
        row("reset_learner_alone_per_cpu_s", "events/s", Target::None),
        row("reset_learner_shadowed_per_cpu_s", "events/s", Target::None),
        row("reset_challenger_per_cpu_s", "events/s", Target::None),
        row("reset_verdict_after", "events", Target::None),
    ],
    reset,
)];

/// Events as a past: each is a record of its own, twenty milliseconds after the one before.
struct Events<'a>(&'a [Interaction]);

impl Past for Events<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        for (offset, event) in (from.0..to.0).zip(&self.0[from.0 as usize..]) {
            take(Offset(offset), received_ms(offset), Fact::Interaction(*event, Names::default()))?;
        }
        Ok(())
    }
}

/// As events come in at the rate to be reached: the guard's effort depends on it.
fn received_ms(offset: u64) -> i64 {
    offset as i64 / 50
}

/// Learns the rest of the events, or until a challenger that rides along has its verdict; returns the rate.
fn learn(learner: &mut Learner, events: &[Interaction]) -> Result<f64, TrainError> {
    let before = thread_cpu_s();
    let begun = learner.end().0;
    for (offset, event) in (begun..).zip(&events[begun as usize..]) {
        learner.step(Offset(offset), received_ms(offset), Fact::Interaction(*event, Names::default()))?;
        if learner.standing().is_some_and(|standing| standing.verdict != Verdict::Open) {
            break;
        }
    }
    Ok(rate(learner.end().0 - begun, thread_cpu_s() - before))
}

fn rate(n_events: u64, cpu_s: f64) -> f64 {
    // Where a thread's time is not told, a tiny run takes none.
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
        if let Some(standing) = beside.standing() {
            let (n, challenger, line) = (standing.n, standing.challenger, standing.line);
            bed.note(format!("  mean gain {challenger:.4} against {line:.4} over {n} choices: {:?}", standing.verdict));
        }
    }
    let n_verdicts = verdicts.len() as u64;
    let verdicts = median_rate(verdicts, n_verdicts);
    let (half, until) = (half as u64, verdicts.value as u64);
    Ok(vec![median_rate(alone, half), median_rate(shadowed, until), median_rate(by_itself, half), verdicts])
}
