//! Reading scenes with the sources that there are. A scene has the names of its sources; what they are is known here.

use std::collections::BTreeMap;

use accrue_event::SettingFault;

use super::{Source, all, named};
use crate::{SceneSettings, Scenes};

impl Scenes {
    /// Checks and reads the scenes that a shop describes; those that every server has stay beside them.
    ///
    /// # Errors
    /// The first fault; its key begins with the name of the scene.
    pub fn read(written: &BTreeMap<Box<str>, SceneSettings>) -> Result<Self, SettingFault> {
        let names: Vec<&'static str> = all().iter().map(|source| source.name).collect();
        Self::read_with(written, &names)
    }

    /// Refuses scenes with sources whose models do not learn under these settings.
    ///
    /// # Errors
    /// The first fault; its key begins with the name of the scene.
    pub fn check_models(&self, models: &accrue_model::Settings) -> Result<(), SettingFault> {
        for (name, scene) in self.each() {
            let sources = scene.sources.iter().enumerate().filter(|_| !scene.has_own_sources);
            for (place, &(source, _)) in sources {
                let needs = named(source).and_then(Source::needs);
                if let Some(off) = needs.and_then(|part| models.switched_off(part)) {
                    let expected = format!("a source that is on; this one needs `{}` to be {}", off.key, off.expected);
                    return Err(SettingFault::new(format!("{name}.sources[{place}]"), source, expected));
                }
            }
        }
        Ok(())
    }
}

/// The name of every source, and what it finds.
pub fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    all().iter().map(|source| (source.name, source.what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenes_of_the_server_ask_sources_that_there_are() {
        for (name, scene) in Scenes::built_in().each() {
            for (source, _) in &scene.sources {
                assert!(named(source).is_some(), "{name}: {source}");
            }
        }
    }
}
