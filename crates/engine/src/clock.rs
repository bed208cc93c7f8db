//! The wall clock, read here and nowhere else: to stamp records, and to compare the time of an incoming event with it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use accrue_event::Timestamp;

/// The time of now.
pub(crate) fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_1970.map_or(0, |since| since.as_millis() as i64))
}

/// How far a clock may be behind the stream before it is not used: times of events are accepted this far ahead of it.
const BEHIND_MS: i64 = 24 * 3600 * 1000;

/// The time of a request, in milliseconds since 1970. A clock that stands far behind the latest event, as one that lost
/// its time at boot does, would hide everything that was published since, so the latest event's time is used instead.
pub(crate) fn of_request(stream_time: Timestamp) -> i64 {
    let now = now();
    if stream_time.0.saturating_sub(now.0) > BEHIND_MS { stream_time.0 } else { now.0 }
}

/// How far the newest event may be ahead of the clock before it is told: clocks of a shop's machines differ by less.
const AHEAD_MS: i64 = 3_600 * 1000;

/// How far the newest event is ahead of the clock, in seconds, if it is to be told.
pub(crate) fn ahead_s(stream_time: Timestamp) -> Option<u64> {
    ahead_of(stream_time, now())
}

/// How far the newest event is ahead of this time, in seconds, if it is to be told.
pub(crate) fn ahead_of(stream_time: Timestamp, clock: Timestamp) -> Option<u64> {
    let ahead_ms = stream_time.0.saturating_sub(clock.0);
    (ahead_ms > AHEAD_MS).then(|| ahead_ms.unsigned_abs() / 1000)
}

/// A time in seconds, for messages.
pub(crate) fn hours(seconds: u64) -> String {
    format!("{:.1} hours", seconds as f64 / 3_600.0)
}

/// How far the clock may be ahead of the last record before it is doubted: further than most servers stand still.
const LEAP_MS: i64 = 7 * 24 * 3600 * 1000;

/// How long a clock that jumped ahead is not used. Time synchronisation corrects a clock within minutes after the start.
const DOUBT: Duration = Duration::from_secs(600);

/// The wall clock as the writer uses it. A clock that is wrong at boot would date events years ahead and end all trends,
/// so a jump against the log's last record, or against the monotonic clock, is not followed at once.
pub(crate) struct ArrivalClock {
    state: Cell<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// A time that was believed, and when that was; none while the log is empty.
    believed: Option<(Timestamp, Instant)>,
    /// The latest stamp.
    stamped: Timestamp,
    /// While the clock is behind the stamps: the stamp at which that was seen first, and when.
    behind: Option<(Timestamp, Instant)>,
    doubted_since: Option<Instant>,
}

/// When something arrived.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// What the wall clock says.
    pub clock: Timestamp,
    /// The time to stamp records with: that of the clock, or, while it is doubted, the time that has passed since the last
    /// record. It never goes back, as stamps in the log never do: while the clock is behind it, it goes on at half the speed.
    pub stamp: Timestamp,
}

impl Arrival {
    /// Whether the clock is ahead of what is believed.
    pub fn is_held(self) -> bool {
        self.clock > self.stamp
    }
}

impl ArrivalClock {
    /// A clock for a log whose last record has this stamp.
    pub fn new(last: Option<Timestamp>) -> Self {
        let believed = last.map(|last| (last, Instant::now()));
        let stamped = last.unwrap_or(Timestamp(i64::MIN));
        Self { state: Cell::new(State { believed, stamped, behind: None, doubted_since: None }) }
    }

    /// The time of now.
    pub fn read(&self) -> Arrival {
        self.read_at(now(), Instant::now())
    }

    /// The time to stamp records with.
    pub fn stamp(&self) -> Timestamp {
        self.read().stamp
    }

    fn read_at(&self, clock: Timestamp, instant: Instant) -> Arrival {
        let State { believed, stamped, behind, doubted_since } = self.state.get();
        let now = State { believed: Some((clock, instant)), stamped, behind: None, doubted_since: None };
        let (mut state, mut stamp) = (now, clock);
        if let Some((then, since)) = believed {
            let elapsed = instant.saturating_duration_since(since).as_millis() as i64;
            let expected = Timestamp(then.0.saturating_add(elapsed));
            let doubted_since = doubted_since.unwrap_or(instant);
            let is_doubted = clock.0.saturating_sub(expected.0) > LEAP_MS
                && instant.saturating_duration_since(doubted_since) < DOUBT;
            if is_doubted {
                (state, stamp) = (State { believed, doubted_since: Some(doubted_since), ..now }, expected);
            }
        }
        if stamp < stamped {
            // Hours must pass, because bounds hold for an hour each; and the clock must catch up.
            let (from, since) = behind.unwrap_or((stamped, instant));
            let elapsed = instant.saturating_duration_since(since).as_millis() as i64;
            stamp = Timestamp(from.0.saturating_add(elapsed / 2)).max(stamped);
            state.behind = Some((from, since));
        }
        state.stamped = stamp;
        self.state.set(state);
        Arrival { clock, stamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_tomorrow_is_told() {
        const HOUR: i64 = 3_600_000;
        let of = |stream: i64, clock: i64| ahead_of(Timestamp(stream), Timestamp(clock));
        assert_eq!(
            [of(HOUR, 0), of(HOUR + 1000, 0), of(0, HOUR), of(49 * HOUR, HOUR)],
            [None, Some(3_601), None, Some(172_800)]
        );
    }

    #[test]
    fn a_clock_that_jumped_ahead_is_not_used_for_ten_minutes() {
        const DAY: i64 = 24 * 3600 * 1000;
        let clock = ArrivalClock::new(Some(Timestamp(0)));
        let start = clock.state.get().believed.unwrap().1;
        let read = |ms: i64, after_s: u64| clock.read_at(Timestamp(ms), start + Duration::from_secs(after_s)).stamp.0;
        assert_eq!(read(6 * DAY, 0), 6 * DAY, "a week without records is no jump");
        assert_eq!(read(400 * DAY, 10), 6 * DAY + 10_000);
        assert_eq!(read(6 * DAY + 20_000, 20), 6 * DAY + 20_000, "the clock was set right");
        assert_eq!(read(6 * DAY + 15_000, 21), 6 * DAY + 20_000, "stamps do not go back");
        assert_eq!(read(6 * DAY + 17_000, 23), 6 * DAY + 21_000, "they go on at half the speed");
        assert_eq!(read(6 * DAY + 19_000, 25), 6 * DAY + 22_000, "since the clock was seen to be behind");
        assert_eq!(read(6 * DAY + 23_000, 29), 6 * DAY + 23_000, "until it has caught up");
        assert_eq!(read(400 * DAY, 36), 6 * DAY + 30_000);
        assert_eq!(read(400 * DAY + 599_000, 635), 6 * DAY + 629_000);
        assert_eq!(read(400 * DAY + 600_000, 636), 400 * DAY + 600_000, "the difference lasted, so the time is right");
        let back = clock.read_at(Timestamp(DAY), start + Duration::from_secs(640));
        assert_eq!((back.clock.0, back.stamp.0, back.is_held()), (DAY, 400 * DAY + 600_000, false));
        assert!(!ArrivalClock::new(None).read().is_held());
    }
}
