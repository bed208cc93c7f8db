//! The peak rate of fused multiply-adds of one core when no memory is read: the upper bound that benches are compared
//! with.
//!
//! In: a number of rounds. Out: the number of floating-point operations done; the caller measures the time. The speed
//! of a shared machine varies by half within minutes, so a measured rate is meaningful only beside the peak rate of the
//! same minute.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
use std::hint::black_box;

/// Runs `rounds` of independent fused multiply-adds in registers and returns the floating-point operations done
/// (a fused multiply-add counts as two). Divide by the time it took.
///
/// # Panics
/// If the processor does not support the set.
pub fn multiply_add_peak(set: InstructionSet, rounds: u64) -> u64 {
    let supported = Supported::check(set);
    // As many independent chains as fit into the registers: 12 of one 512-bit register, or 6 of two 256-bit registers.
    let n_chains = if set == InstructionSet::Avx512 {
        black_box(twelve_chains_on(supported, rounds));
        12
    } else {
        black_box(six_chains_on(supported, rounds));
        6
    };
    rounds * n_chains * N_LANES as u64 * 2
}

compiled_for_each_set! { fn twelve_chains_on(rounds: u64) -> f32 = twelve_chains<Lanes> }
compiled_for_each_set! { fn six_chains_on(rounds: u64) -> f32 = six_chains<Lanes> }

#[inline(always)]
fn twelve_chains<L: Lanes>(rounds: u64) -> f32 {
    in_registers::<L, 12>(rounds)
}

#[inline(always)]
fn six_chains<L: Lanes>(rounds: u64) -> f32 {
    in_registers::<L, 6>(rounds)
}

#[inline(always)]
fn in_registers<L: Lanes, const CHAINS: usize>(rounds: u64) -> f32 {
    let factor = L::load(&[black_box(0.5); N_LANES]);
    let mut chains = [L::load(&[black_box(1.0); N_LANES]); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            // c ← ½ · ½ + c: it takes more rounds than any bench runs until c overflows.
            *chain = chain.multiply_add(factor, factor);
        }
    }
    chains.into_iter().map(L::sum).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_for_every_available_set() {
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(multiply_add_peak(set, 10) % (10 * 32), 0, "{}", set.name());
        }
    }
}
