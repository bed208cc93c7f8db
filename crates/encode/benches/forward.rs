//! How long does an encoder take for a query of six tokens, and for 32 texts of 32 tokens?
//!
//! Command: `ENCODER=FOLDER cargo bench -p accrue-encode`. Texts: words of the folder's own vocabulary, repeated to the
//! length. Each figure is the median over the repetitions; the peak rate of fused multiply-adds is measured beside them,
//! because the speed of shared machines varies by half.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use accrue_encode::TextEncoder;
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
    peak();
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
