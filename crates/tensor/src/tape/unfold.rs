//! What a causal convolution sees, and pooling over sequences.

use accrue_kernel::axpy;

/// `(row of the output, place in the kernel, row of the input)` of all that is seen; the last place is the row itself.
pub(super) fn seen(segments: &[usize], kernel: usize, dilation: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut first = 0;
    segments.iter().flat_map(move |&length| {
        let begin = first;
        first += length;
        (0..length).flat_map(move |t| {
            (0..kernel).filter_map(move |place| {
                let back = (kernel - 1 - place) * dilation;
                (back <= t).then(|| (begin + t, place, begin + t - back))
            })
        })
    })
}

/// `x: [n, d] → out: [n, kernel · d]`, zero where nothing is seen.
pub(super) fn forward(x: &[f32], segments: &[usize], d: usize, kernel: usize, dilation: usize, out: &mut [f32]) {
    for (row, place, from) in seen(segments, kernel, dilation) {
        out[(row * kernel + place) * d..][..d].copy_from_slice(&x[from * d..][..d]);
    }
}

/// `dy: [n, kernel · d] → adds to dx: [n, d]`
pub(super) fn backward(dy: &[f32], segments: &[usize], d: usize, kernel: usize, dilation: usize, dx: &mut [f32]) {
    for (row, place, from) in seen(segments, kernel, dilation) {
        axpy(1.0, &dy[(row * kernel + place) * d..][..d], &mut dx[from * d..][..d]);
    }
}

/// `x: [n, d] → out, winners: [n_segments, d]`; the first of equals wins.
pub(super) fn max_over_segments(x: &[f32], segments: &[usize], d: usize, out: &mut [f32], winners: &mut [u32]) {
    let mut first = 0;
    for ((&length, out), winners) in segments.iter().zip(out.chunks_exact_mut(d)).zip(winners.chunks_exact_mut(d)) {
        assert!(length > 0, "max_over_segments: a sequence of nothing");
        out.copy_from_slice(&x[first * d..][..d]);
        winners.fill(first as u32);
        for row in first + 1..first + length {
            for (i, &x) in x[row * d..][..d].iter().enumerate() {
                if x > out[i] {
                    (out[i], winners[i]) = (x, row as u32);
                }
            }
        }
        first += length;
    }
}
