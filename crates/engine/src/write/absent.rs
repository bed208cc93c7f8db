//! What becomes of the items that a whole catalogue does not name.
//!
//! A shop system that exports one page or one selection of its products, or a download that ends early, looks like a
//! catalogue from which most products are gone. That is rare and such exports are not, so it has to be said.

use std::collections::BTreeSet;

use accrue_event::ItemId;
use accrue_store::{Body, Facts};

use crate::error::EngineError;

/// Fewer items than this are retired in any case: a small shop changes as a whole.
const FEW: usize = 20;

/// What becomes of the items that a list of descriptions does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// They stay.
    Stay,
    /// They are retired, unless that is more than half of the catalogue.
    Retire,
    /// They are retired, however many they are.
    RetireMost,
}

impl From<bool> for Absent {
    /// Whether the list is the whole catalogue.
    fn from(is_whole: bool) -> Self {
        if is_whole { Self::Retire } else { Self::Stay }
    }
}

/// The records that retire what is not listed. The catalogue that it is compared with has the first `n_before` items: those that the
/// list itself has brought are no part of it.
///
/// # Errors
/// [`EngineError::UnsafeSync`]
pub(crate) fn retirements(
    facts: &Facts,
    n_before: usize,
    listed: &BTreeSet<ItemId>,
    absent: Absent,
) -> Result<Vec<Body>, EngineError> {
    if absent == Absent::Stay {
        return Ok(Vec::new());
    }
    let known = || facts.entries().iter().take(n_before).filter(|entry| entry.is_in_catalogue());
    let n_sold = known().count();
    let n_absent = known().filter(|entry| !listed.contains(&entry.item.id)).count();
    if absent != Absent::RetireMost && n_absent >= FEW && 2 * n_absent > n_sold {
        return Err(EngineError::UnsafeSync { n_absent, n_sold });
    }
    let absent = facts.entries().iter().filter(|entry| !entry.is_retired() && !listed.contains(entry.id()));
    Ok(absent.map(|entry| Body::ItemRetired(entry.id().clone())).collect())
}
