//! The comparison of two runs over the same predictions, prediction by prediction.
//!
//! In: predictions of two runs of one stream, matched by the predicted event. Out: ratios of NDCG with paired 95 %
//! intervals, over all predictions, by week and by twentieth of the stream. The intervals resample users (Efron 1979).
//! Predictions that are hard for one run are hard for the other, so the interval of the ratio is much narrower than
//! those of the two means. Runs that predicted different events are an error.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::metrics::Hit;
use crate::report::{BLOCKS, round};

/// Resamples of a bootstrap.
const RESAMPLES: u64 = 1_000;
/// Stream of the bootstrap's random numbers.
const STREAM: u64 = 0x5041_4952;
/// A week is worse if its whole interval is below this ratio.
pub const MARGIN: f64 = 0.98;
const TITLE: &str = "event\tuser\tweek\tblock\trepeat\trank";

/// The ratio of two runs' mean NDCG.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Number of predictions.
    pub n_eval: usize,
    /// Mean NDCG of this run.
    pub ndcg: f64,
    /// Mean NDCG of the other run.
    pub other: f64,
    /// This run's mean over the other's; `None` if the other's is 0 and this one's is not.
    pub ratio: Option<f64>,
    /// The paired 95 % interval of the ratio.
    pub ci95: [Option<f64>; 2],
}

impl Ratio {
    /// Whether the whole interval is below `margin`.
    pub fn is_below(&self, margin: f64) -> bool {
        self.ci95[1].is_some_and(|high| high < margin)
    }
}

/// The ratio over one part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// The index of the part, from 0.
    pub number: u32,
    /// The ratio over it.
    #[serde(flatten)]
    pub ratio: Ratio,
}

/// The comparison of a run with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Over all predictions, over first-time pairs (`new`) and over repeated ones.
    pub ratios: BTreeMap<&'static str, Ratio>,
    /// By week since the first prediction.
    pub weeks: Vec<Stretch>,
    /// By twentieth of the stream's events.
    pub blocks: Vec<Stretch>,
    /// Weeks whose whole interval is below 0.98.
    pub weeks_below: Vec<u32>,
    /// Twentieths whose whole interval is below 0.98.
    pub blocks_below: Vec<u32>,
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairedError {
    /// An event was predicted by the other run alone.
    #[error("event {event} was predicted by the other run alone; compare runs with the same file and sampling")]
    OnlyOther {
        /// Index of the event.
        event: u64,
    },
    /// An event was predicted by this run alone.
    #[error("event {event} was predicted by this run alone; compare runs with the same file and sampling")]
    OnlyThis {
        /// Index of the event.
        event: u64,
    },
    /// An event has another user in the other run.
    #[error("event {event} has another user in the other run; compare runs with the same file")]
    OtherUser {
        /// Index of the event.
        event: u64,
    },
    /// A text of predictions has another first line.
    #[error("the first line is not `{}`", TITLE.replace('\t', " "))]
    Title,
    /// A line of such a text is not a prediction.
    #[error("line {line} is not a prediction: `{text}`")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// Compares two runs; `seed` is that of the resampling.
///
/// # Errors
/// [`PairedError`] if the runs do not have the same predictions.
pub fn compare(hits: &[Hit], other: &[Hit], seed: u64) -> Result<Paired, PairedError> {
    let by_event: BTreeMap<u64, &Hit> = other.iter().map(|hit| (hit.event, hit)).collect();
    let predicted: BTreeSet<u64> = hits.iter().map(|hit| hit.event).collect();
    if let Some(&event) = by_event.keys().find(|event| !predicted.contains(event)) {
        return Err(PairedError::OnlyOther { event });
    }
    let pairs: Vec<Pair> = hits
        .iter()
        .map(|hit| match by_event.get(&hit.event) {
            Some(other) if other.user == hit.user => Ok(Pair { hit, gain: hit.gain(), other: other.gain() }),
            Some(_) => Err(PairedError::OtherUser { event: hit.event }),
            None => Err(PairedError::OnlyThis { event: hit.event }),
        })
        .collect::<Result<_, _>>()?;
    let of = |keep: &dyn Fn(&Hit) -> bool| ratio(pairs.iter().filter(|pair| keep(pair.hit)), seed);
    let ratios =
        BTreeMap::from([("all", of(&|_| true)), ("new", of(&|hit| !hit.repeat)), ("repeat", of(&|hit| hit.repeat))]);
    let n_weeks = hits.iter().map(|hit| hit.week + 1).max().unwrap_or(0);
    let weeks = stretches(n_weeks, |number| of(&|hit| hit.week == number));
    let blocks = stretches(BLOCKS, |number| of(&|hit| hit.block == number));
    let below = |stretches: &[Stretch]| {
        stretches.iter().filter(|stretch| stretch.ratio.is_below(MARGIN)).map(|stretch| stretch.number).collect()
    };
    Ok(Paired { ratios, weeks_below: below(&weeks), blocks_below: below(&blocks), weeks, blocks })
}

/// The ratios of all parts that contain a prediction.
fn stretches(n: u32, ratio: impl Fn(u32) -> Ratio) -> Vec<Stretch> {
    let all = (0..n).map(|number| Stretch { number, ratio: ratio(number) });
    all.filter(|stretch| stretch.ratio.n_eval > 0).collect()
}

struct Pair<'a> {
    hit: &'a Hit,
    gain: f64,
    other: f64,
}

fn ratio<'a>(pairs: impl Iterator<Item = &'a Pair<'a>>, seed: u64) -> Ratio {
    let mut by_user: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let (mut n_eval, mut gains, mut others) = (0, 0.0, 0.0);
    for pair in pairs {
        let sums = by_user.entry(pair.hit.user).or_default();
        (sums.0, sums.1) = (sums.0 + pair.gain, sums.1 + pair.other);
        (n_eval, gains, others) = (n_eval + 1, gains + pair.gain, others + pair.other);
    }
    let users: Vec<(f64, f64)> = by_user.into_values().collect();
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            let mut draws = accrue_kernel::Draws::new(seed, STREAM, resample);
            let drawn = (0..users.len()).map(|_| users[draws.below(users.len() as u64) as usize]);
            let (gain, other) = drawn.fold((0.0, 0.0), |sums, user| (sums.0 + user.0, sums.1 + user.1));
            quotient(gain, other)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
    let finite = |ratio: f64| (n_eval > 0 && ratio.is_finite()).then(|| round(ratio));
    let mean = |sum: f64| round(sum / (n_eval as f64).max(1.0));
    Ratio {
        n_eval,
        ndcg: mean(gains),
        other: mean(others),
        ratio: finite(quotient(gains, others)),
        ci95: [finite(at(0.025)), finite(at(0.975))],
    }
}

/// The ratio of two sums. Two sums of 0 are equal; a positive sum over 0 is infinite.
fn quotient(gain: f64, other: f64) -> f64 {
    if other > 0.0 {
        gain / other
    } else if gain > 0.0 {
        f64::INFINITY
    } else {
        1.0
    }
}

/// One prediction per line, tab-separated, below a header: event, user, week, block, repeat (0 or 1), rank (from 0, or
/// `-`).
pub fn predictions_to_text(hits: &[Hit]) -> String {
    let mut text = format!("{TITLE}\n");
    for hit in hits {
        let rank = hit.rank.map_or_else(|| "-".to_string(), |rank| rank.to_string());
        let repeat = u8::from(hit.repeat);
        text += &format!("{}\t{}\t{}\t{}\t{repeat}\t{rank}\n", hit.event, hit.user, hit.week, hit.block);
    }
    text
}

/// Reads the output of [`predictions_to_text`].
///
/// # Errors
/// [`PairedError`] for the first line that is not a prediction.
pub fn predictions_from_text(text: &str) -> Result<Vec<Hit>, PairedError> {
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(PairedError::Title);
    }
    lines
        .zip(2..)
        .map(|(text, line)| parse(text).ok_or_else(|| PairedError::Line { line, text: text.into() }))
        .collect()
}

fn parse(line: &str) -> Option<Hit> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [event, user, week, block, repeat, rank] = cells[..] else { return None };
    Some(Hit {
        event: event.parse().ok()?,
        user: user.parse().ok()?,
        week: week.parse().ok()?,
        block: block.parse().ok()?,
        repeat: match repeat {
            "0" => false,
            "1" => true,
            _ => return None,
        },
        rank: if rank == "-" { None } else { Some(rank.parse().ok()?) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(rank: impl Fn(u64) -> Option<u32>) -> Vec<Hit> {
        (0..2_000)
            .map(|event| Hit {
                event,
                user: event as u32 % 200,
                rank: rank(event),
                repeat: event % 3 == 0,
                week: event as u32 / 500,
                block: event as u32 / 100,
            })
            .collect()
    }

    #[test]
    fn a_run_equals_itself_and_a_worse_week_is_found() {
        let good = hits(|event| (event % 4 == 0).then_some(0));
        let same = compare(&good, &good, 1).unwrap();
        for stretch in same.weeks.iter().chain(&same.blocks) {
            assert_eq!((stretch.ratio.ratio, stretch.ratio.ci95), (Some(1.0), [Some(1.0), Some(1.0)]));
        }
        assert!(same.weeks_below.is_empty());
        // The third week is worse by half.
        let bad = hits(|event| (event % 4 == 0 && !(event / 500 == 2 && event % 8 == 0)).then_some(0));
        let paired = compare(&bad, &good, 1).unwrap();
        assert_eq!(paired.weeks_below, [2]);
        assert_eq!(paired.weeks[2].ratio.ratio, Some(0.496));
        let Ratio { ratio: Some(ratio), ci95: [Some(low), Some(high)], n_eval: 2_000, .. } = paired.ratios["all"]
        else {
            panic!("{paired:?}")
        };
        assert!(low < ratio && ratio < high && high < 1.0, "{low} {ratio} {high}");
    }

    #[test]
    fn zero_over_zero_is_one_and_a_gain_over_zero_has_no_ratio() {
        let (none, some) = (hits(|_| None), hits(|event| (event == 7).then_some(0)));
        assert_eq!(compare(&none, &none, 1).unwrap().ratios["all"].ratio, Some(1.0));
        assert_eq!(compare(&some, &none, 1).unwrap().ratios["all"].ratio, None);
        assert!(compare(&some, &none, 1).unwrap().weeks_below.is_empty());
    }

    #[test]
    fn runs_with_other_predictions_are_refused() {
        let all = hits(|_| None);
        assert_eq!(compare(&all, &all[1..], 1), Err(PairedError::OnlyThis { event: 0 }));
        assert_eq!(compare(&all[..1_999], &all, 1), Err(PairedError::OnlyOther { event: 1_999 }));
        let mut other = all.clone();
        other[5].user = 77;
        assert_eq!(compare(&all, &other, 1), Err(PairedError::OtherUser { event: 5 }));
    }

    #[test]
    fn predictions_are_read_back_from_their_text() {
        let all = hits(|event| (event % 2 == 0).then_some(event as u32));
        assert_eq!(predictions_from_text(&predictions_to_text(&all)).unwrap(), all);
        assert_eq!(predictions_from_text("no\n"), Err(PairedError::Title));
        let line = "1\t2\t3\t4\t2\t-";
        let fault = predictions_from_text(&format!("{TITLE}\n{line}\n")).unwrap_err();
        assert_eq!(fault, PairedError::Line { line: 2, text: line.into() });
    }
}
