//! Data folders of earlier builds: each of them opens for ever.
//!
//! `tests/fixtures/formats/` has a small data folder of each format since formats are promised, with what it holds in `expected.toml`.
//! The folder of the present format is written by
//!
//! ```text
//! cargo test -p accrue-train --test it -- --ignored write_a_folder_of_the_present_format
//! ```
//!
//! which refuses to touch one that is there. A new folder is added when a format grows (a kind of record, a section, a version); the old
//! ones stay as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use accrue_event::{
    Attribute, Event, EventType, Item, ItemPatch, Price, RecordKind, RefusalId, SessionId, Timestamp, User, UserId,
};
use accrue_model::collaborative::Kind;
use accrue_model::{Part, SequenceKind};
use accrue_store::{
    Assignment, Body, CheckedEvent, Checkpoints, InertReason, ItemVector, Log, LogReader, LogSettings, Offset, Page,
    ProposalKind, PublishedRecord, Record, SearchChoice, SearchProposal, Served, SourcePosition, SponsoredSlot, Unread,
    UnreadReason,
};
use accrue_train::{Challenge, LearnSettings, digest, recover, save};
use serde::{Deserialize, Serialize};

use crate::shop;

/// The newest folder. A change that adds a kind of record or a section names the next one here and writes it.
const PRESENT: &str = "10";
/// Records before which the first and the second checkpoint of it stand.
const CHECKPOINTS: [usize; 2] = [700, 740];

/// What a folder holds, whatever build reads it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    /// Its records lie before this offset, from 0 on.
    records: u64,
    /// Digest of the log.
    log: String,
    /// How many records there are of each kind, by their number in the format.
    kinds: BTreeMap<String, u64>,
    /// What follows from them.
    items: usize,
    shoppers: usize,
    in_quarantine: usize,
    duplicates: [u64; 2],
    /// Where the checkpoints stand.
    checkpoints: Vec<u64>,
}

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { drop(std::fs::copy(entry.path(), target)) }
    }
}

fn settings() -> LearnSettings {
    let mut settings = shop::fitting(shop::settings_with(Part::Blend, SequenceKind::Gru), Kind::Als);
    settings.models.sequence.d = 4;
    settings.models.sequence.length = 4;
    settings.models.sequence.reservoir = 16;
    settings.models.factorization.dim = 4;
    settings.models.neighbours.capacity = 4;
    settings.models.fitted.window = 100;
    settings.models.affinity.enabled = true;
    settings.guard.version_every = 1_000;
    settings.guard.confirm_after = 500;
    settings.guard.anchors = 128;
    settings.weights.insert("gift".into(), 1.5);
    settings
}

/// The number of a record's kind: its place in the format.
fn kind(body: &Body) -> String {
    postcard::to_stdvec(body).unwrap()[0].to_string()
}

/// A record of every kind, with every field in use in one of them.
fn every_kind() -> Vec<Body> {
    let attributes = || {
        BTreeMap::from([
            ("colour".into(), Attribute::Text("rot".into())),
            ("height_mm".into(), Attribute::Number(95.5)),
            ("gift".into(), Attribute::Bool(true)),
            ("materials".into(), Attribute::List(vec!["Ton".into(), "Glasur".into()])),
        ])
    };
    let event = |id: &str, event_type: EventType, user: Option<&str>, session: Option<&str>| Event {
        id: id.into(),
        event_type,
        user: user.map(UserId::from),
        session: session.map(SessionId::from),
        item: Some("mug".into()),
        at: Timestamp(1_700_000_000_000),
        value: 2.5,
        quantity: 3,
        price: Price::new(9.9),
        query: Some("rote Tasse 红色杯子".into()),
        source: Some("web".into()),
        recommendation_id: Some("r1".into()),
        position: Some(4),
        properties: attributes(),
    };
    let checked = |event| CheckedEvent { event, repairs: Vec::new(), raw: None };
    let repaired = CheckedEvent {
        event: event("e-repaired", EventType::Purchase, Some("ann"), Some("s1")),
        repairs: vec!["trimmed".into(), "price_from_item".into()],
        raw: Some(r#"{"id":" e-repaired"}"#.into()),
    };
    let types = EventType::BUILT_IN.iter().cloned().chain([EventType::Custom("gift".into())]);
    let of_types = types.enumerate().map(|(n, event_type)| {
        let session = format!("guest-{}", n % 3);
        Body::Event(checked(event(&format!("e-type-{n}"), event_type, None, Some(&session))))
    });
    let refused = |n: u64, kind| Body::Quarantined {
        id: RefusalId::of(kind, format!("line {n}").as_bytes()),
        kind,
        reason: "malformed".into(),
        detail: "no JSON".into(),
        raw: format!("line {n}").into(),
    };
    let item = Item {
        parent: Some("mugs".into()),
        title: Some("Rote Tasse".into()),
        description: Some("Eine Tasse".into()),
        brand: Some("Acme".into()),
        categories: vec!["Küche".into(), "Tassen".into()],
        tags: vec!["neu".into()],
        price: Price::new(9.5),
        currency: Some("EUR".into()),
        locale: Some("de".into()),
        image: Some("https://example.com/mug.png".into()),
        stock: Some(7),
        published_at: Some(Timestamp(1_690_000_000_000)),
        attributes: attributes(),
        ..Item::bare("mug".into())
    };
    let patch = ItemPatch {
        title: Some("Blaue Tasse".into()),
        price: Price::new(8.5),
        available: Some(false),
        stock: Some(0),
        attributes: attributes(),
        ..ItemPatch::default()
    };
    let served = |page, arm, ranks: &[u32]| Served {
        recommendation_id: "r1".into(),
        page,
        user: Some("ann".into()),
        session: Some("s1".into()),
        version: 3,
        learned: Offset(5),
        first_position: 10,
        items: vec!["mug".into(), "cup".into()],
        propensities: vec![0.5, 0.25],
        arm,
        ranks: ranks.into(),
        asked: r#"{"n":2,"scene":"home"}"#.into(),
        sponsored: vec![SponsoredSlot { place: 1, campaign: "spring".into(), price: 45 }],
        published: false,
        trial: accrue_store::Trial::None,
    };
    let arm = Assignment { experiment: "variety".into(), arm: "b".into() };
    let (from, until) = (Offset(0), Offset(0));
    let challenge = Challenge { settings: settings(), from, passes: 1, until, windows_digest: None, requested: true };
    // Those that refer to others lie at 100, 103, 106, …
    let mut bodies = vec![
        Body::Settings(settings().to_record().into()),
        Body::Tombstone,
        Body::Item(Box::new(item)),
        Body::ItemPatched { id: "mug".into(), patch: Box::new(patch) },
        Body::ItemRetired("mug".into()),
        Body::User(User { id: "ann".into(), attributes: attributes() }),
        Body::User(User { id: "bob".into(), attributes: BTreeMap::new() }),
        Body::UserRemoved("bob".into()),
        refused(1, RecordKind::Events),
        refused(2, RecordKind::Items),
        refused(3, RecordKind::Users),
        Body::Dropped { of: Offset(127) },
        Body::Released { of: Offset(124), event: repaired },
        Body::Duplicates { same: 3, conflicting: 1 },
        Body::Served(Box::new(served(Page::Recommend, Some(arm), &[1, 0]))),
        Body::Served(Box::new(served(Page::Search { query: "tasse".into() }, None, &[]))),
        Body::Chosen { version: 99, why: "an operator".into() },
        Body::WindowReleased { from: Offset(3), to: Offset(4) },
        Body::ChallengeRefused { challenge: challenge.to_record().into(), why: "worse".into() },
        Body::Promoted { challenge: challenge.to_record().into(), why: "not worse".into() },
    ];
    let mut inert = checked(event("@publish:web:e-inert", EventType::View, None, Some("s1")));
    (inert.event.query, inert.event.properties) = (None, BTreeMap::new());
    let mut of_full_address = inert.clone();
    of_full_address.event.id = "@publish:web:e-guest".into();
    let published = [
        PublishedRecord::Inert { event: inert, why: InertReason::UnknownItem },
        PublishedRecord::Inert { event: of_full_address, why: InertReason::TooManyGuestsOfAddress },
        PublishedRecord::Refusals { kept: 1, counted: vec![("no_item".into(), 2)] },
    ];
    bodies.extend(published.map(|record| Body::Published(Box::new(record))));
    bodies.push(Body::Event(checked(event("@publish:web:e1", EventType::View, Some("ann"), Some("s1")))));
    bodies.push(Body::Event(CheckedEvent {
        event: event("@publish:web:e2", EventType::View, None, Some("s1")),
        repairs: vec!["own_pages".into(), "no_traffic".into()],
        raw: None,
    }));
    bodies.extend(of_types);
    bodies.push(Body::Merged { session: "guest-1".into(), user: "ann".into() });
    // A price that single precision cannot hold.
    let dear = Item { price: Price::new(12_345_678.91), ..Item::bare("bell".into()) };
    bodies.push(Body::Item(Box::new(dear)));
    bodies.push(Body::Rules(r#"[{"name":"season","action":"pin","items":["mug"],"query":"tasse"}]"#.into()));
    bodies.push(Body::Synonyms("tasse, becher\n".into()));
    bodies.push(Body::Encoded(Box::new(ItemVector {
        item: "mug".into(),
        space: 7,
        text: 9,
        scale: 0.01,
        codes: [90, -30, 5, 127].into(),
    })));
    bodies.push(Body::Scenes(r#"{"home":{"sources":["models","trending"],"room_for_new":0.3}}"#.into()));
    let read = SourcePosition { source: "orders".into(), position: r#"{"after":["17"]}"#.into() };
    bodies.push(Body::SourceRead(Box::new(read)));
    bodies.push(Body::SearchChoice(Box::new(SearchChoice {
        user: Some("ann".into()),
        session: Some("s1".into()),
        event_type: EventType::Purchase,
        is_published: false,
        position: 1,
        place: 1,
        scores: vec![1.5, 1.25],
        rows: vec![[64, -3, 0].into(), [12, 0, 7].into()],
    })));
    bodies.push(Body::Campaigns(
        r#"{"document":{"campaigns":[{"id":"spring","items":["mug"],"bid":50,"daily_budget":500}]}}"#.into(),
    ));
    bodies.push(Body::Campaigns(
        r#"{"charge":{"campaign":"spring","answer":"r1","item":"cup","price":45,"amount":45,"day":19675}}"#.into(),
    ));
    bodies.push(Body::SearchProposal(Box::new(SearchProposal {
        id: "5be1a0c92f31d0e4".into(),
        kind: ProposalKind::Synonym,
        from: "brolly".into(),
        to: "umbrella".into(),
        is_accepted: true,
        is_automatic: false,
    })));
    bodies
}

fn records() -> Vec<Record> {
    let mut records = shop::records(800, 9);
    for (record, body) in records[100..].iter_mut().step_by(3).zip(every_kind()) {
        record.body = body;
    }
    records
}

#[test]
#[ignore = "writes into the source tree"]
fn write_a_folder_of_the_present_format() {
    let folder = formats().join(PRESENT);
    assert!(
        !folder.exists(),
        "{} is there; a folder of a format that was given out is never changed",
        folder.display()
    );
    let records = records();
    let mut log = Log::open(&folder, LogSettings { segment_records: 600 }).unwrap();
    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    for group in records.chunks(20) {
        let bodies: Vec<Body> = group.iter().map(|record| record.body.clone()).collect();
        log.append(group[0].received_at, &bodies).unwrap();
        if CHECKPOINTS.contains(&(log.end().0 as usize)) {
            let mut reader = log.reader();
            let mut recovered = recover(&mut reader, &checkpoints, &settings(), log.end(), true).unwrap();
            recovered.catch_up(&mut reader).unwrap();
            save(&checkpoints, |end| reader.sum_before(end), &recovered.facts, &recovered.learner).unwrap();
        }
    }
    drop(log);
    std::fs::remove_file(folder.join("log/lock")).unwrap();
    let expected = held(&folder);
    assert_eq!(expected.kinds.len(), 27, "every kind of record: {:?}", expected.kinds);
    std::fs::write(folder.join("expected.toml"), toml::to_string(&expected).unwrap()).unwrap();
}

/// What a folder holds, read and folded by this build.
fn held(folder: &Path) -> Expected {
    let mut log = LogReader::open(folder).unwrap();
    let mut kinds = BTreeMap::new();
    log.read(Offset(0), usize::MAX, |record| *kinds.entry(kind(&record.body)).or_default() += 1).unwrap();
    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    let end = log.end();
    let recovered = recover(&mut log, &checkpoints, &LearnSettings::default(), end, false).unwrap();
    let facts = recovered.facts;
    Expected {
        records: end.0,
        log: format!("{:032x}", log.verify().unwrap()),
        kinds,
        items: facts.items.len(),
        shoppers: facts.shoppers.len(),
        in_quarantine: facts.quarantine.len(),
        duplicates: facts.duplicates,
        checkpoints: checkpoints.list().unwrap().into_iter().map(|offset| offset.0).collect(),
    }
}

#[test]
fn every_folder_that_was_ever_given_out_opens_and_replays() {
    let folders = std::fs::read_dir(formats()).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    assert!(folders.iter().any(|path| path.ends_with(PRESENT)), "{folders:?}");
    for folder in folders {
        let dir = tempfile::tempdir().unwrap();
        copy(&folder, dir.path());
        let expected = std::fs::read_to_string(folder.join("expected.toml")).unwrap();
        let expected: Expected = toml::from_str(&expected).unwrap();
        let name = folder.display();
        assert_eq!(held(dir.path()), expected, "{name}");
        check_folds(dir.path(), &expected, &name.to_string());
        // It can be written on.
        let mut log = Log::open(dir.path(), LogSettings::default()).unwrap();
        let known = log.find_event(&"e-repaired".into()).unwrap();
        assert!(known.is_some(), "{name}: ids are known");
        let after = log.append(Timestamp(i64::MAX), &[Body::Tombstone]).unwrap();
        assert_eq!(after.start, Offset(expected.records), "{name}");
    }
}

/// Folds from the log alone and from the checkpoints come to the same facts. Every section of the checkpoints is used; what the
/// build that wrote them did not know, such as a later member, begins empty and is reported.
fn check_folds(folder: &Path, expected: &Expected, name: &str) {
    let mut log = LogReader::open(folder).unwrap();
    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    let end = log.end();
    let mut folded = |from_checkpoint| {
        let settings = LearnSettings { history_capacity: settings().history_capacity, ..LearnSettings::default() };
        let mut recovered = recover(&mut log, &checkpoints, &settings, end, from_checkpoint).unwrap();
        recovered.catch_up(&mut log).unwrap();
        (digest(&mut log, &recovered.facts, &recovered.learner).unwrap(), recovered)
    };
    let ((from_log, alone), (from_checkpoint, kept)) = (folded(false), folded(true));
    assert_eq!((alone.checkpoint, alone.warnings()), (None, Vec::new()), "{name}");
    assert_eq!(kept.checkpoint, expected.checkpoints.last().map(|&offset| Offset(offset)), "{name}");
    let is_newest = name.ends_with(PRESENT);
    let is_later = |unread: &Unread| {
        use UnreadReason::{Converted, Missing, Version};
        matches!(unread.reason, Missing | Version { .. } | Converted { .. })
    };
    assert!(kept.unread.iter().all(|unread| !is_newest && is_later(unread)), "{name}: {:?}", kept.warnings());
    for (part, digest) in from_log.parts.iter().filter(|(part, _)| part.starts_with("facts.")) {
        assert_eq!(from_checkpoint.parts.get(part), Some(digest), "{name}: {part}");
    }
    assert_eq!(kept.learner.n_learned(), alone.learner.n_learned(), "{name}");
}

#[test]
fn where_the_log_was_pruned_the_counts_of_an_older_build_stay_and_are_told() {
    for older in ["4", "6"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&formats().join(older), dir.path());
        let mut log = Log::open(dir.path(), LogSettings::default()).unwrap();
        let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
        let searches = |log: &Log| {
            let recovered = recover(&mut log.reader(), &checkpoints, &settings(), log.end(), true).unwrap();
            let told = recovered.warnings().into_iter().find(|warning| warning.contains("facts/searches"));
            (recovered.facts.searches.clone(), recovered.converted(), told.unwrap_or_default())
        };
        let (folded, converted, told) = searches(&log);
        assert_eq!(converted, Vec::<String>::new(), "format {older}");
        assert!(told.contains("folded again from the log"), "format {older}: {told}");
        log.prune(Offset(600)).unwrap();
        assert_eq!(log.start(), Offset(600));
        let (kept, converted, told) = searches(&log);
        assert!(told.contains("the counts of the older build stay"), "format {older}: {told}");
        assert!(converted.iter().any(|of| of.contains("facts/searches")), "format {older}: {converted:?}");
        assert!(kept.n_queries() > 0 && kept != folded, "format {older}");
    }
}
