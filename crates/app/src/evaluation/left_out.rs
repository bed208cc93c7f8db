//! Rows of files that are left out of an evaluation, counted by reason.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use accrue_event::Reason;
use anyhow::{bail, ensure};
use serde::{Serialize, Serializer};

/// Records read at once.
pub(super) const BATCH: usize = 4_096;

/// Why a row or record is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The check refuses it.
    Refused(Reason),
    /// Its type is not one of those that are evaluated.
    OtherType,
}

impl LeftOut {
    /// The word for it in reports.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(reason) => reason.code(),
            Self::OtherType => "other_type",
        }
    }
}

impl From<Reason> for LeftOut {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// By the word, so that reports list reasons in its order.
impl Ord for LeftOut {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for LeftOut {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for LeftOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Rows that were left out, by reason.
pub type Refused = BTreeMap<LeftOut, u64>;

/// Refuses a file of which no row can be used, with the reasons.
pub(super) fn refuse_if_empty(path: &Path, n_used: usize, refused: &Refused) -> anyhow::Result<()> {
    if n_used > 0 {
        return Ok(());
    }
    let n_rows: u64 = refused.values().sum();
    ensure!(n_rows > 0, "{}: the file has no rows", path.display());
    let reasons: Vec<String> = refused.iter().map(|(reason, n)| format!("{} {n}", reason.code())).collect();
    let hint = match refused.keys().next() {
        Some(LeftOut::Refused(Reason::BadTime)) => {
            "say how its times are written: `time_format` in the file of --mapping"
        }
        Some(LeftOut::OtherType) => "name the types of events that it has: --set types=TYPE,…",
        _ => "check which columns are the user and the item: --map user=COLUMN,item=COLUMN",
    };
    bail!("{}: none of its {n_rows} rows can be used ({}); {hint}", path.display(), reasons.join(", "))
}
