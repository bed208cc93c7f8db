//! The files of an ingest, and how each of them is read.

use std::path::{Path, PathBuf};

use accrue_ingest::{Progress, ReadError, ReadSettings, Reader, Sample};

use super::extent::Extent;
use super::feed::Feed;
use crate::cli::output::Output;
use crate::cli::problem::Problem;

/// A file, and how it is read.
#[derive(Clone)]
pub(super) struct Named {
    pub path: PathBuf,
    pub settings: ReadSettings,
    pub extent: Extent,
}

impl Named {
    /// The file, of which items are named by the column that has the ids of the catalogue, if a mapping that was recognised
    /// names another one of which the catalogue has nearly no id. Which it is is told.
    pub fn by_ids_of(&self, feed: &Feed, is_recognised: bool, output: Output) -> Self {
        let mut file = self.clone();
        let mapping = &mut file.settings.mapping;
        let changes_ids = mapping.strip.contains_key("item") || mapping.extract.contains_key("item");
        if !is_recognised || changes_ids || !mapping.fields.contains_key("item") || !self.path.is_file() {
            return file;
        }
        let sample = Sample::open(&self.path, &self.settings).ok();
        if let Some(columns) = sample.and_then(|sample| feed.items_in_place_of(mapping, &sample)) {
            let names: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
            output.note(&format!(
                "{}: recognised {} as item, because the ids of the catalogue are there; --mapping FILE says otherwise",
                self.path.display(),
                names.join(", ")
            ));
            mapping.fields.insert("item".into(), columns.iter().map(String::as_str).collect());
        }
        file
    }
}

/// Why `--patch` and `--sync` cannot be used with files without products.
pub(super) fn no_products(files: &[Named]) -> Problem {
    let is_empty = |file: &&Named| std::fs::metadata(&file.path).is_ok_and(|it| it.is_file() && it.len() == 0);
    if let Some(empty) = files.iter().find(is_empty) {
        return Problem::new(format!("{}: the file is empty", empty.path.display()), "nothing was changed");
    }
    let names: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
    Problem::new(
        format!("--patch and --sync are for products, and {} holds something else", names.join(", ")),
        "name the products too; if these are products, add --items, or set `kind = \"items\"` in the mapping",
    )
}

/// Opens every file once, so that a wrong name or mapping is reported before anything is written.
pub(super) fn look_ahead(files: &[Named]) -> Result<(), ReadError> {
    for Named { path, settings, .. } in files {
        // A pipe can be read only once.
        let is_stream = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        if path != Path::new("-") && !is_stream {
            Reader::open(path, settings, &Progress::default())?;
        }
    }
    Ok(())
}
