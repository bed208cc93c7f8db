//! `accrue rollback`: undoes a version in a data folder that no server has open.

use super::{Context, Exit, versions};

const EXAMPLES: &str = "\
Examples:
  accrue rollback                          undo the current version: restore the last good one
  accrue rollback 17 --why 'bad prices'    undo version 17 and all after it

The server must be stopped; for a running one, use POST /v1/versions/17/rollback. The records that only the undone versions
had learned stay in the log. They are suspect and not learned until `accrue versions release` releases them.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The version to undo, with all after it [default: the current one]
    version: Option<u64>,
    /// A note for the list of versions
    #[arg(long, value_name = "TEXT", default_value = "an operator undid it")]
    why: String,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let engine = super::engine_of(&context)?;
    engine.wait_until_learned();
    let undone = arguments.version.or_else(|| engine.versions().versions.last().map(|entry| entry.number));
    let outcome = engine.roll_back(undone.unwrap_or(0), &arguments.why);
    engine.close()?;
    let versions = outcome?;
    context.output.result(&versions, |all| format!("restored version {}\n{}", all.good, versions::table(all)))?;
    Ok(Exit::Success)
}
