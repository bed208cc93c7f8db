//! Learned ranking of searches: how much each feature of a hit adds to its score, learned from what is chosen.
//!
//! In: for each choice after a search, the features of the hits that stood on the page, as the answer computed them, and
//! which of the hits was chosen ([`SearchChoice`], a record of the log). Out: a weight for each feature, and whether the
//! weights may be used. It is a fold of the facts, so the next search is ordered by what the last choice taught; the same in
//! a replay, and gone with a person's records.
//!
//! **Model.** A hit's score is `r + Σ w·x`: `r` is its score without this model, in units of the score of a usual hit, `x`
//! its features and `w` the weights, which begin at 0. They are fitted by gradient descent (Adagrad: Duchi, Hazan, Singer,
//! JMLR 2011) on the pairwise logistic loss between the chosen hit and each other hit of the page (RankNet: Burges et al.,
//! ICML 2005), with decay towards 0.
//!
//! **Position bias.** A choice at a position that few look at counts more, by the inverse of the probability that it is
//! looked at (Joachims, Swaminathan, Schnabel, *Unbiased learning-to-rank with biased feedback*, WSDM 2017), at most
//! [`MAX_WEIGHT`] times. `searches.rs` estimates that probability.
//!
//! **Trust.** The weights hold for all queries, so no shopper alone may decide about them. Where `k` of the last
//! [`MAX_RECENT`] choices are of one shopper, a further one counts `1/(1 + k)`. A choice that a published key reports, which
//! any client can send, counts [`PUBLISHED`] of that. Both hold for what is learned and for the guard.
//!
//! **Guard.** Before a choice is learned, the hits of its page are ordered with the weights and without them, and the gain of
//! the chosen hit, `1/log2(1 + rank)`, is compared. The weights are used once the mean difference is above 0 by more than
//! its standard error, and no longer once it is below 0 by twice that. Both are of about the last [`WINDOW`] choices. In a
//! shop that reports choices itself, those decide alone; what published keys report decides where nothing else is known.

use std::collections::VecDeque;

use accrue_event::{EventType, SessionId, Shopper, UserId};
use accrue_kernel::{exp, ln};
use serde::{Deserialize, Serialize};

use crate::split::shopper_hash;

/// Declares the features of a hit with their names.
macro_rules! features {
    ($($(#[doc = $what:literal])+ $feature:ident => $name:literal,)+) => {
        /// A feature of a hit. Records have them in this order, so new ones are added at the end only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HitFeature {
            $($(#[doc = $what])+ $feature,)+
        }

        impl HitFeature {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$feature),+];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$feature => $name,)+
                }
            }
        }
    };
}

features! {
    /// How well its words match.
    Words => "words",
    /// How near its meaning is.
    Meaning => "meaning",
    /// Whether it has every word.
    AllWords => "all_words",
    /// How well it sells.
    Sells => "sells",
    /// How often it was chosen after the same query.
    Chosen => "chosen",
    /// The same of queries that mean nearly the same.
    ChosenNear => "chosen_near",
    /// How often items of its categories were chosen after the query.
    Category => "category",
    /// The taste of the shopper.
    Taste => "taste",
    /// How new it is.
    Fresh => "fresh",
    /// How cheap it is beside the other hits.
    Price => "price",
    /// Whether there is enough of it.
    InStock => "in_stock",
}

/// Their number.
pub const N_FEATURES: usize = HitFeature::ALL.len();
/// Hits of a page that are recorded, at most, beside the chosen one.
pub const MAX_HITS: usize = 20;
/// A feature of 1 in a record.
const ONE: f32 = 64.0;
/// The largest feature that a record can have: a byte with a sign.
pub const MAX_FEATURE: f32 = 127.0 / ONE;
/// How sharply scores decide in the loss: a difference of 1 is a probability of 0.95.
const SHARPNESS: f32 = 3.0;
/// Step of the gradient descent.
const STEP: f32 = 0.05;
/// Part of a weight that a choice takes away, so that what is no longer confirmed fades.
const DECAY: f32 = 1e-4;
/// Largest weight.
const LIMIT: f32 = 1.0;
/// The most that the position makes of a choice.
const MAX_WEIGHT: f32 = 10.0;
/// The same of a choice that a published key reports.
const MAX_PUBLISHED_WEIGHT: f32 = 3.0;
/// What a choice that a published key reports is worth.
const PUBLISHED: f32 = 0.25;
/// Choices whose shoppers are remembered.
const MAX_RECENT: usize = 4_096;
/// Choices that the comparison of the orders remembers.
const WINDOW: f32 = 2_000.0;
/// Choices without which nothing is concluded from it.
const ENOUGH: f32 = 200.0;

/// What stood on the page of a search from which an item was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchChoice {
    /// The user of the event.
    pub user: Option<UserId>,
    /// The session of the event.
    pub session: Option<SessionId>,
    /// What was done.
    pub event_type: EventType,
    /// Whether a published key reported it.
    pub is_published: bool,
    /// The position of the chosen hit in the whole list, from 0.
    pub position: u32,
    /// Its place among `rows`.
    pub place: u16,
    /// For each hit its score without learned weights, in units of the score of a usual hit.
    pub scores: Vec<f32>,
    /// For each hit its features, in 64ths.
    pub rows: Vec<Box<[i8]>>,
}

/// A hit as records have it: its score and its features.
pub type RankedRow = (f32, Box<[i8]>);

/// Features as records have them.
pub fn feature_row(features: &[f32; N_FEATURES]) -> Box<[i8]> {
    features.iter().map(|value| (value * ONE).round().clamp(-127.0, 127.0) as i8).collect()
}

/// Learned weights of the features, and whether they may be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchRanking {
    /// By feature; shorter if features were added since.
    weights: Vec<f32>,
    /// Sums of squared gradients, by feature.
    squares: Vec<f32>,
    /// Of all choices.
    comparison: Comparison,
    state: RankingState,
    n_choices: u64,
    /// Of the choices that the shop itself reported.
    own: Comparison,
    /// Hashes of the shoppers of the latest choices.
    recent: VecDeque<u32>,
}

/// [`SearchRanking`] as the first version of its section has it.
#[derive(Deserialize)]
pub(crate) struct FirstSearchRanking {
    weights: Vec<f32>,
    squares: Vec<f32>,
    comparison: Comparison,
    state: RankingState,
    n_choices: u64,
}

impl From<FirstSearchRanking> for SearchRanking {
    fn from(first: FirstSearchRanking) -> Self {
        let FirstSearchRanking { weights, squares, comparison, state, n_choices } = first;
        Self { weights, squares, comparison, state, n_choices, ..Self::default() }
    }
}

/// Whether learned weights are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankingState {
    /// Too little is known; the order is the usual one.
    #[default]
    Learning,
    /// They are used.
    Active,
    /// They made the order worse, so they are not used; they are learned on and judged on.
    Off,
}

/// The difference that the weights make to the gain of what was chosen, over the latest choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Comparison {
    n: f32,
    weight: f32,
    sum: f32,
    squares: f32,
}

/// What is told of the ranking.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RankingReport {
    /// Whether the weights are used.
    pub state: RankingState,
    /// Choices that were learned.
    pub n_choices: u64,
    /// Mean difference to the gain `1/log2(1 + rank)` of what was chosen, over the latest choices.
    pub gain: f32,
    /// Its standard error.
    pub gain_error: f32,
    /// The weights, by feature.
    pub weights: Vec<(&'static str, f32)>,
}

impl SearchRanking {
    /// Learns from a choice. `propensity` is the probability that its position is looked at, compared with the first.
    pub fn observe(&mut self, choice: &SearchChoice, propensity: f32) {
        // The position of an event of a published key is what its sender says it is.
        let most = if choice.is_published { MAX_PUBLISHED_WEIGHT } else { MAX_WEIGHT };
        let of_position = (1.0 / propensity).clamp(1.0, most);
        let place = usize::from(choice.place);
        let worth = worth(&choice.event_type);
        let is_whole = choice.rows.len() == choice.scores.len() && choice.scores.iter().all(|score| score.is_finite());
        if choice.rows.len() < 2 || place >= choice.rows.len() || worth == 0.0 || !is_whole {
            return;
        }
        self.weights.resize(N_FEATURES, 0.0);
        self.squares.resize(N_FEATURES, 0.0);
        let rows: Vec<[f32; N_FEATURES]> = choice.rows.iter().map(|row| decoded(row)).collect();
        let with: Vec<f32> = choice.scores.iter().zip(&rows).map(|(score, row)| score + self.sum(row)).collect();
        let trust = self.trust(choice);
        let difference = gain(&with, place) - gain(&choice.scores, place);
        self.comparison.take(difference, of_position, trust);
        if !choice.is_published {
            self.own.take(difference, of_position, trust);
        }
        self.state = self.judging().state_after(self.state);
        self.n_choices += 1;

        let mut gradient = [0.0; N_FEATURES];
        let share = of_position * worth * trust / (rows.len() - 1) as f32;
        for (other, features) in rows.iter().enumerate().filter(|(other, _)| *other != place) {
            let pull = share / (1.0 + exp(SHARPNESS * (with[place] - with[other])));
            for (feature, sum) in gradient.iter_mut().enumerate() {
                *sum += pull * SHARPNESS * (rows[place][feature] - features[feature]);
            }
        }
        for ((weight, square), gradient) in self.weights.iter_mut().zip(&mut self.squares).zip(gradient) {
            *square += gradient * gradient;
            let step = STEP * gradient / (1.0 + *square).sqrt();
            *weight = (*weight * (1.0 - DECAY * trust) + step).clamp(-LIMIT, LIMIT);
        }
    }

    /// What a choice counts beside one of a shopper of the shop's own who chose nothing lately: 0 to 1.
    fn trust(&mut self, choice: &SearchChoice) -> f32 {
        let shopper = shopper_of(choice);
        let n_before = self.recent.iter().filter(|&&recent| recent == shopper).count();
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(shopper);
        let of_key = if choice.is_published { PUBLISHED } else { 1.0 };
        of_key / (1 + n_before) as f32
    }

    /// The comparison that decides whether the weights are used.
    fn judging(&self) -> &Comparison {
        if self.own.n >= ENOUGH { &self.own } else { &self.comparison }
    }

    /// What the weights add to a hit, in units of the score of a usual hit; 0 while they are not used.
    pub fn adds(&self, features: &[f32; N_FEATURES]) -> f32 {
        if self.state == RankingState::Active { self.sum(features) } else { 0.0 }
    }

    /// The same whether they are used or not.
    pub fn sum(&self, features: &[f32; N_FEATURES]) -> f32 {
        self.weights.iter().zip(features).map(|(weight, value)| weight * value).sum()
    }

    /// Whether the weights are used.
    pub fn state(&self) -> RankingState {
        self.state
    }

    /// What is told of it.
    pub fn report(&self) -> RankingReport {
        let (gain, gain_error) = self.judging().mean();
        let weight = |feature: HitFeature| (feature.name(), self.weights.get(feature as usize).copied().unwrap_or(0.0));
        let weights = HitFeature::ALL.map(weight).to_vec();
        RankingReport { state: self.state, n_choices: self.n_choices, gain, gain_error, weights }
    }
}

impl Comparison {
    /// Takes in a choice that counts for a share `trust` of one, also in what it makes earlier choices count less.
    fn take(&mut self, difference: f32, weight: f32, trust: f32) {
        let left = 1.0 - trust / WINDOW;
        let weighted = weight * difference;
        self.n = self.n * left + trust;
        self.weight = self.weight * left + trust * weight;
        self.sum = self.sum * left + trust * weighted;
        self.squares = self.squares * left + trust * weighted * weighted;
    }

    /// The mean difference and its standard error, as if the choices were independent.
    fn mean(&self) -> (f32, f32) {
        if self.n < 2.0 {
            return (0.0, 0.0);
        }
        let (mean, per_choice) = (self.sum / self.weight, self.weight / self.n);
        let of_choice = self.sum / self.n;
        let variance = (self.squares / self.n - of_choice * of_choice).max(0.0);
        (mean, (variance / self.n).sqrt() / per_choice)
    }

    fn state_after(&self, before: RankingState) -> RankingState {
        let (mean, error) = self.mean();
        match before {
            _ if self.n < ENOUGH => before,
            RankingState::Active if mean + 2.0 * error < 0.0 => RankingState::Off,
            RankingState::Active => RankingState::Active,
            _ if mean - error > 0.0 => RankingState::Active,
            _ if mean + 2.0 * error < 0.0 => RankingState::Off,
            _ => before,
        }
    }
}

/// What a choice of this type is worth; 0 for one that is none.
fn worth(event_type: &EventType) -> f32 {
    match event_type {
        EventType::View | EventType::Click => 1.0,
        EventType::Favorite => 1.5,
        EventType::Cart => 2.0,
        EventType::Purchase => 3.0,
        _ => 0.0,
    }
}

/// A hash of the shopper of a choice. A published key can name any user, so the session counts first there.
fn shopper_of(choice: &SearchChoice) -> u32 {
    let shopper = match (&choice.user, &choice.session) {
        (_, Some(session)) if choice.is_published => Some(Shopper::Guest(session.clone())),
        (Some(user), _) => Some(Shopper::User(user.clone())),
        (None, Some(session)) => Some(Shopper::Guest(session.clone())),
        (None, None) => None,
    };
    shopper.map_or(0, |shopper| shopper_hash(&shopper) as u32)
}

/// Whether an event of this type is a choice.
pub fn is_search_choice(event_type: &EventType) -> bool {
    worth(event_type) > 0.0
}

/// A row of a record; features that it does not have are 0.
fn decoded(row: &[i8]) -> [f32; N_FEATURES] {
    std::array::from_fn(|feature| row.get(feature).map_or(0.0, |&code| f32::from(code) / ONE))
}

/// `1/log2(1 + rank)` of the hit at a place; it comes after all with an equal score, so that no order gains by knowing nothing.
fn gain(scores: &[f32], place: usize) -> f32 {
    let own = scores[place];
    let better = scores.iter().enumerate().filter(|&(other, &score)| other != place && score >= own).count();
    ln(2.0) / ln(2.0 + better as f32)
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    fn choice(place: u16, position: u32, page: Vec<RankedRow>) -> SearchChoice {
        let event_type = EventType::Click;
        let (scores, rows) = page.into_iter().unzip();
        SearchChoice { user: None, session: None, event_type, is_published: false, position, place, scores, rows }
    }

    /// A page of five hits with equal scores, of which two features are drawn.
    fn page(draws: &mut Draws) -> Vec<(f32, [f32; N_FEATURES])> {
        (0..5)
            .map(|place| {
                let mut features = [0.0; N_FEATURES];
                (features[0], features[9]) = (draws.uniform(), draws.uniform());
                (1.0 - 0.01 * place as f32, features)
            })
            .collect()
    }

    fn rows(page: &[(f32, [f32; N_FEATURES])]) -> Vec<RankedRow> {
        page.iter().map(|(score, features)| (*score, feature_row(features))).collect()
    }

    #[test]
    fn a_feature_that_shoppers_choose_by_is_learned_and_used_once_it_is_proven() {
        let (mut ranking, mut draws) = (SearchRanking::default(), Draws::new(1, 2, 3));
        for n in 0..2_000 {
            let page = page(&mut draws);
            // Shoppers take the hit with the largest feature 9.
            let by_feature = |a: &usize, b: &usize| page[*a].1[9].total_cmp(&page[*b].1[9]);
            let chosen = (0..5).max_by(by_feature).unwrap();
            if n == 100 {
                assert_eq!(ranking.state(), RankingState::Learning);
                assert_eq!(ranking.adds(&[1.0; N_FEATURES]), 0.0, "not before it is proven");
            }
            ranking.observe(&of_shopper(n, choice(chosen as u16, chosen as u32, rows(&page))), 1.0);
        }
        let report = ranking.report();
        assert_eq!((report.state, report.n_choices), (RankingState::Active, 2_000));
        assert!(report.weights[9].1 > 0.3 && report.weights[0].1.abs() < 0.15, "{report:?}");
        assert!(report.gain > 3.0 * report.gain_error, "{report:?}");
        let mut good = [0.0; N_FEATURES];
        good[9] = 1.0;
        assert!(ranking.adds(&good) > 0.3);
    }

    fn of_shopper(shopper: usize, choice: SearchChoice) -> SearchChoice {
        SearchChoice { user: Some(shopper.to_string().as_str().into()), ..choice }
    }

    /// Choices of the hit with the largest feature 9, by `n_shoppers` in turn.
    fn choices(n: usize, n_shoppers: usize, is_published: bool) -> SearchRanking {
        let (mut ranking, mut draws) = (SearchRanking::default(), Draws::new(1, 2, 3));
        for at in 0..n {
            let page = page(&mut draws);
            let chosen = (0..5).max_by(|a, b| page[*a].1[9].total_cmp(&page[*b].1[9])).unwrap();
            let session = Some(format!("s{}", at % n_shoppers).as_str().into());
            let choice = choice(chosen as u16, chosen as u32, rows(&page));
            // The user of a published event is what its sender says.
            let user = is_published.then(|| at.to_string().as_str().into());
            ranking.observe(&SearchChoice { user, session, is_published, ..choice }, 1.0);
        }
        ranking
    }

    #[test]
    fn published_choices_of_a_few_sessions_do_not_switch_learned_weights_on() {
        for n_sessions in [1, 20] {
            let report = choices(10_000, n_sessions, true).report();
            assert_eq!(report.state, RankingState::Learning, "{n_sessions}: {report:?}");
        }
        let of_one = choices(10_000, 1, true).report().weights[9].1;
        assert!(of_one < 0.5 * choices(200, 200, false).report().weights[9].1, "{of_one}");
        assert_eq!(choices(10_000, 1, false).state(), RankingState::Learning, "nor do those of one own shopper");
        assert_eq!(choices(2_000, 1_500, true).state(), RankingState::Active, "those of many do");
    }

    #[test]
    fn published_choices_do_not_outvote_those_that_the_shop_reports() {
        let mut ranking = choices(2_000, 500, false);
        assert_eq!(ranking.state(), RankingState::Active);
        let before = ranking.judging().mean();
        for n in 0..5_000 {
            let page = [(1.0, [0.0; N_FEATURES]), (1.0, [1.0; N_FEATURES])];
            let published = SearchChoice { is_published: true, ..choice(0, 0, rows(&page)) };
            ranking.observe(&of_shopper(n, published), 0.01);
        }
        assert_eq!((ranking.state(), ranking.judging().mean()), (RankingState::Active, before));
    }

    #[test]
    fn the_first_version_of_the_section_is_read() {
        let known = choices(300, 300, false);
        let first = (&known.weights, &known.squares, known.comparison, known.state, known.n_choices);
        let read: FirstSearchRanking = postcard::from_bytes(&postcard::to_stdvec(&first).unwrap()).unwrap();
        let read = SearchRanking::from(read);
        let expected = SearchRanking { own: Comparison::default(), recent: VecDeque::new(), ..known };
        assert_eq!(read, expected);
    }

    #[test]
    fn weights_that_make_the_order_worse_are_switched_off() {
        let (mut comparison, mut state) = (Comparison::default(), RankingState::default());
        let mut take = |n: usize, difference: f32| {
            for at in 0..n {
                let noise = if at % 2 == 0 { 0.2 } else { -0.2 };
                comparison.take(difference + noise, 1.0, 1.0);
                state = comparison.state_after(state);
            }
            state
        };
        assert_eq!(take(4_000, 0.1), RankingState::Active);
        assert_eq!(take(40_000, -0.1), RankingState::Off);
        assert_eq!(take(40_000, 0.1), RankingState::Active, "they are judged on, and used again");
        let off =
            SearchRanking { weights: vec![1.0; N_FEATURES], state: RankingState::Off, ..SearchRanking::default() };
        assert_eq!((off.adds(&[1.0; N_FEATURES]), off.sum(&[1.0; N_FEATURES])), (0.0, N_FEATURES as f32));
    }

    #[test]
    fn features_keep_their_places_in_records() {
        let names = HitFeature::ALL.map(HitFeature::name);
        let first = ["words", "meaning", "all_words", "sells", "chosen", "chosen_near", "category", "taste", "fresh"];
        assert_eq!(names[..9], first);
        assert_eq!(names[9..11], ["price", "in_stock"]);
        assert!(HitFeature::ALL.iter().enumerate().all(|(place, feature)| *feature as usize == place));
    }

    #[test]
    fn records_that_say_nothing_change_nothing() {
        let mut ranking = SearchRanking::default();
        let row = || (1.0, feature_row(&[0.5; N_FEATURES]));
        ranking.observe(&choice(0, 0, vec![row()]), 1.0);
        ranking.observe(&choice(7, 7, vec![row(), row()]), 1.0);
        let shown = SearchChoice { event_type: EventType::Impression, ..choice(0, 0, vec![row(), row()]) };
        ranking.observe(&shown, 1.0);
        ranking.observe(&choice(0, 0, vec![row(), (f32::NAN, row().1)]), 1.0);
        assert_eq!(ranking, SearchRanking::default());
        // A row of a build with fewer features, and one of a build with more.
        ranking.observe(&choice(0, 0, vec![(1.0, vec![64, 127].into()), (1.0, vec![64; 40].into())]), 0.0);
        assert!(ranking.report().weights.iter().all(|(_, weight)| weight.is_finite()));
        assert_eq!(feature_row(&[9.0; N_FEATURES])[0], 127);
        assert_eq!(feature_row(&[f32::NAN; N_FEATURES])[0], 0);
    }
}
