//! `accrue versions`: the versions of the models, their standing with the guard, and what was undone.

use accrue_engine::{Engine, Versions};
use accrue_store::Offset;
use accrue_train::VersionEntry;
use serde_json::json;

use super::output::{columns, count};
use super::{Context, Exit, inspect};

const EXAMPLES: &str = "\
Examples:
  accrue versions                    all of them, and which one answers
  accrue versions compare 12 17      what differs
  accrue versions promote 12         restore version 12 (the server must be stopped)
  accrue versions release 48211      learn the suspect records from 48211 on (the server must be stopped)

For a running server, use GET /v1/versions and POST /v1/versions/12/promote. A state that is no longer kept can be built
again with `accrue replay --to OFFSET`, if the log still has its records.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All versions
    List,
    /// Compare two versions
    Compare {
        /// One
        a: u64,
        /// The other
        b: u64,
    },
    /// Restore a version whose state is kept
    Promote {
        /// Its number
        version: u64,
        /// A note for the list of versions
        #[arg(long, value_name = "TEXT", default_value = "an operator chose it")]
        why: String,
    },
    /// Release suspect records, which are then learned
    Release {
        /// The first record of the window
        from: u64,
    },
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.what.unwrap_or(What::List) {
        What::List => context.output.result(&versions(&context)?, table)?,
        What::Compare { a, b } => compare(&context, a, b)?,
        What::Promote { version, why } => {
            let versions = on_engine(&context, |engine| Ok(engine.promote(version, &why)?))?;
            context.output.result(&versions, table)?;
        }
        What::Release { from } => {
            let versions = on_engine(&context, |engine| Ok(engine.release_window(Offset(from))?))?;
            context.output.result(&versions, table)?;
        }
    }
    Ok(Exit::Success)
}

/// The versions of the data folder.
fn versions(context: &Context) -> anyhow::Result<Versions> {
    let (mut log, mut recovered) = inspect::recovered(context)?;
    recovered.catch_up(&mut log)?;
    Ok(Versions::of(&recovered.learner))
}

fn on_engine<T>(context: &Context, act: impl FnOnce(&Engine) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let engine = super::engine_of(context)?;
    engine.wait_until_learned();
    let outcome = act(&engine);
    engine.close()?;
    outcome
}

/// All versions as a table.
pub(super) fn table(all: &Versions) -> String {
    let head = ["version", "parent", "records", "status", "ndcg@20", "good's", "anchors", "good's", "kept", "why"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(all.versions.iter().map(|entry| {
        let ndcg = |ndcg: f64| if entry.examined == 0 { "-".into() } else { format!("{ndcg:.3}") };
        let serving = if entry.number == all.serving { "*" } else { "" };
        vec![
            format!("{}{serving}", entry.number),
            entry.parent.to_string(),
            format!("{}..{}", entry.begun, entry.offset),
            entry.status.name().into(),
            ndcg(entry.ndcg),
            ndcg(entry.ndcg_of_good),
            ndcg(entry.holdout_ndcg),
            ndcg(entry.holdout_ndcg_of_good),
            if all.kept.contains(&entry.number) { "yes" } else { "" }.into(),
            entry.why.to_string(),
        ]
    }));
    let mut text = columns(&rows);
    text.push_str(&format!(
        "* answers{}; {} automatic rollbacks\n",
        if all.on_probation { ", because the current version is on probation after the rollback" } else { "" },
        all.alarms
    ));
    let challengers = &all.challenger;
    if let Some(last) = &challengers.last {
        let verdict = if last.promoted { "promoted" } else { "refused" };
        let (promoted, refused) = (count(challengers.n_promoted), count(challengers.n_refused));
        text.push_str(&format!(
            "challengers: {promoted} promoted, {refused} refused; the last {verdict} at {}: {}\n",
            last.offset, last.why
        ));
    }
    for window in &all.suspect {
        let state = if window.released { "released" } else { "suspect" };
        text.push_str(&format!("records {}..{} {state}: {}\n", window.from, window.to, window.why));
    }
    text
}

fn compare(context: &Context, a: u64, b: u64) -> anyhow::Result<()> {
    let all = versions(context)?;
    let (a, b) = (all.version(a)?, all.version(b)?);
    let records = a.offset.0.abs_diff(b.offset.0);
    let same_settings = a.settings == b.settings;
    let value = json!({ "a": a, "b": b, "records_between": records, "same_settings": same_settings });
    context.output.result(&value, |_| {
        let of = |name: &str, field: fn(&VersionEntry) -> String| vec![name.to_string(), field(a), field(b)];
        let rows = [
            of("version", |entry| entry.number.to_string()),
            of("parent", |entry| entry.parent.to_string()),
            of("records learned", |entry| count(entry.offset.0)),
            of("status", |entry| entry.status.name().into()),
            of("why", |entry| entry.why.to_string()),
            of("build", |entry| entry.build.to_string()),
            of("settings", |entry| entry.settings.to_string()),
            of("choices tested", |entry| count(entry.examined)),
            of("ndcg@20", |entry| format!("{:.4}", entry.ndcg)),
            of("ndcg@20 of the good version", |entry| format!("{:.4}", entry.ndcg_of_good)),
            of("ndcg@20 on the holdout", |entry| format!("{:.4}", entry.holdout_ndcg)),
            of("… of the good version", |entry| format!("{:.4}", entry.holdout_ndcg_of_good)),
        ];
        columns(&rows)
    })
}
