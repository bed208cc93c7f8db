//! A run: the benches that are named, one after the other.

use std::path::PathBuf;
use std::time::Instant;

use accrue_engine::Config;
use anyhow::{bail, ensure};

use super::bed::Bed;
use super::bench::Bench;
use super::measure::{Measure, Size, measured};
use super::{
    checkpoint, connections, freshness, guard, ingest, learning, machine, memory, new_products, page_stages, published,
    recovery, reset, search, search_pages, search_words, serving, what_if,
};

/// What to measure.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of benches or rows, or prefixes of them; none means all.
    pub names: Vec<String>,
    /// The size.
    pub size: Size,
    /// Whether everything runs in this process.
    pub here: bool,
    /// A folder that may hold `online-retail-uci`.
    pub datasets: Option<PathBuf>,
}

/// All benches, those that write into a shared shop after those that need it idle.
const BENCHES: &[&[Bench]] = &[
    freshness::BENCHES,
    ingest::BENCHES,
    serving::BENCHES,
    connections::BENCHES,
    published::BENCHES,
    search::BENCHES,
    search_pages::BENCHES,
    search_words::BENCHES,
    learning::BENCHES,
    guard::BENCHES,
    recovery::BENCHES,
    reset::BENCHES,
    checkpoint::BENCHES,
    what_if::BENCHES,
    new_products::BENCHES,
    page_stages::BENCHES,
    memory::BENCHES,
];

/// Every bench, in the order in which they run.
pub fn benches() -> impl Iterator<Item = &'static Bench> {
    BENCHES.iter().copied().flatten()
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The rows of the machine, then those of the benches.
    pub measures: Vec<Measure>,
    /// Benches that failed or found a result that is wrong and not only slow; their rows are missing.
    pub failures: Vec<String>,
}

/// Measures. `note` is called with progress. A bench that fails is recorded, and the next one runs.
///
/// # Errors
/// If a name is unknown.
pub fn run(config: &Config, options: &Options, note: &dyn Fn(&str)) -> anyhow::Result<Report> {
    let chosen = choose(&options.names)?;
    // A child prints what concerns its bench; its parent prints the rest.
    let say: &dyn Fn(&str) = if options.here { &|_| () } else { note };
    let mut bed = Bed {
        size: options.size,
        here: options.here,
        datasets: options.datasets.clone(),
        config: config.clone(),
        note,
        big: None,
        retail: None,
        trained: None,
    };
    let mut report = Report::default();
    if !options.here {
        report.measures = machine::rows()?;
        report.measures.iter().for_each(|measure| say(&measure.to_string()));
    }
    for bench in chosen {
        say(&format!("{}: {}", bench.name, bench.question));
        let started = Instant::now();
        match measures(bench, &mut bed) {
            Ok(measures) => {
                measures.iter().for_each(|measure| say(&format!("  {measure}")));
                report.measures.extend(measures);
            }
            Err(error) => {
                let failure = format!("bench {}: {error:#}", bench.name);
                note(&failure);
                report.failures.push(failure);
            }
        }
        say(&format!("  ({:.1} s)", started.elapsed().as_secs_f64()));
    }
    if !options.here {
        report.measures.push(machine::reference_row("reference_loop_after_ms"));
    }
    Ok(report)
}

fn measures(bench: &Bench, bed: &mut Bed<'_>) -> anyhow::Result<Vec<Measure>> {
    let figures = (bench.run)(bed)?;
    ensure!(figures.len() <= bench.rows.len(), "more figures than rows");
    bench.rows.iter().zip(figures).map(|(row, figure)| measured(row, figure, bed.size)).collect()
}

/// The benches that the names mean: exactly, by one of their rows, or by how their name begins.
fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Bench>> {
    if names.is_empty() {
        return Ok(benches().filter(|bench| !bench.only_when_named).collect());
    }
    let mut wanted = vec![false; benches().count()];
    for name in names {
        let exact = |bench: &Bench| bench.name == name || bench.rows().any(|row| row == name);
        let begins = |bench: &Bench| !bench.only_when_named && bench.name.starts_with(name.as_str());
        let any_exact = benches().any(exact);
        let places = benches().enumerate().filter(|(_, bench)| if any_exact { exact(bench) } else { begins(bench) });
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        if places.is_empty() {
            let known: Vec<_> = benches().map(|bench| bench.name).collect();
            bail!("there is no bench {name:?}; there are {}", known.join(", "));
        }
        places.into_iter().for_each(|place| wanted[place] = true);
    }
    Ok(benches().zip(wanted).filter(|(_, wanted)| *wanted).map(|(bench, _)| bench).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_benches() {
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            choose(&names).map(|benches| benches.iter().map(|bench| bench.name).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["recommend_p50_ms"]).unwrap(), ["recommend"]);
        assert_eq!(chosen(&["search", "ingest_single"]).unwrap(), ["ingest_single", "search"]);
        assert_eq!(chosen(&["ingest_b"]).unwrap(), ["ingest_batch", "ingest_batch_http"]);
        let error = chosen(&["speed"]).unwrap_err().to_string();
        assert!(error.contains("\"speed\"") && error.contains("crash_recovery"), "{error}");
    }

    #[test]
    fn names_of_benches_and_rows_are_unique() {
        let mut names: Vec<_> = benches().flat_map(|bench| bench.rows()).collect();
        let n_names = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n_names);
    }
}
