//! Why the engine could not do what was requested.

use accrue_event::Rejection;
use accrue_train::TrainError;

/// Why the engine could not do what was requested. The HTTP layer turns these into problem documents.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log cannot be written; reads go on.
    #[error("the log cannot be written: {0}")]
    Poisoned(String),
    /// The writer's queue is full.
    #[error("too many writes are waiting; try again shortly")]
    Overloaded,
    /// The engine is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// The request names something that does not exist.
    #[error("{what} {id:?} is unknown")]
    NotFound {
        /// What it names.
        what: Resource,
        /// The name.
        id: String,
    },
    /// The request cannot be answered as it is.
    #[error("{field}: {message}")]
    Invalid {
        /// Field of the request.
        field: &'static str,
        /// What was expected.
        message: String,
    },
    /// The state of the folder or of the models does not allow it.
    #[error("{message}")]
    Conflict {
        /// How.
        message: String,
    },
    /// A catalogue that is said to be whole does not name most of the items that are sold.
    #[error(
        "{n_absent} of the {n_sold} items of the catalogue are not in this one and would be retired: is it a part of the \
         catalogue, or does it have other ids?"
    )]
    UnsafeSync {
        /// Items of the catalogue that it does not name.
        n_absent: usize,
        /// Items of the catalogue.
        n_sold: usize,
    },
    /// The check refuses the record.
    #[error("{0}")]
    Refused(Rejection),
    /// The data folder is not usable.
    #[error(transparent)]
    Store(#[from] accrue_store::StoreError),
    /// The learned state cannot be recovered.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The search index cannot be read or written.
    #[error(transparent)]
    Search(#[from] accrue_serve::search::SearchError),
    /// Synonyms that cannot be read.
    #[error(transparent)]
    Synonyms(#[from] accrue_serve::search::SynonymError),
    /// The file of synonyms cannot be read.
    #[error("the synonyms in {}: {message}", path.display())]
    SynonymsFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        message: String,
    },
    /// Rules of the shop that cannot be used.
    #[error(transparent)]
    Rules(#[from] accrue_serve::RuleFault),
    /// Campaigns that cannot be used.
    #[error(transparent)]
    Campaigns(#[from] accrue_serve::CampaignFault),
    /// Scenes of the shop that cannot be used.
    #[error("{0}")]
    Scenes(accrue_event::SettingFault),
    /// Settings that were to be judged and cannot be used.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// The check's settings contradict themselves.
    #[error("[check]: {0}")]
    Check(#[from] accrue_event::SettingFault),
}

/// A proposal that cannot be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposalError {
    /// A scene with a fault.
    #[error(transparent)]
    Scene(accrue_event::SettingFault),
    /// A rule with a fault.
    #[error(transparent)]
    Rule(#[from] accrue_serve::RuleFault),
    /// A model that does not learn.
    #[error("part {part} does not learn: {fault}")]
    Part {
        /// Its name.
        part: &'static str,
        /// The setting that would have to be another.
        fault: accrue_event::SettingFault,
    },
}

/// What a request can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An item of the catalogue.
    Item,
    /// A user.
    User,
    /// A version of the models.
    Version,
    /// A refused record in quarantine.
    QuarantinedRecord,
    /// A suspect window.
    SuspectWindow,
    /// A rule of the shop.
    Rule,
    /// A repair that search proposed.
    SearchProposal,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Item => "item",
            Self::User => "user",
            Self::Version => "version",
            Self::QuarantinedRecord => "quarantined record",
            Self::SuspectWindow => "suspect window",
            Self::Rule => "rule",
            Self::SearchProposal => "search proposal",
        })
    }
}

impl EngineError {
    /// The same failure for another caller whose write was in the same group.
    pub(crate) fn repeated(&self) -> Self {
        Self::Poisoned(match self {
            Self::Poisoned(cause) => cause.clone(),
            other => other.to_string(),
        })
    }
}
