//! The stream protocol: events in time order; the model predicts each chosen item, then learns it.
//!
//! Every `every`-th event from day `from_day` on is predicted: all items seen so far are ranked, and among equal scores
//! the target ranks last. With `unit = line` the history contains everything before the event, including earlier lines
//! of its basket. With `unit = basket` both history and model end before the basket (the session) begins. With
//! `unit = day` they end before the day (UTC) begins, for files whose times are dates, so that the order within a day
//! is unknown. The history is current in every mode; modes differ in when the models learn (`policy.rs`). With
//! `new_items = 2..10` only the second to tenth event of each item that comes after `from_day` is predicted: what the models
//! know of an item that few have chosen. The first event of an item whose description comes with it is given away by the
//! item's age of 0, so it is better left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use accrue_event::{DAY_MS, Event, Item, Timestamp, User};
use accrue_model::{Context, Prepared};
use accrue_store::{Body, CheckedEvent, Circumstances, Fact, Facts, ItemIdx, ItemVector, Offset, Record};
use accrue_train::{EarlierRecords, LearnSettings, Learner, Take, TrainError};

use crate::LabError;
use crate::cost::Stopwatch;
use crate::metrics::{Hit, mean};
use crate::policy::{Mode, Span, Timetable};
use crate::report::{BLOCKS, DriftFigures, ImpressionFigures, Report, blocks, intervals, metrics, weeks};

/// Stream of the random numbers that shuffle lines.
const SHUFFLE: u64 = 0x5348_5546;
/// Most epochs tried for `epochs = auto`.
const MAX_EPOCHS: u32 = 6;

const NO_EVENTS: &str = "there is no event with an item to learn from";
const NO_PREDICTIONS: &str =
    "none of the events after `from_day` is among those that are predicted; say a smaller `every`";
const NO_NEW_ITEMS: &str = "none of the events that are predicted is of an item that came after `from_day`; say an earlier one, or a smaller `every`";

/// How much of its own basket or day a prediction's history contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Everything before the event.
    Line,
    /// Nothing of the basket.
    Basket,
    /// Nothing of the day.
    Day,
}

impl Unit {
    /// The name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Line => "line",
            Unit::Basket => "basket",
            Unit::Day => "day",
        }
    }
}

/// Settings of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSettings {
    /// How much of its basket or day a history contains.
    pub unit: Unit,
    /// When the models learn.
    pub mode: Mode,
    /// One event in this number is predicted.
    pub every: usize,
    /// Days of learning before the first prediction.
    pub from_day: i64,
    /// If given: only these events of each item whose first event is after these days are predicted, counted from 1.
    pub new_items: Option<RangeInclusive<u32>>,
    /// Shuffle the lines of each basket with this seed, because the order of a receipt is not the shopper's order.
    pub shuffle: Option<u64>,
    /// Whether the guard is on, as in a server: the models are regularised towards the reference state and rolled back
    /// after harm.
    pub guard: bool,
    /// Settings of the models, with the seed.
    pub learn: LearnSettings,
}

/// Events that the check accepted, and descriptions of items, as a mapping produced them.
#[derive(Clone, Debug, Default)]
pub struct StreamData {
    /// The events, in any order; they are sorted by time, stably.
    pub events: Vec<Event>,
    /// Descriptions of items: each with the index of the event that it came with.
    pub items: Vec<(usize, Item)>,
    /// Vectors that an encoder computed from descriptions, each with the index of the event that the description came
    /// with.
    pub vectors: Vec<(usize, ItemVector)>,
    /// Descriptions of users, which come before all events.
    pub users: Vec<User>,
}

impl StreamData {
    /// Records in time order, each description before the event that it came with.
    pub(crate) fn into_records(self, shuffle: Option<u64>) -> Vec<Record> {
        let mut described: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        for (place, item) in self.items {
            described.entry(place).or_default().push(item);
        }
        let mut encoded: BTreeMap<usize, Vec<ItemVector>> = BTreeMap::new();
        for (place, vector) in self.vectors {
            encoded.entry(place).or_default().push(vector);
        }
        let mut order: Vec<usize> = (0..self.events.len()).collect();
        order.sort_by_key(|&place| self.events[place].at);
        if let Some(seed) = shuffle {
            shuffle_baskets(&self.events, &mut order, seed);
        }
        let mut events: Vec<Option<Event>> = self.events.into_iter().map(Some).collect();
        let mut records = Vec::with_capacity(events.len() + self.users.len());
        let begins = order.first().and_then(|&place| events[place].as_ref()).map_or(Timestamp(0), |event| event.at);
        for user in self.users {
            let offset = Offset(records.len() as u64);
            records.push(Record { offset, received_at: begins, body: Body::User(user) });
        }
        for place in order {
            let event = events[place].take().expect("each index occurs once");
            let received_at = event.at;
            let items = described.remove(&place).unwrap_or_default();
            let bodies = items.into_iter().map(|item| Body::Item(Box::new(item)));
            let vectors = encoded.remove(&place).unwrap_or_default();
            let vectors = vectors.into_iter().map(|vector| Body::Encoded(Box::new(vector)));
            let event = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
            for body in bodies.chain(vectors).chain([event]) {
                records.push(Record { offset: Offset(records.len() as u64), received_at, body });
            }
        }
        records
    }
}

/// Permutes the events of each basket among the basket's positions.
fn shuffle_baskets(events: &[Event], order: &mut [usize], seed: u64) {
    let mut baskets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (slot, &place) in order.iter().enumerate() {
        if let Some(session) = &events[place].session {
            baskets.entry(session.as_str()).or_default().push(slot);
        }
    }
    for (number, slots) in baskets.into_values().enumerate() {
        let mut places: Vec<usize> = slots.iter().map(|&slot| order[slot]).collect();
        accrue_kernel::Draws::new(seed, SHUFFLE, number as u64).shuffle(&mut places);
        for (slot, place) in slots.into_iter().zip(places) {
            order[slot] = place;
        }
    }
}

/// Runs the protocol. `progress` is called with the share done.
///
/// # Errors
/// [`LabError::Empty`] if there is nothing to predict.
pub fn evaluate_stream(
    data: StreamData,
    settings: &StreamSettings,
    progress: impl FnMut(f64),
) -> Result<Report, LabError> {
    let records = data.into_records(settings.shuffle);
    let plan = Plan::new(&records, settings)?;
    let mode = match settings.mode {
        Mode::Retrain { every, warm, epochs: None } => {
            Mode::Retrain { every, warm, epochs: Some(tuned_epochs(&records, settings)?) }
        }
        mode => mode,
    };
    let mut stopwatch = Stopwatch::start();
    let mut run = Run::new(&records, settings, mode);
    run.run(&plan, &mut stopwatch, progress)?;
    let Run { hits, learner, n_learned, .. } = run;
    let part = settings.learn.models.part;
    Ok(Report {
        protocol: "stream",
        model: part.name().to_string(),
        settings: described(settings, mode),
        seed: settings.learn.seed,
        metrics: metrics(&hits),
        ci95: intervals(&hits, settings.learn.seed),
        weeks: weeks(&hits),
        blocks: blocks(&hits),
        drift: drift_figures(&learner),
        clicks: ImpressionFigures::of(learner.clicks().heads()),
        n_eval: hits.len(),
        n_params: learner.ensemble().n_params(),
        cost: stopwatch.cost(n_learned),
        hits,
    })
}

fn drift_figures(learner: &Learner) -> DriftFigures {
    let drift = &learner.quality().drift;
    DriftFigures { n_changes: drift.n_changes(), n_worse: drift.n_worse(), changes: drift.changes().to_vec() }
}

/// Which events are predicted, and at which record.
struct Plan {
    /// Events to predict, by the index of the record before which they are predicted: lists of events of one shopper
    /// each.
    targets: BTreeMap<usize, Vec<Vec<usize>>>,
    /// Time of the first possible prediction.
    begins_ms: i64,
    /// Record indices of all events.
    events: Vec<usize>,
}

impl Plan {
    fn new(records: &[Record], settings: &StreamSettings) -> Result<Self, LabError> {
        let lines: Vec<usize> = (0..records.len()).filter(|&place| event_of(&records[place]).is_some()).collect();
        let first = lines.first().and_then(|&place| event_of(&records[place]));
        let first_ms = first.ok_or(LabError::Empty(NO_EVENTS))?.at.0;
        let begins_ms = first_ms + settings.from_day * DAY_MS;
        let mut basket_begins: BTreeMap<&str, usize> = BTreeMap::new();
        for &place in lines.iter().rev() {
            if let Some(session) = event_of(&records[place]).and_then(|event| event.session.as_ref()) {
                basket_begins.insert(session.as_str(), place);
            }
        }
        let day_begins = |at_ms: i64| {
            let day_begins_ms = at_ms.div_euclid(DAY_MS) * DAY_MS;
            records.partition_point(|record| record.received_at.0 < day_begins_ms)
        };
        let mut targets: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
        let mut first_events = FirstEvents::default();
        for (number, &place) in lines.iter().enumerate() {
            let event = event_of(&records[place]).expect("lines are events");
            let nth = first_events.count(event, begins_ms);
            let is_asked = settings.new_items.as_ref().is_none_or(|asked| asked.contains(&nth));
            if is_asked && number % settings.every.max(1) == 0 && event.at.0 >= begins_ms {
                let basket = event.session.as_ref().and_then(|session| basket_begins.get(session.as_str()));
                let before = match settings.unit {
                    Unit::Line => place,
                    Unit::Basket => *basket.unwrap_or(&place),
                    Unit::Day => day_begins(event.at.0),
                };
                let lists = targets.entry(before).or_default();
                let shopper_of = |place: usize| event_of(&records[place]).map(Event::shopper);
                match lists.last_mut() {
                    Some(list) if shopper_of(list[0]) == shopper_of(place) => list.push(place),
                    _ => lists.push(vec![place]),
                }
            }
        }
        if targets.is_empty() {
            let last_ms =
                lines.last().and_then(|&place| event_of(&records[place])).map_or(first_ms, |event| event.at.0);
            if last_ms >= begins_ms {
                return Err(LabError::Empty(if settings.new_items.is_some() { NO_NEW_ITEMS } else { NO_PREDICTIONS }));
            }
            return Err(LabError::TooShort {
                n_events: lines.len(),
                days: (last_ms - first_ms) / DAY_MS + 1,
                only_learned: settings.from_day,
                setting: "from_day",
            });
        }
        Ok(Self { targets, begins_ms, events: lines })
    }
}

/// Counts the events of items that are new after some time.
#[derive(Default)]
struct FirstEvents<'a>(BTreeMap<&'a str, u32>);

impl<'a> FirstEvents<'a> {
    /// The number of this event among those of its item, from 1; above all others for an item that came before.
    fn count(&mut self, event: &'a Event, begins_ms: i64) -> u32 {
        let Some(item) = &event.item else { return u32::MAX };
        let before = if event.at.0 < begins_ms { u32::MAX } else { 0 };
        let n = self.0.entry(item.as_str()).or_insert(before);
        *n = n.saturating_add(1);
        *n
    }
}

fn event_of(record: &Record) -> Option<&Event> {
    match &record.body {
        Body::Event(checked) if checked.event.item.is_some() => Some(&checked.event),
        _ => None,
    }
}

/// One pass over the records.
struct Run<'a> {
    records: &'a [Record],
    mode: Mode,
    facts: Facts,
    learner: Learner,
    /// The learner has learned the records before this index.
    learned_before: usize,
    timetable: Timetable,
    /// Offsets of the resets; the learner counts each of them as a record.
    resets: Vec<Offset>,
    /// Number of events before the current record.
    n_events: u64,
    chosen: BTreeSet<(u32, u32)>,
    hits: Vec<Hit>,
    n_learned: u64,
    prepared: Prepared,
}

impl<'a> Run<'a> {
    fn new(records: &'a [Record], settings: &'a StreamSettings, mode: Mode) -> Self {
        // The protocol makes its own predictions, so the learner's are turned off.
        let mut learn = LearnSettings { predict_one_in: u64::MAX, ..settings.learn.clone() };
        // By default the guard is off, because the models are compared by what they learn and not by what is rolled
        // back.
        learn.guard.enabled = settings.guard;
        let mut learner = Learner::new(learn);
        if !mode.is_online() {
            // In these modes the learner adds items before it learns from their events.
            learner.begin_epoch();
        }
        Self {
            records,
            mode,
            facts: Facts::new(settings.learn.history_capacity),
            learner,
            learned_before: 0,
            timetable: Timetable::new(mode),
            resets: Vec::new(),
            n_events: 0,
            chosen: BTreeSet::new(),
            hits: Vec::new(),
            n_learned: 0,
            prepared: Prepared::default(),
        }
    }

    fn run(&mut self, plan: &Plan, stopwatch: &mut Stopwatch, mut progress: impl FnMut(f64)) -> Result<(), LabError> {
        for place in 0..self.records.len() {
            let now_ms = self.records[place].received_at.0;
            self.update(place, now_ms, plan.begins_ms)?;
            if let Some(targets) = plan.targets.get(&place) {
                stopwatch.evaluating(|| targets.iter().for_each(|targets| self.predict(place, targets, plan)));
            }
            self.facts.apply(&self.records[place]);
            if let Some(event) = event_of(&self.records[place])
                && let Some(interaction) = self.facts.interaction(event)
            {
                self.n_events += 1;
                self.chosen.insert((interaction.shopper, interaction.item));
                // In online modes the learner's own step adds the item.
                if !self.mode.is_online() {
                    self.learner.see_item(interaction.item, interaction.at_ms);
                }
            }
            if place % 10_000 == 0 {
                progress(place as f64 / self.records.len() as f64);
            }
        }
        Ok(())
    }

    /// Lets the models learn what the mode allows before record `place`.
    fn update(&mut self, place: usize, now_ms: i64, begins_ms: i64) -> Result<(), LabError> {
        if self.mode.is_online() || now_ms < begins_ms {
            self.learn_before(place)?;
        }
        if self.mode == Mode::Online || now_ms < begins_ms || !self.timetable.is_due(self.n_events, now_ms) {
            return Ok(());
        }
        match self.mode {
            Mode::Reset { .. } => self.reset(now_ms),
            Mode::Retrain { warm, epochs, .. } => self.retrain(place, warm, epochs.unwrap_or(1)),
            _ => self.learn_before(place),
        }
    }

    /// Lets the learner learn all records before `place`.
    fn learn_before(&mut self, place: usize) -> Result<(), LabError> {
        for record in &self.records[self.learned_before..place] {
            let fact = self.facts.resolve(record);
            self.n_learned += u64::from(matches!(fact, Fact::Interaction(..)));
            self.learner.step(self.learner.end(), record.received_at.0, fact)?;
        }
        self.learned_before = place;
        Ok(())
    }

    /// Learns everything so far again from nothing and continues from the result without a gate, so that a reset that a
    /// gate would refuse has its effect on the figures.
    fn reset(&mut self, now_ms: i64) -> Result<(), LabError> {
        let (offset, challenger) = (self.learner.end(), self.learner.reset()?);
        let mut earlier = LearnedRecords { records: self.records, facts: &self.facts, resets: &self.resets };
        self.learner.promote(offset, now_ms, &challenger.challenge().to_record(), "reset", &mut earlier)?;
        self.resets.push(offset);
        self.n_learned += self.n_events;
        Ok(())
    }

    /// Learns everything before record `place` again, in the given number of epochs.
    fn retrain(&mut self, place: usize, warm: bool, epochs: u32) -> Result<(), LabError> {
        if !warm {
            self.learner = Learner::new(self.learner.settings().clone());
        }
        for _ in 0..epochs {
            self.learner.begin_epoch();
            self.learned_before = 0;
            self.learn_before(place)?;
        }
        Ok(())
    }

    fn predict(&mut self, place: usize, targets: &[usize], plan: &Plan) {
        let known = self.facts.items.len();
        let first = event_of(&self.records[targets[0]]).expect("targets are events");
        let shopper = self.facts.shopper(&first.shopper());
        let at_ms = event_of(&self.records[place]).map_or(first.at.0, |event| event.at.0);
        let session = first.session.as_ref().map(|session| accrue_store::session_hash(session.as_str()));
        let history = self.facts.histories.get(shopper.unwrap_or(u32::MAX));
        let descriptors = first.user.as_ref().map(|user| self.facts.descriptors(user)).unwrap_or_default();
        let context = Context::new(&history, session, at_ms, self.learner.weights())
            .described(&descriptors)
            .in_circumstances(Circumstances::of(first).before_choice());
        let ensemble = self.learner.serving();
        ensemble.prepare(&context, &mut self.prepared);
        let items: Vec<ItemIdx> = (0..known as u32).collect();
        let scores = ensemble.score_all(&self.prepared, &items);
        for &target in targets {
            let event = event_of(&self.records[target]).expect("targets are events");
            let item = event.item.as_ref().and_then(|item| self.facts.items.get(item.as_str()));
            let rank = item.map(|item| rank_of(&scores, item));
            let repeat = shopper.zip(item).is_some_and(|pair| self.chosen.contains(&pair));
            let week = ((event.at.0 - plan.begins_ms) / (7 * DAY_MS)).max(0) as u32;
            let number = plan.events.partition_point(|&other| other < target);
            let block = (number * BLOCKS as usize / plan.events.len()) as u32;
            let user = shopper.unwrap_or(u32::MAX);
            self.hits.push(Hit { event: number as u64, user, rank, repeat, week, block });
        }
    }
}

/// The records that a learner has learned, by the learner's own offsets.
struct LearnedRecords<'a> {
    records: &'a [Record],
    facts: &'a Facts,
    resets: &'a [Offset],
}

impl EarlierRecords for LearnedRecords<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        for offset in (from.0..to.0).map(Offset) {
            let n_resets = self.resets.partition_point(|&reset| reset < offset);
            let record = &self.records[offset.0 as usize - n_resets];
            let is_reset = self.resets.get(n_resets) == Some(&offset);
            let fact = if is_reset { Fact::Nothing } else { self.facts.resolve(record) };
            take(offset, record.received_at.0, fact)?;
        }
        Ok(())
    }
}

/// The number of other items that score at least as much as the target: among equal scores it ranks last.
fn rank_of(scores: &[f32], target: u32) -> u32 {
    let score = scores[target as usize];
    assert!(scores.iter().all(|score| !score.is_nan()), "a score is NaN");
    scores.iter().enumerate().filter(|&(item, &other)| item as u32 != target && other >= score).count() as u32
}

/// The number of epochs that predicts the week before the first prediction best. It grows as long as the result
/// improves.
fn tuned_epochs(records: &[Record], settings: &StreamSettings) -> Result<u32, LabError> {
    let first_ms = records.first().map_or(0, |record| record.received_at.0);
    let begins_ms = first_ms + settings.from_day * DAY_MS;
    let before = &records[..records.partition_point(|record| record.received_at.0 < begins_ms)];
    let inner = StreamSettings { from_day: (settings.from_day - 7).max(1), ..settings.clone() };
    let Ok(plan) = Plan::new(before, &inner) else { return Ok(1) };
    let mut best = (1, f64::MIN);
    for epochs in 1..=MAX_EPOCHS {
        let mode = Mode::Retrain { every: Span::Ms(i64::MAX >> 1), warm: false, epochs: Some(epochs) };
        let mut run = Run::new(before, &inner, mode);
        run.run(&plan, &mut Stopwatch::start(), |_| {})?;
        let ndcg = mean(run.hits.iter(), Hit::gain);
        if ndcg <= best.1 {
            break;
        }
        best = (epochs, ndcg);
    }
    Ok(best.0)
}

/// The settings of a run, for the report.
fn described(settings: &StreamSettings, mode: Mode) -> BTreeMap<String, String> {
    let mut described = BTreeMap::new();
    let mut describe = |key: &str, value: String| described.insert(key.to_string(), value);
    describe("unit", settings.unit.name().to_string());
    describe("every", settings.every.to_string());
    describe("from_day", settings.from_day.to_string());
    if let Some(asked) = &settings.new_items {
        describe("new_items", format!("{}..{}", asked.start(), asked.end()));
    }
    if let Some(seed) = settings.shuffle {
        describe("shuffle", seed.to_string());
    }
    describe("mode", mode.to_string());
    if settings.guard {
        describe("guard", "true".to_string());
    }
    if let Mode::Retrain { warm, epochs, .. } = mode {
        describe("warm", warm.to_string());
        describe("epochs", epochs.unwrap_or(1).to_string());
    }
    described
}

#[cfg(test)]
mod tests {
    use accrue_event::EventType;

    use super::*;

    /// An event of a user on a day.
    fn event(number: usize, user: &str, item: &str, day: i64) -> Event {
        Event {
            user: Some(user.into()),
            item: Some(item.into()),
            ..Event::bare(
                format!("e{number}").as_str().into(),
                EventType::View,
                Timestamp(day * DAY_MS + number as i64),
            )
        }
    }

    fn settings(new_items: Option<RangeInclusive<u32>>) -> StreamSettings {
        let learn = LearnSettings::default();
        let (unit, mode) = (Unit::Line, Mode::Online);
        StreamSettings { unit, mode, every: 1, from_day: 10, new_items, shuffle: None, guard: false, learn }
    }

    /// An old item on days 0 to 20, and a new one, whose events are numbers 2, 4, … of the later ones.
    fn data() -> StreamData {
        let mut data = StreamData::default();
        for day in 0..20 {
            data.events.push(event(data.events.len(), "ann", "old", day));
            if day > 10 {
                data.events.push(event(data.events.len(), "bob", "new", day));
            }
        }
        data
    }

    #[test]
    fn of_new_items_only_the_events_of_the_range_are_predicted() {
        let predicted = |new_items: Option<RangeInclusive<u32>>| {
            let report = evaluate_stream(data(), &settings(new_items), |_| {}).unwrap();
            report.hits.iter().map(|hit| hit.event).collect::<Vec<u64>>()
        };
        assert_eq!(predicted(Some(1..=3)), [12, 14, 16]);
        assert_eq!(predicted(Some(2..=3)), [14, 16]);
        assert_eq!(predicted(None).len(), 10 + 9, "all after the tenth day");
    }

    #[test]
    fn a_stream_without_new_items_says_so() {
        let mut data = data();
        data.events.retain(|event| event.item.as_ref().is_some_and(|item| item.as_str() == "old"));
        let error = evaluate_stream(data, &settings(Some(1..=3)), |_| {}).unwrap_err().to_string();
        assert!(error.contains("came after `from_day`"), "{error}");
    }
}
