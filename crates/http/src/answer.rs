//! What answers with items have in common: their bodies, and the words of requests that every page knows.
//!
//! In: what the engine answered, and the fields that were asked for. Out: the body of the answer.

use std::time::Instant;

use accrue_engine::Engine;
use accrue_event::ItemId;
use accrue_serve::{Grouping, IncompleteItems, Reason, Recommendation, Recommended};
use accrue_store::Assignment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{DescriptionBody, Fields};
use super::ingested::RefusedBody;
use super::server::Server;

/// In `degraded`: the key of the request may not ask about users, or for reasons.
pub(super) const PERSONS_LEFT_OUT: &str = "persons_left_out";
/// In `degraded`: inline events were refused by the check.
pub(super) const EVENTS_IGNORED: &str = "events_ignored";

/// Whether variants of a product (items with one parent) count as one.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum VariantsBody {
    /// A page shows one variant of a product, and what is excluded, seen or similar counts for all of its variants.
    #[default]
    One,
    /// Each variant is an item of its own.
    All,
}

impl From<VariantsBody> for Grouping {
    fn from(variants: VariantsBody) -> Self {
        match variants {
            VariantsBody::One => Grouping::Product,
            VariantsBody::All => Grouping::Item,
        }
    }
}

/// Whether items at price 0 or without a title are recommended.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum IncompleteBody {
    /// They are not recommended.
    Hide,
    /// They are recommended like all others.
    Show,
}

impl From<IncompleteBody> for IncompleteItems {
    fn from(incomplete: IncompleteBody) -> Self {
        match incomplete {
            IncompleteBody::Hide => IncompleteItems::Hide,
            IncompleteBody::Show => IncompleteItems::Show,
        }
    }
}

/// An answer with recommendations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecommendationBody {
    /// Id of this answer; send it back with the events that it leads to.
    #[schema(example = "67408f1ab3c2-1f")]
    recommendation_id: String,
    /// Version of the models that answered.
    #[schema(example = 412)]
    version: u64,
    /// Records of the log that the models have learned from. It has nothing to do with the `offset` of the request.
    #[schema(example = 48213)]
    offset: u64,
    /// Time inside the server, in milliseconds.
    #[schema(example = 0.61)]
    took_ms: f64,
    /// How many products the request may show in all, of which the page has some; items with `variants=all`. Of a
    /// recommendation: those on sale that pass the filter and are not left out for this shopper. Of `/v1/trending`:
    /// those of them that were ever chosen. Absent for similar items, which are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1250)]
    total: Option<usize>,
    /// The `offset` to ask for the next page with, where sponsored items moved others off this one; absent where it is the
    /// `offset` + `n` of the request (the `offset` of this answer is something else).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 8)]
    next_offset: Option<usize>,
    /// What could not be done as requested, such as `cold_user`; empty if everything was done.
    #[schema(value_type = Vec<String>, example = json!([]))]
    pub(super) degraded: Vec<&'static str>,
    /// Inline events that the check refused, by their place in the request; the answer was made without them, and
    /// `degraded` says `events_ignored`. Absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored_events: Vec<RefusedBody>,
    /// The experiment that is running, and the shopper's arm of it; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) experiment: Option<ArmBody>,
    /// Best first.
    items: Vec<RecommendedBody>,
}

/// An arm of an experiment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Arm)]
pub(super) struct ArmBody {
    /// The experiment.
    #[schema(example = "variety")]
    name: String,
    /// The shopper's arm.
    #[schema(example = "b")]
    arm: String,
}

impl From<&Assignment> for ArmBody {
    fn from(assignment: &Assignment) -> Self {
        Self { name: assignment.experiment.to_string(), arm: assignment.arm.to_string() }
    }
}

/// An item of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecommendedBody {
    /// Which item.
    #[schema(value_type = String, example = "sku-9")]
    pub(super) id: ItemId,
    /// Comparable within one answer only.
    #[schema(example = 0.82)]
    score: f32,
    /// What `fields` asks for.
    #[serde(flatten)]
    pub(super) description: DescriptionBody,
    /// The reasons, if requested; their shares sum to the score.
    #[schema(value_type = Vec<ReasonBody>)]
    reasons: Vec<Reason>,
    /// The campaign that pays for the item to stand there; absent for all others. Shoppers have to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sponsored: Option<SponsoredBody>,
}

/// The campaign that pays for an item to stand there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sponsored)]
pub(super) struct SponsoredBody {
    /// Its id.
    #[schema(example = "acme-advent")]
    campaign: String,
}

/// One term of a score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reason)]
#[allow(dead_code, reason = "documents accrue_serve::Reason, which is serialised unchanged")]
pub(super) struct ReasonBody {
    /// Stable code.
    #[schema(example = "because_of_event")]
    code: String,
    /// A sentence for people.
    #[schema(example = "because you viewed Red mug")]
    text: String,
    /// The item of the history that is cited, if any.
    #[schema(example = "sku-3")]
    item: Option<String>,
    /// The event of the history that is cited, if any.
    event: Option<CitedEventBody>,
    /// What the reason adds to the score.
    #[schema(example = 0.4)]
    share: f32,
}

/// The event that a reason cites.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CitedEvent)]
#[allow(dead_code, reason = "documents accrue_serve::CitedEvent, which is serialised unchanged")]
pub(super) struct CitedEventBody {
    /// Its type.
    #[schema(example = "view")]
    r#type: String,
    /// When it happened.
    #[schema(example = "2026-11-21T10:00:00Z")]
    at: String,
}

impl From<Recommended> for RecommendedBody {
    fn from(Recommended { id, score, reasons, sponsored }: Recommended) -> Self {
        let sponsored = sponsored.map(|by| SponsoredBody { campaign: by.campaign.into() });
        Self { id, score, description: DescriptionBody::default(), reasons, sponsored }
    }
}

impl Server {
    /// An answer with these items.
    pub(super) fn recommendation(
        &self,
        recommendation_id: String,
        recommendation: Recommendation,
        fields: &Fields,
        started: Instant,
    ) -> RecommendationBody {
        RecommendationBody {
            recommendation_id,
            version: recommendation.version,
            offset: recommendation.offset,
            total: recommendation.total,
            next_offset: recommendation.next_offset,
            degraded: recommendation.degraded,
            ignored_events: Vec::new(),
            experiment: None,
            items: fields.of(&self.engine, recommendation.items),
            took_ms: took_ms(started),
        }
    }
}

/// Milliseconds since then, to the microsecond.
pub(super) fn took_ms(started: Instant) -> f64 {
    started.elapsed().as_micros() as f64 / 1e3
}

impl Fields {
    /// The items of an answer with what was asked for.
    pub(super) fn of(&self, engine: &Engine, items: Vec<Recommended>) -> Vec<RecommendedBody> {
        let mut bodies: Vec<RecommendedBody> = items.into_iter().map(RecommendedBody::from).collect();
        if self.is_empty() {
            return bodies;
        }
        engine.with_shop(|shop| {
            let described = |id: &ItemId| shop.facts.described(shop.facts.items.get(id.as_str())?);
            for body in &mut bodies {
                // An item of an answer was known a moment ago, and items do not vanish.
                let Some(item) = described(&body.id) else { continue };
                body.description = self.describe(item);
            }
        });
        bodies
    }
}
