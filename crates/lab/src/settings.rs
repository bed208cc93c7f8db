//! `key=value` pairs as settings of a protocol and of a model.
//!
//! In: pairs of words. Out: typed values; a model's settings are its defaults with the named ones replaced, each read as the
//! type that is there. Refuses: a name that nobody takes, a value of another type.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use accrue_model::collaborative::ratings::{AnyRatingSettings, RatingKind};
use accrue_model::collaborative::{AnySettings, Kind};
use serde_json::{Map, Value};

use crate::LabError;

/// Pairs that nobody has taken yet.
#[derive(Clone, Debug, Default)]
pub struct Pairs(BTreeMap<String, String>);

impl Pairs {
    /// From pairs; a later one replaces an earlier one of the same name.
    pub fn new(pairs: &[(String, String)]) -> Self {
        Self(pairs.iter().cloned().collect())
    }

    /// Takes the value of `key` if it was given, else `otherwise`.
    ///
    /// # Errors
    /// [`LabError::Setting`] if it is of another type.
    pub fn take<T: FromStr>(&mut self, key: &str, otherwise: T, expected: &str) -> Result<T, LabError> {
        match self.0.remove(key) {
            None => Ok(otherwise),
            Some(text) => text.parse().map_err(|_| wrong(key, &text, expected)),
        }
    }

    /// Takes one word out of a list, the first if none was given.
    ///
    /// # Errors
    /// [`LabError::Setting`] if it is another word.
    pub fn take_word(&mut self, key: &str, words: &[&'static str]) -> Result<&'static str, LabError> {
        let Some(text) = self.0.remove(key) else { return Ok(words[0]) };
        let word = words.iter().find(|&&word| word == text);
        word.copied().ok_or_else(|| wrong(key, &text, words.join(" or ")))
    }

    /// Takes numbers between commas.
    ///
    /// # Errors
    /// [`LabError::Setting`] if one is no positive number.
    pub fn take_cutoffs(&mut self, key: &str, otherwise: &[u32]) -> Result<Vec<u32>, LabError> {
        let Some(text) = self.0.remove(key) else { return Ok(otherwise.into()) };
        let mut cutoffs = text.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>().unwrap_or_default();
        cutoffs.sort_unstable();
        cutoffs.dedup();
        let are_positive = cutoffs.first().is_some_and(|&first| first > 0);
        if are_positive { Ok(cutoffs) } else { Err(wrong(key, &text, "places between commas, as in 5,10,20")) }
    }

    /// What is left, for a model.
    pub fn rest(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn wrong(key: &str, text: &str, expected: impl Display) -> LabError {
    LabError::Setting(format!("{key}={text}: expected {expected}"))
}

/// The model of this name.
///
/// # Errors
/// [`LabError::Setting`] with the names there are.
pub fn model_named(model: &str) -> Result<Kind, LabError> {
    Kind::named(model).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        LabError::Setting(format!("there is no model `{model}` for this protocol; there is {}", names.join(", ")))
    })
}

/// The model's settings with those of `pairs` replaced.
///
/// A blend has `parts=markov+als` and `weights=1,0.5`; a part's settings are named with it, as in `als.factors=128`.
///
/// # Errors
/// [`LabError::Setting`] if the model has no such setting or it is of another type.
pub fn model_settings(kind: Kind, pairs: &BTreeMap<String, String>) -> Result<AnySettings, LabError> {
    let mut pairs = pairs.clone();
    let mut parts: Vec<AnySettings> = Vec::new();
    let mut weights: Option<Vec<f64>> = None;
    if kind == Kind::Blend {
        let text = pairs.remove("parts").unwrap_or_else(|| "popularity+markov+item-knn+session-knn".to_string());
        for name in text.split('+') {
            let part = model_named(name)?;
            parts.push(model_settings(part, &taken(&mut pairs, name))?);
        }
        if let Some(text) = pairs.remove("weights") {
            let read = text.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
            weights = Some(read.map_err(|_| wrong("weights", &text, "numbers between commas, one a part"))?);
        }
    }
    let value = replaced(kind.name(), plain(&kind.default_settings()), &pairs)?;
    let read = kind.read_settings(value);
    let mut settings = read.map_err(|error| LabError::Setting(format!("model `{}`: {error}", kind.name())))?;
    if let AnySettings::Blend(blend) = &mut settings {
        blend.parts = parts;
        blend.weights = weights.unwrap_or_default();
    }
    Ok(settings)
}

/// The same for a model of ratings; `rating-blend` has `parts=rating-knn+rating-mf`.
///
/// # Errors
/// [`LabError::Setting`] if the model has no such setting or it is of another type.
pub fn rating_model_settings(
    kind: RatingKind,
    pairs: &BTreeMap<String, String>,
) -> Result<AnyRatingSettings, LabError> {
    let mut pairs = pairs.clone();
    let mut parts = Vec::new();
    if kind == RatingKind::RatingBlend {
        let text = pairs.remove("parts").unwrap_or_else(|| "rating-knn+rating-mf".to_string());
        for name in text.split('+') {
            let part = RatingKind::named(name).ok_or_else(|| wrong("parts", &text, "names of rating models"))?;
            parts.push(rating_model_settings(part, &taken(&mut pairs, name))?);
        }
    }
    let value = replaced(kind.name(), plain(&kind.default_settings()), &pairs)?;
    let read = kind.read_settings(value);
    let mut settings = read.map_err(|error| LabError::Setting(format!("model `{}`: {error}", kind.name())))?;
    if let AnyRatingSettings::RatingBlend(blend) = &mut settings {
        blend.parts = parts;
    }
    Ok(settings)
}

/// Takes the settings of a part out of the pairs: those that begin with `name.`.
fn taken(pairs: &mut BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let own = |key: &str| key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).map(str::to_string);
    let taken = pairs.iter().filter_map(|(key, value)| Some((own(key)?, value.clone()))).collect();
    pairs.retain(|key, _| own(key).is_none());
    taken
}

fn replaced(name: &str, mut settings: Map<String, Value>, pairs: &BTreeMap<String, String>) -> Result<Value, LabError> {
    for (key, text) in pairs {
        let Some(value) = settings.get_mut(key) else {
            let known = settings.keys().cloned().collect::<Vec<_>>();
            let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
            return Err(LabError::Setting(format!("model `{name}` has no setting `{key}`; it has {known}")));
        };
        let (read, expected) = match value {
            Value::Bool(_) => (text.parse().ok().map(Value::Bool), "true or false"),
            Value::Number(number) if number.is_f64() => {
                (text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number), "a number")
            }
            Value::Number(_) => (text.parse::<u64>().ok().map(Value::from), "a whole number of at least 0"),
            _ => (Some(Value::String(text.clone())), "text"),
        };
        *value = read.ok_or_else(|| wrong(key, text, expected))?;
    }
    Ok(Value::Object(settings))
}

/// A model's settings as words, for a report; those of a blend's parts are named with the part.
pub fn described_model(settings: &AnySettings) -> BTreeMap<String, String> {
    let mut said = words(plain(settings));
    if let AnySettings::Blend(blend) = settings {
        said.insert("parts".into(), blend.parts.iter().map(|part| part.kind().name()).collect::<Vec<_>>().join("+"));
        said.insert("weights".into(), blend.weights.iter().map(f64::to_string).collect::<Vec<_>>().join(","));
        for part in &blend.parts {
            let name = part.kind().name();
            said.extend(described_model(part).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
    }
    said
}

/// The same for a model of ratings.
pub fn described_rating_model(settings: &AnyRatingSettings) -> BTreeMap<String, String> {
    let mut said = words(plain(settings));
    if let AnyRatingSettings::RatingBlend(blend) = settings {
        said.insert("parts".into(), blend.parts.iter().map(|part| part.kind().name()).collect::<Vec<_>>().join("+"));
        for part in &blend.parts {
            let name = part.kind().name();
            said.extend(described_rating_model(part).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
    }
    said
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
    fn settings_are_replaced_with_their_types() {
        let settings = model_settings(Kind::ItemKnn, &pairs(&[("k", "7"), ("shrink", "2")])).expect("good settings");
        let described = described_model(&settings);
        assert_eq!((&*described["k"], &*described["shrink"], &*described["norm"]), ("7", "2.0", "0.5"));
    }

    #[test]
    fn what_nobody_takes_is_refused_with_the_names_there_are() {
        let told = |given: &[(&str, &str)]| {
            model_settings(Kind::ItemKnn, &pairs(given)).expect_err("a bad setting").to_string()
        };
        assert!(told(&[("depth", "7")]).contains("shrink"), "{}", told(&[("depth", "7")]));
        assert!(told(&[("k", "many")]).contains("whole number"), "{}", told(&[("k", "many")]));
    }
}
