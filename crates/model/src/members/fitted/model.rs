//! The model: when a fit begins, when its result is in force, and how it scores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use accrue_store::{ItemIdx, PageMarks, serialize_pages};
use serde::ser::{SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

use super::choices::Choices;
use super::settings::FittedSettings;
use crate::catalogue::Catalogue;
use crate::collaborative::{AnyModel, AnySettings, Fit, FitError};
use crate::members::{Column, Member};
use crate::{Context, Step};

/// Choices before the first fit.
const FIRST: u64 = 1_000;

/// A model of whole data sets that follows the stream from fit to fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Fitted {
    settings: FittedSettings,
    seed: u64,
    choices: Choices,
    /// A fit begins when there are so many choices.
    next: u64,
    pending: Option<Pending>,
    in_force: Option<Arc<InForce>>,
    outcome: Outcome,
}

/// A fit that has begun.
#[derive(Clone, Debug)]
struct Pending {
    /// It learns from the choices before this one.
    frozen: u64,
    /// Its result is in force when there are so many choices.
    due: u64,
    fit: Arc<PendingFit>,
}

/// The model that answers.
#[derive(Debug, Deserialize)]
struct InForce {
    model: AnyModel,
    /// Items that it knows.
    n_items: usize,
    /// It never changes, so one checkpoint has it and the next ones refer to that.
    #[serde(skip)]
    marks: PageMarks,
}

impl PartialEq for InForce {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model && self.n_items == other.n_items
    }
}

impl Serialize for InForce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_tuple(1)?;
        serialize_pages(&self.marks, 1, |_| page.serialize_element(&(&self.model, self.n_items)))?;
        page.end()
    }
}

/// What came of fits so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Outcome {
    n_fits: u64,
    n_failed: u64,
    /// Why the last one failed, if it did.
    fault: Option<Box<str>>,
}

/// What a checkpoint keeps: a fit that has begun is begun again from the choices, which are all there.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: FittedSettings,
    seed: u64,
    choices: Choices,
    next: u64,
    pending: Option<(u64, u64)>,
    in_force: Option<Arc<InForce>>,
    outcome: Outcome,
}

impl From<Fitted> for Stored {
    fn from(model: Fitted) -> Self {
        let Fitted { settings, seed, choices, next, pending, in_force, outcome } = model;
        let pending = pending.map(|pending| (pending.frozen, pending.due));
        Self { settings, seed, choices, next, pending, in_force, outcome }
    }
}

impl TryFrom<Stored> for Fitted {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { settings, seed, choices, next, pending, in_force, outcome } = stored;
        let mut model = Self { settings, seed, choices, next, pending: None, in_force, outcome };
        if model.settings.model.settings().is_none() {
            return Err("a fitted model of the kind `none`".into());
        }
        if let Some((frozen, due)) = pending {
            if frozen > model.choices.n() || due <= model.choices.n() {
                return Err(format!("a fit from {frozen} to {due} does not hold at {} choices", model.choices.n()));
            }
            model.pending = Some(model.pending_fit(frozen, due));
        }
        Ok(model)
    }
}

impl PartialEq for Fitted {
    fn eq(&self, other: &Self) -> bool {
        let places = |pending: &Option<Pending>| pending.as_ref().map(|pending| (pending.frozen, pending.due));
        self.settings == other.settings
            && (self.seed, self.next) == (other.seed, other.next)
            && self.choices == other.choices
            && places(&self.pending) == places(&other.pending)
            && self.in_force == other.in_force
            && self.outcome == other.outcome
    }
}

/// A fit whose data is frozen. Its result is a function of that data, the settings and the seed, whoever computes it and when.
#[derive(Debug)]
pub struct PendingFit {
    choices: Choices,
    from: u64,
    to: u64,
    settings: AnySettings,
    seed: u64,
    claimed: AtomicBool,
    result: OnceLock<Result<Arc<InForce>, FitError>>,
}

impl PendingFit {
    /// Whether nobody has claimed it yet; from here on the caller has. Who claims it computes it ahead of its time; it need not be
    /// claimed at all.
    pub fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Fits the model, or waits until whoever began has done so.
    pub fn compute(&self) {
        self.result();
    }

    /// Whether it was computed.
    pub fn is_ready(&self) -> bool {
        self.result.get().is_some()
    }

    fn result(&self) -> &Result<Arc<InForce>, FitError> {
        let fit = || {
            let data = self.choices.histories(self.from, self.to);
            let model = self.settings.fit(&data, &Fit::quiet(self.seed, 1))?;
            Ok(Arc::new(InForce { model, n_items: data.n_items(), marks: PageMarks::default() }))
        };
        // A fault of one model shall not end the learner: it goes on with what was in force.
        self.result.get_or_init(|| catch_unwind(AssertUnwindSafe(fit)).unwrap_or(Err(FitError::Panicked)))
    }
}

/// The items of the catalogue as the model scores them for one shopper.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// `[n_items]`; empty where nothing can be said.
    scores: Vec<f32>,
    mean: f32,
    /// One over the standard deviation.
    scale: f32,
    history: Vec<u32>,
}

impl Member for Fitted {
    type Settings = FittedSettings;
    type Situation = Standing;

    const COLUMNS: &'static [Column] = &[Column::log("fitted", -4.0, 0.75, 0.2)];
    const TIES_BY_POPULARITY: bool = true;
    const RETRIEVES_FOR_LEARNING: bool = false;

    /// Nothing learned yet; `None` for the kind `none`.
    fn new(settings: &FittedSettings, seed: u64) -> Option<Self> {
        settings.model.settings()?;
        Some(Self {
            choices: Choices::new(capacity(settings)),
            next: FIRST.min(settings.every),
            pending: None,
            in_force: None,
            outcome: Outcome::default(),
            settings: settings.clone(),
            seed,
        })
    }

    /// Choices stay as far as there is room for them; what is fitted goes on if it is the same model.
    fn set_settings(&mut self, settings: &FittedSettings, _: u64) -> bool {
        if settings == &self.settings {
            return true;
        }
        if settings.model != self.settings.model {
            self.in_force = None;
        }
        self.choices = self.choices.resized(capacity(settings));
        self.pending = None;
        self.next = self.choices.n().max(FIRST.min(settings.every));
        self.settings = settings.clone();
        true
    }

    /// Takes a choice in; puts a fit in force that is due, and begins one when it is time. Every choice counts alike, whatever its type
    /// is worth.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut Standing) {
        if step.weight <= 0.0 {
            return;
        }
        self.choices.push(step.event.shopper, step.event.item);
        let n = self.choices.n();
        if let Some(pending) = self.pending.take_if(|pending| pending.due <= n) {
            self.put_in_force(&pending.fit);
        }
        if n >= self.next {
            let gap = (n / 2).clamp(FIRST.min(self.settings.every), self.settings.every);
            self.pending = Some(self.pending_fit(n, n + gap / 2));
            self.next = n + gap;
        }
    }

    /// Scores all items for a shopper, once.
    fn prepare(&self, _: &Catalogue, context: &Context<'_>, standing: &mut Standing) {
        let Standing { scores, mean, scale, history } = standing;
        scores.clear();
        let Some(InForce { model, n_items, .. }) = self.in_force.as_deref() else { return };
        history.clear();
        let known = context.past.iter().filter(|past| context.weight(past) > 0.0 && (past.item as usize) < *n_items);
        history.extend(known.map(|past| past.item));
        if history.is_empty() {
            return;
        }
        scores.resize(*n_items, 0.0);
        model.score(history, scores);
        let n = *n_items as f64;
        let of_all = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / n;
        let variance = scores.iter().map(|&score| (f64::from(score) - of_all).powi(2)).sum::<f64>() / n;
        (*mean, *scale) = (of_all as f32, (1.0 / variance.sqrt()) as f32);
        // All alike: nothing stands out.
        if !scale.is_finite() || !mean.is_finite() {
            scores.clear();
        }
    }

    /// How far each item's score lies above the mean of all items, in standard deviations; 0 for an item younger than the fit, and for a
    /// shopper without a past.
    fn columns(&self, _: &Catalogue, standing: &Standing, items: &[ItemIdx], out: &mut [f32]) {
        for (out, &item) in out.iter_mut().zip(items) {
            let score = standing.scores.get(item as usize);
            *out = score.map_or(0.0, |score| (score - standing.mean) * standing.scale);
        }
    }

    /// The items that stand out most.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, standing: &Standing, limit: usize, out: &mut Vec<ItemIdx>) {
        let best = accrue_kernel::top_k(&standing.scores, limit);
        out.extend(best.into_iter().take_while(|&(score, _)| score > standing.mean).map(|(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.choices.share_with(&other.choices);
        if self.in_force == other.in_force {
            self.in_force.clone_from(&other.in_force);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.pending, &other.pending)
            && (mine.frozen, mine.due) == (theirs.frozen, theirs.due)
            && mine.fit.choices == theirs.fit.choices
        {
            mine.fit = theirs.fit.clone();
        }
    }

    fn n_params(&self) -> u64 {
        self.in_force.as_ref().map_or(0, |fitted| fitted.model.n_params())
    }

    fn copied_bytes(&self) -> u64 {
        self.choices.copied_bytes()
    }
}

impl Fitted {
    /// What failed leaves the model before it in force.
    fn put_in_force(&mut self, fit: &PendingFit) {
        match fit.result() {
            Ok(fitted) => {
                self.in_force = Some(fitted.clone());
                self.outcome.n_fits += 1;
                self.outcome.fault = None;
            }
            Err(fault) => {
                self.outcome.n_failed += 1;
                self.outcome.fault = Some(fault.to_string().into());
            }
        }
    }

    /// The first choice that a fit learns from which learns from those before `to`.
    fn from(&self, to: u64) -> u64 {
        to.saturating_sub(self.settings.window as u64).max(self.choices.oldest())
    }

    fn pending_fit(&self, frozen: u64, due: u64) -> Pending {
        let settings = self.settings.model.settings().expect("a model of no kind is not made").clone();
        let fit = PendingFit {
            choices: self.choices.clone(),
            from: self.from(frozen),
            to: frozen,
            settings,
            seed: self.seed,
            claimed: AtomicBool::new(false),
            result: OnceLock::new(),
        };
        Pending { frozen, due, fit: Arc::new(fit) }
    }

    /// The fit that has begun and is not in force yet.
    pub fn pending(&self) -> Option<&Arc<PendingFit>> {
        self.pending.as_ref().map(|pending| &pending.fit)
    }

    /// So many choices can be learned without waiting for a fit that nobody has computed yet: those until it is due, or until the next
    /// one begins.
    pub fn free_choices(&self) -> u64 {
        let n = self.choices.n();
        match &self.pending {
            Some(pending) if !pending.fit.is_ready() => pending.due - n - 1,
            _ => self.next - n,
        }
    }

    /// Fits that came into force.
    pub fn n_fits(&self) -> u64 {
        self.outcome.n_fits
    }

    /// Fits that failed; the model before stayed in force.
    pub fn n_failed(&self) -> u64 {
        self.outcome.n_failed
    }

    /// Why the last fit failed, if it did.
    pub fn fault(&self) -> Option<&str> {
        self.outcome.fault.as_deref()
    }
}

/// Choices that have to be kept: those of a fit's window, and those that come until it is in force.
fn capacity(settings: &FittedSettings) -> usize {
    settings.window + settings.every as usize / 2 + 1
}
