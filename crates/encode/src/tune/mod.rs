//! Training of an encoder on pairs of texts that belong together: queries and what was chosen, items bought together.
//!
//! In: a folder of the BERT family, texts, and which of them belong together. Out: another folder in the same layout, whose
//! vectors are a space of their own. The loss is the contrast of a batch ([`loss`]); the optimizer is AdamW with a linear
//! schedule. Everything is a function of the folder, the pairs and the settings: the same bytes on any number of threads
//! and instruction set, and also after the training was broken off and taken up again from its state file.
//!
//! Reimers and Gurevych, *Sentence-BERT* (2019); Karpukhin et al., *Dense passage retrieval* (2020), also for hard
//! negatives.

mod folder;
mod gradient;
mod loss;
mod optimizer;
mod pairs;
mod parameters;
mod pass;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod threads;

use std::collections::BTreeSet;
use std::path::Path;

use accrue_tensor::Schedule;

use crate::folder::Plan;
use crate::text::{token_ids, tokenizer};
use crate::weights::WeightFile;
use crate::{EncodeError, EncoderSettings, Kind};
use optimizer::Moments;
use parameters::Parameters;
use pass::Form;
use step::Memory;

pub use pairs::{Batch, Pairs};
pub use parameters::Trained;

/// Largest number of texts.
pub const MAX_TEXTS: usize = 1 << 22;

/// How an encoder is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneSettings {
    /// What of it.
    pub trained: Trained,
    /// Pairs of a step.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// The learning rate after the warm-up.
    pub rate: f32,
    /// The share of steps in which the rate rises.
    pub warm_up: f32,
    /// Weight decay of matrices.
    pub weight_decay: f32,
    /// What cosines are divided by.
    pub temperature: f32,
    /// Tokens of a text that are read; longer texts are cut.
    pub tokens: usize,
    /// Of everything random.
    pub seed: u64,
    /// What is written before texts.
    pub prefixes: EncoderSettings,
}

impl TuneSettings {
    /// What is trained at which rate, unless something else is said.
    pub fn usual_rate(trained: Trained) -> f32 {
        match trained {
            Trained::Whole | Trained::LastLayers(_) => 5e-5,
            Trained::Adapters { .. } => 5e-4,
        }
    }
}

/// A training under way.
#[derive(Debug)]
pub struct Tuner {
    settings: TuneSettings,
    form: Form,
    plan: Plan,
    parameters: Parameters,
    moments: Moments,
    /// The tokens of each text, as rows of the table of words that occur.
    texts: Vec<Vec<u32>>,
    n_steps: u64,
    memory: Memory,
}

impl Tuner {
    /// Reads a folder, and divides the texts into tokens. `texts`: each with its kind; batches name them by their places.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open<T: AsRef<str>>(
        folder: &Path,
        texts: &[(Kind, T)],
        settings: TuneSettings,
        threads: usize,
    ) -> Result<Self, EncodeError> {
        let mut plan = Plan::read(folder)?;
        plan.max_tokens = plan.max_tokens.min(settings.tokens.max(4));
        let (tokenizer, _) = tokenizer(&folder.join("tokenizer.json"), &plan)?;
        let query = settings.prefixes.query_prefix.as_deref().unwrap_or(&plan.query_prefix);
        let passage = settings.prefixes.passage_prefix.as_deref().unwrap_or(&plan.passage_prefix);
        let ids = texts.iter().map(|(kind, text)| {
            let prefix = if *kind == Kind::Query { query } else { passage };
            token_ids(&tokenizer, &plan, &format!("{prefix}{}", text.as_ref()))
        });
        let mut texts = ids.collect::<Result<Vec<_>, _>>()?;
        let words: Vec<u32> = texts.iter().flatten().copied().collect::<BTreeSet<u32>>().into_iter().collect();
        let row = |id: &u32| words.partition_point(|word| word < id) as u32;
        texts.iter_mut().flatten().for_each(|id| *id = row(id));
        let parameters = Parameters::read(folder, &plan, words, settings.trained, settings.seed)?;
        let moments = Moments::of(&parameters);
        let mut tuner = Self {
            form: Form::of(&plan),
            settings,
            plan,
            parameters,
            moments,
            texts,
            n_steps: 0,
            memory: Memory::new(threads),
        };
        tuner.parameters.pack(0, &mut tuner.memory.buffers);
        Ok(tuner)
    }

    /// How it is trained.
    pub fn settings(&self) -> &TuneSettings {
        &self.settings
    }

    /// Steps that were taken.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Parameters that are trained.
    pub fn n_trained(&self) -> usize {
        self.moments.n_trained()
    }

    /// The rate of the next step.
    fn rate(&self) -> f32 {
        let warm_up = (self.settings.steps as f64 * f64::from(self.settings.warm_up)) as u64;
        self.settings.rate * Schedule::Linear.factor(self.n_steps, warm_up, self.settings.steps)
    }
}

/// The hash of a folder's weights, by which a training knows that it goes on with the same ones.
///
/// # Errors
/// If they cannot be read.
pub fn weights_hash(folder: &Path) -> Result<u128, EncodeError> {
    WeightFile::open(&folder.join("model.safetensors"))?.hash()
}
