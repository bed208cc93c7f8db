//! The sections of a checkpoint, each with a version: if this build cannot use one, only that part restarts, and is
//! reported. A checkpoint of another log is reported too.

use accrue_model::collaborative::Kind;
use accrue_model::{Part, SequenceKind};
use accrue_store::{Body, Checkpoints, Log, LogSettings, Offset, Record};
use accrue_train::{Digest, LearnSettings, Recovered, digest, recover, save};

use crate::shop;

const END: u64 = 3_000;
const CHECKPOINT: u64 = 2_500;

/// The blend with a network, two towers, a map from content and a fitted model in it; the other members that are off by
/// default stay off. Versions are sealed early.
fn settings() -> LearnSettings {
    let mut settings = shop::fitting(shop::settings_with(Part::Blend, SequenceKind::Gru), Kind::Als);
    // Small, because every case below folds the records anew.
    let towers = &mut settings.models.two_tower;
    (towers.enabled, towers.dim, towers.reach) = (true, 8, 8);
    (towers.negatives, towers.popular, towers.buckets) = (16, 8, 256);
    settings.models.factorization.map = 0.5;
    settings.guard.version_every = 1_000;
    settings.guard.confirm_after = 500;
    settings
}

/// A data folder: a log, and a checkpoint some records before its end.
struct Shop {
    dir: tempfile::TempDir,
    log: Log,
}

impl Shop {
    fn new(records: &[Record]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), LogSettings { segment_records: 800 }).unwrap();
        let mut shop = Self { dir, log };
        shop.append(&records[..CHECKPOINT as usize]);
        let mut recovered = shop.recovered(false);
        recovered.catch_up(&mut shop.log.reader()).unwrap();
        let mut reader = shop.log.reader();
        save(&shop.checkpoints(), |end| reader.sum_before(end), &recovered.facts, &recovered.learner).unwrap();
        shop.append(&records[CHECKPOINT as usize..]);
        shop
    }

    fn append(&mut self, records: &[Record]) {
        for group in records.chunks(250) {
            let bodies: Vec<Body> = group.iter().map(|record| record.body.clone()).collect();
            self.log.append(group[0].received_at, &bodies).unwrap();
        }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.dir.path().join("checkpoints"))
    }

    fn recovered(&self, from_checkpoint: bool) -> Recovered {
        recover(&mut self.log.reader(), &self.checkpoints(), &settings(), self.log.end(), from_checkpoint).unwrap()
    }

    /// Both folds at the log's end, from the checkpoint or the log alone.
    fn folded(&self, from_checkpoint: bool) -> (Recovered, Digest) {
        let mut recovered = self.recovered(from_checkpoint);
        recovered.catch_up(&mut self.log.reader()).unwrap();
        let digest = digest(&mut self.log.reader(), &recovered.facts, &recovered.learner).unwrap();
        (recovered, digest)
    }

    /// Writes the checkpoint again with each section as `change` returns it: with another version, with other bytes, or
    /// without it.
    fn rewrite(&self, change: impl Fn(&str, u32, Vec<u8>) -> Option<(u32, Vec<u8>)>) {
        let old = self.checkpoints().newest().unwrap().unwrap().checkpoint;
        let mut writer = self.checkpoints().writer_of_base(old.header()).unwrap();
        for (name, _) in old.sections() {
            let (version, bytes) = (old.section_version(name).unwrap(), old.section_bytes(name).unwrap());
            if let Some((version, bytes)) = change(name, version, bytes) {
                writer.section(name, version, |out| std::io::Write::write_all(out, &bytes)).unwrap();
            }
        }
        writer.finish().unwrap();
    }
}

fn differing<'a>(one: &'a Digest, other: &Digest) -> Vec<&'a str> {
    one.parts.iter().filter(|(name, part)| other.parts[*name] != **part).map(|(name, _)| &**name).collect()
}

/// The sections that restarted, as the learner reports them.
fn restarted(recovered: &Recovered) -> Vec<&str> {
    recovered.learner.restarted().iter().map(|begun| &*begun.section).collect()
}

#[test]
fn a_member_of_another_version_restarts_alone_and_is_reported() {
    let shop = Shop::new(&shop::records(END as usize, 3));
    let (_, right) = shop.folded(false);
    let (whole, same) = shop.folded(true);
    assert_eq!((same, whole.warnings()), (right.clone(), Vec::new()));
    shop.rewrite(|name, version, bytes| Some((version + u32::from(name == "learned/current/preference"), bytes)));
    let (recovered, state) = shop.folded(true);
    assert_eq!(recovered.checkpoint, Some(Offset(CHECKPOINT)));
    assert_eq!(restarted(&recovered), ["learned/current/preference"]);
    assert_eq!(recovered.learner.restarted()[0].from, Offset(CHECKPOINT));
    let warnings = recovered.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("learned/current/preference"), "{warnings:?}");
    assert!(warnings[0].contains("version 2, but this build reads version 1"), "{warnings:?}");
    let differing = differing(&state, &right);
    for part in ["learned.popularity", "learned.neighbours", "learned.histories", "facts.all", "learned.versions"] {
        assert!(!differing.contains(&part), "{part}: {differing:?}");
    }
    assert!(differing.contains(&"learned.preference"), "{differing:?}");
}

#[test]
fn a_restarted_section_is_reported_in_later_checkpoints_until_a_promotion() {
    let records = shop::records(END as usize, 3);
    let mut shop = Shop::new(&records);
    shop.rewrite(|name, version, bytes| (name != "learned/current/neighbours").then_some((version, bytes)));
    let (recovered, _) = shop.folded(true);
    let resets = accrue_train::ResetSettings::default();
    assert_eq!(recovered.learner.resets().due_in(&resets, recovered.learner.n_learned()), Some(0), "a reset is due");
    let mut reader = shop.log.reader();
    save(&shop.checkpoints(), |end| reader.sum_before(end), &recovered.facts, &recovered.learner).unwrap();
    let (again, _) = shop.folded(true);
    assert_eq!((again.unread.len(), restarted(&again)), (0, vec!["learned/current/neighbours"]));
    let challenge = accrue_train::Challenge {
        settings: settings(),
        from: Offset(0),
        passes: 1,
        until: Offset(0),
        windows_digest: None,
        requested: false,
    };
    let body = Body::Promoted { challenge: challenge.to_record().into(), why: "not worse".into() };
    shop.log.append(records[END as usize - 1].received_at, &[body]).unwrap();
    let (promoted, state) = shop.folded(true);
    assert_eq!(restarted(&promoted), [""; 0]);
    assert_ne!(promoted.learner.resets().due_in(&resets, promoted.learner.n_learned()), Some(0));
    let (_, right) = shop.folded(false);
    for part in ["learned.neighbours", "learned.preference", "learned.factorization", "learned.blend"] {
        assert_eq!(state.parts[part], right.parts[part], "{part}");
    }
}

#[test]
fn every_section_can_be_missing_of_another_version_or_cut_short() {
    let shop = Shop::new(&shop::records(END as usize, 3));
    let (_, right) = shop.folded(false);
    let path = shop.checkpoints().path_of(Offset(CHECKPOINT));
    let sound = std::fs::read(&path).unwrap();
    let checkpoint = shop.checkpoints().newest().unwrap().unwrap().checkpoint;
    let names: Vec<String> = checkpoint.sections().map(|(name, _)| name.to_owned()).collect();
    let is_stateless = |section: &str| checkpoint.sections().any(|(name, n_bytes)| name == section && n_bytes == 0);
    assert!(is_stateless("learned/current/repeat") && is_stateless("learned/current/newness"));
    for section in [
        "facts/items",
        "learned/guard",
        "learned/current/blend",
        "learned/current/fitted",
        "learned/current/two_tower",
        "learned/current/facets",
    ] {
        assert!(names.iter().any(|name| name == section), "{section} in {names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("learned/version-")), "{names:?}");
    for sought in &names {
        for fault in 0..3 {
            std::fs::write(&path, &sound).unwrap();
            shop.rewrite(|name, version, mut bytes| match (name == sought, fault) {
                (false, _) => Some((version, bytes)),
                (true, 0) => None,
                (true, 1) => Some((version + 1, bytes)),
                // The section of a member without a state is empty, so it cannot be cut short.
                (true, _) => bytes.pop().map(|_| (version, bytes)),
            });
            let (recovered, state) = shop.folded(true);
            if sought == "learned/descriptions" && fault == 0 {
                assert_eq!(state, right, "earlier builds did not keep it, and the facts have it");
                continue;
            }
            if ["facts/satisfaction", "facts/new_products"].contains(&&**sought) && fault == 0 {
                assert_eq!(state, right, "earlier builds did not keep it, and its counts begin anew");
                continue;
            }
            if is_stateless(sought) {
                assert_eq!(state, right, "{sought}, fault {fault}: nothing is lost");
                assert_eq!((restarted(&recovered).len(), recovered.unread.len()), (0, 0), "{sought}, fault {fault}");
                continue;
            }
            let is_needed = ["learned/core", "learned/lineage"].contains(&&**sought);
            if sought.starts_with("facts/") || is_needed {
                assert_eq!(state, right, "{sought}, fault {fault}: the log has it");
                assert_eq!(restarted(&recovered), [""; 0]);
            } else {
                assert_eq!(restarted(&recovered), [sought.as_str()], "fault {fault}");
                assert_eq!(state.parts["facts.all"], right.parts["facts.all"], "{sought}");
            }
            assert!(recovered.warnings().iter().any(|warning| warning.contains(&**sought)), "{sought}, fault {fault}");
        }
    }
}

#[test]
fn a_section_that_this_build_does_not_know_is_left_out_and_reported() {
    let shop = Shop::new(&shop::records(END as usize, 3));
    let (_, right) = shop.folded(false);
    let old = shop.checkpoints().newest().unwrap().unwrap().checkpoint;
    let mut writer = shop.checkpoints().writer_of_base(old.header()).unwrap();
    writer.value("learned/current/oracle", 1, &7_u32).unwrap();
    for (name, _) in old.sections() {
        let version = old.section_version(name).unwrap();
        let bytes = old.section_bytes(name).unwrap();
        writer.section(name, version, |out| std::io::Write::write_all(out, &bytes)).unwrap();
    }
    writer.finish().unwrap();
    let (recovered, state) = shop.folded(true);
    assert_eq!(state, right);
    let warnings = recovered.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("oracle") && warnings[0].contains("left out"), "{warnings:?}");
}

#[test]
fn without_the_logs_beginning_a_needed_section_is_an_error_that_says_so() {
    for (sought, is_needed) in [("facts/catalogue", true), ("learned/core", true), ("learned/current/blend", false)] {
        let mut shop = Shop::new(&shop::records(END as usize, 3));
        shop.rewrite(|name, version, bytes| Some((version + u32::from(name == sought), bytes)));
        shop.log.prune(Offset(CHECKPOINT)).unwrap();
        let recovered = recover(&mut shop.log.reader(), &shop.checkpoints(), &settings(), Offset(END), true);
        match recovered {
            Err(error) if is_needed => {
                let told = error.to_string();
                assert!(told.contains(sought) && told.contains("the log begins at"), "{told}");
            }
            recovered => assert!(recovered.is_ok() && !is_needed, "{sought}"),
        }
    }
}

#[test]
fn another_log_that_has_grown_past_a_checkpoint_is_refused() {
    let shop = Shop::new(&shop::records(END as usize, 3));
    let other = Shop::new(&shop::records(END as usize, 4));
    for entry in std::fs::read_dir(other.dir.path().join("checkpoints")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for from_checkpoint in [true, false] {
        let refused = recover(&mut other.log.reader(), &shop.checkpoints(), &settings(), Offset(END), from_checkpoint);
        let told = refused.err().expect("the checkpoint is another log's").to_string();
        assert!(told.contains("the log's record 2499 is not the one") && told.contains("2500.ckpt"), "{told}");
    }
    // Its own log is recognised after the records before the checkpoint were pruned.
    let mut shop = shop;
    shop.log.prune(Offset(CHECKPOINT)).unwrap();
    assert!(shop.log.start() > Offset(0));
    assert!(shop.recovered(true).checkpoint.is_some());
}

#[test]
fn a_settings_record_of_another_build_is_replayed_and_ignored_settings_are_reported() {
    let mut records = shop::records(END as usize, 3);
    let mut text = settings().to_record();
    text.insert_str(0, "aura = 0.5\n");
    records[0].body = Body::Settings(text.into());
    let shop = Shop::new(&records);
    for from_checkpoint in [true, false] {
        let (recovered, _) = shop.folded(from_checkpoint);
        assert_eq!(recovered.learner.settings().models, settings().models);
        if !from_checkpoint {
            let warnings = recovered.warnings();
            assert!(warnings.len() == 1 && warnings[0].contains("record at 0 has `aura = 0.5`"), "{warnings:?}");
        }
    }
}
