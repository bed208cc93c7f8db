//! Parts of the facts that an older build counted in another way, computed again from the log.
//!
//! A section of an older version can be converted, but its counts are not those that this build comes to from the same
//! records. Where the log has all records, these parts alone are folded again; the names of items, which they refer to,
//! are those of the facts. Where retention removed records, the converted counts stay.

use accrue_event::ItemId;

use super::Facts;
use crate::{Body, ItemIdx, Record, SearchRanking, Searches};

/// The parts of the facts that are folded again. What choices teach the order of hits depends on how likely a position is
/// looked at, which the other part counts, so both are folded together.
#[derive(Debug, Default)]
pub struct OlderParts {
    searches: Searches,
    search_ranking: SearchRanking,
}

impl OlderParts {
    /// Takes in the next record. `facts` include it; they may be ahead.
    pub fn apply(&mut self, facts: &Facts, record: &Record) {
        let item_of = |id: &ItemId| -> Option<ItemIdx> { facts.items.get(id.as_str()) };
        match &record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => {
                if let Some(item) = checked.event.item.as_ref().and_then(item_of) {
                    self.searches.observe(&checked.event, item);
                }
            }
            Body::SearchChoice(choice) => {
                let propensity = self.searches.propensity(choice.position as usize, choice.is_published);
                self.search_ranking.observe(choice, propensity);
            }
            _ => {}
        }
    }

    /// Puts the parts into the facts, in the place of those that an older build counted.
    pub fn replace_in(self, facts: &mut Facts) {
        (facts.searches, facts.search_ranking) = (self.searches, self.search_ranking);
    }
}
