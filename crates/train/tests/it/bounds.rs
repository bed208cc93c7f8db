//! Every numeric setting of every model has bounds, and no value within them stops the learner.

use accrue_model::collaborative::Kind;
use accrue_model::{Context, FittedKind, FittedSettings, Part, Prepared, SequenceKind, Settings, TypeWeights};
use accrue_store::{Body, History, ItemVector};
use accrue_train::{LearnSettings, Learner};
use toml::Value;

use crate::shop::{facts, follow, record, records, settings, settings_with};

/// Every number among the settings of the models that `part` needs to score: the tables of the model itself and of what all share.
fn numbers(models: &Settings, part: Part) -> Vec<Vec<String>> {
    fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        match value {
            Value::Table(table) => table.iter().for_each(|(key, value)| {
                path.push(key.clone());
                walk(value, path, found);
                path.pop();
            }),
            Value::Integer(_) | Value::Float(_) => found.push(path.clone()),
            _ => {}
        }
    }
    let all = Value::try_from(models).unwrap();
    let tables: &[&str] = if part == Part::Blend { &["blend", "retrieval", "init"] } else { &[part.name()] };
    let mut found = Vec::new();
    for &table in tables {
        walk(&all[table], &mut vec![table.to_owned()], &mut found);
    }
    found
}

/// The settings with another number, if they are accepted.
fn with(models: &Settings, path: &[String], number: Value) -> Option<Settings> {
    let mut all = Value::try_from(models).unwrap();
    let place = path.iter().fold(&mut all, |place, key| place.get_mut(key).unwrap());
    *place = number;
    let changed: Settings = all.try_into().ok()?;
    changed.validate().is_ok().then_some(changed)
}

/// The largest accepted number, between one that is accepted and one that is not.
fn largest(mut accepted: i64, mut refused: i64, is_accepted: impl Fn(i64) -> bool) -> i64 {
    while refused - accepted > 1 {
        let middle = accepted + (refused - accepted) / 2;
        *(if is_accepted(middle) { &mut accepted } else { &mut refused }) = middle;
    }
    accepted
}

/// A hundred records of a shop are learned under these settings, published and asked for a page.
fn learn(models: Settings) {
    let mut all = records(100, 5);
    let vector =
        ItemVector { item: "item-3".into(), space: 1, text: 3, scale: 1.0 / 127.0, codes: vec![100; 16].into() };
    all[70] = record(70, Body::Encoded(Box::new(vector)));
    let facts = facts(&all);
    let mut learner = Learner::new(LearnSettings { models, predict_one_in: 16, ..LearnSettings::default() });
    follow(&mut learner, &facts, &all);
    let version = learner.publish();
    let weights = TypeWeights::default();
    for history in [facts.histories.get(0), History::default()] {
        let context = Context::new(&history, None, facts.stream_time.0, &weights);
        let mut prepared = Prepared::default();
        version.ensemble.prepare(&context, &mut prepared);
        let found = version.ensemble.candidates(&context, &prepared, usize::MAX);
        assert!(found.iter().all(|&item| version.ensemble.score(&prepared, item).is_finite()));
    }
}

/// Each number of the table is refused where it is huge or no number; with the least and the largest that are accepted, models learn.
fn examine(models: &Settings, part: Part) {
    for path in numbers(models, part) {
        let key = path.join(".");
        let set = |number: Value| with(models, &path, number);
        let all = Value::try_from(models).unwrap();
        let accepted = match path.iter().fold(&all, |place, key| &place[key]) {
            &Value::Integer(now) => {
                assert!(set(i64::MAX.into()).is_none(), "{key} has no largest value");
                let most = largest(now, i64::MAX, |number| set(number.into()).is_some());
                [0, 1, most].map(Value::from).to_vec()
            }
            _ => {
                for number in [f64::NAN, -1.0] {
                    assert!(set(number.into()).is_none(), "{key} may be {number}");
                }
                [0.0, 1e-30, 1e-3, 1.0, 100.0, 1e6, 1e30, f64::INFINITY].map(Value::from).to_vec()
            }
        };
        for number in accepted {
            if let Some(changed) = set(number.clone()) {
                println!("{key} = {number}");
                learn(changed);
            }
        }
    }
}

#[test]
fn no_accepted_number_of_a_models_settings_stops_the_learner() {
    for &part in Part::ALL {
        examine(&settings(part).models, part);
    }
    for kind in SequenceKind::NETWORKS {
        examine(&settings_with(Part::Sequence, kind).models, Part::Sequence);
    }
}

#[test]
fn no_fitted_models_number_is_without_bounds() {
    for &kind in Kind::ALL {
        let mut models = Settings { part: Part::Fitted, ..Settings::default() };
        models.fitted = FittedSettings { model: FittedKind::of(kind.default_settings()), ..FittedSettings::default() };
        for path in numbers(&models, Part::Fitted) {
            let all = Value::try_from(&models).unwrap();
            let is_whole = path.iter().fold(&all, |place, key| &place[key]).is_integer();
            let huge = if is_whole { Value::from(i64::MAX) } else { Value::from(f64::NAN) };
            assert!(with(&models, &path, huge.clone()).is_none(), "{} may be {huge}", path.join("."));
        }
    }
}
