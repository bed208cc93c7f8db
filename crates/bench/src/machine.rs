//! The machine: rows that are printed before all others, because figures mean nothing without them.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use super::folder::Folder;
use super::measure::Measure;
use super::sample::{ms_since, quantile};

/// Cores with the processor's name and instruction set, load, the disk's fsync, and the reference loop.
pub(super) fn rows() -> anyhow::Result<Vec<Measure>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let set = accrue_kernel::InstructionSet::detect().name();
    let unit = format!("cores of {}, {set}", cpu_model());
    let (fsync, n_fsyncs) = fsync_ms()?;
    Ok(vec![
        plain("machine", cores as f64, &unit, 1),
        plain("load_average", load_average(), "processes", 1),
        plain("fsync_ms", fsync, "ms", n_fsyncs),
        reference_row("reference_loop_ms"),
    ])
}

fn plain(name: &str, value: f64, unit: &str, samples: u64) -> Measure {
    Measure { name: name.into(), value, unit: unit.into(), target: None, met: None, samples }
}

/// 10⁸ dependent steps of shift, xor, multiply and add, which no compiler removes: no memory, no vector units.
pub(super) fn reference_row(name: &str) -> Measure {
    let started = Instant::now();
    let mut x = 1_u64;
    for i in 0..100_000_000_u64 {
        x = (x ^ (x >> 29)).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
    }
    black_box(x);
    plain(name, ms_since(started), "ms", 1)
}

fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, model)| model.trim().to_string())
}

/// Processes that were ready to run during the last minute; 0 if the system does not provide it.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Median time of 4 KiB appended and synced where the benches keep their data; near zero means memory, not a disk.
fn fsync_ms() -> anyhow::Result<(f64, u64)> {
    let folder = Folder::new()?;
    let mut file = std::fs::File::create(folder.path().join("fsync"))?;
    let mut took = Vec::new();
    for _ in 0..31 {
        let started = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(ms_since(started));
    }
    Ok((quantile(&mut took, 0.5), took.len() as u64))
}

/// A field of `/proc/self/status` that counts kilobytes, in bytes; 0 if there is no such file.
pub(super) fn memory_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// CPU seconds that this thread has used; 0 if the system does not provide it.
pub(super) fn thread_cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_ascii_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    ns.unwrap_or(0.0) / 1e9
}

/// CPU seconds that all threads of this process have used, to a hundredth; 0 if the system does not provide it.
pub(super) fn process_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may contain any characters; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Lets this thread run before those of ordinary priority; `false` if the system does not permit it. For threads that only measure: where
/// the load comes from other machines, a visitor does not wait for a core that the load or the server uses.
#[cfg(target_os = "linux")]
pub(super) fn run_before_others() -> bool {
    // On Linux the call with no process concerns the calling thread alone.
    rustix::process::setpriority_process(None, MEASURING).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run_before_others() -> bool {
    false
}

/// The niceness of threads that measure.
#[cfg(target_os = "linux")]
const MEASURING: i32 = -15;
