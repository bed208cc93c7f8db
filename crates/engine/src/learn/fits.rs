//! Fits of fitted models in the stream, each computed by a thread of its own before a learner needs it.
//!
//! No learning step waits for a fit: a learner goes as far as [`accrue_train::Learner::free_choices`] allows and looks again after
//! [`POLL`], so that it can be stopped meanwhile. A fit holds nothing but its data, and may outlive the engine.

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use accrue_model::PendingFit;

/// How long a learner that needs a fit waits before it looks again.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Starts each fit that has not been started.
pub(crate) fn start<'a>(fits: impl Iterator<Item = &'a Arc<PendingFit>>) {
    for fit in fits.filter(|fit| fit.claim()) {
        let owned = fit.clone();
        // If the system refuses another thread, this one computes the fit.
        if Builder::new().name("fit".into()).spawn(move || owned.compute()).is_err() {
            fit.compute();
        }
    }
}
