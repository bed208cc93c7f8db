//! Numeric kernels: functions from slices of numbers to numbers.
//!
//! In: slices, seeds and counters. Out: numbers with the same bits on every machine and instruction set. This crate
//! does no input or output, reads no clock, starts no thread and knows no term of the shop's domain. `Shared` is no
//! kernel: it is here because it needs `unsafe` code.
//!
//! This crate is the only one in the workspace that contains `unsafe` code. Each kernel has a scalar version, which is
//! the reference and the fallback; tests check that the vector versions return the same bits.
//! `docs/internals/determinism.md` states the rules.
mod activation;
mod bits;
mod curve;
mod curve_sums;
mod dense;
mod depthwise;
mod field_pairs;
mod find;
mod gather;
mod gram;
mod instruction_set;
mod lanes;
mod layers;
mod least;
mod math;
mod peak;
mod prefetch;
mod product;
mod quantised;
mod random;
mod rows;
mod shared;
mod stamped;
mod top_k;
mod update;

pub use activation::{
    gelu, gelu_backward, gelu_backward_in_place, gelu_in_place, gelu_slope, relu_in_place, relu6_in_place,
    sigmoid_in_place, tanh, tanh_in_place,
};
pub use bits::{as_floats, as_floats_mut};
pub use curve::{
    Layout, adagrad_forgetting, add_on_curve, are_at_first_knot, curve_gradient, locate, log2, move_towards,
};
pub use curve_sums::{GroupCurves, add_curve_sums, locate_and_add};
pub use dense::{
    axpby, axpby_with, axpy, axpy_with, dot, dot_rows, dot_rows_with, dot_with, scale, scale_with, squared_norm,
    squared_norm_with,
};
pub use depthwise::{Filters, depthwise_row, depthwise_row_with};
pub use field_pairs::{PAIR_LANES, RowPair, pair_adagrad, pair_dots};
pub use find::{NO_PLACE, find, find_each, largest_id};
pub use gather::{gather_rows, gather_rows_with};
pub use gram::{gram_product, gram_product_with, residual_sum, residual_sum_with};
pub use instruction_set::InstructionSet;
pub use layers::{
    add_masked, add_product, add_row_sums, draw_mask, exp_minus, layer_norm, layer_norm_above, layer_norm_backward,
    logistic_loss, mask_in_place, normalise_rows, relu_backward, sigmoid_backward, softmax_backward, softmax_row,
    tanh_backward,
};
pub use least::least_row;
pub use math::{exp, exp2, exp2_in_place, ln, ln_1p, quotients, sigmoid, softmax_in_place, softplus};
pub use peak::multiply_add_peak;
pub use prefetch::{prefetch, prefetch_first};
pub use product::{Activation, Packed, Start, View, ViewMut, multiply, multiply_with};
pub use quantised::{MAX_DIMENSIONS, QuantisedQuery, quantise, scan, scan_with};
pub use random::{Draws, random};
pub use rows::{RowsToMove, add_rows, axpby_each, dot_each};
pub use shared::Shared;
pub use stamped::{Stamped, add_stamped_rows};
pub use top_k::{TopK, top_k, top_k_with};
pub use update::{AdamStep, adagrad, adam, momentum};
