//! `/v1/users`: descriptions of users, and the merge of a guest into a user.

use std::sync::Arc;

use accrue_event::{Attributes, RawUser, RawValue, User, UserId, clean_id, is_placeholder};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body;
use super::ingested::refuse_if_refused;
use super::params::{At, Id};
use super::problem::{Code, Problem, ProblemDocument};
use super::schema::{AttributesRecord, UserRecord};
use super::server::Server;

/// A user's description.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"attributes": {"country": "DE", "loyalty": "gold"}}))]
pub(super) struct PutUser {
    /// May repeat the id of the address.
    id: Option<String>,
    /// Any attributes.
    #[serde(default)]
    #[schema(value_type = AttributesRecord)]
    attributes: Attributes,
}

/// Describe a user
///
/// Replaces the whole description; the user's events stay. 422 with the `reason` if the check refuses the description.
#[utoipa::path(
    put,
    path = "/v1/users/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The user's id", example = "u1")),
    request_body = PutUser,
    responses(
        (status = 204, description = "Done"),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_user(
    State(server): State<Arc<Server>>,
    Id(id): Id,
    body::Json(user): body::Json<PutUser>,
) -> Result<StatusCode, Problem> {
    if user.id.is_some_and(|other| *clean_id(&other) != *id) {
        let detail = format!("id: the address has {id:?}, the body another id; leave out the one in the body");
        return Err(Problem::new(Code::InvalidValue, detail).field("id"));
    }
    let attributes = user.attributes.into_iter().map(|(name, value)| (name, value.into())).collect();
    let user = RawUser { id: RawValue::text(id), attributes };
    refuse_if_refused(&server.engine.put_users(vec![user.into()]).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a user's description
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The user's id", example = "u1")),
    responses(
        (status = 200, description = "The user; one known from events alone has no attributes", body = UserRecord),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_user(State(server): State<Arc<Server>>, Id(id): Id) -> Result<Json<User>, Problem> {
    match server.engine.user(&UserId::from(id.as_str())) {
        Some(user) => Ok(Json(user)),
        None => Err(Problem::new(Code::UserNotFound, format!("no user has the id {id:?}"))),
    }
}

/// Drop a user's description
///
/// The user's events stay; to erase a person's records, see `/v1/forget`.
#[utoipa::path(
    delete,
    path = "/v1/users/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The user's id", example = "u1")),
    responses(
        (status = 204, description = "Done"),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_user(State(server): State<Arc<Server>>, Id(id): Id) -> Result<StatusCode, Problem> {
    server.engine.remove_user(UserId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A guest who has logged in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// The guest's session.
    #[schema(example = "s-20261121-77")]
    #[serde(deserialize_with = "accrue_event::sent_id::one")]
    session: String,
}

/// Merge a guest into a user
///
/// Call it at the login: what the guest did in the session becomes the user's history.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/merge",
    tag = "collect",
    params(("id" = String, Path, description = "The user's id", example = "u1")),
    request_body = Merge,
    responses(
        (status = 204, description = "Done"),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn merge(
    State(server): State<Arc<Server>>,
    Id(id): Id,
    body::Json(Merge { session }): body::Json<Merge>,
) -> Result<StatusCode, Problem> {
    let session = At("").id("session", &session)?;
    if is_placeholder(&id) {
        let detail = format!("id: {id:?} stands for a missing id, so a guest cannot be merged into it");
        return Err(Problem::new(Code::InvalidPath, detail).field("id"));
    }
    server.engine.merge(session, UserId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
