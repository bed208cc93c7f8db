//! `accrue what-if`: settings judged on the shop's own log before they are switched on. Read-only, so it also works beside
//! a running server.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use accrue_engine::{AskedAgain, MadeAgain, Proposal, make_again, read_text};
use accrue_event::{Event, EventType, ItemId};
use accrue_lab::Interval;
use accrue_lab::off_policy::OffPolicySettings;
use accrue_lab::what_if::{JudgedPage, Judgement, Numbers, Sample, WhatIfReport, WhatIfSettings, judge};
use accrue_store::{Body, LogReader, Offset, Page, Record, Served};
use anyhow::{Context as _, bail};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::output::{columns, count};
use super::problem::Expected;
use super::{Context, Exit, evaluate};

const EXAMPLES: &str = "\
Examples:
  accrue what-if --settings proposal.toml
  accrue what-if --settings proposal.toml --window 7d --top 4 --json

The file has scenes, rules or the part of the models that scores, as in accrue.toml and in PUT /v1/rules:

  [scene.home]
  diversity = { strength = 0.3, kind = \"dpp\" }

  [[rule]]
  name = \"advent\"
  action = \"boost\"
  filter = \"category:christmas\"
  factor = 1.5

Each recorded answer is made again, by models that had learned no more than those that answered, once under the current
settings and once under these. What would have been clicked and bought is estimated from the answers whose first places
were drawn by chance (serve.explore.share) and that the settings change. Exit code 1 if the log says too little.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file of settings to judge
    #[arg(long, value_name = "FILE")]
    settings: PathBuf,
    /// How far back answers count, from the latest record: 90m, 12h, 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = evaluate::time)]
    window: Duration,
    /// Places of a page that count, from the top
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Answers that are made again, at most; of more, a sample
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    answers: u32,
    /// Refuse estimates from fewer effective answers
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = at_least_one)]
    least_effective: f64,
}

/// The report with what it was made from.
#[derive(Debug, Serialize)]
struct Report {
    /// The file of settings.
    settings: String,
    /// Records of the log.
    offset: u64,
    /// First pages that were answered in the window.
    answers: u64,
    /// Of these, those that cannot be made again: recorded by an older build, of a history that the request gave, or while
    /// the models knew no item yet.
    unreadable: u64,
    #[serde(flatten)]
    report: WhatIfReport,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let proposal = read(&arguments.settings)?;
    let mut log = LogReader::open(&config.data)?;
    let offset = log.end().0;
    let answers = Answers::read(&mut log, arguments.window, arguments.answers as usize)?;
    drop(log);
    let n_answers = answers.sample.n_offered() + answers.n_unreadable;
    let n_recorded_otherwise = answers.n_unreadable;
    let mut kept: Vec<Kept> = answers.sample.into_elements().collect();
    kept.sort_by_key(|kept| (kept.asked.known, kept.asked.offset));
    let asked: Vec<AskedAgain> = kept.iter().map(|kept| kept.asked.clone()).collect();
    let made = make_again(&config.data, &config.engine, &asked, &proposal, &|_| {});
    let made = made.with_context(|| arguments.settings.display().to_string())?;
    let n_kept = kept.len();
    let pages = pages(kept, made);
    let n_unreadable = n_recorded_otherwise + (n_kept - pages.len()) as u64;
    let off_policy = OffPolicySettings {
        least_effective: arguments.least_effective,
        seed: config.engine.learn.seed,
        ..OffPolicySettings::default()
    };
    let report = judge(&pages, &WhatIfSettings { top: arguments.top.into(), off_policy });
    let settings = arguments.settings.display().to_string();
    let report = Report { settings, offset, answers: n_answers, unreadable: n_unreadable, report };
    output.result(&report, table)?;
    if n_answers == 0 {
        output.note("refused: the log has no recorded answer in this window (`serve.record`, `--window`)");
    }
    Ok(if report.report.clicks.is_estimated() { Exit::Success } else { Exit::Refused })
}

/// An estimate from less than one answer is none.
fn at_least_one(text: &str) -> Result<f64, Expected> {
    const EXPECTED: Expected = Expected("a number from 1 on");
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 1.0).ok_or(EXPECTED)
}

fn read(path: &Path) -> anyhow::Result<Proposal> {
    let text = read_text(path).with_context(|| path.display().to_string())?;
    let table: toml::Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
    if let Some(learned) = ["model", "learn"].iter().find(|section| table.contains_key(**section)) {
        bail!(
            "{}: [{learned}] changes what is learned, which no past answer can judge; `accrue train` trains a \
             challenger with such settings and compares it with the current model",
            path.display()
        );
    }
    table.try_into().with_context(|| path.display().to_string())
}

/// An answer of the sample, with what came of it.
struct Kept {
    asked: AskedAgain,
    shopper: Box<str>,
    items: Vec<ItemId>,
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
    fn read(log: &mut LogReader, window: Duration, most: usize) -> anyhow::Result<Self> {
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
        // What was sponsored was no choice of the settings, and pages are made again without it. Such a page has no draws.
        let is_own = |place: usize| served.sponsored.iter().all(|slot| slot.place as usize != place);
        let own = served.items.iter().enumerate().filter(|(place, _)| is_own(*place));
        let items: Vec<ItemId> = own.map(|(_, item)| item.clone()).collect();
        let n = items.len();
        let key = xxh3_64(served.recommendation_id.as_bytes());
        let (ranks, propensities) = (served.ranks.clone(), served.propensities.clone());
        let (clicks, purchases) = (vec![0.0; n], vec![0.0; n]);
        let (is_kept, _) =
            self.sample.offer(key, Kept { asked, shopper, items, ranks, propensities, clicks, purchases });
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
        let mut numbers = |ids: &[ItemId]| ids.iter().map(|id| items.of(id.as_str())).collect::<Vec<u32>>();
        JudgedPage {
            shopper: shoppers.of(&kept.shopper),
            shown: numbers(&kept.items),
            ranks: kept.ranks,
            propensities: kept.propensities,
            clicks: kept.clicks,
            purchases: kept.purchases,
            current: numbers(&made.current),
            proposed: numbers(&made.proposed),
        }
    };
    let could_be_made = |(_, made): &(Kept, MadeAgain)| !made.current.is_empty();
    kept.into_iter().zip(made).filter(could_be_made).map(page).collect()
}

fn table(report: &Report) -> String {
    let Report { answers, unreadable, report: WhatIfReport { pages, shoppers, drawn, top, .. }, .. } = report;
    let found = &report.report;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let rows = vec![
        vec!["first pages answered".into(), count(*answers)],
        vec!["  that cannot be made again".into(), count(*unreadable)],
        vec!["made again".into(), count(*pages as u64)],
        vec!["  for so many shoppers".into(), count(*shoppers as u64)],
        vec!["  with places drawn by chance".into(), count(*drawn as u64)],
        vec!["made again as they were served".into(), percent(found.reproduced)],
        vec![format!("changed among the first {top}"), percent(found.changed)],
        vec!["  of these drawn, can be judged".into(), percent(found.judged)],
    ];
    let mut text = columns(&rows);
    if let (Judgement::Refused { refused, .. }, Judgement::Refused { refused: of_purchases, .. }) =
        (&found.clicks, &found.purchases)
        && refused == of_purchases
    {
        return text + &format!("refused: {refused}\n");
    }
    for (name, judgement) in [("clicks", &found.clicks), ("purchases", &found.purchases)] {
        text += &match judgement {
            Judgement::Estimated { current, proposed, change, n_effective, .. } => {
                let between = |Interval(low, high): Interval| format!("{low:.4} to {high:.4}");
                format!(
                    "{name} a changed page: {:.4} ({}) with these settings, {:.4} ({}) now; {:+.4} ({}); from \
                     {n_effective:.0} effective answers\n",
                    proposed.value,
                    between(proposed.ci95),
                    current.value,
                    between(current.ci95),
                    change.value,
                    between(change.ci95)
                )
            }
            Judgement::Refused { refused, .. } => format!("{name} a changed page: refused: {refused}\n"),
        };
    }
    text
}
