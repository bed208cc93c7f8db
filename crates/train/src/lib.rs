//! Learning: the second fold over the log, and how it is saved, resumed and verified.
//!
//! In: facts in log order. Out: published versions, checkpoints, prequential quality, digests. This crate answers no
//! request and reads no clock. The caller decides when to publish and when to save, because neither changes the state.

mod checkpoint;
mod clicks;
mod descriptions;
mod digest;
mod drift;
mod error;
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

pub use checkpoint::{Recovered, ResolvedLog, find_look_back, follow, look_back, looks_back_to, recover, save};
pub use clicks::{ClickSettings, Clicks};
pub use digest::{Digest, digest};
pub use drift::{Change, Drift, DriftSettings};
pub use error::TrainError;
pub use forget::{Traces, erase, find_traces, is_same_person, rebuild, refuse_if_pruned, with_other_spellings};
pub use gate::{Challenge, EarlierRecords, GateSettings, ShadowResult, Take, Verdict};
pub use guard::{Alarm, GuardSettings, Tally};
pub use impressions::ImpressionSettings;
pub use learner::{Challenger, Learner, RestartedSection};
pub use lenient::{IgnoredSetting, Recorded};
pub use model_state::ModelState;
pub use prequential::{ArmQuality, Hits, Quality};
pub use resets::{Judged, ResetSettings, Resets};
pub use settings::LearnSettings;
pub use versions::{Lineage, SuspectWindow, VersionEntry, VersionStatus};
