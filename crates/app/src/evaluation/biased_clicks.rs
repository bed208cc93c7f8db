//! Learning from biased clicks, with judgments of people as the truth.
//!
//! In: judged queries with their items, and how well each item matches. Out: NDCG of the learned order after so many
//! searches, learned from clicks as they are (*naive*) and with the bias of positions taken out (*corrected*), beside the
//! order without learning.
//!
//! Simulated shoppers search for the queries by a Zipf law. They are shown the ten best of the query's judged items. They
//! look at position k with the probability (1/k)^η, and click what they look at with the probability ε + (1 − ε)·(2^r − 1)/(2^R − 1),
//! where r is its rating and R the largest (position-based model; Joachims, Swaminathan, Schnabel, WSDM 2017). What learns is
//! what learns in a server: `Searches` and `SearchRanking`.

use std::collections::BTreeMap;

use accrue_event::{DAY_MS, Event, EventType, Timestamp};
use accrue_kernel::Draws;
use accrue_lab::search::{Ratings, SearchedQuery};
use accrue_store::{HitFeature, N_FEATURES, SearchChoice, SearchRanking, Searches, feature_row};
use serde_json::{Value, json};

/// Hits of a page.
const PAGE: usize = 10;
/// Judged items without which a query is not asked.
const ENOUGH: usize = 5;
/// How fast attention falls with the position.
const ETA: f64 = 1.0;
/// How likely an item without any relevance is clicked when it is looked at.
const NOISE: f64 = 0.1;
/// What past choices add to the best item, in units of its relevance, as `serve` has it.
const CHOSEN: f32 = 2.0;
/// Simulated days.
const DAYS: u64 = 30;
/// Streams of random numbers.
const QUERIES: u64 = 0x434c_5155;
const CLICKS: u64 = 0x434c_4943;

/// An item of a judged query.
pub(super) struct JudgedItem {
    pub item: u32,
    pub rating: f64,
    /// Its score without learning, in units of the score of a usual hit.
    pub score: f32,
    pub features: [f32; N_FEATURES],
}

/// A judged query with its items.
pub(super) struct JudgedQuery {
    pub text: String,
    pub items: Vec<JudgedItem>,
}

/// Whether the bias of positions is taken out.
#[derive(Clone, Copy, PartialEq)]
enum PositionBias {
    Ignored,
    Corrected,
}

/// Searches `n_searches` times, and reports the quality of the orders on the way. At most `n_queries` queries are asked.
pub(super) fn simulate(mut queries: Vec<JudgedQuery>, n_searches: u64, n_queries: usize, seed: u64) -> Value {
    queries.retain(|query| query.items.len() >= ENOUGH);
    let mut draws = Draws::new(seed, QUERIES, 0);
    // The frequent queries are any of them.
    for last in (1..queries.len()).rev() {
        queries.swap(last, draws.below(last as u64 + 1) as usize);
    }
    queries.truncate(n_queries);
    let points: Vec<u64> =
        [1, 4, 20, 100].iter().map(|part| n_searches * part / 100).filter(|point| *point > 0).collect();
    let [naive, corrected] =
        [PositionBias::Ignored, PositionBias::Corrected].map(|how| learn(&queries, n_searches, how, &points, seed));
    let fresh = ClickLearner::new(PositionBias::Corrected);
    json!({
        "searches": n_searches,
        "queries": queries.len(),
        "unlearned": fresh.quality(&queries, 0),
        "naive": naive,
        "corrected": corrected,
    })
}

fn learn(queries: &[JudgedQuery], n_searches: u64, how: PositionBias, points: &[u64], seed: u64) -> Value {
    let most = queries.iter().flat_map(|query| &query.items).map(|item| item.rating).fold(0.0, f64::max).exp2() - 1.0;
    let mut learner = ClickLearner::new(how);
    let shares = zipf(queries.len());
    let mut by_searches: BTreeMap<u64, Value> = BTreeMap::new();
    for nth in 0..n_searches {
        let mut draws = Draws::new(seed, CLICKS, nth);
        let drawn = f64::from(draws.uniform());
        let query = &queries[shares.partition_point(|share| *share < drawn).min(queries.len() - 1)];
        let now_ms = (nth * DAYS) as i64 * DAY_MS / n_searches as i64;
        let shopper = format!("u{nth}");
        let page: Vec<usize> = learner.order(query, now_ms).into_iter().take(PAGE).collect();
        for (position, &place) in page.iter().enumerate() {
            learner.see(query, &page, position, &shopper, EventType::Impression, now_ms);
            let looks = f64::from(draws.uniform()) < (1.0 / (position + 1) as f64).powf(ETA);
            let likes = NOISE + (1.0 - NOISE) * (query.items[place].rating.exp2() - 1.0) / most;
            if looks && f64::from(draws.uniform()) < likes {
                learner.see(query, &page, position, &shopper, EventType::Click, now_ms);
            }
        }
        if points.contains(&(nth + 1)) {
            by_searches.insert(nth + 1, learner.quality(queries, now_ms));
        }
    }
    let report = learner.ranking.report();
    json!({"by_searches": by_searches, "ranking": report.state, "weights": report.weights.into_iter().collect::<BTreeMap<_, _>>()})
}

/// What learns in a server.
struct ClickLearner {
    how: PositionBias,
    searches: Searches,
    ranking: SearchRanking,
}

impl ClickLearner {
    fn new(how: PositionBias) -> Self {
        Self { how, searches: Searches::default(), ranking: SearchRanking::default() }
    }

    /// The features of each item with what was chosen after the query, and its score without learned weights.
    fn known(&self, query: &JudgedQuery, now_ms: i64) -> Vec<(f32, [f32; N_FEATURES])> {
        let chosen = self.searches.chosen(&query.text, now_ms);
        let of = |item: &JudgedItem| {
            let strength = chosen.iter().find(|chosen| chosen.item == item.item).map_or(0.0, |chosen| chosen.strength);
            let mut features = item.features;
            features[HitFeature::Chosen as usize] = strength;
            (item.score * (1.0 + CHOSEN * strength), features)
        };
        query.items.iter().map(of).collect()
    }

    /// The places of the items in the learned order.
    fn order(&self, query: &JudgedQuery, now_ms: i64) -> Vec<usize> {
        let scores: Vec<f32> =
            self.known(query, now_ms).iter().map(|(score, features)| score + self.ranking.adds(features)).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(query.items[a].item.cmp(&query.items[b].item)));
        order
    }

    /// An event about the hit at a position of a page.
    fn see(
        &mut self,
        query: &JudgedQuery,
        page: &[usize],
        position: usize,
        shopper: &str,
        kind: EventType,
        now_ms: i64,
    ) {
        let is_click = kind == EventType::Click;
        let place = if self.how == PositionBias::Corrected { Some(position as u32) } else { None };
        let event = Event {
            user: Some(shopper.into()),
            query: Some(query.text.as_str().into()),
            position: place,
            ..Event::bare("e".into(), kind, Timestamp(now_ms))
        };
        if is_click {
            let known = self.known(query, now_ms);
            let hits = page.iter().map(|&place| &known[place]);
            let (scores, rows) = hits.map(|(score, features)| (*score, feature_row(features))).unzip();
            let choice = SearchChoice {
                user: Some(shopper.into()),
                session: None,
                event_type: EventType::Click,
                is_published: false,
                position: position as u32,
                place: position as u16,
                scores,
                rows,
            };
            let propensity = place.map_or(1.0, |position| self.searches.propensity(position as usize, false));
            self.ranking.observe(&choice, propensity);
        }
        self.searches.observe(&event, query.items[page[position]].item);
    }

    /// The mean NDCG@10 over the queries, and over searches for them.
    fn quality(&self, queries: &[JudgedQuery], now_ms: i64) -> Value {
        let shares = zipf(queries.len());
        let (mut mean, mut by_searches, mut before) = (0.0, 0.0, 0.0);
        for (query, share) in queries.iter().zip(shares) {
            let ratings: Ratings = query.items.iter().map(|item| (item.item.to_string(), item.rating)).collect();
            let ids: Vec<String> =
                self.order(query, now_ms).into_iter().map(|place| query.items[place].item.to_string()).collect();
            let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let ndcg = SearchedQuery::new(&query.text, &query.text, &ratings, &ids).ndcg;
            mean += ndcg / queries.len() as f64;
            by_searches += ndcg * (share - before);
            before = share;
        }
        json!({"ndcg@10": rounded(mean), "ndcg@10_by_search": rounded(by_searches)})
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The cumulative shares of queries, the n-th in proportion to 1/n.
fn zipf(n: usize) -> Vec<f64> {
    let total: f64 = (1..=n).map(|place| 1.0 / place as f64).sum();
    let mut sum = 0.0;
    let share = |place: usize| {
        sum += 1.0 / place as f64 / total;
        sum
    };
    (1..=n).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_learned_with_a_correction_beats_that_without_and_no_learning() {
        // The relevant items stand at the bottom to begin with.
        let query = |text: usize| JudgedQuery {
            text: format!("query {text}"),
            items: (0..10)
                .map(|item| JudgedItem {
                    item,
                    rating: f64::from(item) / 3.0,
                    score: 1.2 - 0.04 * item as f32,
                    features: [0.0; N_FEATURES],
                })
                .collect(),
        };
        let report = simulate((0..20).map(query).collect(), 6_000, 20, 3);
        let last = |how: &str| report[how]["by_searches"]["6000"]["ndcg@10"].as_f64().unwrap();
        let unlearned = report["unlearned"]["ndcg@10"].as_f64().unwrap();
        assert!(last("corrected") > last("naive") + 0.02 && last("corrected") > unlearned + 0.2, "{report}");
        assert_eq!(report, simulate((0..20).map(query).collect(), 6_000, 20, 3), "the same with the same seed");
    }
}
