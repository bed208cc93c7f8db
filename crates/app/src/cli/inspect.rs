//! `accrue inspect`: reads the data folder without changing it, also beside a running server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use accrue_event::{ItemId, Shopper, UserId};
use accrue_store::{CatalogueEntry, Checkpoint, LogReader, Offset, PastEvent};
use accrue_train::{Quality, Recovered, recover};
use serde::Serialize;
use serde_json::json;

use super::output::{columns, count};
use super::problem::Problem;
use super::unknown::{unknown_item, unknown_user};
use super::{Context, Exit, inspect_why};

const EXAMPLES: &str = "\
Examples:
  accrue inspect stats
  accrue inspect item sku-9
  accrue inspect user u1 --json
  accrue inspect why u1 sku-9
  accrue inspect offset 1042
  accrue inspect digest --at 1000000 --json
  accrue inspect checkpoint";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// An item as the catalogue has it
    Item {
        /// Its id
        #[arg(value_parser = super::id_as_in_records)]
        id: String,
    },
    /// A user and their latest events
    User {
        /// Their id
        #[arg(value_parser = super::id_as_in_records)]
        id: String,
    },
    /// A record of the log
    Offset {
        /// Its offset
        n: u64,
    },
    /// What a checkpoint holds, with every checksum compared
    Checkpoint {
        /// The file [default: the newest of the data folder]
        file: Option<PathBuf>,
    },
    /// Checksums of the log and of every state derived from it
    Digest {
        /// Before this record [default: the end of the log]
        #[arg(long, value_name = "OFFSET")]
        at: Option<u64>,
    },
    /// Why an item stands where it does for a user, and where it would stand without each cited event
    Why(inspect_why::Arguments),
    /// Counts, and how well the models predict what happens next
    Stats,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.what {
        What::Item { id } => item(&context, &id)?,
        What::User { id } => user(&context, &id)?,
        What::Offset { n } => offset(&context, n)?,
        What::Checkpoint { file } => checkpoint(&context, file)?,
        What::Digest { at } => digest(&context, at)?,
        What::Why(arguments) => inspect_why::run(&context, arguments)?,
        What::Stats => stats(&context)?,
    }
    Ok(Exit::Success)
}

/// Both folds as the data folder has them: the facts at the log's end, the learner at the newest checkpoint.
pub(super) fn recovered(context: &Context) -> anyhow::Result<(LogReader, Recovered)> {
    let Context { config, output } = context;
    let mut log = LogReader::open(config.log_place())?;
    let (settings, end) = (accrue_engine::learn_settings(&config.engine), log.end());
    let recovered = recover(&mut log, &accrue_engine::checkpoints_in(&config.data), &settings, end, true)?;
    recovered.warnings().iter().for_each(|warning| output.note(&format!("warning: {warning}")));
    Ok((log, recovered))
}

fn item(context: &Context, id: &str) -> anyhow::Result<()> {
    let (_, recovered) = recovered(context)?;
    let entry = recovered.facts.find(&ItemId::from(id)).ok_or_else(|| unknown_item(&recovered.facts, id))?;
    let CatalogueEntry { item, described, retired } = &**entry;
    print_fields(context, &json!({ "item": item, "described": described, "retired": retired }))
}

fn user(context: &Context, id: &str) -> anyhow::Result<()> {
    let (_, recovered) = recovered(context)?;
    let facts = &recovered.facts;
    let known = UserId::from(id);
    let user = facts.user(&known).ok_or_else(|| unknown_user(facts, id))?;
    let history = facts.shopper(&Shopper::User(known)).map(|shopper| facts.histories.get(shopper)).unwrap_or_default();
    let event = |past: &PastEvent| {
        json!({
            "type": facts.type_of(past.type_code),
            "item": facts.items.name(past.item),
            "at": accrue_event::Timestamp(past.at_ms()),
            "value": past.value(),
        })
    };
    print_fields(context, &json!({ "user": user, "events": history.past().iter().map(event).collect::<Vec<_>>() }))
}

fn offset(context: &Context, n: u64) -> anyhow::Result<()> {
    let mut log = LogReader::open(context.config.log_place())?;
    let (start, end) = (log.start(), log.end());
    let record = log.get(Offset(n))?.ok_or_else(|| {
        Problem::new(format!("there is no record at {n}"), format!("the log holds {start} up to, not including, {end}"))
    })?;
    let record = json!({ "offset": record.offset, "received_at": record.received_at, "body": record.body });
    print_fields(context, &record)
}

fn checkpoint(context: &Context, file: Option<PathBuf>) -> anyhow::Result<()> {
    let checkpoint = match file {
        Some(file) => {
            if !file.is_file() {
                let hint = "name a file of a folder `checkpoints`, or none for the newest of the data folder";
                return Err(Problem::new(format!("{}: there is no such file", file.display()), hint).into());
            }
            Checkpoint::open(&file)?
        }
        None => {
            LogReader::open(context.config.log_place())?;
            let found = accrue_engine::checkpoints_in(&context.config.data).newest()?;
            let found = found.ok_or_else(|| {
                Problem::new(
                    "there is no checkpoint yet",
                    "one is written when a server or an ingest ends, and at intervals between",
                )
            })?;
            found.skipped.iter().for_each(|skipped| context.output.note(&format!("warning: {skipped}")));
            found.checkpoint
        }
    };
    checkpoint.verify()?;
    let sections: BTreeMap<&str, u64> = checkpoint.sections().collect();
    let header = checkpoint.header();
    let shown = json!({
        "file": checkpoint.path(),
        "offset": header.offset,
        "seed": header.seed,
        "instruction_set": header.instruction_set,
        "build": header.build,
        "section_bytes": sections,
        "file_bytes": std::fs::metadata(checkpoint.path())?.len(),
        "refers_to": checkpoint.bases().collect::<Vec<_>>(),
        "sound": true,
    });
    print_fields(context, &shown)
}

fn digest(context: &Context, at: Option<u64>) -> anyhow::Result<()> {
    let digest = accrue_engine::digest(&context.config.data, &context.config.engine, at.map(Offset))?;
    context.output.result(&digest, |digest| {
        let mut rows = vec![vec!["offset".into(), digest.offset.to_string()]];
        rows.push(vec!["log".into(), digest.log.clone()]);
        rows.push(vec!["state".into(), digest.state.clone()]);
        rows.extend(digest.parts.iter().map(|(name, digest)| vec![format!("  {name}"), digest.clone()]));
        columns(&rows)
    })
}

#[derive(Serialize)]
struct Stats {
    offset: u64,
    log_start: u64,
    checkpoint: Option<u64>,
    learned: u64,
    items: usize,
    items_unknown: u64,
    users: usize,
    shoppers: usize,
    accepted: u64,
    repaired: u64,
    duplicates: u64,
    quarantined: u64,
    in_quarantine: usize,
    repairs: BTreeMap<Box<str>, u64>,
    reasons: BTreeMap<Box<str>, u64>,
    /// How far each source was read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<Box<str>, Box<str>>,
    quality: Quality,
}

fn stats(context: &Context) -> anyhow::Result<()> {
    let (log, recovered) = recovered(context)?;
    let facts = &recovered.facts;
    let stats = Stats {
        offset: facts.end.0,
        log_start: log.start().0,
        checkpoint: recovered.checkpoint.map(|offset| offset.0),
        learned: recovered.learner.end().0,
        items: facts.entries().len(),
        items_unknown: facts.overview().n_unknown(),
        users: facts.user_names().count(),
        shoppers: facts.shoppers.len(),
        accepted: facts.counters.accepted,
        repaired: facts.counters.repaired,
        duplicates: facts.duplicates.iter().sum(),
        quarantined: facts.counters.n_quarantined(),
        in_quarantine: facts.quarantine.len(),
        repairs: facts.counters.repairs.clone(),
        reasons: facts.counters.quarantined.clone(),
        sources: facts.sources.clone(),
        quality: recovered.learner.quality().clone(),
    };
    context.output.result(&stats, stats_table)
}

fn stats_table(stats: &Stats) -> String {
    let quality = &stats.quality;
    let mut rows = vec![
        vec!["records in the log".into(), count(stats.offset - stats.log_start)],
        vec!["learned from, at the last checkpoint".into(), count(stats.learned)],
        vec!["items".into(), count(stats.items as u64)],
        vec!["  that only events name".into(), count(stats.items_unknown)],
        vec!["users".into(), count(stats.users as u64)],
        vec!["users and guests".into(), count(stats.shoppers as u64)],
        vec!["events accepted".into(), count(stats.accepted)],
        vec!["events repaired".into(), count(stats.repaired)],
    ];
    rows.extend(stats.repairs.iter().map(|(code, n)| vec![format!("  {code}"), count(*n)]));
    rows.push(vec!["duplicates".into(), count(stats.duplicates)]);
    rows.push(vec!["quarantined".into(), count(stats.quarantined)]);
    rows.extend(stats.reasons.iter().map(|(code, n)| vec![format!("  {code}"), count(*n)]));
    rows.push(vec!["in quarantine now".into(), count(stats.in_quarantine as u64)]);
    rows.extend(stats.sources.iter().map(|(name, position)| vec![format!("read of {name}"), position.to_string()]));
    rows.push(vec!["predicted among 20, of all".into(), format!("{:.4}", quality.all.hit_rate())]);
    rows.push(vec!["predicted among 20, lately".into(), format!("{:.4}", quality.recent_hit_rate)]);
    columns(&rows)
}

/// An object: one line as JSON, else indented for people.
fn print_fields(context: &Context, value: &serde_json::Value) -> anyhow::Result<()> {
    context.output.result(value, |value| serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()))
}
