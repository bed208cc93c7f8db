//! The errors of evaluations.

use std::path::PathBuf;

use accrue_event::SettingFault;
use accrue_model::collaborative::FitError;
use accrue_train::TrainError;

use crate::off_policy::OffPolicyError;
use crate::read::ReadError;

/// Why an evaluation cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// There is nothing to learn from or to evaluate.
    #[error("{0}")]
    Empty(&'static str),
    /// A stream of events ends before the part that would be evaluated.
    #[error(
        "the {n_events} events are of {days} days, and the first {only_learned} are only learned ({setting}), so nothing is \
         left to evaluate; say --set {setting}=N with fewer days, or give a longer file"
    )]
    TooShort {
        /// Events of the stream.
        n_events: usize,
        /// Days from the first to the last of them, begun ones included.
        days: i64,
        /// Days before the first that is evaluated.
        only_learned: i64,
        /// The setting that says so.
        setting: &'static str,
    },
    /// The files of a protocol contain nothing to learn from or no queries.
    #[error(
        "{}: there is nothing to learn from or nothing to ask; is it a file for protocol `{protocol}`?",
        path.display()
    )]
    NothingToAsk {
        /// The training file.
        path: PathBuf,
        /// The protocol.
        protocol: &'static str,
    },
    /// A fold of ratings is empty.
    #[error("{}: a fold has nothing to learn from or nothing to predict; use fewer folds", path.display())]
    EmptyFold {
        /// The training file.
        path: PathBuf,
    },
    /// All rows have the same label.
    #[error("{}: all rows have the same label, so there is nothing to tell apart", path.display())]
    OneLabel {
        /// The training file.
        path: PathBuf,
    },
    /// A log has too few users for an interval over users.
    #[error("{}: fewer than two users", path.display())]
    TooFewUsers {
        /// The file.
        path: PathBuf,
    },
    /// The protocol needs a test file.
    #[error("protocol `{protocol}` needs a test file (--test) in addition to {}", train.display())]
    NeedsTest {
        /// The protocol.
        protocol: &'static str,
        /// The training file.
        train: PathBuf,
    },
    /// The protocol takes the test from the training file.
    #[error("protocol `{protocol}` takes the test from the training file; leave out --test {}", test.display())]
    OneFile {
        /// The protocol, with the setting that makes it so.
        protocol: &'static str,
        /// The test file that was given.
        test: PathBuf,
    },
    /// A setting with a value that is not accepted.
    #[error(transparent)]
    Setting(#[from] SettingFault),
    /// A setting that does not exist.
    #[error("{owner} has no setting `{key}`; its settings are {}", listed(known))]
    NoSetting {
        /// The protocol or model.
        owner: String,
        /// The name that was given.
        key: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// A setting of a model, where `--model auto` chooses these settings.
    #[error("--model auto chooses the settings of models; leave out `{key}`")]
    ChosenByAuto {
        /// The setting.
        key: String,
    },
    /// The settings of a model cannot be read.
    #[error("model `{model}`: {source}")]
    ModelSettings {
        /// The model.
        model: &'static str,
        /// The error of their reader.
        source: serde_json::Error,
    },
    /// A model that does not exist.
    #[error("there is no {kind} `{name}`; there is {}", known.join(", "))]
    NoModel {
        /// `model` or `rating model`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The existing names.
        known: Vec<&'static str>,
    },
    /// A model cannot be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The learner refused a record.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A file cannot be used.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A log contains too little information about a policy, or an invalid number.
    #[error(transparent)]
    OffPolicy(#[from] OffPolicyError),
    /// A score is `NaN`.
    #[error("model `{model}` computed a score that is not a number, first for user {user}; there is no result")]
    NotANumber {
        /// The model.
        model: &'static str,
        /// The user.
        user: u32,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
