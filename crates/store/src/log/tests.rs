//! Tests that need private items.

use accrue_event::{ItemId, RecordKind};

use super::embedded::EmbeddedStore;
use super::*;
use crate::{InertReason, PublishedRecord, Record, SourcePosition};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("accrue-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn retired(n: usize) -> Body {
    Body::ItemRetired(ItemId::new(format!("sku-{n}")))
}

#[test]
fn a_full_disk_poisons_the_writer_and_reads_continue() {
    let folder = Folder::new("full");
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    let first: Vec<Body> = (0..10).map(retired).collect();
    log.append(Timestamp(1), &first).unwrap();
    log.active.segment.rows.sqlite().pragma_update(None, "max_page_count", 12).unwrap();
    let many: Vec<Body> = (10..10_000).map(retired).collect();
    let full = log.append(Timestamp(2), &many).unwrap_err();
    assert!(matches!(full, StoreError::DiskFull { .. }), "{full}");
    log.active.segment.rows.sqlite().pragma_update(None, "max_page_count", 1_000_000).unwrap();
    let poisoned = log.append(Timestamp(3), &first).unwrap_err();
    assert!(matches!(&poisoned, StoreError::Poisoned { cause, .. } if cause.contains("free some space")), "{poisoned}");
    assert!(matches!(log.erase(&[Offset(0)]), Err(StoreError::Poisoned { .. })));
    assert!(matches!(log.prune(Offset(0)), Err(StoreError::Poisoned { .. })));
    let mut read = Vec::new();
    log.reader().read(Offset(0), 100, |record: Record| read.push(record.body)).unwrap();
    assert_eq!(read, first);
    drop(log);
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    assert_eq!(log.append(Timestamp(4), &many).unwrap(), Offset(10)..Offset(10_000));
}

#[test]
fn a_full_segment_that_the_disk_has_no_room_to_seal_is_read_from_and_sealed_later() {
    let folder = Folder::new("unsealed");
    let (dir, end) = (folder.0.join("log"), Offset(3_000));
    let id = |n: u64| RefusalId::of(RecordKind::Events, &n.to_le_bytes());
    let refused = |n: u64| {
        let (reason, detail) = ("malformed".into(), "no JSON".into());
        Body::Quarantined { id: id(n), kind: RecordKind::Events, reason, detail, raw: "{".into() }
    };
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    log.append(Timestamp(1), &(0..3_000).map(refused).collect::<Vec<_>>()).unwrap();
    drop(log);
    // As a process leaves the folder that is killed between two segments.
    let store = EmbeddedStore::new(dir);
    drop(Segment::create(&store, end).unwrap());
    let (active, _) = Active::recover(Segment::open(&store, Offset(0)).unwrap()).unwrap();
    let pages: i64 = active.segment.rows.sqlite().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    active.segment.rows.sqlite().pragma_update(None, "max_page_count", pages).unwrap();
    let to_read = || Segment::open_to_read(&store, Offset(0)).unwrap();
    let unsealed = Sealed::of_unsealed(to_read(), end, active).unwrap();
    assert!(matches!(unsealed.index, Index::Live(_)));
    let find = |sealed: &Sealed, n: u64| {
        let key = Key::Refused(id(n));
        let found = sealed.filter.may_contain(key.hash()).then(|| sealed.find(key, key.hash()).unwrap());
        found.flatten()
    };
    for n in [0, 1_234, 2_999] {
        assert_eq!(find(&unsealed, n), Some(Offset(n)));
    }
    assert_eq!(find(&unsealed, 3_000), None);
    drop(unsealed);
    let log = Log::open(&folder.0, LogSettings::default()).unwrap();
    assert!(matches!(log.sealed[0].index, Index::Stored { .. }), "there is room now");
    assert_eq!((log.end(), log.find_refusals([id(1_234)]).unwrap()), (end, vec![Some(Offset(1_234))]));
}

#[test]
fn commits_overwrite_a_write_ahead_log_that_was_extended_in_advance() {
    let folder = Folder::new("reserved");
    let wal = folder.0.join("log/00000000000000000000.seg-wal");
    let len = || std::fs::metadata(&wal).unwrap().len();
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    let reserved = len();
    assert!(reserved > 4 << 20, "{reserved}");
    for n in 0..300 {
        log.append(Timestamp(n as i64), &[retired(n)]).unwrap();
    }
    assert_eq!(len(), reserved);
    log.erase(&[Offset(7)]).unwrap();
    assert_eq!(len(), reserved, "it is extended again after it was emptied");
    // A process that was killed leaves the file as it is.
    let kept = std::fs::read(&wal).unwrap();
    let segment = std::fs::read(wal.with_extension("seg")).unwrap();
    drop(log);
    std::fs::write(&wal, kept).unwrap();
    std::fs::write(wal.with_extension("seg"), segment).unwrap();
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    assert_eq!((log.end(), len()), (Offset(300), reserved));
    assert_eq!(log.append(Timestamp(300), &[retired(300)]).unwrap(), Offset(300)..Offset(301));
}

#[test]
fn commits_behind_a_damaged_one_are_not_left_out_in_silence() {
    let folder = Folder::new("wal");
    let wal = folder.0.join("log/00000000000000000000.seg-wal");
    let mut log = Log::open(&folder.0, LogSettings::default()).unwrap();
    for n in 0..20 {
        log.append(Timestamp(n as i64), &[retired(n)]).unwrap();
    }
    // As a process leaves the files that is killed.
    let kept = std::fs::read(&wal).unwrap();
    let segment = std::fs::read(wal.with_extension("seg")).unwrap();
    drop(log);
    let open_with = |wal_bytes: &[u8]| {
        std::fs::write(&wal, wal_bytes).unwrap();
        std::fs::write(wal.with_extension("seg"), &segment).unwrap();
        let _ = std::fs::remove_file(folder.0.join("log/00000000000000000000.seg-shm"));
        Log::open(&folder.0, LogSettings::default()).map(|log| log.end())
    };
    assert_eq!(open_with(&kept).unwrap(), Offset(20));
    let used = kept.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let bent = |at: usize| {
        let mut bytes = kept.clone();
        bytes[at] ^= 1;
        bytes
    };
    let refused = open_with(&bent(used / 2)).unwrap_err();
    let StoreError::Corrupt { what, .. } = &refused else { panic!("{refused}") };
    let cut: usize = what.split("truncate -s ").nth(1).unwrap().split('`').next().unwrap().parse().unwrap();
    let end = open_with(&kept[..cut]).unwrap();
    assert!(Offset(5) < end && end < Offset(15), "what was before the damage is there: {end}");
    // A crash in the middle of the last write leaves such a file.
    assert_eq!(open_with(&bent(used - 9)).unwrap(), Offset(19));
    for len in (0..used).step_by(997) {
        assert!(open_with(&kept[..len]).unwrap() <= Offset(20), "{len} bytes");
    }
}

#[test]
fn a_missing_first_segment_is_refused_and_a_pruned_one_is_not() {
    for pruned in [false, true] {
        let folder = Folder::new(if pruned { "pruned" } else { "lost" });
        let settings = LogSettings { segment_records: 10 };
        let mut log = Log::open(&folder.0, settings.clone()).unwrap();
        for n in 0..30 {
            log.append(Timestamp(n as i64), &[retired(n)]).unwrap();
        }
        if pruned {
            log.prune(Offset(10)).unwrap();
        }
        drop(log);
        if !pruned {
            EmbeddedStore::new(folder.0.join("log")).remove(Offset(0)).unwrap();
        }
        let (opened, read) = (Log::open(&folder.0, settings).map(drop), LogReader::open(&folder.0).map(drop));
        if pruned {
            assert!(opened.is_ok() && read.is_ok());
        } else {
            assert!(matches!(opened, Err(StoreError::Gap { .. })) && matches!(read, Err(StoreError::Gap { .. })));
        }
    }
}

#[test]
fn the_key_is_read_from_the_bytes_of_a_body() {
    let event = crate::CheckedEvent {
        event: accrue_event::Event {
            user: Some("u1".into()),
            item: Some("sku-9".into()),
            ..accrue_event::Event::bare("e1".into(), accrue_event::EventType::View, Timestamp(5))
        },
        repairs: Vec::new(),
        raw: None,
    };
    let refused = Body::Quarantined {
        id: RefusalId::of(RecordKind::Items, b"{}"),
        kind: RecordKind::Items,
        reason: "item_no_id".into(),
        detail: "id: an item needs one".into(),
        raw: "{}".into(),
    };
    let bodies = [
        (Body::Event(event.clone()), true),
        (refused, true),
        (Body::Released { of: Offset(300), event: event.clone() }, true),
        (Body::Published(Box::new(PublishedRecord::Inert { event, why: InertReason::UnknownItem })), true),
        (Body::Published(Box::new(PublishedRecord::Refusals { kept: 1, counted: vec![("no_item".into(), 2)] })), false),
        (Body::Tombstone, false),
        (Body::Dropped { of: Offset(7) }, false),
        (retired(1), false),
        (Body::Settings("a".into()), false),
        (Body::Rules("[]".into()), false),
        (Body::Synonyms("brolly, umbrella".into()), false),
        (Body::Scenes("{}".into()), false),
        (Body::Campaigns("{}".into()), false),
        (Body::SourceRead(Box::new(SourcePosition { source: "orders".into(), position: "{}".into() })), false),
    ];
    for (body, has_key) in bodies {
        let mut blob = Vec::new();
        row::encode(&mut blob, Offset(3), Timestamp(4), &body);
        let (bytes, _) = row::verified(Offset(3), Timestamp(4), &blob).unwrap();
        assert_eq!(row::key(bytes).unwrap(), row::key_of(&body));
        assert_eq!(row::key_of(&body).is_some(), has_key, "{body:?}");
        assert_eq!(row::decode(Offset(3), Timestamp(4), &blob).unwrap().body, body);
        assert!(row::decode(Offset(4), Timestamp(4), &blob).is_err(), "a record of another offset");
        assert!(row::decode(Offset(3), Timestamp(5), &blob).is_err(), "a record of another time");
    }
}

#[test]
fn ids_of_equal_hash_are_distinguished() {
    let mut live = LiveIds::default();
    for position in [2, 5, 9] {
        live.insert(77, position);
    }
    assert_eq!(live.candidates(77).collect::<Vec<_>>(), [2, 5, 9]);
    assert_eq!(live.candidates(78).count(), 0);
    assert_eq!(live.sorted(), [(77, 2), (77, 5), (77, 9)]);
}
