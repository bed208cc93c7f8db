//! Predictions in a file: one JSON object per query, or rows for a spreadsheet if the name ends in `.csv` or `.tsv`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use accrue_lab::{PredictedClick, PredictedRating, Prediction};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

/// What a run predicted.
pub enum Predicted {
    /// Lists of a ranking protocol.
    Lists(Vec<Prediction>),
    /// Ratings.
    Ratings(Vec<PredictedRating>),
    /// Probabilities of a click model.
    Clicks(Vec<PredictedClick>),
}

/// Writes the predictions of each run, with the name of its model.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, runs: &[(String, Predicted)]) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => rows(&mut out, runs, b',')?,
            Some("tsv") => rows(&mut out, runs, b'\t')?,
            _ => objects(&mut out, runs)?,
        }
        out.flush()
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

fn objects(out: &mut impl Write, runs: &[(String, Predicted)]) -> std::io::Result<()> {
    fn line(out: &mut impl Write, model: &str, prediction: &impl Serialize) -> std::io::Result<()> {
        let mut object = json!({"model": model});
        if let (Some(object), Ok(serde_json::Value::Object(fields))) =
            (object.as_object_mut(), serde_json::to_value(prediction))
        {
            object.extend(fields);
        }
        writeln!(out, "{object}")
    }
    for (model, predicted) in runs {
        match predicted {
            Predicted::Lists(lists) => lists.iter().try_for_each(|list| line(out, model, list))?,
            Predicted::Ratings(ratings) => ratings.iter().try_for_each(|rating| line(out, model, rating))?,
            Predicted::Clicks(clicks) => clicks.iter().try_for_each(|click| line(out, model, click))?,
        }
    }
    Ok(())
}

fn rows(out: &mut impl Write, runs: &[(String, Predicted)], delimiter: u8) -> std::io::Result<()> {
    let mut row = |cells: &[&str]| {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                out.write_all(&[delimiter])?;
            }
            out.write_all(quoted(cell, delimiter).as_bytes())?;
        }
        out.write_all(b"\n")
    };
    match runs.first() {
        Some((_, Predicted::Ratings(_))) => row(&["model", "user", "trained_on", "item", "rating", "predicted"])?,
        Some((_, Predicted::Clicks(_))) => row(&["model", "row", "label", "predicted"])?,
        _ => row(&["model", "user", "trained_on", "rank", "item", "score", "chosen"])?,
    }
    for (model, predicted) in runs {
        match predicted {
            Predicted::Lists(lists) => {
                for list in lists {
                    for (place, (item, score)) in list.items.iter().zip(&list.scores).enumerate() {
                        let (rank, score) = ((place + 1).to_string(), score.to_string());
                        let is_chosen = list.relevant.contains(item);
                        let (trained_on, chosen) = (list.trained_on.to_string(), is_chosen.to_string());
                        row(&[model, &list.user, &trained_on, &rank, item, &score, &chosen])?;
                    }
                }
            }
            Predicted::Ratings(ratings) => {
                for one in ratings {
                    let (trained_on, rating) = (one.trained_on.to_string(), one.rating.to_string());
                    row(&[model, &one.user, &trained_on, &one.item, &rating, &one.predicted.to_string()])?;
                }
            }
            Predicted::Clicks(clicks) => {
                for one in clicks {
                    row(&[model, &one.row.to_string(), &one.label.to_string(), &one.predicted.to_string()])?;
                }
            }
        }
    }
    Ok(())
}

fn quoted(cell: &str, delimiter: u8) -> String {
    let needs_quotes = cell.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
    if needs_quotes { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_string() }
}
