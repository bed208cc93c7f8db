//! Depthwise convolution: each channel of an image is convolved with a filter of its own.
//!
//! In: rows of pixels, channels last, and one square filter for each channel. Out: one row of output pixels. An
//! element is one chain of fused multiply-adds that starts from the bias and goes through the filter row by row, so
//! all instruction sets return the same bits. What lies outside the image counts as 0 and takes no step of the chain.
//! Slices whose lengths do not match cause a panic.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};

/// Chunks of 16 channels that are summed at once, so that independent chains overlap.
const CHUNKS: usize = 2;

/// The filters of all channels.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'a> {
    /// Rows and columns of a filter.
    pub side: usize,
    /// Input pixels from one output pixel to the next.
    pub stride: usize,
    /// Columns of zeros before the first pixel of a row.
    pub before: usize,
    /// `[side, side, channels]`
    pub weights: &'a [f32],
    /// `[channels]`
    pub bias: &'a [f32],
}

/// One row of output pixels. `input: [rows, width, channels] → out: [width_out, channels]`.
///
/// `first_row` is the input row under the first row of the filters; it is negative where the filters begin above the
/// input.
///
/// ```
/// use accrue_kernel::{Filters, depthwise_row};
/// // One channel, a filter of ones: each output is the sum of its 3 × 3 neighbours within the image.
/// let filters = Filters { side: 3, stride: 1, before: 1, weights: &[1.0; 9], bias: &[0.5] };
/// let mut out = [0.0; 3];
/// depthwise_row(filters, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, -1, &mut out);
/// assert_eq!(out, [12.5, 21.5, 16.5]);
/// ```
///
/// # Panics
/// If the lengths of the slices do not match.
#[inline]
pub fn depthwise_row(filters: Filters, input: &[f32], width: usize, first_row: isize, out: &mut [f32]) {
    depthwise_row_on(Supported::best(), filters, input, width, first_row, out);
}

/// [`depthwise_row`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`depthwise_row`], or if the processor does not support the set.
pub fn depthwise_row_with(
    set: InstructionSet,
    filters: Filters,
    input: &[f32],
    width: usize,
    first_row: isize,
    out: &mut [f32],
) {
    depthwise_row_on(Supported::check(set), filters, input, width, first_row, out);
}

compiled_for_each_set! {
    fn depthwise_row_on(filters: Filters, input: &[f32], width: usize, first_row: isize, out: &mut [f32])
        = row_of_pixels<Lanes>
}

/// The part of the filters that lies over the input, for one output pixel.
#[derive(Clone, Copy)]
struct Window {
    /// Filter rows and columns, from and to.
    rows: (usize, usize),
    columns: (usize, usize),
    /// Where the pixel under filter row `rows.0` and filter column `columns.0` begins in the input.
    from: usize,
    /// Floats from one input row to the next.
    stride: usize,
}

#[inline(always)]
fn row_of_pixels<L: Lanes>(filters: Filters, input: &[f32], width: usize, first_row: isize, out: &mut [f32]) {
    let n_channels = filters.bias.len();
    let side = filters.side;
    assert_eq!(
        filters.weights.len(),
        side * side * n_channels,
        "depthwise_row: weights are not [side, side, channels]"
    );
    assert!(n_channels > 0 && width > 0, "depthwise_row: no channels or no columns");
    let stride = width * n_channels;
    assert!(
        input.len().is_multiple_of(stride) && out.len().is_multiple_of(n_channels),
        "depthwise_row: rows are not whole"
    );
    let rows = within(first_row, side, input.len() / stride);
    for (place, out) in out.chunks_exact_mut(n_channels).enumerate() {
        let first_column = (place * filters.stride) as isize - filters.before as isize;
        let columns = within(first_column, side, width);
        let row = rows.0.wrapping_add_signed(first_row);
        let from = row.wrapping_mul(stride).wrapping_add(columns.0.wrapping_add_signed(first_column) * n_channels);
        let window = Window { rows, columns, from, stride };
        let mut channel = 0;
        while channel + CHUNKS * N_LANES <= n_channels {
            channels::<L, CHUNKS>(&filters, input, window, channel, out);
            channel += CHUNKS * N_LANES;
        }
        while channel < n_channels {
            channels::<L, 1>(&filters, input, window, channel, out);
            channel += N_LANES;
        }
    }
}

/// The rows (or columns) of a filter that lie over an input with `n` of them, if the filter begins at `first`.
#[inline(always)]
fn within(first: isize, side: usize, n: usize) -> (usize, usize) {
    let from = 0.max(-first) as usize;
    let end = (n as isize - first).clamp(0, side as isize) as usize;
    (from.min(end), end)
}

/// Computes the channels `first..first + 16 C` of one pixel. With `C` = 1 there may be fewer than 16 of them.
#[inline(always)]
fn channels<L: Lanes, const C: usize>(filters: &Filters, input: &[f32], window: Window, first: usize, out: &mut [f32]) {
    let n_channels = filters.bias.len();
    let end = (first + C * N_LANES).min(n_channels);
    let mut sums = loaded::<L, C>(&filters.bias[first..end]);
    for row in window.rows.0..window.rows.1 {
        for column in window.columns.0..window.columns.1 {
            let at = window.from + (row - window.rows.0) * window.stride + (column - window.columns.0) * n_channels;
            let pixel = loaded::<L, C>(&input[at + first..at + end]);
            let at = (row * filters.side + column) * n_channels;
            let weights = loaded::<L, C>(&filters.weights[at + first..at + end]);
            for c in 0..C {
                sums[c] = sums[c].multiply_add(pixel[c], weights[c]);
            }
        }
    }
    for (sum, out) in sums.iter().zip(out[first..end].chunks_mut(N_LANES)) {
        let mut lanes = [0.0; N_LANES];
        sum.store(&mut lanes);
        out.copy_from_slice(&lanes[..out.len()]);
    }
}

/// `C` chunks of 16 floats, or one with fewer.
#[inline(always)]
fn loaded<L: Lanes, const C: usize>(numbers: &[f32]) -> [L; C] {
    let (chunks, tail) = numbers.as_chunks::<N_LANES>();
    let mut lanes = [L::zero(); C];
    if tail.is_empty() {
        for c in 0..C {
            lanes[c] = L::load(&chunks[c]);
        }
    } else {
        lanes[0] = L::load_tail(tail);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;

    /// The definition of one row, computed pixel by pixel.
    fn by_rule(filters: Filters, input: &[f32], width: usize, first_row: isize, width_out: usize) -> Vec<f32> {
        let (side, n_channels) = (filters.side as isize, filters.bias.len());
        let n_rows = (input.len() / width / n_channels) as isize;
        let mut out = Vec::new();
        for x in 0..width_out as isize {
            for channel in 0..n_channels {
                let mut sum = filters.bias[channel];
                for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
                    let (y, x) = (first_row + row, x * filters.stride as isize - filters.before as isize + column);
                    if (0..n_rows).contains(&y) && (0..width as isize).contains(&x) {
                        let pixel = input[(y as usize * width + x as usize) * n_channels + channel];
                        let weight = filters.weights[(row * side + column) as usize * n_channels + channel];
                        sum = pixel.mul_add(weight, sum);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    #[test]
    fn every_set_returns_the_defined_bits_at_every_edge() {
        let mut draws = Draws::new(5, 6, 7);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| draws.normal()).collect() };
        for n_channels in [1, 15, 16, 17, 32, 33, 48, 96] {
            for (side, stride, before, width, n_rows) in
                [(3, 1, 1, 7, 4), (3, 2, 0, 8, 3), (5, 1, 2, 6, 9), (5, 2, 1, 9, 2), (1, 1, 0, 3, 1), (5, 1, 2, 2, 2)]
            {
                let (weights, bias) = (normal(side * side * n_channels), normal(n_channels));
                let input = normal(n_rows * width * n_channels);
                let filters = Filters { side, stride, before, weights: &weights, bias: &bias };
                let width_out = width.div_ceil(stride);
                for first_row in -6..=n_rows as isize + 1 {
                    let expected = by_rule(filters, &input, width, first_row, width_out);
                    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                        let mut out = vec![7.0; width_out * n_channels];
                        depthwise_row_with(set, filters, &input, width, first_row, &mut out);
                        let same = out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{} {n_channels} {side} {stride} {before} {first_row}", set.name());
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "weights are not [side, side, channels]")]
    fn weights_of_another_shape_are_refused() {
        let filters = Filters { side: 3, stride: 1, before: 1, weights: &[0.0; 9], bias: &[0.0; 2] };
        depthwise_row(filters, &[0.0; 4], 2, 0, &mut [0.0; 4]);
    }
}
