//! `accrue what-if`: settings judged on the shop's own log before they are switched on. Read-only, so it also works beside
//! a running server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use accrue_engine::{Proposal, WhatIfAsked, WhatIfFound, judge_on_log, read_text};
use accrue_lab::Interval;
use accrue_lab::what_if::{Judgement, WhatIfReport};
use anyhow::{Context as _, bail};
use serde::Serialize;

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

/// The report with the file that it is about.
#[derive(Debug, Serialize)]
struct Report {
    /// The file of settings.
    settings: String,
    #[serde(flatten)]
    found: WhatIfFound,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let proposal = read(&arguments.settings)?;
    let asked = WhatIfAsked {
        window: arguments.window,
        answers: arguments.answers as usize,
        top: arguments.top.into(),
        least_effective: arguments.least_effective,
    };
    let found = judge_on_log(&config.data, &config.engine, &proposal, &asked, &|_| true);
    let found = found.with_context(|| arguments.settings.display().to_string())?;
    let report = Report { settings: arguments.settings.display().to_string(), found };
    output.result(&report, table)?;
    if report.found.answers == 0 {
        output.note("refused: the log has no recorded answer in this window (`serve.record`, `--window`)");
    }
    Ok(if report.found.report.clicks.is_estimated() { Exit::Success } else { Exit::Refused })
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

fn table(report: &Report) -> String {
    let WhatIfFound { answers, unreadable, report: found, .. } = &report.found;
    let WhatIfReport { pages, shoppers, drawn, top, .. } = found;
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
