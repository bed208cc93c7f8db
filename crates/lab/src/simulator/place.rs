//! The space of tastes: the Poincaré ball of four dimensions, which contains both items and tastes.
//!
//! The space is hyperbolic: near the boundary a small step is a long distance, so a taste at the centre is near many
//! items, and one near the boundary near few. `delta_between` is the distance before the monotone `arcosh(1 + ·)`, so
//! it needs no transcendental function: `δ(a, b) = 2·|a − b|² / ((1 − |a|²)(1 − |b|²))`.

use super::random::{Random, Stream, hash_text};
use super::words::FAMILIES;

/// A point in the ball.
pub(super) type Place = [f32; 4];

/// The largest distance from the centre, which keeps δ finite.
const MAX_RADIUS: f32 = 0.8;

/// `1 − |a|²`.
pub(super) fn one_minus_square(a: &Place) -> f32 {
    1.0 - a.iter().map(|x| x * x).sum::<f32>()
}

/// δ of two points, given their [`one_minus_square`].
pub(super) fn delta_between(a: &Place, one_minus_square_a: f32, b: &Place, one_minus_square_b: f32) -> f32 {
    let mut squares = 0.0;
    for (x, y) in a.iter().zip(b) {
        squares += (x - y) * (x - y);
    }
    2.0 * squares / (one_minus_square_a * one_minus_square_b)
}

/// Adds `scale · step`, and moves the result back inside [`MAX_RADIUS`].
pub(super) fn shifted(a: &Place, step: &Place, scale: f32) -> Place {
    let mut moved = *a;
    for (x, dx) in moved.iter_mut().zip(step) {
        *x += scale * dx;
    }
    let length = (1.0 - one_minus_square(&moved)).max(0.0).sqrt();
    if length > MAX_RADIUS {
        moved.iter_mut().for_each(|x| *x *= MAX_RADIUS / length);
    }
    moved
}

/// Four normal random numbers.
pub(super) fn noise(random: &mut Random) -> Place {
    [random.normal(), random.normal(), random.normal(), random.normal()]
}

/// The direction in which a word or a brand moves a product: the same for the same text in every family.
pub(super) fn direction(seed: u64, text: &str) -> Place {
    let mut step = noise(&mut Random::new(seed, Stream::Place, hash_text(text)));
    let length = step.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
    step.iter_mut().for_each(|x| *x /= length);
    step
}

/// The centre of each family; families of a department are near each other.
pub(super) fn family_centres(seed: u64) -> Vec<Place> {
    FAMILIES
        .iter()
        .map(|family| {
            let department = shifted(&[0.0; 4], &direction(seed, family.department), 0.45);
            shifted(&department, &direction(seed, family.name), 0.35)
        })
        .collect()
}
