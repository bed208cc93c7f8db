//! Checkpoints: they are read completely or refused.

use std::io::{Read, Write};

use accrue_store::{Checkpoint, Checkpoints, Offset, StoreError, Written};

use crate::fixture::{Folder, header};

fn write(checkpoints: &Checkpoints, offset: u64) {
    let mut writer = checkpoints.writer(&header(offset)).unwrap();
    writer.section("items", 1, |out| out.write_all(b"red mug")).unwrap();
    writer.section("table", 1, |out| (0..1000u32).try_for_each(|row| out.write_all(&row.to_le_bytes()))).unwrap();
    writer.section("nothing", 1, |out| out.write_all(b"")).unwrap();
    writer.finish().unwrap();
}

/// Reads everything in a checkpoint.
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
    twice.section("items", 1, |_| Ok(())).unwrap();
    assert!(matches!(twice.section("items", 1, |_| Ok(())), Err(StoreError::Section { .. })));
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
    assert!(matches!(Checkpoint::open(&path), Err(StoreError::Version { found: 9, expected: 8, .. })));
}

#[test]
fn the_newest_sound_one_is_found_and_the_last_are_kept() {
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
    // The chunks of these were written at 100.
    assert_eq!(checkpoints.list().unwrap(), [Offset(100), Offset(300), Offset(400)]);
    std::fs::remove_file(checkpoints.path_of(Offset(100))).unwrap();
    assert!(matches!(checkpoints.newest(), Err(StoreError::BrokenCheckpoint { .. })));
}

#[test]
fn failed_section_leaves_the_old_checkpoint_in_place() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    write(&checkpoints, 500);
    let mut writer = checkpoints.writer(&header(500)).unwrap();
    let failed = writer.section("table", 1, |out| {
        out.write_all(b"half")?;
        Err(std::io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(failed, Err(StoreError::DiskFull { .. })));
    drop(writer);
    read_all(&checkpoints.path_of(Offset(500))).unwrap();
}

/// A state of some size that changes in places, as models do.
struct State(Vec<u8>);

impl State {
    fn new() -> Self {
        Self((0..1 << 20).map(|at| random(1, at) as u8).collect())
    }

    /// Changes `n` places, and lets the state grow a little.
    fn step(&mut self, step: u64, n: u64) {
        for draw in 0..n {
            let place = random(step, 2 * draw) as usize % self.0.len();
            self.0[place] = random(step, 2 * draw + 1) as u8;
        }
        self.0.extend((0..100).map(|at| random(!step, at) as u8));
    }

    fn write(&self, checkpoints: &Checkpoints, offset: u64) -> Written {
        let mut writer = checkpoints.writer(&header(offset)).unwrap();
        writer.section("state", 1, |out| out.write_all(&self.0)).unwrap();
        writer.finish().unwrap()
    }
}

fn random(stream: u64, counter: u64) -> u64 {
    let mut z = stream.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(counter).wrapping_mul(0xd6e8_feb8_6659_fd93);
    z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    z ^ (z >> 32)
}

fn newest_state(checkpoints: &Checkpoints) -> (u64, Vec<u8>) {
    let found = checkpoints.newest().unwrap().unwrap().checkpoint;
    (found.header().offset.0, found.section_bytes("state").unwrap())
}

#[test]
fn a_checkpoint_after_few_changes_is_small_and_whole() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut state = State::new();
    let base = state.write(&checkpoints, 100);
    assert!(base.n_bases == 0 && base.file_bytes > base.state_bytes);
    state.step(1, 3);
    let delta = state.write(&checkpoints, 200);
    assert!(delta.n_bases == 1 && delta.file_bytes < base.file_bytes / 10, "{delta:?}");
    assert_eq!(std::fs::metadata(checkpoints.path_of(Offset(200))).unwrap().len(), delta.file_bytes);
    assert_eq!(newest_state(&checkpoints), (200, state.0.clone()));
    let checkpoint = Checkpoint::open(&checkpoints.path_of(Offset(200))).unwrap();
    assert_eq!(checkpoint.bases().collect::<Vec<_>>(), [Offset(100)]);
    // In small pieces as well.
    let mut reader = checkpoint.section("state").unwrap();
    let mut piece = [0; 13];
    let mut n_read = 0;
    while let n @ 1.. = reader.read(&mut piece).unwrap() {
        assert_eq!(piece[..n], state.0[n_read..n_read + n]);
        n_read += n;
    }
    assert_eq!(n_read, state.0.len());
}

#[test]
fn equal_sections_are_written_once() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut state = State::new();
    let mut writer = checkpoints.writer(&header(1)).unwrap();
    writer.section("live", 1, |out| out.write_all(&state.0)).unwrap();
    writer.section("last good", 1, |out| out.write_all(&state.0)).unwrap();
    let Written { state_bytes, file_bytes, .. } = writer.finish().unwrap();
    assert!(file_bytes < state_bytes * 6 / 10, "{file_bytes} of {state_bytes}");
    state.step(1, 3);
    let mut writer = checkpoints.writer(&header(2)).unwrap();
    // Where a section's bytes come in pieces, they are cut at the same places.
    writer.section("live", 1, |out| state.0.chunks(7).try_for_each(|piece| out.write_all(piece))).unwrap();
    assert!(writer.finish().unwrap().file_bytes < 100_000);
}

#[test]
fn damage_to_a_base_is_damage_to_those_that_need_it() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut state = State::new();
    State(b"from before".to_vec()).write(&checkpoints, 50);
    let checkpoints = Checkpoints::new(folder.path());
    state.write(&checkpoints, 100);
    state.step(1, 3);
    state.write(&checkpoints, 200);
    let base = checkpoints.path_of(Offset(100));
    let whole = std::fs::read(&base).unwrap();
    let newest = |what: &str| {
        let found = checkpoints.newest().unwrap().unwrap();
        assert_eq!((found.checkpoint.header().offset, found.skipped.len()), (Offset(50), 2), "{what}");
        for (error, file) in found.skipped.iter().zip(["200.ckpt", "100.ckpt"]) {
            assert!(error.to_string().contains(file), "{what}: {error}");
        }
        found.skipped[0].to_string()
    };
    for at in (0..whole.len()).step_by(whole.len() / 50) {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        // A bit in a chunk that only the base uses does not damage the delta.
        std::fs::write(&base, &bent).unwrap();
        if let Ok(state_of_delta) = Checkpoint::open(&checkpoints.path_of(Offset(200))).and_then(|delta| {
            delta.verify()?;
            delta.section_bytes("state")
        }) {
            assert_eq!(state_of_delta, state.0, "bit at {at}");
        } else {
            newest("a flipped bit");
        }
    }
    std::fs::write(&base, &whole[..whole.len() - 1]).unwrap();
    assert!(newest("cut off").contains("damaged"));
    // Another file of that name, which is sound.
    state.step(2, 3);
    State(state.0[..1000].to_vec()).write(&Checkpoints::new(folder.path()), 100);
    let error = Checkpoint::open(&checkpoints.path_of(Offset(200))).unwrap_err();
    assert!(error.to_string().contains("replaced"), "{error}");
    std::fs::remove_file(&base).unwrap();
    let error = Checkpoint::open(&checkpoints.path_of(Offset(200))).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[test]
fn no_delta_refers_to_a_checkpoint_that_was_not_verified() {
    let folder = Folder::new();
    let mut state = State::new();
    state.write(&Checkpoints::new(folder.path()), 100);
    let checkpoints = Checkpoints::new(folder.path());
    state.step(1, 3);
    assert_eq!(state.write(&checkpoints, 200).n_bases, 0, "a new process has not verified any file");
    let path = checkpoints.path_of(Offset(200));
    let mut bent = std::fs::read(&path).unwrap();
    bent[5_000] ^= 1;
    std::fs::write(&path, bent).unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    assert_eq!(checkpoints.newest().unwrap().unwrap().checkpoint.header().offset, Offset(100));
    state.step(2, 3);
    state.write(&checkpoints, 300);
    let bases: Vec<Offset> = Checkpoint::open(&checkpoints.path_of(Offset(300))).unwrap().bases().collect();
    assert_eq!(bases, [Offset(100)], "the damaged one is skipped");
    checkpoints.remove_after(Offset(150)).unwrap();
    state.step(3, 3);
    assert_eq!(state.write(&checkpoints, 300).n_bases, 0, "after a removal no file is trusted");
}

#[test]
fn through_changes_removals_and_restarts_the_newest_is_whole_and_the_folder_stays_small() {
    let folder = Folder::new();
    let mut checkpoints = Checkpoints::new(folder.path());
    let (mut state, mut n_deltas, mut n_bases) = (State::new(), 0, 0);
    for step in 1..=120 {
        state.step(step, [2, 40, 400][random(step, 1) as usize % 3]);
        let written = state.write(&checkpoints, step);
        if written.n_bases > 0 {
            n_deltas += 1
        } else {
            n_bases += 1
        }
        assert!(written.n_bases <= 16);
        checkpoints.keep(2).unwrap();
        if random(step, 2).is_multiple_of(10) {
            // A restart, with an unfinished file of the process before.
            std::fs::write(folder.join("00000000000000000999.ckpt.tmp"), b"half").unwrap();
            checkpoints = Checkpoints::new(folder.path());
            assert_eq!(newest_state(&checkpoints), (step, state.0.clone()));
        }
        let kept: Vec<Checkpoint> =
            checkpoints.list().unwrap().iter().map(|&at| Checkpoint::open(&checkpoints.path_of(at)).unwrap()).collect();
        kept.iter().for_each(|checkpoint| checkpoint.verify().unwrap());
        let bytes: u64 = kept.iter().map(|checkpoint| checkpoint.path().metadata().unwrap().len()).sum();
        // Two generations at most, each of a state, half of one in garbage, and a last delta.
        assert!(bytes < 5 * written.state_bytes, "{bytes} bytes for {}", written.state_bytes);
    }
    assert!(n_deltas > 60 && n_bases > 3, "{n_deltas} deltas, {n_bases} bases");
}
