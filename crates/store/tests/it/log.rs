//! Appending, reading, recognising, erasing, pruning.

use accrue_event::Timestamp;
use accrue_store::{Body, Log, LogReader, Offset, StoreError};
use proptest::prelude::*;

use crate::fixture::{Folder, bodies, body, checked, filled, id, open, read_all, refusal_id};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn groups_segments_and_reopening_do_not_show(groups in prop::collection::vec((1u64..40, any::<bool>()), 1..12), segment in 5u64..60) {
        let n = groups.iter().map(|group| group.0).sum();
        let straight = Folder::new();
        // The same stamps whatever the groups.
        let mut whole = open(straight.path(), 1000).unwrap();
        whole.append(Timestamp(9), &bodies(0, n)).unwrap();
        let stopped = Folder::new();
        let mut log = open(stopped.path(), segment).unwrap();
        for (size, reopen) in groups {
            let from = log.end().0;
            log.append(Timestamp(9), &bodies(from, from + size)).unwrap();
            if reopen {
                drop(log);
                log = open(stopped.path(), segment).unwrap();
            }
        }
        prop_assert_eq!(log.end(), Offset(n));
        prop_assert_eq!(read_all(&mut log.reader()).unwrap(), read_all(&mut whole.reader()).unwrap());
        prop_assert_eq!(log.digest(Offset(n / 2)).unwrap(), whole.digest(Offset(n / 2)).unwrap());
        prop_assert_eq!(log.reader().verify().unwrap(), whole.digest(Offset(n)).unwrap());
        for k in 0..n {
            let expected = (![3, 8, 9].contains(&(k % 10))).then_some(Offset(k));
            prop_assert_eq!(log.find_event(&id(k)).unwrap(), expected);
            let expected = (k % 10 == 8).then_some(Offset(k));
            prop_assert_eq!(log.find_refusals([refusal_id(k)]).unwrap(), [expected]);
        }
        prop_assert_eq!(log.find_event(&id(n)).unwrap(), None);
    }
}

#[test]
fn reader_reads_ranges_and_single_records() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 40, 100, 10);
    let mut reader = log.reader();
    let mut offsets = Vec::new();
    let next = reader.read(Offset(35), 12, |record| offsets.push(record.offset.0)).unwrap();
    assert_eq!((next, offsets), (Offset(47), (35..47).collect()));
    assert_eq!(reader.read(Offset(100), 5, |_| panic!("nothing is there")).unwrap(), Offset(100));
    assert_eq!(reader.get(Offset(41)).unwrap().unwrap().body, body(41));
    assert_eq!(reader.get(Offset(100)).unwrap(), None);
    log.append(Timestamp(0), &[body(100)]).unwrap();
    let record = reader.get(Offset(100)).unwrap().unwrap();
    assert_eq!(record.received_at, Timestamp(90), "a clock that jumped back is held");
    assert!(matches!(log.digest(Offset(102)), Err(StoreError::BeyondEnd { .. })));
    assert_eq!(LogReader::open(folder.path()).unwrap().end(), Offset(101), "from another process, beside the writer");
}

#[test]
fn readers_in_other_threads_see_what_was_committed() {
    let folder = Folder::new();
    let mut log = open(folder.path(), 500).unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut reader = log.reader();
            std::thread::spawn(move || {
                let mut next = Offset(0);
                let mut n = 0;
                while next < Offset(3000) {
                    next = reader
                        .read(next, 100, |record| {
                            assert_eq!((record.offset.0, record.body), (n, body(n)));
                            n += 1;
                        })
                        .unwrap();
                }
                n
            })
        })
        .collect();
    while log.end() < Offset(3000) {
        let from = log.end().0;
        log.append(Timestamp(1), &bodies(from, from + 50)).unwrap();
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 3000);
    }
}

#[test]
fn second_opening_is_refused_with_a_remedy() {
    let folder = Folder::new();
    let log = open(folder.path(), 10).unwrap();
    let error = open(folder.path(), 10).err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }));
    assert!(error.to_string().contains("--data DIR"), "{error}");
    drop(log);
    open(folder.path(), 10).unwrap();
}

#[test]
fn first_of_two_events_with_one_id_is_found() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 20, 50, 10);
    log.append(Timestamp(99), &[Body::Event(checked(4)), Body::Event(checked(77)), Body::Event(checked(77))]).unwrap();
    let ids = [id(4), id(77), id(1000), id(45)];
    let found = log.find_events(&ids).unwrap();
    assert_eq!(found, [Some(Offset(4)), Some(Offset(51)), None, Some(Offset(45))]);
}

#[test]
fn erased_records_are_tombstones_and_their_bytes_are_gone() {
    let folder = Folder::new();
    let mut log = open(folder.path(), 300).unwrap();
    while log.end().0 < 700 {
        let from = log.end().0;
        let secret = |n| {
            let mut event = checked(n);
            // Some bodies fill pages of their own.
            let length = if n % 100 == 5 { 9000 } else { 12 };
            event.raw = Some(format!("secret<{n}>{}", "x".repeat(length)).into());
            Body::Event(event)
        };
        log.append(Timestamp(5), &(from..from + 20).map(secret).collect::<Vec<_>>()).unwrap();
    }
    let digest = log.digest(Offset(700)).unwrap();
    let erased: Vec<Offset> = [5, 17, 105, 299, 300, 305, 505, 650, 651, 699].map(Offset).to_vec();
    log.erase(&erased).unwrap();
    for entry in std::fs::read_dir(folder.join("log")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for offset in &erased {
            let secret = format!("secret<{offset}>");
            let left = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!left, "{secret} is still in {}", path.display());
        }
    }
    for reopened in [false, true] {
        if reopened {
            drop(log);
            log = open(folder.path(), 300).unwrap();
        }
        let records = read_all(&mut log.reader()).unwrap();
        assert_eq!(records.len(), 700);
        for record in records {
            assert_eq!(record.body == Body::Tombstone, erased.contains(&record.offset));
            let found = log.find_event(&id(record.offset.0)).unwrap();
            assert_eq!(found.is_none(), erased.contains(&record.offset));
        }
        assert_ne!(log.reader().verify().unwrap(), digest);
    }
    log.append(Timestamp(6), &[Body::Event(checked(300))]).unwrap();
    assert_eq!(log.find_event(&id(300)).unwrap(), Some(Offset(700)), "an id may come again after its erasure");
    assert!(matches!(log.erase(&[Offset(701)]), Err(StoreError::BeyondEnd { .. })));
    log.append(Timestamp(7), &bodies(701, 1500)).unwrap();
    log.append(Timestamp(7), &bodies(1500, 1501)).unwrap();
    drop(log);
    let log = open(folder.path(), 300).unwrap();
    log.reader().verify().unwrap();
    assert_eq!(log.find_event(&id(300)).unwrap(), Some(Offset(700)));
}

#[test]
fn pruned_segments_are_gone_and_the_digest_stays() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 20, 95, 10);
    let digest = log.digest(Offset(95)).unwrap();
    let mut reader = log.reader();
    reader.get(Offset(0)).unwrap().unwrap();
    log.prune(Offset(59)).unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(log);
            log = open(folder.path(), 20).unwrap();
        }
        assert_eq!((log.start(), log.end()), (Offset(40), Offset(95)));
        assert_eq!(log.digest(Offset(95)).unwrap(), digest);
        assert_eq!(log.find_event(&id(39)).unwrap(), None);
        assert_eq!(log.find_event(&id(40)).unwrap(), Some(Offset(40)));
    }
    assert_eq!(reader.get(Offset(0)).unwrap(), None);
    assert!(matches!(reader.read(Offset(39), 1, |_| {}), Err(StoreError::Pruned { start: Offset(40), .. })));
    log.erase(&[Offset(3), Offset(41)]).unwrap();
    log.prune(Offset(1_000_000)).unwrap();
    assert_eq!((log.start(), log.end()), (Offset(80), Offset(95)), "the segment being written stays");
    log.append(Timestamp(1), &[body(95)]).unwrap();
    assert_eq!(read_all(&mut log.reader()).unwrap().len(), 16);
}

#[test]
fn refused_write_poisons_the_writer() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 1000, 50, 10);
    let segment = folder.join("log/00000000000000000000.seg");
    let vandal = rusqlite::Connection::open(segment).unwrap();
    vandal
        .execute_batch("CREATE TRIGGER worn_out BEFORE INSERT ON records WHEN NEW.seq = 55 BEGIN SELECT RAISE(FAIL, 'worn out'); END")
        .unwrap();
    let first = log.append(Timestamp(1), &bodies(50, 60)).unwrap_err();
    assert!(first.to_string().contains("worn out"), "{first}");
    vandal.execute_batch("DROP TRIGGER worn_out").unwrap();
    let later = log.append(Timestamp(1), &bodies(50, 51)).unwrap_err();
    assert!(matches!(&later, StoreError::Poisoned { cause, .. } if cause.contains("worn out")), "{later}");
    assert_eq!(log.end(), Offset(50));
    assert_eq!(read_all(&mut log.reader()).unwrap().len(), 50, "nothing of the refused group is there, reads go on");
    assert_eq!(log.find_event(&id(52)).unwrap(), None);
    drop(log);
    assert_eq!(open(folder.path(), 1000).unwrap().end(), Offset(50));
}

#[test]
fn a_log_that_is_opened_again_after_a_failed_write_goes_on_where_its_files_end() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 20, 50, 10);
    let mut reader = log.reader();
    let path = folder.join("log/00000000000000000040.seg");
    let vandal = rusqlite::Connection::open(&path).unwrap();
    vandal
        .execute_batch("CREATE TRIGGER worn_out BEFORE INSERT ON records WHEN NEW.seq = 55 BEGIN SELECT RAISE(FAIL, 'worn out'); END")
        .unwrap();
    log.append(Timestamp(1), &bodies(50, 60)).unwrap_err();
    // What caused the failure is still there: the same happens again.
    log.reopen().unwrap();
    log.append(Timestamp(1), &bodies(50, 60)).unwrap_err();
    vandal.execute_batch("DROP TRIGGER worn_out").unwrap();
    log.reopen().unwrap();
    assert_eq!((log.start(), log.end()), (Offset(0), Offset(50)));
    assert_eq!(log.append(Timestamp(1), &bodies(50, 95)).unwrap(), Offset(50)..Offset(95));
    assert_eq!(log.append(Timestamp(1), &bodies(95, 96)).unwrap(), Offset(95)..Offset(96), "in the next segment");
    assert_eq!(log.find_event(&id(2)).unwrap(), Some(Offset(2)));
    assert_eq!(log.find_event(&id(52)).unwrap(), Some(Offset(52)));
    assert_eq!(read_all(&mut reader).unwrap().len(), 96, "a reader from before follows");
    let digest = log.digest(Offset(96)).unwrap();
    drop(log);
    assert_eq!(open(folder.path(), 20).unwrap().digest(Offset(96)).unwrap(), digest);
}

#[test]
fn a_kill_between_the_steps_of_pruning_leaves_a_whole_log() {
    let folder = Folder::new();
    let log = filled(folder.path(), 20, 95, 10);
    let digest = log.digest(Offset(95)).unwrap();
    log.reader().note_digests(Offset(60)).unwrap();
    assert!(log.reader().note_digests(Offset(50)).is_err(), "no segment begins there");
    drop(log);
    let mut log = open(folder.path(), 20).unwrap();
    assert_eq!((log.start(), log.digest(Offset(95)).unwrap()), (Offset(0), digest), "nothing is removed yet");
    let detached = log.detach(Offset(60));
    assert_eq!((log.start(), log.digest(Offset(95)).unwrap()), (Offset(60), digest));
    assert_eq!(log.find_event(&id(39)).unwrap(), None);
    log.append(Timestamp(1_000), &[body(95)]).unwrap();
    drop((log, detached));
    // Some of the files are gone, from the oldest on.
    for first in ["00000000000000000000", "00000000000000000020"] {
        std::fs::remove_file(folder.join(&format!("log/{first}.seg"))).unwrap();
        let log = open(folder.path(), 20).unwrap();
        assert_eq!((log.digest(Offset(95)).unwrap(), log.end()), (digest, Offset(96)));
        log.reader().verify().unwrap();
    }
}

#[test]
fn answers_are_erased_and_everything_else_stays() {
    let folder = Folder::new();
    let mut log = filled(folder.path(), 20, 95, 10);
    let full = log.reader().full_segments().unwrap();
    assert_eq!((full.len(), full[1].first, full[1].end), (4, Offset(20), Offset(40)));
    assert!(full.windows(2).all(|pair| pair[0].from <= pair[0].to && pair[0].to <= pair[1].from));
    let is_served =
        |log: &Log, offset: u64| matches!(log.reader().get(Offset(offset)).unwrap().unwrap().body, Body::Served(_));
    let served: Vec<u64> = (20..40).filter(|&offset| is_served(&log, offset)).collect();
    let (&spared, erased) = served.split_first().expect("the segment has answers");
    let n = erased.len() as u64;
    assert_eq!(log.reader().count_served(&full[1], &[Offset(spared)]).unwrap(), n);
    assert_eq!(log.reader().erase_served(&full[1], &[Offset(spared)]).unwrap(), n);
    assert_eq!(log.reader().erase_served(&full[1], &[Offset(spared)]).unwrap(), 0);
    assert!(is_served(&log, spared) && erased.iter().all(|&offset| !is_served(&log, offset)));
    assert_eq!(log.reader().erase_served(&full[1], &[]).unwrap(), 1, "no longer spared");
    assert!(!is_served(&log, spared));
    log.append(Timestamp(1_000), &[body(95)]).unwrap();
    drop(log);
    let log = open(folder.path(), 20).unwrap();
    log.reader().verify().unwrap();
    assert_eq!(log.find_event(&id(21)).unwrap(), Some(Offset(21)));
}

#[test]
fn a_segment_is_full_when_its_first_record_is_old_enough() {
    let folder = Folder::new();
    let mut log = open(folder.path(), 1_000).unwrap();
    log.set_segment_span(Some(std::time::Duration::from_millis(100)));
    for (at, offset) in [(0, 0), (99, 1), (100, 2), (150, 3), (300, 4)] {
        log.append(Timestamp(at), &[body(offset)]).unwrap();
    }
    assert_eq!(log.reader().segment_starts(), [Offset(0), Offset(2), Offset(4)]);
    drop(log);
    let mut log = open(folder.path(), 1_000).unwrap();
    log.set_segment_span(Some(std::time::Duration::from_millis(100)));
    log.append(Timestamp(399), &[body(5)]).unwrap();
    log.append(Timestamp(400), &[body(6)]).unwrap();
    assert_eq!(log.reader().last_segment(), Offset(6), "the age of a segment is known after a restart");
}
