//! Protocols of fitted models.

use std::path::PathBuf;
use std::sync::Arc;

use accrue_engine::Config;
use accrue_lab::{Data, Protocol, Stage, evaluate_auto, evaluate_files, evaluate_ratings};
use serde_json::{Value, json};

use super::left_out::{Refused, refuse_if_empty};
use super::predictions::{self, Predicted};
use super::request::{Request, of_model};
use super::table::{TableSettings, is_table, read_table};

/// The protocols of fitted models.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    Ranking(Protocol),
    Ratings,
}

/// A protocol of fitted models. Tables are read here, once for all models; files of lines are read by the `lab` crate.
pub(super) fn fitted(
    config: &Config,
    measure: Measure,
    request: &Request,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Vec<Value>> {
    let mut settings = request.settings.clone();
    let (train, test, refused) = data(config, measure, request, &mut settings)?;
    let mut reports = Vec::new();
    let mut predicted = Vec::new();
    for model in &request.models {
        let prefix = if request.models.len() > 1 { format!("{model}: ") } else { String::new() };
        let hear = |stage: Stage| match stage {
            Stage::Trained(epoch) => progress(epoch.done as f64 / epoch.of as f64, &format!("{prefix}training")),
            Stage::Asked(share) => progress(share, &format!("{prefix}the test")),
            Stage::Searched(share) => progress(share, "the budget"),
        };
        let one = accrue_lab::Request {
            model: model.clone(),
            train: train.clone(),
            test: test.clone(),
            settings: of_model(&settings, model, &request.models),
            seed: config.learn.seed,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            predictions: request.predictions.is_some(),
        };
        let (mut report, of_model) = match measure {
            Measure::Ranking(protocol) if model == "auto" => {
                let mut found = evaluate_auto(protocol, &one, request.budget, &hear)?;
                let lists = std::mem::take(&mut found.report.predictions);
                (serde_json::to_value(found)?, Predicted::Lists(lists))
            }
            Measure::Ranking(protocol) => {
                let mut found = evaluate_files(protocol, &one, &hear)?;
                let lists = std::mem::take(&mut found.predictions);
                (serde_json::to_value(found)?, Predicted::Lists(lists))
            }
            Measure::Ratings => {
                let mut found = evaluate_ratings(&one, &hear)?;
                let ratings = std::mem::take(&mut found.predictions);
                (serde_json::to_value(found)?, Predicted::Ratings(ratings))
            }
        };
        if let Some(refused) = &refused {
            report["refused"] = json!(refused);
        }
        predicted.push((report["model"].as_str().unwrap_or(model).to_string(), of_model));
        reports.push(report);
    }
    if let Some(path) = &request.predictions {
        predictions::write(path, &predicted)?;
    }
    Ok(reports)
}

/// The data of a protocol of fitted models, and what was left out of tables. Takes the settings of tables out of
/// `settings`.
fn data(
    config: &Config,
    measure: Measure,
    request: &Request,
    settings: &mut Vec<(String, String)>,
) -> anyhow::Result<(Data, Option<Data>, Option<Refused>)> {
    let mut tables = TableSettings { types: None, ..TableSettings::of(request) };
    let by_session = matches!(measure, Measure::Ranking(Protocol::Sessions));
    let have_headers =
        !matches!(measure, Measure::Ranking(Protocol::LeaveOneOut | Protocol::UserItems | Protocol::Sessions));
    let files: Vec<&PathBuf> = std::iter::once(&request.train).chain(&request.test).collect();
    let are_tables =
        files.iter().map(|file| is_table(file, &tables, have_headers)).collect::<anyhow::Result<Vec<bool>>>()?;
    if are_tables.contains(&true) {
        let of_types = |(key, _): &(String, String)| key == "types";
        if let Some((_, types)) = settings.iter().rfind(|pair| of_types(pair)) {
            tables.types = Some(types.split(',').map(str::to_string).collect());
        }
        settings.retain(|pair| !of_types(pair));
    }
    let mut refused: Option<Refused> = None;
    let mut data = Vec::new();
    for (file, is_table) in files.into_iter().zip(are_tables) {
        if !is_table {
            data.push(Data::from(file.clone()));
            continue;
        }
        let (table, left_out) = read_table(config, file, &tables, by_session)?;
        refuse_if_empty(file, table.rows.len(), &left_out)?;
        let all = refused.get_or_insert_default();
        left_out.into_iter().for_each(|(reason, n)| *all.entry(reason).or_default() += n);
        data.push(Data::Table(Arc::new(table)));
    }
    let mut data = data.into_iter();
    let train = data.next().unwrap_or_else(|| Data::from(request.train.clone()));
    Ok((train, data.next(), refused))
}
