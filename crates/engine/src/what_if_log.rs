//! What settings would have earned on the shop's own log.
//!
//! In: a data folder, a proposal, and how far back answers count. Out: clicks and purchases per page under the settings
//! in force and under the proposal, with intervals, or why the log cannot tell: the recorded answers of the window are
//! joined with the events that name them, made again ([`make_again`]), and judged ([`accrue_lab::what_if`]). The folder
//! is not changed.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use accrue_event::{Event, EventType, ItemId};
use accrue_lab::off_policy::OffPolicySettings;
use accrue_lab::what_if::{JudgedPage, Numbers, Sample, WhatIfReport, WhatIfSettings, judge};
use accrue_store::{Body, LogReader, Offset, Page, Record, Served, Trial};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::Config;
use crate::error::EngineError;
use crate::what_if::{AskedAgain, MadeAgain, Proposal, go_on, make_again};

/// What is asked of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhatIfAsked {
    /// How far back answers count, from the latest record.
    pub window: Duration,
    /// Answers that are made again, at most; of more, a sample.
    pub answers: usize,
    /// Places of a page that count, from the top.
    pub top: usize,
    /// Estimates from fewer effective answers are refused.
    pub least_effective: f64,
}

impl Default for WhatIfAsked {
    fn default() -> Self {
        Self { window: Duration::from_secs(30 * 24 * 3600), answers: 20_000, top: 10, least_effective: 100.0 }
    }
}

/// The report with what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIfFound {
    /// Records of the log.
    pub offset: u64,
    /// First pages that were answered in the window.
    pub answers: u64,
    /// Of these, those that cannot be made again: recorded by an older build, of a history that the request gave, or while
    /// the models knew no item yet.
    pub unreadable: u64,
    /// What the proposal would have earned.
    #[serde(flatten)]
    pub report: WhatIfReport,
}

/// Judges a proposal on the log of a folder. `progress` is called with the share of pages made again
/// and says whether to go on.
///
/// # Errors
/// Those of [`make_again`].
pub fn judge_on_log(
    dir: &Path,
    config: &Config,
    proposal: &Proposal,
    asked: &WhatIfAsked,
    progress: &(dyn Fn(f64) -> bool + Sync),
) -> Result<WhatIfFound, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let offset = log.end().0;
    let read = Answers::read(&mut log, asked.window, asked.answers)?;
    drop(log);
    go_on(progress)?;
    let answers = read.sample.n_offered() + read.n_unreadable;
    let n_recorded_otherwise = read.n_unreadable;
    let mut kept: Vec<Kept> = read.sample.into_elements().collect();
    kept.sort_by_key(|kept| (kept.asked.known, kept.asked.offset));
    let again: Vec<AskedAgain> = kept.iter().map(|kept| kept.asked.clone()).collect();
    let made = make_again(dir, config, &again, proposal, progress)?;
    let n_kept = kept.len();
    let pages = pages(kept, made);
    let unreadable = n_recorded_otherwise + (n_kept - pages.len()) as u64;
    let off_policy = OffPolicySettings {
        least_effective: asked.least_effective,
        seed: config.learn.seed,
        ..OffPolicySettings::default()
    };
    let report = judge(&pages, &WhatIfSettings { top: asked.top, off_policy });
    Ok(WhatIfFound { offset, answers, unreadable, report })
}

/// An answer of the sample, with what came of it.
struct Kept {
    asked: AskedAgain,
    shopper: Box<str>,
    items: Vec<ItemId>,
    /// Products that were drawn into places for new ones, which a page made again has where the models put them.
    new: Vec<ItemId>,
    ranks: Vec<u32>,
    propensities: Vec<f32>,
    clicks: Vec<f64>,
    purchases: Vec<f64>,
}

/// Records of the log read at once.
const CHUNK: usize = 4_096;
/// Events that may wait for their answers, which are written behind the events that they are committed with.
const MAX_EARLY: usize = 65_536;

/// The answers of the window, joined with the events that name them.
struct Answers {
    sample: Sample<Kept>,
    n_unreadable: u64,
    /// Events before their answers, by the key of the answer. Only looked up.
    early: HashMap<u64, Vec<(EventType, Option<ItemId>)>>,
    /// Their keys, so that the oldest can be dropped.
    early_order: VecDeque<u64>,
}

impl Answers {
    fn read(log: &mut LogReader, window: Duration, most: usize) -> Result<Self, EngineError> {
        let (start, end) = (log.start(), log.end());
        let last_ms = match end.0.checked_sub(1).filter(|last| *last >= start.0) {
            Some(last) => log.get(Offset(last))?.map_or(0, |record| record.received_at.0),
            None => 0,
        };
        let since_ms = last_ms.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        let mut answers =
            Self { sample: Sample::new(most), n_unreadable: 0, early: HashMap::new(), early_order: VecDeque::new() };
        let mut from = start;
        while from < end {
            let read = log.read(from, CHUNK, |record| {
                if record.received_at.0 >= since_ms {
                    answers.take(&record);
                }
            })?;
            if read == from {
                break;
            }
            from = read;
        }
        Ok(answers)
    }

    fn take(&mut self, record: &Record) {
        match &record.body {
            Body::Served(served) if served.page == Page::Recommend && served.first_position == 0 => {
                self.answer(record, served);
            }
            Body::Event(checked) | Body::Released { event: checked, .. } => self.event(&checked.event),
            _ => {}
        }
    }

    fn answer(&mut self, record: &Record, served: &Served) {
        let shopper: Box<str> = match (&served.user, &served.session) {
            (Some(user), _) => format!("u{}", user.as_str()).into(),
            (None, Some(session)) => format!("g{}", session.as_str()).into(),
            (None, None) => return,
        };
        let Some(asked) = AskedAgain::of(record, served).filter(|_| !served.items.is_empty()) else {
            self.n_unreadable += 1;
            return;
        };
        // What was sponsored was no choice of the settings, nor were new products, and pages are compared without either.
        // Such a page has no draws.
        let is_new = |place: usize| match &served.trial {
            Trial::With(slots) => slots.iter().any(|slot| slot.is_new && usize::from(slot.place) == place),
            Trial::None | Trial::Without => false,
        };
        let is_sponsored = |place: usize| served.sponsored.iter().any(|slot| usize::from(slot.place) == place);
        let is_own = |place: usize| !is_sponsored(place) && !is_new(place);
        let own = served.items.iter().enumerate().filter(|(place, _)| is_own(*place));
        let items: Vec<ItemId> = own.map(|(_, item)| item.clone()).collect();
        let new = served.items.iter().enumerate().filter(|(place, _)| is_new(*place));
        let new: Vec<ItemId> = new.map(|(_, item)| item.clone()).collect();
        let n = items.len();
        let key = xxh3_64(served.recommendation_id.as_bytes());
        let (ranks, propensities) = (served.ranks.clone(), served.propensities.clone());
        let (clicks, purchases) = (vec![0.0; n], vec![0.0; n]);
        let (is_kept, _) =
            self.sample.offer(key, Kept { asked, shopper, items, new, ranks, propensities, clicks, purchases });
        for (kind, item) in self.early.remove(&key).into_iter().flatten().filter(|_| is_kept) {
            self.earn(key, &kind, item.as_ref());
        }
    }

    fn event(&mut self, event: &Event) {
        let Some(id) = &event.recommendation_id else { return };
        if !matches!(event.event_type, EventType::Click | EventType::Purchase) {
            return;
        }
        let key = xxh3_64(id.as_bytes());
        if self.earn(key, &event.event_type, event.item.as_ref()) {
            return;
        }
        self.early.entry(key).or_default().push((event.event_type.clone(), event.item.clone()));
        self.early_order.push_back(key);
        if self.early_order.len() > MAX_EARLY
            && let Some(oldest) = self.early_order.pop_front()
        {
            self.early.remove(&oldest);
        }
    }

    /// Counts an event for its answer; whether the answer is kept.
    fn earn(&mut self, key: u64, kind: &EventType, item: Option<&ItemId>) -> bool {
        let Some(kept) = self.sample.get_mut(key) else { return false };
        let place = item.and_then(|item| kept.items.iter().position(|shown| shown == item));
        let earned = if *kind == EventType::Click { &mut kept.clicks } else { &mut kept.purchases };
        if let Some(place) = place {
            earned[place] = 1.0;
        }
        true
    }
}

/// The pages with numbers in the place of names, without those that the current settings make empty. A page is made again
/// from what the models had learned, and while they are behind the log they may know nothing of the items that it showed:
/// such a page is empty under any settings, and would count as one that a proposal leaves as it was.
fn pages(kept: Vec<Kept>, made: Vec<MadeAgain>) -> Vec<JudgedPage> {
    let (mut shoppers, mut items) = (Numbers::default(), Numbers::default());
    let page = |(kept, made): (Kept, MadeAgain)| {
        let is_compared = |id: &&ItemId| !kept.new.contains(id);
        let mut numbers =
            |ids: &[ItemId]| ids.iter().filter(is_compared).map(|id| items.of(id.as_str())).collect::<Vec<u32>>();
        JudgedPage {
            shopper: shoppers.of(&kept.shopper),
            shown: numbers(&kept.items),
            current: numbers(&made.current),
            proposed: numbers(&made.proposed),
            ranks: kept.ranks,
            propensities: kept.propensities,
            clicks: kept.clicks,
            purchases: kept.purchases,
        }
    };
    let could_be_made = |(_, made): &(Kept, MadeAgain)| !made.current.is_empty();
    kept.into_iter().zip(made).filter(could_be_made).map(page).collect()
}
