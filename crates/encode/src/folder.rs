//! An encoder's folder: which network it holds, how its states become one vector, how long texts may be.
//!
//! In: the small JSON files of a Hugging Face folder, those of sentence-transformers included where they are there.
//! Out: a [`Plan`] whose numbers are within bounds. A key that would change the vectors in a way that this build cannot
//! follow is refused.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::EncodeError;

/// The network's families, by `model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Positions count from 0.
    Bert,
    /// Positions count from the one after the padding token's id: RoBERTa and XLM-R.
    Roberta,
}

/// How the states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// The state of the first token.
    First,
}

/// The function between the two products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    Gelu,
    Relu,
}

/// What a folder says of its encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub width: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub inner: usize,
    pub n_words: usize,
    pub n_positions: usize,
    /// The position of the first token.
    pub first_position: usize,
    pub n_types: usize,
    pub variance_floor: f32,
    pub between: Between,
    pub pooling: Pooling,
    /// Most tokens of a text, special tokens included.
    pub max_tokens: usize,
    pub lower_case: bool,
    /// The token of a text that has none.
    pub padding: u32,
    pub query_prefix: String,
    pub passage_prefix: String,
}

/// The keys of `config.json` that are read.
#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    pad_token_id: Option<i64>,
}

/// A module of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type", default)]
    kind: String,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
struct Sentences {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

/// `tokenizer_config.json`. Folders without a limit have numbers beyond any integer there.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: std::collections::BTreeMap<String, String>,
}

impl Plan {
    /// Reads the small files of a folder.
    pub fn read(folder: &Path) -> Result<Self, EncodeError> {
        let path = folder.join("config.json");
        let config: Config = read_json(&path)?;
        let family = family(&path, config.model_type.as_deref())?;
        let between = match config.hidden_act.as_deref().unwrap_or("gelu") {
            "gelu" => Between::Gelu,
            "relu" => Between::Relu,
            other => return Err(unsupported(&path, "hidden_act", other, "gelu or relu")),
        };
        let positions = config.position_embedding_type.as_deref().unwrap_or("absolute");
        if positions != "absolute" {
            return Err(unsupported(&path, "position_embedding_type", positions, "absolute"));
        }
        let bounded = |key: &str, value: Option<usize>, most: usize| match value {
            Some(value) if (1..=most).contains(&value) => Ok(value),
            Some(value) => Err(unsupported(&path, key, value, format!("a number from 1 to {most}"))),
            None => Err(unsupported(&path, key, "missing", format!("a number from 1 to {most}"))),
        };
        let width = bounded("hidden_size", config.hidden_size, 8_192)?;
        let n_heads = bounded("num_attention_heads", config.num_attention_heads, width)?;
        if !width.is_multiple_of(n_heads) {
            let expected = format!("a divisor of hidden_size, which is {width}");
            return Err(unsupported(&path, "num_attention_heads", n_heads, expected));
        }
        let variance_floor = config.layer_norm_eps.unwrap_or(1e-12);
        if !(0.0..=0.1).contains(&variance_floor) {
            return Err(unsupported(&path, "layer_norm_eps", variance_floor, "a number from 0 to 0.1"));
        }
        let padding = u32::try_from(config.pad_token_id.unwrap_or(0)).unwrap_or(0);
        let n_words = bounded("vocab_size", config.vocab_size, 1 << 24)?;
        let n_positions = bounded("max_position_embeddings", config.max_position_embeddings, 65_536)?;
        let first_position = match family {
            Family::Bert => 0,
            Family::Roberta => {
                u32::try_from(config.pad_token_id.unwrap_or(1)).map_or(2, |padding| padding as usize + 1)
            }
        };
        let room = n_positions.saturating_sub(first_position);
        let sentences: Sentences = read_if_there(&folder.join("sentence_bert_config.json"))?;
        let tokens: TokenizerConfig = read_if_there(&folder.join("tokenizer_config.json"))?;
        let said = sentences.max_seq_length.or(tokens.model_max_length.map(|length| length as usize));
        let max_tokens = said.unwrap_or(room).min(room);
        if max_tokens < 4 {
            return Err(unsupported(&path, "max_position_embeddings", n_positions, "room for at least 4 tokens"));
        }
        let prompts: Prompts = read_if_there(&folder.join("config_sentence_transformers.json"))?;
        let prompt = |names: &[&str]| names.iter().find_map(|name| prompts.prompts.get(*name)).cloned();
        Ok(Self {
            width,
            n_layers: bounded("num_hidden_layers", config.num_hidden_layers, 256)?,
            n_heads,
            inner: bounded("intermediate_size", config.intermediate_size, 65_536)?,
            n_words,
            n_positions,
            first_position,
            n_types: bounded("type_vocab_size", config.type_vocab_size.or(Some(2)), 64)?,
            variance_floor: variance_floor as f32,
            between,
            pooling: pooling(folder)?,
            max_tokens,
            lower_case: sentences.do_lower_case.unwrap_or(false),
            padding: if (padding as usize) < n_words { padding } else { 0 },
            query_prefix: prompt(&["query"]).unwrap_or_default(),
            passage_prefix: prompt(&["passage", "document"]).unwrap_or_default(),
        })
    }
}

fn family(path: &Path, model_type: Option<&str>) -> Result<Family, EncodeError> {
    match model_type {
        Some("bert") => Ok(Family::Bert),
        Some("xlm-roberta" | "roberta" | "camembert") => Ok(Family::Roberta),
        other => {
            let found = other.unwrap_or("missing");
            Err(unsupported(path, "model_type", found, "bert, roberta, xlm-roberta or camembert"))
        }
    }
}

/// The file of the pooling's settings, in the folder.
fn pooling_file(modules: &[Module]) -> PathBuf {
    let of_module = modules.iter().find(|module| module.kind.rsplit('.').next() == Some("Pooling"));
    Path::new(of_module.map_or("1_Pooling", |module| &module.path)).join("config.json")
}

/// The file of the pooling's settings, for a copy of the folder.
pub(crate) fn pooling_path(folder: &Path) -> Result<PathBuf, EncodeError> {
    let path = folder.join("modules.json");
    let file = pooling_file(&read_if_there::<Vec<Module>>(&path)?);
    match file.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(file),
        false => Err(unsupported(&path, "path", file.display(), "a path within the folder")),
    }
}

/// How sentence-transformers pools; the mean where a folder does not say.
fn pooling(folder: &Path) -> Result<Pooling, EncodeError> {
    let path = folder.join("modules.json");
    let modules: Vec<Module> = read_if_there(&path)?;
    let name = |module: &Module| module.kind.rsplit('.').next().unwrap_or("").to_owned();
    if let Some(module) =
        modules.iter().find(|module| !["Transformer", "Pooling", "Normalize"].contains(&&*name(module)))
    {
        return Err(unsupported(&path, "type", &module.kind, "only modules Transformer, Pooling and Normalize"));
    }
    let path = folder.join(pooling_file(&modules));
    let settings: Value = read_if_there(&path)?;
    let is_on = |mode: &str| settings.get(format!("pooling_mode_{mode}")).and_then(Value::as_bool).unwrap_or(false);
    let others = ["max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
    let mode = settings.get("pooling_mode").and_then(Value::as_str);
    let asked = |names: &[&str]| mode.is_some_and(|mode| names.contains(&mode));
    let (first, mean) = (is_on("cls_token") || asked(&["cls"]), is_on("mean_tokens") || asked(&["mean"]));
    match others.iter().find(|other| is_on(other)) {
        Some(other) => Err(unsupported(&path, &format!("pooling_mode_{other}"), true, "mean_tokens or cls_token")),
        None if first && mean => {
            Err(unsupported(&path, "pooling_mode_cls_token", true, "one of mean_tokens and cls_token"))
        }
        None if first => Ok(Pooling::First),
        None if mode.is_some() && !mean => Err(unsupported(&path, "pooling_mode", mode.unwrap_or(""), "mean or cls")),
        None => Ok(Pooling::Mean),
    }
}

pub(crate) fn unsupported(path: &Path, key: &str, found: impl ToString, expected: impl Into<String>) -> EncodeError {
    EncodeError::Unsupported { path: path.into(), key: key.into(), found: found.to_string(), expected: expected.into() }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, EncodeError> {
    let bytes = std::fs::read(path).map_err(|source| EncodeError::Io { path: path.into(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| EncodeError::Json { path: path.into(), source })
}

fn read_if_there<T: DeserializeOwned + Default>(path: &Path) -> Result<T, EncodeError> {
    if path.is_file() { read_json(path) } else { Ok(T::default()) }
}
