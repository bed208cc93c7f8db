//! `GET /v1/searches`: what shoppers search for, and what they find nothing for.
//!
//! In: each search that is answered, and what the log keeps of choices after searches. Out: the most frequent words, and
//! those after which nothing was chosen. The counts of searches are of this server since its start: they are in memory,
//! bounded, and begin anew after a restart, and when a person is forgotten, because nothing in them says whose searches
//! they were. A query that few ask for may be missing among them; the counts of those that many ask for are exact from
//! when they were first seen. What was chosen, and what was not, is counted from the log.
//!
//! What one person typed is theirs: a text is told from [`VISITORS`] different visitors on. A search without a user and a
//! session counts as one of a visitor of its own.

use std::collections::HashMap;
use std::sync::Arc;

use accrue_event::normalised;
use accrue_store::{QueryOutcome, Reformulations};
use axum::Json;
use axum::extract::State;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::params::{At, Params};
use super::problem::{Problem, ProblemDocument};
use super::proposals::stopped;
use super::server::Server;

/// Queries that are counted. When there are that many, those are forgotten that were asked for as often as the median, or
/// less: half of them or more.
const MAX_QUERIES: usize = 4_096;
/// Longest query that is counted, in bytes.
const MAX_BYTES: usize = 100;
/// Visitors without whom a text is not told.
const VISITORS: usize = 3;
/// Items of a query in the answer.
const N_ITEMS: usize = 3;
/// Later queries of a query in the answer.
const N_THEN: usize = 3;

/// The searches of a server since its start.
#[derive(Default)]
pub(super) struct SearchCounts(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_words: HashMap<Box<str>, Count>,
    n: u64,
    n_without: u64,
    /// How often people were being forgotten when the counts began.
    n_erasures: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    n: u64,
    n_without: u64,
    /// Hashes of different visitors, up to [`VISITORS`].
    visitors: [u64; VISITORS],
    n_visitors: usize,
}

impl Count {
    fn add(&mut self, visitor: Option<u64>, found_nothing: bool) {
        self.n += 1;
        self.n_without += u64::from(found_nothing);
        let is_known = visitor.is_some_and(|visitor| self.visitors[..self.n_visitors].contains(&visitor));
        if !is_known && self.n_visitors < VISITORS {
            self.visitors[self.n_visitors] = visitor.unwrap_or_default();
            self.n_visitors += 1;
        }
    }
}

impl SearchCounts {
    /// Counts a search that was answered. `n_erasures` is how often people were forgotten so far.
    pub(super) fn add(&self, query: &str, visitor: Option<u64>, found_nothing: bool, n_erasures: u64) {
        if query.trim().is_empty() || query.len() > MAX_BYTES {
            return;
        }
        let folded = normalised(query);
        let words = folded.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut counts = self.since(n_erasures);
        counts.n += 1;
        counts.n_without += u64::from(found_nothing);
        if counts.by_words.len() >= MAX_QUERIES && !counts.by_words.contains_key(&*words) {
            counts.forget_rare();
        }
        counts.by_words.entry(words.into()).or_default().add(visitor, found_nothing);
    }

    /// The counts; without words if people were forgotten since.
    fn since(&self, n_erasures: u64) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock();
        if counts.n_erasures != n_erasures {
            counts.by_words.clear();
            counts.n_erasures = n_erasures;
        }
        counts
    }

    /// The queries that were asked for most, by `of`, with their counts.
    fn most(&self, n: usize, n_erasures: u64, of: impl Fn(&Count) -> u64) -> Vec<(Box<str>, Count)> {
        let counts = self.since(n_erasures);
        let is_told = |count: &Count| count.n_visitors >= VISITORS && of(count) > 0;
        let mut all: Vec<_> = counts.by_words.iter().filter(|(_, count)| is_told(count)).collect();
        all.sort_unstable_by(|a, b| of(b.1).cmp(&of(a.1)).then(a.0.cmp(b.0)));
        all.into_iter().take(n).map(|(words, count)| (words.clone(), *count)).collect()
    }
}

impl Counts {
    fn forget_rare(&mut self) {
        let mut counts: Vec<u64> = self.by_words.values().map(|count| count.n).collect();
        let (_, median, _) = counts.select_nth_unstable(MAX_QUERIES / 2);
        let median = *median;
        self.by_words.retain(|_, count| count.n > median);
    }
}

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
        let (searches, without_result) = {
            let counts = self.searches.0.lock();
            (counts.n, counts.n_without)
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_searches_stay_counted_among_many_rare_ones() {
        let counts = SearchCounts::default();
        for n in 0..20_000 {
            counts.add(&format!("rare {n}"), None, n % 2 == 0, 0);
            if n % 10 == 0 {
                counts.add("  Red  MUG ", Some(n), false, 0);
            }
        }
        counts.add(" ", None, true, 0);
        counts.add(&"x".repeat(MAX_BYTES + 1), None, true, 0);
        {
            let counted = counts.0.lock();
            assert!(counted.by_words.len() <= MAX_QUERIES);
            assert_eq!((counted.n, counted.n_without), (22_000, 10_000));
        }
        let most = counts.most(2, 0, |count| count.n);
        assert_eq!((&*most[0].0, most[0].1.n, most[0].1.n_without), ("red mug", 2_000, 0));
        assert_eq!(most.len(), 1);
    }

    #[test]
    fn what_one_person_typed_is_not_listed_and_everything_goes_when_a_person_is_forgotten() {
        let counts = SearchCounts::default();
        (0..50).for_each(|_| counts.add("my own name", Some(1), true, 0));
        counts.add("my own name", Some(2), true, 0);
        assert!(counts.most(9, 0, |count| count.n).is_empty());
        (3..5).for_each(|visitor| counts.add("red mug", Some(visitor), true, 0));
        counts.add("red mug", None, false, 0);
        let told = |n_erasures| counts.most(9, n_erasures, |count| count.n_without);
        assert_eq!(
            told(0).iter().map(|(words, count)| (&**words, count.n_without)).collect::<Vec<_>>(),
            [("red mug", 2)]
        );
        assert!(told(1).is_empty(), "an erasure began");
        (3..6).for_each(|visitor| counts.add("red mug", Some(visitor), true, 1));
        assert_eq!(told(1).len(), 1);
    }
}
