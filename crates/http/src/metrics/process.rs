//! Metrics of the process.

use super::page::Page;

/// The process as the system sees it, under the names that exporters agree on. Systems without `/proc` have none.
pub(super) fn render_process(page: &mut Page) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let stat = read("stat");
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
    // The unit of times in this file is 1/100 s on every Linux that is in use.
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let help = "Time of cores used, in seconds.";
        page.one("process_cpu_seconds_total", "counter", help, (user + system) / 100.0);
    }
    let booted = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
    if let (Some(started), Some(booted)) = (field(22), booted) {
        let help = "Start of the process, in seconds since 1970.";
        page.one("process_start_time_seconds", "gauge", help, booted + started / 100.0);
    }
    let status = read("status");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    for (name, label, help) in [
        ("process_resident_memory_bytes", "VmRSS:", "Resident memory, in bytes."),
        ("process_virtual_memory_bytes", "VmSize:", "Virtual memory, in bytes."),
    ] {
        if let Some(kib) = line(label).and_then(|kib| kib.parse::<u64>().ok()) {
            page.one(name, "gauge", help, kib * 1024);
        }
    }
    if let Some(threads) = line("Threads:").and_then(|threads| threads.parse::<u64>().ok()) {
        page.one("process_threads", "gauge", "Threads.", threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", "gauge", "Open files.", files.count());
    }
    let limits = read("limits");
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    if let Some(most) = most.and_then(|most| most.parse::<u64>().ok()) {
        page.one("process_max_fds", "gauge", "Files that may be open.", most);
    }
}
