//! `/v1/search/synonyms`: words of one meaning.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::problem::{Problem, ProblemDocument};
use super::server::Server;

/// The shop's synonyms.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Synonyms, example = json!({"synonyms": ["brolly, umbrella", "notebook => laptop"]}))]
pub(super) struct SynonymsBody {
    /// A rule each: `a, b, c` find each other; `a => b` lets `a` also find `b`.
    synonyms: Vec<String>,
}

/// The shop's synonyms
///
/// Those that were put here; those of the file `search.synonyms` and the common ones of the language are in force beside them.
#[utoipa::path(
    get,
    path = "/v1/search/synonyms",
    tag = "operate",
    responses(
        (status = 200, description = "All rules", body = SynonymsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Json<SynonymsBody> {
    Json(SynonymsBody { synonyms: server.engine.synonyms() })
}

/// Replace the shop's synonyms
///
/// They hold from the next answer on. A line with a fault refuses all of them, and nothing changes.
#[utoipa::path(
    put,
    path = "/v1/search/synonyms",
    tag = "operate",
    request_body = SynonymsBody,
    responses(
        (status = 200, description = "All rules", body = SynonymsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace(
    State(server): State<Arc<Server>>,
    body::Json(body): body::Json<SynonymsBody>,
) -> Result<Json<SynonymsBody>, Problem> {
    server.engine.set_synonyms(&body.synonyms).await?;
    Ok(list(State(server)).await)
}
