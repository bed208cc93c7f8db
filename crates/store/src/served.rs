//! What an answer showed: kept in the log, so that a click can be judged by what else stood on the page.

use accrue_event::{ItemId, SessionId, UserId};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// For each item how likely it was to be shown there given the items above it, 0 to 1; empty where no chance was involved,
    /// which is 1 for all. Their product is how likely the whole page was.
    pub propensities: Vec<f32>,
    /// The arm of an experiment that the shopper was in, if one was running.
    #[serde(deserialize_with = "or_end")]
    pub arm: Option<Assignment>,
    /// For each item the place, from 0, that the models had given it; empty where the page is as they ranked it.
    #[serde(deserialize_with = "or_end")]
    pub ranks: Vec<u32>,
}

/// Which arm of which experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The experiment.
    pub experiment: Box<str>,
    /// The arm.
    pub arm: Box<str>,
}

/// A field that records written before there was one end without. Bytes are verified before they are decoded, so an end is an
/// older record, never a damaged one; and a served answer is the last thing in its record.
fn or_end<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::deserialize(deserializer).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    /// A served answer as it was before experiments: the fields up to `propensities`.
    #[derive(Serialize)]
    struct Older<'a>(u32, &'a str, Page, Option<UserId>, Option<SessionId>, u64, Offset, u32, Vec<ItemId>, Vec<f32>);

    #[test]
    fn records_from_before_experiments_are_read() {
        let served = Served {
            recommendation_id: "r1".into(),
            page: Page::Recommend,
            user: Some("ann".into()),
            session: None,
            version: 3,
            learned: Offset(7),
            first_position: 0,
            items: vec!["mug".into()],
            propensities: vec![0.5],
            arm: None,
            ranks: Vec::new(),
        };
        let older = Older(
            13, // the place of `Served` among the bodies
            "r1",
            Page::Recommend,
            served.user.clone(),
            None,
            3,
            Offset(7),
            0,
            served.items.clone(),
            vec![0.5],
        );
        let bytes = postcard::to_stdvec(&older).unwrap();
        let body: Body = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(body, Body::Served(Box::new(served.clone())));
        let newer =
            Served { arm: Some(Assignment { experiment: "x".into(), arm: "b".into() }), ranks: vec![0], ..served };
        let newer = Body::Served(Box::new(newer));
        assert_eq!(postcard::from_bytes::<Body>(&postcard::to_stdvec(&newer).unwrap()).unwrap(), newer);
    }
}
