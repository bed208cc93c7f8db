//! Tensors of a safetensors file, read one by one.
//!
//! In: a file of which at most one tensor is in memory at a time beside what was made of it, so that a large model needs
//! its size once. Out: f32 numbers, or a table whose rows keep the type that they have in the file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use xxhash_rust::xxh3::Xxh3;

use crate::EncodeError;
use crate::atomic::replace_with;

/// A tensor of a file: its name without a prefix, its shape, its numbers in the order of rows.
pub(crate) type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// Largest header that is read: a model of a thousand layers has less.
const HEADER_BYTES: u64 = 64 << 20;
/// Bytes hashed at once.
const HASHED_BYTES: usize = 1 << 20;

/// An open file of weights.
pub(crate) struct WeightFile {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, TensorInfo>,
    /// What the header says besides tensors.
    said: BTreeMap<String, String>,
    /// Where the numbers begin, and how many bytes of them there are.
    begin: u64,
    n_bytes: u64,
    /// What all names of the network begin with.
    prefix: String,
}

/// Prefixes that heads and wrappers give the names of a network's tensors.
const PREFIXES: [&str; 5] = ["", "bert.", "roberta.", "model.", "0.auto_model."];

impl WeightFile {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, EncodeError> {
        let io = |source| EncodeError::Io { path: path.into(), source };
        let fault = |fault: String| EncodeError::Weights { path: path.into(), fault };
        let mut file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| fault(format!("it has {len} bytes")))?;
        let size = u64::from_le_bytes(size);
        if size > HEADER_BYTES.min(len.saturating_sub(8)) {
            return Err(fault(format!(
                "its header of {size} bytes is larger than the file or than {HEADER_BYTES} bytes"
            )));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| fault(format!("its header: {error}")))?;
        let tensors: HashMap<String, TensorInfo> =
            metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let named = |prefix: &&&str| tensors.contains_key(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = PREFIXES.iter().find(named).copied().unwrap_or_default().to_owned();
        let said = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { path: path.into(), file, tensors, said, begin: 8 + size, n_bytes: len - 8 - size, prefix })
    }

    /// Hash of the whole file.
    pub fn hash(&mut self) -> Result<u128, EncodeError> {
        let io = |source| EncodeError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        let (mut hash, mut buffer) = (Xxh3::new(), vec![0; HASHED_BYTES]);
        let mut reader = BufReader::with_capacity(0, &self.file);
        loop {
            match reader.read(&mut buffer).map_err(io)? {
                0 => return Ok(hash.digest128()),
                n => hash.update(&buffer[..n]),
            }
        }
    }

    /// Writes another file with the same tensors, some of which have other numbers, in 32 bits. The others keep their
    /// bytes. `changed`: names without the prefix, shapes, numbers.
    pub fn write_with(&mut self, to: &Path, changed: &[NamedTensor]) -> Result<(), EncodeError> {
        let changed: BTreeMap<String, &[f32]> = changed
            .iter()
            .map(|(name, _, numbers)| (self.full_name(name).unwrap_or_else(|| name.clone()), &**numbers))
            .collect();
        // Numbers of more bytes first, as the format has them, and then by name.
        let mut tensors: Vec<(&String, &TensorInfo)> = self.tensors.iter().collect();
        let n_bytes = |name: &String, info: &TensorInfo| match changed.get(name) {
            Some(numbers) => (4, 4 * numbers.len()),
            None => {
                let n = info.data_offsets.1 - info.data_offsets.0;
                (n / info.shape.iter().product::<usize>().max(1), n)
            }
        };
        tensors.sort_by_key(|(name, info)| (std::cmp::Reverse(n_bytes(name, info).0), (*name).clone()));
        let mut header = serde_json::Map::new();
        if !self.said.is_empty() {
            header.insert("__metadata__".into(), serde_json::json!(self.said));
        }
        let mut offset = 0;
        for (name, info) in &tensors {
            let n = n_bytes(name, info).1;
            let dtype = if changed.contains_key(*name) { Dtype::F32 } else { info.dtype };
            let entry = serde_json::json!({"dtype": dtype, "shape": info.shape, "data_offsets": [offset, offset + n]});
            header.insert((*name).clone(), entry);
            offset += n;
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let (mut source, begin) = (&self.file, self.begin);
        replace_with(to, |out| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            for (name, info) in tensors {
                if let Some(numbers) = changed.get(name) {
                    numbers.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))?;
                    continue;
                }
                let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
                source.seek(SeekFrom::Start(begin + from))?;
                if io::copy(&mut source.take(to - from), out)? != to - from {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        })
    }

    /// The name that a tensor has in the file.
    fn full_name(&self, name: &str) -> Option<String> {
        [format!("{}{name}", self.prefix), self.old_name(name)].into_iter().find(|name| self.tensors.contains_key(name))
    }

    /// The bytes of a tensor, and their type.
    fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<(Vec<u8>, Dtype), EncodeError> {
        let full = self.full_name(name).unwrap_or_else(|| format!("{}{name}", self.prefix));
        let Some(info) = self.tensors.get(&full) else {
            let mut found: Vec<String> = self.tensors.keys().cloned().collect();
            found.sort_unstable();
            return Err(EncodeError::Missing { path: self.path.clone(), name: full, found });
        };
        let bytes_each = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            _ => 0,
        };
        if bytes_each == 0 || info.shape != shape {
            let found = format!("{:?} {:?}", info.dtype, info.shape);
            return Err(EncodeError::Misshapen { path: self.path.clone(), name: full, found, expected: shape.into() });
        }
        // `config.json` bounds each dimension, so the product stays far below 2⁶⁴.
        let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let expected = shape.iter().map(|&n| n as u64).product::<u64>() * bytes_each;
        if to.checked_sub(from) != Some(expected) || to > self.n_bytes {
            let fault = format!(
                "tensor `{full}` should take {expected} bytes at {from}, and the file ends at {}",
                self.n_bytes
            );
            return Err(EncodeError::Weights { path: self.path.clone(), fault });
        }
        let dtype = info.dtype;
        let mut bytes = vec![0; expected as usize];
        self.file
            .seek(SeekFrom::Start(self.begin + from))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| EncodeError::Io { path: self.path.clone(), source })?;
        Ok((bytes, dtype))
    }

    /// The name that the first implementation of BERT gave to the gain and shift of a normalisation.
    fn old_name(&self, name: &str) -> String {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        format!("{}{name}", self.prefix)
    }

    /// The numbers of a tensor, row by row.
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EncodeError> {
        let (bytes, dtype) = self.bytes(name, shape)?;
        let mut values = vec![0.0; shape.iter().product()];
        widen(&bytes, dtype, &mut values);
        match values.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(EncodeError::NotFiniteWeight { path: self.path.clone(), name: name.into(), index }),
            None => Ok(values),
        }
    }

    /// A table of rows that keeps the type that it has in the file.
    pub fn table(&mut self, name: &str, shape: [usize; 2]) -> Result<Table, EncodeError> {
        let (bytes, dtype) = self.bytes(name, &shape)?;
        let table = Table { bytes, dtype, width: shape[1] };
        let mut row = vec![0.0; shape[1]];
        for number in 0..shape[0] {
            table.copy_row(number, &mut row);
            if let Some(place) = row.iter().position(|x| !x.is_finite()) {
                let index = number * shape[1] + place;
                return Err(EncodeError::NotFiniteWeight { path: self.path.clone(), name: name.into(), index });
            }
        }
        Ok(table)
    }
}

/// Rows of numbers, as bytes of the file: a table of a quarter of a million words takes half the memory in 16 bits, and a
/// text reads few of its rows.
#[derive(Debug)]
pub(crate) struct Table {
    bytes: Vec<u8>,
    dtype: Dtype,
    width: usize,
}

impl Table {
    /// Copies a row. `out: [width]`
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        let n_bytes = self.width * if self.dtype == Dtype::F32 { 4 } else { 2 };
        widen(&self.bytes[row * n_bytes..][..n_bytes], self.dtype, out);
    }
}

/// Little-endian numbers of 16 or 32 bits as f32.
fn widen(bytes: &[u8], dtype: Dtype, out: &mut [f32]) {
    match dtype {
        Dtype::F32 => {
            out.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes))
        }
        Dtype::BF16 => {
            let halves = bytes.as_chunks::<2>().0;
            out.iter_mut().zip(halves).for_each(|(out, &[low, high])| *out = f32::from_le_bytes([0, 0, low, high]));
        }
        _ => out
            .iter_mut()
            .zip(bytes.as_chunks::<2>().0)
            .for_each(|(out, bytes)| *out = half(u16::from_le_bytes(*bytes))),
    }
}

/// A number of IEEE 754's binary16, exactly.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 0x1F, u32::from(bits) & 0x3FF);
    match exponent {
        // Denormal numbers are multiples of 2⁻²⁴.
        0 => f32::from_bits(sign | (fraction as f32 * (1.0 / 16_777_216.0)).to_bits()),
        0x1F => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_their_exact_values() {
        let cases = [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x7BFF, 65_504.0),
            (0x7C00, f32::INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7E00).is_nan() && half(0x8000).is_sign_negative());
    }
}
