//! Two towers and the map from content in the learner: new items, settings that change, and what another shop gives.

use accrue_event::{Item, ItemPatch};
use accrue_model::{Context, Ensemble, InitSettings, Member as _, Part, Prepared, parts};
use accrue_store::{Body, Fact, Facts, ItemIdx, Offset, Record};
use accrue_train::{LearnSettings, Learner, TrainError};

use crate::shop::{N_ITEMS, facts, follow, record, records, settings};

/// Records of the shop, and at their end the descriptions of two items that have no events, which differ in the family
/// that their titles name.
fn with_new_items(n: usize, seed: u64) -> Vec<Record> {
    let mut records = records(n, seed);
    for (name, title) in [("fresh", "family3 thing"), ("other", "family5 thing")] {
        let mut item = Item::bare(name.into());
        item.title = Some(title.into());
        let number = records.len();
        records.push(record(number, Body::Item(Box::new(item))));
    }
    records
}

fn learned(settings: LearnSettings, records: &[Record]) -> (Learner, Facts) {
    let facts = facts(records);
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts, records);
    (learner, facts)
}

/// A shopper of family 3, as the shop assigns them.
fn shopper_of_family_3(facts: &Facts) -> u32 {
    facts.shopper(&accrue_event::Event::shopper(&crate::shop::purchase(0, 3, 0).event)).unwrap()
}

fn scores(ensemble: &Ensemble, learner: &Learner, facts: &Facts, items: &[ItemIdx]) -> Vec<f32> {
    let history = facts.histories.get(shopper_of_family_3(facts));
    let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
    let mut prepared = Prepared::default();
    ensemble.prepare(&context, &mut prepared);
    ensemble.score_all(&prepared, items)
}

fn item(facts: &Facts, name: &str) -> ItemIdx {
    facts.items.get(name).unwrap()
}

#[test]
fn a_new_item_is_scored_and_retrieved_by_what_is_said_of_it_before_its_first_event() {
    for part in [Part::TwoTower, Part::Factorization] {
        let (mut learner, facts) = learned(settings(part), &with_new_items(3_000, 4));
        learner.publish();
        let (fresh, other) = (item(&facts, "fresh"), item(&facts, "other"));
        let others: Vec<ItemIdx> = (0..N_ITEMS as ItemIdx).filter(|item| item / 6 != 3).collect();
        let of_new = scores(learner.ensemble(), &learner, &facts, &[fresh, other]);
        let of_others = scores(learner.ensemble(), &learner, &facts, &others);
        let mean = of_others.iter().sum::<f32>() / of_others.len() as f32;
        assert!(of_new[0] > mean, "{}: {of_new:?} against {mean}", part.name());
        assert!(of_new[0] > of_new[1], "{}: {of_new:?}", part.name());
        let history = facts.histories.get(shopper_of_family_3(&facts));
        let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
        let mut prepared = Prepared::default();
        learner.ensemble().prepare(&context, &mut prepared);
        let mut found = Vec::new();
        learner.ensemble().candidates_of(part, &context, &prepared, Some(2 * N_ITEMS as usize), &mut found);
        let place = |item| found.iter().position(|&other| other == item).expect("the scan reads new items");
        assert!(place(fresh) < place(other), "{}: {found:?}", part.name());
    }
}

#[test]
fn a_change_of_an_item_changes_what_is_expected_of_it() {
    let mut records = with_new_items(3_000, 4);
    let patch = ItemPatch { title: Some("family5 thing".into()), ..ItemPatch::default() };
    let number = records.len();
    records.push(record(number, Body::ItemPatched { id: "fresh".into(), patch: Box::new(patch) }));
    let (before, facts) = learned(settings(Part::TwoTower), &records[..number]);
    let (after, _) = learned(settings(Part::TwoTower), &records);
    let of = |learner: &Learner| scores(learner.ensemble(), learner, &facts, &[item(&facts, "fresh")])[0];
    assert!(of(&after) < of(&before), "{} {}", of(&after), of(&before));
}

/// The numbers of an item's row in matrix factorization.
fn row(learner: &Learner, item: ItemIdx) -> Vec<f32> {
    learner.ensemble().factorization().expect("it is on by default").item_row(item).unwrap_or_default().to_vec()
}

#[test]
fn rows_that_were_learned_before_the_map_began_stay_when_an_item_is_described_again() {
    let mut records = records(2_000, 4);
    let with_map = settings(Part::Factorization);
    let mut without = with_map.clone();
    without.models.factorization.map = 0.0;
    // The map begins, and learns of some items; none of item 7, which was chosen before.
    records[1_200].body = Body::Settings(with_map.to_record().into());
    records.retain(|record| !is_about(record, "item-7") || record.offset.0 < 1_200);
    for (number, record) in records.iter_mut().enumerate() {
        record.offset = Offset(number as u64);
    }
    let patch = ItemPatch { brand: Some("Acme".into()), ..ItemPatch::default() };
    let number = records.len();
    records.push(record(number, Body::ItemPatched { id: "item-7".into(), patch: Box::new(patch) }));
    let (before, facts) = learned(without.clone(), &records[..number]);
    let (after, _) = learned(without, &records);
    let item = item(&facts, "item-7");
    assert!(!row(&before, item).is_empty());
    assert_eq!(row(&before, item), row(&after, item), "a word about the brand is no reason to forget what was bought");
}

fn is_about(record: &Record, item: &str) -> bool {
    matches!(&record.body, Body::Event(checked) if checked.event.item.as_ref().is_some_and(|id| id.as_str() == item))
}

#[test]
fn towers_that_begin_later_know_the_items_that_were_described_before() {
    let mut records = with_new_items(3_000, 4);
    let without = LearnSettings { models: Default::default(), ..settings(Part::Blend) };
    let mut with = without.clone();
    with.models.two_tower.enabled = true;
    records[800].body = Body::Settings(with.to_record().into());
    let (learner, _) = learned(without, &records);
    assert_eq!(learner.ensemble().catalogue.facets(5).len(), 2, "two words of the title");
    let two_tower = learner.ensemble().members.two_tower.as_ref().unwrap();
    assert!(two_tower.n_params() > 0 && two_tower.is_finite());
}

#[test]
fn publications_copy_what_changed_and_not_the_towers() {
    let records = records(2_000, 5);
    let facts = facts(&records);
    let mut learner = Learner::new(settings(Part::TwoTower));
    follow(&mut learner, &facts, &records[..1_900]);
    let copied = |learner: &Learner| learner.ensemble().members.two_tower.as_ref().unwrap().copied_bytes();
    let before = copied(&learner);
    let mut versions = Vec::new();
    for end in 1_901..=2_000 {
        versions.push(learner.publish());
        follow(&mut learner, &facts, &records[..end]);
    }
    let n_params = learner.ensemble().members.two_tower.as_ref().unwrap().n_params();
    let a_version = (copied(&learner) - before) as f64 / 100.0;
    assert!(a_version < 4.0 * n_params as f64, "{a_version} bytes a publication, of {n_params} numbers of four bytes");
}

/// The settings with the parts of a learner.
fn taking(learner: &Learner, freeze: u64) -> LearnSettings {
    let parts = parts::provide(&learner.ensemble().parts().to_bytes()).unwrap();
    let mut settings = settings(Part::TwoTower);
    settings.models.init = InitSettings { parts, freeze, unfreeze: 100 };
    settings
}

#[test]
fn a_shop_begins_with_what_another_one_has_learned() {
    let (source, _) = learned(settings(Part::TwoTower), &records(3_000, 4));
    // Descriptions alone, and some choices of shoppers.
    let young = with_new_items(200, 7);
    let (alone, facts) = learned(settings(Part::TwoTower), &young);
    let (with, _) = learned(taking(&source, 0), &young);
    let of = |learner: &Learner| {
        let family: Vec<ItemIdx> = (18..24).collect();
        let others: Vec<ItemIdx> = (0..18).chain(24..N_ITEMS as ItemIdx).collect();
        let mean = |items: &[ItemIdx]| {
            scores(learner.ensemble(), learner, &facts, items).iter().sum::<f32>() / items.len() as f32
        };
        mean(&family) - mean(&others)
    };
    assert!(of(&with) > of(&alone), "{} {}", of(&with), of(&alone));
}

#[test]
fn a_log_whose_parts_are_missing_is_refused_with_what_is_missing() {
    let mut settings = settings(Part::TwoTower);
    settings.models.init.parts = "0123456789abcdef0123456789abcdef".into();
    let text = settings.to_record();
    let mut learner = Learner::new(LearnSettings::default());
    let error = learner.step(Offset(0), 0, Fact::Settings(&text)).unwrap_err();
    assert!(matches!(&error, TrainError::MissingParts(hash) if *hash == settings.models.init.parts), "{error}");
    assert!(error.to_string().contains("init.parts"), "{error}");
}

#[test]
fn parts_of_another_size_are_refused_with_the_setting() {
    let (source, _) = learned(settings(Part::TwoTower), &records(500, 4));
    let parts = source.ensemble().parts();
    let mut models = settings(Part::TwoTower).models;
    assert_eq!(parts.fit(&models), Ok(()));
    models.two_tower.dim = 24;
    let refused = parts.fit(&models).unwrap_err().to_string();
    assert!(refused.contains("model.two_tower.dim") && refused.contains("16") && refused.contains("24"), "{refused}");
    let (without, _) = learned(settings(Part::Popularity), &records(500, 4));
    let refused = without.ensemble().parts().fit(&models).unwrap_err().to_string();
    assert!(refused.contains("model.two_tower.enabled"), "{refused}");
}
