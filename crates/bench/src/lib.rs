//! `accrue bench`: the budgets of this build, measured on this machine.
//!
//! In: names, a size, the configuration. Out: one [`Measure`] a row, beside rows that say what machine it was. Durability, the
//! check and de-duplication are always on, data lie in a temporary folder that is removed. The machine is shared with whatever
//! else runs, so the reference loop runs before and after: when it slows down, so does everything else.
//! It measures what is there and decides nothing; a row that misses its target says so and the run goes on.

mod checkpoint;
mod client;
mod corpus;
mod dataset;
mod freshness;
mod guard;
mod ingest;
mod learning;
mod machine;
mod memory;
mod recovery;
mod reset;
mod sample;
mod search;
mod serving;
mod shop;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};

use accrue_engine::Config;
use shop::{Big, Server};

/// One row of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Name of the row.
    pub name: String,
    /// The median, or the 99th percentile where the name says `p99`.
    pub value: f64,
    /// Of the value and the target.
    pub unit: String,
    /// The budget, where there is one.
    pub target: Option<f64>,
    /// Whether the budget is met; nothing at sizes that the budget does not speak of.
    pub met: Option<bool>,
    /// How many single measurements the value summarises.
    pub samples: u64,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:.3} {}", self.name, self.value, self.unit)
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// Whether it runs, not how fast.
    Tiny,
    /// A tenth of the events before; some minutes.
    Quick,
    /// The sizes that the budgets name.
    #[default]
    Full,
}

impl Size {
    fn pick<T>(self, tiny: T, quick: T, full: T) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    fn flag(self) -> Option<&'static str> {
        self.pick(Some("--tiny"), Some("--quick"), None)
    }
}

/// What to measure.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of benches or rows, or what they begin with; none means all.
    pub names: Vec<String>,
    /// How much.
    pub size: Size,
    /// Never in a process of its own.
    pub here: bool,
    /// A folder that may hold `online-retail-uci`.
    pub datasets: Option<PathBuf>,
}

/// A bench: a question, and the rows that answer it.
pub struct Bench {
    /// Its name.
    pub name: &'static str,
    /// What it asks, of which corpus.
    pub question: &'static str,
    rows: &'static [Row],
    /// Takes too long to be part of a run of all.
    only_when_named: bool,
    run: fn(&mut Bed<'_>) -> anyhow::Result<Vec<Figure>>,
}

impl Bench {
    /// Names of its rows.
    pub fn rows(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|row| row.name)
    }
}

struct Row {
    name: &'static str,
    unit: &'static str,
    target: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// The value of one row.
#[derive(Clone, Copy, Debug)]
struct Figure {
    value: f64,
    samples: u64,
}

const fn row(name: &'static str, unit: &'static str, target: Target) -> Row {
    Row { name, unit, target }
}

const fn bench(
    name: &'static str,
    question: &'static str,
    rows: &'static [Row],
    run: fn(&mut Bed<'_>) -> anyhow::Result<Vec<Figure>>,
) -> Bench {
    Bench { name, question, rows, only_when_named: false, run }
}

/// All benches, those that write into a shared shop after those that want it quiet.
const BENCHES: &[&[Bench]] = &[
    freshness::BENCHES,
    ingest::BENCHES,
    serving::BENCHES,
    search::BENCHES,
    learning::BENCHES,
    guard::BENCHES,
    recovery::BENCHES,
    reset::BENCHES,
    checkpoint::BENCHES,
    memory::BENCHES,
];

/// Every bench there is, in the order in which they run.
pub fn benches() -> impl Iterator<Item = &'static Bench> {
    BENCHES.iter().copied().flatten()
}

/// What the benches of one run work with. Shops that several of them use are made once.
struct Bed<'a> {
    size: Size,
    here: bool,
    datasets: Option<PathBuf>,
    config: Config,
    note: &'a dyn Fn(&str),
    big: Option<Big>,
    retail: Option<Server>,
    trained: Option<serving::Trained>,
}

impl Bed<'_> {
    fn note(&self, text: impl AsRef<str>) {
        (self.note)(text.as_ref());
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The rows of the machine, then those of the benches.
    pub measures: Vec<Measure>,
    /// Benches that could not be measured, or found that something is not only slow but wrong; their rows are missing.
    pub failures: Vec<String>,
}

/// Measures. `note` is told about progress. A bench that fails is noted, and the next one runs.
///
/// # Errors
/// If a name is unknown.
pub fn run(config: &Config, options: &Options, note: &dyn Fn(&str)) -> anyhow::Result<Report> {
    let chosen = choose(&options.names)?;
    // A child speaks of what is inside its bench; its parent says the rest.
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

fn measured(row: &Row, Figure { value, samples }: Figure, size: Size) -> anyhow::Result<Measure> {
    ensure!(value.is_finite(), "{} is {value}", row.name);
    let (target, met) = match row.target {
        Target::AtLeast(target) => (Some(target), Some(value >= target)),
        Target::AtMost(target) => (Some(target), Some(value <= target)),
        Target::None => (None, None),
    };
    let met = met.filter(|_| size != Size::Tiny);
    Ok(Measure { name: row.name.into(), value, unit: row.unit.into(), target, met, samples })
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
