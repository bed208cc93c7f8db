//! A fitted projection: from what a network computes of a picture to the vector that pictures are compared by.
//!
//! In: the features of a picture, none below 0. Out: their square roots, divided by their norm, less the mean of the
//! shop's pictures, times a matrix that was fitted on the shop's own items. It lies beside a network's weights as
//! `projection.safetensors` with the tensors `mean` `[features]` and `weight` `[width, features]`; `config.json` says
//! the width under `projection`.

use std::collections::BTreeMap;
use std::path::Path;

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, axpy, multiply, scale, squared_norm};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use serde_json::Value;

use crate::EncodeError;
use crate::folder::unsupported;
use crate::weights::WeightFile;

/// The file of the tensors.
pub(super) const FILE: &str = "projection.safetensors";
/// Largest number of numbers in a projected vector.
const MAX_WIDTH: usize = 4_096;

/// A projection with its numbers.
#[derive(Clone, Debug)]
pub struct Projection {
    mean: Vec<f32>,
    /// `[width, features]`
    weight: Vec<f32>,
    packed: Packed,
}

impl Projection {
    /// Of these numbers. `mean: [features], weight: [width, features]`
    pub(super) fn new(mean: Vec<f32>, weight: Vec<f32>) -> Self {
        let view = View::new(&weight, weight.len() / mean.len(), mean.len());
        let packed = Packed::of(view.transposed());
        Self { mean, weight, packed }
    }

    /// Reads the projection of a folder, if its configuration has one. Returns it with the hash of its file.
    pub(super) fn read(path: &Path, config: &Value, n_features: usize) -> Result<Option<(Self, u128)>, EncodeError> {
        let Some(projection) = config.get("projection").filter(|projection| !projection.is_null()) else {
            return Ok(None);
        };
        let width = projection.get("width").and_then(Value::as_u64).unwrap_or(0) as usize;
        if !(1..=MAX_WIDTH).contains(&width) {
            let found = projection.get("width").map_or("missing".into(), Value::to_string);
            return Err(unsupported(path, "projection.width", found, format!("a number from 1 to {MAX_WIDTH}")));
        }
        let mut file = WeightFile::open(&path.with_file_name(FILE))?;
        let mean = file.floats("mean", &[n_features])?;
        let weight = file.floats("weight", &[width, n_features])?;
        let hash = file.hash()?;
        Ok(Some((Self::new(mean, weight), hash)))
    }

    /// Numbers in a projected vector.
    pub fn width(&self) -> usize {
        self.packed.n_cols()
    }

    /// The projected vector of a picture, not divided by its norm. `features: [features] → [width]`
    pub fn apply(&self, features: &[f32]) -> Vec<f32> {
        let mut x = features.to_vec();
        rooted(&mut x);
        axpy(-1.0, &self.mean, &mut x);
        let mut out = vec![0.0; self.width()];
        let view = ViewMut::new(&mut out, 1, self.packed.n_cols());
        multiply(View::new(&x, 1, x.len()), &self.packed, Start::Zero, Activation::Identity, view);
        out
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, SafeTensorError> {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let (mean, weight) = (bytes(&self.mean), bytes(&self.weight));
        let view = |shape: Vec<usize>, bytes| TensorView::new(Dtype::F32, shape, bytes);
        let tensors = BTreeMap::from([
            ("mean", view(vec![self.mean.len()], &mean)?),
            ("weight", view(vec![self.width(), self.mean.len()], &weight)?),
        ]);
        safetensors::serialize(tensors, None)
    }
}

/// Replaces features by their square roots and divides them by the norm of those: a few large features then no longer
/// decide alone.
pub(super) fn rooted(features: &mut [f32]) {
    features.iter_mut().for_each(|x| *x = x.max(0.0).sqrt());
    let norm = squared_norm(features).sqrt();
    scale(1.0 / norm.max(f32::MIN_POSITIVE), features);
}
