//! The scenes in force: those of the settings, and those that requests put into the log.
//!
//! They are read from the facts again whenever the facts have other ones. A scene of the log replaces the one of its name
//! in the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_event::SettingFault;
use accrue_serve::{SceneSettings, Scenes};
use accrue_store::{Facts, Offset};
use arc_swap::ArcSwap;

/// Scenes as a shop writes them, by name.
pub type WrittenScenes = BTreeMap<Box<str>, SceneSettings>;

/// Checks scenes: those of the settings, with those of the log in the place of the ones of their names.
pub(crate) fn check(of_settings: &WrittenScenes, of_log: &WrittenScenes) -> Result<Scenes, SettingFault> {
    let mut all = of_settings.clone();
    all.extend(of_log.iter().map(|(name, scene)| (name.clone(), scene.clone())));
    Scenes::read(&all)
}

/// The scenes in force, and those of the log that cannot be used: a scene of the settings that they are like may be
/// gone since they were written. They are left out, and all others hold.
pub(crate) fn usable(
    of_settings: &WrittenScenes,
    of_log: &WrittenScenes,
) -> (Scenes, BTreeMap<Box<str>, SettingFault>) {
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

/// The scenes that the facts have. A record that cannot be read, written by another build, counts as none.
pub(crate) fn written(facts: &Facts) -> WrittenScenes {
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
