//! Which model is fitted repeatedly, how often, and on how many choices.

use std::fmt;

use accrue_event::{SettingFault, Tree};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::collaborative::{AnySettings, Fit, FitError, Interactions, Kind};
use crate::members::MemberSettings;

/// The name for no model.
const NONE: &str = "none";

/// Which model is fitted, with its settings.
///
/// In files and requests: `"none"`, a model's name, or a table with its settings, `{ease = {l2 = 300.0}}`. What is not named keeps its
/// default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FittedKind(Option<AnySettings>);

impl FittedKind {
    /// This model.
    pub fn of(settings: AnySettings) -> Self {
        Self(Some(settings))
    }

    /// Its settings, if there is a model.
    pub fn settings(&self) -> Option<&AnySettings> {
        self.0.as_ref()
    }

    fn named(name: &str) -> Option<Self> {
        if name == NONE {
            return Some(Self(None));
        }
        Kind::named(name).map(|kind| Self::of(kind.default_settings()))
    }
}

impl Serialize for FittedKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => serializer.serialize_str(NONE),
            Some(settings) if serializer.is_human_readable() => settings.serialize(serializer),
            // Formats that do not describe themselves cannot hold flattened tables.
            Some(settings) => serializer.serialize_str(&toml::to_string(settings).map_err(serde::ser::Error::custom)?),
        }
    }
}

impl<'de> Deserialize<'de> for FittedKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(NameOrTable);
        }
        let text = String::deserialize(deserializer)?;
        match Self::named(&text) {
            Some(kind) => Ok(kind),
            None => toml::from_str::<Tree>(&text).map_err(D::Error::custom)?.read().map_err(D::Error::custom),
        }
    }
}

struct NameOrTable;

impl<'de> Visitor<'de> for NameOrTable {
    type Value = FittedKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`none`, the name of a fitted model, or a table with its settings under its name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<FittedKind, E> {
        FittedKind::named(name).ok_or_else(|| E::custom(unknown(name)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FittedKind, A::Error> {
        let name: String = map.next_key()?.ok_or_else(|| A::Error::custom("there is no model in it"))?;
        let kind = Kind::named(&name).ok_or_else(|| A::Error::custom(unknown(&name)))?;
        let settings = map.next_value_seed(SettingsOf(kind))?;
        match map.next_key::<String>()? {
            None => Ok(FittedKind::of(settings)),
            Some(other) => {
                Err(A::Error::custom(format!("`{name}` and `{other}`: one model is fitted; several make a `blend`")))
            }
        }
    }
}

struct SettingsOf(Kind);

impl<'de> DeserializeSeed<'de> for SettingsOf {
    type Value = AnySettings;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AnySettings, D::Error> {
        self.0.read_settings(deserializer)
    }
}

fn unknown(name: &str) -> String {
    let names = Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    format!("there is no fitted model `{name}`; there is {NONE}, {names}")
}

/// Which model is fitted repeatedly, how often, and on how many choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FittedSettings {
    /// Choices from one fit to the next, at most. After few choices fits come sooner: each after half as many
    /// again as there were.
    pub every: u64,
    /// The latest choices that a fit learns from, and that are kept.
    pub window: usize,
    /// Which model.
    pub model: FittedKind,
    /// Candidates of a page.
    pub candidates: usize,
}

impl Default for FittedSettings {
    fn default() -> Self {
        Self { every: 50_000, window: 1_000_000, model: FittedKind::default(), candidates: 100 }
    }
}

impl MemberSettings for FittedSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        let is_off = self.model.settings().is_none();
        is_off.then(|| SettingFault::new("model", NONE, "the name of a fitted model, such as ease or als"))
    }

    /// The fitted model's own settings are tested on a few synthetic histories.
    fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("every", self.every, 16..=1 << 32)?;
        SettingFault::check("window", self.window as u64, 16..=1 << 32)?;
        let Some(settings) = self.model.settings() else { return Ok(()) };
        let made_up = Interactions::new(4, [[0, 1, 2], [1, 2, 3], [2, 3, 0], [3, 0, 1]]);
        let in_one_pass = bounded(settings).map_err(|fault| fault.within("model"))?;
        match in_one_pass.fit(&made_up, &Fit::quiet(1, 1)) {
            Err(FitError::Setting { name, value, expected }) => {
                Err(SettingFault::new(name, value, expected).within(settings.kind().name()).within("model"))
            }
            _ => Ok(()),
        }
    }
}

/// Settings by name that determine how long a fit takes, or how much memory, for any data; with the largest value of
/// each.
const MOST: [(&[&str], i64); 4] = [
    (PASSES, 1_000),
    (&["layers", "blocks", "hops"], 16),
    (&["d", "factors", "rank", "length", "heads", "order", "horizontal", "vertical", "kernel"], 1_024),
    (&["hidden"], 4_096),
];
/// Those that set how often a fit passes over its data.
const PASSES: &[&str] = &["epochs", "iterations", "rounds", "steps"];
/// The largest value of other numbers.
const ANYTHING: i64 = 1_000_000;

/// The settings with a single pass over the data, for the test.
///
/// # Errors
/// A number with which a fit would not end, or would take more memory than there is.
fn bounded(settings: &AnySettings) -> Result<AnySettings, SettingFault> {
    let mut table = toml::Value::try_from(settings).expect("settings of a fitted model are numbers and names");
    bound(&mut table)?;
    let tree = Tree::deserialize(table).expect("a table is a tree of values");
    Ok(tree.read().expect("smaller numbers are of the same type"))
}

fn bound(place: &mut toml::Value) -> Result<(), SettingFault> {
    match place {
        toml::Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                let listed = MOST.iter().find(|(keys, _)| keys.contains(&key.as_str()));
                let most = listed.map_or(ANYTHING, |&(_, most)| most);
                match value {
                    toml::Value::Integer(number) if *number > most => {
                        return Err(SettingFault::new(key, *number, format!("at most {most}")));
                    }
                    toml::Value::Integer(number) if PASSES.contains(&key.as_str()) => *number = (*number).min(1),
                    value => bound(value).map_err(|fault| fault.within(key))?,
                }
            }
            Ok(())
        }
        toml::Value::Array(values) => values.iter_mut().try_for_each(bound),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<FittedSettings, String> {
        toml::from_str(toml).map_err(|error: toml::de::Error| error.message().to_string())
    }

    #[test]
    fn a_model_is_given_by_name_or_with_its_settings_and_read_back() {
        for &kind in Kind::ALL {
            let named = read(&format!("model = '{}'", kind.name())).unwrap();
            assert_eq!(named.model.settings(), Some(&kind.default_settings()), "{}", kind.name());
            assert_eq!(read(&toml::to_string(&named).unwrap()).unwrap(), named, "{}", kind.name());
            let bytes = postcard::to_stdvec(&named).unwrap();
            assert_eq!(postcard::from_bytes::<FittedSettings>(&bytes).unwrap(), named, "{}", kind.name());
            assert_eq!(named.validate(), Ok(()), "{}", kind.name());
        }
        let ease = read("every = 500\n[model.ease]\nl2 = 7.0").unwrap();
        assert!(matches!(ease.model.settings(), Some(AnySettings::Ease(settings)) if settings.l2 == 7.0));
        assert_eq!(read("model = 'none'").unwrap(), FittedSettings::default());
    }

    #[test]
    fn invalid_settings_are_named() {
        for (toml, why) in [
            ("model = 'eas'", "there is none, popularity"),
            ("model = { eas = {} }", "no fitted model `eas`"),
            ("model = { ease = { l3 = 1.0 } }", "l3"),
            ("model = { ease = {}, als = {} }", "one model is fitted"),
            ("model = {}", "no model in it"),
            ("model = 3", "name of a fitted model"),
        ] {
            let fault = read(toml).expect_err(toml);
            assert!(fault.contains(why), "{toml}: {fault}");
        }
        for (toml, why) in [
            ("every = 3", "`every` is 3"),
            ("window = 0", "`window` is 0"),
            (
                "[model.markov]\nreach = 1_000_000_000_000",
                "`model.markov.reach` is 1000000000000, but must be at most 1000000",
            ),
            ("[model.als]\niterations = 100_000", "`model.als.iterations` is 100000, but must be at most 1000"),
            ("[model.gru]\nd = 100_000", "`model.gru.d` is 100000, but must be at most 1024"),
            ("[model.ease]\nl2 = -1.0", "`model.ease.l2` is -1, but must be "),
        ] {
            let fault = read(toml).unwrap().validate().expect_err(toml).to_string();
            assert!(fault.contains(why), "{toml}: {fault}");
        }
    }
}
