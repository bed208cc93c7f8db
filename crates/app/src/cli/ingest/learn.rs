//! The wait for the models, with how far they are.

use std::time::{Duration, Instant};

use accrue_engine::Engine;
use indicatif::ProgressBar;

use super::progress::style;
use crate::cli::output::{Output, count};
use crate::cli::signals::Stop;

/// How often a line tells how far learning is, where no bar is drawn.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Waits until the models have learned what was taken in, and shows how far they are. After a stop, or if they cannot go on, the rest is
/// learned by whoever opens the folder next.
pub(super) fn learn(engine: &Engine, stop: &Stop, output: Output) {
    let (learned, end) = engine.learned();
    let left = end.saturating_sub(learned);
    let bar = match output.draws_progress() {
        true => {
            ProgressBar::new(left).with_style(style("{bar:30} {percent:>3} %  learning from {msg} records  {eta} left"))
        }
        false => ProgressBar::hidden(),
    };
    bar.set_message(count(left));
    let mut told = Instant::now();
    engine.wait_until_learned_while(|now, end| {
        bar.set_position(left.saturating_sub(end.saturating_sub(now)));
        // Where no bar is drawn, a line now and then shows that it goes on.
        if bar.is_hidden() && !output.is_json() && told.elapsed() >= TELL_EVERY {
            output.note(&format!("learning: {} of {} records are left", count(end.saturating_sub(now)), count(left)));
            told = Instant::now();
        }
        !stop.is_asked()
    });
    bar.finish_and_clear();
    let left = engine.learned();
    if left.0 < left.1 {
        if let Some(why) = engine.status().learner_failed {
            output.note(&format!("learning has stopped: {why}"));
        }
        output.note(&format!(
            "{} records are in the log and not learned yet; the server, or the next ingest, learns them",
            count(left.1 - left.0)
        ));
    }
}
