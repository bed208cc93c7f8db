//! Which part of a day's events usually happens by which time of the day.

use accrue_event::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

pub(super) const HOURS: usize = 24;
const HOUR_MS: i64 = DAY_MS / HOURS as i64;
/// Events that each hour is taken to have beside those that it had.
const PRIOR: u64 = 5;
/// An event that is older than this by the time of the stream is no traffic of this hour: it was imported.
const LATE_MS: i64 = HOUR_MS;

/// Events of the current day by the hour, and of the days before it, of which each counts half of the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Traffic {
    today: [u64; HOURS],
    usual: [u64; HOURS],
}

impl Traffic {
    pub fn new([today, usual]: [[u64; HOURS]; 2]) -> Self {
        Self { today, usual }
    }

    /// Counts an event in its own hour. One that happened on another day, or long before the time of the stream, does not
    /// count: orders of the past that are imported say nothing about how many shoppers come at this time of the day.
    pub fn count(&mut self, at: Timestamp, stream_time: Timestamp) {
        let is_of_this_day = at.0.div_euclid(DAY_MS) == stream_time.0.div_euclid(DAY_MS);
        if is_of_this_day && stream_time.0 - at.0 <= LATE_MS {
            self.today[(at.0.rem_euclid(DAY_MS) / HOUR_MS) as usize] += 1;
        }
    }

    /// Begins a new day.
    pub fn begin_day(&mut self) {
        if self.today.iter().any(|&n| n > 0) {
            self.usual.iter_mut().zip(&self.today).for_each(|(usual, today)| *usual = (*usual + today) / 2);
        }
        self.today = [0; HOURS];
    }

    /// The part of an amount that corresponds to the share of a day's events that usually happen by this time of the day.
    pub fn part_of(&self, amount: u64, at_ms: i64) -> u64 {
        let weight = |hour: usize| self.usual[hour] + PRIOR;
        let of_day = at_ms.rem_euclid(DAY_MS);
        let (hour, within) = ((of_day / HOUR_MS) as usize, of_day % HOUR_MS);
        let whole: u64 = (0..hour).map(weight).sum();
        let all: u64 = (0..HOURS).map(weight).sum();
        let elapsed = u128::from(whole) * HOUR_MS as u128 + u128::from(weight(hour)) * within as u128;
        // At most the amount, because what elapsed is less than all.
        (u128::from(amount) * elapsed / (u128::from(all) * HOUR_MS as u128)) as u64
    }
}
