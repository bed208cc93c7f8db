//! The cost of one training step of a Transformer, and how much a larger table or a full softmax adds.
//!
//! Command: `cargo bench -p accrue-model --bench training` (a minute); `-- --threads 1`; `-- --tiny` for a run of a second.
//! Data: sequences of 51 uniformly drawn items, seed 1, so every one of the 128 × 50 places holds an item: the dense case,
//! without the savings that shorter histories bring. Width 64, 2 blocks, 1 head, 256 inside, dropout .2, Adam.
//! Each figure is the median wall time of a step; one JSON object a line. `bench/sasrec_step.py` measures the same with torch.
//! `cargo test` runs it in its tiny size too.

use std::time::Instant;

use accrue_kernel::{Draws, InstructionSet, multiply_add_peak};
use accrue_model::collaborative::Interactions;
use accrue_model::neural::{Network, Objective, Trainer, Training, Transformer, TransformerSettings};

fn main() {
    let flags: Vec<String> = std::env::args().collect();
    let is_full = flags.iter().any(|flag| flag == "--bench") && !flags.iter().any(|flag| flag == "--tiny");
    let threads = flags.iter().position(|flag| flag == "--threads").and_then(|at| flags.get(at + 1)?.parse().ok());
    let threads = threads.unwrap_or(2);
    let (n_steps, small, large) = if is_full { (60, 12_000, 1_000_000) } else { (2, 300, 1_000) };
    let peak = peak_gflops();
    println!("{{\"name\":\"peak\",\"gflops_a_core\":{peak:.0},\"set\":\"{}\"}}", InstructionSet::detect().name());
    step("bce", Objective::Bce, false, small, threads, n_steps);
    step("bce", Objective::Bce, false, large, threads, n_steps);
    step("full softmax, last place", Objective::Softmax, true, small, threads, n_steps);
    step("full softmax, all places", Objective::Softmax, false, small, threads, n_steps / 4);
    step("bce", Objective::Bce, false, small, threads, n_steps);
}

fn step(name: &str, objective: Objective, last_only: bool, n_items: usize, threads: usize, n_steps: usize) {
    let mut draws = Draws::new(1, 0, n_items as u64);
    let mut sequence = || -> Vec<u32> { (0..51).map(|_| draws.below(n_items as u64) as u32).collect() };
    let data = Interactions::new(n_items, (0..128 * 8).map(|_| sequence()).collect::<Vec<_>>());
    let training = Training { objective, last_only, ..Training::default() };
    let settings =
        TransformerSettings { heads: 1, dropout: 0.2, attention_dropout: 0.2, training, ..Default::default() };
    let (shape, training) = Transformer::plan(&settings).expect("the settings are valid");
    let mut trainer: Trainer<Transformer> =
        Trainer::new(&shape, training, &data, 1, threads).expect("the training is valid");
    let mut times: Vec<f64> = (0..n_steps + 3)
        .map(|number| {
            let first = (number % 8 * 128) as u32;
            let batch: Vec<u32> = (first..first + 128).collect();
            let start = Instant::now();
            trainer.step(&batch).expect("the loss stays finite");
            start.elapsed().as_secs_f64() * 1e3
        })
        .skip(3)
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, least) = (times.get(times.len() / 2).copied().unwrap_or(0.0), times.first().copied().unwrap_or(0.0));
    println!(
        "{{\"name\":\"{name}\",\"items\":{n_items},\"threads\":{threads},\"ms\":{median:.2},\"least_ms\":{least:.2},\"steps\":{}}}",
        times.len()
    );
}

/// The multiply-adds one core can do, measured now.
fn peak_gflops() -> f64 {
    let set = InstructionSet::detect();
    let rounds = if set == InstructionSet::Scalar { 10_000 } else { 1_000_000 };
    let rates = (0..5).map(|_| {
        let start = Instant::now();
        let operations = multiply_add_peak(set, rounds) as f64;
        operations / start.elapsed().as_secs_f64() / 1e9
    });
    rates.fold(0.0, f64::max)
}
