//! Hit rate and NDCG of one relevant item, with intervals by bootstrap over users.

use std::collections::BTreeMap;

use serde::Serialize;

/// The cutoff of hit rate and NDCG.
pub const LIST: usize = 20;
/// Resamples of a bootstrap.
const RESAMPLES: u64 = 500;
/// Stream of the bootstrap's random numbers.
const STREAM: u64 = 0x424f_4f54;

/// One prediction and its result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hit {
    /// Index of the predicted event among all events of the stream.
    pub event: u64,
    /// The user.
    pub user: u32,
    /// Rank of the chosen item, from 0; `None` if it could not be ranked.
    pub rank: Option<u32>,
    /// Whether the user had chosen the item before.
    pub repeat: bool,
    /// Weeks since the first prediction.
    pub week: u32,
    /// Twentieth of the stream's events that contains the event, from 0.
    pub block: u32,
}

impl Hit {
    /// 1 if the item's rank is within the cutoff, else 0.
    pub fn hit(&self) -> f64 {
        f64::from(self.rank.is_some_and(|rank| (rank as usize) < LIST))
    }

    /// `1 / log2(1 + rank)`, with ranks from 1, if the rank is within the cutoff, else 0.
    pub fn gain(&self) -> f64 {
        match self.rank {
            Some(rank) if (rank as usize) < LIST => 1.0 / f64::from(rank + 2).log2(),
            _ => 0.0,
        }
    }
}

/// The mean of `value` over the predictions; 0 if there are none.
pub fn mean<'a>(hits: impl Iterator<Item = &'a Hit>, value: fn(&Hit) -> f64) -> f64 {
    let (sum, n) = hits.fold((0.0, 0_u64), |(sum, n), hit| (sum + value(hit), n + 1));
    sum / n.max(1) as f64
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval(pub f64, pub f64);

/// The 95 % interval of the mean of `value`. It resamples users (Efron 1979), because predictions of one user are
/// correlated.
pub fn bootstrap(hits: &[Hit], value: fn(&Hit) -> f64, seed: u64) -> Interval {
    let mut by_user: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for hit in hits {
        let (sum, n) = by_user.entry(hit.user).or_default();
        *sum += value(hit);
        *n += 1.0;
    }
    let users: Vec<(f64, f64)> = by_user.into_values().collect();
    if users.is_empty() {
        return Interval(0.0, 0.0);
    }
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            let mut draws = accrue_kernel::Draws::new(seed, STREAM, resample);
            let (sum, n) = (0..users.len()).fold((0.0, 0.0), |(sum, n), _| {
                let (user_sum, user_n) = users[draws.below(users.len() as u64) as usize];
                (sum + user_sum, n + user_n)
            });
            sum / n
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((means.len() - 1) as f64 * share).round() as usize];
    Interval(at(0.025), at(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(user: u32, rank: Option<u32>) -> Hit {
        Hit { event: 0, user, rank, repeat: false, week: 0, block: 0 }
    }

    #[test]
    fn the_first_rank_gains_one_and_the_twenty_first_nothing() {
        assert_eq!((hit(0, Some(0)).gain(), hit(0, Some(0)).hit()), (1.0, 1.0));
        assert_eq!((hit(0, Some(20)).gain(), hit(0, Some(20)).hit()), (0.0, 0.0));
        assert_eq!(hit(0, None).gain(), 0.0);
    }

    #[test]
    fn the_interval_contains_the_mean_and_narrows_with_more_users() {
        let few: Vec<Hit> = (0..40).map(|user| hit(user, (user % 4 == 0).then_some(1))).collect();
        let many: Vec<Hit> = (0..4000).map(|user| hit(user, (user % 4 == 0).then_some(1))).collect();
        let (a, b) = (bootstrap(&few, Hit::hit, 1), bootstrap(&many, Hit::hit, 1));
        assert!(a.0 <= 0.25 && 0.25 <= a.1 && b.0 <= 0.25 && 0.25 <= b.1);
        assert!(b.1 - b.0 < a.1 - a.0);
        assert_eq!(bootstrap(&[], Hit::hit, 1), Interval(0.0, 0.0));
    }
}
