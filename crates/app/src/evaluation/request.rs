//! What is to be evaluated, and one model of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use accrue_engine::Config;
use accrue_event::Mapping;

/// An evaluation to run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name of the protocol.
    pub protocol: String,
    /// Names of the models, at least one.
    pub models: Vec<String>,
    /// The training file.
    pub train: PathBuf,
    /// The test file, for protocols that need one.
    pub test: Option<PathBuf>,
    /// The rows that decide when a click model has learned enough.
    pub valid: Option<PathBuf>,
    /// Descriptions of items, for a search.
    pub items: Option<PathBuf>,
    /// Descriptions of users, for a stream.
    pub users: Option<PathBuf>,
    /// How long `auto` may search.
    pub budget: Duration,
    /// The mapping of the columns of a table; without one, the columns are known by their names.
    pub mapping: Option<Mapping>,
    /// Without a mapping: the columns that are not known by their names.
    pub named: Mapping,
    /// The names of the columns of a file without a header.
    pub columns: Option<Vec<String>>,
    /// Where predictions are written, one per line.
    pub predictions: Option<PathBuf>,
    /// The predictions of another run of the same stream, to compare with.
    pub against: Option<PathBuf>,
    /// Settings of the protocol and, by their path in the configuration (`model.neighbours.capacity`), of the model.
    pub settings: Vec<(String, String)>,
}

/// The settings for one of several models: `als.factors` is for `als` alone, `factors` for all.
pub(super) fn of_model(settings: &[(String, String)], model: &str, models: &[String]) -> Vec<(String, String)> {
    if models.len() == 1 {
        return settings.to_vec();
    }
    fn of<'a>(key: &'a str, models: &'a [String]) -> Option<(&'a String, &'a str)> {
        models.iter().find_map(|name| Some((name, key.strip_prefix(name.as_str())?.strip_prefix('.')?)))
    }
    let own = |(key, value): &(String, String)| match of(key, models) {
        Some((name, rest)) => (name == model).then(|| (rest.to_string(), value.clone())),
        None => Some((key.clone(), value.clone())),
    };
    settings.iter().filter_map(own).collect()
}

/// One model of a request.
pub(super) struct Run<'a> {
    pub(super) config: &'a Config,
    pub(super) request: &'a Request,
    pub(super) model: &'a str,
    pub(super) settings: &'a [(String, String)],
}

impl Run<'_> {
    pub(super) fn pairs(&self) -> BTreeMap<&str, &str> {
        self.settings.iter().map(|(key, value)| (&**key, &**value)).collect()
    }
}
