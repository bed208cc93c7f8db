//! The command line: verbs in the order of the data flow, results on stdout, everything else on stderr.
//!
//! In: arguments, `ACCRUE_*` variables, `accrue.toml`. Out: a table for people or JSON for machines, and an exit code:
//! 0 success, 1 refused, 2 failed. No verb has an algorithm: it calls the crate that does the work and prints the
//! result.

mod backup;
mod bench;
mod compact;
mod demo;
mod encode;
mod evaluate;
mod evaluation_table;
mod experiment;
mod export;
mod forget;
mod ingest;
mod init;
mod inspect;
mod inspect_why;
mod output;
mod problem;
mod quarantine;
mod replay;
mod report;
mod rollback;
mod search;
mod serve;
mod settings;
mod signals;
mod train;
mod tune_encoder;
mod unknown;
mod versions;
mod what_if;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use accrue_engine::Engine;
use accrue_http::Site;
use accrue_store::LogReader;
use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use toml::Value;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, Resolved, Sources};
use output::Output;

const EXAMPLES: &str = "\
Examples:
  accrue demo                                             a shop with simulated shoppers, to explore
  accrue serve                                            the server, on http://127.0.0.1:7171
  accrue ingest events.csv --map item=sku,user=customer   a file of events
  accrue inspect stats                                    the content of the data folder

Settings come from flags, then ACCRUE_* variables (ACCRUE_DATA, ACCRUE_SEED, ACCRUE_LEARN_HISTORY_CAPACITY, …),
then accrue.toml; `accrue config` shows each with its origin.
Exit codes: 0 success, 1 refused, 2 failed.";

/// A search and recommendation server for shops that learns from every event as it happens.
#[derive(Debug, Parser)]
#[command(name = "accrue", version, after_long_help = EXAMPLES, disable_help_subcommand = false)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// The heading of flags that every verb has, so that they do not stand between those of the verb.
const ALL_COMMANDS: &str = "Options of all commands";

/// Flags that every verb has.
#[derive(Debug, clap::Args)]
struct Global {
    /// The data folder [default: accrue-data] [env: ACCRUE_DATA]
    #[arg(long, global = true, help_heading = ALL_COMMANDS, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The server that holds the log, in place of the data folder: postgres://… or mysql://… [env: ACCRUE_STORE_URL]
    #[arg(long, global = true, help_heading = ALL_COMMANDS, value_name = "URL")]
    store: Option<String>,
    /// The configuration file [default: accrue.toml, if it is there] [env: ACCRUE_CONFIG]
    #[arg(long, global = true, help_heading = ALL_COMMANDS, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The seed of all random numbers [env: ACCRUE_SEED]
    #[arg(long, global = true, help_heading = ALL_COMMANDS, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Print results as JSON
    #[arg(long, global = true, help_heading = ALL_COMMANDS, env = "ACCRUE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    /// Print no progress and no notes
    #[arg(short, long, global = true, help_heading = ALL_COMMANDS, env = "ACCRUE_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
    /// What is logged to stderr: error, warn, info, debug, trace, or a list such as warn,accrue=debug
    #[arg(long, global = true, help_heading = ALL_COMMANDS, value_name = "LEVEL", env = "ACCRUE_LOG")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a configuration file to begin with, with new keys
    Init(init::Arguments),
    /// Fill a shop with simulated shoppers and serve it, to explore
    Demo(demo::Arguments),
    /// Serve recommendations and search over HTTP
    Serve(serve::Arguments),
    /// Read files of events, products or customers
    Ingest(ingest::Arguments),
    /// List, release or drop refused records
    Quarantine(quarantine::Arguments),
    /// Show items, users, records, checkpoints, checksums, figures
    Inspect(inspect::Arguments),
    /// List, compare and restore versions of the models; release records that were undone
    Versions(versions::Arguments),
    /// Undo a version: restore the good one before it
    Rollback(rollback::Arguments),
    /// Train a challenger on the log; promote it if it is no worse than the current model
    Train(train::Arguments),
    /// Build all derived state again from the log alone
    Replay(replay::Arguments),
    /// Measure a model under a protocol on files
    Evaluate(evaluate::Arguments),
    /// Turn texts into vectors, one per line
    Encode(encode::Arguments),
    /// Train an encoder of texts on what shoppers searched, chose and bought
    TuneEncoder(tune_encoder::Arguments),
    /// Show the results of an experiment's arms
    Experiment(experiment::Arguments),
    /// Judge settings on the log before they are switched on
    WhatIf(what_if::Arguments),
    /// Report what shoppers search for, and what came of it
    Report(report::Arguments),
    /// List, accept or reject what search proposes to repair in itself
    Search(search::Arguments),
    /// Write events, the catalogue or recommendations as NDJSON
    Export(export::Arguments),
    /// Erase a person from the log and from all that was learned
    Forget(forget::Arguments),
    /// Remove records from the log that are older than the settings keep them
    Compact(compact::Arguments),
    /// Copy the data folder while it is in use
    Backup(backup::BackupArguments),
    /// Restore a backup
    Restore(backup::RestoreArguments),
    /// Measure this build on this machine
    Bench(bench::Arguments),
    /// Show every setting and where it came from
    Config,
}

/// How a verb ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It did what was requested.
    Success,
    /// Something was refused (exit code 1).
    Refused,
    /// Stopped by Ctrl-C before its end (exit code 130, as shells have it).
    Stopped,
}

impl From<Exit> for ExitCode {
    fn from(ending: Exit) -> Self {
        match ending {
            Exit::Success => ExitCode::SUCCESS,
            Exit::Refused => ExitCode::from(1),
            Exit::Stopped => ExitCode::from(130),
        }
    }
}

/// What every verb works with.
struct Context {
    config: Config,
    output: Output,
}

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            suggest_verb(&mut error);
            print_fault(&error);
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    match run(cli) {
        Ok(ending) => ending.into(),
        // The reader of the output has closed it.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let message = problem::report(&error);
            output::note(&message);
            ExitCode::from(2)
        }
    }
}

/// Other names under which a verb may be sought, with what there is.
const OTHER_NAMES: [(&str, &str); 14] = [
    ("recommend", "export recommendations"),
    ("recommendations", "export recommendations"),
    ("events", "export events"),
    ("catalogue", "export catalogue"),
    ("stats", "inspect stats"),
    ("status", "inspect stats"),
    ("item", "inspect item"),
    ("user", "inspect user"),
    ("why", "inspect why"),
    ("digest", "inspect digest"),
    ("import", "ingest"),
    ("load", "ingest"),
    ("start", "serve"),
    ("verify", "replay --verify"),
];

/// Names the verb that is meant, where none of the program's own is spelt nearly like what was given. What clap takes for
/// near has often little in common with it.
fn suggest_verb(error: &mut clap::Error) {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() != ErrorKind::InvalidSubcommand {
        return;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let command = <Cli as clap::CommandFactory>::command();
    if accrue_event::nearest(given, command.get_subcommands().map(clap::Command::get_name)).is_some() {
        return;
    }
    let near = accrue_event::nearest(given, OTHER_NAMES.iter().map(|(name, _)| *name));
    if let Some((_, verb)) = OTHER_NAMES.iter().find(|(name, _)| Some(*name) == near) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![(*verb).to_owned()]));
    }
}

/// What the standard library says of a number that cannot be read, and what a person is told.
const NOT_A_NUMBER: [(&str, &str); 5] = [
    ("invalid digit found in string", "it must be a whole number"),
    ("cannot parse integer from empty string", "it must be a whole number"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
    ("invalid float literal", "it must be a number"),
];

/// Prints what is wrong with the arguments.
fn print_fault(error: &clap::Error) {
    let plain = error.render().to_string();
    match NOT_A_NUMBER.iter().find(|(told, _)| plain.contains(told)) {
        Some((told, meant)) => output::note(plain.replace(told, meant).trim_end()),
        // If this cannot be printed, there is nowhere to report it.
        None => drop(error.print()),
    }
}

/// Lines of the log that may wait to be written.
const LOG_LINES: usize = 8_192;

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { mut global, verb } = cli;
    // An empty variable is not set, as Compose files leave it where a value is missing.
    let of_environment = || std::env::var_os("ACCRUE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    global.config = global.config.or_else(of_environment);
    let default_log = if matches!(verb, Verb::Serve(_)) { "info" } else { "warn" };
    let _flushed_at_the_end = start_log(global.log.as_deref().unwrap_or(default_log))?;
    if let Verb::Init(arguments) = &verb {
        // Before the settings are read, because the file that holds them is not there yet.
        return init::run(global.config.as_deref(), arguments, Output::new(global.json, global.quiet));
    }
    let resolved = Resolved::load(&sources(&global, &verb))?;
    if !resolved.passed_over.is_empty() {
        tracing::warn!(variables = resolved.passed_over.join(", "), "variables that name no setting were passed over");
    }
    let output = Output::new(global.json, global.quiet);
    if let Verb::Config = verb {
        return settings::run(&resolved, output);
    }
    let site = Site { settings: settings::shown(&resolved), storefront: None };
    let mut config = resolved.config;
    if let Verb::Demo(_) | Verb::Bench(_) | Verb::Encode(_) = verb {
        // They make shops of their own, or read none: a shop's log is not for them.
        config.engine.store.url = Default::default();
    }
    match &verb {
        Verb::Evaluate(arguments) => {
            if let Some(source) = &arguments.init {
                accrue_engine::evaluate_from(source, &mut config.engine)?;
            }
        }
        Verb::Serve(serve::Arguments { init: Some(source), .. })
        | Verb::Ingest(ingest::Arguments { init: Some(source), .. }) => {
            accrue_engine::begin_from(source, &config.data, &mut config.engine)?;
        }
        _ => accrue_engine::take_up_parts(&config.data, &mut config.engine)?,
    }
    let context = Context { config, output };
    match verb {
        Verb::Demo(arguments) => demo::run(context, site, arguments),
        Verb::Serve(_) => serve::run(context, site),
        Verb::Ingest(arguments) => ingest::run(context, arguments),
        Verb::Quarantine(arguments) => quarantine::run(context, arguments),
        Verb::Inspect(arguments) => inspect::run(context, arguments),
        Verb::Versions(arguments) => versions::run(context, arguments),
        Verb::Rollback(arguments) => rollback::run(context, arguments),
        Verb::Train(arguments) => train::run(context, arguments),
        Verb::Replay(arguments) => replay::run(context, arguments),
        Verb::Forget(arguments) => forget::run(context, arguments),
        Verb::Evaluate(arguments) => evaluate::run(context, arguments),
        Verb::Encode(arguments) => encode::run(&context, &arguments),
        Verb::TuneEncoder(arguments) => tune_encoder::run(&context, &arguments),
        Verb::Experiment(arguments) => experiment::run(context, arguments),
        Verb::WhatIf(arguments) => what_if::run(context, arguments),
        Verb::Report(arguments) => report::run(context, arguments),
        Verb::Search(arguments) => search::run(context, arguments),
        Verb::Export(arguments) => export::run(context, arguments),
        Verb::Compact(arguments) => compact::run(context, arguments),
        Verb::Backup(arguments) => backup::backup(context, arguments),
        Verb::Restore(arguments) => backup::restore(context, arguments),
        Verb::Bench(arguments) => bench::run(context, arguments),
        Verb::Init(_) | Verb::Config => unreachable!("answered above"),
    }
}

/// The layers of settings, with the flags that are settings.
fn sources(global: &Global, verb: &Verb) -> Sources {
    let mut flags = Vec::new();
    if let Some(dir) = &global.data {
        flags.push(("data", Value::String(dir.to_string_lossy().into_owned()), "--data"));
    }
    if let Some(url) = &global.store {
        flags.push(("store.url", Value::String(url.clone()), "--store"));
    }
    if let Some(seed) = global.seed {
        flags.push(("learn.seed", Value::Integer(seed as i64), "--seed"));
    }
    let listen = match verb {
        Verb::Serve(arguments) => arguments.listen.as_ref(),
        Verb::Demo(arguments) => arguments.listen.as_ref(),
        _ => None,
    };
    flags.extend(listen.map(|listen| ("http.listen", Value::String(listen.clone()), "--listen")));
    if let Verb::Serve(serve::Arguments { model: Some(model), .. }) = verb {
        let text = |value: &str| Value::String(value.into());
        flags.extend(model.settings().into_iter().map(|(key, value)| (key, text(value), "--model")));
    }
    let environment =
        std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    Sources { file: global.config.clone(), environment: environment.collect(), flags }
}

/// Starts the log on stderr. A thread of its own writes the lines, because stderr may be a pipe: a reader that is slow must not hold up an
/// answer, and one that is gone must not end it. Lines beyond [`LOG_LINES`] that wait are dropped.
fn start_log(filter: &str) -> anyhow::Result<WorkerGuard> {
    let wrong = |fault: String| {
        let hint = "use error, warn, info, debug, trace, or a list such as warn,accrue=debug";
        problem::Problem::new(format!("--log {filter}: {fault}"), hint)
    };
    let targets: Targets = filter.parse().map_err(|error: ParseError| wrong(error.to_string()))?;
    // A misspelt level would be read as the name of a module, of which everything is logged, and of all others nothing.
    let is_level = |part: &&str| part.contains('=') || part.parse::<LevelFilter>().is_ok() || part.contains("accrue");
    if let Some(part) = filter.split(',').map(str::trim).find(|part| !part.is_empty() && !is_level(part)) {
        return Err(wrong(format!("{part:?} is no level")).into());
    }
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES).finish(io::stderr());
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(writer).with_ansi(false);
    // Without this, a line that cannot be written is reported on stderr, and fails there again.
    log.log_internal_errors(false).finish().with(targets).init();
    Ok(guard)
}

/// Opens the engine over a folder that has a log: a mistyped folder is not created.
fn engine_of(context: &Context) -> anyhow::Result<Engine> {
    LogReader::open(context.config.log_place())?;
    Ok(Engine::open(&context.config.data, &context.config.engine)?)
}

/// An id on the command line in the form that the check gives to the ids of records.
fn id_as_in_records(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(accrue_event::clean_id(text).into_owned())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let json = cause.downcast_ref::<serde_json::Error>();
        cause.downcast_ref::<io::Error>().is_some_and(is_pipe)
            || json.and_then(serde_json::Error::io_error_kind) == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_are_accepted_before_and_after_the_verb() {
        for arguments in [
            ["accrue", "--json", "--seed", "7", "inspect", "stats"],
            ["accrue", "inspect", "stats", "--seed", "7", "--json"],
        ] {
            let cli = Cli::try_parse_from(arguments).unwrap();
            assert_eq!((cli.global.json, cli.global.seed), (true, Some(7)), "{arguments:?}");
        }
    }

    #[test]
    fn a_verb_under_another_name_is_told() {
        for (given, verb) in [
            ("recomend", "export recommendations"),
            ("verify", "replay --verify"),
            ("srve", "serve"),
            ("status", "inspect stats"),
        ] {
            let mut error = Cli::try_parse_from(["accrue", given]).unwrap_err();
            suggest_verb(&mut error);
            assert!(error.to_string().contains(&format!("'{verb}'")), "{given}: {error}");
        }
    }

    #[test]
    fn flags_become_settings() {
        let cli = Cli::try_parse_from(["accrue", "serve", "--listen", "127.0.0.1:0", "--data", "shop"]).unwrap();
        let sources = sources(&cli.global, &cli.verb);
        let keys: Vec<_> = sources.flags.iter().map(|(key, _, flag)| (*key, *flag)).collect();
        assert_eq!(keys, [("data", "--data"), ("http.listen", "--listen")]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let cases: [&[&str]; 5] = [
            &["accrue"],
            &["accrue", "ingest"],
            &["accrue", "train"],
            &["accrue", "--seed", "-1", "serve"],
            &["accrue", "export", "recommendations", "-n", "0"],
        ];
        for arguments in cases {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
