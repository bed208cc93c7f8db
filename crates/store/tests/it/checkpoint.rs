//! Checkpoints: whole or refused.

use std::io::Read;

use accrue_store::{Checkpoint, CheckpointHeader, Checkpoints, Offset, StoreError};

use crate::fixture::Folder;

fn header(offset: u64) -> CheckpointHeader {
    CheckpointHeader { offset: Offset(offset), seed: 7, instruction_set: "avx2".into(), build: "0.1.0".into() }
}

fn write(checkpoints: &Checkpoints, offset: u64) {
    let mut writer = checkpoints.writer(&header(offset)).unwrap();
    writer.write_section("items", b"red mug").unwrap();
    writer.section("table", |out| (0..1000u32).try_for_each(|row| out.write_all(&row.to_le_bytes()))).unwrap();
    writer.write_section("nothing", b"").unwrap();
    writer.finish().unwrap();
}

/// Everything that can be asked of a checkpoint.
fn read_all(path: &std::path::Path) -> Result<Vec<Vec<u8>>, StoreError> {
    let checkpoint = Checkpoint::open(path)?;
    assert_eq!(checkpoint.header(), &header(500));
    let names: Vec<String> = checkpoint.sections().map(|(name, _)| name.to_owned()).collect();
    let sections: Result<_, _> = names.iter().map(|name| checkpoint.section_bytes(name)).collect();
    checkpoint.verify()?;
    sections
}

#[test]
fn sections_read_back() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    assert!(checkpoints.newest().unwrap().is_none());
    write(&checkpoints, 500);
    let checkpoint = checkpoints.newest().unwrap().unwrap().checkpoint;
    assert_eq!(checkpoint.header(), &header(500));
    assert_eq!(checkpoint.sections().collect::<Vec<_>>(), [("items", 7), ("table", 4000), ("nothing", 0)]);
    assert_eq!(checkpoint.section_bytes("items").unwrap(), b"red mug");
    let mut row = [0; 4];
    let mut table = checkpoint.section("table").unwrap();
    for expected in 0..1000 {
        table.read_exact(&mut row).unwrap();
        assert_eq!(u32::from_le_bytes(row), expected);
    }
    assert_eq!((table.remaining(), table.read(&mut row).unwrap()), (0, 0));
    assert!(matches!(checkpoint.section("users"), Err(StoreError::Section { .. })));
    let mut twice = checkpoints.writer(&header(501)).unwrap();
    twice.write_section("items", b"").unwrap();
    assert!(matches!(twice.write_section("items", b""), Err(StoreError::Section { .. })));
    drop(twice);
    assert_eq!(checkpoints.list().unwrap(), [Offset(500)], "an unfinished one leaves nothing");
    assert_eq!(std::fs::read_dir(folder.join("checkpoints")).unwrap().count(), 1);
}

#[test]
fn truncation_at_any_byte_and_any_flipped_byte_is_refused() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    write(&checkpoints, 500);
    let whole = std::fs::read(checkpoints.path_of(Offset(500))).unwrap();
    let broken = folder.join("broken.ckpt");
    assert_eq!(read_all(&checkpoints.path_of(Offset(500))).unwrap().len(), 3);
    for at in 0..whole.len() {
        std::fs::write(&broken, &whole[..at]).unwrap();
        let error = read_all(&broken).expect_err("truncated");
        assert!(error.to_string().contains("broken.ckpt"), "{error}");
        let mut bent = whole.clone();
        bent[at] ^= 1 << (at % 8);
        std::fs::write(&broken, &bent).unwrap();
        let error = read_all(&broken).expect_err("flipped");
        assert!(error.to_string().contains("broken.ckpt"), "{error}");
    }
}

#[test]
fn damage_names_the_section_and_a_version_names_both() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    write(&checkpoints, 500);
    let path = checkpoints.path_of(Offset(500));
    let whole = std::fs::read(&path).unwrap();
    let place = whole.windows(7).position(|window| window == b"red mug").unwrap();
    let mut bent = whole.clone();
    bent[place] = b'R';
    std::fs::write(&path, &bent).unwrap();
    let error = Checkpoint::open(&path).unwrap().section_bytes("items").unwrap_err();
    assert!(error.to_string().contains("section \"items\""), "{error}");
    let mut other = whole;
    other[8] = 9;
    std::fs::write(&path, &other).unwrap();
    assert!(matches!(Checkpoint::open(&path), Err(StoreError::Version { found: 9, expected: 2, .. })));
}

#[test]
fn newest_that_holds_is_found_and_the_last_are_kept() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    for offset in [100, 200, 300, 400] {
        write(&checkpoints, offset);
    }
    let path = checkpoints.path_of(Offset(400));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let found = checkpoints.newest().unwrap().unwrap();
    assert_eq!(found.checkpoint.header().offset, Offset(300));
    assert_eq!(found.skipped.len(), 1);
    assert!(found.skipped[0].to_string().contains("400.ckpt"));
    let before = checkpoints.newest_up_to(Offset(299)).unwrap().unwrap();
    assert_eq!(before.checkpoint.header().offset, Offset(200));
    assert!(checkpoints.newest_up_to(Offset(99)).unwrap().is_none());
    checkpoints.keep(2).unwrap();
    assert_eq!(checkpoints.list().unwrap(), [Offset(300), Offset(400)]);
    std::fs::remove_file(checkpoints.path_of(Offset(300))).unwrap();
    assert!(matches!(checkpoints.newest(), Err(StoreError::BrokenCheckpoint { .. })));
}

#[test]
fn failed_section_leaves_the_old_checkpoint_in_place() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    write(&checkpoints, 500);
    let mut writer = checkpoints.writer(&header(500)).unwrap();
    let failed = writer.section("table", |out| {
        out.write_all(b"half")?;
        Err(std::io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(failed, Err(StoreError::DiskFull { .. })));
    drop(writer);
    read_all(&checkpoints.path_of(Offset(500))).unwrap();
}
