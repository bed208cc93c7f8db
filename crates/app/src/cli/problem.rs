//! The message for a failure: what failed, where, and what to do next.

use std::fmt::Display;
use std::io::ErrorKind;

use accrue_engine::{EngineError, Resource};
use accrue_ingest::ReadError;
use accrue_ingest::remote::RemoteError;
use accrue_lab::experiment::ReportError;
use accrue_store::StoreError;
use accrue_train::TrainError;

use crate::config::ConfigError;

/// A failure with a hint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Problem {
    message: String,
    hint: String,
}

impl Problem {
    pub fn new(message: impl Display, hint: impl Display) -> Self {
        Self { message: message.to_string(), hint: hint.to_string() }
    }
}

/// An argument whose text is not of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub(super) struct Expected(pub &'static str);

/// Gives a failure a hint of its own.
pub(super) trait Hint<T> {
    fn hint(self, hint: impl Display) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Display) -> anyhow::Result<T> {
        self.map_err(|error| Problem::new(message(&error.into()), hint).into())
    }
}

/// The two lines for stderr.
pub(super) fn report(error: &anyhow::Error) -> String {
    let hint = match error.chain().find_map(|cause| cause.downcast_ref::<Problem>()) {
        Some(problem) => problem.hint.clone(),
        None => error.chain().find_map(known_hint).unwrap_or("`accrue --help` shows all commands").into(),
    };
    format!("error: {}\nhint: {hint}", message(error))
}

/// The error with its causes, each once: many messages include their cause already.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn known_hint(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<EngineError>() {
        return Some(match error {
            EngineError::Store(store) | EngineError::Train(TrainError::Store(store)) => store_hint(store),
            EngineError::Poisoned(_) => "check the disk, then start again; acknowledged writes are durable",
            EngineError::Overloaded => "try again in a moment",
            EngineError::Closing => "start it again",
            EngineError::Check(_) => "`accrue config` shows every key with its value",
            EngineError::Train(refused) if refused.is_of_retention() => {
                "`accrue inspect stats` shows where the log begins (log_start); the states are as the checkpoints have them"
            }
            EngineError::Train(_) => {
                "the message says what to do; a backup comes back with: accrue restore BACKUP --data NEW_DIR"
            }
            EngineError::Search(_) => "stop the server and delete DATA/search; it is built again from the log",
            EngineError::Refused(_) => "correct the record; the rules are under [check] in `accrue config`",
            EngineError::NotFound { what: Resource::Version, .. } => "`accrue versions` lists the versions",
            EngineError::NotFound { .. } => "`accrue inspect stats` shows what there is",
            EngineError::Conflict { .. } => "`accrue versions` lists the versions",
            EngineError::UnsafeSync { .. } => "ingest the whole catalogue, or say --retire-most",
            EngineError::Synonyms(_) | EngineError::SynonymsFile { .. } => "docs/search.md has the form of the list",
            EngineError::Rules(_) => "docs/search-pages.md has the fields of a rule",
            EngineError::Campaigns(_) => "docs/campaigns.md has the fields of a campaign",
            EngineError::Scenes(_) => "docs/pages.md has the settings of a scene",
            EngineError::Proposal(_) => "docs/pages.md and docs/search-pages.md have the settings of scenes and rules",
            EngineError::Invalid { .. } => "`accrue --help` shows all commands",
        });
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return Some(store_hint(error));
    }
    if let Some(TrainError::Store(error)) = cause.downcast_ref::<TrainError>() {
        return Some(store_hint(error));
    }
    if let Some(ReportError::Store(error)) = cause.downcast_ref::<ReportError>() {
        return Some(store_hint(error));
    }
    if let Some(error) = cause.downcast_ref::<ReadError>() {
        return Some(read_hint(error));
    }
    if let Some(error) = cause.downcast_ref::<RemoteError>() {
        return Some(remote_hint(error));
    }
    cause.downcast_ref::<ConfigError>().map(|error| match error {
        ConfigError::Read { .. } => "check the path; `accrue init` writes a file to begin with",
        _ => "`accrue config` shows every key with its value",
    })
}

fn store_hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked { .. } => {
            "a server that runs takes writes over HTTP: POST /v1/events, /v1/items, /v1/quarantine, /v1/versions, /v1/forget"
        }
        StoreError::NoLog { .. } | StoreError::NoFolder { .. } => {
            "name the data folder with --data DIR, or fill it: accrue ingest FILE, or accrue demo"
        }
        StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            "check the path; --data DIR names the data folder"
        }
        StoreError::DiskFull { .. } | StoreError::ReadOnly { .. } => {
            "acknowledged writes are durable, and can be read meanwhile"
        }
        StoreError::Unreachable { .. } => {
            "the address is checked with the database's own client: psql URL, mariadb -h HOST"
        }
        StoreError::Refused { .. } => "docs/scale.md says what a log in a database needs",
        StoreError::NotEmpty { .. } => "name a new folder",
        StoreError::BeyondEnd { .. } => "`accrue inspect stats` shows where the log ends",
        _ => "the message says what to do; a backup comes back with: accrue restore BACKUP --data NEW_DIR",
    }
}

fn remote_hint(error: &RemoteError) -> &'static str {
    match error {
        RemoteError::Address { .. } => "docs/sources.md has the form of addresses",
        RemoteError::Feature { .. } => "docs/sources.md says what the features need",
        RemoteError::Unavailable { .. } => {
            "check that the server runs and is reached from here; what was read is in the log, and the same command goes on behind it"
        }
        RemoteError::Refused { .. } => {
            "correct the address, or what the user of it may do; the same command goes on behind what was read"
        }
        RemoteError::Mapping { .. } => {
            "--map field=column,… names columns of the source; a text in quotes is a constant"
        }
        RemoteError::NeedsFile { .. } => "leave the key out, or export the source and ingest the file",
    }
}

fn read_hint(error: &ReadError) -> &'static str {
    match error {
        ReadError::Open { .. } => "check the path and the permissions; `-` reads standard input",
        ReadError::Broken { .. } => {
            "get the file again; the records before this place are in the log, and count as duplicates when it is read again"
        }
        ReadError::Format { .. } => "--format csv|tsv|ndjson|parquet says what the file is",
        ReadError::Mapping { .. } => "--map field=column,… names columns of the header; a text in quotes is a constant",
        ReadError::Columns { .. } => {
            "--guess FILE prints a mapping for it to start from; or name columns with --map item=sku,user=customer, and a constant in quotes: --map \"type='view'\"; --items is for products"
        }
        ReadError::NoTime { .. } => "--map at=COLUMN names it; --now takes all events as events of now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let source = || std::io::Error::other("no such file");
        let error = anyhow::Error::from(ReadError::Open { name: "a.csv".into(), source: source() });
        assert_eq!(message(&error), "a.csv: cannot be opened: no such file");
        assert_eq!(message(&anyhow::Error::from(source()).context("reading users")), "reading users: no such file");
    }

    #[test]
    fn every_report_ends_with_a_hint() {
        let errors = [
            anyhow::anyhow!("bare"),
            Problem::new("own", "do this").into(),
            anyhow::Error::from(EngineError::Store(StoreError::Locked { path: "shop".into() })),
            anyhow::Error::from(EngineError::Store(StoreError::NoLog { path: "shop".into() })),
            anyhow::Error::from(EngineError::NotFound { what: Resource::Version, id: "9".into() }),
        ];
        let hints = ["accrue --help", "do this", "POST /v1/events", "--data DIR", "accrue versions"];
        for (error, hint) in errors.iter().zip(hints) {
            let report = report(error);
            let (first, last) = report.rsplit_once('\n').unwrap();
            assert!(first.starts_with("error: ") && last.starts_with("hint: ") && last.contains(hint), "{report}");
        }
    }
}
