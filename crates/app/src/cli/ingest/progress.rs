//! The bar on a terminal that shows how much of the files was read.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Named;
use crate::cli::output::Output;

/// A bar over the bytes of all files, or none if stderr is not a terminal.
pub(super) fn progress_bar(files: &[Named], output: Output) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let sizes: Option<u64> = files.iter().map(|file| Some(std::fs::metadata(&file.path).ok()?.len())).sum();
    let bar = match sizes {
        Some(n_bytes) => ProgressBar::new(n_bytes).with_style(style("{bar:30} {percent:>3} %  {msg}  {eta} left")),
        None => ProgressBar::new_spinner().with_style(style("{spinner} {bytes}  {msg}")),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
