//! A small seeded shop: records with a planted pattern, folded as the server folds them.

use accrue_event::{Attribute, Event, EventType, Item, Timestamp, User};
use accrue_kernel::Draws;
use accrue_model::collaborative::Kind;
use accrue_model::{FittedKind, FittedSettings, Part, SequenceKind, SequenceSettings, Settings};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Record};
use accrue_train::{LearnSettings, Learner};

pub const N_ITEMS: u64 = 60;
const N_USERS: u64 = 40;

/// Settings that let `part` score, the blend without a sequence network.
pub fn settings(part: Part) -> LearnSettings {
    let kind = if part == Part::Sequence { SequenceKind::Gru } else { SequenceKind::None };
    let settings = settings_with(part, kind);
    if part == Part::Fitted { fitting(settings, Kind::Ease) } else { settings }
}

/// The same with a model of this kind that is fitted every hundred choices on the last three hundred.
pub fn fitting(mut settings: LearnSettings, kind: Kind) -> LearnSettings {
    let model = FittedKind::of(kind.default_settings());
    settings.models.fitted = FittedSettings { every: 100, window: 300, model, ..FittedSettings::default() };
    settings
}

/// Settings that let `part` score, with a small network of this kind.
pub fn settings_with(part: Part, kind: SequenceKind) -> LearnSettings {
    let sequence = SequenceSettings { kind, d: 16, length: 12, negatives: 16, ..SequenceSettings::default() };
    let mut models = Settings { part, sequence, ..Settings::default() };
    // Off by default, but the contract holds for it too.
    models.bought_together.enabled = part == Part::BoughtTogether;
    models.affinity.enabled = part == Part::Affinity;
    models.content.enabled = part == Part::Content;
    models.two_tower.enabled = part == Part::TwoTower;
    models.two_tower.dim = 16;
    models.two_tower.negatives = 16;
    models.two_tower.popular = 4;
    models.two_tower.batch_events = 4;
    models.two_tower.buckets = 512;
    if part == Part::Factorization {
        models.factorization.map = 0.5;
    }
    LearnSettings { predict_one_in: 16, models, ..LearnSettings::default() }
}

/// `n` records: descriptions first, then purchases. Items come in families of six; a visit stays in one family, in order.
pub fn records(n: usize, seed: u64) -> Vec<Record> {
    let mut records: Vec<Record> = (0..N_ITEMS).map(describe).collect();
    let mut visit = (0, 0, 0);
    for number in records.len()..n {
        let mut draws = Draws::new(seed, 7, number as u64);
        if visit.2 == 0 {
            let user = draws.below(N_USERS);
            // A user comes for one family above all.
            let family = if draws.below(4) == 0 { draws.below(N_ITEMS / 6) } else { user % (N_ITEMS / 6) };
            visit = (user, family, 6);
        }
        visit.2 -= 1;
        let item = visit.1 * 6 + (5 - visit.2);
        records.push(record(number, Body::Event(purchase(number, visit.0, item))));
    }
    records
}

fn describe(item: u64) -> Record {
    let mut description = Item::bare(format!("item-{item}").as_str().into());
    description.title = Some(format!("family{} model{item}", item / 6).into());
    record(item as usize, Body::Item(Box::new(description)))
}

/// A user with a city that every fifth user shares, and a name that is the user's own.
pub fn described_user(number: u64) -> User {
    let text = |text: String| Attribute::Text(text.into());
    let attributes =
        [("city".into(), text(format!("city-{}", number % 5))), ("name".into(), text(format!("n{number}")))];
    User { id: format!("user-{number}").as_str().into(), attributes: attributes.into() }
}

pub fn purchase(number: usize, user: u64, item: u64) -> CheckedEvent {
    let event = Event {
        user: Some(format!("user-{user}").as_str().into()),
        item: Some(format!("item-{item}").as_str().into()),
        ..Event::bare(format!("e{number}").as_str().into(), EventType::Purchase, at(number))
    };
    CheckedEvent { event, repairs: Vec::new(), raw: None }
}

/// Ten minutes between events, so that consecutive events of one user belong to one visit.
fn at(number: usize) -> Timestamp {
    Timestamp(1_700_000_000_000 + number as i64 * 600_000)
}

pub fn record(number: usize, body: Body) -> Record {
    Record { offset: Offset(number as u64), received_at: at(number), body }
}

/// Facts over all `records`, so that every name resolves.
pub fn facts(records: &[Record]) -> Facts {
    let mut facts = Facts::new(500);
    records.iter().for_each(|record| facts.apply(record));
    facts
}

/// Lets the learner follow `records` from where it stands.
pub fn follow(learner: &mut Learner, facts: &Facts, records: &[Record]) {
    for record in &records[learner.end().0 as usize..] {
        let fact = facts.resolve(record);
        learner.step(record.offset, record.received_at.0, fact).expect("plain records");
    }
}
