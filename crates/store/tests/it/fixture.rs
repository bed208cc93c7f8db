//! Folders that are removed after a test, and events of a small shop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use accrue_event::{Event, EventId, EventType, Price, RecordKind, RefusalId, Timestamp};
use accrue_store::{
    Assignment, Body, CheckedEvent, CheckpointHeader, Log, LogReader, LogSettings, Offset, Page, Record, Served,
    StoreError,
};

/// A folder of this test alone, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static N_FOLDERS: AtomicU32 = AtomicU32::new(0);
        let n = N_FOLDERS.fetch_add(1, Ordering::Relaxed);
        Self::named(&format!("store-{}-{n}", std::process::id()))
    }

    /// A folder that outlives the test run: the next one empties it.
    pub fn named(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The header of a checkpoint at `offset`.
pub fn header(offset: u64) -> CheckpointHeader {
    CheckpointHeader {
        offset: Offset(offset),
        resume: Offset(offset),
        last_record: Some(offset),
        seed: 7,
        instruction_set: "avx2".into(),
        build: "0.1.0".into(),
    }
}

pub fn id(n: u64) -> EventId {
    EventId::new(format!("event-{n}"))
}

pub fn checked(n: u64) -> CheckedEvent {
    CheckedEvent {
        event: Event {
            user: Some(format!("user-{}", n % 7).as_str().into()),
            item: Some(format!("sku-{}", n % 11).as_str().into()),
            price: Price::new(9.5),
            ..Event::bare(id(n), EventType::View, Timestamp(n as i64))
        },
        repairs: Vec::new(),
        raw: None,
    }
}

pub fn refusal_id(n: u64) -> RefusalId {
    RefusalId::of(RecordKind::Events, format!("line {n}").as_bytes())
}

fn served(n: u64) -> Served {
    Served {
        user: Some(format!("user-{}", n % 7).as_str().into()),
        version: n,
        learned: Offset(n / 2),
        first_position: 10,
        items: vec!["sku-1".into(), "sku-2".into()],
        propensities: if n % 20 == 9 { Vec::new() } else { vec![0.5, 0.25] },
        arm: (n % 30 == 19).then(|| Assignment { experiment: "variety".into(), arm: "b".into() }),
        ranks: if n % 20 == 9 { Vec::new() } else { vec![1, 0] },
        asked: if n % 20 == 9 { r#"{"n":2}"#.into() } else { Box::default() },
        ..Served::bare(
            format!("answer-{n}").into(),
            if n % 20 == 9 { Page::Recommend } else { Page::Search { query: "red mug".into() } },
        )
    }
}

fn refused(n: u64) -> Body {
    let (reason, raw) = ("malformed".into(), format!("line {n}").into());
    Body::Quarantined { id: refusal_id(n), kind: RecordKind::Events, reason, detail: "no JSON".into(), raw }
}

/// Record `n` of the made-up log: mostly events, now and then something else.
pub fn body(n: u64) -> Body {
    match n % 10 {
        3 => Body::ItemRetired(format!("sku-{n}").as_str().into()),
        6 => Body::Released { of: Offset(n / 2), event: checked(n) },
        8 => refused(n),
        9 => Body::Served(Box::new(served(n))),
        _ => Body::Event(checked(n)),
    }
}

pub fn bodies(from: u64, until: u64) -> Vec<Body> {
    (from..until).map(body).collect()
}

pub fn open(dir: &Path, segment_records: u64) -> Result<Log, StoreError> {
    Log::open(dir, LogSettings { segment_records })
}

/// A log of `n` records, appended in groups of `group`.
pub fn filled(dir: &Path, segment_records: u64, n: u64, group: u64) -> Log {
    let mut log = open(dir, segment_records).unwrap();
    while log.end().0 < n {
        let from = log.end().0;
        log.append(Timestamp(from as i64), &bodies(from, (from + group).min(n))).unwrap();
    }
    log
}

pub fn read_all(reader: &mut LogReader) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let (start, end) = (reader.start(), reader.end());
    let next = reader.read(start, usize::MAX, |record| records.push(record))?;
    assert_eq!(next, end);
    Ok(records)
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
