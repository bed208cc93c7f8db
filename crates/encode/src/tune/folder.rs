//! The folder of a trained encoder.
//!
//! In: the folder that the training began with. Out: another one in the same layout: its files as they are, and its weights
//! with the trained numbers in the places of the old ones, adapters added to their matrices. A tensor that was trained is
//! written in 32 bits, because 16 would round small changes away; all others keep their bytes.

use std::path::Path;

use super::Tuner;
use super::parameters::{Tensor, tensors, transposed};
use crate::EncodeError;
use crate::atomic::{copy, replace};
use crate::weights::{NamedTensor, WeightFile};

/// Files that are copied where they are there.
const FILES: [&str; 11] = [
    "config.json",
    "tokenizer.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "LICENSE",
];

/// The file that says what a folder was made from.
pub(crate) const NOTE: &str = "tuned.json";

impl Tuner {
    /// Writes the folder, which is created. `from` is the one that the training began with; `note` is written beside the
    /// weights as `tuned.json`.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn write(&self, from: &Path, to: &Path, note: &[u8]) -> Result<(), EncodeError> {
        std::fs::create_dir_all(to).map_err(|source| EncodeError::Io { path: to.into(), source })?;
        let pooling = crate::folder::pooling_path(from)?;
        for file in FILES.iter().map(Path::new).chain([&*pooling]) {
            if from.join(file).is_file() {
                copy(&from.join(file), &to.join(file))?;
            }
        }
        let mut weights = WeightFile::open(&from.join("model.safetensors"))?;
        weights.write_with(&to.join("model.safetensors"), &self.changed(from)?)?;
        replace(&to.join(NOTE), note)
    }

    /// The tensors that were trained, with their names without a prefix.
    fn changed(&self, from: &Path) -> Result<Vec<NamedTensor>, EncodeError> {
        let of = &self.parameters;
        let begin = if of.first_layer == 0 { 0 } else { of.sizes.layer_begin(of.first_layer) };
        let mut changed = Vec::new();
        let mut at = 0;
        for Tensor { name, shape, is_transposed, of: place, .. } in tensors(&of.sizes) {
            let n: usize = shape.iter().product();
            let stored = match (&of.adapters, place) {
                (None, _) if at < begin => None,
                (None, _) => Some(of.values[at..at + n].to_vec()),
                (Some(_), None) => None,
                (Some(_), Some((layer, matrix, row))) => {
                    Some(of.matrix(layer, matrix)[row * of.sizes.d..][..n].to_vec())
                }
            };
            at += n;
            // Stored transposed, its rows have as many numbers as the tensor has rows.
            let numbers = stored.map(|stored| if is_transposed { transposed(&stored, shape[0]) } else { stored });
            changed.extend(numbers.map(|numbers| (name, shape, numbers)));
        }
        if !self.moments.row_gradient.is_empty() {
            let (name, d) = ("embeddings.word_embeddings.weight", of.sizes.d);
            let mut table = WeightFile::open(&from.join("model.safetensors"))?.floats(name, &[self.plan.n_words, d])?;
            for (&word, row) in of.words.iter().zip(of.rows.chunks_exact(d)) {
                table[word as usize * d..][..d].copy_from_slice(row);
            }
            changed.push((name.into(), vec![self.plan.n_words, d], table));
        }
        Ok(changed)
    }
}
