//! `/v1/scenes`: what the stages of each kind of page do.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::{SceneList, WrittenScenes};
use accrue_serve::{SceneSettings, sources};
use accrue_store::Offset;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::problem::{Problem, ProblemDocument};
use super::schema::SceneRecord;
use super::server::Server;

/// The scenes that the shop describes, all of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewScenes)]
pub(super) struct NewScenesBody {
    /// By name, in lower case; at most 64. They replace those of the same names in the settings.
    #[schema(value_type = BTreeMap<String, SceneRecord>)]
    scenes: WrittenScenes,
}

/// The scenes of the shop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scenes)]
pub(super) struct ScenesBody {
    /// The records of the log before this one include the latest change; 0 if there was none.
    #[schema(example = 48214)]
    offset: u64,
    /// All scenes in force, with everything that they do written out.
    scenes: BTreeMap<Box<str>, SceneBody>,
    /// The scenes as they were sent.
    #[schema(value_type = BTreeMap<String, SceneRecord>)]
    changed: WrittenScenes,
    /// Scenes that were sent and cannot be used with the settings that the server was started with, and why; absent if
    /// there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    faulty: BTreeMap<Box<str>, String>,
    /// What each source finds, by its name.
    sources: BTreeMap<&'static str, &'static str>,
}

/// A scene in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SceneInForce)]
pub(super) struct SceneBody {
    /// Where it is described: `request`, `settings`, or `default`.
    origin: &'static str,
    #[serde(flatten)]
    #[schema(value_type = SceneRecord)]
    scene: SceneSettings,
}

impl Server {
    fn scenes(&self) -> Json<ScenesBody> {
        let SceneList { since: Offset(offset), changed, faulty, in_settings, in_force } = self.engine.scenes();
        let scenes = in_force.into_iter().map(|(name, scene)| {
            let origin = match () {
                () if changed.contains_key(&name) && !faulty.contains_key(&name) => "request",
                () if in_settings.contains(&name) => "settings",
                () => "default",
            };
            (name, SceneBody { origin, scene })
        });
        let scenes = scenes.collect();
        let faulty = faulty.into_iter().map(|(name, fault)| (name, fault.to_string())).collect();
        Json(ScenesBody { offset, scenes, sources: sources().collect(), changed, faulty })
    }
}

/// The scenes of the shop
#[utoipa::path(
    get,
    path = "/v1/scenes",
    tag = "operate",
    responses(
        (status = 200, description = "All scenes", body = ScenesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Json<ScenesBody> {
    server.scenes()
}

/// Replace the scenes that requests described
///
/// They hold from the next answer on; those of the settings and of every server stay where a name is left out. A scene
/// with a fault refuses all of them, and nothing changes.
#[utoipa::path(
    put,
    path = "/v1/scenes",
    tag = "operate",
    request_body = NewScenesBody,
    responses(
        (status = 200, description = "All scenes", body = ScenesBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace(
    State(server): State<Arc<Server>>,
    body::Json(body): body::Json<NewScenesBody>,
) -> Result<Json<ScenesBody>, Problem> {
    server.engine.set_scenes(body.scenes).await?;
    Ok(server.scenes())
}
