//! Backups taken while a server writes, and restoring them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use accrue_event::Timestamp;
use accrue_store::{Checkpoints, LogReader, Offset, StoreError, backup, restore};

use crate::fixture::{Folder, bodies, copy_folder, filled, open, read_all};

fn checkpoint(dir: &std::path::Path, offset: u64) {
    let header = crate::fixture::header(offset);
    let mut writer = Checkpoints::new(dir.join("checkpoints")).writer(&header).unwrap();
    writer.value("state", 1, &offset.to_le_bytes()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn backup_under_load_restores_to_a_prefix_of_the_log() {
    let folder = Folder::new();
    let data = folder.join("data");
    let mut log = filled(&data, 400, 1000, 100);
    checkpoint(&data, 300);
    checkpoint(&data, 900);
    std::fs::write(data.join("accrue.toml"), "seed = 1\n").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while !stop.load(Ordering::Relaxed) {
                let from = log.end().0;
                log.append(Timestamp(from as i64), &bodies(from, from + 25)).unwrap();
            }
            log
        }
    });
    let taken: Vec<_> = (0..5).map(|n| backup(&data, &folder.join(&format!("backup-{n}"))).unwrap()).collect();
    stop.store(true, Ordering::Relaxed);
    let log = writer.join().unwrap();
    for (n, taken) in taken.iter().enumerate() {
        assert!(taken.end >= Offset(1000));
        assert_eq!(taken.checkpoint, Some(Offset(900)));
        assert_eq!(log.digest(taken.end).unwrap(), taken.digest);
        let target = folder.join(&format!("restored-{n}"));
        let restored = restore(&folder.join(&format!("backup-{n}")), &target).unwrap();
        assert_eq!((restored.end, restored.digest), (taken.end, taken.digest));
        assert_eq!(std::fs::read_to_string(target.join("accrue.toml")).unwrap(), "seed = 1\n");
        let mut again = open(&target, 400).unwrap();
        assert_eq!(
            read_all(&mut again.reader()).unwrap()[..],
            read_all(&mut log.reader()).unwrap()[..taken.end.0 as usize]
        );
        again.append(Timestamp(0), &bodies(0, 3)).unwrap();
    }
}

#[test]
fn folder_that_is_not_empty_is_refused() {
    let folder = Folder::new();
    let data = folder.join("data");
    drop(filled(&data, 50, 120, 10));
    backup(&data, &folder.join("backup")).unwrap();
    for copied in [restore(&folder.join("backup"), &data), backup(&data, &folder.join("backup"))] {
        assert!(matches!(copied, Err(StoreError::NotEmpty { .. })));
    }
    assert_eq!(LogReader::open(&data).unwrap().end(), Offset(120));
}

#[test]
fn damaged_or_incomplete_backup_is_refused_whole() {
    let folder = Folder::new();
    let data = folder.join("data");
    drop(filled(&data, 50, 120, 10));
    checkpoint(&data, 100);
    let good = folder.join("backup");
    backup(&data, &good).unwrap();
    let files = ["manifest", "log/00000000000000000050.seg", "checkpoints/00000000000000000100.ckpt"];
    for (n, file) in files.iter().enumerate() {
        for cut in [true, false] {
            let bad = folder.join(&format!("bad-{n}-{cut}"));
            copy_folder(&good, &bad);
            let mut bytes = std::fs::read(bad.join(file)).unwrap();
            if cut {
                bytes.pop();
            } else {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            }
            std::fs::write(bad.join(file), bytes).unwrap();
            let target = folder.join("target");
            let error = restore(&bad, &target).expect_err(file);
            assert!(error.to_string().contains(&format!("bad-{n}-{cut}")), "{error}");
            assert!(!target.exists(), "a restore that fails leaves nothing");
        }
    }
    restore(&good, &folder.join("target")).unwrap();
    assert!(matches!(restore(&data, &folder.join("other")), Err(StoreError::BrokenBackup { .. })));
}

#[test]
fn a_backup_into_the_data_folder_is_refused() {
    let folder = Folder::new();
    let data = folder.join("data");
    drop(filled(&data, 100, 300, 100));
    for target in ["data/backup", "data/a/b", "data"] {
        let refused = backup(&data, &folder.join(target));
        assert!(matches!(refused, Err(StoreError::BackupInside { .. })), "{target}: {refused:?}");
    }
    assert!(!data.join("a").exists(), "nothing was written");
    backup(&data, &folder.join("data-backup")).unwrap();
}
