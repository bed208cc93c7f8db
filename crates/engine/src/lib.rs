//! The engine: a shop's data folder in use. A program that wants recommendations without HTTP links this crate.
//!
//! One writer thread checks, appends and applies; one learner thread follows the log and publishes; one thread keeps the search
//! index; a server has one more that trains challengers; any number of readers answer from the facts and the published version.
//! Writes pass a bounded queue and are committed in groups: append → durable → applied to the facts → acknowledged.
//!
//! ```
//! use accrue_engine::{Config, Engine, Incoming};
//!
//! let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path(), &Config::default())?;
//! let event = serde_json::from_str(r#"{"type": "purchase", "user": "ann", "item": "mug", "at": 1760000000000}"#)?;
//! engine.ingest(vec![Incoming::Record(event)])?;
//! engine.wait_until_learned();
//! assert_eq!(engine.trending(&Default::default())?.items[0].id.as_str(), "mug");
//! engine.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod backoff;
mod by_asker;
mod campaigns;
mod challenger;
mod clock;
mod config;
mod content;
mod engine;
mod error;
mod folder;
mod forget;
mod in_force;
mod learn;
mod offline;
pub mod online_model;
mod operator;
mod page_work;
mod recent_searches;
mod repair;
mod retention;
mod rules;
mod running;
mod scenes;
mod search_outcomes;
mod shared;
mod status;
mod synonyms;
mod text_file;
mod threads;
mod totals;
pub mod traffic;
mod transfer;
mod tuning;
mod versions;
mod visits;
mod what_if;
mod what_if_job;
mod what_if_log;
mod what_if_status;
mod write;

pub use accrue_lab::off_policy::Estimate;
pub use accrue_lab::what_if::Judgement;
pub use accrue_model::MemberReport;
pub use accrue_model::ranker::HeadFigures;
pub use answers::{Answered, StartedSearch};
pub use by_asker::Asker;
pub use campaigns::{CampaignAccount, CampaignChange, CampaignList, campaign_mark};
pub use challenger::at_rest::{ChallengeReport, challenge};
pub use challenger::request::{ChallengerRequest, ChangeError, Changes, with_changes};
pub use challenger::status::{ChallengerState, ChallengerStatus};
pub use config::{
    Config, Keep, KeepError, LearnConfig, LogConfig, MOVED_SETTINGS, StoreConfig, learn_settings, moved_to,
};
pub use content::{ContentConfig, ContentState, ContentStatus, PictureStatus};
pub use engine::Engine;
pub use error::{EngineError, ProposalError, Resource};
pub use folder::checkpoints_in;
pub use forget::at_rest::{Forgotten, finish_forgetting, forget, traces};
pub use forget::status::{Erased, ErasureState, ErasureStatus};
pub use in_force::scenes::WrittenScenes;
pub use offline::{Replay, at_rest, digest, recommendations, replay};
pub use page_work::StageStatus;
pub use repair::{ProposalList, proposals_of};
pub use retention::at_rest::{Compacted, compact};
pub use rules::RuleChange;
pub use scenes::SceneList;
pub use search_outcomes::search_outcomes;
pub use status::{
    CheckpointStatus, ClickStatus, DrawStatus, GuardStatus, IndexState, IndexStatus, PublishedStatus, Status,
};
pub use text_file::read_text;
pub use transfer::{NoSource, Source as TransferSource, begin_from, evaluate_from, parts_of, take_up_parts};
pub use tuning::{
    Change as TuneChange, Comparison, Figures, PairKind, PairSettings, TextPair, TextPairs, TuneEnd, TuneError,
    TuneProgress, TuneReport, TuneRequest, text_pairs, tune_encoder, tuning_folder,
};
pub use versions::Versions;
pub use what_if::{AskedAgain, MadeAgain, Proposal, make_again};
pub use what_if_log::{WhatIfAsked, WhatIfFound, judge_on_log};
pub use what_if_status::{WhatIfState, WhatIfStatus};
pub use write::absent::Absent;
pub use write::batch::{Change, Incoming, Ingested, QuarantinedRecord, Refused, Sender, TimeLeap};
pub use write::check::with_kind_in_code;
