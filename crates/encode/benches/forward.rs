//! How long does an encoder take for a query of six tokens, for 32 texts of 32 tokens, and for a step of training with 32
//! pairs of 32 tokens? `bench/tune_step.py` measures the same step with torch.
//!
//! Command: `ENCODER=FOLDER cargo bench -p accrue-encode`. Texts: words of the folder's own vocabulary, repeated to the
//! length. Each figure is the median over the repetitions; the peak rate of fused multiply-adds is measured beside them,
//! because the speed of shared machines varies by half.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use accrue_encode::{Batch, EncoderSettings, Kind, TextEncoder, Trained, TuneSettings, Tuner};
use accrue_kernel::{InstructionSet, multiply_add_peak};

fn main() {
    let Some(folder) = std::env::var_os("ENCODER") else {
        return eprintln!("ENCODER names no folder; nothing is measured");
    };
    let begin = Instant::now();
    let encoder = TextEncoder::open(Path::new(&folder)).expect("a folder of an encoder");
    println!("opened in {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
    let words = |n: usize| "red ".repeat(n - 2);
    let (query, texts) = (words(6), vec![words(32); 32]);
    assert_eq!(
        (
            encoder.ids(&query).expect("the folder has a tokenizer").len(),
            encoder.ids(&texts[0]).expect("the folder has a tokenizer").len()
        ),
        (6, 32)
    );
    peak();
    report("6 tokens, 1 thread", 60, || encoder.encode(&[&query], 1));
    report("32 texts of 32 tokens, 1 thread", 15, || encoder.encode(&texts, 1));
    report("32 texts of 32 tokens, 2 threads", 15, || encoder.encode(&texts, 2));
    for (what, trained) in [
        ("whole", Trained::Whole),
        ("last 2 layers", Trained::LastLayers(2)),
        ("adapters of rank 8", Trained::Adapters { rank: 8 }),
    ] {
        for threads in [1, 2] {
            let mut tuner = tuner(Path::new(&folder), &words, trained, threads);
            let batch =
                Batch { queries: (0..32).collect(), passages: (32..64).collect(), excluded: vec![false; 32 * 32] };
            report(&format!("step of 32 pairs of 32 tokens, {what}, {threads} threads"), 9, || tuner.step(&batch));
        }
    }
    peak();
}

/// A training whose texts have 32 tokens each.
fn tuner(folder: &Path, words: &dyn Fn(usize) -> String, trained: Trained, threads: usize) -> Tuner {
    let texts: Vec<(Kind, String)> = (0..64).map(|_| (Kind::Passage, words(32))).collect();
    let settings = TuneSettings {
        trained,
        batch: 32,
        steps: 1_000,
        rate: 1e-5,
        warm_up: 0.1,
        weight_decay: 0.01,
        temperature: 0.05,
        tokens: 64,
        seed: 1,
        prefixes: EncoderSettings::default(),
    };
    Tuner::open(folder, &texts, settings, threads).expect("a folder of an encoder")
}

fn report<T>(what: &str, repetitions: usize, mut run: impl FnMut() -> T) {
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let begin = Instant::now();
            black_box(run());
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what}: {:.2} ms (fastest {:.2})", times[repetitions / 2], times[0]);
}

fn peak() {
    let (set, begin) = (InstructionSet::detect(), Instant::now());
    let operations = multiply_add_peak(set, 20_000_000);
    println!(
        "peak of one core, {}: {:.0} GFLOP/s",
        set.name(),
        operations as f64 / begin.elapsed().as_secs_f64() / 1e9
    );
}
