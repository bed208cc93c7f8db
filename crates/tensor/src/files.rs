//! Weights in safetensors files.
//!
//! In: named f32 matrices and a path. Out: a file that other programs can read, or the numbers of such a file. If a
//! weight is missing, has another shape or type, or contains a number that is not finite, reading fails and changes
//! nothing.

use crate::{TensorError, Weights};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::path::Path;

/// Writes all weights under their names. `extra` holds further named matrices, row by row (embedding tables).
///
/// # Errors
/// [`TensorError::Io`] if the file cannot be written.
pub fn write_weights(path: &Path, weights: &Weights, extra: &[(&str, [usize; 2], &[f32])]) -> Result<(), TensorError> {
    let named = || weights.named().chain(extra.iter().copied());
    let bytes: Vec<Vec<u8>> =
        named().map(|(_, _, values)| values.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = named().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.into(), bytes).expect("each number was written as four bytes");
        (name.to_owned(), view)
    });
    safetensors::serialize_to_file(views.collect::<Vec<_>>(), None, path).map_err(|error| refused(path, error))
}

fn refused(path: &Path, error: SafeTensorError) -> TensorError {
    match error {
        SafeTensorError::IoError(source) => TensorError::Io { path: path.into(), source },
        source => TensorError::Format { path: path.into(), source },
    }
}

/// Reads all weights by their names. `extra` holds further matrices to fill.
///
/// # Errors
/// [`TensorError`] if the file cannot be read or does not match the weights; nothing is changed then.
pub fn read_weights(
    path: &Path,
    weights: &mut Weights,
    extra: &mut [(&str, [usize; 2], &mut [f32])],
) -> Result<(), TensorError> {
    let bytes = std::fs::read(path).map_err(|source| TensorError::Io { path: path.into(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| refused(path, error))?;
    let dense = weights.named().map(|(name, shape, _)| matrix(path, &file, name, shape));
    let dense = dense.collect::<Result<Vec<_>, _>>()?.concat();
    let read = extra.iter().map(|(name, shape, _)| matrix(path, &file, name, *shape));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    weights.change(|values| values.copy_from_slice(&dense));
    for ((_, _, values), read) in extra.iter_mut().zip(read) {
        values.copy_from_slice(&read);
    }
    Ok(())
}

fn matrix(path: &Path, file: &SafeTensors, name: &str, expected: [usize; 2]) -> Result<Vec<f32>, TensorError> {
    let view = file.tensor(name).map_err(|_| {
        let mut found: Vec<String> = file.names().into_iter().map(String::from).collect();
        found.sort_unstable();
        TensorError::Missing { path: path.into(), name: name.into(), found }
    })?;
    // A vector is accepted for a matrix of one row.
    let is_vector = expected[0] == 1 && view.shape() == &expected[1..];
    if view.dtype() != Dtype::F32 || (view.shape() != expected && !is_vector) {
        let found = format!("{:?} {:?}", view.dtype(), view.shape());
        return Err(TensorError::Misshapen { path: path.into(), name: name.into(), found, expected });
    }
    let (chunks, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(TensorError::NotFiniteWeight { path: path.into(), name: name.into(), index }),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;

    fn network(outputs: usize) -> Weights {
        let mut weights = Weights::new(9);
        weights.matrix("layer.weight", [3, outputs], Init::Xavier);
        weights.rows("layer.bias", [1, outputs], Init::Constant(0.5));
        weights
    }

    #[test]
    fn written_weights_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let written = network(4);
        write_weights(&path, &written, &[("items", [2, 2], &[1.0, 2.0, 3.0, 4.0])]).unwrap();
        let (mut read, mut items) = (network(4), [0.0; 4]);
        read.change(|values| values.fill(0.0));
        read_weights(&path, &mut read, &mut [("items", [2, 2], &mut items)]).unwrap();
        assert_eq!(read.values(), written.values());
        assert_eq!(items, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn files_that_do_not_match_are_refused_and_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let refused = |weights: &mut Weights| {
            let before = weights.values().to_vec();
            let error = read_weights(&path, weights, &mut []).unwrap_err().to_string();
            assert_eq!(before, weights.values());
            error
        };
        assert!(refused(&mut network(4)).contains("model.safetensors"));
        std::fs::write(&path, b"no weights").unwrap();
        assert!(refused(&mut network(4)).contains("not a safetensors file"));
        write_weights(&path, &network(5), &[]).unwrap();
        let error = refused(&mut network(4));
        assert!(error.contains("`layer.weight` is F32 [3, 5], expected F32 [3, 4]"), "{error}");
        write_weights(&path, &Weights::new(1), &[("other", [1, 1], &[0.0])]).unwrap();
        assert!(refused(&mut network(4)).contains("no weight `layer.weight`; the file has other"));
        let mut broken = network(4);
        broken.change(|values| values[2] = f32::NAN);
        write_weights(&path, &broken, &[]).unwrap();
        assert!(refused(&mut network(4)).contains("not finite, at index 2"));
    }
}
