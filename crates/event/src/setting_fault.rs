//! A setting that is not accepted, as data: which setting, its value, and what is expected.
//!
//! Each crate checks its own settings and returns the first fault. A caller that holds those settings in a table of its own
//! adds the table's name with [`SettingFault::within`].

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

/// A setting whose value is not accepted.
///
/// ```
/// use accrue_event::SettingFault;
///
/// let fault = SettingFault::check("boost", 20.5, 1.0..=10.0).unwrap_err().within("learn.drift");
/// assert_eq!(fault.key, "learn.drift.boost");
/// assert_eq!(fault.to_string(), "`learn.drift.boost` is 20.5, but must be 1 to 10");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}, but must be {expected}")]
pub struct SettingFault {
    /// The name of the setting, with the names of the tables that hold it, joined by dots.
    pub key: String,
    /// The value that was given.
    pub value: String,
    /// The values that are accepted, to be read after "must be".
    pub expected: Cow<'static, str>,
}

impl SettingFault {
    /// A fault of the setting `key`.
    pub fn new(key: impl Into<String>, value: impl Display, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { key: key.into(), value: value.to_string(), expected: expected.into() }
    }

    /// Checks that a number is within bounds; `NaN` is not.
    ///
    /// # Errors
    /// The fault, whose expectation states the bounds.
    pub fn check<T: PartialOrd + Display>(key: &str, value: T, bounds: impl RangeBounds<T>) -> Result<(), Self> {
        if bounds.contains(&value) { Ok(()) } else { Err(Self::new(key, value, described(&bounds))) }
    }

    /// The same fault of a setting inside the table `table`.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        self.key = format!("{table}.{}", self.key);
        self
    }
}

fn described<T: Display>(bounds: &impl RangeBounds<T>) -> String {
    let least = match bounds.start_bound() {
        Bound::Included(least) => Some(("at least", least)),
        Bound::Excluded(least) => Some(("above", least)),
        Bound::Unbounded => None,
    };
    let most = match bounds.end_bound() {
        Bound::Included(most) => Some(("at most", most)),
        Bound::Excluded(most) => Some(("below", most)),
        Bound::Unbounded => None,
    };
    match (least, most) {
        (Some(("at least", least)), Some(("at most", most))) => format!("{least} to {most}"),
        (Some((than, least)), Some((up_to, most))) => format!("{than} {least} and {up_to} {most}"),
        (Some((than, bound)), None) | (None, Some((than, bound))) => format!("{than} {bound}"),
        (None, None) => "a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: f64, bounds: impl RangeBounds<f64>) -> String {
        SettingFault::check("x", value, bounds).map_or_else(|fault| fault.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn bounds_are_checked_and_stated() {
        assert_eq!(told(0.5, 0.0..=1.0), "accepted");
        assert_eq!(told(1.5, 0.0..=1.0), "`x` is 1.5, but must be 0 to 1");
        assert_eq!(told(f64::NAN, 0.0..), "`x` is NaN, but must be at least 0");
        assert_eq!(told(1.0, 0.0..1.0), "`x` is 1, but must be at least 0 and below 1");
        let above_zero = (Bound::Excluded(0.0), Bound::Included(1.0));
        assert_eq!(told(0.0, above_zero), "`x` is 0, but must be above 0 and at most 1");
        assert_eq!(told(0.0, (Bound::Excluded(0.0), Bound::Unbounded)), "`x` is 0, but must be above 0");
        assert_eq!(told(2.0, ..=1.0), "`x` is 2, but must be at most 1");
    }

    #[test]
    fn tables_are_named_from_the_outermost() {
        let fault = SettingFault::new("kind", "'x'", "one of a, b").within("sequence").within("model");
        assert_eq!(fault.to_string(), "`model.sequence.kind` is 'x', but must be one of a, b");
    }
}
