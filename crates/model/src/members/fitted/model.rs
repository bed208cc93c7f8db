//! The model: when a fit begins, when its result takes effect, and how it scores.

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
use crate::members::{Column, Counter, Member};
use crate::stored::StoredFault;
use crate::{Context, Step};

/// Choices before the first fit.
const FIRST: u64 = 1_000;

/// A fitted model that is fitted on the latest choices at intervals.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Fitted {
    settings: FittedSettings,
    seed: u64,
    choices: Choices,
    /// A fit begins when there are this many choices.
    next: u64,
    pending: Option<Pending>,
    current: Option<Arc<CurrentFit>>,
    outcome: Outcome,
}

/// A fit that has begun.
#[derive(Clone, Debug)]
struct Pending {
    /// It learns from the choices before this one.
    frozen: u64,
    /// Its result takes effect when there are this many choices.
    due: u64,
    fit: Arc<PendingFit>,
}

/// The model that scores.
#[derive(Debug, Deserialize)]
struct CurrentFit {
    model: AnyModel,
    /// Items that it knows.
    n_items: usize,
    /// It never changes, so one checkpoint stores it and the next ones refer to that.
    #[serde(skip)]
    marks: PageMarks,
}

impl PartialEq for CurrentFit {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model && self.n_items == other.n_items
    }
}

impl Serialize for CurrentFit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_tuple(1)?;
        serialize_pages(&self.marks, 1, |_| page.serialize_element(&(&self.model, self.n_items)))?;
        page.end()
    }
}

/// The outcomes of fits so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Outcome {
    n_fits: u64,
    n_failed: u64,
    /// Why the last one failed, if it did.
    fault: Option<Box<str>>,
}

/// What a checkpoint stores. A fit that has begun begins again from the choices, which are all stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: FittedSettings,
    seed: u64,
    choices: Choices,
    next: u64,
    pending: Option<(u64, u64)>,
    current: Option<Arc<CurrentFit>>,
    outcome: Outcome,
}

impl From<Fitted> for Stored {
    fn from(model: Fitted) -> Self {
        let Fitted { settings, seed, choices, next, pending, current, outcome } = model;
        let pending = pending.map(|pending| (pending.frozen, pending.due));
        Self { settings, seed, choices, next, pending, current, outcome }
    }
}

impl TryFrom<Stored> for Fitted {
    type Error = StoredFault;

    fn try_from(stored: Stored) -> Result<Self, StoredFault> {
        let Stored { settings, seed, choices, next, pending, current, outcome } = stored;
        let mut model = Self { settings, seed, choices, next, pending: None, current, outcome };
        if model.settings.model.settings().is_none() {
            return Err(StoredFault::NoKind);
        }
        if let Some((frozen, due)) = pending {
            if frozen > model.choices.n() || due <= model.choices.n() {
                return Err(StoredFault::Fit { frozen, due, n: model.choices.n() });
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
            && self.current == other.current
            && self.outcome == other.outcome
    }
}

/// A fit whose data is frozen. Its result is a function of that data, the settings and the seed; it does not depend on
/// the thread or the time of the computation.
#[derive(Debug)]
pub struct PendingFit {
    choices: Choices,
    from: u64,
    to: u64,
    settings: AnySettings,
    seed: u64,
    claimed: AtomicBool,
    result: OnceLock<Result<Arc<CurrentFit>, FitError>>,
}

impl PendingFit {
    /// Claims the fit for the caller: `true` unless another thread has claimed it. The thread that claims a fit
    /// computes it before it is due. A fit may also stay unclaimed.
    pub fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Fits the model, or waits for the thread that is fitting it.
    pub fn compute(&self) {
        self.result();
    }

    /// Whether it was computed.
    pub fn is_ready(&self) -> bool {
        self.result.get().is_some()
    }

    fn result(&self) -> &Result<Arc<CurrentFit>, FitError> {
        let fit = || {
            let data = self.choices.histories(self.from, self.to);
            let model = self.settings.fit(&data, &Fit::quiet(self.seed, 1))?;
            Ok(Arc::new(CurrentFit { model, n_items: data.n_items(), marks: PageMarks::default() }))
        };
        // A fault of one model must not end the learner: it keeps the model of the fit before.
        self.result.get_or_init(|| catch_unwind(AssertUnwindSafe(fit)).unwrap_or(Err(FitError::Panicked)))
    }
}

/// The fitted model's scores of all items for one shopper, with what standardises them.
#[derive(Clone, Debug, Default)]
pub struct FittedScores {
    /// `[n_items]`; empty if there is no score.
    scores: Vec<f32>,
    mean: f32,
    /// One over the standard deviation.
    scale: f32,
    history: Vec<u32>,
}

impl Member for Fitted {
    type Settings = FittedSettings;
    type Situation = FittedScores;

    const COLUMNS: &'static [Column] = &[Column::log("fitted", -4.0, 0.75, 0.2)];
    const TIES_BY_POPULARITY: bool = true;
    const RETRIEVES_FOR_LEARNING: bool = false;
    const REPORT: Option<&'static str> = Some("fits");
    const COUNTERS: &'static [Counter] = &[
        Counter { metric: "fits", field: "fitted", help: "Fits of the fitted model that took effect.", always: false },
        Counter {
            metric: "fits_failed",
            field: "failed",
            help: "Fits that failed; the model before stayed in effect.",
            always: false,
        },
    ];

    /// A model that has learned nothing; `None` for the kind `none`.
    fn new(settings: &FittedSettings, seed: u64) -> Option<Self> {
        settings.model.settings()?;
        Some(Self {
            choices: Choices::new(capacity(settings)),
            next: FIRST.min(settings.every),
            pending: None,
            current: None,
            outcome: Outcome::default(),
            settings: settings.clone(),
            seed,
        })
    }

    /// Keeps the latest choices that the new window holds, and the fitted model if it is of the same kind with the same
    /// settings.
    fn set_settings(&mut self, settings: &FittedSettings, _: u64) -> bool {
        if settings == &self.settings {
            return true;
        }
        if settings.model != self.settings.model {
            self.current = None;
        }
        self.choices = self.choices.resized(capacity(settings));
        self.pending = None;
        self.next = self.choices.n().max(FIRST.min(settings.every));
        self.settings = settings.clone();
        true
    }

    /// Adds a choice; puts a fit that is due into effect, and begins one when it is time. Every choice has the same
    /// weight, whatever its type.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut FittedScores) {
        if step.weight <= 0.0 {
            return;
        }
        self.choices.push(step.event.shopper, step.event.item);
        let n = self.choices.n();
        if let Some(pending) = self.pending.take_if(|pending| pending.due <= n) {
            self.adopt(&pending.fit);
        }
        if n >= self.next {
            let gap = (n / 2).clamp(FIRST.min(self.settings.every), self.settings.every);
            self.pending = Some(self.pending_fit(n, n + gap / 2));
            self.next = n + gap;
        }
    }

    /// Scores all items for a shopper, once.
    fn prepare(&self, _: &Catalogue, context: &Context<'_>, scored: &mut FittedScores) {
        let FittedScores { scores, mean, scale, history } = scored;
        scores.clear();
        let Some(CurrentFit { model, n_items, .. }) = self.current.as_deref() else { return };
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
        // All scores are equal, so no item differs from the mean.
        if !scale.is_finite() || !mean.is_finite() {
            scores.clear();
        }
    }

    /// How far each item's score is above the mean of all items, in standard deviations; 0 for an item younger than the
    /// fit, and for a shopper without a past.
    fn columns(&self, _: &Catalogue, scored: &FittedScores, items: &[ItemIdx], out: &mut [f32]) {
        for (out, &item) in out.iter_mut().zip(items) {
            let score = scored.scores.get(item as usize);
            *out = score.map_or(0.0, |score| (score - scored.mean) * scored.scale);
        }
    }

    /// The items whose scores are furthest above the mean.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, scored: &FittedScores, limit: usize, out: &mut Vec<ItemIdx>) {
        let best = accrue_kernel::top_k(&scored.scores, limit);
        out.extend(best.into_iter().take_while(|&(score, _)| score > scored.mean).map(|(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.choices.share_with(&other.choices);
        if self.current == other.current {
            self.current.clone_from(&other.current);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.pending, &other.pending)
            && (mine.frozen, mine.due) == (theirs.frozen, theirs.due)
            && mine.fit.choices == theirs.fit.choices
        {
            mine.fit = theirs.fit.clone();
        }
    }

    fn n_params(&self) -> u64 {
        self.current.as_ref().map_or(0, |fitted| fitted.model.n_params())
    }

    fn copied_bytes(&self) -> u64 {
        self.choices.copied_bytes()
    }

    fn counts(&self) -> Vec<u64> {
        vec![self.outcome.n_fits, self.outcome.n_failed]
    }

    fn fault(&self) -> Option<&str> {
        self.outcome.fault.as_deref()
    }

    fn is_finite(&self) -> bool {
        // A fit whose parameters are not finite fails and does not take effect.
        true
    }
}

impl Fitted {
    /// After a failure the model before it stays in effect.
    fn adopt(&mut self, fit: &PendingFit) {
        match fit.result() {
            Ok(fitted) => {
                self.current = Some(fitted.clone());
                self.outcome.n_fits += 1;
                self.outcome.fault = None;
            }
            Err(fault) => {
                self.outcome.n_failed += 1;
                self.outcome.fault = Some(fault.to_string().into());
            }
        }
    }

    /// The first choice of the window of a fit that learns from the choices before `to`.
    fn from(&self, to: u64) -> u64 {
        to.saturating_sub(self.settings.window as u64).max(self.choices.oldest())
    }

    fn pending_fit(&self, frozen: u64, due: u64) -> Pending {
        let settings = self.settings.model.settings().expect("a model of the kind `none` is not created").clone();
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

    /// The fit that has begun and has not taken effect yet.
    pub fn pending(&self) -> Option<&Arc<PendingFit>> {
        self.pending.as_ref().map(|pending| &pending.fit)
    }

    /// How many choices can be learned without waiting for a fit that has not been computed yet: those until it is due,
    /// or until the next one begins.
    pub fn free_choices(&self) -> u64 {
        let n = self.choices.n();
        match &self.pending {
            Some(pending) if !pending.fit.is_ready() => pending.due - n - 1,
            _ => self.next - n,
        }
    }

    /// Fits that took effect.
    pub fn n_fits(&self) -> u64 {
        self.outcome.n_fits
    }
}

/// Choices that have to be kept: those of a fit's window, and those that come until it takes effect.
fn capacity(settings: &FittedSettings) -> usize {
    settings.window + settings.every as usize / 2 + 1
}
