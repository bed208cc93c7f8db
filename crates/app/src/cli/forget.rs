//! `accrue forget`: erases a person from the log, the catalogue of users, the quarantine and all that was learned.

use std::collections::BTreeSet;

use accrue_engine::{Forgotten, read_text};
use accrue_event::{UserId, clean_id};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::count;
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  accrue forget ann --dry-run     how many records, and how many would be learned again
  accrue forget ann bob           several at once cost little more than one
  accrue forget --from people.txt

The server must be stopped; for a running one, use POST /v1/forget. Every record of the person becomes a tombstone, checkpoints
that include one are removed, and the models are learned again from the checkpoint before the person's first record. Afterwards
every byte of the state is as if the person had never visited. If it is interrupted, the next start of the server finishes it.
If retention removed records of the person, nothing is done, because what was learned from them cannot be learned again.
Backups and the files that events came from are not changed: if such a file is ingested again, the person is back, so remove the
person from it too.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Ids of users
    #[arg(value_name = "USER", required_unless_present = "from", value_parser = super::id_as_in_records)]
    users: Vec<String>,
    /// A file with a user on each line
    #[arg(long, value_name = "FILE")]
    from: Option<std::path::PathBuf>,
    /// Count their records, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let users = users(&arguments)?;
    if !arguments.dry_run {
        accrue_engine::finish_forgetting(&config.data, &config.engine)?;
    }
    let found = accrue_engine::traces(&config.data, &config.engine, &users)?;
    if !found.unknown.is_empty() {
        let unknown: Vec<&str> = found.unknown.iter().map(UserId::as_str).collect();
        output.result(&found, |_| format!("there are no records of {}; nothing was changed", unknown.join(", ")))?;
        return Ok(Exit::Refused);
    }
    if arguments.dry_run {
        output.result(&found, |found| format!("would forget {}", sentence(found)))?;
        return Ok(Exit::Success);
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
    Ok(Exit::Success)
}

fn users(arguments: &Arguments) -> anyhow::Result<BTreeSet<UserId>> {
    let mut users: BTreeSet<UserId> = arguments.users.iter().map(|user| UserId::from(&**user)).collect();
    if let Some(path) = &arguments.from {
        let text = read_text(path).with_context(|| format!("{} cannot be read", path.display()))?;
        users
            .extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|id| UserId::from(&*clean_id(id))));
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
