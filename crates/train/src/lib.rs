//! Learning: the second fold over the log, and how it is kept, resumed and checked.
//!
//! In: facts in log order. Out: published versions, checkpoints, prequential quality, digests. This crate serves nobody, opens
//! no socket and reads no clock; when to publish and when to checkpoint is decided outside, since it changes no state.

mod checkpoint;
mod descriptions;
mod drift;
mod forget;
mod gain;
mod gate;
mod guard;
mod impressions;
mod learner;
mod lenient;
mod model_state;
mod prequential;
mod resets;
mod settings;
mod versions;

pub use checkpoint::{
    Digest, Recovered, ResolvedLog, TrainError, digest, find_look_back, follow, look_back, looks_back_to, recover, save,
};
pub use drift::{Change, Drift, DriftSettings};
pub use forget::{Traces, erase, find_traces, rebuild, refuse_if_pruned};
pub use gate::{Challenge, Challenger, EarlierRecords, GateSettings, ShadowResult, Take, Verdict};
pub use guard::{Alarm, GuardSettings, Tally};
pub use impressions::ImpressionSettings;
pub use learner::{BegunAnew, Learner};
pub use lenient::{PassedOver, Recorded};
pub use model_state::ModelState;
pub use prequential::{ArmQuality, Hits, Quality};
pub use resets::{Judged, ResetSettings, Resets};
pub use settings::LearnSettings;
pub use versions::{Lineage, SuspectWindow, VersionEntry, VersionStatus};
