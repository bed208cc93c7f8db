//! `accrue backup` and `accrue restore`: a copy of the data folder, and its restoration.

use std::path::PathBuf;

use accrue_store::Backup;
use serde::Serialize;

use super::output::count;
use super::{Context, Exit};

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Example:\n  accrue backup /mnt/backups/shop-monday --data shop\n\nA server may write to the folder meanwhile."
)]
pub(super) struct BackupArguments {
    /// A new or empty folder
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  accrue restore /mnt/backups/shop-monday --data shop-again\n  accrue restore /mnt/backups/shop-monday --data shop-again --store postgres://shop@db/shop   the log into a database"
)]
pub(super) struct RestoreArguments {
    /// The folder of the backup; it is restored into --data, which must be new or empty
    #[arg(value_name = "FROM")]
    source: PathBuf,
}

#[derive(Serialize)]
struct Copied {
    folder: PathBuf,
    start: u64,
    offset: u64,
    log: String,
    checkpoint: Option<u64>,
    size_bytes: u64,
}

pub(super) fn backup(context: Context, arguments: BackupArguments) -> anyhow::Result<Exit> {
    let copied = accrue_store::backup(context.config.log_place(), &arguments.target)?;
    print(&context, "backed up to", arguments.target, &copied)
}

pub(super) fn restore(context: Context, arguments: RestoreArguments) -> anyhow::Result<Exit> {
    let copied = accrue_store::restore_into(&arguments.source, &context.config.log_place())?;
    print(&context, "restored into", context.config.data.clone(), &copied)
}

fn print(context: &Context, did: &str, folder: PathBuf, backup: &Backup) -> anyhow::Result<Exit> {
    let copied = Copied {
        folder,
        start: backup.start.0,
        offset: backup.end.0,
        log: format!("{:032x}", backup.digest),
        checkpoint: backup.checkpoint.map(|offset| offset.0),
        size_bytes: backup.size_bytes,
    };
    context.output.result(&copied, |copied| {
        let checkpoint = match copied.checkpoint {
            Some(offset) => format!("a checkpoint at {}", count(offset)),
            None => "no checkpoint".into(),
        };
        let (records, size) = (count(copied.offset - copied.start), count(copied.size_bytes));
        format!(
            "{did} {}: {records} records, {checkpoint}, {size} bytes, every checksum compared",
            copied.folder.display()
        )
    })?;
    Ok(Exit::Success)
}
