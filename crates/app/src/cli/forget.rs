//! `accrue forget`: a person is erased from the log, the catalogue of users, the quarantine and all that was learned.

use std::collections::BTreeSet;

use accrue_engine::Forgotten;
use accrue_event::UserId;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::count;
use super::{Context, Ending};

const EXAMPLES: &str = "\
Examples:
  accrue forget ann --dry-run     how many records, and what it would cost
  accrue forget ann bob           several at once cost little more than one
  accrue forget --from people.txt

A server that runs forgets by POST /v1/forget; this needs it stopped. Every record of the person becomes a tombstone, checkpoints
that saw one are removed, and the models are learned again from the checkpoint before their first record: afterwards every byte is as
if they had never come. If it is interrupted, the next start of the server finishes it. Backups and the files that events came from are not touched.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Who
    #[arg(value_name = "USER", required_unless_present = "from")]
    users: Vec<String>,
    /// A file with a user on each line
    #[arg(long, value_name = "FILE")]
    from: Option<std::path::PathBuf>,
    /// Count, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let Context { config, output } = context;
    let users = users(&arguments)?;
    if !arguments.dry_run {
        accrue_engine::finish_forgetting(&config.data, &config.engine)?;
    }
    let found = accrue_engine::traces(&config.data, &users)?;
    if !found.unknown.is_empty() {
        let unknown: Vec<&str> = found.unknown.iter().map(UserId::as_str).collect();
        output.result(&found, |_| format!("nothing is known of {}; nothing was changed", unknown.join(", ")))?;
        return Ok(Ending::Refused);
    }
    if arguments.dry_run {
        output.result(&found, |found| format!("would forget {}", sentence(found)))?;
        return Ok(Ending::Well);
    }
    let bar = match output.draws_progress() {
        true => ProgressBar::new(found.replayed),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template("{bar:30} {percent:>3} %  learning again  {eta} left")?);
    let forgotten = accrue_engine::forget(&config.data, &config.engine, &users, |at, end| {
        bar.set_position(found.replayed.saturating_sub(end - at));
    })?;
    bar.finish_and_clear();
    output.result(&forgotten, |forgotten| format!("forgot {} in {:.1} s", sentence(forgotten), forgotten.seconds))?;
    Ok(Ending::Well)
}

fn users(arguments: &Arguments) -> anyhow::Result<BTreeSet<UserId>> {
    let mut users: BTreeSet<UserId> = arguments.users.iter().map(|user| UserId::from(&**user)).collect();
    if let Some(path) = &arguments.from {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        users.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(UserId::from));
    }
    Ok(users)
}

fn sentence(forgotten: &Forgotten) -> String {
    let users = match forgotten.users.len() {
        1 => "1 user".to_string(),
        n => format!("{} users", count(n as u64)),
    };
    format!("{users}: {} records erased, {} learned again", count(forgotten.records), count(forgotten.replayed))
}
