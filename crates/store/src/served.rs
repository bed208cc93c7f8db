//! What an answer showed: kept in the log, so that a click can be judged by what else stood on the page.

use accrue_event::{ItemId, SessionId, UserId};
use serde::{Deserialize, Serialize};

use crate::Offset;

/// One answer as it was served. It changes no state. Events refer to it by their `recommendation_id`, and it is erased like
/// any other record of its shopper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The `recommendation_id` or `search_id` of the answer.
    pub recommendation_id: Box<str>,
    /// What was asked for.
    pub page: Page,
    /// The known customer, if one was named.
    pub user: Option<UserId>,
    /// The visit, if one was named.
    pub session: Option<SessionId>,
    /// Number of the version that answered, since the server's start.
    pub version: u64,
    /// The models had learned from the records before this offset: what a replay up to it builds again.
    pub learned: Offset,
    /// Place of the first item in the whole list, from 0: above 0 on a further page.
    pub first_position: u32,
    /// The items in order: the place in this list is the `position` of events.
    pub items: Vec<ItemId>,
    /// For each item how likely it was to be shown there, 0 to 1; empty where no chance was involved, which is 1 for all.
    pub propensities: Vec<f32>,
}

/// What an answer was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Recommendations for a shopper.
    Recommend,
    /// Hits for a text.
    Search {
        /// What the shopper typed.
        query: Box<str>,
    },
}

impl Served {
    /// How likely the item at this place of the answer was to be shown there.
    pub fn propensity(&self, place: usize) -> f32 {
        self.propensities.get(place).copied().unwrap_or(1.0)
    }
}
