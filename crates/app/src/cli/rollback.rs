//! `accrue rollback`: undoes a version in a data folder that no server has open.

use super::{Context, Ending, versions};

const EXAMPLES: &str = "\
Examples:
  accrue rollback                          undo what is being learned: go on from the last good version
  accrue rollback 17 --why 'bad prices'    undo version 17 and all after it

The server must be stopped; a running one takes POST /v1/versions/17/rollback. The records that only the undone versions had
learned stay in the log; they are suspect, and `accrue versions release` learns them after all.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The version to undo, with all after it [default: the one that is being learned]
    version: Option<u64>,
    /// For whoever reads the list of versions later
    #[arg(long, value_name = "TEXT", default_value = "an operator undid it")]
    why: String,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let engine = super::engine_of(&context)?;
    engine.wait_until_learned();
    let undone = arguments.version.or_else(|| engine.versions().versions.last().map(|entry| entry.number));
    let outcome = engine.roll_back(undone.unwrap_or(0), &arguments.why);
    engine.close()?;
    let versions = outcome?;
    context.output.result(&versions, |all| format!("goes on from version {}\n{}", all.good, versions::table(all)))?;
    Ok(Ending::Well)
}
