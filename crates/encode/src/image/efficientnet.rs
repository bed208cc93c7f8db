//! EfficientNet in its Lite variants: inverted residual blocks without squeeze-and-excitation, ReLU6 throughout.
//!
//! In: a picture as floats, channels last. Out: the mean over the last map. A block widens each pixel by a 1 × 1
//! convolution, convolves each channel with a filter of its own, and narrows each pixel again. The wide map would not
//! fit into the second-level cache, so a block computes some rows of it at a time and keeps those that the next rows
//! need.
//!
//! Tan and Le, *EfficientNet: rethinking model scaling for convolutional neural networks* (2019), and its Lite
//! variants; the padding is TensorFlow's "same".

use std::path::Path;

use accrue_kernel::{
    Activation, Filters, Packed, Start, View, ViewMut, axpy, depthwise_row, multiply, relu6_in_place, scale,
};
use serde::Deserialize;
use serde_json::Value;

use super::{ImageNetwork, PictureInput, Scratch};
use crate::EncodeError;
use crate::folder::unsupported;
use crate::weights::WeightFile;

/// Pixels of a strip, about: products then have rows enough, and a strip of the wide map stays in the second-level
/// cache.
const STRIP: usize = 192;

/// The keys of `config.json` that are read.
#[derive(Deserialize)]
struct Config {
    activation: Option<String>,
    stem: Convolution,
    blocks: Vec<BlockShape>,
    head: Convolution,
}

/// A convolution of all channels with all.
#[derive(Deserialize)]
struct Convolution {
    kernel: usize,
    stride: usize,
    #[serde(rename = "in")]
    inputs: usize,
    #[serde(rename = "out")]
    outputs: usize,
}

#[derive(Deserialize)]
struct BlockShape {
    kernel: usize,
    stride: usize,
    #[serde(rename = "in")]
    inputs: usize,
    expanded: usize,
    #[serde(rename = "out")]
    outputs: usize,
    #[serde(default)]
    residual: bool,
}

/// A network with its weights.
#[derive(Debug)]
pub(super) struct EfficientNetLite {
    input: PictureInput,
    stem: Linear,
    stem_side: usize,
    stem_stride: usize,
    blocks: Vec<Block>,
    head: Linear,
}

/// A product of each pixel with a matrix, and what is added to it.
#[derive(Debug)]
struct Linear {
    weight: Packed,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Block {
    side: usize,
    stride: usize,
    expand: Option<Linear>,
    /// `[side, side, channels]`
    filters: Vec<f32>,
    filter_bias: Vec<f32>,
    project: Linear,
    is_residual: bool,
}

/// The size of a map.
#[derive(Clone, Copy)]
struct Size {
    height: usize,
    width: usize,
}

/// Reads the network of a folder: its plan from `config.json`, and its weights.
pub(super) fn read(
    path: &Path,
    config: &Value,
    input: PictureInput,
    file: &mut WeightFile,
) -> Result<Box<dyn ImageNetwork>, EncodeError> {
    let plan = Config::deserialize(config).map_err(|source| EncodeError::Json { path: path.into(), source })?;
    plan.check(path)?;
    let stem = &plan.stem;
    Ok(Box::new(EfficientNetLite {
        input,
        stem: Linear::of_windows(file, "stem", stem.kernel, stem.inputs, stem.outputs)?,
        stem_side: stem.kernel,
        stem_stride: stem.stride,
        blocks: plan
            .blocks
            .iter()
            .enumerate()
            .map(|(n, block)| Block::read(file, n, block))
            .collect::<Result<_, _>>()?,
        head: Linear::of_windows(file, "head", 1, plan.head.inputs, plan.head.outputs)?,
    }))
}

impl Config {
    /// Refuses a plan that this file cannot follow.
    fn check(&self, path: &Path) -> Result<(), EncodeError> {
        let activation = self.activation.as_deref().unwrap_or("missing");
        if activation != "relu6" {
            return Err(unsupported(path, "activation", activation, "relu6"));
        }
        let bounded = |key: &str, value: usize, most: usize| match value {
            1.. if value <= most => Ok(()),
            _ => Err(unsupported(path, key, value, format!("a number from 1 to {most}"))),
        };
        let chained = |key: &str, value: usize, before: usize| match value == before {
            true => Ok(()),
            false => Err(unsupported(path, key, value, format!("{before}, which is what comes before it"))),
        };
        bounded("stem.kernel", self.stem.kernel, 11)?;
        bounded("stem.stride", self.stem.stride, 8)?;
        chained("stem.in", self.stem.inputs, 3)?;
        bounded("stem.out", self.stem.outputs, 4_096)?;
        bounded("blocks", self.blocks.len(), 256)?;
        let mut channels = self.stem.outputs;
        for (number, block) in self.blocks.iter().enumerate() {
            let key = |name: &str| format!("blocks[{number}].{name}");
            bounded(&key("kernel"), block.kernel, 11)?;
            bounded(&key("stride"), block.stride, 8)?;
            chained(&key("in"), block.inputs, channels)?;
            bounded(&key("expanded"), block.expanded, 16_384)?;
            bounded(&key("out"), block.outputs, 4_096)?;
            if block.residual && (block.stride != 1 || block.inputs != block.outputs) {
                let expected = "false, because the block's output has another shape than its input";
                return Err(unsupported(path, &key("residual"), true, expected));
            }
            channels = block.outputs;
        }
        bounded("head.kernel", self.head.kernel, 1)?;
        bounded("head.stride", self.head.stride, 1)?;
        chained("head.in", self.head.inputs, channels)?;
        bounded("head.out", self.head.outputs, 16_384)
    }
}

impl Linear {
    /// A convolution whose windows are read as rows: `[outputs, inputs, side, side]` becomes `[side, side, inputs] →
    /// outputs`.
    fn of_windows(
        file: &mut WeightFile,
        name: &str,
        side: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, EncodeError> {
        let stored = file.floats(&format!("{name}.weight"), &[outputs, inputs, side, side])?;
        let bias = file.floats(&format!("{name}.bias"), &[outputs])?;
        let n = side * side * inputs;
        let mut weight = vec![0.0; stored.len()];
        for (place, &x) in stored.iter().enumerate() {
            let (output, input, at) = (place / n, place % n / (side * side), place % (side * side));
            weight[(at * inputs + input) * outputs + output] = x;
        }
        Ok(Self { weight: Packed::of(View::new(&weight, n, outputs)), bias })
    }

    fn n_outputs(&self) -> usize {
        self.bias.len()
    }

    /// `out = x·w + bias`. `x: [n, inputs] → out: [n, outputs]`
    fn apply(&self, x: &[f32], out: &mut [f32]) {
        let n = out.len() / self.n_outputs();
        let (x, out) = (View::new(x, n, self.weight.n_rows()), ViewMut::new(out, n, self.n_outputs()));
        multiply(x, &self.weight, Start::Bias(&self.bias), Activation::Identity, out);
    }
}

impl Block {
    fn read(file: &mut WeightFile, number: usize, shape: &BlockShape) -> Result<Self, EncodeError> {
        let name = format!("blocks.{number}");
        let (side, channels) = (shape.kernel, shape.expanded);
        let expand = (shape.expanded != shape.inputs)
            .then(|| Linear::of_windows(file, &format!("{name}.expand"), 1, shape.inputs, channels))
            .transpose()?;
        let stored = file.floats(&format!("{name}.depthwise.weight"), &[channels, 1, side, side])?;
        let mut filters = vec![0.0; stored.len()];
        for (place, &x) in stored.iter().enumerate() {
            filters[place % (side * side) * channels + place / (side * side)] = x;
        }
        Ok(Self {
            side,
            stride: shape.stride,
            expand,
            filters,
            filter_bias: file.floats(&format!("{name}.depthwise.bias"), &[channels])?,
            project: Linear::of_windows(file, &format!("{name}.project"), 1, channels, shape.outputs)?,
            is_residual: shape.residual,
        })
    }

    /// The map after the block. `input: [height, width, inputs] → out: [height_out, width_out, outputs]`
    fn apply(
        &self,
        input: &[f32],
        size: Size,
        (wide, deep): (&mut Vec<f32>, &mut Vec<f32>),
        out: &mut Vec<f32>,
    ) -> Size {
        let size_out = size.after(self.stride);
        let (channels, outputs) = (self.filter_bias.len(), self.project.n_outputs());
        let inputs = input.len() / (size.height * size.width);
        let above = before(size.height, self.side, self.stride);
        let left = before(size.width, self.side, self.stride);
        out.resize(size_out.height * size_out.width * outputs, 0.0);
        let filters = Filters {
            side: self.side,
            stride: self.stride,
            before: left,
            weights: &self.filters,
            bias: &self.filter_bias,
        };
        let mut wide = WideRows { rows: wide, from_to: (0, 0) };
        let strip = (STRIP / size_out.width).max(1);
        for first in (0..size_out.height).step_by(strip) {
            let end = size_out.height.min(first + strip);
            let from = (first * self.stride).saturating_sub(above);
            let to = ((end - 1) * self.stride + self.side).saturating_sub(above).min(size.height);
            let wide_rows = match &self.expand {
                Some(expand) => wide.move_to(expand, input, size.width, (from, to)),
                None => &input[from * size.width * channels..to * size.width * channels],
            };
            deep.resize((end - first) * size_out.width * channels, 0.0);
            for (row, deep) in (first..end).zip(deep.chunks_exact_mut(size_out.width * channels)) {
                let first_row = (row * self.stride) as isize - (above + from) as isize;
                depthwise_row(filters, wide_rows, size.width, first_row, deep);
            }
            relu6_in_place(deep);
            let out = &mut out[first * size_out.width * outputs..end * size_out.width * outputs];
            self.project.apply(deep, out);
            if self.is_residual {
                axpy(1.0, &input[first * size.width * inputs..end * size.width * inputs], out);
            }
        }
        size_out
    }
}

/// Some rows of the wide map of a block.
struct WideRows<'a> {
    rows: &'a mut Vec<f32>,
    from_to: (usize, usize),
}

impl WideRows<'_> {
    /// The rows from one to another; neither number decreases within a map. What is there already is not computed
    /// again.
    fn move_to(&mut self, expand: &Linear, input: &[f32], width: usize, (from, to): (usize, usize)) -> &[f32] {
        let (inputs, row) = (expand.weight.n_rows(), width * expand.n_outputs());
        let (old_from, old_to) = self.from_to;
        let kept = old_to.saturating_sub(from);
        if kept > 0 {
            self.rows.copy_within((from - old_from) * row..(old_to - old_from) * row, 0);
        }
        self.rows.resize((to - from) * row, 0.0);
        let new = &mut self.rows[kept * row..];
        expand.apply(&input[(from + kept) * width * inputs..to * width * inputs], new);
        relu6_in_place(new);
        self.from_to = (from, to);
        self.rows
    }
}

impl Size {
    fn after(self, stride: usize) -> Self {
        Self { height: self.height.div_ceil(stride), width: self.width.div_ceil(stride) }
    }
}

/// Rows (or columns) of zeros before the first of `n`.
fn before(n: usize, side: usize, stride: usize) -> usize {
    ((n.div_ceil(stride) - 1) * stride + side).saturating_sub(n) / 2
}

impl EfficientNetLite {
    /// The first map: windows of the picture as rows of a product. `pixels: [height, width, 3] → [.., .., outputs]`
    fn stem(&self, pixels: &[f32], size: Size, windows: &mut Vec<f32>, out: &mut Vec<f32>) -> Size {
        let (side, stride) = (self.stem_side, self.stem_stride);
        let size_out = size.after(stride);
        let (above, left) = (before(size.height, side, stride), before(size.width, side, stride));
        let row = size_out.width * self.stem.n_outputs();
        out.resize(size_out.height * row, 0.0);
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            windows.clear();
            windows.resize(size_out.width * side * side * 3, 0.0);
            for (x, window) in windows.chunks_exact_mut(side * side * 3).enumerate() {
                for (dy, to) in window.chunks_exact_mut(side * 3).enumerate() {
                    let Some(from_y) = (y * stride + dy).checked_sub(above).filter(|&y| y < size.height) else {
                        continue;
                    };
                    for (dx, to) in to.chunks_exact_mut(3).enumerate() {
                        if let Some(from_x) = (x * stride + dx).checked_sub(left).filter(|&x| x < size.width) {
                            to.copy_from_slice(&pixels[(from_y * size.width + from_x) * 3..][..3]);
                        }
                    }
                }
            }
            self.stem.apply(windows, out);
        }
        relu6_in_place(out);
        size_out
    }
}

impl ImageNetwork for EfficientNetLite {
    fn input(&self) -> &PictureInput {
        &self.input
    }

    fn width(&self) -> usize {
        self.head.n_outputs()
    }

    fn features(&self, pixels: &[f32], scratch: &mut Scratch) -> Vec<f32> {
        let Scratch { map, next, wide, deep } = scratch;
        let size = Size { height: self.input.size, width: self.input.size };
        let mut size = self.stem(pixels, size, deep, map);
        for block in &self.blocks {
            size = block.apply(map, size, (wide, deep), next);
            std::mem::swap(map, next);
        }
        let n = size.height * size.width;
        next.resize(n * self.width(), 0.0);
        self.head.apply(map, next);
        relu6_in_place(next);
        let mut mean = vec![0.0; self.width()];
        next.chunks_exact(self.width()).for_each(|pixel| axpy(1.0, pixel, &mut mean));
        scale(1.0 / n as f32, &mut mean);
        mean
    }
}
