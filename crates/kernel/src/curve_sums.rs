//! Sums of many curves for many candidates: a value of each column is located on its curve, and what the curves say is
//! added up.
//!
//! In: values, `[columns, candidates]`, how each column is laid out, and the curves of one or two groups of candidates.
//! Out: scores. It gives the bits of [`locate`](crate::locate) and [`add_on_curve`](crate::add_on_curve) column by
//! column; sums stay in registers, so that nothing is written but the scores and, for learning, the places on the curves.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::curve::{Layout, TABLE, place_linear, place_log};
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Lanes256, Lanes512};

/// Columns whose layouts are prepared at once.
const COLUMNS: usize = 32;
/// The last knot.
const LAST: f32 = (TABLE - 1) as f32;

/// The candidates of a group and their curves, `[columns]`.
#[derive(Clone, Copy, Debug)]
pub struct GroupCurves<'a> {
    /// The number that its candidates bear.
    pub group: u32,
    /// A curve for each column.
    pub curves: &'a [[f32; TABLE]],
}

/// Adds to each of `scores` `[n]` the values of the curves of its group at `values` `[columns, n]`, in the order of the
/// columns. `groups: [n]`; candidates that are not of the second group get the curves of the first.
///
/// # Panics
/// If the lengths differ.
pub fn add_curve_sums<T: Copy + Into<Layout>>(
    layouts: &[T],
    [first, second]: [GroupCurves<'_>; 2],
    groups: &[u32],
    values: &[f32],
    scores: &mut [f32],
) {
    let (n_columns, n) = (layouts.len(), scores.len());
    assert!(groups.len() == n && values.len() == n_columns * n, "add_curve_sums: lengths differ");
    assert!(first.curves.len() == n_columns && second.curves.len() == n_columns, "add_curve_sums: lengths differ");
    if n == 0 {
        return;
    }
    for begin in (0..n_columns).step_by(COLUMNS) {
        let columns = begin..n_columns.min(begin + COLUMNS);
        let scaled = scaled(&layouts[columns.clone()]);
        let curves = [&first.curves[columns.clone()], &second.curves[columns.clone()]];
        let values = &values[columns.start * n..columns.end * n];
        add_on(Supported::best(), &scaled, curves, (groups, second.group), values, scores);
    }
}

/// Locates candidates `first..first + m` of `values` `[columns, n]` on curves `[columns]`: leaves the knots below them and
/// the shares of the next ones in `knots` and `shares` `[columns, n]`, as [`locate`](crate::locate) does, and adds the
/// values of the curves there to `scores` `[m]`, in the order of the columns.
///
/// # Panics
/// If the lengths differ.
pub fn locate_and_add<T: Copy + Into<Layout>>(
    layouts: &[T],
    curves: &[[f32; TABLE]],
    values: &[f32],
    first: usize,
    scores: &mut [f32],
    (knots, shares): (&mut [u32], &mut [f32]),
) {
    let (n_columns, len) = (layouts.len(), values.len());
    let n = len / n_columns.max(1);
    assert!(curves.len() == n_columns && len == n_columns * n, "locate_and_add: lengths differ");
    assert!(knots.len() == len && shares.len() == len, "locate_and_add: lengths differ");
    if scores.is_empty() || n_columns == 0 {
        return;
    }
    assert!(first + scores.len() <= n, "locate_and_add: candidates beyond the last");
    for begin in (0..n_columns).step_by(COLUMNS) {
        let columns = begin..n_columns.min(begin + COLUMNS);
        let of_columns = columns.start * n..columns.end * n;
        let places = (&mut knots[of_columns.clone()], &mut shares[of_columns.clone()]);
        let scaled = scaled(&layouts[columns.clone()]);
        locate_on(Supported::best(), &scaled, &curves[columns], (&values[of_columns], n, first), scores, places);
    }
}

/// The layouts of at most [`COLUMNS`] columns.
fn scaled<T: Copy + Into<Layout>>(layouts: &[T]) -> [Scaled; COLUMNS] {
    let mut scaled = [Scaled::Log { low: 0.0, per_exponent: 0.0 }; COLUMNS];
    scaled.iter_mut().zip(layouts).for_each(|(scaled, layout)| *scaled = Scaled::from((*layout).into()));
    scaled
}

/// A layout with its divisions done.
#[derive(Clone, Copy)]
enum Scaled {
    Log { low: f32, per_exponent: f32 },
    Linear { low: f32, per_unit: f32 },
}

impl From<Layout> for Scaled {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Log { low, step } => Self::Log { low, per_exponent: 1.0 / step },
            Layout::Linear { low, high } => Self::Linear { low, per_unit: LAST / (high - low) },
        }
    }
}

compiled_for_each_set! {
    fn add_on(
        layouts: &[Scaled],
        curves: [&[[f32; TABLE]]; 2],
        groups: (&[u32], u32),
        values: &[f32],
        scores: &mut [f32]
    ) = add_lanes<Lanes>
}

compiled_for_each_set! {
    fn locate_on(
        layouts: &[Scaled],
        curves: &[[f32; TABLE]],
        values: (&[f32], usize, usize),
        scores: &mut [f32],
        places: (&mut [u32], &mut [f32])
    ) = locate_lanes<Lanes>
}

#[inline(always)]
fn locate_lanes<L: CurveLanes>(
    layouts: &[Scaled],
    curves: &[[f32; TABLE]],
    (values, n, first): (&[f32], usize, usize),
    scores: &mut [f32],
    (knots, shares): (&mut [u32], &mut [f32]),
) {
    for (chunk, scores) in scores.chunks_mut(N_LANES).enumerate() {
        let (begin, end) = (first + chunk * N_LANES, first + chunk * N_LANES + scores.len());
        let mut lanes = [0.0; N_LANES];
        lanes[..scores.len()].copy_from_slice(scores);
        let mut sum = L::load(&lanes);
        let columns = values.chunks_exact(n).zip(knots.chunks_exact_mut(n).zip(shares.chunks_exact_mut(n)));
        for ((layout, curve), (values, (knots, shares))) in layouts.iter().zip(curves).zip(columns) {
            let (at, next) = locate::<L>(load::<L>(&values[begin..end]), *layout);
            store::<L>(at, next, &mut knots[begin..end], &mut shares[begin..end]);
            [sum] = add_located([sum], (at, next), [curve]);
        }
        sum.store(&mut lanes);
        scores.copy_from_slice(&lanes[..scores.len()]);
    }
}

/// Writes places to slices of up to 16.
#[inline(always)]
fn store<L: CurveLanes>(at: L::Knots, next: L, knots: &mut [u32], shares: &mut [f32]) {
    if let (Some(knots), Some(shares)) = (knots.first_chunk_mut(), shares.first_chunk_mut()) {
        L::store_knots(at, knots);
        return next.store(shares);
    }
    let (mut all_knots, mut all_shares) = ([0; N_LANES], [0.0; N_LANES]);
    L::store_knots(at, &mut all_knots);
    next.store(&mut all_shares);
    knots.copy_from_slice(&all_knots[..knots.len()]);
    shares.copy_from_slice(&all_shares[..shares.len()]);
}

#[inline(always)]
fn add_lanes<L: CurveLanes>(
    layouts: &[Scaled],
    curves: [&[[f32; TABLE]]; 2],
    (groups, second): (&[u32], u32),
    values: &[f32],
    scores: &mut [f32],
) {
    let n = scores.len();
    for (chunk, (scores, groups)) in scores.chunks_mut(N_LANES).zip(groups.chunks(N_LANES)).enumerate() {
        let mut lanes = [0.0; N_LANES];
        lanes[..scores.len()].copy_from_slice(scores);
        let before = L::load(&lanes);
        let columns = values.chunks_exact(n).map(|column| load::<L>(&column[chunk * N_LANES..][..scores.len()]));
        let columns = layouts.iter().zip(columns);
        let n_second = groups.iter().filter(|&&group| group == second).count();
        if n_second == 0 || n_second == groups.len() {
            let curves = curves[usize::from(n_second > 0)];
            let sum = columns.zip(curves).fold(before, |sum, ((layout, values), curve)| {
                let [sum] = add([sum], values, *layout, [curve]);
                sum
            });
            sum.store(&mut lanes);
            scores.copy_from_slice(&lanes[..scores.len()]);
        } else {
            let curves = curves[0].iter().zip(curves[1]);
            let [of_first, of_second] = columns
                .zip(curves)
                .fold([before; 2], |sums, ((layout, values), (a, b))| add(sums, values, *layout, [a, b]));
            let mut lanes_of_second = [0.0; N_LANES];
            of_first.store(&mut lanes);
            of_second.store(&mut lanes_of_second);
            for (place, (score, group)) in scores.iter_mut().zip(groups).enumerate() {
                *score = if *group == second { lanes_of_second[place] } else { lanes[place] };
            }
        }
    }
}

#[inline(always)]
fn load<L: Lanes>(values: &[f32]) -> L {
    match values.first_chunk::<N_LANES>() {
        Some(chunk) => L::load(chunk),
        None => L::load_tail(values),
    }
}

/// Adds the values of one column's curves.
#[inline(always)]
fn add<L: CurveLanes, const G: usize>(sums: [L; G], values: L, layout: Scaled, curves: [&[f32; TABLE]; G]) -> [L; G] {
    let one = L::splat(1.0);
    // Evidence of a visit is 0 for all candidates before the visit.
    if let Scaled::Log { .. } = layout
        && values.are_zero()
    {
        return std::array::from_fn(|g| sums[g].multiply_add(one, L::splat(curves[g][0])));
    }
    add_located(sums, locate(values, layout), curves)
}

#[inline(always)]
fn locate<L: CurveLanes>(values: L, layout: Scaled) -> (L::Knots, L) {
    match layout {
        Scaled::Log { low, per_exponent } => values.locate_log(low, per_exponent),
        Scaled::Linear { low, per_unit } => values.locate_linear(low, per_unit),
    }
}

/// Adds the values of curves at the same places.
#[inline(always)]
fn add_located<L: CurveLanes, const G: usize>(
    sums: [L; G],
    (knots, shares): (L::Knots, L),
    curves: [&[f32; TABLE]; G],
) -> [L; G] {
    let one = L::splat(1.0);
    let left = one.multiply_add(L::splat(-1.0), shares);
    std::array::from_fn(|g| {
        let table = L::load(curves[g]);
        let low = L::zero().multiply_add(table.at(knots), left);
        sums[g].multiply_add(one, low.multiply_add(table.after(knots), shares))
    })
}

/// Sixteen values that are located on a curve of 16 knots, and such a curve as a table.
trait CurveLanes: Lanes {
    /// The knots below values.
    type Knots: Copy;
    /// Whether all are 0, with the sign +.
    fn are_zero(self) -> bool;
    /// Of each value the knot below it and the share of the next one: the bits of [`place_log`].
    fn locate_log(self, low: f32, per_exponent: f32) -> (Self::Knots, Self);
    /// The bits of [`place_linear`].
    fn locate_linear(self, low: f32, per_unit: f32) -> (Self::Knots, Self);
    /// Writes knots, that of a NaN as 0.
    fn store_knots(knots: Self::Knots, out: &mut [u32; N_LANES]);
    /// The numbers of the table at the knots.
    fn at(self, knots: Self::Knots) -> Self;
    /// The numbers of the table at the knots after them.
    fn after(self, knots: Self::Knots) -> Self;
}

impl CurveLanes for [f32; N_LANES] {
    type Knots = [u32; N_LANES];

    #[inline(always)]
    fn are_zero(self) -> bool {
        self.iter().all(|value| value.to_bits() == 0)
    }

    #[inline(always)]
    fn locate_log(self, low: f32, per_exponent: f32) -> (Self::Knots, Self) {
        let places = self.map(|value| place_log(low, per_exponent, LAST, value));
        (places.map(|(knot, _)| knot), places.map(|(_, share)| share))
    }

    #[inline(always)]
    fn locate_linear(self, low: f32, per_unit: f32) -> (Self::Knots, Self) {
        let places = self.map(|value| place_linear(low, per_unit, LAST, value));
        (places.map(|(knot, _)| knot), places.map(|(_, share)| share))
    }

    #[inline(always)]
    fn store_knots(knots: Self::Knots, out: &mut [u32; N_LANES]) {
        *out = knots;
    }

    #[inline(always)]
    fn at(self, knots: Self::Knots) -> Self {
        self.look_up(&knots)
    }

    #[inline(always)]
    fn after(self, knots: Self::Knots) -> Self {
        self.look_up(&knots.map(|knot| knot + 1))
    }
}

// SAFETY of all blocks below: as for `Lanes`, the caller has the features. The blocks touch registers only. The knot of
// a NaN is the smallest integer, whose low bits are those of knot 0; its share is a NaN.
#[cfg(target_arch = "x86_64")]
impl CurveLanes for Lanes256 {
    type Knots = [__m256i; 2];

    #[inline(always)]
    fn are_zero(self) -> bool {
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_castps_si256(_mm256_or_ps(self.0, self.1));
            _mm256_testz_si256(bits, bits) == 1
        }
    }

    #[inline(always)]
    fn locate_log(self, low: f32, per_exponent: f32) -> (Self::Knots, Self) {
        // SAFETY: see above.
        let half = |values: __m256| unsafe {
            let number = _mm256_cvtepi32_ps(_mm256_castps_si256(values));
            let scaled = _mm256_mul_ps(number, _mm256_set1_ps(1.0 / 8_388_608.0));
            let log = _mm256_sub_ps(scaled, _mm256_set1_ps(127.0));
            let above_low = _mm256_mul_ps(_mm256_sub_ps(log, _mm256_set1_ps(low)), _mm256_set1_ps(per_exponent));
            let place = _mm256_add_ps(_mm256_set1_ps(1.0), above_low);
            let place = _mm256_min_ps(_mm256_max_ps(place, _mm256_set1_ps(1.0)), _mm256_set1_ps(LAST));
            let is_zero = _mm256_cmp_ps::<_CMP_LE_OQ>(values, _mm256_setzero_ps());
            let place = _mm256_andnot_ps(is_zero, place);
            let is_nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(values, values);
            split_256(_mm256_blendv_ps(place, values, is_nan))
        };
        let ((low_knots, low_shares), (high_knots, high_shares)) = (half(self.0), half(self.1));
        ([low_knots, high_knots], Lanes256(low_shares, high_shares))
    }

    #[inline(always)]
    fn locate_linear(self, low: f32, per_unit: f32) -> (Self::Knots, Self) {
        // SAFETY: see above. The bounds are the first operands, because of two that do not compare the second is taken.
        let half = |values: __m256| unsafe {
            let place = _mm256_mul_ps(_mm256_sub_ps(values, _mm256_set1_ps(low)), _mm256_set1_ps(per_unit));
            split_256(_mm256_min_ps(_mm256_set1_ps(LAST), _mm256_max_ps(_mm256_setzero_ps(), place)))
        };
        let ((low_knots, low_shares), (high_knots, high_shares)) = (half(self.0), half(self.1));
        ([low_knots, high_knots], Lanes256(low_shares, high_shares))
    }

    #[inline(always)]
    fn store_knots([low, high]: Self::Knots, out: &mut [u32; N_LANES]) {
        // SAFETY: see above; writes the 16 knots.
        unsafe {
            let low_bits = _mm256_set1_epi32(TABLE as i32 - 1);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_and_si256(low, low_bits));
            _mm256_storeu_si256(out.as_mut_ptr().add(8).cast(), _mm256_and_si256(high, low_bits));
        }
    }

    #[inline(always)]
    fn at(self, [low, high]: Self::Knots) -> Self {
        // SAFETY: see above.
        let half = |knots: __m256i| unsafe {
            // Each half of the table is looked up by the low three bits of a knot; the fourth chooses the half.
            let (low, high) = (_mm256_permutevar8x32_ps(self.0, knots), _mm256_permutevar8x32_ps(self.1, knots));
            let is_high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(knots, _mm256_set1_epi32(7)));
            _mm256_blendv_ps(low, high, is_high)
        };
        Lanes256(half(low), half(high))
    }

    #[inline(always)]
    fn after(self, knots: Self::Knots) -> Self {
        // SAFETY: see above.
        self.at(knots.map(|knots| unsafe { _mm256_add_epi32(knots, _mm256_set1_epi32(1)) }))
    }
}

/// The knots below eight places, and the shares of the next ones.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn split_256(place: __m256) -> (__m256i, __m256) {
    // SAFETY: as above. Of two that do not compare the second operand is taken, so a NaN stays.
    unsafe {
        let knot = _mm256_cvttps_epi32(_mm256_min_ps(_mm256_set1_ps(LAST - 1.0), place));
        (knot, _mm256_sub_ps(place, _mm256_cvtepi32_ps(knot)))
    }
}

// SAFETY of all blocks below: as above.
#[cfg(target_arch = "x86_64")]
impl CurveLanes for Lanes512 {
    type Knots = __m512i;

    #[inline(always)]
    fn are_zero(self) -> bool {
        // SAFETY: see above.
        unsafe {
            let bits = _mm512_castps_si512(self.0);
            _mm512_test_epi32_mask(bits, bits) == 0
        }
    }

    #[inline(always)]
    fn locate_log(self, low: f32, per_exponent: f32) -> (Self::Knots, Self) {
        // SAFETY: see above.
        unsafe {
            let values = self.0;
            let number = _mm512_cvtepi32_ps(_mm512_castps_si512(values));
            let scaled = _mm512_mul_ps(number, _mm512_set1_ps(1.0 / 8_388_608.0));
            let log = _mm512_sub_ps(scaled, _mm512_set1_ps(127.0));
            let above_low = _mm512_mul_ps(_mm512_sub_ps(log, _mm512_set1_ps(low)), _mm512_set1_ps(per_exponent));
            let place = _mm512_add_ps(_mm512_set1_ps(1.0), above_low);
            let place = _mm512_min_ps(_mm512_max_ps(place, _mm512_set1_ps(1.0)), _mm512_set1_ps(LAST));
            let is_above = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(values, _mm512_setzero_ps());
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
            split_512(_mm512_mask_mov_ps(_mm512_maskz_mov_ps(is_above, place), is_nan, values))
        }
    }

    #[inline(always)]
    fn locate_linear(self, low: f32, per_unit: f32) -> (Self::Knots, Self) {
        // SAFETY: see above. The bounds are the first operands, because of two that do not compare the second is taken.
        unsafe {
            let place = _mm512_mul_ps(_mm512_sub_ps(self.0, _mm512_set1_ps(low)), _mm512_set1_ps(per_unit));
            split_512(_mm512_min_ps(_mm512_set1_ps(LAST), _mm512_max_ps(_mm512_setzero_ps(), place)))
        }
    }

    #[inline(always)]
    fn store_knots(knots: Self::Knots, out: &mut [u32; N_LANES]) {
        // SAFETY: see above; writes the 16 knots.
        unsafe {
            let low_bits = _mm512_set1_epi32(TABLE as i32 - 1);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_and_epi32(knots, low_bits));
        }
    }

    #[inline(always)]
    fn at(self, knots: Self::Knots) -> Self {
        // SAFETY: see above. Only the low four bits of a knot are read.
        Lanes512(unsafe { _mm512_permutexvar_ps(knots, self.0) })
    }

    #[inline(always)]
    fn after(self, knots: Self::Knots) -> Self {
        // SAFETY: see above.
        self.at(unsafe { _mm512_add_epi32(knots, _mm512_set1_epi32(1)) })
    }
}

/// The knots below sixteen places, and the shares of the next ones.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn split_512(place: __m512) -> (__m512i, Lanes512) {
    // SAFETY: as above. Of two that do not compare the second operand is taken, so a NaN stays.
    unsafe {
        let knot = _mm512_cvttps_epi32(_mm512_min_ps(_mm512_set1_ps(LAST - 1.0), place));
        (knot, Lanes512(_mm512_sub_ps(place, _mm512_cvtepi32_ps(knot))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet, add_on_curve};

    const LAYOUTS: [Layout; 4] = [
        Layout::Log { low: -9.0, step: 0.7 },
        Layout::Linear { low: -9.0, high: 6.0 },
        Layout::Log { low: 0.0, step: 0.5 },
        Layout::Linear { low: 0.0, high: 1.0 },
    ];

    /// Column by column, each group by itself.
    fn expected(layouts: &[Layout], of: [GroupCurves<'_>; 2], groups: &[u32], values: &[f32], scores: &mut [f32]) {
        let n = scores.len();
        let sums = of.map(|of| {
            let (mut sums, mut knots, mut shares) = (scores.to_vec(), vec![0; n], vec![0.0; n]);
            for ((layout, values), curve) in layouts.iter().zip(values.chunks_exact(n)).zip(of.curves) {
                crate::locate(*layout, TABLE, values, &mut knots, &mut shares);
                add_on_curve(curve, &knots, &shares, &mut sums);
            }
            sums
        });
        for (place, score) in scores.iter_mut().enumerate() {
            *score = sums[usize::from(groups[place] == of[1].group)][place];
        }
    }

    fn check(n_columns: usize, n: usize, n_groups: u64, zeros: u64) {
        let mut draws = Draws::new(5, n as u64, n_columns as u64);
        let layouts: Vec<Layout> = (0..n_columns).map(|column| LAYOUTS[column % LAYOUTS.len()]).collect();
        let mut curves =
            || -> Vec<[f32; TABLE]> { (0..n_columns).map(|_| std::array::from_fn(|_| draws.normal())).collect() };
        let (a, b) = (curves(), curves());
        let of = [GroupCurves { group: 2, curves: &a }, GroupCurves { group: 3, curves: &b }];
        let edges = [0.0, -0.0, 1.0, 1e-30, 1e30, f32::MIN_POSITIVE, f32::INFINITY, f32::NEG_INFINITY, -3.0];
        let values: Vec<f32> = (0..n_columns * n)
            .map(|_| match draws.below(4) {
                _ if draws.below(4) < zeros => 0.0,
                0 => edges[draws.below(edges.len() as u64) as usize],
                _ => 4.0 * draws.normal(),
            })
            .collect();
        let groups: Vec<u32> = (0..n).map(|_| 2 + draws.below(n_groups) as u32).collect();
        let scores: Vec<f32> = (0..n).map(|_| draws.normal()).collect();
        let mut right = scores.clone();
        expected(&layouts, of, &groups, &values, &mut right);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let mut found = scores.clone();
            let scaled: Vec<Scaled> = layouts.iter().map(|layout| Scaled::from(*layout)).collect();
            add_on(Supported::check(set), &scaled, [&a, &b], (&groups, 3), &values, &mut found);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&right), "{} n={n} columns={n_columns}", set.name());
        }
        let mut found = scores;
        add_curve_sums(&layouts, of, &groups, &values, &mut found);
        assert_eq!(found, right, "n={n} columns={n_columns}");
    }

    #[test]
    fn every_set_adds_what_the_curves_say_column_by_column() {
        for n in [1, 15, 16, 17, 40] {
            for n_columns in [0, 1, 7, COLUMNS, COLUMNS + 3] {
                check(n_columns, n, 1, 0);
                check(n_columns, n, 2, 0);
                check(n_columns, n, 2, 4);
            }
        }
    }

    #[test]
    fn candidates_are_located_and_scored_as_column_by_column_on_every_set() {
        const N: usize = 45;
        for (n_columns, first, m) in [(1, 0, N), (7, 3, 16), (COLUMNS + 3, 20, 25), (7, 44, 1), (3, 9, 0)] {
            let mut draws = Draws::new(6, first as u64, n_columns as u64);
            let layouts: Vec<Layout> = (0..n_columns).map(|column| LAYOUTS[column % LAYOUTS.len()]).collect();
            let curves: Vec<[f32; TABLE]> = (0..n_columns).map(|_| std::array::from_fn(|_| draws.normal())).collect();
            let mut values: Vec<f32> =
                (0..n_columns * N).map(|_| 4.0 * draws.normal() * draws.below(2) as f32).collect();
            values[first] = f32::NAN;
            let scores: Vec<f32> = (0..m).map(|_| draws.normal()).collect();
            let (mut knots, mut shares) = (vec![7; n_columns * N], vec![7.0; n_columns * N]);
            let mut right = scores.clone();
            for (column, (layout, curve)) in layouts.iter().zip(&curves).enumerate() {
                let of = column * N + first..column * N + first + m;
                let (knots, shares) = (&mut knots[of.clone()], &mut shares[of.clone()]);
                crate::locate(*layout, TABLE, &values[of], knots, shares);
                add_on_curve(curve, knots, shares, &mut right);
            }
            let bits = |x: &[f32]| x.iter().map(|x| if x.is_nan() { 1 } else { x.to_bits() }).collect::<Vec<_>>();
            let scaled: Vec<Scaled> = layouts.iter().map(|layout| Scaled::from(*layout)).collect();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let (mut found, mut at, mut next) = (scores.clone(), vec![7; knots.len()], vec![7.0; shares.len()]);
                let of_values = (&*values, N, first);
                locate_on(Supported::check(set), &scaled, &curves, of_values, &mut found, (&mut at, &mut next));
                let name = set.name();
                assert_eq!((at, bits(&next), bits(&found)), (knots.clone(), bits(&shares), bits(&right)), "{name}");
            }
            let (mut found, mut at, mut next) = (scores, vec![7; knots.len()], vec![7.0; shares.len()]);
            locate_and_add(&layouts, &curves, &values, first, &mut found, (&mut at, &mut next));
            assert_eq!((at, bits(&next), bits(&found)), (knots, bits(&shares), bits(&right)), "{n_columns} {first}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_makes_its_score_none() {
        let curve = [std::array::from_fn(|knot| knot as f32)];
        let of = GroupCurves { group: 0, curves: &curve };
        for layout in LAYOUTS {
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut scores = [0.0; 3];
                let values = [1.0, f32::NAN, -f32::NAN];
                let layouts = [Scaled::from(layout)];
                add_on(Supported::check(set), &layouts, [of.curves; 2], (&[0; 3], 0), &values, &mut scores);
                assert_eq!(scores.map(f32::is_nan), [false, true, true], "{layout:?} {}", set.name());
            }
        }
    }

    #[test]
    #[should_panic(expected = "add_curve_sums: lengths differ")]
    fn a_group_with_fewer_curves_than_columns_is_refused() {
        let of = GroupCurves { group: 0, curves: &[] };
        add_curve_sums(&LAYOUTS[..1], [of; 2], &[0], &[1.0], &mut [0.0]);
    }
}
