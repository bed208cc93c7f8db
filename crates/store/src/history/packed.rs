//! A history in few bytes: the form in which the histories of all shoppers are in memory.
//!
//! In: a [`History`], or one event more. Out: the same history. An event takes twelve bytes in a [`History`] and about
//! five here, because most indices of items are short, the lines of an order have one time, and most events have the
//! value 1. There may be tens of millions of them.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{History, Interaction, PastEvent, continues, longest};

/// Tags of an event: the code of its type, and its form.
const TAGS: usize = 2;
/// Bytes at the end: the number of events and the time of the last one.
const END: usize = 8;
/// Bits of the form of an event, after two bits for the length of the item's index less 1 and three for that of the time.
const STARTS_VISIT: u8 = 1 << 5;
const HAS_VALUE: u8 = 1 << 6;
/// The value 1 as bfloat16, which is not written.
const ONE: u16 = 0x3F80;
/// The lowest bytes of a number, by how many they are.
const MASKS: [u32; 8] = [0, 0xFF, 0xFFFF, 0xFF_FFFF, u32::MAX, u32::MAX, u32::MAX, u32::MAX];

/// One shopper's last events. Copies share memory until one of them changes; equal histories have equal bytes.
///
/// The bytes are the numbers of all events, one event after the other, then the tags of all events, then the end. The
/// numbers of an event are the index of its item, the seconds since the event before it, and its value if it is not 1;
/// each has as few bytes as it needs, its lowest byte first. Tags are apart from numbers, so that the length of an event
/// is known before the numbers of the event before it are read. An empty history has no bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PackedHistory {
    bytes: Arc<[u8]>,
    session: Option<u32>,
}

impl PackedHistory {
    /// The history in this form.
    pub fn pack(history: &History) -> Self {
        let (mut numbers, mut tags, mut end) = (Vec::new(), Vec::new(), End::default());
        for past in &history.past {
            let packed = PackedEvent::of(past, end.last_s);
            numbers.extend_from_slice(packed.numbers());
            tags.extend_from_slice(&packed.tags);
            end = End { n: end.n + 1, last_s: past.at_s };
        }
        let bytes = if end.n == 0 { Arc::default() } else { joined([&numbers, &tags, &end.bytes()]) };
        Self { bytes, session: history.session }
    }

    /// The history with its events as values.
    pub fn unpack(&self) -> History {
        let (_, tags) = self.parts();
        let mut past = Vec::with_capacity(tags.len());
        let (mut place, mut at_s) = (0, 0_u32);
        for &[type_code, form] in tags {
            let (n_item, n_time) = (usize::from(form & 3) + 1, usize::from(form >> 2 & 7));
            let item = self.number(place, n_item);
            at_s = at_s.wrapping_add(self.number(place + n_item, n_time));
            place += n_item + n_time;
            let mut value_bf16 = ONE;
            if form & HAS_VALUE != 0 {
                value_bf16 = self.number(place, 2) as u16;
                place += 2;
            }
            past.push(PastEvent { item, at_s, type_code, starts_visit: form & STARTS_VISIT != 0, value_bf16 });
        }
        History { past, session: self.session }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.end().n as usize
    }

    /// The time of the last event, in milliseconds since 1970.
    pub fn last_ms(&self) -> Option<i64> {
        let end = self.end();
        (end.n > 0).then(|| i64::from(end.last_s) * 1000)
    }

    /// [`History::push`]. The latest event is written behind the others; for any other one the history is packed anew.
    pub fn push(&mut self, interaction: &Interaction, capacity: usize) {
        let end = self.end();
        let starts_visit = !continues(self.last_ms(), self.session, interaction.session, interaction.at_ms);
        let past = interaction.as_past_event(starts_visit);
        if past.at_s < end.last_s || end.n as usize >= longest(capacity) {
            let mut history = self.unpack();
            history.push(interaction, capacity);
            *self = Self::pack(&history);
            return;
        }
        if starts_visit || interaction.session.is_some() {
            self.session = interaction.session;
        }
        let packed = PackedEvent::of(&past, end.last_s);
        let end = End { n: end.n + 1, last_s: past.at_s };
        let (numbers, tags) = self.parts();
        self.bytes = joined([numbers, packed.numbers(), tags.as_flattened(), &packed.tags, &end.bytes()]);
    }

    /// Whether both refer to the same memory.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }

    fn end(&self) -> End {
        let end = self.bytes.last_chunk::<END>().map(|&[a, b, c, d, e, f, g, h]| End {
            n: u32::from_le_bytes([a, b, c, d]),
            last_s: u32::from_le_bytes([e, f, g, h]),
        });
        end.unwrap_or_default()
    }

    /// The numbers of all events, and their tags.
    fn parts(&self) -> (&[u8], &[[u8; TAGS]]) {
        let before_end = &self.bytes[..self.bytes.len().saturating_sub(END)];
        let (numbers, tags) = before_end.split_at(before_end.len() - TAGS * self.len());
        (numbers, tags.as_chunks().0)
    }

    /// The number at `place` that has `len` bytes.
    #[inline]
    fn number(&self, place: usize, len: usize) -> u32 {
        let bytes = self.bytes[place..].first_chunk().expect("the end has more bytes than a number");
        u32::from_le_bytes(*bytes) & MASKS[len]
    }
}

/// How many events there are, and the time of the last one.
#[derive(Clone, Copy, Default)]
struct End {
    n: u32,
    last_s: u32,
}

impl End {
    fn bytes(self) -> [u8; END] {
        (u64::from(self.n) | u64::from(self.last_s) << 32).to_le_bytes()
    }
}

/// One event in bytes.
struct PackedEvent {
    numbers: [u8; 10],
    len: usize,
    tags: [u8; TAGS],
}

impl PackedEvent {
    /// An event after one at `before_s`; after none it is 0.
    fn of(past: &PastEvent, before_s: u32) -> Self {
        // An event before the last has a number that wraps around.
        let since_s = past.at_s.wrapping_sub(before_s);
        let (n_item, n_time) = (n_bytes(past.item).max(1), n_bytes(since_s));
        let mut form = (n_item - 1) as u8 | (n_time as u8) << 2;
        form |= if past.starts_visit { STARTS_VISIT } else { 0 };
        let mut packed = Self { numbers: [0; 10], len: 0, tags: [past.type_code, form] };
        packed.put(past.item, n_item);
        packed.put(since_s, n_time);
        if past.value_bf16 != ONE {
            packed.tags[1] |= HAS_VALUE;
            packed.put(past.value_bf16.into(), 2);
        }
        packed
    }

    fn put(&mut self, number: u32, len: usize) {
        self.numbers[self.len..self.len + len].copy_from_slice(&number.to_le_bytes()[..len]);
        self.len += len;
    }

    fn numbers(&self) -> &[u8] {
        &self.numbers[..self.len]
    }
}

/// Bytes that a number needs; none for 0.
fn n_bytes(number: u32) -> usize {
    (u32::BITS - number.leading_zeros()).div_ceil(8) as usize
}

/// The parts one after the other, in memory that is allocated once.
fn joined<const N: usize>(parts: [&[u8]; N]) -> Arc<[u8]> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    let mut rest = Arc::get_mut(&mut bytes).expect("nobody else has it yet");
    for part in parts {
        let (place, behind) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = behind;
    }
    bytes
}

/// As the history: the packed form is not stored.
impl Serialize for PackedHistory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.unpack().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PackedHistory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        History::deserialize(deserializer).map(|history| Self::pack(&history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    fn interaction(state: &mut u64, at_ms: i64) -> Interaction {
        let bits = random(state) % 33;
        let item = ((random(state) << 16 ^ random(state)) & ((1 << bits) - 1)) as u32;
        let session = [None, Some(7), Some(8)][random(state) as usize % 3];
        let value = [1.0, 1.0, 4.5, -1.0, f32::NAN][random(state) as usize % 5];
        let type_code = random(state) as u8;
        Interaction { shopper: 0, item, type_code, at_ms, session, value, quantity: 1 }
    }

    #[test]
    fn a_packed_history_is_the_history_after_any_events() {
        for seed in 0..200 {
            let state = &mut (seed + 1);
            let capacity = [1, 5, 40][seed as usize % 3];
            let (mut history, mut packed, mut at_ms) = (History::default(), PackedHistory::default(), 0);
            for _ in 0..60 {
                at_ms += match random(state) % 6 {
                    0..3 => 0,
                    3 => (random(state) % 5_000_000) as i64,
                    4 => (random(state) % 100_000_000_000) as i64,
                    _ => -((random(state) % 90_000_000) as i64),
                };
                let event = interaction(state, at_ms);
                history.push(&event, capacity);
                packed.push(&event, capacity);
                assert_eq!(packed.unpack(), history, "seed {seed}");
                assert_eq!(packed, PackedHistory::pack(&history), "seed {seed}: the same bytes by either way");
                assert_eq!(
                    (packed.len(), packed.last_ms()),
                    (history.past.len(), history.past.last().map(PastEvent::at_ms))
                );
            }
        }
    }

    #[test]
    fn any_numbers_in_any_order_come_back() {
        let extremes = [0, 1, 255, 256, 65_535, 65_536, 1 << 24, u32::MAX - 1, u32::MAX];
        let past: Vec<PastEvent> = extremes
            .iter()
            .flat_map(|&item| extremes.map(|at_s| (item, at_s)))
            .map(|(item, at_s)| PastEvent {
                item,
                at_s,
                type_code: at_s as u8,
                starts_visit: item % 2 == 0,
                value_bf16: (item ^ at_s) as u16,
            })
            .collect();
        for len in 0..past.len() {
            let history = History { past: past[..len].to_vec(), session: Some(len as u32) };
            let packed = PackedHistory::pack(&history);
            assert_eq!(packed.unpack(), history);
            let stored = postcard::to_stdvec(&history).unwrap();
            assert_eq!(postcard::to_stdvec(&packed).unwrap(), stored, "the stored form is that of the history");
            assert_eq!(postcard::from_bytes::<PackedHistory>(&stored).unwrap(), packed);
        }
    }

    #[test]
    fn the_lines_of_an_order_take_five_bytes_each() {
        let mut packed = PackedHistory::default();
        let line = |item| Interaction {
            shopper: 0,
            item,
            type_code: 5,
            at_ms: 1_700_000_000_000,
            session: None,
            value: 1.0,
            quantity: 1,
        };
        (900_000..900_050).for_each(|item| packed.push(&line(item), 1000));
        // The first line has the time, in four bytes.
        assert_eq!(packed.bytes.len(), 50 * 5 + 4 + END);
    }
}
