//! Fits behind the stream, computed by threads of their own before a learner needs them.
//!
//! Nobody waits inside a learning step: who learns goes as far as [`accrue_train::Learner::free_choices`] says, and looks again a moment
//! later, so that it can be stopped meanwhile. A fit holds nothing but its data, and may outlive the engine.

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use accrue_model::PendingFit;

/// How long somebody who needs a fit waits before looking again.
pub(super) const A_MOMENT: Duration = Duration::from_millis(5);

/// Begins those that nobody has begun.
pub(super) fn begin<'a>(fits: impl Iterator<Item = &'a Arc<PendingFit>>) {
    for fit in fits.filter(|fit| fit.claim()) {
        let theirs = fit.clone();
        // Without room for a thread it takes this one.
        if Builder::new().name("fit".into()).spawn(move || theirs.compute()).is_err() {
            fit.compute();
        }
    }
}
