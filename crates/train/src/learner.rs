//! The learner: one step per fact, in log order; before some steps it predicts, to know how good it is.
//!
//! In: facts with their offsets. Out: a [`Version`] whenever asked. It keeps histories of its own: the server's may have run
//! ahead, and what a shopper did later must not be seen when an earlier event is learned.

use accrue_event::EventType;
use accrue_model::{Context, Ensemble, Prepared, Step, TypeWeights, Version};
use accrue_store::{Fact, Histories, Interaction, ItemIdx, Offset};
use serde::{Deserialize, Serialize};

use crate::prequential::{LIST, Quality};
use crate::{LearnSettings, TrainError};

/// Stream of the random numbers that choose which events are predicted.
const STREAM: u64 = 0x5052_4551;
/// Predictions become rarer by one in a step of so many records.
const YOUTH: u64 = 4_096;

/// The learned state up to an offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    settings: LearnSettings,
    ensemble: Ensemble,
    histories: Histories,
    weights: TypeWeights,
    quality: Quality,
    /// Interactions learned.
    n_learned: u64,
    /// Records folded.
    end: Offset,
    #[serde(skip)]
    prepared: Prepared,
    #[serde(skip)]
    published: u64,
}

impl PartialEq for Learner {
    fn eq(&self, other: &Self) -> bool {
        self.end == other.end
            && self.settings == other.settings
            && self.ensemble == other.ensemble
            && self.histories == other.histories
            && self.weights == other.weights
            && self.quality == other.quality
    }
}

impl Learner {
    /// Nothing learned yet.
    pub fn new(settings: LearnSettings) -> Self {
        let mut weights = TypeWeights::default();
        for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
            weights.set(code as u8, settings.weight(event_type));
        }
        Self {
            ensemble: Ensemble::new(settings.models.clone(), settings.seed),
            histories: Histories::new(settings.history_capacity),
            settings,
            weights,
            quality: Quality::default(),
            n_learned: 0,
            end: Offset(0),
            prepared: Prepared::default(),
            published: 0,
        }
    }

    /// The next record to learn from.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Interactions learned so far.
    pub fn n_learned(&self) -> u64 {
        self.n_learned
    }

    /// The models.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// What each shopper did, as far as it was learned.
    pub fn histories(&self) -> &Histories {
        &self.histories
    }

    /// How well it foresees what happens next.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// The settings in force.
    pub fn settings(&self) -> &LearnSettings {
        &self.settings
    }

    /// What each type of event is worth.
    pub fn weights(&self) -> &TypeWeights {
        &self.weights
    }

    /// Takes the next record's fact in. `at_ms` is when the record came in, `type_of` names a custom type by its code.
    ///
    /// # Errors
    /// If a settings record cannot be read.
    ///
    /// # Panics
    /// If the record is not the next one.
    pub fn step(
        &mut self,
        offset: Offset,
        at_ms: i64,
        fact: Fact<'_>,
        type_of: impl Fn(u8) -> Option<EventType>,
    ) -> Result<(), TrainError> {
        assert_eq!(offset, self.end, "records are learned in order, without a gap");
        match fact {
            Fact::Nothing => {}
            Fact::Interaction(event) => {
                self.weigh(event.type_code, type_of);
                self.learn(offset, &event);
            }
            Fact::Described(item, description) => {
                let seen_ms = description.published_at.map_or(at_ms, |published_at| published_at.0);
                self.ensemble.see_item(item, seen_ms);
                self.ensemble.preference.describe(item, description);
            }
            Fact::Patched(item, patch) => {
                self.ensemble.see_item(item, at_ms);
                self.ensemble.preference.patch(item, patch);
            }
            Fact::Merged { guest, user } => self.histories.merge(guest, user),
            Fact::Settings(text) => self.adopt(text)?,
        }
        self.end = offset.next();
        Ok(())
    }

    /// Gives a custom type its weight at its first event.
    fn weigh(&mut self, type_code: u8, type_of: impl Fn(u8) -> Option<EventType>) {
        if usize::from(type_code) >= self.weights.len()
            && let Some(event_type) = type_of(type_code)
        {
            self.weights.set(type_code, self.settings.weight(&event_type));
        }
    }

    fn adopt(&mut self, text: &str) -> Result<(), TrainError> {
        let settings = LearnSettings::from_record(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        if self.n_learned == 0 {
            *self = Self { end: self.end, published: self.published, ..Self::new(settings) };
            return Ok(());
        }
        for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
            self.weights.set(code as u8, settings.weight(event_type));
        }
        self.weights.truncate(EventType::BUILT_IN.len());
        self.ensemble.set_settings(settings.models.clone(), self.settings.seed);
        self.settings =
            LearnSettings { seed: self.settings.seed, history_capacity: self.settings.history_capacity, ..settings };
        Ok(())
    }

    fn learn(&mut self, offset: Offset, event: &Interaction) {
        self.ensemble.see_item(event.item, event.at_ms);
        let weight = self.weights.get(event.type_code);
        let context = Context::new(self.histories.get(event.shopper), event.session, event.at_ms, &self.weights);
        let one_in = (1 + offset.0 / YOUTH).min(self.settings.predict_one_in.max(1));
        if weight > 0.0 && accrue_kernel::random(self.settings.seed, STREAM, offset.0, 0).is_multiple_of(one_in) {
            self.ensemble.refresh();
            let list = self.ensemble.rank(&context, &mut self.prepared, LIST, |_| true);
            let rank = list.iter().position(|scored| scored.item == event.item);
            let repeat = context.past.iter().any(|past| past.item == event.item);
            self.quality.one_in = one_in;
            self.quality.count(rank, repeat, self.ensemble.n_items());
        }
        let step = Step {
            offset: offset.0,
            seed: self.settings.seed,
            context,
            event: *event,
            weight,
            n_items: self.ensemble.n_items(),
        };
        self.ensemble.learn(&step, &mut self.prepared);
        self.histories.push(event);
        self.n_learned += 1;
    }

    /// Takes note that there is an item, and learns nothing: what is for sale is known also while the models stand still.
    pub fn see_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.ensemble.see_item(item, at_ms);
    }

    /// Forgets what shoppers did, but nothing that was learned: the same events may then be learned once more.
    pub fn begin_epoch(&mut self) {
        self.histories = Histories::new(self.settings.history_capacity);
    }

    /// Freezes the models as they stand. What was copied by earlier publications is shared, not copied again.
    pub fn publish(&mut self) -> Version {
        self.ensemble.refresh();
        self.published += 1;
        Version {
            number: self.published,
            offset: self.end.0,
            ensemble: self.ensemble.clone(),
            weights: self.weights.clone(),
        }
    }
}
