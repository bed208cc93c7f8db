//! The effect of a coordinated flood on a shop, with and without the rule against it.
//!
//! In: real events, and a flood to add to them: fresh accounts that all act on one item within some hours. Out: for the
//! original stream, for the stream with the flood, and for the stream with the flood and the rule: how much was
//! rejected, how many real shoppers' lists contain the attacked item and at which rank, and how well the learner
//! predicts real choices in the days after. The attacked item is the median one by number of events before the flood,
//! so that without a flood it is rarely recommended.

use accrue_event::{Check, CheckSettings, DAY_MS, Event, EventId, ItemId, RuleStatistics, Timestamp};
use accrue_model::{Context, Prepared};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Record};
use accrue_train::{LearnSettings, Learner};
use serde::Serialize;

use crate::metrics::{Hit, LIST, bootstrap, mean};
use crate::{Interval, LabError, StreamData};

const HOUR_MS: i64 = 3_600_000;
/// Number of real shoppers whose lists are checked: the latest ones before the flood.
const PROBES: usize = 500;
/// Length of the list in which the attacked item is searched.
const DEPTH: usize = 1_000;

/// The flood and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskSettings {
    /// Number of fresh accounts.
    pub accounts: usize,
    /// Events per account.
    pub each: usize,
    /// Duration of the flood, in hours.
    pub hours: f64,
    /// Beginning of the flood, in days after the first event.
    pub at_day: i64,
    /// Days after the flood in which real choices are predicted.
    pub after_days: i64,
    /// Settings of the models, with the seed.
    pub learn: LearnSettings,
    /// The rules; `coordinated` is turned off in the run without the rule.
    pub check: CheckSettings,
}

/// The result of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RiskRun {
    /// Accepted events of the flood.
    pub flood_in: u64,
    /// Rejected events of the flood.
    pub flood_refused: u64,
    /// Real events that were rejected as coordinated.
    pub real_refused: u64,
    /// Share of real shoppers whose first twenty items include the attacked one at the end of the flood.
    pub exposure: f64,
    /// The same, one day later.
    pub exposure_next_day: f64,
    /// Median rank of the attacked item in those lists at the end of the flood, from 1; 1,001 stands for lower ranks.
    pub median_place: u32,
    /// Hit rate at 20 over real choices after the flood.
    pub hr: f64,
    /// NDCG at 20 over the same choices.
    pub ndcg: f64,
    /// 95 % interval of the NDCG, over shoppers.
    pub ndcg_ci95: Interval,
    /// Number of predicted choices.
    pub n_eval: usize,
}

/// The results of the three runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskReport {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// Number of real events.
    pub n_events: usize,
    /// Number of events of the flood.
    pub n_flood: usize,
    /// Events of the attacked item before the flood.
    pub item_events_before: usize,
    /// The stream without the flood, with the rule.
    pub clean: RiskRun,
    /// The stream with the flood, without the rule.
    pub without_rule: RiskRun,
    /// The stream with the flood and the rule.
    pub with_rule: RiskRun,
}

/// Makes the three runs.
///
/// # Errors
/// [`LabError::Empty`] if the stream ends before the flood; [`LabError::Setting`] for invalid settings of the rules.
pub fn evaluate_risk(
    data: StreamData,
    settings: &RiskSettings,
    progress: &dyn Fn(f64),
) -> Result<RiskReport, LabError> {
    let mut events: Vec<Event> = data.events.into_iter().filter(|event| event.item.is_some()).collect();
    events.sort_by_key(|event| event.at);
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(LabError::Empty("there is no event with an item to learn from"));
    };
    let begins_ms = first.at.0 + settings.at_day * DAY_MS;
    let before = events.partition_point(|event| event.at.0 < begins_ms);
    let too_short = || LabError::TooShort {
        n_events: events.len(),
        days: (last.at.0 - first.at.0) / DAY_MS + 1,
        only_learned: settings.at_day,
        setting: "at_day",
    };
    let template = events.get(before).ok_or_else(too_short)?;
    let nothing_before = LabError::Empty("no event is before the flood; say a larger `at_day`");
    let (item, item_events_before) = median_item(&events[..before]).ok_or(nothing_before)?;
    let flood = flood(template, &item, begins_ms, settings);
    let without = CheckSettings {
        coordinated: accrue_event::CoordinatedSettings { least: 0, ..settings.check.coordinated.clone() },
        ..settings.check.clone()
    };
    let setup = Setup { events: &events, item: &item, begins_ms, settings };
    let clean = setup.run(&[], &settings.check)?;
    progress(1.0 / 3.0);
    let without_rule = setup.run(&flood, &without)?;
    progress(2.0 / 3.0);
    let with_rule = setup.run(&flood, &settings.check)?;
    let (n_events, n_flood) = (events.len(), flood.len());
    Ok(RiskReport { protocol: "risk", n_events, n_flood, item_events_before, clean, without_rule, with_rule })
}

/// The median item by number of events, with that number; items with equal numbers are ordered by name.
fn median_item(events: &[Event]) -> Option<(ItemId, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    events.iter().filter_map(|event| event.item.as_ref()).for_each(|item| *counts.entry(item).or_insert(0) += 1);
    let mut by_count: Vec<(usize, &ItemId)> = counts.into_iter().map(|(item, n)| (n, item)).collect();
    by_count.sort_unstable();
    by_count.get(by_count.len() / 2).map(|&(n, item)| (item.clone(), n))
}

/// The flood in time order. Its events are copies of a real one with another shopper and item.
fn flood(template: &Event, item: &ItemId, begins_ms: i64, settings: &RiskSettings) -> Vec<Event> {
    let n = settings.accounts * settings.each;
    let gap_ms = settings.hours * HOUR_MS as f64 / n.max(1) as f64;
    let event = |number: usize| {
        // All accounts act once, then all act again.
        let account = number % settings.accounts.max(1);
        Event {
            id: EventId::new(format!("flood-{number}")),
            user: Some(format!("flood-account-{account}").as_str().into()),
            session: Some(format!("flood-visit-{account}").as_str().into()),
            item: Some(item.clone()),
            at: Timestamp(begins_ms + (number as f64 * gap_ms) as i64),
            recommendation_id: None,
            position: None,
            ..template.clone()
        }
    };
    (0..n).map(event).collect()
}

/// What the three runs share.
struct Setup<'a> {
    events: &'a [Event],
    item: &'a ItemId,
    begins_ms: i64,
    settings: &'a RiskSettings,
}

impl Setup<'_> {
    fn run(&self, flood: &[Event], rules: &CheckSettings) -> Result<RiskRun, LabError> {
        let mut check = Check::new(rules.clone(), RuleStatistics::default())?;
        let settings = self.settings;
        let mut shop = Shop {
            facts: Facts::new(settings.learn.history_capacity),
            learner: Learner::new(LearnSettings { predict_one_in: u64::MAX, ..settings.learn.clone() }),
            prepared: Prepared::default(),
        };
        let (mut run, mut hits) = (RiskRun::default(), Vec::new());
        let ends_ms = self.begins_ms + (settings.hours * HOUR_MS as f64) as i64;
        let last_ms = ends_ms + settings.after_days * DAY_MS;
        let probes = self.probes();
        // The times at which the lists are checked, the next one last.
        let mut checks_ms = vec![ends_ms + DAY_MS, ends_ms];
        for (event, is_flood) in merged(self.events, flood) {
            while checks_ms.last().is_some_and(|&at_ms| event.at.0 > at_ms) {
                let (exposure, place) = shop.exposure(&probes, self.item);
                match checks_ms.pop() {
                    Some(at_ms) if at_ms == ends_ms => (run.exposure, run.median_place) = (exposure, place),
                    _ => run.exposure_next_day = exposure,
                }
            }
            if event.at.0 > last_ms {
                break;
            }
            let is_in = check.judge_in_stream(event).is_ok();
            match (is_flood, is_in) {
                (true, true) => run.flood_in += 1,
                (true, false) => run.flood_refused += 1,
                (false, false) => run.real_refused += 1,
                (false, true) => {}
            }
            // A rejected event is still a choice, so that all runs predict the same choices.
            if !is_flood && event.at.0 > ends_ms {
                hits.push(shop.predict(event));
            }
            if is_in {
                check.observe(event, None);
                shop.learn(event)?;
            }
        }
        run.hr = mean(hits.iter(), Hit::hit);
        run.ndcg = mean(hits.iter(), Hit::gain);
        run.ndcg_ci95 = bootstrap(&hits, Hit::gain, settings.learn.seed);
        run.n_eval = hits.len();
        Ok(run)
    }

    /// One event of each of the latest shoppers before the flood.
    fn probes(&self) -> Vec<&Event> {
        let mut met = std::collections::BTreeSet::new();
        let before = self.events.iter().rev().filter(|event| event.at.0 < self.begins_ms);
        before.filter(|event| met.insert(event.shopper())).take(PROBES).collect()
    }
}

/// Both streams in time order; of events at the same time the real one comes first.
fn merged<'a>(real: &'a [Event], flood: &'a [Event]) -> impl Iterator<Item = (&'a Event, bool)> {
    let (mut real, mut flood) = (real.iter().peekable(), flood.iter().peekable());
    std::iter::from_fn(move || match (real.peek(), flood.peek()) {
        (Some(next), Some(fake)) if next.at <= fake.at => real.next().map(|event| (event, false)),
        (_, Some(_)) => flood.next().map(|event| (event, true)),
        (_, None) => real.next().map(|event| (event, false)),
    })
}

/// Facts and learner, as in a server.
struct Shop {
    facts: Facts,
    learner: Learner,
    prepared: Prepared,
}

impl Shop {
    fn learn(&mut self, event: &Event) -> Result<(), LabError> {
        let body = Body::Event(CheckedEvent { event: event.clone(), repairs: Vec::new(), raw: None });
        let record = Record { offset: self.facts.end, received_at: event.at, body };
        self.facts.apply(&record);
        let fact = self.facts.resolve(&record);
        self.learner.step(Offset(record.offset.0), record.received_at.0, fact)?;
        Ok(())
    }

    /// The first `depth` recommendations for the shopper of this event.
    fn list(&mut self, event: &Event, depth: usize) -> Vec<u32> {
        let shopper = self.facts.shopper(&event.shopper());
        let history = self.facts.histories.get(shopper.unwrap_or(u32::MAX));
        let session = event.session.as_ref().map(|session| accrue_store::session_hash(session.as_str()));
        let at_ms = event.at.0.max(self.facts.stream_time.0);
        let context = Context::new(&history, session, at_ms, self.learner.weights());
        let ranked = self.learner.serving().rank(&context, &mut self.prepared, depth, |_| true);
        ranked.into_iter().map(|scored| scored.item).collect()
    }

    fn predict(&mut self, event: &Event) -> Hit {
        let list = self.list(event, LIST);
        let item = event.item.as_ref().and_then(|item| self.facts.items.get(item.as_str()));
        let rank = list.iter().position(|&other| Some(other) == item).map(|rank| rank as u32);
        let user = self.facts.shopper(&event.shopper()).unwrap_or(u32::MAX);
        Hit { user, rank, ..Hit::default() }
    }

    /// The share of these shoppers whose first items include `item`, and its median rank.
    fn exposure(&mut self, probes: &[&Event], item: &ItemId) -> (f64, u32) {
        let sought = self.facts.items.get(item.as_str());
        let mut places: Vec<u32> = Vec::with_capacity(probes.len());
        for probe in probes {
            let list = self.list(probe, DEPTH);
            let place = list.iter().position(|&other| Some(other) == sought).unwrap_or(DEPTH);
            places.push(place as u32 + 1);
        }
        places.sort_unstable();
        let exposed = places.iter().filter(|&&place| place as usize <= LIST).count();
        (exposed as f64 / probes.len().max(1) as f64, places.get(places.len() / 2).copied().unwrap_or(DEPTH as u32 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_event::{Outcome, RawEvent};

    /// Forty days of 200 customers, each of whom buys three of eighty items a day.
    fn data() -> StreamData {
        let check = Check::new(CheckSettings::default(), RuleStatistics::default()).unwrap();
        let mut events = Vec::new();
        for day in 0..40_i64 {
            for n in 0..200_i64 {
                for line in 0..3 {
                    let at = Timestamp(1_767_571_200_000 + day * DAY_MS + n * 60_000 + line).to_string();
                    let (user, item) = (format!("u{n}"), format!("i{}", (n % 20 * 4 + day * 3 + line) % 80));
                    let raw =
                        RawEvent::from_texts([("type", "purchase"), ("user", &user), ("item", &item), ("at", &at)]);
                    let Outcome::Accepted(event) = check.judge(&raw, Timestamp(i64::MAX / 4), |_| None) else {
                        panic!()
                    };
                    events.push(event);
                }
            }
        }
        StreamData { events, ..StreamData::default() }
    }

    #[test]
    fn a_flood_raises_its_item_and_the_rule_prevents_it() {
        let settings = RiskSettings {
            accounts: 400,
            each: 2,
            hours: 6.0,
            at_day: 35,
            after_days: 2,
            learn: LearnSettings::default(),
            check: CheckSettings::default(),
        };
        let report = evaluate_risk(data(), &settings, &|_| {}).unwrap();
        let (clean, without, with) = (&report.clean, &report.without_rule, &report.with_rule);
        assert_eq!((clean.real_refused, clean.flood_in, without.flood_in), (0, 0, 800));
        assert!(with.flood_refused > 700, "{with:?}");
        assert!(without.exposure > clean.exposure + 0.3, "{report:?}");
        assert!(with.exposure < 0.5 * (clean.exposure + without.exposure), "{report:?}");
        assert!(clean.n_eval == without.n_eval && clean.n_eval == with.n_eval);
    }
}
