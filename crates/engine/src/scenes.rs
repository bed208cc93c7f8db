//! The scenes of the shop: those of the settings, and those that requests put into the log.
//!
//! In: scenes as the shop writes them. Out: one record of all scenes for each change, and the scenes read, which are
//! computed again whenever the facts have other ones. A scene of the log replaces the one of its name in the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_event::SettingFault;
use accrue_serve::{SceneSettings, Scenes};
use accrue_store::{Body, Facts, Offset};
use arc_swap::ArcSwap;

use crate::engine::Engine;
use crate::error::EngineError;

/// Scenes as a shop writes them, by name.
pub type WrittenScenes = BTreeMap<Box<str>, SceneSettings>;

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

/// Checks scenes: those of the settings, with those of the log in the place of the ones of their names.
fn check(of_settings: &WrittenScenes, of_log: &WrittenScenes) -> Result<Scenes, SettingFault> {
    let mut all = of_settings.clone();
    all.extend(of_log.iter().map(|(name, scene)| (name.clone(), scene.clone())));
    Scenes::read(&all)
}

/// The scenes in force, and those of the log that cannot be used: a scene of the settings that they are like may be
/// gone since they were written. They are left out, and all others hold.
fn usable(of_settings: &WrittenScenes, of_log: &WrittenScenes) -> (Scenes, BTreeMap<Box<str>, SettingFault>) {
    let (mut rest, mut faulty) = (of_log.clone(), BTreeMap::new());
    loop {
        match check(of_settings, &rest) {
            Ok(scenes) => return (scenes, faulty),
            Err(fault) => {
                let named = rest.keys().find(|name| is_about(&fault, name)).cloned();
                // Of a fault of none of them in particular, such as one scene too many, the last one counts as the cause.
                let Some(name) = named.or_else(|| rest.keys().next_back().cloned()) else {
                    return (Scenes::read(of_settings).unwrap_or_default(), faulty);
                };
                rest.remove(&name);
                faulty.insert(name, fault);
            }
        }
    }
}

/// Whether the fault is one of the scene of this name.
fn is_about(fault: &SettingFault, name: &str) -> bool {
    fault.key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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

/// The scenes that the facts have. A record that cannot be read, written by another build, counts as none.
fn written(facts: &Facts) -> WrittenScenes {
    if facts.scenes.json.is_empty() {
        return WrittenScenes::new();
    }
    serde_json::from_str(&facts.scenes.json).unwrap_or_else(|error| {
        tracing::error!(%error, "the scenes in the log cannot be read; those of the settings hold");
        WrittenScenes::new()
    })
}

/// The scenes of the shop, read.
pub(crate) struct ReadScenes {
    of_settings: WrittenScenes,
    known: ArcSwap<(Offset, Scenes)>,
}

impl ReadScenes {
    /// Those of the settings, which were checked before.
    pub fn new(of_settings: &WrittenScenes) -> Self {
        let read = Scenes::read(of_settings).unwrap_or_default();
        Self { of_settings: of_settings.clone(), known: ArcSwap::from_pointee((Offset(0), read)) }
    }

    /// The scenes in force under these facts, as they were written.
    pub fn written_in_force(of_settings: &WrittenScenes, facts: &Facts) -> WrittenScenes {
        let mut all = of_settings.clone();
        all.extend(written(facts));
        all
    }

    /// The scenes in force under these facts. They are read again after each change.
    pub fn of(&self, facts: &Facts) -> Arc<(Offset, Scenes)> {
        let known = self.known.load_full();
        if known.0 == facts.scenes.since {
            return known;
        }
        let (read, faulty) = usable(&self.of_settings, &written(facts));
        for (scene, fault) in faulty {
            tracing::error!(%scene, %fault, "a scene in the log cannot be used; the others hold");
        }
        let read = Arc::new((facts.scenes.since, read));
        self.known.store(Arc::clone(&read));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenes(json: &str) -> WrittenScenes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_scene_that_is_like_one_that_is_gone_is_left_out_and_the_others_hold() {
        let of_log = scenes(
            r#"{"mine": {"like": "base"}, "next": {"like": "mine"}, "other": {"rest": "never"}, "home": {"room_for_new": 0}}"#,
        );
        let (all, faulty) = usable(&scenes(r#"{"base": {}}"#), &of_log);
        assert!(faulty.is_empty() && all.written().contains_key("mine"));
        let (others, faulty) = usable(&WrittenScenes::new(), &of_log);
        assert_eq!(faulty.keys().map(|name| &**name).collect::<Vec<_>>(), ["mine", "next"]);
        let written = others.written();
        assert_eq!(written["home"].room_for_new, Some(0.0));
        assert!(written.contains_key("other") && !written.contains_key("mine"));
    }

    #[test]
    fn of_too_many_scenes_the_last_are_left_out() {
        let names = |prefix: &str, n: usize| -> WrittenScenes {
            (0..n).map(|n| (format!("{prefix}{n:02}").into(), SceneSettings::default())).collect()
        };
        let (_, faulty) = usable(&names("a", 60), &names("b", 6));
        assert_eq!(faulty.keys().map(|name| &**name).collect::<Vec<_>>(), ["b04", "b05"]);
    }
}
