//! Checkpoints of states in pages: only changed pages are serialised, and every checkpoint is read as it was written.

use std::cell::Cell;

use accrue_store::{
    CheckpointWriter, Checkpoints, Histories, Interaction, Offset, PagedMap, PagedVec, SectionSource, Vocabulary,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};

use crate::fixture::{Folder, header};

thread_local! {
    static SERIALISED: Cell<usize> = const { Cell::new(0) };
}

/// A number that counts how often one is serialised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
struct Counted(u64);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SERIALISED.set(SERIALISED.get() + 1);
        serializer.serialize_newtype_struct("Counted", &self.0)
    }
}

/// A state with every kind of pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    numbers: PagedVec<Counted, 8>,
    queue: PagedVec<u64, 4>,
    reasons: PagedMap<Offset, String, 16>,
    names: Vocabulary,
    histories: Histories,
    n_changes: u64,
}

impl State {
    fn new() -> Self {
        Self {
            numbers: PagedVec::default(),
            queue: PagedVec::default(),
            reasons: PagedMap::default(),
            names: Vocabulary::default(),
            histories: Histories::new(5),
            n_changes: 0,
        }
    }

    fn change(&mut self, change: &Change) {
        self.n_changes += 1;
        match *change {
            Change::Number(place) => self.numbers.get_mut_or_grow(place.into()).0 += 1,
            Change::Queue(n_more, n_gone) => {
                self.queue.extend(0..n_more.into());
                let n_gone = self.queue.len().min(n_gone.into());
                self.queue.drain_front(n_gone);
            }
            Change::Clear => self.queue.clear(),
            Change::Reason(key) => drop(self.reasons.insert(Offset(key.into()), format!("reason {}", self.n_changes))),
            Change::NoReason(key) => drop(self.reasons.remove(&Offset(key.into()))),
            Change::Name(name) => drop(self.names.intern(&format!("name-{name}"))),
            Change::Event(shopper, item) => self.histories.push(&Interaction {
                shopper: shopper.into(),
                item: item.into(),
                type_code: 1,
                at_ms: self.n_changes as i64 * 1000,
                session: None,
                value: 1.0,
                quantity: 1,
            }),
            Change::Merge(guest, user) => self.histories.merge(guest.into(), user.into()),
        }
    }

    fn save(&self, writer: &mut CheckpointWriter, prefix: &str) {
        writer.value(&format!("{prefix}/all"), 1, self).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Change {
    Number(u16),
    Queue(u8, u8),
    Clear,
    Reason(u16),
    NoReason(u16),
    Name(u16),
    Event(u8, u8),
    Merge(u8, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..2_000_u16).prop_map(Change::Number),
        2 => (0..20_u8, 0..20_u8).prop_map(|(more, gone)| Change::Queue(more, gone)),
        1 => Just(Change::Clear),
        2 => any::<u16>().prop_map(Change::Reason),
        2 => (0..200_u16).prop_map(Change::NoReason),
        2 => (0..500_u16).prop_map(Change::Name),
        4 => any::<(u8, u8)>().prop_map(|(shopper, item)| Change::Event(shopper, item)),
        1 => any::<(u8, u8)>().prop_map(|(guest, user)| Change::Merge(guest, user)),
    ]
}

/// What happens between two checkpoints.
#[derive(Clone, Debug)]
enum Step {
    Change(Vec<Change>),
    /// The other state is the live one as it is now.
    Keep,
    /// A checkpoint is begun and abandoned after this many sections.
    GiveUp(usize),
    /// The process ends, and another one reads the newest checkpoint.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 0..12).prop_map(Step::Change),
        2 => Just(Step::Keep),
        1 => (0..2_usize).prop_map(Step::GiveUp),
        1 => Just(Step::Restart),
    ]
}

fn read(checkpoints: &Checkpoints) -> (u64, State, State) {
    let found = checkpoints.newest().unwrap().unwrap();
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    let mut source = SectionSource::new(&found.checkpoint);
    let live = source.value("live/all", 1).unwrap().unwrap();
    let kept = source.value("kept/all", 1).unwrap().unwrap();
    (found.checkpoint.header().offset.0, live, kept)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn through_changes_copies_failures_and_restarts_every_checkpoint_reads_back(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let folder = Folder::new();
        let mut checkpoints = Checkpoints::new(folder.path());
        let (mut live, mut kept) = (State::new(), State::new());
        for (place, step) in (1..).zip(&steps) {
            match step {
                Step::Change(changes) => changes.iter().for_each(|change| live.change(change)),
                Step::Keep => kept = live.clone(),
                Step::GiveUp(n_sections) => {
                    let mut writer = checkpoints.writer(&header(place)).unwrap();
                    let states = [("live", &live), ("kept", &kept)];
                    states[..*n_sections].iter().for_each(|(prefix, state)| state.save(&mut writer, prefix));
                    continue;
                }
                Step::Restart if place > 1 => {
                    checkpoints = Checkpoints::new(folder.path());
                    if let Some(found) = checkpoints.newest().unwrap() {
                        drop(found);
                        let (_, read_live, read_kept) = read(&checkpoints);
                        (live, kept) = (read_live, read_kept);
                    }
                }
                Step::Restart => {}
            }
            let mut writer = checkpoints.writer(&header(place)).unwrap();
            live.save(&mut writer, "live");
            kept.save(&mut writer, "kept");
            writer.finish().unwrap();
            checkpoints.keep(2).unwrap();
            let (offset, read_live, read_kept) = read(&Checkpoints::new(folder.path()));
            prop_assert_eq!(offset, place);
            prop_assert_eq!(&read_live, &live);
            prop_assert_eq!(&read_kept, &kept);
            let bytes = postcard::to_stdvec(&live).unwrap();
            let found = Checkpoints::new(folder.path()).newest().unwrap().unwrap();
            prop_assert_eq!(found.checkpoint.section_bytes("live/all").unwrap(), bytes, "as it serialises elsewhere");
        }
    }
}

#[test]
fn a_page_that_did_not_change_is_not_serialised_again() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut state = State::new();
    (0..10_000).for_each(|place| state.change(&Change::Number(place)));
    let save = |offset, state: &State, kept: &State| {
        SERIALISED.set(0);
        let mut writer = checkpoints.writer(&header(offset)).unwrap();
        state.save(&mut writer, "live");
        kept.save(&mut writer, "kept");
        writer.finish().unwrap();
        SERIALISED.get()
    };
    let kept = state.clone();
    assert_eq!(save(1, &state, &kept), 20_000, "nothing was written yet, and a copied vector has marks of its own");
    assert_eq!(save(2, &state, &kept), 0);
    state.change(&Change::Number(77));
    state.change(&Change::Number(78));
    state.change(&Change::Number(9_000));
    assert_eq!(save(3, &state, &kept), 16, "two pages of eight");
    state.change(&Change::Number(10_001));
    assert_eq!(save(4, &state, &state.clone()), 2 + 2, "the last page; the copy shares all the others");
    assert_eq!(save(5, &state, &kept), 10_000, "what was no part of the last checkpoint is not remembered");
}

#[test]
fn a_delta_that_is_truncated_or_damaged_at_any_byte_is_skipped_for_the_checkpoint_before() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut state = State::new();
    (0..300).for_each(|place| state.change(&Change::Number(place)));
    let mut states = Vec::new();
    for offset in 1..=2 {
        state.change(&Change::Number(40));
        state.change(&Change::Name(offset as u16));
        let mut writer = checkpoints.writer(&header(offset)).unwrap();
        state.save(&mut writer, "live");
        state.save(&mut writer, "kept");
        assert_eq!(writer.finish().unwrap().n_bases as u64, offset - 1);
        states.push(state.clone());
    }
    let (base, delta) = (checkpoints.path_of(Offset(1)), checkpoints.path_of(Offset(2)));
    let read = || {
        Checkpoints::new(folder.path()).newest().map(|found| {
            found.map(|found| {
                let mut source = SectionSource::new(&found.checkpoint);
                (found.checkpoint.header().offset.0, source.value::<State>("live/all", 1).unwrap().unwrap())
            })
        })
    };
    let whole = std::fs::read(&delta).unwrap();
    for at in 0..whole.len() {
        std::fs::write(&delta, &whole[..at]).unwrap();
        assert!(read().unwrap() == Some((1, states[0].clone())), "cut off at {at}");
        let mut bent = whole.clone();
        bent[at] ^= 1 << (at % 8);
        std::fs::write(&delta, &bent).unwrap();
        assert!(read().unwrap() == Some((1, states[0].clone())), "bent at {at}");
    }
    std::fs::write(&delta, &whole).unwrap();
    let whole = std::fs::read(&base).unwrap();
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 1 << (at % 8);
        std::fs::write(&base, &bent).unwrap();
        // Damage in a chunk that only the base uses does not damage the delta.
        if let Ok(Some((offset, state))) = read() {
            assert!(offset == 2 && state == states[1], "base bent at {at}");
        }
    }
}
