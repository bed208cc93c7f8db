//! `accrue evaluate`: files are read and checked, then the `lab` crate evaluates.
//!
//! Events are read, mapped and checked as in `accrue ingest`; refused ones are counted and left out.

mod biased_clicks;
mod clicks;
mod events;
mod fitted;
mod judged;
mod left_out;
mod picture_files;
mod picture_fit;
mod pictures;
mod policies;
mod predictions;
mod request;
mod risk;
mod search;
mod search_files;
mod search_repair;
mod settings;
mod stream;
mod table;
mod vectors;

use accrue_engine::Config;
use accrue_lab::Protocol;
use accrue_model::Part;
use accrue_model::collaborative::Kind;
use accrue_model::collaborative::ratings::RatingKind;
use accrue_model::ranker::ClickKind;
use anyhow::{bail, ensure};
use serde_json::{Value, json};

pub use accrue_lab::CTR;
use fitted::{Measure, fitted};
pub use picture_fit::{Fitted, PictureFit, fit_pictures};
pub use pictures::PICTURES;
pub use policies::{ARMS, OFF_POLICY, SIMULATED};
use policies::{LOGGED, arms, off_policy};
pub use request::Request;
use request::{Run, of_model};
use risk::{RISK, risk};
pub use search_files::SEARCH;
pub use search_repair::SEARCH_REPAIR;
use stream::stream;

/// The models with the protocols that they serve.
pub fn models() -> Value {
    let ranking = Protocol::ALL.map(Protocol::name);
    let fitted = Kind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": ranking}));
    let ratings =
        RatingKind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": ["ratings"]}));
    let online = Part::ALL
        .iter()
        .map(|part| json!({"model": part.name(), "what": part.what(), "protocols": ["stream", RISK, ARMS]}));
    let clicks =
        ClickKind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": [CTR]}));
    let policies = [
        (LOGGED, "The policy whose log is the test file, estimated from the training file."),
        (SIMULATED, "A policy in simulated shops, to test whether the intervals cover the truth."),
    ];
    let policies = policies.map(|(model, what)| json!({"model": model, "what": what, "protocols": [OFF_POLICY]}));
    let words = json!({"model": search::LEXICAL, "what": "The words of titles, brands, categories, descriptions and attributes.",
        "protocols": [SEARCH, SEARCH_REPAIR]});
    let of_judgments = json!({"model": judged::JUDGED, "what": "How relevant titles are to queries, learned from judgments.",
        "protocols": [SEARCH]});
    let pictures = pictures::PICTURE_MODELS
        .iter()
        .map(|(model, what)| json!({"model": model, "what": what, "protocols": [PICTURES]}));
    let all =
        fitted.chain(ratings).chain(online).chain(clicks).chain(policies).chain([words, of_judgments]).chain(pictures);
    Value::Array(all.collect())
}

/// Runs the evaluation with each model; `progress` is called with a share, and of what it is.
///
/// # Errors
/// If the protocol, a model or a setting is unknown, or a file cannot be used.
pub fn evaluate(
    config: &Config,
    request: &Request,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Vec<Value>> {
    if request.protocol == CTR {
        return clicks::clicks(config.learn.seed, request, progress);
    }
    let measure = match (Protocol::named(&request.protocol), request.protocol.as_str()) {
        (Some(protocol), _) => Some(Measure::Ranking(protocol)),
        (None, "ratings") => Some(Measure::Ratings),
        (None, "stream" | OFF_POLICY | RISK | ARMS | SEARCH | SEARCH_REPAIR | PICTURES) => None,
        (None, other) => {
            let names = Protocol::ALL.map(Protocol::name).join(", ");
            bail!(
                "there is no protocol `{other}` in this build; there is {names}, ratings, {CTR}, stream, {OFF_POLICY}, \
                 {RISK}, {ARMS}, {SEARCH}, {SEARCH_REPAIR}, {PICTURES}"
            );
        }
    };
    if let Some(measure) = measure {
        return fitted(config, measure, request, progress);
    }
    let alone = request.predictions.is_none() && request.against.is_none();
    ensure!(alone || request.models.len() == 1, "--predictions and --against are for one model at a time here");
    let run = |model: &String| {
        let settings = of_model(&request.settings, model, &request.models);
        let one = Run { config, request, model, settings: &settings };
        match request.protocol.as_str() {
            OFF_POLICY => off_policy(&one, progress),
            RISK => risk(&one, progress),
            ARMS => arms(&one, progress),
            SEARCH if *model == judged::JUDGED => judged::judged(&one, progress),
            SEARCH => search::search(&one, progress),
            SEARCH_REPAIR => search_repair::search_repair(&one, progress),
            PICTURES => pictures::pictures(&one, progress),
            _ => stream(&one, progress),
        }
    };
    request.models.iter().map(run).collect()
}
