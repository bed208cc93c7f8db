//! Update policies: when the models of a stream learn.
//!
//! In: the policy's name (`online`, `every:1000`, `every:1s`, `finetune:1d`, `retrain:7d`, `frozen`). Out: the policy,
//! and for periodic ones whether an update is due. Before the protocol's first prediction, every policy learns from
//! every event.

use std::fmt;
use std::time::Duration;

use accrue_event::{SettingFault, format_duration, parse_duration};

/// A length of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A number of events.
    Events(u64),
    /// Milliseconds of stream time.
    Ms(i64),
}

impl Span {
    /// Reads `1000` (events), or a duration of stream time (`1s`, `5m`, `2h`, `7d`); `None` if the text is neither
    /// or 0.
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(0) => None,
            Ok(n) => Some(Span::Events(n)),
            Err(_) => {
                let ms = parse_duration(text)?.as_millis();
                i64::try_from(ms).ok().filter(|&ms| ms > 0).map(Span::Ms)
            }
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Span::Events(n) => write!(f, "{n}"),
            Span::Ms(ms) => f.write_str(&format_duration(Duration::from_millis(ms.unsigned_abs()))),
        }
    }
}

/// When the models learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At every event.
    Online,
    /// At every event; and periodically everything is learned again in one pass from nothing, which the models then
    /// continue from.
    Reset {
        /// The length of the stream between two resets.
        every: Span,
    },
    /// Never after `from_day`.
    Frozen,
    /// Periodically, from all events so far.
    Retrain {
        /// The length of the stream between two updates.
        every: Span,
        /// Start from the previous models instead of from nothing.
        warm: bool,
        /// Passes over the data; `None` chooses the number on the days before the first prediction.
        epochs: Option<u32>,
    },
    /// Periodically, from the new events.
    Finetune {
        /// The length of the stream between two updates.
        every: Span,
    },
}

impl Mode {
    /// The policy of this name; `warm` and `epochs` apply to retraining.
    ///
    /// # Errors
    /// The fault of the setting `mode`.
    pub fn named(text: &str, warm: bool, epochs: Option<u32>) -> Result<Self, SettingFault> {
        let (name, every) = text.split_once(':').map_or((text, None), |(name, every)| (name, Some(every)));
        let every = |example: &str| {
            let expected =
                || format!("`{name}:` and a number of events or a time (1s, 5m, 2h, 7d), as in `{name}:{example}`");
            every.and_then(Span::parse).ok_or_else(|| SettingFault::new("mode", text, expected()))
        };
        Ok(match name {
            "online" => Mode::Online,
            "reset" => Mode::Reset { every: every("100000")? },
            "frozen" => Mode::Frozen,
            "retrain" => Mode::Retrain { every: every("7d")?, warm, epochs },
            "finetune" => Mode::Finetune { every: every("1d")? },
            "every" => Mode::Finetune { every: every("1000")? },
            _ => {
                let expected = "online, reset:100000 (events), frozen, every:1000, every:1s, finetune:1d or retrain:7d";
                return Err(SettingFault::new("mode", text, expected));
            }
        })
    }

    /// The length of the stream between two updates, for periodic policies.
    pub(crate) fn every(self) -> Option<Span> {
        match self {
            Mode::Online | Mode::Frozen => None,
            Mode::Retrain { every, .. } | Mode::Finetune { every } | Mode::Reset { every } => Some(every),
        }
    }

    /// Whether every event is learned when it happens.
    pub(crate) fn is_online(self) -> bool {
        matches!(self, Mode::Online | Mode::Reset { .. })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Online => f.write_str("online"),
            Mode::Reset { every } => write!(f, "reset:{every}"),
            Mode::Frozen => f.write_str("frozen"),
            Mode::Retrain { every, .. } => write!(f, "retrain:{every}"),
            Mode::Finetune { every: every @ Span::Events(_) } => write!(f, "every:{every}"),
            Mode::Finetune { every } => write!(f, "finetune:{every}"),
        }
    }
}

/// Decides when the next update of a stream is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    every: Option<Span>,
    /// Events or milliseconds, in the unit of `every`; `None` before the first update.
    next: Option<i64>,
}

impl Timetable {
    /// The timetable of a policy; its first update is due at once.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { every: mode.every(), next: None }
    }

    /// Whether an update is due after `n_events`, at `now_ms`. If it is, the next one is due one period later. After a
    /// pause of more than one period, one update is due and not several.
    pub(crate) fn is_due(&mut self, n_events: u64, now_ms: i64) -> bool {
        let (now, period) = match self.every {
            None => return self.next.replace(i64::MAX).is_none(),
            Some(Span::Events(n)) => (n_events as i64, n as i64),
            Some(Span::Ms(ms)) => (now_ms, ms),
        };
        let due = self.next.is_none_or(|next| now >= next);
        if due {
            let last = self.next.filter(|next| now - next < period).unwrap_or(now);
            self.next = Some(last + period);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in [
            "online",
            "reset:500",
            "reset:30d",
            "frozen",
            "every:1000",
            "finetune:1d",
            "finetune:1s",
            "retrain:7d",
            "retrain:36h",
        ] {
            let mode = Mode::named(name, true, Some(2)).unwrap();
            assert_eq!(mode.to_string(), name);
            assert_eq!(Mode::named(&mode.to_string(), true, Some(2)).unwrap(), mode);
        }
        assert_eq!(Mode::named("every:1s", false, None), Mode::named("finetune:1s", false, None));
        for wrong in ["daily", "retrain", "reset", "every:0", "every:0d", "every:-3", "retrain:7w", "finetune:d"] {
            let fault = Mode::named(wrong, false, None).unwrap_err();
            assert_eq!((fault.key.as_str(), fault.value.as_str()), ("mode", wrong));
        }
    }

    #[test]
    fn the_first_update_is_due_at_once_and_others_one_period_apart() {
        let due = |mode: &str, times: &[i64]| {
            let mut timetable = Timetable::new(Mode::named(mode, false, None).unwrap());
            (0..).zip(times).map(|(n, &ms)| timetable.is_due(n, ms)).collect::<Vec<_>>()
        };
        assert_eq!(
            due("every:1s", &[5, 500, 1_004, 1_005, 9_000, 9_100, 10_000]),
            [true, false, false, true, true, false, true]
        );
        assert_eq!(due("every:2", &[0; 5]), [true, false, true, false, true]);
        use accrue_event::DAY_MS;
        assert_eq!(due("frozen", &[0, DAY_MS, 99 * DAY_MS]), [true, false, false]);
    }
}
