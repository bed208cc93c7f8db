//! Scenes as a shop puts and reads them.
//!
//! In: scenes as the shop writes them. Out: one record of all scenes for each change.

use std::collections::BTreeMap;

use accrue_event::SettingFault;
use accrue_store::{Body, Offset};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::in_force::scenes::{WrittenScenes, check, usable, written};

/// All that is known of a shop's scenes.
#[derive(Clone, Debug)]
pub struct SceneList {
    /// The records before this one include the latest change; 0 if there was none.
    pub since: Offset,
    /// The scenes that requests described.
    pub changed: WrittenScenes,
    /// The names of those that the settings describe.
    pub in_settings: Vec<Box<str>>,
    /// Those of them that cannot be used with the settings that this server was started with, and why.
    pub faulty: BTreeMap<Box<str>, SettingFault>,
    /// All scenes in force, with everything that they do written out.
    pub in_force: WrittenScenes,
}

impl Engine {
    /// The scenes of the shop.
    pub fn scenes(&self) -> SceneList {
        let in_settings = self.inner.config.scene.keys().cloned().collect();
        self.with_shop(|shop| {
            let changed = written(shop.facts);
            SceneList {
                since: shop.facts.scenes.since,
                faulty: usable(&self.inner.config.scene, &changed).1,
                changed,
                in_settings,
                in_force: shop.scenes.written(),
            }
        })
    }

    /// Replaces the scenes that requests described. They hold from the next answer on.
    ///
    /// # Errors
    /// [`EngineError::Scenes`], and those of [`Engine::ingest_from`].
    pub async fn set_scenes(&self, scenes: WrittenScenes) -> Result<(), EngineError> {
        let config = &self.inner.config;
        let checked = check(&config.scene, &scenes).and_then(|read| {
            read.check_types(|own| config.check.types.contains_key(own))?;
            read.check_models(&config.models())
        });
        checked.map_err(EngineError::Scenes)?;
        let named = self.with_shop(|shop| shop.check_scene_prices(&scenes, &written(shop.facts)));
        named.map_err(EngineError::Scenes)?;
        let json = match scenes.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&scenes)
                .map_err(|error| EngineError::Invalid { field: "scenes", message: error.to_string() })?,
        };
        self.edit(move |facts, _| {
            Ok(if *json == *facts.scenes.json { Vec::new() } else { vec![Body::Scenes(json.into())] })
        })
        .await
    }
}
