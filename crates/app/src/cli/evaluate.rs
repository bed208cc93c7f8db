//! `accrue evaluate`: a model under a protocol on files. The `lab` crate evaluates; this file has the arguments.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use accrue_event::Mapping;
use accrue_lab::LabError;
use accrue_lab::off_policy::OffPolicyError;
use anyhow::Context as _;
use serde_json::Value;

use super::ingest::mapping_file;
use super::output::Output;
use super::problem::{Expected, Problem};
use super::{Context, Exit};
use crate::evaluation::{self, Request};

const EXAMPLES: &str = "\
Examples:
  accrue evaluate --model list
  accrue evaluate --protocol leave-one-out --model markov --train sequences.txt.zst --json
  accrue evaluate --protocol user-items --model als --train train.txt --test test.txt --set factors=128
  accrue evaluate --protocol sessions --model blend --set parts=markov+session-knn --set holdout=session \\
      --train train.txt --test test.txt
  accrue evaluate --protocol stream --model blend --train events.tsv --set unit=basket --set mode=online
  accrue evaluate --protocol stream --model blend --train sim --set sim.days=60 --set sim.upheaval=20 \\
      --set types=click,purchase --set mode=every:1000 --against online.tsv

Files, plain or .zst:
  user-items     train and test: `user item item …` per line; items of the training file are not candidates
  leave-one-out  one file, `user item item …` or `user item` per line, in time order; the last item is the test
  sessions       train: `item item …` per line; test: prefix TAB next
  sampled        train: `user item rating`; test: `user item rating ts negative negative …`
  temporal       one file, `user item time` or `user item rating time` per line; the latest share=0.2 is the test
  ratings        `user item rating` a line, in folds=5, or with a test file; split=time: `user item rating time`, as above
  stream         timestamped events, with a column mapping; `sim` instead of a file: the simulated shop
  risk           as stream, with a flood of fresh accounts on one item: accounts=1000, each=1, hours=6, at_day=180,
                 after_days=7
  arms           no file: what an experiment estimates in simulated shops, whose arms learn together or separately;
                 treatment=popular|explore, shops=20, days=30
  off-policy     train: a log with item_id, position, click, propensity_score, user_feature…; test: the log of the policy
                 to estimate; --model simulated needs no file (seeds=200, visits=4000)

Settings of the stream: unit=line|basket|day (where the history ends before a prediction), every=20 (one event in this
many is predicted), from_day=28, shuffle=SEED, types=TYPE,…; mode=online|every:1000 (events)|every:1s|finetune:1d|
retrain:7d|reset:100000|frozen (when the models learn), of retraining also warm=true|false and epochs=auto|N; guard=false (whether
versions are made and tested, and undone); drift.boost=1 (the learning-rate multiplier after a change for the worse); of `sim` also sim.days,
sim.seed, sim.items, sim.shoppers, sim.visits (a day), sim.drift, sim.upheaval (days between changes of all tastes).

Settings of these protocols: on=test|validation, at=5,10,20 (lengths of lists); of leave-one-out also negatives=100,
seen=auto|keep|drop, refit=true (learn the validation items too). All others are the model's.
The same seed gives the same bytes, except under `cost`.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The protocol: user-items, leave-one-out, sessions, sampled, temporal, ratings, stream, risk, arms, off-policy
    #[arg(long)]
    pub protocol: Option<String>,
    /// The model; `list` prints the models with their protocols, `auto` finds one on validation data. With a stream
    /// also `blend:MODEL`, `sequence:NETWORK`, `fitted:MODEL`, as in `accrue serve`
    #[arg(long)]
    pub model: String,
    /// The training file
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// The test file, for protocols that need one
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// Descriptions of the items
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// Descriptions of users for a stream: a file with a column or field `id`; all others are attributes
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// A column mapping, for timestamped events
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// How long `--model auto` may search: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub budget: Duration,
    /// Also write the report as a page with plots that opens offline
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Reports of other runs, as printed with --json, to compare with on that page
    #[arg(long, value_name = "FILE", requires = "html", num_args = 1..)]
    pub compare: Vec<PathBuf>,
    /// Also write each prediction of a stream, one per line
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Predictions of another run of the same stream, to compare with, event by event: ratios with paired 95 % intervals
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// A setting of the model or the protocol
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let result = match (arguments.model.as_str(), &arguments.protocol, &arguments.train) {
        ("list", _, _) => evaluation::models(),
        (model, Some(protocol), train)
            if train.is_some() || model == evaluation::SIMULATED || protocol == evaluation::ARMS =>
        {
            refuse_unused(protocol, &arguments)?;
            let request = Request {
                protocol: protocol.clone(),
                model: arguments.model.clone(),
                train: train.clone().unwrap_or_default(),
                test: arguments.test.clone(),
                mapping: match &arguments.mapping {
                    Some(path) => mapping_file(path, None)?,
                    None => Mapping::default(),
                },
                users: arguments.users.clone(),
                budget: arguments.budget,
                predictions: arguments.predictions.clone(),
                against: arguments.against.clone(),
                settings: arguments.settings.clone(),
            };
            let report = match evaluation::evaluate(&context.config.engine, &request, &progress_notes(context.output)) {
                Err(error) if says_too_little(&error) => {
                    context.output.note(&format!("refused: {error}"));
                    return Ok(Exit::Refused);
                }
                report => report?,
            };
            if let Some(page) = &arguments.html {
                write_page(page, &report, &arguments.compare)?;
            }
            report
        }
        _ => {
            let hint = "`accrue evaluate --model list` prints the models with the protocols that they serve";
            return Err(Problem::new("--protocol and --train are needed", hint).into());
        }
    };
    context
        .output
        .result(&result, |result| serde_json::to_string_pretty(result).unwrap_or_else(|_| result.to_string()))?;
    Ok(Exit::Success)
}

/// Whether the data was read without a fault, but is not enough for an answer.
fn says_too_little(error: &anyhow::Error) -> bool {
    let too_few = |error: &LabError| matches!(error, LabError::OffPolicy(OffPolicyError::TooFewEffective { .. }));
    error.downcast_ref().is_some_and(too_few)
}

/// Writes the report as a page, with those that it is compared with.
fn write_page(page: &Path, report: &Value, compare: &[PathBuf]) -> anyhow::Result<()> {
    let mut reports = vec![report.clone()];
    for path in compare {
        let name = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("{name} cannot be read"))?;
        let other =
            serde_json::from_slice(&bytes).with_context(|| format!("{name} is not a report printed with --json"))?;
        reports.push(other);
    }
    std::fs::write(page, accrue_lab::html(&reports)).with_context(|| format!("{} cannot be written", page.display()))
}

/// `90s`, `10m`, `1h`, `7d`
pub(super) fn time(text: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected = Expected("a duration, such as 90s, 10m, 1h or 7d");
    let (number, unit) = text.split_at(text.len() - text.len().min(1));
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(EXPECTED),
    };
    let number = number.parse::<f64>().ok().filter(|number| (0.0..1e6).contains(number)).ok_or(EXPECTED)?;
    Ok(Duration::from_secs_f64(number * seconds))
}

/// Refuses files that the protocol does not read.
fn refuse_unused(protocol: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let is_stream = matches!(protocol, "stream" | "risk");
    let unused = [
        ("--train", arguments.train.is_some() && protocol == evaluation::ARMS),
        ("--test", arguments.test.is_some() && (is_stream || protocol == evaluation::ARMS)),
        ("--items", arguments.items.is_some()),
        ("--users", arguments.users.is_some() && protocol != "stream"),
        ("--mapping", arguments.mapping.is_some() && !is_stream),
        ("--predictions", arguments.predictions.is_some() && !is_stream),
        ("--against", arguments.against.is_some() && !is_stream),
    ];
    match unused.into_iter().find(|&(_, is_unused)| is_unused) {
        None => Ok(()),
        Some((flag, _)) => {
            let hint = "leave it out; `accrue evaluate --help` says what each protocol reads";
            Err(Problem::new(format!("{flag} is not for the protocol `{protocol}`"), hint).into())
        }
    }
}

/// Prints progress at every twentieth, if stderr is a terminal.
fn progress_notes(output: Output) -> impl Fn(f64, &str) + Sync {
    let told = Mutex::new((String::new(), 0));
    move |done, what| {
        if !output.draws_progress() {
            return;
        }
        let percent = (done * 100.0) as u32;
        let Ok(mut told) = told.lock() else { return };
        if told.0 != what || percent >= told.1 + 5 {
            *told = (what.to_string(), percent);
            output.note(&format!("{percent} % of {what}"));
        }
    }
}

fn setting(text: &str) -> Result<(String, String), Expected> {
    let setting = text.split_once('=').filter(|(key, _)| !key.is_empty());
    setting.map(|(key, value)| (key.into(), value.into())).ok_or(Expected("KEY=VALUE"))
}
