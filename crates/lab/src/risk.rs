//! What a coordinated flood does to a shop, with and without the rule against it.
//!
//! In: real events, a flood to inject (fresh accounts that all act on one item within some hours). Out: for the stream as it was, with
//! the flood, and with the flood and the rule: how much was refused, how many lists of real shoppers the attacked item got into,
//! at which place, and how well the learner foresees what real shoppers choose in the days after. The attacked item is the
//! median one by its events before the flood, so that nobody would have been shown it much.

use accrue_event::{Check, CheckSettings, Event, EventId, ItemId, RuleStatistics, SettingsError, Timestamp};
use accrue_model::{Context, Prepared};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Record};
use accrue_train::{LearnSettings, Learner};
use serde::Serialize;

use crate::metrics::{Hit, LIST, bootstrap, mean};
use crate::{Interval, LabError, StreamData};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Real shoppers whose lists are looked at: the latest ones before the flood.
const PROBES: usize = 500;
/// Places of a list that are looked at for the attacked item.
const DEPTH: usize = 1_000;

/// The flood, and where it falls.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskSettings {
    /// Fresh accounts.
    pub accounts: usize,
    /// Events of each.
    pub each: usize,
    /// Hours in which they come.
    pub hours: f64,
    /// When it begins: days after the first event.
    pub at_day: i64,
    /// Days after it in which real choices are foreseen.
    pub after_days: i64,
    /// Settings of the models, with the seed.
    pub learn: LearnSettings,
    /// The rules; `coordinated` is switched off for the runs without.
    pub check: CheckSettings,
}

/// What happened in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RiskRun {
    /// Events of the flood that were let in.
    pub flood_in: u64,
    /// Events of the flood that were refused.
    pub flood_refused: u64,
    /// Real events that were refused as coordinated.
    pub real_refused: u64,
    /// Share of real shoppers whose first twenty places hold the attacked item, at the flood's end.
    pub exposure: f64,
    /// The same a day later.
    pub exposure_next_day: f64,
    /// Median place of the item in those lists at the flood's end, from 1; 1,001 stands for further down.
    pub median_place: u32,
    /// Hit rate and NDCG of twenty, over real choices after the flood.
    pub hr: f64,
    /// See `hr`.
    pub ndcg: f64,
    /// 95 % interval of the NDCG, over shoppers.
    pub ndcg_ci95: Interval,
    /// Choices foreseen.
    pub n_eval: usize,
}

/// The three runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskReport {
    /// How it was measured.
    pub protocol: &'static str,
    /// Real events.
    pub n_events: usize,
    /// Events of the flood.
    pub n_flood: usize,
    /// The attacked item's events before the flood.
    pub item_events_before: usize,
    /// The stream as it was, with the rule in force.
    pub clean: RiskRun,
    /// With the flood, without the rule.
    pub without_rule: RiskRun,
    /// With the flood and the rule.
    pub with_rule: RiskRun,
}

/// Runs the three.
///
/// # Errors
/// [`LabError::Empty`] if the stream ends before the flood; [`LabError::Setting`] for rules that cannot hold.
pub fn evaluate_risk(
    data: StreamData,
    settings: &RiskSettings,
    progress: &dyn Fn(f64),
) -> Result<RiskReport, LabError> {
    let mut events: Vec<Event> = data.events.into_iter().filter(|event| event.item.is_some()).collect();
    events.sort_by_key(|event| event.at);
    let empty = || LabError::Empty("no event lies behind the flood; a smaller `at_day` may help".into());
    let begins_ms = events.first().ok_or_else(empty)?.at.0 + settings.at_day * DAY_MS;
    let before = events.partition_point(|event| event.at.0 < begins_ms);
    let (item, item_events_before) = median_item(&events[..before]).ok_or_else(empty)?;
    let template = events.get(before).ok_or_else(empty)?;
    let flood = flood(template, &item, begins_ms, settings);
    let without = CheckSettings {
        coordinated: accrue_event::CoordinatedSettings { least: 0, ..settings.check.coordinated.clone() },
        ..settings.check.clone()
    };
    let scene = Scene { events: &events, item: &item, begins_ms, settings };
    let clean = scene.run(&[], &settings.check)?;
    progress(1.0 / 3.0);
    let without_rule = scene.run(&flood, &without)?;
    progress(2.0 / 3.0);
    let with_rule = scene.run(&flood, &settings.check)?;
    let (n_events, n_flood) = (events.len(), flood.len());
    Ok(RiskReport { protocol: "risk", n_events, n_flood, item_events_before, clean, without_rule, with_rule })
}

/// The median item by events, with how many it had; among equals the name decides.
fn median_item(events: &[Event]) -> Option<(ItemId, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    events.iter().filter_map(|event| event.item.as_ref()).for_each(|item| *counts.entry(item).or_insert(0) += 1);
    let mut by_count: Vec<(usize, &ItemId)> = counts.into_iter().map(|(item, n)| (n, item)).collect();
    by_count.sort_unstable();
    by_count.get(by_count.len() / 2).map(|&(n, item)| (item.clone(), n))
}

/// The flood in the order of time, each event like a real one but for who and what.
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
struct Scene<'a> {
    events: &'a [Event],
    item: &'a ItemId,
    begins_ms: i64,
    settings: &'a RiskSettings,
}

impl Scene<'_> {
    fn run(&self, flood: &[Event], rules: &CheckSettings) -> Result<RiskRun, LabError> {
        let wrong = |error: SettingsError| LabError::Setting(error.to_string());
        let mut check = Check::new(rules.clone(), RuleStatistics::default()).map_err(wrong)?;
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
        // Looked at when their time has come, in this order.
        let mut looks = vec![ends_ms + DAY_MS, ends_ms];
        for (event, is_flood) in merged(self.events, flood) {
            while looks.last().is_some_and(|&at_ms| event.at.0 > at_ms) {
                let (exposure, place) = shop.look(&probes, self.item);
                match looks.pop() {
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
            // Who was refused still chose: the same choices are foreseen in each run.
            if !is_flood && event.at.0 > ends_ms {
                hits.push(shop.foresee(event));
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

/// Both streams in the order of time; at the same time the real one comes first.
fn merged<'a>(real: &'a [Event], flood: &'a [Event]) -> impl Iterator<Item = (&'a Event, bool)> {
    let (mut real, mut flood) = (real.iter().peekable(), flood.iter().peekable());
    std::iter::from_fn(move || match (real.peek(), flood.peek()) {
        (Some(next), Some(fake)) if next.at <= fake.at => real.next().map(|event| (event, false)),
        (_, Some(_)) => flood.next().map(|event| (event, true)),
        (_, None) => real.next().map(|event| (event, false)),
    })
}

/// Facts and learner, as the server has them.
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

    /// The list of whoever caused this event, at that depth.
    fn list(&mut self, event: &Event, depth: usize) -> Vec<u32> {
        let shopper = self.facts.shopper(&event.shopper());
        let history = self.facts.histories.get(shopper.unwrap_or(u32::MAX));
        let session = event.session.as_ref().map(|session| accrue_store::session_hash(session.as_str()));
        let at_ms = event.at.0.max(self.facts.stream_time.0);
        let context = Context::new(history, session, at_ms, self.learner.weights());
        let ranked = self.learner.serving().rank(&context, &mut self.prepared, depth, |_| true);
        ranked.into_iter().map(|scored| scored.item).collect()
    }

    fn foresee(&mut self, event: &Event) -> Hit {
        let list = self.list(event, LIST);
        let item = event.item.as_ref().and_then(|item| self.facts.items.get(item.as_str()));
        let rank = list.iter().position(|&other| Some(other) == item).map(|rank| rank as u32);
        let user = self.facts.shopper(&event.shopper()).unwrap_or(u32::MAX);
        Hit { user, rank, ..Hit::default() }
    }

    /// How many of these shoppers' lists hold the item in their first places, and its median place.
    fn look(&mut self, probes: &[&Event], item: &ItemId) -> (f64, u32) {
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

    /// Forty days of 200 customers who buy three of eighty items a day, in turns.
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
        StreamData { events, items: Vec::new() }
    }

    #[test]
    fn a_flood_lifts_its_item_and_the_rule_keeps_it_down() {
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
