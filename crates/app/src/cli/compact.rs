//! `accrue compact`: removes from the log what `store.keep` and `store.keep_served` call too old.

use accrue_engine::{Compacted, Keep};
use accrue_event::Timestamp;

use super::output::count;
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  ACCRUE_STORE_KEEP=400d accrue compact --dry-run    what would be removed, and what would no longer be possible
  accrue compact                                     under the settings of accrue.toml

The server must be stopped; a running one removes old records by itself. Records are removed in whole segments, and only when a
checkpoint covers them: if none lies near what stays, the records that go are learned once more to write one. Afterwards the log
cannot be replayed from its beginning, no challenger can be trained on the whole log, and people with a record among those removed
cannot be forgotten exactly; forgetting them is refused. Nothing that was learned is lost. Served answers become tombstones.
Backups are not changed. Exit code 1 if the settings keep everything.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Tell what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let store = &config.engine.store;
    if (store.keep, store.keep_served) == (Keep::Forever, Keep::Forever) {
        output.note(
            "refused: `store.keep` and `store.keep_served` are both \"forever\", so there is nothing to remove; \
             set them in accrue.toml, or for this command: ACCRUE_STORE_KEEP=400d",
        );
        return Ok(Exit::Refused);
    }
    let compacted = accrue_engine::compact(&config.data, &config.engine, arguments.dry_run)?;
    output.result(&compacted, told)?;
    Ok(Exit::Success)
}

fn told(compacted: &Compacted) -> String {
    let Compacted { dry_run, records, segments, size_bytes, log_start, log_end, served, .. } = compacted;
    let did = |done: &'static str, would: &'static str| if *dry_run { would } else { done };
    let mut lines = Vec::new();
    match records {
        0 => {
            lines.push(format!("no segment of the log is older than it is kept; the log begins at record {log_start}"))
        }
        _ => {
            let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
            lines.push(format!(
                "{} {} records in {} segments ({} bytes) that came in from {} to {}; the log {} at record {log_start} and ends at {log_end}",
                did("removed", "would remove"),
                count(*records),
                count(*segments),
                count(*size_bytes),
                time(compacted.from),
                time(compacted.to),
                did("begins", "would begin"),
            ));
        }
    }
    if *served > 0 {
        lines.push(format!("{} {} served answers", did("erased", "would erase"), count(*served)));
    }
    if compacted.learned > 0 {
        let learned = count(compacted.learned);
        lines.push(format!(
            "{learned} records were learned once more, to write checkpoints that cover what was removed"
        ));
    } else if *dry_run && *records > 0 && compacted.checkpoint.is_none() {
        lines.push(
            "no checkpoint lies near the new beginning: the records before it would be learned once more to write one"
                .into(),
        );
    }
    if *records > 0 {
        lines.extend(losses(compacted));
    }
    lines.join("\n")
}

/// What the removal takes away, a line each.
fn losses(compacted: &Compacted) -> Vec<String> {
    let mut lines = vec![
        "no longer possible:".to_string(),
        "- `accrue replay` from the beginning of the log, and challengers and resets that learn the whole log".into(),
        "- to recognise an event sent before that time if it is sent again: it counts as a new one".into(),
    ];
    if compacted.users > 0 {
        lines.push(format!(
            "- to forget {} users with a record among those removed: what was learned of them stays in the models",
            count(compacted.users)
        ));
    }
    if !compacted.suspect_windows.is_empty() {
        let windows: Vec<String> = compacted.suspect_windows.iter().map(u64::to_string).collect();
        lines.push(format!("- to release the suspect records from {}", windows.join(", ")));
    }
    if compacted.quarantined > 0 {
        let quarantined = count(compacted.quarantined);
        lines.push(format!("- to release {quarantined} quarantined records; they can still be dropped"));
    }
    lines
}
