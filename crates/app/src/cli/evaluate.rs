//! `accrue evaluate`: a model under a protocol on files. The `lab` crate evaluates; this file has the arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use accrue_engine::{TransferSource, read_text};
use accrue_event::{Mapping, RecordKind, nearest, parse_duration};
use accrue_lab::LabError;
use accrue_lab::off_policy::OffPolicyError;
use anyhow::Context as _;
use serde_json::Value;

use super::evaluation_table;
use super::ingest::{mapping_argument, mapping_file, recognised_events};
use super::output::Output;
use super::problem::{Expected, Problem};
use super::{Context, Exit};
use crate::evaluation::{self, Request};

const EXAMPLES: &str = "\
Examples:
  accrue evaluate --model list
  accrue evaluate --protocol leave-one-out --model markov --train ratings.csv
  accrue evaluate --protocol temporal --model als ease markov --train clicks.parquet --html report.html
  accrue evaluate --protocol temporal --model auto --budget 10m --train ratings.csv --predictions lists.csv
  accrue evaluate --protocol user-items --model als --train train.txt --test test.txt --settings factors=128
  accrue evaluate --protocol ctr --model deepfm finalmlp --train train.txt --valid valid.txt --test test.txt
  accrue evaluate --protocol ctr --model pairs --set mode=online --train clicks.txt
  accrue evaluate --protocol search --model lexical --items products.jsonl --test judgments.csv --set typos=11
  accrue evaluate --protocol search-repair --model lexical
  accrue evaluate --protocol sessions --model blend --set parts=markov+session-knn --set holdout=session \\
      --train train.txt --test test.txt
  accrue evaluate --protocol stream --model blend --train events.tsv --set unit=basket --set mode=online
  accrue evaluate --protocol stream --model blend --train sim --set sim.days=60 --set sim.upheaval=20 \\
      --set types=click,purchase --set mode=every:1000 --against online.tsv

Every protocol with a file reads tables with named columns: CSV, TSV, NDJSON, Parquet (in builds with it), plain or
compressed. Columns called user_id, item_id, rating, timestamp and the like are known; others are named by --map or
--mapping. The order of a history is that of its times. All events count in which a shopper wants the item; types=TYPE,…
says which. Rows that are left out are counted. Beside tables there are the forms of published data sets, plain or .zst:
  user-items     train and test: `user item item …` per line; items of the training file are not candidates
  leave-one-out  one file, `user item item …` or `user item` per line, in time order; the last item is the test
  sessions       train: `item item …` per line; test: prefix TAB next (of a table: each session_id, or else user_id)
  sampled        train: `user item rating`; test: `user item rating ts negative negative …` (of a table: a column
                 `negatives`, or 99 items at random)
  temporal       one file, `user item time` or `user item rating time` per line; the latest share=0.2 is the test
  ratings        `user item rating` a line, in folds=5, or with a test file; split=time: `user item rating time`, as above
  ctr            train, test and --valid: `label feature feature …` per line, label 1, 0 or -1; a feature is `name`,
                 `name:number` or `field:name:number`; or tables with a header and a column `label` or `clicked`, whose
                 numbers with fractions are measured and all else categories; mode=online predicts each line of the
                 training file, then learns it
  stream         timestamped events; `sim` instead of a file: the simulated shop
  risk           as stream, with a flood of fresh accounts on one item: accounts=1000, each=1, hours=6, at_day=180,
                 after_days=7
  arms           no file: what an experiment estimates in simulated shops, whose arms learn together or separately;
                 treatment=popular|explore, shops=20, days=30
  search         items: a catalogue; test: judgments, rows `query,docid,rating`; model lexical (with encoder=DIR also by meaning)
  search-repair  no file: faults in the vocabulary of a simulated shop, and how many search repairs by itself;
                 visits=60000, items=2000
  pictures       items: a catalogue with labels; images=FOLDER or ARCHIVE.tar.zst (files called as the ids), encoder=DIR;
                 which of 2,500 items are nearest to each of 500, by image, title or both: the share with its label
  off-policy     train: a log with item_id, position, click, propensity_score, user_feature…; test: the log of the policy
                 to estimate; --model simulated needs no file (seeds=200, visits=4000)

Settings of the stream: unit=line|basket|day (where the history ends before a prediction), every=20 (one event in this
many is predicted), from_day=28, new_items=2..10 (only the second to tenth event of each item that comes
after from_day is predicted; every=1 then), shuffle=SEED, types=TYPE,…; mode=online|every:1000 (events)|every:1s|finetune:1d|
retrain:7d|reset:100000|frozen (when the models learn), of retraining also warm=true|false and epochs=auto|N; guard=false (whether
versions are made and tested, and undone); drift.boost=1 (the learning-rate multiplier after a change for the worse); of `sim` also sim.days,
sim.seed, sim.items, sim.shoppers, sim.visits (a day), sim.drift, sim.upheaval (days between changes of all tastes).

Settings of a search: typo=true|false (whether words are corrected), common=true|false (common synonyms), typos=SEED
(typing errors in the queries), queries=FILE
(`judged query TAB text to send` a line), synonyms=FILE; --predictions writes each query, --against compares with those of
another run, query by query. encoder=DIR compares meaning too, vectors=FILE keeps the vectors of items for the next run;
similarity=WEIGHT, floor=SIMILARITY and similar_items=N are those of `[search.similar]`. With several values (similarity=0,0.5,1) each
query is answered with what did best on the other folds of the queries. clicks=N simulates N searches with biased clicks, learned from
with and without a correction, of at most clicked_queries=N queries.

Settings of pictures: labels=FIELD,… (which labels are compared), seed=7 (which items are queries, gallery and others).

Settings of these protocols: on=test|validation, at=5,10,20 (lengths of lists); of leave-one-out also negatives=100,
seen=auto|keep|drop, refit=true (learn the validation items too). All others are the model's.
The same seed gives the same bytes, except under `cost`.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The protocol: user-items, leave-one-out, sessions, sampled, temporal, ratings, ctr, stream, risk, arms,
    /// off-policy, search, search-repair, pictures
    #[arg(long)]
    pub protocol: Option<String>,
    /// The models; `list` prints the models (those of --protocol) with their protocols, `auto` finds one on validation
    /// data. With a stream also `blend:MODEL`, `sequence:NETWORK`, `fitted:MODEL`, as in `accrue serve`
    #[arg(long = "model", required = true, value_name = "MODEL", num_args = 1.., value_delimiter = ',')]
    pub models: Vec<String>,
    /// The training file
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// The test file, for protocols that need one
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// Rows that decide when a click model has learned enough; without it a share of the training rows (holdout=0.1)
    #[arg(long, value_name = "FILE")]
    pub valid: Option<PathBuf>,
    /// Descriptions of the items
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// Descriptions of users for a stream: a file with a column or field `id`; all others are attributes
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// How the columns of a table become fields (TOML), as in `accrue ingest`
    #[arg(long, value_name = "FILE", conflicts_with = "map")]
    pub mapping: Option<PathBuf>,
    /// The same in short form: user=COLUMN,item=COLUMN,at=COLUMN,value=COLUMN
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    pub map: Option<String>,
    /// The columns of files that have no header
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// How long `--model auto` may take with everything, the final fit included: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub budget: Duration,
    /// Also write the report as a page with plots that opens offline
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Reports of other runs, as printed with --json, to compare with on that page
    #[arg(long, value_name = "FILE", requires = "html", num_args = 1..)]
    pub compare: Vec<PathBuf>,
    /// Also write each prediction, one per line: the list of each user as JSON (rows, if the name ends in .csv or .tsv)
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Predictions of another run of the same stream, to compare with, event by event: ratios with paired 95 %
    /// intervals
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Let the models of a stream begin with what a shop has learned: from=FOLDER, or from=FOLDER@VERSION of its versions
    #[arg(long, value_name = "from=FOLDER")]
    pub init: Option<TransferSource>,
    /// A setting of the model or the protocol; of several models, MODEL.KEY=VALUE is for one
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Settings: KEY=VALUE, as --set, or a file of them (TOML), or the report of an earlier run (JSON)
    #[arg(long, value_name = "FILE or KEY=VALUE", num_args = 1..)]
    pub settings: Vec<String>,
}

/// Fewer predictions than this say little: intervals are wide.
const FEW_PREDICTIONS: u64 = 300;

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if arguments.models == ["list"] {
        let mut models = evaluation::models();
        if let (Some(protocol), Value::Array(models)) = (&arguments.protocol, &mut models) {
            refuse_misspelt(protocol, &[])?;
            models.retain(|model| serves(model, protocol));
        }
        context.output.result(&models, evaluation_table::models)?;
        return Ok(Exit::Success);
    }
    let Some(protocol) = &arguments.protocol else {
        let hint = "`accrue evaluate --model list` prints the models with the protocols that they serve";
        return Err(Problem::new("--protocol is needed", hint).into());
    };
    refuse_misspelt(protocol, &arguments.models)?;
    let learns_nothing =
        [evaluation::ARMS, evaluation::SEARCH, evaluation::SEARCH_REPAIR, evaluation::PICTURES].contains(&&**protocol);
    let needs_no_file = arguments.models == [evaluation::SIMULATED] || learns_nothing;
    if arguments.train.is_none() && !needs_no_file {
        let hint =
            "name the file to learn from, such as --train ratings.csv; `accrue evaluate --help` has the forms of each";
        return Err(Problem::new(format!("--train is needed for the protocol {protocol}"), hint).into());
    }
    refuse_unused(protocol, &arguments)?;
    let request = request_of(protocol, &arguments, context.output)?;
    let reports = match evaluation::evaluate(&context.config.engine, &request, &progress_notes(context.output)) {
        Err(error) if says_too_little(&error) => {
            context.output.note(&format!("refused: {error}"));
            return Ok(Exit::Refused);
        }
        reports => reports?,
    };
    if let Some(page) = &arguments.html {
        write_page(page, &reports, &arguments)?;
    }
    for report in reports.iter().filter(|report| report["protocol"] == "stream") {
        if let Some(n_eval) = report["n_eval"].as_u64().filter(|&n_eval| n_eval < FEW_PREDICTIONS) {
            let has_all = report["settings"]["every"] == "1";
            let more = if has_all { "intervals are wide" } else { "--set every=1 predicts each one" };
            context.output.note(&format!("only {n_eval} events were predicted; {more}"));
        }
    }
    match &*reports {
        [report] => context.output.result(report, evaluation_table::of)?,
        reports => context.output.result(&reports, |reports| evaluation_table::of_several(reports))?,
    }
    for (what, file) in [("the page", &arguments.html), ("the predictions", &arguments.predictions)] {
        if let Some(file) = file.as_ref().filter(|_| !context.output.is_json()) {
            context.output.note(&format!("{what} is in {}", file.display()).replace("ions is", "ions are"));
        }
    }
    Ok(Exit::Success)
}

/// What is to be evaluated, with the settings of files before those of the command line.
fn request_of(protocol: &str, arguments: &Arguments, output: Output) -> anyhow::Result<Request> {
    let mut settings = Vec::new();
    for text in &arguments.settings {
        settings.extend(settings_in(text)?);
    }
    settings.extend(arguments.set.iter().cloned());
    Ok(Request {
        protocol: protocol.to_owned(),
        models: arguments.models.clone(),
        train: arguments.train.clone().unwrap_or_default(),
        test: arguments.test.clone(),
        valid: arguments.valid.clone(),
        mapping: mapping_of(arguments, output)?,
        named: match &arguments.map {
            Some(pairs) if [evaluation::SEARCH, evaluation::PICTURES].contains(&protocol) => {
                mapping_argument(pairs, RecordKind::Items)?
            }
            Some(pairs) => mapping_argument(pairs, RecordKind::Events)?,
            None => Mapping::default(),
        },
        columns: arguments.columns.clone(),
        items: arguments.items.clone(),
        users: arguments.users.clone(),
        budget: arguments.budget,
        predictions: arguments.predictions.clone(),
        against: arguments.against.clone(),
        settings,
    })
}

/// Whether a model of the list is for this protocol.
fn serves(model: &Value, protocol: &str) -> bool {
    model["protocols"].as_array().is_some_and(|protocols| protocols.iter().any(|known| known == protocol))
}

/// Refuses names that are probably misspelt ones of protocols and models. Others are refused where they are read.
fn refuse_misspelt(protocol: &str, models: &[String]) -> Result<(), Problem> {
    let all = evaluation::models();
    let listed = || all.as_array().into_iter().flatten();
    let names = |models: &mut dyn Iterator<Item = &Value>| -> BTreeSet<String> {
        models.filter_map(|model| model["model"].as_str().map(str::to_owned)).collect()
    };
    let protocols: BTreeSet<&str> = listed()
        .flat_map(|model| model["protocols"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let hint = "`accrue evaluate --protocol NAME --model list` prints the models of a protocol";
    if !protocols.contains(protocol)
        && let Some(near) = nearest(protocol, protocols.iter().copied())
    {
        return Err(Problem::new(format!("there is no protocol `{protocol}`; did you mean `{near}`?"), hint));
    }
    let known = names(&mut listed());
    let of_protocol = names(&mut listed().filter(|model| serves(model, protocol)));
    // `blend:gru` is a model in another one.
    for model in models.iter().filter(|model| !known.contains(*model) && *model != "auto" && !model.contains(':')) {
        if let Some(near) = nearest(model, of_protocol.iter().map(String::as_str)) {
            let message = format!("there is no model `{model}` for the protocol {protocol}; did you mean `{near}`?");
            return Err(Problem::new(message, hint));
        }
    }
    Ok(())
}

/// The mapping that was given, or that of a known system's export.
fn mapping_of(arguments: &Arguments, output: Output) -> anyhow::Result<Option<Mapping>> {
    let is_told = arguments.map.is_some() || arguments.columns.is_some();
    let is_table = arguments.protocol.as_deref() != Some(evaluation::CTR);
    Ok(match (&arguments.mapping, &arguments.train) {
        (Some(path), _) => Some(mapping_file(path, None)?),
        (None, Some(train)) if is_table && !is_told => recognised_events(train, output),
        (None, _) => None,
    })
}

/// Settings of protocols that an earlier report states beside those of its model.
const OF_PROTOCOLS: [&str; 9] = ["on", "seen", "at", "share", "negatives", "refit", "folds", "split", "types"];

/// `KEY=VALUE`, or the settings in a file.
fn settings_in(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let path = Path::new(text);
    if !path.is_file()
        && let Ok(pair) = setting(text)
    {
        return Ok(vec![pair]);
    }
    let content = read_text(path).with_context(|| format!("{text} cannot be read"))?;
    let is_json = content.trim_start().starts_with('{');
    let value: Value = if is_json {
        serde_json::from_str(&content).with_context(|| format!("{text} is no JSON"))?
    } else {
        toml::from_str(&content).with_context(|| format!("{text} is no TOML"))?
    };
    let is_report = value["protocol"].is_string() && value["settings"].is_object();
    let mut pairs = Vec::new();
    flatten("", if is_report { &value["settings"] } else { &value }, &mut pairs);
    if is_report {
        pairs.retain(|(key, value)| !OF_PROTOCOLS.contains(&&**key) && !value.is_empty());
    }
    Ok(pairs)
}

/// The leaves of nested tables, with names like `als.factors`.
fn flatten(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(_) => flatten(&key, value, pairs),
            Value::Array(values) => {
                let words: Vec<String> = values.iter().map(evaluation_table::word).collect();
                pairs.push((key, words.join(",")));
            }
            value => pairs.push((key, evaluation_table::word(value))),
        }
    }
}

/// Whether the data was read without a fault, but is not enough for an answer.
fn says_too_little(error: &anyhow::Error) -> bool {
    let too_few = |error: &LabError| matches!(error, LabError::OffPolicy(OffPolicyError::TooFewEffective { .. }));
    error.downcast_ref().is_some_and(too_few)
}

/// Writes the reports as a page, with those that they are compared with.
fn write_page(page: &Path, reports: &[Value], arguments: &Arguments) -> anyhow::Result<()> {
    let mut reports = reports.to_vec();
    for path in &arguments.compare {
        let name = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("{name} cannot be read"))?;
        let other: Value =
            serde_json::from_slice(&bytes).with_context(|| format!("{name} is not a report printed with --json"))?;
        match other {
            Value::Array(others) => reports.extend(others),
            other => reports.push(other),
        }
    }
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let run = accrue_lab::Run {
        command: command(std::env::args().skip(1)),
        files: [&arguments.train, &arguments.test].into_iter().flatten().filter_map(name).collect(),
    };
    std::fs::write(page, accrue_lab::html(&reports, &run))
        .with_context(|| format!("{} cannot be written", page.display()))
}

/// The command as it can be typed again.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let quoted = |argument: String| {
        let is_plain =
            argument.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c)) && !argument.is_empty();
        if is_plain { argument } else { format!("'{}'", argument.replace('\'', "'\\''")) }
    };
    std::iter::once("accrue".to_string()).chain(arguments.map(quoted)).collect::<Vec<_>>().join(" ")
}

/// `90s`, `10m`, `1h`, `7d`
pub(super) fn time(text: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected = Expected("a duration, such as 90s, 10m, 1h or 7d");
    parse_duration(text).ok_or(EXPECTED)
}

/// Refuses files that the protocol does not read.
fn refuse_unused(protocol: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let is_stream = matches!(protocol, "stream" | "risk");
    let is_simulated = matches!(protocol, evaluation::ARMS | evaluation::SEARCH_REPAIR);
    let reads_tables = !is_simulated;
    let predicts = reads_tables && !matches!(protocol, evaluation::OFF_POLICY | evaluation::PICTURES | "risk");
    let reads_items = matches!(protocol, evaluation::SEARCH | evaluation::PICTURES);
    let learns_nothing = is_simulated || reads_items;
    let unused = [
        ("--train", arguments.train.is_some() && learns_nothing),
        ("--test", arguments.test.is_some() && (is_stream || is_simulated || protocol == evaluation::PICTURES)),
        ("--valid", arguments.valid.is_some() && protocol != evaluation::CTR),
        ("--items", arguments.items.is_some() && !reads_items),
        ("--users", arguments.users.is_some() && protocol != "stream"),
        ("--mapping", arguments.mapping.is_some() && !reads_tables),
        ("--map", arguments.map.is_some() && !reads_tables),
        ("--columns", arguments.columns.is_some() && !reads_tables),
        ("--predictions", arguments.predictions.is_some() && !predicts),
        ("--against", arguments.against.is_some() && !matches!(protocol, "stream" | evaluation::SEARCH)),
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
