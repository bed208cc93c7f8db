//! The repairs that the check makes to one record.

use super::verdict::Repair;

/// The repairs so far, in order, each once. Allocates nothing while there are none.
#[derive(Debug, Default)]
pub(super) struct Repairs(Vec<Repair>);

impl Repairs {
    pub(super) fn note(&mut self, repair: Repair) {
        if !self.0.contains(&repair) {
            self.0.push(repair);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn as_slice(&self) -> &[Repair] {
        &self.0
    }

    pub(super) fn into_vec(self) -> Vec<Repair> {
        self.0
    }
}
