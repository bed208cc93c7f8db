//! `accrue bench`: measures this build on this machine.

use std::path::PathBuf;

use accrue_bench::{Measure, Options, Size, benches, run as measure};

use super::output::{columns, count};
use super::problem::Problem;
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  accrue bench                     all of them, at the sizes of the budgets; most of an hour
  accrue bench --quick ingest      those whose names begin with this, with a tenth of the events
  accrue bench recommend_p99_ms    the bench that has this row
  accrue bench --tiny --json       a test that they run, as JSON";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The benches to run; all by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Tiny sizes, to test that the benches run
    #[arg(long, conflicts_with = "quick")]
    tiny: bool,
    /// A tenth of the events
    #[arg(long)]
    quick: bool,
    /// List the benches, and measure nothing
    #[arg(long)]
    list: bool,
    /// A folder that may hold online-retail-uci, for one more row
    #[arg(long, value_name = "DIR", env = "ACCRUE_DATASETS")]
    datasets: Option<PathBuf>,
    /// Never start a process (used by a bench for its child)
    #[arg(long, hide = true)]
    here: bool,
}

/// A bench, as `--list` shows it.
#[derive(serde::Serialize)]
struct Listed {
    name: &'static str,
    question: &'static str,
    rows: Vec<&'static str>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Arguments { names, tiny, quick, list, datasets, here } = arguments;
    if list {
        let listed: Vec<Listed> = benches()
            .map(|bench| Listed { name: bench.name, question: bench.question, rows: bench.rows().collect() })
            .collect();
        context.output.result(&listed, |listed| {
            columns(&listed.iter().map(|bench| vec![bench.name.into(), bench.question.into()]).collect::<Vec<_>>())
        })?;
        return Ok(Exit::Success);
    }
    let size = match (tiny, quick) {
        (true, _) => Size::Tiny,
        (_, true) => Size::Quick,
        _ => Size::Full,
    };
    let options = Options { names, size, here, datasets };
    let report = measure(&context.config.engine, &options, &|text| context.output.note(text))?;
    context.output.result(&report.measures, |measures| table(measures))?;
    if report.failures.is_empty() {
        return Ok(Exit::Success);
    }
    let hint = "a wrong result is a bug; all other results are above";
    Err(Problem::new(report.failures.join("; "), hint).into())
}

fn table(measures: &[Measure]) -> String {
    let mut rows = vec![["name", "value", "unit", "target", "met", "samples"].map(String::from).to_vec()];
    rows.extend(measures.iter().map(|measure| {
        let target = measure.target.map_or_else(String::new, |target| target.to_string());
        let met = measure.met.map_or("", |met| if met { "yes" } else { "no" });
        let value = format!("{:.3}", measure.value);
        vec![measure.name.clone(), value, measure.unit.clone(), target, met.into(), count(measure.samples)]
    }));
    columns(&rows)
}
