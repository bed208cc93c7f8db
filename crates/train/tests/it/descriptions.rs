//! What is chosen in a scene, after a search and by shoppers described alike is learned, and counts for shoppers without
//! a history.

use accrue_event::{Attribute, UserId};
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Part, Prepared};
use accrue_store::{Body, Circumstances, Descriptor, Facts, History, Record, shopper_descriptors};
use accrue_train::Learner;

use crate::shop::{self, N_ITEMS, facts, follow, purchase, record, settings};

const N_USERS: u64 = 40;
const N_RECORDS: usize = 4_000;

/// Users are described first. Then users of city c choose items 6 c to 6 c + 5 in the scene `home`; in the scene `cart` everybody
/// chooses items 48 to 53, and after a search for `blue` items 54 to 59.
fn records() -> Vec<Record> {
    let mut records = shop::records(N_ITEMS as usize, 1);
    records.extend((0..N_USERS).map(|user| record((N_ITEMS + user) as usize, Body::User(shop::described_user(user)))));
    for number in records.len()..N_RECORDS {
        let mut draws = Draws::new(3, 5, number as u64);
        let (user, place) = (draws.below(N_USERS), draws.below(6));
        let (scene, query, first) = match draws.below(4) {
            0 => ("cart", None, 48),
            1 => ("search", Some("Blue"), 54),
            _ => ("home", None, user % 5 * 6),
        };
        let mut checked = purchase(number, user, first + place);
        checked.event.query = query.map(Into::into);
        checked.event.properties.insert("scene".into(), Attribute::Text(scene.into()));
        records.push(record(number, Body::Event(checked)));
    }
    records
}

fn learned(part: Part, records: &[Record]) -> (Learner, Facts) {
    let facts = facts(records);
    let mut settings = settings(part);
    settings.models.affinity.enabled = true;
    let mut learner = Learner::new(settings);
    follow(&mut learner, &facts, records);
    (learner, facts)
}

/// The item that a shopper without a history is likeliest to choose.
fn best(learner: &Learner, facts: &Facts, circumstances: Circumstances<'_>, descriptors: &[Descriptor]) -> u32 {
    let history = History::default();
    let context = Context::new(&history, None, facts.stream_time.0, learner.weights());
    let context = context.described(descriptors).in_circumstances(circumstances);
    let ensemble: &Ensemble = learner.ensemble();
    ensemble.rank(&context, &mut Prepared::default(), 1, |_| true)[0].item
}

#[test]
fn a_shopper_without_a_history_is_served_by_scene_search_and_description() {
    for part in [Part::Affinity, Part::Blend] {
        let (learner, facts) = learned(part, &records());
        let home = Circumstances { scene: Some("home"), ..Circumstances::default() };
        for city in 0..5 {
            let described = shopper_descriptors(&shop::described_user(city).attributes);
            let best = best(&learner, &facts, home, &described);
            assert_eq!(u64::from(best) / 6, city, "{}: {best}", part.name());
        }
        let cart = Circumstances { scene: Some("cart"), ..Circumstances::default() };
        assert_eq!(best(&learner, &facts, cart, &[]) / 6, 8, "{}", part.name());
        let search = Circumstances { scene: Some("search"), query: Some(" blue "), ..Circumstances::default() };
        assert_eq!(best(&learner, &facts, search, &[]) / 6, 9, "{}", part.name());
    }
}

#[test]
fn a_description_counts_until_it_is_removed() {
    let mut records = records();
    let removed: Vec<UserId> = (0..N_USERS).map(|user| shop::described_user(user).id).collect();
    let first = (N_ITEMS + N_USERS) as usize;
    for (record, user) in records[first..].iter_mut().zip(removed) {
        record.body = Body::UserRemoved(user);
    }
    let (learner, facts) = learned(Part::Affinity, &records);
    let home = Circumstances { scene: Some("home"), ..Circumstances::default() };
    let of = |city: u64| shopper_descriptors(&shop::described_user(city).attributes);
    let first = best(&learner, &facts, home, &of(0));
    assert!((1..5).all(|city| best(&learner, &facts, home, &of(city)) == first), "nothing was learned of cities");
}

#[test]
fn a_learner_that_stops_anywhere_goes_on_to_the_same_bytes() {
    let records = records();
    let facts = facts(&records);
    let whole = postcard::to_stdvec(&learned(Part::Affinity, &records).0).unwrap();
    for stop in [80, 120, 2_000] {
        let (learner, _) = learned(Part::Affinity, &records[..stop]);
        let mut resumed: Learner = postcard::from_bytes(&postcard::to_stdvec(&learner).unwrap()).unwrap();
        follow(&mut resumed, &facts, &records);
        assert!(postcard::to_stdvec(&resumed).unwrap() == whole, "{stop}");
    }
}

#[test]
fn settings_that_come_before_the_first_event_leave_the_catalogue_known() {
    let mut records = shop::records(N_ITEMS as usize, 1);
    let mut changed = settings(Part::Blend);
    changed.models.blend.rate *= 2.0;
    records.push(record(records.len(), Body::Settings(changed.to_record().into())));
    let facts = facts(&records);
    let mut learner = Learner::new(settings(Part::Blend));
    follow(&mut learner, &facts, &records);
    assert_eq!(learner.settings().models.blend.rate, changed.models.blend.rate);
    let ensemble = learner.ensemble();
    assert!((0..N_ITEMS as u32).all(|item| ensemble.first_seen_ms(item).is_some()));
    assert!(!ensemble.catalogue.description(0).0.is_empty(), "descriptions are known as well");
}
