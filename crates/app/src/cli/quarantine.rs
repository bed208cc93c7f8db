//! `accrue quarantine`: refused records, to inspect, to release after a change of the rules, or to drop.

use std::collections::BTreeMap;

use accrue_engine::{Engine, Ingested};
use accrue_event::{RecordKind, Timestamp};
use accrue_store::{Body, LogReader, Offset};
use serde::Serialize;

use super::output::{columns, count};
use super::problem::Problem;
use super::{Context, Exit, inspect};

const EXAMPLES: &str = "\
Examples:
  accrue quarantine list                        the latest, and how many of each reason
  accrue quarantine list --reason far_future
  accrue quarantine show 1042                   the record as it was sent
  accrue quarantine release 1042 1043           check again under the current rules
  accrue quarantine release --reason no_price   all of a reason
  accrue quarantine drop --reason malformed     delete";

/// Records sent to the engine at once.
const BATCH: usize = 1000;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Records in quarantine
    List {
        /// Only those of this reason
        #[arg(long)]
        reason: Option<String>,
        /// At most this many, the latest
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One record as it was sent
    Show {
        /// Its offset in the log
        offset: u64,
    },
    /// Check records again under the current rules, and accept those that pass
    Release(Selection),
    /// Delete records
    Drop(Selection),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Selection {
    /// Offsets in the log
    offsets: Vec<u64>,
    /// All records of this reason
    #[arg(long)]
    reason: Option<String>,
}

/// A refused record.
#[derive(Clone, Debug, Serialize)]
struct Refusal {
    offset: u64,
    received_at: Timestamp,
    kind: RecordKind,
    reason: Box<str>,
    detail: Box<str>,
    raw: Box<str>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.what {
        What::List { reason, limit } => list(&context, reason.as_deref(), limit),
        What::Show { offset } => show(&context, offset),
        What::Release(selection) => release(&context, selection),
        What::Drop(selection) => drop_selected(&context, selection),
    }
}

fn refusal(log: &mut LogReader, offset: Offset) -> anyhow::Result<Option<Refusal>> {
    Ok(log.get(offset)?.and_then(|record| match record.body {
        Body::Quarantined { kind, reason, detail, raw, .. } => {
            Some(Refusal { offset: offset.0, received_at: record.received_at, kind, reason, detail, raw })
        }
        _ => None,
    }))
}

fn list(context: &Context, reason: Option<&str>, limit: usize) -> anyhow::Result<Exit> {
    let (mut log, recovered) = inspect::recovered(context)?;
    let held = recovered.facts.quarantine;
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    held.values().for_each(|reason| *reasons.entry(reason).or_default() += 1);
    let mut records = Vec::new();
    for (offset, _) in held.iter().rev().filter(|(_, held)| reason.is_none_or(|reason| *reason == ***held)).take(limit)
    {
        records.extend(refusal(&mut log, *offset)?);
    }
    context.output.result(&serde_json::json!({ "reasons": reasons, "records": records }), |_| {
        if held.is_empty() {
            return "the quarantine is empty".into();
        }
        let mut rows = vec![["offset", "sent as", "reason", "what", "record"].map(String::from).to_vec()];
        rows.extend(records.iter().map(|record| {
            let Refusal { offset, kind, reason, detail, raw, .. } = record;
            vec![offset.to_string(), kind.name().into(), reason.to_string(), cut(detail, 60), cut(raw, 80)]
        }));
        let totals: Vec<Vec<String>> = reasons.iter().map(|(reason, n)| vec![(*reason).into(), count(*n)]).collect();
        format!("{}\n{}", columns(&totals), columns(&rows))
    })?;
    Ok(Exit::Success)
}

fn show(context: &Context, offset: u64) -> anyhow::Result<Exit> {
    let mut log = LogReader::open(context.config.log_place())?;
    let record = refusal(&mut log, Offset(offset))?.ok_or_else(|| {
        let hint = "`accrue quarantine list` shows their offsets";
        Problem::new(format!("record {offset} is not a refused one"), hint)
    })?;
    context.output.result(&record, |record| {
        let Refusal { offset, received_at, kind, reason, detail, raw } = record;
        format!("{offset}  {kind}  received {received_at}\n{reason}: {detail}\n{raw}", kind = kind.name())
    })?;
    Ok(Exit::Success)
}

/// The offsets that a selection means.
fn selected(context: &Context, selection: Selection) -> anyhow::Result<Vec<Offset>> {
    if !selection.offsets.is_empty() {
        return Ok(selection.offsets.into_iter().map(Offset).collect());
    }
    let held = inspect::recovered(context)?.1.facts.quarantine.into_iter();
    Ok(held.filter(|(_, reason)| selection.reason.as_deref() == Some(reason)).map(|(offset, _)| offset).collect())
}

/// Runs `work` on an open engine and closes it again, whether the work succeeds or not.
fn with_engine<T>(context: &Context, work: impl AsyncFnOnce(&Engine) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = super::engine_of(context)?;
    let worked = runtime.block_on(work(&engine));
    engine.close()?;
    worked
}

fn release(context: &Context, selection: Selection) -> anyhow::Result<Exit> {
    let offsets = selected(context, selection)?;
    let (total, reasons) = with_engine(context, async |engine| {
        let mut total = Ingested::default();
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for batch in offsets.chunks(BATCH) {
            let released = engine.release(batch.to_vec()).await?;
            total.accepted += released.accepted;
            total.repaired += released.repaired;
            total.duplicates += released.duplicates;
            total.offset = released.offset;
            released.quarantined.iter().for_each(|refused| *reasons.entry(refused.reason.clone()).or_default() += 1);
        }
        Ok((total, reasons))
    })?;
    let refused: u64 = reasons.values().sum();
    let result = serde_json::json!({
        "asked": offsets.len(),
        "accepted": total.accepted,
        "repaired": total.repaired,
        "duplicates": total.duplicates,
        "quarantined": reasons,
        "offset": total.offset,
    });
    context.output.result(&result, |_| {
        let let_in = count(total.accepted + total.repaired);
        format!("{let_in} accepted, {} known already, {} still refused", count(total.duplicates), count(refused))
    })?;
    Ok(if refused > 0 && total.accepted + total.repaired == 0 { Exit::Refused } else { Exit::Success })
}

fn drop_selected(context: &Context, selection: Selection) -> anyhow::Result<Exit> {
    let offsets = selected(context, selection)?;
    let dropped = with_engine(context, async |engine| {
        let mut dropped = 0;
        for batch in offsets.chunks(BATCH) {
            dropped += engine.drop_quarantined(batch.to_vec()).await?;
        }
        Ok(dropped)
    })?;
    let result = serde_json::json!({ "asked": offsets.len(), "dropped": dropped });
    context.output.result(&result, |_| format!("{} given up", count(dropped)))?;
    Ok(Exit::Success)
}

/// The beginning of a text, on one line.
fn cut(text: &str, n: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(n).collect();
    if text.chars().nth(n).is_some() { format!("{line}…") } else { line }
}
