//! `accrue replay`: every derived state built again from the log alone, and compared if asked.

use accrue_store::Offset;

use super::output::count;
use super::{Context, Ending};

const EXAMPLES: &str = "\
Examples:
  accrue replay --verify               does the log alone give what the checkpoints say? exit code 1 if a byte differs
  accrue replay --to 1000000 --json    the state as it was before that record

It reads the data folder as it is on the disk, also beside a running server, and writes nothing.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Stop before this record [default: the end of the log]
    #[arg(long, value_name = "OFFSET")]
    to: Option<u64>,
    /// Compare with the state that the checkpoints give
    #[arg(long)]
    verify: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let Context { config, output } = context;
    let replay = accrue_engine::replay(&config.data, &config.engine, arguments.to.map(Offset), arguments.verify)?;
    output.result(&replay, |replay| {
        let verdict = match replay.equal {
            None => String::new(),
            Some(true) => ", equal to what the checkpoints give".into(),
            Some(false) => format!(", NOT equal to what the checkpoints give: {}", replay.differing.join(", ")),
        };
        format!("{} records replayed, state {}{verdict}", count(replay.offset), replay.state)
    })?;
    Ok(if replay.equal == Some(false) { Ending::Refused } else { Ending::Well })
}
