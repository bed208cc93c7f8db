//! Served answers: what a page showed, kept in the log, so that a click can be compared with the rest of the page.

use accrue_event::{ItemId, SessionId, UserId};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Offset;

/// One answer as it was served. It changes no state. Events refer to it by their `recommendation_id`, and it is erased like
/// any other record of its shopper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The `recommendation_id` or `search_id` of the answer.
    pub recommendation_id: Box<str>,
    /// The kind of page.
    pub page: Page,
    /// The user, if the request named one.
    pub user: Option<UserId>,
    /// The session, if the request named one.
    pub session: Option<SessionId>,
    /// Number of the version that answered, since the server's start.
    pub version: u64,
    /// The models had learned the records before this offset. A replay up to it reaches the same models.
    pub learned: Offset,
    /// Place of the first item in the whole list, from 0: above 0 on a further page.
    pub first_position: u32,
    /// The items in order: the place in this list is the `position` of events.
    pub items: Vec<ItemId>,
    /// For each item the probability of being shown at its place given the items above it, 0 to 1; empty if nothing was drawn, which
    /// means 1 for all. Their product is the probability of the whole page.
    pub propensities: Vec<f32>,
    /// The arm of an experiment that the shopper was in, if one was running.
    #[serde(deserialize_with = "or_end")]
    pub arm: Option<Assignment>,
    /// For each item the place, from 0, that the models gave it; empty if the page has the order of the models.
    #[serde(deserialize_with = "or_end")]
    pub ranks: Vec<u32>,
    /// What the request asked for besides the visitor, as JSON of the engine; empty in older records, and where the page
    /// cannot be made again from it.
    #[serde(deserialize_with = "or_end")]
    pub asked: Box<str>,
    /// The items of campaigns that the answer shows.
    #[serde(deserialize_with = "or_end")]
    pub sponsored: Vec<SponsoredSlot>,
    /// Whether it was asked for with a published key, so that anyone can have invented the session.
    #[serde(deserialize_with = "or_end")]
    pub published: bool,
    /// Whether new products could stand on the answer.
    #[serde(deserialize_with = "or_end")]
    pub trial: Trial,
}

/// Whether new products could stand on an answer. Answers of both kinds are alike in all else, so that the difference of
/// their clicks is what showing new products costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Trial {
    /// No new product could have stood on it, whatever its id.
    #[default]
    None,
    /// Its id decided that none does.
    Without,
    /// Some may stand at these places.
    With(Vec<NewSlot>),
}

/// A place of an answer that was drawn among the item that stood there and new products.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewSlot {
    /// The place in the answer, from 0.
    pub place: u16,
    /// The probability with which its item was drawn.
    pub propensity: f32,
    /// Whether it is a new product.
    pub is_new: bool,
}

/// A sponsored item of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SponsoredSlot {
    /// The place of the item in the answer, from 0.
    pub place: u16,
    /// The campaign.
    pub campaign: Box<str>,
    /// What a click on it costs, in minor units.
    pub price: u64,
}

/// An arm of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The experiment.
    pub experiment: Box<str>,
    /// The arm.
    pub arm: Box<str>,
}

/// Reads a field that older records do not have. Bytes are verified before they are decoded, and a served answer is the last part of its
/// record, so if the bytes end here the record is an older one and not a damaged one.
fn or_end<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::deserialize(deserializer).unwrap_or_default())
}

/// The kind of page that was requested.
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
    /// An answer of this id without items, to a visitor of whom nothing is known.
    pub fn bare(recommendation_id: Box<str>, page: Page) -> Self {
        Self {
            recommendation_id,
            page,
            user: None,
            session: None,
            version: 0,
            learned: Offset(0),
            first_position: 0,
            items: Vec::new(),
            propensities: Vec::new(),
            arm: None,
            ranks: Vec::new(),
            asked: Box::default(),
            sponsored: Vec::new(),
            published: false,
            trial: Trial::None,
        }
    }

    /// Its bytes in the log.
    pub fn n_bytes(&self) -> u64 {
        postcard::to_stdvec(self).map_or(0, |bytes| bytes.len() as u64)
    }

    /// The probability with which the item at this place was shown there.
    pub fn propensity(&self, place: usize) -> f32 {
        self.propensities.get(place).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    /// A served answer in the form before experiments: the fields up to `propensities`.
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
            asked: Box::default(),
            sponsored: Vec::new(),
            published: false,
            trial: Trial::None,
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
        let served = Served { asked: r#"{"n":5}"#.into(), ..served };
        let slot = SponsoredSlot { place: 0, campaign: "spring".into(), price: 45 };
        let newer = Served {
            arm: Some(Assignment { experiment: "x".into(), arm: "b".into() }),
            ranks: vec![0],
            sponsored: vec![slot],
            published: true,
            trial: Trial::With(vec![NewSlot { place: 0, propensity: 0.25, is_new: true }]),
            ..served
        };
        let newer = Body::Served(Box::new(newer));
        assert_eq!(postcard::from_bytes::<Body>(&postcard::to_stdvec(&newer).unwrap()).unwrap(), newer);
    }
}
