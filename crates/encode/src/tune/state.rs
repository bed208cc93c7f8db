//! The state of a training on disk, from which it is taken up again.
//!
//! In: a training. Out: a safetensors file with the trained parameters and their moments, replaced as a whole: the old state
//! stays until the new one is on the disk. `plan` says what the training is of; a state of another plan is refused, and so is
//! one whose bytes are not those that were written: the training would end with another encoder, and the fault would not be detected.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use xxhash_rust::xxh3::Xxh3;

use super::Tuner;
use super::optimizer::{trained, trained_mut};
use crate::EncodeError;
use crate::atomic::replace;

impl Tuner {
    /// Writes the state.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path, plan: &str) -> Result<(), EncodeError> {
        let tensors = self.tensors().map(|(name, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, bytes, values.len())
        });
        let fault = |fault: String| EncodeError::Weights { path: path.into(), fault };
        let mut views = BTreeMap::new();
        for (name, bytes, n) in &tensors {
            views
                .insert(*name, TensorView::new(Dtype::F32, vec![*n], bytes).map_err(|error| fault(error.to_string()))?);
        }
        let steps = self.n_steps.to_string();
        let checksum = checksum(&steps, tensors.iter().map(|(name, bytes, _)| (*name, &**bytes)));
        let metadata = [("steps", steps), ("plan", plan.to_owned()), ("checksum", checksum)];
        let metadata = HashMap::from(metadata.map(|(key, value)| (key.to_owned(), value)));
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| fault(error.to_string()))?;
        replace(path, &bytes)
    }

    /// Reads the state.
    ///
    /// # Errors
    /// If it cannot be read, or is of another plan; nothing is changed then.
    pub fn resume(&mut self, path: &Path, plan: &str) -> Result<(), EncodeError> {
        let bytes = std::fs::read(path).map_err(|source| EncodeError::Io { path: path.into(), source })?;
        let fault = |fault: String| EncodeError::Weights { path: path.into(), fault };
        let (_, header): (usize, Metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| fault(error.to_string()))?;
        let said = header.metadata().clone().unwrap_or_default();
        if said.get("plan").map(String::as_str) != Some(plan) {
            return Err(EncodeError::OtherPlan { path: path.into() });
        }
        let n_steps = said.get("steps").and_then(|steps| steps.parse::<u64>().ok());
        let n_steps = n_steps.ok_or_else(|| fault("it does not say how many steps were taken".into()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| fault(error.to_string()))?;
        let views = self.tensors().map(|(name, values)| (name, values, file.tensor(name)));
        let bytes = views.iter().map(|(name, _, view)| (*name, view.as_ref().map_or(&[][..], |view| view.data())));
        let checksum = checksum(&n_steps.to_string(), bytes);
        // States of builds before the checksum have none.
        if said.get("checksum").is_some_and(|said| *said != checksum) {
            return Err(fault("its bytes are not those that were written".into()));
        }
        let mut read = Vec::new();
        for (name, values, view) in views {
            let view = view.map_err(|error| fault(error.to_string()))?;
            let numbers: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
            if numbers.len() != values.len() || numbers.iter().any(|x| !x.is_finite()) {
                return Err(fault(format!("`{name}` has not the {} finite numbers of this training", values.len())));
            }
            read.push(numbers);
        }
        let has_rows = !self.moments.row_gradient.is_empty();
        for (at, numbers) in read.into_iter().enumerate() {
            match at {
                0 => trained_mut(&mut self.parameters).copy_from_slice(&numbers),
                1 => self.moments.dense.first = numbers,
                2 => self.moments.dense.second = numbers,
                3 => self.moments.rows.first = numbers,
                4 => self.moments.rows.second = numbers,
                _ if has_rows => self.parameters.rows = numbers,
                _ => {}
            }
        }
        self.n_steps = n_steps;
        self.parameters.pack(0, &mut self.memory.buffers);
        Ok(())
    }

    /// What changes in a training.
    fn tensors(&self) -> [(&'static str, &[f32]); 6] {
        let rows = if self.moments.row_gradient.is_empty() { &[][..] } else { &self.parameters.rows };
        [
            ("parameters", trained(&self.parameters)),
            ("first", &self.moments.dense.first),
            ("second", &self.moments.dense.second),
            ("rows.first", &self.moments.rows.first),
            ("rows.second", &self.moments.rows.second),
            ("rows", rows),
        ]
    }
}

/// The checksum of the tensors, in this order, and of the number of steps.
fn checksum<'a>(steps: &str, tensors: impl Iterator<Item = (&'static str, &'a [u8])>) -> String {
    let mut hash = Xxh3::new();
    hash.update(steps.as_bytes());
    for (name, bytes) in tensors {
        hash.update(name.as_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:032x}", hash.digest128())
}
