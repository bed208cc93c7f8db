//! Stretches a picture to the size that a network reads.
//!
//! In: RGB bytes. Out: floats, each the weighted mean of the pixels under a triangle that is as wide as an output
//! pixel, or as an input pixel where those are larger; the ratio of the sides is not kept. This is the rule of
//! Pillow's `BILINEAR` without its rounding to bytes after each direction.

use super::picture::Picture;

/// The weights of the input pixels for one output pixel.
struct Weights {
    first: usize,
    weights: Vec<f32>,
}

/// The picture stretched to `height` × `width`. `→ [height, width, 3]`, from 0 to 255.
pub(super) fn stretched(picture: &Picture, height: usize, width: usize) -> Vec<f32> {
    let columns = triangles(picture.width, width);
    let mut narrow = vec![[0.0_f32; 3]; picture.height * width];
    let pixels = picture.rgb.as_chunks::<3>().0;
    for (row, out) in pixels.chunks_exact(picture.width).zip(narrow.chunks_exact_mut(width)) {
        for (out, Weights { first, weights }) in out.iter_mut().zip(&columns) {
            for (&weight, pixel) in weights.iter().zip(&row[*first..]) {
                for channel in 0..3 {
                    out[channel] += weight * f32::from(pixel[channel]);
                }
            }
        }
    }
    let narrow = narrow.as_flattened();
    let mut out = vec![0.0; height * width * 3];
    for (out, Weights { first, weights }) in out.chunks_exact_mut(width * 3).zip(triangles(picture.height, height)) {
        for (&weight, row) in weights.iter().zip(narrow.chunks_exact(width * 3).skip(first)) {
            accrue_kernel::axpy(weight, row, out);
        }
    }
    out
}

/// For each of `n_out` pixels of a row, the weights of the `n_in` pixels.
fn triangles(n_in: usize, n_out: usize) -> Vec<Weights> {
    let scale = n_in as f64 / n_out as f64;
    let width = scale.max(1.0);
    let of = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        let first = (centre - width + 0.5).max(0.0) as usize;
        let end = ((centre + width + 0.5) as usize).min(n_in);
        let weight = |j: usize| (1.0 - (j as f64 + 0.5 - centre).abs() / width).max(0.0);
        let sum: f64 = (first..end).map(weight).sum();
        Weights { first, weights: (first..end).map(|j| (weight(j) / sum) as f32).collect() }
    };
    (0..n_out).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture that `x` and `y` give by a formula, 60 × 80.
    fn formula() -> Picture {
        let pixel = |x: usize, y: usize| [3 * x + 5 * y, x * y, x * x + 7 * y].map(|value| (value % 256) as u8);
        let rgb = (0..80).flat_map(|y| (0..60).flat_map(move |x| pixel(x, y))).collect();
        Picture { width: 60, height: 80, rgb }
    }

    #[test]
    fn a_stretched_picture_has_the_mean_of_another_implementation() {
        let out = stretched(&formula(), 224, 224);
        let mean = out.iter().map(|&x| f64::from((x - 127.0) / 128.0)).sum::<f64>() / out.len() as f64;
        assert!((mean - -0.013_056_51).abs() < 1e-6, "{mean}");
    }

    #[test]
    fn the_same_size_changes_nothing_and_one_pixel_is_the_mean() {
        let picture = formula();
        let same = stretched(&picture, 80, 60);
        assert!(same.iter().zip(&picture.rgb).all(|(&a, &b)| a == f32::from(b)));
        let white = Picture { width: 900, height: 7, rgb: vec![255; 900 * 7 * 3] };
        for (height, width) in [(1, 1), (3, 2), (1_000, 1)] {
            let out = stretched(&white, height, width);
            assert!(out.iter().all(|x| (x - 255.0).abs() < 1e-3), "{height} × {width}");
        }
    }
}
