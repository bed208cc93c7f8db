//! The wall clock, read here and nowhere else: to stamp records, and to compare the time of an incoming event with it.

use accrue_event::Timestamp;

/// The time of now.
pub(crate) fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_1970.map_or(0, |since| since.as_millis() as i64))
}
