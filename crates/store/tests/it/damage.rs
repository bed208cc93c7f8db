//! Damaged files: an error that names the file, or a prefix of the log; never a panic, never another record.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use accrue_store::{Record, StoreError};
use proptest::prelude::*;

use crate::fixture::{Folder, copy_folder, filled, id, open, read_all};

const N_RECORDS: u64 = 150;
const SEGMENT_RECORDS: u64 = 60;

/// A closed log, and a copy that was made while it was open, as a crash leaves it.
static LOGS: LazyLock<(Folder, Folder, Vec<Record>)> = LazyLock::new(|| {
    let (closed, crashed) = (Folder::named("store-damage-closed"), Folder::named("store-damage-crashed"));
    let log = filled(closed.path(), SEGMENT_RECORDS, N_RECORDS, 10);
    copy_folder(&closed.join("log"), &crashed.join("log"));
    let records = read_all(&mut log.reader()).unwrap();
    drop(log);
    (closed, crashed, records)
});

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.metadata().unwrap().len() > 0);
    files.sort();
    files
}

/// All records of the log at `dir`, or an error.
fn read_back(dir: &Path) -> Result<Vec<Record>, StoreError> {
    let log = open(dir, SEGMENT_RECORDS)?;
    for n in 0..N_RECORDS {
        if let Some(offset) = log.find_event(&id(n))? {
            assert_eq!(offset.0, n);
        }
    }
    let records = read_all(&mut log.reader())?;
    log.digest(log.end())?;
    log.reader().verify()?;
    Ok(records)
}

fn check(crashed: bool, file: prop::sample::Index, damage: impl FnOnce(&mut Vec<u8>)) -> Result<(), TestCaseError> {
    let (closed, open_copy, records) = &*LOGS;
    let folder = Folder::new();
    copy_folder(if crashed { open_copy.path() } else { closed.path() }, folder.path());
    let files = files(folder.path());
    let file = &files[file.index(files.len())];
    let mut bytes = std::fs::read(file).unwrap();
    damage(&mut bytes);
    std::fs::write(file, bytes).unwrap();
    match read_back(folder.path()) {
        Ok(found) => prop_assert_eq!(&found[..], &records[..found.len()]),
        Err(error) => {
            let message = error.to_string();
            prop_assert!(message.contains(".seg") && message.contains("; "), "{}", message);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn truncated_file_is_an_error_or_a_prefix(crashed: bool, file: prop::sample::Index, at: prop::sample::Index) {
        check(crashed, file, |bytes| bytes.truncate(at.index(bytes.len())))?;
    }

    #[test]
    fn flipped_bit_is_an_error_or_a_prefix(crashed: bool, file: prop::sample::Index, at: prop::sample::Index, bit in 0..8) {
        check(crashed, file, |bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
        })?;
    }

    #[test]
    fn overwritten_stretch_is_an_error_or_a_prefix(crashed: bool, file: prop::sample::Index, at: prop::sample::Index, with: [u8; 64]) {
        check(crashed, file, |bytes| {
            let at = at.index(bytes.len());
            let n = with.len().min(bytes.len() - at);
            bytes[at..at + n].copy_from_slice(&with[..n]);
        })?;
    }
}

#[test]
fn both_kinds_of_undamaged_logs_read_back_whole() {
    let (closed, crashed, records) = &*LOGS;
    for log in [closed, crashed] {
        let folder = Folder::new();
        copy_folder(log.path(), folder.path());
        assert_eq!(&read_back(folder.path()).unwrap(), records);
    }
}

#[test]
fn missing_segment_and_foreign_files_are_named() {
    let (closed, ..) = &*LOGS;
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let cases: [Damage; 5] = [
        ("a segment is missing", &|log| std::fs::remove_file(log.join("00000000000000000060.seg")).unwrap()),
        ("the segment after it is missing", &|log| std::fs::remove_file(log.join("00000000000000000120.seg")).unwrap()),
        ("its name is not the offset", &|log| std::fs::write(log.join("notes.seg"), "milk, bread").unwrap()),
        ("not a database", &|log| {
            std::fs::write(log.join("00000000000000000120.seg"), "milk, bread".repeat(100)).unwrap()
        }),
        ("not a segment of a log", &|log| {
            let path = log.join("00000000000000000120.seg");
            std::fs::remove_file(&path).unwrap();
            rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE shopping(list)").unwrap();
        }),
    ];
    for (message, damage) in cases {
        let folder = Folder::new();
        copy_folder(closed.path(), folder.path());
        damage(&folder.join("log"));
        let error = open(folder.path(), SEGMENT_RECORDS).err().expect(message).to_string();
        assert!(error.contains(message) && error.contains(".seg"), "{message:?} in {error:?}");
    }
}
