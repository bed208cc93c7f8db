//! `/v1/rules`: what the shop pins, boosts, buries and hides.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::RuleChange;
use accrue_event::{ItemId, ShopRule};
use accrue_store::{ItemIdx, Offset};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::params::{Id, clean_item};
use super::problem::{Problem, ProblemDocument};
use super::schema::RuleRecord;
use super::server::Server;

/// The rules of the shop, all of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRules)]
pub(super) struct NewRulesBody {
    /// At most 1000, each with a name of its own.
    #[schema(value_type = Vec<RuleRecord>)]
    rules: Vec<ShopRule>,
}

/// The rules of the shop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rules)]
pub(super) struct RulesBody {
    /// The records of the log before this one include the latest change; 0 if there was none.
    #[schema(example = 48214)]
    offset: u64,
    /// In the order in which they were sent.
    #[schema(value_type = Vec<RuleRecord>)]
    rules: Vec<ShopRule>,
    /// Items that rules name and the catalogue does not have, by the names of the rules; absent if there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    missing: BTreeMap<Box<str>, Vec<ItemId>>,
    /// Names of rules that another version of the program wrote and this one cannot read: they do not hold, and stay until
    /// they are replaced or removed; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    unread: Vec<Box<str>>,
}

impl Server {
    fn rules(&self) -> Json<RulesBody> {
        let (Offset(offset), rules) = self.engine.rules();
        let missing = self.missing(rules.iter().map(|rule| (&*rule.name, &rule.items[..])));
        Json(RulesBody { offset, rules, missing, unread: self.engine.unread_rules() })
    }

    /// Of each name the items that the catalogue does not have, because they were removed or never described; such as
    /// have none are left out.
    pub(super) fn missing<'n>(
        &self,
        named: impl Iterator<Item = (&'n str, &'n [ItemId])>,
    ) -> BTreeMap<Box<str>, Vec<ItemId>> {
        self.engine.with_shop(|shop| {
            let is_sold = |item: ItemIdx| shop.facts.entry(item).is_some_and(|entry| !entry.is_retired());
            // A parent stands for its variants, and need not be in the catalogue itself.
            let is_missing = |id: &&ItemId| {
                let own = shop.facts.items.get(id.as_str());
                let variants = shop.facts.products.variants_of(id.as_str()).iter().copied();
                !own.into_iter().chain(variants).any(is_sold)
            };
            let missing = named.map(|(name, items)| (name.into(), items.iter().filter(is_missing).cloned().collect()));
            missing.filter(|(_, items): &(_, Vec<_>)| !items.is_empty()).collect()
        })
    }

    async fn change_rules(&self, change: RuleChange) -> Result<Json<RulesBody>, Problem> {
        self.engine.change_rules(change).await?;
        Ok(self.rules())
    }
}

/// The rules of the shop
#[utoipa::path(
    get,
    path = "/v1/rules",
    tag = "operate",
    responses(
        (status = 200, description = "All rules", body = RulesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Json<RulesBody> {
    server.rules()
}

/// Replace all rules of the shop
///
/// They hold from the next answer on. A rule with a fault refuses all of them, and nothing changes.
#[utoipa::path(
    put,
    path = "/v1/rules",
    tag = "operate",
    request_body = NewRulesBody,
    responses(
        (status = 200, description = "All rules", body = RulesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace(
    State(server): State<Arc<Server>>,
    body::Json(body): body::Json<NewRulesBody>,
) -> Result<Json<RulesBody>, Problem> {
    let rules = body.rules.into_iter().map(with_clean_ids).collect();
    server.change_rules(RuleChange::Replace(rules)).await
}

/// A rule whose items are named as records name them.
fn with_clean_ids(rule: ShopRule) -> ShopRule {
    ShopRule { items: rule.items.iter().map(clean_item).collect(), ..rule }
}

/// Remove all rules of the shop
#[utoipa::path(
    delete,
    path = "/v1/rules",
    tag = "operate",
    responses(
        (status = 200, description = "No rules", body = RulesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn clear(State(server): State<Arc<Server>>) -> Result<Json<RulesBody>, Problem> {
    server.change_rules(RuleChange::Replace(Vec::new())).await
}

/// Add a rule, or replace the one with its name
#[utoipa::path(
    post,
    path = "/v1/rules",
    tag = "operate",
    request_body = RuleRecord,
    responses(
        (status = 200, description = "All rules", body = RulesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(server): State<Arc<Server>>,
    body::Json(rule): body::Json<ShopRule>,
) -> Result<Json<RulesBody>, Problem> {
    server.change_rules(RuleChange::Put(Box::new(with_clean_ids(rule)))).await
}

/// Remove the rule with this name
#[utoipa::path(
    delete,
    path = "/v1/rules/{name}",
    tag = "operate",
    params(("name" = String, Path, description = "The rule")),
    responses(
        (status = 200, description = "The rules that are left", body = RulesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(State(server): State<Arc<Server>>, Id(name): Id) -> Result<Json<RulesBody>, Problem> {
    server.change_rules(RuleChange::Remove(name.into())).await
}
