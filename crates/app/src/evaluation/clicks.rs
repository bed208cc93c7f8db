//! The protocol `ctr`: the `lab` crate reads the files and evaluates.

use accrue_lab::{ClickRequest, Stage, evaluate_clicks};
use anyhow::ensure;
use serde_json::Value;

use super::predictions::{self, Predicted};
use super::request::{Request, of_model};

/// Each click model of a request.
pub(super) fn clicks(
    seed: u64,
    request: &Request,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Vec<Value>> {
    let is_plain = request.mapping.is_none() && request.named == Default::default() && request.columns.is_none();
    ensure!(
        is_plain,
        "{} reads lines `label feature feature …`, or tables with a header and a column `label` or `clicked`; leave out \
         --mapping, --map, --columns",
        accrue_lab::CTR
    );
    let (mut reports, mut predicted) = (Vec::new(), Vec::new());
    for model in &request.models {
        let prefix = if request.models.len() > 1 { format!("{model}: ") } else { String::new() };
        let hear = |stage: Stage| match stage {
            Stage::Trained(epoch) => progress(epoch.done as f64 / epoch.of as f64, &format!("{prefix}training")),
            Stage::Asked(share) | Stage::Searched(share) => progress(share, &format!("{prefix}the stream")),
        };
        let one = ClickRequest {
            model: model.clone(),
            train: request.train.clone(),
            valid: request.valid.clone(),
            test: request.test.clone(),
            settings: of_model(&request.settings, model, &request.models),
            seed,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            predictions: request.predictions.is_some(),
        };
        let mut report = evaluate_clicks(&one, &hear)?;
        predicted.push((model.clone(), Predicted::Clicks(std::mem::take(&mut report.predictions))));
        reports.push(serde_json::to_value(report)?);
    }
    if let Some(path) = &request.predictions {
        predictions::write(path, &predicted)?;
    }
    Ok(reports)
}
