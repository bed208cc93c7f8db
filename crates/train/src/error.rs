//! Why learning, saving or resuming failed.

use accrue_store::{Offset, StoreError};

/// Why learning, saving or resuming failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The log or a checkpoint cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A settings record of the log cannot be read.
    #[error("a settings record of the log cannot be read: {0}; was it written by a newer build?")]
    Settings(String),
    /// The models began with parts of another shop, which are not there.
    #[error(
        "the models of this shop began with parts of another one, {0}, and the file `init.parts` of the data folder is missing or another \
         one; bring it back from a backup"
    )]
    MissingParts(String),
    /// A checkpoint covers records that the log does not have.
    #[error(
        "the log ends at record {end}, but checkpoint {path} covers those before {covered}: records were lost, or this is another log; \
         bring the log back, or move all checkpoints after {end} away to go on without the lost records"
    )]
    LogTooShort {
        /// The log's end.
        end: Offset,
        /// The checkpoint.
        path: String,
        /// Its end.
        covered: Offset,
    },
    /// Records of a user were learned and then pruned, so they cannot be unlearned.
    #[error(
        "records of user {user} were pruned: the log begins at {start}, and what was learned before cannot be learned again \
         without them; nothing was changed"
    )]
    Pruned {
        /// The user.
        user: accrue_event::UserId,
        /// The log's beginning.
        start: Offset,
    },
    /// The log was pruned, and no checkpoint is left from which the records after its beginning could be learned again.
    #[error(
        "the log begins at record {start}, because retention removed those before, and no checkpoint between there and record {first} \
         is left from which the rest could be learned again; nothing was changed"
    )]
    NoCheckpointBefore {
        /// The first record concerned.
        first: Offset,
        /// The log's beginning.
        start: Offset,
    },
    /// A record that would have to be learned again needs earlier records, which the log no longer has.
    #[error(
        "the record at {record} puts in force what was learned from records before {start}, which retention removed, so it cannot be \
         learned again; nothing was changed"
    )]
    LooksBehindStart {
        /// The record that needs earlier ones.
        record: Offset,
        /// The log's beginning.
        start: Offset,
    },
    /// A challenger needs records that the log no longer has.
    #[error(
        "the log begins at {start}: the records before were pruned, and a challenger cannot be trained without them"
    )]
    ChallengerPruned {
        /// The log's beginning.
        start: Offset,
    },
    /// A replay of the whole log was requested, and its beginning was pruned.
    #[error(
        "the log cannot be replayed from its beginning: retention removed the records before {start}{}",
        kept.iter().map(|kept| format!("; of the checkpoint, {kept}")).collect::<String>()
    )]
    BeginningPruned {
        /// The log's beginning.
        start: Offset,
        /// What the checkpoint has that could not be compared even with the records that are left, and why.
        kept: Vec<String>,
    },
    /// The server stops before the earlier records were read to their end. What was being learned from them must not be
    /// used.
    #[error("the server stops")]
    Stopped,
    /// A record that needs earlier ones was passed without access to them; a fault of the caller.
    #[error("the record at {0} puts a challenger in force, and needs the records before it")]
    LooksBack(Offset),
    /// The log is not the one that a checkpoint was made from.
    #[error(
        "checkpoint {path} covers the records before {covered}, but the log's record {record} is not the one that it was made from: \
         the log was replaced by another one; bring its log back, or move all checkpoints away to fold this log from its beginning"
    )]
    LogReplaced {
        /// The last record that the checkpoint covers.
        record: u64,
        /// The checkpoint.
        path: String,
        /// Its end.
        covered: Offset,
    },
    /// A section of a checkpoint cannot be used, and the log no longer has the records that it was computed from.
    #[error(
        "checkpoint {path}, {what}; the log begins at {start}, so it cannot be folded again from its beginning: \
         use the build that wrote the checkpoint"
    )]
    Section {
        /// Which section, and why.
        what: String,
        /// Which file.
        path: String,
        /// The log's beginning.
        start: Offset,
    },
}

impl TrainError {
    /// Whether retention removed records that are needed. Then nothing was changed, and nothing is damaged.
    pub fn is_of_retention(&self) -> bool {
        matches!(
            self,
            Self::Pruned { .. }
                | Self::NoCheckpointBefore { .. }
                | Self::LooksBehindStart { .. }
                | Self::ChallengerPruned { .. }
                | Self::BeginningPruned { .. }
        )
    }
}
