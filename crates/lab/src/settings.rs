//! Settings of protocols and models from `key=value` pairs.
//!
//! In: pairs of texts. Out: typed values. A model's settings are its defaults, with the named ones replaced and read as
//! the type of the default. An unknown name or a value of another type is an error.

use std::collections::BTreeMap;
use std::str::FromStr;

use accrue_event::SettingFault;
use accrue_model::collaborative::ratings::{AnyRatingSettings, RatingKind};
use accrue_model::collaborative::{AnySettings, Kind};
use accrue_model::ranker::{AnyClickSettings, ClickKind};
use serde_json::{Map, Value};

use crate::LabError;

/// The pairs that have not been taken yet.
#[derive(Clone, Debug, Default)]
pub struct Pairs(BTreeMap<String, String>);

impl Pairs {
    /// From pairs; of several pairs with one name the last is used.
    pub fn new(pairs: &[(String, String)]) -> Self {
        Self(pairs.iter().cloned().collect())
    }

    /// Takes the value of `key` if it was given, otherwise `otherwise`.
    ///
    /// # Errors
    /// [`LabError::Setting`] if the value has another type.
    pub fn take<T: FromStr>(&mut self, key: &str, otherwise: T, expected: &'static str) -> Result<T, LabError> {
        match self.0.remove(key) {
            None => Ok(otherwise),
            Some(text) => text.parse().map_err(|_| SettingFault::new(key, text, expected).into()),
        }
    }

    /// Takes one of some words; the first if none was given.
    ///
    /// # Errors
    /// [`LabError::Setting`] if the value is another word.
    pub fn take_word(&mut self, key: &str, words: &[&'static str]) -> Result<&'static str, LabError> {
        let Some(text) = self.0.remove(key) else { return Ok(words[0]) };
        let word = words.iter().find(|&&word| word == text);
        word.copied().ok_or_else(|| SettingFault::new(key, text, words.join(" or ")).into())
    }

    /// Takes numbers between commas.
    ///
    /// # Errors
    /// [`LabError::Setting`] if one of them is not a positive number.
    pub fn take_cutoffs(&mut self, key: &str, otherwise: &[u32]) -> Result<Vec<u32>, LabError> {
        let Some(text) = self.0.remove(key) else { return Ok(otherwise.into()) };
        let mut cutoffs = text.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>().unwrap_or_default();
        cutoffs.sort_unstable();
        cutoffs.dedup();
        let are_positive = cutoffs.first().is_some_and(|&first| first > 0);
        if !are_positive {
            return Err(SettingFault::new(key, text, "positive whole numbers between commas, as in 5,10,20").into());
        }
        Ok(cutoffs)
    }

    /// The remaining pairs, for a model.
    pub fn rest(self) -> BTreeMap<String, String> {
        self.0
    }
}

/// The model of this name.
///
/// # Errors
/// [`LabError::NoModel`] if there is none.
pub fn model_kind(name: &str) -> Result<Kind, LabError> {
    let known = || Kind::ALL.iter().map(|kind| kind.name()).collect();
    Kind::named(name).ok_or_else(|| LabError::NoModel { kind: "model", name: name.into(), known: known() })
}

/// The model of ratings of this name.
///
/// # Errors
/// [`LabError::NoModel`] if there is none.
pub fn rating_model_kind(name: &str) -> Result<RatingKind, LabError> {
    let known = || RatingKind::ALL.iter().map(|kind| kind.name()).collect();
    RatingKind::named(name).ok_or_else(|| LabError::NoModel { kind: "rating model", name: name.into(), known: known() })
}

/// The click model of this name.
///
/// # Errors
/// [`LabError::NoModel`] if there is none.
pub fn click_model_kind(name: &str) -> Result<ClickKind, LabError> {
    let known = || ClickKind::ALL.iter().map(|kind| kind.name()).collect();
    ClickKind::named(name).ok_or_else(|| LabError::NoModel { kind: "click model", name: name.into(), known: known() })
}

/// The default settings of a click model, with those of `pairs` replaced.
///
/// # Errors
/// [`LabError`] if the model has no such setting or the value has another type.
pub fn click_model_settings(kind: ClickKind, pairs: &BTreeMap<String, String>) -> Result<AnyClickSettings, LabError> {
    let value = replaced(kind.name(), plain(&kind.default_settings()), pairs)?;
    let read = kind.read_settings(value);
    read.map_err(|source| LabError::ModelSettings { model: kind.name(), source })
}

/// The default settings of a model, with those of `pairs` replaced.
///
/// A blend has `parts=markov+als` and `weights=1,0.5`; the settings of a part begin with its name, as in
/// `als.factors=128`.
///
/// # Errors
/// [`LabError`] if the model has no such setting or the value has another type.
pub fn model_settings(kind: Kind, pairs: &BTreeMap<String, String>) -> Result<AnySettings, LabError> {
    let mut pairs = pairs.clone();
    let mut parts: Vec<AnySettings> = Vec::new();
    let mut weights: Option<Vec<f64>> = None;
    if kind == Kind::WeightedBlend {
        let text = pairs.remove("parts").unwrap_or_else(|| "popularity+markov+item-knn+session-knn".to_string());
        for name in text.split('+') {
            let part = model_kind(name)?;
            parts.push(model_settings(part, &taken(&mut pairs, name))?);
        }
        if let Some(text) = pairs.remove("weights") {
            let read = text.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
            weights =
                Some(read.map_err(|_| SettingFault::new("weights", text, "numbers between commas, one per part"))?);
        }
    }
    let value = replaced(kind.name(), plain(&kind.default_settings()), &pairs)?;
    let read = kind.read_settings(value);
    let mut settings = read.map_err(|source| LabError::ModelSettings { model: kind.name(), source })?;
    if let AnySettings::WeightedBlend(blend) = &mut settings {
        blend.parts = parts;
        blend.weights = weights.unwrap_or_default();
    }
    Ok(settings)
}

/// The same for a model of ratings; `rating-blend` has `parts=rating-knn+rating-mf`.
///
/// # Errors
/// [`LabError`] if the model has no such setting or the value has another type.
pub fn rating_model_settings(
    kind: RatingKind,
    pairs: &BTreeMap<String, String>,
) -> Result<AnyRatingSettings, LabError> {
    let mut pairs = pairs.clone();
    let mut parts = Vec::new();
    if kind == RatingKind::RatingBlend {
        let text = pairs.remove("parts").unwrap_or_else(|| "rating-knn+rating-mf".to_string());
        for name in text.split('+') {
            let part = rating_model_kind(name)?;
            parts.push(rating_model_settings(part, &taken(&mut pairs, name))?);
        }
    }
    let value = replaced(kind.name(), plain(&kind.default_settings()), &pairs)?;
    let read = kind.read_settings(value);
    let mut settings = read.map_err(|source| LabError::ModelSettings { model: kind.name(), source })?;
    if let AnyRatingSettings::RatingBlend(blend) = &mut settings {
        blend.parts = parts;
    }
    Ok(settings)
}

/// Takes the settings of a part out of the pairs: those whose names begin with `name.`.
fn taken(pairs: &mut BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let own = |key: &str| key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).map(str::to_string);
    let taken = pairs.iter().filter_map(|(key, value)| Some((own(key)?, value.clone()))).collect();
    pairs.retain(|key, _| own(key).is_none());
    taken
}

fn replaced(name: &str, mut settings: Map<String, Value>, pairs: &BTreeMap<String, String>) -> Result<Value, LabError> {
    for (key, text) in pairs {
        let Some(value) = settings.get_mut(key) else {
            let known = settings.keys().cloned().collect();
            return Err(LabError::NoSetting { owner: format!("model `{name}`"), key: key.clone(), known });
        };
        let (read, expected) = match value {
            Value::Bool(_) => (text.parse().ok().map(Value::Bool), "true or false"),
            Value::Number(number) if number.is_f64() => {
                (text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number), "a number")
            }
            Value::Number(_) => (text.parse::<u64>().ok().map(Value::from), "a whole number of at least 0"),
            _ => (Some(Value::String(text.clone())), "text"),
        };
        *value = read.ok_or_else(|| SettingFault::new(key, text, expected))?;
    }
    Ok(Value::Object(settings))
}

/// A model's settings as texts, for a report; the settings of a blend's parts begin with the part's name.
pub fn described_model(settings: &AnySettings) -> BTreeMap<String, String> {
    let mut described = words(plain(settings));
    if let AnySettings::WeightedBlend(blend) = settings {
        described
            .insert("parts".into(), blend.parts.iter().map(|part| part.kind().name()).collect::<Vec<_>>().join("+"));
        described.insert("weights".into(), blend.weights.iter().map(f64::to_string).collect::<Vec<_>>().join(","));
        for part in &blend.parts {
            let name = part.kind().name();
            described.extend(described_model(part).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
    }
    described
}

/// The same for a model of ratings.
pub fn described_rating_model(settings: &AnyRatingSettings) -> BTreeMap<String, String> {
    let mut described = words(plain(settings));
    if let AnyRatingSettings::RatingBlend(blend) = settings {
        described
            .insert("parts".into(), blend.parts.iter().map(|part| part.kind().name()).collect::<Vec<_>>().join("+"));
        for part in &blend.parts {
            let name = part.kind().name();
            described
                .extend(described_rating_model(part).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
    }
    described
}

/// The same for a click model.
pub fn described_click_model(settings: &AnyClickSettings) -> BTreeMap<String, String> {
    words(plain(settings))
}

fn words(settings: Map<String, Value>) -> BTreeMap<String, String> {
    let word = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    settings.into_iter().map(|(key, value)| (key, word(value))).collect()
}

/// The settings inside `{name: settings}`.
fn plain(settings: &impl serde::Serialize) -> Map<String, Value> {
    let Ok(Value::Object(tagged)) = serde_json::to_value(settings) else { return Map::new() };
    match tagged.into_iter().next() {
        Some((_, Value::Object(settings))) => settings,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
    }

    #[test]
    fn settings_are_read_as_the_type_of_the_default() {
        let settings = model_settings(Kind::ItemKnn, &pairs(&[("k", "7"), ("shrink", "2")])).expect("good settings");
        let described = described_model(&settings);
        assert_eq!((&*described["k"], &*described["shrink"], &*described["norm"]), ("7", "2.0", "0.5"));
    }

    #[test]
    fn unknown_settings_are_refused_with_the_known_names() {
        let message = |given: &[(&str, &str)]| {
            model_settings(Kind::ItemKnn, &pairs(given)).expect_err("a bad setting").to_string()
        };
        assert!(message(&[("depth", "7")]).contains("shrink"), "{}", message(&[("depth", "7")]));
        assert!(message(&[("k", "many")]).contains("whole number"), "{}", message(&[("k", "many")]));
    }
}
