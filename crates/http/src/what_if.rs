//! `/v1/what-if`: settings judged on the server's own log before they are switched on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use accrue_engine::{Proposal, WhatIfAsked, WhatIfFound, WhatIfState, WhatIfStatus, WrittenScenes};
use accrue_event::ShopRule;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body;
use super::params::At;
use super::problem::{Code, Problem, ProblemDocument};
use super::schema::{RuleRecord, SceneRecord};
use super::server::Server;

/// Days that answers may count back, places of a page, and answers that are made again.
const DAYS: std::ops::RangeInclusive<usize> = 1..=365;
const PLACES: std::ops::RangeInclusive<usize> = 1..=1_000;
const ANSWERS: std::ops::RangeInclusive<usize> = 1..=5_000;
/// Answers that are made again where a request does not say it.
const USUAL_ANSWERS: usize = 2_000;

/// Settings to judge. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Proposal, example = json!({"scenes": {"home": {"diversity": {"strength": 0.3}}}, "top": 4}))]
pub(super) struct ProposalBody {
    /// Scenes, each in the place of the one of its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, SceneRecord>)]
    pub scenes: WrittenScenes,
    /// Rules of the shop, in the place of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<RuleRecord>>)]
    pub rules: Option<Vec<ShopRule>>,
    /// How far back answers count, in days: 1 to 365, 30 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<usize>,
    /// Places of a page that count, from the top: 1 to 1000, 10 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Answers that are made again, at most: 1 to 5000, 2000 if left out; of more, a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<usize>,
    /// Estimates from fewer effective answers are refused: from 1 on, 100 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_effective: Option<f64>,
}

/// The latest what-if.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatIf)]
pub(super) struct WhatIfBody {
    /// `none`, `running`, `done` or `failed`.
    #[schema(example = "running")]
    state: &'static str,
    /// The share of pages made again, while it is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<f64>,
    /// Why it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProposalBody>)]
    proposal: Option<Value>,
    /// What was found, as `accrue what-if --json` prints it: estimates with intervals and the number of effective
    /// answers, or why they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    found: Option<Box<WhatIfFound>>,
}

impl From<WhatIfStatus> for WhatIfBody {
    fn from(WhatIfStatus { proposal, state }: WhatIfStatus) -> Self {
        let proposal = serde_json::from_str(&proposal).ok();
        let body = Self { state: "none", done: None, failed: None, proposal, found: None };
        match state {
            WhatIfState::None => body,
            WhatIfState::Running(done) => Self { state: "running", done: Some(done), ..body },
            WhatIfState::Done(found) => Self { state: "done", found: Some(found), ..body },
            WhatIfState::Failed(why) => Self { state: "failed", failed: Some(why), ..body },
        }
    }
}

impl Server {
    /// Begins to judge what a request proposes.
    pub(super) fn begin_what_if(&self, body: ProposalBody) -> Result<(), Problem> {
        let at = At("");
        let days = at.count("days", body.days, 30, DAYS)?;
        let least_effective = body.least_effective.unwrap_or(WhatIfAsked::default().least_effective);
        if !(1.0..=1e9).contains(&least_effective) {
            return Err(at.fault("least_effective", "must be a number from 1 on"));
        }
        let asked = WhatIfAsked {
            window: Duration::from_secs(days as u64 * 24 * 3600),
            answers: at.count("answers", body.answers, USUAL_ANSWERS, ANSWERS)?,
            top: at.count("top", body.top, 10, PLACES)?,
            least_effective,
        };
        if body.scenes.is_empty() && body.rules.is_none() {
            return Err(at.fault("scenes", "or `rules` must say what is proposed"));
        }
        let written =
            serde_json::to_string(&body).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))?;
        let proposal = Proposal { scene: body.scenes, rule: body.rules, part: None };
        Ok(self.engine.begin_what_if(proposal, written.into(), asked)?)
    }
}

/// The latest what-if
///
/// It is in memory alone: after a restart there is none.
#[utoipa::path(
    get,
    path = "/v1/what-if",
    tag = "operate",
    responses(
        (status = 200, description = "How far it is, or what was found", body = WhatIfBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn latest(State(server): State<Arc<Server>>) -> Json<WhatIfBody> {
    Json(server.engine.what_if().into())
}

/// Judge settings on the log before they are switched on
///
/// Answers that were given are made again under the settings in force and under these, in a thread of its own; what would
/// have been clicked and bought is estimated from those whose first places were drawn by chance. One proposal at a time:
/// another is refused with `conflict` until the one before is judged. Nothing is changed.
#[utoipa::path(
    post,
    path = "/v1/what-if",
    tag = "operate",
    request_body = ProposalBody,
    responses(
        (status = 202, description = "It has begun", body = WhatIfBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin(
    State(server): State<Arc<Server>>,
    body::Json(body): body::Json<ProposalBody>,
) -> Result<(StatusCode, Json<WhatIfBody>), Problem> {
    server.begin_what_if(body)?;
    Ok((StatusCode::ACCEPTED, Json(server.engine.what_if().into())))
}
