//! `GET /v1/searches`: what shoppers search for, and what they find nothing for.
//!
//! In: the counts of searches since the server began, and what the log keeps of choices after searches. Out: the most
//! frequent words, and those after which nothing was chosen. What was chosen, and what was not, is counted from the log.
//! What one person typed is theirs: a text is told from [`VISITORS`] different visitors on.

use std::sync::Arc;

use accrue_store::{QueryOutcome, Reformulations};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::params::{At, Params};
use super::problem::{Problem, ProblemDocument};
use super::proposals::stopped;
use super::search_counts::{Count, VISITORS};
use super::server::Server;

/// Items of a query in the answer.
const N_ITEMS: usize = 3;
/// Later queries of a query in the answer.
const N_THEN: usize = 3;

/// The query parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchesParams {
    /// Queries in each list: 1 to 1000, 50 if left out.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<usize>,
}

/// What shoppers search for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Searches)]
pub(super) struct SearchesBody {
    /// Searches with words since the server began.
    pub(super) searches: u64,
    /// Those of them that found nothing.
    pub(super) without_result: u64,
    /// The most frequent queries of at least three different visitors since the server began, or since people were
    /// forgotten.
    pub(super) frequent: Vec<QueryBody>,
    /// Those of them that found nothing most often.
    pub(super) unanswered: Vec<QueryBody>,
    /// The queries after which most was chosen, by the events in the log: those of at least three different shoppers.
    pub(super) chosen_after: Vec<ChosenAfterBody>,
    /// The queries after which most often nothing was chosen, by the recorded answers and the events in the log.
    pub(super) unchosen: Vec<UnchosenBody>,
}

/// A query after which nothing was chosen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueryWithoutChoice)]
pub(super) struct UnchosenBody {
    /// Its words, in lower case.
    #[schema(value_type = String, example = "brolly")]
    pub(super) query: Box<str>,
    /// Searches in the log.
    #[schema(example = 40)]
    pub(super) searches: u64,
    /// Those of them that found nothing.
    #[schema(example = 31)]
    pub(super) without_result: u64,
    /// Those of them after which nothing was chosen.
    #[schema(example = 38)]
    pub(super) without_choice: u64,
    /// What their shoppers searched for next and chose something after, those of most shoppers first.
    #[schema(value_type = Vec<String>, example = json!(["umbrella"]))]
    pub(super) then: Vec<Box<str>>,
}

impl UnchosenBody {
    fn new(query: &str, outcome: &QueryOutcome) -> Self {
        let mut then: Vec<_> = outcome.then.iter().filter(|then| then.own.len() >= VISITORS).collect();
        then.sort_by(|a, b| b.own.len().cmp(&a.own.len()).then(a.query.cmp(&b.query)));
        Self {
            query: query.into(),
            searches: outcome.searches,
            without_result: outcome.without_result,
            without_choice: outcome.without_choice(),
            then: then.into_iter().take(N_THEN).map(|then| then.query.clone()).collect(),
        }
    }

    /// The `n` queries after which most often nothing was chosen, of those that are told.
    fn most(found: &Reformulations, n: usize) -> Vec<Self> {
        let told =
            |outcome: &QueryOutcome| if outcome.n_searchers() >= VISITORS { outcome.without_choice() } else { 0 };
        found.most(n, told).into_iter().map(|(query, outcome)| Self::new(query, outcome)).collect()
    }
}

/// A query with its counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CountedQuery)]
pub(super) struct QueryBody {
    /// Its words, in lower case.
    #[schema(value_type = String, example = "red mug")]
    pub(super) query: Box<str>,
    /// How often it was searched for.
    #[schema(example = 12)]
    pub(super) searches: u64,
    /// How often nothing was found.
    #[schema(example = 0)]
    pub(super) without_result: u64,
}

/// A query with what was chosen after it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueryWithChoices)]
pub(super) struct ChosenAfterBody {
    /// Its words, in lower case.
    #[schema(example = "red mug")]
    pub(super) query: String,
    /// Choices, those of a low position, of a purchase and of late counting more.
    #[schema(example = 21.5)]
    pub(super) weight: f32,
    /// The items that were chosen most.
    #[schema(example = json!(["sku-9"]))]
    pub(super) items: Vec<String>,
}

impl Server {
    /// The most frequent searches, at most `n` in each list. The log is read on for it, on a thread that may take long.
    pub(super) async fn searches(&self, n: usize) -> Result<SearchesBody, Problem> {
        let engine = self.engine.clone();
        let unchosen = move || engine.search_outcomes(|found| UnchosenBody::most(found, n));
        let unchosen = tokio::task::spawn_blocking(unchosen).await.map_err(|_| stopped())??;
        let body =
            |(query, count): (Box<str>, Count)| QueryBody { query, searches: count.n, without_result: count.n_without };
        let n_erasures = self.engine.n_erasures();
        let (searches, without_result) = self.searches.totals();
        let chosen_after = self.engine.with_shop(|shop| {
            let names = |items: &[u32]| {
                let named = items.iter().filter_map(|&item| shop.facts.items.name(item));
                named.take(N_ITEMS).map(str::to_owned).collect()
            };
            let most = shop.facts.searches.most_chosen(n, shop.facts.stream_time.0).into_iter();
            most.map(|(query, items, weight)| ChosenAfterBody { query: query.to_owned(), weight, items: names(&items) })
                .collect()
        });
        Ok(SearchesBody {
            searches,
            without_result,
            frequent: self.searches.most(n, n_erasures, |count| count.n).into_iter().map(body).collect(),
            unanswered: self.searches.most(n, n_erasures, |count| count.n_without).into_iter().map(body).collect(),
            chosen_after,
            unchosen,
        })
    }
}

/// What shoppers search for
///
/// The counts of queries are of this server since its start; choices after searches, and searches after which nothing
/// was chosen, are those of the log.
#[utoipa::path(
    get,
    path = "/v1/searches",
    tag = "operate",
    params(SearchesParams),
    responses(
        (status = 200, description = "The most frequent searches", body = SearchesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn searches(
    State(server): State<Arc<Server>>,
    Params(SearchesParams { n }): Params<SearchesParams>,
) -> Result<Json<SearchesBody>, Problem> {
    let n = At("").count("n", n, 50, 1..=1000)?;
    Ok(Json(server.searches(n).await?))
}
