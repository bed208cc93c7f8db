//! The taste space: the Poincaré ball of four dimensions, where both products and tastes lie.
//!
//! The space is curved: near the rim a small step is a long way, so tastes at the centre are content with much and tastes
//! at the rim with little. `spread_between` is the ball's distance before the monotone `arcosh(1 + ·)`, which needs no
//! transcendental function: `δ(a, b) = 2·|a − b|² / ((1 − |a|²)(1 − |b|²))`.

use super::dice::{Roll, Stream, hash_text};
use super::words::FAMILIES;

/// Coordinates in the ball.
pub(super) type Place = [f32; 4];

/// No place lies further out; keeps δ finite.
const RIM: f32 = 0.8;

/// `1 − |a|²`.
pub(super) fn room(a: &Place) -> f32 {
    1.0 - a.iter().map(|x| x * x).sum::<f32>()
}

/// δ of two places whose [`room`] is known.
pub(super) fn spread_between(a: &Place, room_a: f32, b: &Place, room_b: f32) -> f32 {
    let mut squares = 0.0;
    for (x, y) in a.iter().zip(b) {
        squares += (x - y) * (x - y);
    }
    2.0 * squares / (room_a * room_b)
}

/// Adds `scale · step` and pulls the result back inside the rim.
pub(super) fn shifted(a: &Place, step: &Place, scale: f32) -> Place {
    let mut moved = *a;
    for (x, dx) in moved.iter_mut().zip(step) {
        *x += scale * dx;
    }
    let length = (1.0 - room(&moved)).max(0.0).sqrt();
    if length > RIM {
        moved.iter_mut().for_each(|x| *x *= RIM / length);
    }
    moved
}

/// Four normal draws.
pub(super) fn scatter(roll: &mut Roll) -> Place {
    [roll.normal(), roll.normal(), roll.normal(), roll.normal()]
}

/// The direction in which a word or a brand pulls a product: the same for the same text in every family.
pub(super) fn direction(seed: u64, text: &str) -> Place {
    let mut step = scatter(&mut Roll::new(seed, Stream::Place, hash_text(text)));
    let length = step.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
    step.iter_mut().for_each(|x| *x /= length);
    step
}

/// Where each family lies: families of a department are neighbours.
pub(super) fn family_homes(seed: u64) -> Vec<Place> {
    FAMILIES
        .iter()
        .map(|family| {
            let department = shifted(&[0.0; 4], &direction(seed, family.department), 0.45);
            shifted(&department, &direction(seed, family.name), 0.35)
        })
        .collect()
}
