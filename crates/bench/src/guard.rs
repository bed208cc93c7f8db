//! What poisoned events do to the learner, how soon the guard undoes it, and how often it does so without cause.
//!
//! Corpus: the retail-like stream; with `--datasets`, a real shop's year. The learner follows clean events, then a part
//! of the following events is poisoned (valid by schema, as from a broken or hostile client). Damage is measured on
//! choices that come later in the clean stream and that no model has learned: mean NDCG@20, with each shopper's history
//! as it was when the poison began, compared with the learner of that moment. A second learner without a guard shows
//! the damage of the poison alone.

use accrue_engine::learn_settings;
use accrue_event::EventType;
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared};
use accrue_store::{Fact, Histories, Interaction, Names, Offset};
use accrue_train::{LearnSettings, Learner};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::dataset;
use super::measure::{Figure, Target, row};
use super::shop::retail_corpus;

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "guard_poison",
        "poison after a clean stream: the longest time from a loss of a fifth of NDCG@20 to the rollback, and the smallest part of the loss restored, over the \
         kinds and shares that reach this loss",
        &[
            row("guard_delay_events_max", "events", Target::AtMost(2_000.0)),
            row("guard_restored_min", "share", Target::AtLeast(0.99)),
            row("guard_harmful_cases", "cases", Target::None),
            row("guard_missed_cases", "cases", Target::AtMost(0.0)),
        ],
        poison,
    ),
    bench(
        "guard_clean",
        "a clean stream of three million events: rollbacks without cause",
        &[row("guard_false_rollbacks", "rollbacks", Target::AtMost(0.0))],
        clean,
    ),
];

/// How events are poisoned.
#[derive(Clone, Copy, Debug)]
enum Poison {
    /// Another item, drawn from all.
    Shuffled,
    /// The chosen item is disliked, and another one is chosen.
    Flipped,
    /// The event with absurd values and quantities.
    Exploding,
    /// One shopper chooses one item repeatedly.
    Flooding,
}

const KINDS: [Poison; 4] = [Poison::Shuffled, Poison::Flipped, Poison::Exploding, Poison::Flooding];
const SHARES: [u64; 3] = [5, 20, 100];
/// Later choices that damage is measured on.
const N_PROBES: usize = 1_500;
/// They are among this many events.
const SOON: usize = 30_000;
/// Damage is measured after each this many events.
const LOOK_EVERY: usize = 500;
/// Loss that counts as harm, as a share of what was there.
const HARM: f64 = 0.2;

impl Poison {
    fn of(self, clean: &Interaction, draws: &mut Draws, n_items: u32, n_shoppers: u32) -> Interaction {
        let dislike = code_of(&EventType::Dislike);
        let any_item = draws.below(u64::from(n_items)) as u32;
        match self {
            Poison::Shuffled => Interaction { item: any_item, ..*clean },
            Poison::Flipped if draws.below(2) == 0 => Interaction { type_code: dislike, ..*clean },
            Poison::Flipped => Interaction { item: any_item, ..*clean },
            Poison::Exploding => Interaction { value: 1e30, quantity: u32::MAX, ..*clean },
            Poison::Flooding => Interaction { shopper: n_shoppers, item: n_items / 2, ..*clean },
        }
    }
}

fn code_of(event_type: &EventType) -> u8 {
    EventType::BUILT_IN.iter().position(|known| known == event_type).expect("built in") as u8
}

/// A clean stream and a learner at the point where the poison begins.
struct Scene {
    events: Vec<Interaction>,
    at: usize,
    n_items: u32,
    n_shoppers: u32,
    learner: Learner,
    histories: Histories,
}

impl Scene {
    fn new(bed: &Bed<'_>, events: Vec<Interaction>, at: usize) -> anyhow::Result<Self> {
        let mut learner = Learner::new(learn_settings(&bed.config));
        for (offset, event) in events[..at].iter().enumerate() {
            step(&mut learner, offset, event)?;
        }
        // An item that had not been on sale before would be new to every model, which is not poison.
        let of_all = |key: fn(&Interaction) -> u32| events[..at].iter().map(key).max().unwrap_or(0) + 1;
        let (n_items, n_shoppers) = (of_all(|event| event.item), of_all(|event| event.shopper));
        let histories = learner.histories().clone();
        Ok(Self { events, at, n_items, n_shoppers, learner, histories })
    }

    /// Mean NDCG@20 on choices that came soon after, as if they were made `number` events after the poison began.
    fn ndcg(&self, model: &Ensemble, number: usize) -> f64 {
        let weights = self.learner.weights();
        let later = &self.events[self.at..(self.at + SOON).min(self.events.len())];
        let now_ms = self.events[(self.at + number).min(self.events.len() - 1)].at_ms;
        let mut prepared = Prepared::default();
        let probes = later.iter().step_by((later.len() / N_PROBES).max(1)).take(N_PROBES);
        let gains: Vec<f64> = probes
            .map(|event| {
                let history = self.histories.get(event.shopper);
                let context = Context::new(&history, event.session, now_ms, weights);
                let list = model.rank(&context, &mut prepared, 20, |_| true);
                let rank = list.iter().position(|scored| scored.item == event.item);
                rank.map_or(0.0, |rank| 1.0 / ((rank + 2) as f64).log2())
            })
            .collect();
        gains.iter().sum::<f64>() / gains.len().max(1) as f64
    }
}

fn step(learner: &mut Learner, offset: usize, event: &Interaction) -> anyhow::Result<()> {
    Ok(learner.step(Offset(offset as u64), event.at_ms, Fact::Interaction(*event, Names::default()))?)
}

/// The result of one kind and share.
struct Case {
    /// Events from the first poisoned one to the rollback.
    delay: Option<usize>,
    /// Events until the loss without a guard reached a fifth; `None` if it never did.
    harmful_at: Option<usize>,
    /// The largest loss of NDCG@20 without a guard, as a share of the value before.
    worst_unguarded: f64,
    /// The loss just before the rollback, and at the end.
    at_alarm: f64,
    after: f64,
}

/// Follows the stream from the scene's point on; `poison` changes events, `look` is called with the learner at
/// intervals.
fn follow(
    scene: &Scene,
    guard: bool,
    n_events: usize,
    poison: impl Fn(usize, &Interaction) -> Interaction,
    mut look: impl FnMut(usize, &Learner),
) -> anyhow::Result<Learner> {
    let mut learner = scene.learner.clone();
    let mut settings: LearnSettings = learner.settings().clone();
    settings.guard.enabled = guard;
    let text = settings.to_record();
    learner.step(Offset(scene.at as u64), 0, Fact::Settings(&text))?;
    for (number, clean) in scene.events[scene.at..].iter().take(n_events).enumerate() {
        step(&mut learner, scene.at + 1 + number, &poison(number, clean))?;
        look(number, &learner);
    }
    Ok(learner)
}

fn poisoned(scene: &Scene, poison: Poison, share: u64, n_events: usize) -> anyhow::Result<Case> {
    let poisoned = |number: usize, clean: &Interaction| {
        let mut draws = Draws::new(99, 1, number as u64);
        match draws.below(100) < share {
            true => poison.of(clean, &mut draws, scene.n_items, scene.n_shoppers),
            false => *clean,
        }
    };
    let before = scene.learner.ensemble();
    let loss = |model: &Ensemble, number: usize| 1.0 - scene.ndcg(model, number) / scene.ndcg(before, number);
    let (mut worst_unguarded, mut harmful_at) = (0.0, None);
    follow(scene, false, n_events, poisoned, |number, learner| {
        if number % LOOK_EVERY == LOOK_EVERY - 1 {
            let loss = loss(learner.ensemble(), number);
            worst_unguarded = f64::max(worst_unguarded, loss);
            if loss >= HARM && harmful_at.is_none() {
                harmful_at = Some(number + 1);
            }
        }
    })?;
    let alarms_before = scene.learner.n_alarms();
    let (mut delay, mut at_alarm, mut last) = (None, 0.0, scene.learner.ensemble().clone());
    let guarded = follow(scene, true, n_events, poisoned, |number, learner| {
        if delay.is_none() && learner.n_alarms() > alarms_before {
            delay = Some(number + 1);
            at_alarm = loss(&last, number);
        }
        if number % 64 == 0 && delay.is_none() {
            last = learner.ensemble().clone();
        }
    })?;
    Ok(Case { delay, harmful_at, worst_unguarded, at_alarm, after: loss(guarded.serving(), n_events - 1) })
}

fn poison(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let events = match &bed.datasets {
        Some(datasets) => dataset::online_retail(datasets)?,
        None => retail_corpus(bed.size.pick(12_000, 120_000, 350_000)).lines().map(|line| line.interaction()).collect(),
    };
    let (at, n_events) = (events.len() * 3 / 5, bed.size.pick(1_000, 4_000, 8_000));
    let scene = Scene::new(bed, events, at)?;
    let first = scene.ndcg(scene.learner.ensemble(), 0);
    bed.note(format!("  poison after {at} clean events, {n_events} events long; NDCG@20 {first:.4} before it"));
    bed.note("  kind, share: largest loss without a guard; rollback after; loss just before it, at the end");
    let (mut delays, mut restored, mut n_harmful, mut n_missed) = (Vec::new(), Vec::new(), 0, 0);
    for kind in KINDS {
        for share in SHARES {
            let case = poisoned(&scene, kind, share, n_events)?;
            let Case { delay, harmful_at, worst_unguarded, at_alarm, after } = case;
            let delayed = delay.map_or("never".into(), |delay| format!("{delay} events"));
            let percent = |share: f64| format!("{:.0} %", 100.0 * share);
            let (worst, at, end) = (percent(worst_unguarded), percent(at_alarm), percent(after));
            let harmful = harmful_at.map_or("never".into(), |events| format!("{events} events"));
            bed.note(format!("  {kind:?} {share} %: {worst}, a fifth after {harmful}; {delayed}; {at}, {end}"));
            if let Some(harmful_at) = harmful_at {
                n_harmful += 1;
                n_missed += usize::from(delay.is_none());
                delays.push(delay.unwrap_or(n_events).saturating_sub(harmful_at) as f64);
                restored.push((1.0 - after / worst_unguarded).clamp(0.0, 1.0));
            }
        }
    }
    let samples = n_harmful as u64;
    Ok(vec![
        Figure { value: delays.into_iter().fold(0.0, f64::max), samples },
        Figure { value: restored.into_iter().fold(1.0, f64::min), samples },
        Figure { value: n_harmful as f64, samples: (KINDS.len() * SHARES.len()) as u64 },
        Figure { value: n_missed as f64, samples },
    ])
}

fn clean(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_events = bed.size.pick(10_000, 300_000, 3_000_000);
    let mut learner = Learner::new(learn_settings(&bed.config));
    for (offset, line) in retail_corpus(n_events).lines().enumerate() {
        step(&mut learner, offset, &line.interaction())?;
    }
    report(bed, "retail-like", &learner);
    let mut n_alarms = learner.n_alarms();
    if let Some(datasets) = &bed.datasets {
        let mut learner = Learner::new(learn_settings(&bed.config));
        for (offset, event) in dataset::online_retail(datasets)?.iter().enumerate() {
            step(&mut learner, offset, event)?;
        }
        report(bed, "online retail", &learner);
        n_alarms += learner.n_alarms();
    }
    Ok(vec![Figure { value: n_alarms as f64, samples: n_events }])
}

fn report(bed: &Bed<'_>, stream: &str, learner: &Learner) {
    bed.note(format!("  {stream}: {} learned, {} rollbacks", learner.n_learned(), learner.n_alarms()));
    for entry in learner.lineage().entries() {
        let (stream, anchor) = (entry.ndcg_of_good - entry.ndcg, entry.holdout_ndcg_of_good - entry.holdout_ndcg);
        bed.note(format!(
            "    version {} at {}: {}; ndcg {:.3}, lost {stream:.3} (stream), {anchor:.3} (anchors) of {} choices; {}",
            entry.number,
            entry.offset,
            entry.status.name(),
            entry.ndcg,
            entry.examined,
            entry.why
        ));
    }
}
