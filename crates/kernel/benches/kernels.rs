//! How fast is each kernel on this machine, on each instruction set, and what share of the core's peak rate is that?
//!
//! Command: `cargo bench -p accrue-kernel` (about half a minute). `-- dot_rows` runs one group; `-- --tiny` runs small
//! shapes and takes a second. `cargo test` runs the tiny size too.
//!
//! Data: normal numbers from `Draws` with seed 1. Each figure is the median time of one call over the repetitions. The
//! peak rate of fused multiply-adds is measured again before each group, because the speed of shared machines varies by
//! half.

use accrue_kernel::{
    Activation, Draws, InstructionSet, Packed, QuantisedQuery, Start, View, ViewMut, axpy_with, dot, dot_rows_with,
    dot_with, exp, ln, multiply_add_peak, multiply_with, quantise, random, scan_with, sigmoid, softmax_in_place,
    softplus, top_k_with,
};
use std::hint::black_box;
use std::time::Instant;

/// How long to measure, and the size of the large shapes.
struct Size {
    /// Most repetitions per figure.
    repetitions: usize,
    /// Target duration of one repetition: below a time slice of the scheduler, so that other load disturbs only some.
    repetition_ns: f64,
    /// Limit on all repetitions of a figure together, for long calls.
    figure_ns: f64,
    n_many: usize,
}

const FULL: Size = Size { repetitions: 301, repetition_ns: 3e5, figure_ns: 2e8, n_many: 100_000 };
const TINY: Size = Size { repetitions: 3, repetition_ns: 1e4, figure_ns: 1e6, n_many: 1_000 };

fn main() {
    let flags: Vec<String> = std::env::args().collect();
    // `cargo bench` passes --bench; `cargo test` does not, and gets the short run.
    let is_full = flags.iter().any(|flag| flag == "--bench") && !flags.iter().any(|flag| flag == "--tiny");
    let size = if is_full { FULL } else { TINY };
    let wanted = |group: &str| {
        let mut names = flags.iter().skip(1).filter(|flag| !flag.starts_with("--")).peekable();
        names.peek().is_none() || names.any(|name| name == group)
    };
    type Group = (&'static str, fn(&Size));
    let groups: [Group; 6] = [
        ("dense", dense),
        ("dot_rows", dot_rows),
        ("product", product),
        ("scan", scan),
        ("top_k", top_k),
        ("elementary", elementary),
    ];
    for (_, run) in groups.into_iter().filter(|(name, _)| wanted(name)) {
        run(&size);
    }
}

fn dense(size: &Size) {
    group(size, "dense: what does one vector operation cost, including dispatch?");
    for d in [16, 50, 64, 128, 1024] {
        let (a, mut b) = (normal(d), normal(d));
        each_set(|set| {
            let ns = median_ns(size, || dot_with(set, black_box(&a), black_box(&b)));
            report("dot", &format!("[{d}]·[{d}]"), set.name(), ns, 2.0 * d as f64 / ns, "GFLOP/s");
        });
        each_set(|set| {
            let ns = median_ns(size, || axpy_with(set, black_box(1e-9), black_box(&a), black_box(&mut b)));
            report("axpy", &format!("[{d}]"), set.name(), ns, 2.0 * d as f64 / ns, "GFLOP/s");
        });
    }
    let (a, b) = (normal(64), normal(64));
    let ns = median_ns(size, || dot(black_box(&a), black_box(&b)));
    report("dot, best set", "[64]·[64]", InstructionSet::detect().name(), ns, 128.0 / ns, "GFLOP/s");
}

fn dot_rows(size: &Size) {
    group(size, "dot_rows: how fast are rows scored exactly, inside and outside the cache?");
    for (n, d) in [(500, 64), (500, 50), (500, 128), (size.n_many, 64)] {
        let (query, rows, mut out) = (normal(d), normal(n * d), vec![0.0; n]);
        each_set(|set| {
            let ns = median_ns(size, || dot_rows_with(set, black_box(&query), black_box(&rows), black_box(&mut out)));
            let gflops = 2.0 * (n * d) as f64 / ns;
            report("dot_rows", &format!("[{d}]·[{n}, {d}]"), set.name(), ns, gflops, "GFLOP/s");
        });
    }
}

fn product(size: &Size) {
    group(size, "product: what share of the peak does a matrix product reach, also on small shapes?");
    let shrink = if size.n_many < FULL.n_many { 8 } else { 1 };
    for (m, k, n) in [(1024, 1152, 384), (50, 64, 64), (50, 64, 256), (50, 256, 64), (6, 384, 384)] {
        let (m, k, n) = if m > 100 { (m / shrink, k / shrink, n / shrink) } else { (m, k, n) };
        let (a, b, bias, mut out) = (normal(m * k), normal(k * n), normal(n), vec![0.0; m * n]);
        let packed = Packed::of(View::new(&b, k, n));
        let shape = format!("[{m}, {k}]·[{k}, {n}]");
        let operations = 2.0 * (m * k * n) as f64;
        let best = InstructionSet::detect();
        each_set(|set| {
            let ns = median_ns(size, || {
                let out = ViewMut::new(black_box(&mut out), m, n);
                let a = black_box(View::new(&a, m, k));
                multiply_with(set, a, black_box(&packed), Start::Zero, Activation::Identity, out);
            });
            report("multiply", &shape, set.name(), ns, operations / ns, "GFLOP/s");
        });
        let (share, low, high) = share_of_peak(size, best, operations, || {
            let out = ViewMut::new(black_box(&mut out), m, n);
            let a = black_box(View::new(&a, m, k));
            multiply_with(best, a, black_box(&packed), Start::Zero, Activation::Identity, out);
        });
        println!("{:<17} {shape:<27} {:<7} {share:>6.1} % ({low:.1} to {high:.1})", "of the peak", best.name());
        let mut time = |what: &str, a: View, start: Start, activation: Activation| {
            let ns = median_ns(size, || {
                let out = ViewMut::new(black_box(&mut out), m, n);
                multiply_with(best, black_box(a), black_box(&packed), start, activation, out);
            });
            report(what, &shape, best.name(), ns, operations / ns, "GFLOP/s");
        };
        time("left transposed", View::new(&a, k, m).transposed(), Start::Output, Activation::Identity);
        time("bias, GELU", View::new(&a, m, k), Start::Bias(&bias), Activation::Gelu);
        let mut packed = Packed::default();
        let ns = median_ns(size, || packed.pack(black_box(View::new(&b, k, n))));
        report("pack", &format!("[{k}, {n}]"), best.name(), ns, 4.0 * (k * n) as f64 / ns, "GB/s");
        let ns = median_ns(size, || packed.pack(black_box(View::new(&b, n, k).transposed())));
        report("pack transposed", &format!("[{n}, {k}]"), best.name(), ns, 4.0 * (k * n) as f64 / ns, "GB/s");
    }
}

fn scan(size: &Size) {
    group(size, "scan: how fast are int8 rows scanned, 16 at a time and all at once?");
    for (n, d) in [(16, 64), (16, 50), (500, 64), (size.n_many, 64), (size.n_many, 128)] {
        let rows = normal(n * d);
        let mut codes = vec![0; n * d];
        let scales: Vec<f32> =
            rows.chunks(d).zip(codes.chunks_mut(d)).map(|(row, codes)| quantise(row, codes)).collect();
        let (query, mut out) = (QuantisedQuery::new(&normal(d)), vec![0.0; n]);
        each_set(|set| {
            let ns = median_ns(size, || {
                scan_with(set, black_box(&query), black_box(&codes), black_box(&scales), black_box(&mut out));
            });
            report("scan", &format!("[{d}]·[{n}, {d}]"), set.name(), ns, (n * d) as f64 / ns, "GB/s");
        });
    }
    let (row, mut codes) = (normal(64), [0; 64]);
    let best = InstructionSet::detect().name();
    let ns = median_ns(size, || quantise(black_box(&row), black_box(&mut codes)));
    report("quantise", "[64]", best, ns, 256.0 / ns, "GB/s");
    let ns = median_ns(size, || QuantisedQuery::new(black_box(&row)));
    report("QuantisedQuery", "[64]", best, ns, 256.0 / ns, "GB/s");
}

fn top_k(size: &Size) {
    group(size, "top_k: what does selecting the best cost, compared with scoring them?");
    let n = size.n_many;
    let random_order = normal(n);
    let mut ascending = random_order.clone();
    ascending.sort_by(f32::total_cmp);
    for (what, scores) in [("random", &random_order), ("ascending", &ascending)] {
        for k in [10, 100, 1000] {
            each_set(|set| {
                let ns = median_ns(size, || top_k_with(set, black_box(scores), k));
                report("top_k", &format!("{k} of {n} {what}"), set.name(), ns, 4.0 * n as f64 / ns, "GB/s");
            });
        }
    }
}

fn elementary(size: &Size) {
    group(size, "random and math: what does one number cost?");
    let best = InstructionSet::detect().name();
    let mut draws = Draws::new(1, 0, 0);
    let one = |what: &str, ns: f64| report(what, "one", best, ns, 1.0 / ns, "G/s");
    one("random", median_ns(size, || random(black_box(1), 2, black_box(3), 4)));
    one("below", median_ns(size, || draws.below(black_box(12_000))));
    one("normal", median_ns(size, || draws.normal()));
    one("exp", median_ns(size, || exp(black_box(0.7))));
    one("ln", median_ns(size, || ln(black_box(0.7))));
    one("sigmoid", median_ns(size, || sigmoid(black_box(0.7))));
    one("softplus", median_ns(size, || softplus(black_box(0.7))));
    for n in [100, size.n_many] {
        let scores = normal(n);
        let mut out = scores.clone();
        let ns = median_ns(size, || {
            out.copy_from_slice(&scores);
            softmax_in_place(black_box(&mut out))
        });
        report("softmax_in_place", &format!("[{n}]"), best, ns, n as f64 / ns, "G/s");
    }
}

fn group(size: &Size, question: &str) {
    println!("\n{question}");
    each_set(|set| {
        let ns_a_round = if set == InstructionSet::Scalar { 200.0 } else { 3.0 };
        let rounds = (size.repetition_ns / ns_a_round) as u64;
        let ns = median_ns(size, || multiply_add_peak(set, black_box(rounds)));
        let operations = multiply_add_peak(set, rounds) as f64;
        report("peak", "registers", set.name(), ns, operations / ns, "GFLOP/s");
    });
}

fn report(kernel: &str, shape: &str, set: &str, ns: f64, rate: f64, unit: &str) {
    println!("{kernel:<17} {shape:<27} {set:<7} {ns:>13.1} ns {rate:>9.2} {unit}");
}

fn each_set(run: impl FnMut(InstructionSet)) {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available()).for_each(run);
}

fn normal(n: usize) -> Vec<f32> {
    let mut draws = Draws::new(1, 0, n as u64);
    (0..n).map(|_| draws.normal()).collect()
}

/// The share of the peak rate that a call reaches, in percent: the median and the quartiles.
///
/// Next to each repetition the peak is measured for the same time, so that other load slows both alike.
fn share_of_peak(size: &Size, set: InstructionSet, operations: f64, mut call: impl FnMut()) -> (f64, f64, f64) {
    let mut seconds = |n_calls: usize| {
        let start = Instant::now();
        (0..n_calls).for_each(|_| call());
        start.elapsed().as_secs_f64()
    };
    let n_calls = (size.repetition_ns * 1e-9 / seconds(1).max(1e-9)).ceil().max(1.0) as usize;
    let rounds = (n_calls as f64 * operations / multiply_add_peak(set, 1) as f64) as u64;
    let mut shares: Vec<f64> = (0..size.repetitions.min(101))
        .map(|_| {
            let start = Instant::now();
            black_box(multiply_add_peak(set, black_box(rounds)));
            100.0 * start.elapsed().as_secs_f64() / seconds(n_calls)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    (shares[shares.len() / 2], shares[shares.len() / 4], shares[shares.len() * 3 / 4])
}

/// Median over repetitions of the time of one call.
fn median_ns<T>(size: &Size, mut call: impl FnMut() -> T) -> f64 {
    black_box(call());
    let start = Instant::now();
    black_box(call());
    let call_ns = start.elapsed().as_nanos().max(20) as f64;
    let n_calls = (size.repetition_ns / call_ns).ceil().max(1.0);
    let repetitions = (size.figure_ns / (n_calls * call_ns)).clamp(3.0, size.repetitions as f64) as usize;
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..n_calls as usize {
                black_box(call());
            }
            start.elapsed().as_nanos() as f64 / n_calls
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
