//! An encoder of pictures without weights: a small gray copy with its mean taken off.
//!
//! In: a picture. Out: 30 × 40 brightnesses. It knows shapes in front of a plain background and no things: a shoe on
//! its side is no longer a shoe. It stands in where no weights can be had.

use super::picture::Picture;
use super::resize::stretched;

const HEIGHT: usize = 40;
const WIDTH: usize = 30;
/// Numbers in a vector.
pub(super) const N_PIXELS: usize = HEIGHT * WIDTH;

/// The brightnesses of a picture around their mean. `→ [N_PIXELS]`
pub(super) fn features(picture: &Picture) -> Vec<f32> {
    let small = stretched(picture, HEIGHT, WIDTH);
    let gray = |[r, g, b]: &[f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let mut gray: Vec<f32> = small.as_chunks::<3>().0.iter().map(gray).collect();
    let mean = gray.iter().sum::<f32>() / N_PIXELS as f32;
    gray.iter_mut().for_each(|x| *x -= mean);
    // What rounding leaves of a picture in one colour says nothing.
    if gray.iter().all(|x| x.abs() < 1e-2) {
        gray.fill(0.0);
        gray[0] = 1.0;
    }
    gray
}
