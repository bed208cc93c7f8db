//! `accrue replay`: builds all derived state again from the log alone, and compares it if requested.

use accrue_store::Offset;

use super::output::count;
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  accrue replay --verify               compares the log's state with the checkpoints; exit code 1 if a byte differs
  accrue replay --to 1000000 --json    the state as it was before that record

It reads the data folder, also beside a running server, and writes nothing.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Stop before this record [default: the end of the log]
    #[arg(long, value_name = "OFFSET")]
    to: Option<u64>,
    /// Compare with the state from the checkpoints
    #[arg(long)]
    verify: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let replay = accrue_engine::replay(&config.data, &config.engine, arguments.to.map(Offset), arguments.verify)?;
    output.result(&replay, |replay| {
        let verdict = match replay.equal {
            None => String::new(),
            Some(true) => ", equal to the state from the checkpoints".into(),
            Some(false) => format!(", NOT equal to the state from the checkpoints (of an earlier version? docs/operations.md, Upgrade): {}", replay.differing.join(", ")),
        };
        format!("{} records replayed, state {}{verdict}", count(replay.offset), replay.state)
    })?;
    Ok(if replay.equal == Some(false) { Exit::Refused } else { Exit::Success })
}
