//! Forgetting is exact: the log and every state have the bytes of a log that held tombstones from the start.

use std::collections::BTreeSet;

use accrue_event::{EventType, RecordKind, RefusalId, User, UserId};
use accrue_model::collaborative::Kind;
use accrue_model::{Part, SequenceKind};
use accrue_store::{Body, Checkpoints, Log, LogSettings, Offset, Page, Record, SearchChoice, Served};
use accrue_train::{LearnSettings, digest, erase, find_traces, rebuild, recover, save, with_other_spellings};

use crate::shop;

/// The shop's records, and for one user also records of all kinds that are not events.
fn records(user: &str) -> (Vec<Record>, BTreeSet<Offset>) {
    let mut records = shop::records(3_000, 5);
    let mut traces = BTreeSet::new();
    let guest = "visit-before-login";
    for (place, record) in records.iter_mut().enumerate() {
        let offset = Offset(place as u64);
        if (200..240).contains(&place) {
            let described = shop::described_user(place as u64 - 200);
            if described.id.as_str() == user {
                traces.insert(offset);
            }
            record.body = Body::User(described);
            continue;
        }
        if let Body::Event(checked) = &mut record.body {
            if place == 700 || place == 705 {
                (checked.event.user, checked.event.session) = (None, Some(guest.into()));
                traces.insert(offset);
            } else if checked.event.user.as_ref().is_some_and(|known| known.as_str() == user) {
                traces.insert(offset);
            }
        }
        let raw: Box<str> = format!(r#"{{"type":"view","user":"{user}","item":""}}"#).into();
        let body = match place {
            900 => Body::User(User { id: user.into(), ..shop::described_user(7) }),
            901 => Body::Merged { session: guest.into(), user: user.into() },
            902 => Body::Quarantined {
                id: RefusalId::of(RecordKind::Events, raw.as_bytes()),
                kind: RecordKind::Events,
                reason: "no_item".into(),
                detail: "".into(),
                raw,
            },
            903 => Body::Served(Box::new(Served {
                user: Some(user.into()),
                version: 1,
                learned: Offset(900),
                items: vec!["item-1".into()],
                ..Served::bare("r1".into(), Page::Recommend)
            })),
            // The user is what a page claims; the merge says whose session it was.
            904 => Body::SearchChoice(Box::new(SearchChoice {
                user: Some("a-claim".into()),
                session: Some(guest.into()),
                event_type: EventType::Click,
                is_published: true,
                position: 1,
                place: 1,
                scores: vec![1.0, 0.5],
                rows: vec![Box::default(), Box::default()],
            })),
            _ => continue,
        };
        record.body = body;
        traces.insert(offset);
    }
    (records, traces)
}

/// A log of these records, with a checkpoint after each thousand.
fn written(records: &[Record]) -> (tempfile::TempDir, Log, Checkpoints) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open(dir.path(), LogSettings { segment_records: 800 }).unwrap();
    let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
    for group in records.chunks(250) {
        let bodies: Vec<Body> = group.iter().map(|record| record.body.clone()).collect();
        log.append(group[0].received_at, &bodies).unwrap();
        if log.end().0.is_multiple_of(1000) {
            let mut recovered = recover(&mut log.reader(), &checkpoints, &every_model(), log.end(), true).unwrap();
            recovered.catch_up(&mut log.reader()).unwrap();
            let mut reader = log.reader();
            save(&checkpoints, |end| reader.sum_before(end), &recovered.facts, &recovered.learner).unwrap();
        }
    }
    (dir, log, checkpoints)
}

fn mentions(raw: &str, name: &str) -> bool {
    raw.contains(&format!("\"{name}\""))
}

/// The blend with a network, a fitted model and affinities of descriptions in it, so that every model is on.
fn every_model() -> LearnSettings {
    let mut settings = shop::fitting(shop::settings_with(Part::Blend, SequenceKind::Gru), Kind::Als);
    settings.models.affinity.enabled = true;
    settings
}

fn check(user: &str) {
    let (records, traces) = records(user);
    let settings = every_model();
    let (_dir, mut log, checkpoints) = written(&records);
    let users = BTreeSet::from([UserId::from(user)]);
    let found = find_traces(&mut log.reader(), &users, mentions).unwrap();
    assert_eq!(found.offsets.iter().copied().collect::<BTreeSet<_>>(), traces, "{user}");
    assert_eq!(found.records[&users.iter().next().unwrap().clone()], traces.len() as u64);
    erase(&mut log, &checkpoints, &found.offsets).unwrap();
    let first = found.first().unwrap();
    assert!(checkpoints.list().unwrap().iter().all(|&kept| kept <= first));
    let (recovered, from) = rebuild(&mut log.reader(), &checkpoints, &settings, |_| {}).unwrap();
    assert!(from <= first);
    let forgotten = digest(&mut log.reader(), &recovered.facts, &recovered.learner).unwrap();

    let blank = |record: &Record| match traces.contains(&record.offset) {
        true => Record { body: Body::Tombstone, ..record.clone() },
        false => record.clone(),
    };
    let (_dir, log, checkpoints) = written(&records.iter().map(blank).collect::<Vec<_>>());
    let mut never = recover(&mut log.reader(), &checkpoints, &settings, log.end(), true).unwrap();
    never.catch_up(&mut log.reader()).unwrap();
    let never = digest(&mut log.reader(), &never.facts, &never.learner).unwrap();
    assert_eq!(forgotten, never, "{user}");
}

#[test]
fn the_busiest_the_first_and_a_median_user_are_forgotten_byte_for_byte() {
    let records = shop::records(3_000, 5);
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    let mut first = None;
    for record in &records {
        if let Body::Event(checked) = &record.body
            && checked.event.event_type == EventType::Purchase
        {
            let user = checked.event.user.as_ref().unwrap().to_string();
            first.get_or_insert_with(|| user.clone());
            *counts.entry(user).or_default() += 1;
        }
    }
    let mut by_count: Vec<(u64, String)> = counts.into_iter().map(|(user, n)| (n, user)).collect();
    by_count.sort();
    check(&by_count.last().unwrap().1);
    check(&by_count[by_count.len() / 2].1);
    check(&first.unwrap());
}

#[test]
fn an_unknown_user_has_no_records() {
    let (_dir, log, _) = written(&shop::records(200, 5));
    let found = find_traces(&mut log.reader(), &BTreeSet::from(["nobody".into()]), mentions).unwrap();
    assert_eq!((found.offsets, found.records), Default::default());
}

#[test]
fn an_address_means_the_person_in_every_spelling_and_other_ids_mean_themselves() {
    let mut records = shop::records(200, 5);
    let mut names = ["ada@example.com", "Ada@Example.COM", "bob@example.com", "SKU-1", "sku-1"].into_iter();
    for record in &mut records {
        if let Body::Event(checked) = &mut record.body
            && let Some(name) = names.next()
        {
            checked.event.user = Some(name.into());
        }
    }
    let (_dir, log, _) = written(&records);
    let meant = |asked: &str| with_other_spellings(&mut log.reader(), &BTreeSet::from([asked.into()])).unwrap();
    assert_eq!(
        meant("ADA@example.com"),
        ["ADA@example.com", "Ada@Example.COM", "ada@example.com"].map(UserId::from).into()
    );
    assert_eq!(meant("sku-1"), BTreeSet::from(["sku-1".into()]));
}

#[test]
fn records_that_arrive_during_the_search_are_found_and_a_late_merge_adds_earlier_ones() {
    let (records, traces) = records("shopper-3");
    let users = BTreeSet::from([UserId::from("shopper-3")]);
    let (_dir, mut log, _) = written(&records[..800]);
    let mut found = find_traces(&mut log.reader(), &users, mentions).unwrap();
    let append = |log: &mut Log, range: std::ops::Range<usize>| {
        let bodies: Vec<Body> = records[range.clone()].iter().map(|record| record.body.clone()).collect();
        log.append(records[range.start].received_at, &bodies).unwrap();
    };
    let until = |end: u64| traces.range(..Offset(end)).copied().collect::<Vec<_>>();
    append(&mut log, 800..900);
    assert!(found.follow(&mut log.reader(), &users, mentions).unwrap());
    // The guest's two records are not known to be the user's yet.
    assert_eq!(found.offsets, until(900).into_iter().filter(|at| ![700, 705].contains(&at.0)).collect::<Vec<_>>());
    append(&mut log, 900..1_000);
    assert!(!found.follow(&mut log.reader(), &users, mentions).unwrap(), "the guest has earlier records");
    assert_eq!((found.offsets.clone(), found.end()), (until(1_000), Offset(1_000)));
    assert!(found.follow(&mut log.reader(), &users, mentions).unwrap());
    assert_eq!(found.offsets, until(1_000));
}

#[test]
fn a_reader_that_hides_records_reads_the_log_as_it_will_be() {
    let (records, traces) = records("shopper-3");
    let (_dir, mut log, checkpoints) = written(&records);
    let hidden: Vec<Offset> = traces.into_iter().collect();
    let mut blind = log.reader();
    blind.hide(&hidden);
    let settings = every_model();
    let read = |log: &mut accrue_store::LogReader| {
        let mut recovered = recover(log, &checkpoints, &settings, hidden[0], true).unwrap();
        let end = log.end();
        recovered.read_on(log, end).unwrap();
        recovered.catch_up(log).unwrap();
        recovered
    };
    let before = read(&mut blind);
    assert_eq!(blind.get(hidden[0]).unwrap().unwrap().body, Body::Tombstone);
    erase(&mut log, &checkpoints, &hidden).unwrap();
    let after = read(&mut log.reader());
    let state = |recovered: &accrue_train::Recovered| {
        digest(&mut log.reader(), &recovered.facts, &recovered.learner).unwrap().state
    };
    assert_eq!(state(&before), state(&after));
}

#[test]
fn checkpoints_of_another_format_are_skipped_while_the_log_has_all_records() {
    let (_dir, mut log, checkpoints) = written(&shop::records(2_100, 5));
    let settings = every_model();
    let state = |from_checkpoint| {
        let mut recovered = recover(&mut log.reader(), &checkpoints, &settings, log.end(), from_checkpoint).unwrap();
        recovered.catch_up(&mut log.reader()).unwrap();
        let state = digest(&mut log.reader(), &recovered.facts, &recovered.learner).unwrap().state;
        (state, recovered.checkpoint, recovered.skipped.len())
    };
    let (right, from, _) = state(true);
    assert_eq!(from, Some(Offset(2_000)));
    for offset in checkpoints.list().unwrap() {
        let path = checkpoints.path_of(offset);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 200;
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(state(true), (right.clone(), None, 1));
    // One bit of each is changed.
    for offset in checkpoints.list().unwrap() {
        let path = checkpoints.path_of(offset);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[8] = 8;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(state(true), (right, None, 1));
    log.prune(Offset(1_500)).unwrap();
    let refused = recover(&mut log.reader(), &checkpoints, &settings, log.end(), true);
    assert!(refused.is_err_and(|error| error.to_string().contains("checksum")));
}

#[test]
fn a_log_that_is_shorter_than_its_checkpoint_is_refused() {
    let (_dir, _, checkpoints) = written(&shop::records(2_100, 5));
    let (_other_dir, log, _) = written(&shop::records(1_700, 5));
    for from_checkpoint in [true, false] {
        let refused = recover(&mut log.reader(), &checkpoints, &every_model(), log.end(), from_checkpoint);
        let told = refused.err().expect("records are missing").to_string();
        assert!(told.contains("the log ends at record 1700") && told.contains("before 2000"), "{told}");
    }
}

#[test]
fn both_folds_share_the_memory_of_histories() {
    let (_dir, log, checkpoints) = written(&shop::records(2_100, 5));
    let (log, settings) = (&mut log.reader(), every_model());
    for from_checkpoint in [true, false] {
        let mut recovered = recover(log, &checkpoints, &settings, log.end(), from_checkpoint).unwrap();
        recovered.catch_up(log).unwrap();
        let (facts, learner) = (&recovered.facts.histories, recovered.learner.histories());
        let n_shared = learner.n_shared_with(facts);
        assert!(n_shared * 10 >= facts.len() * 9, "{n_shared} of {}", facts.len());
    }
}
