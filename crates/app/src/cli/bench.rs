//! `accrue bench`: measures this build on this machine.

use std::path::PathBuf;

use accrue_bench::{Measure, Options, Size, benches, run as measure};

use super::output::{columns, count};
use super::problem::Problem;
use super::{Context, Ending};

const EXAMPLES: &str = "\
Examples:
  accrue bench                     all of them, at the sizes of the budgets; most of an hour
  accrue bench --quick ingest      those whose names begin so, with a tenth of the events before
  accrue bench recommend_p99_ms    the one that has this row
  accrue bench --tiny --json       whether it runs, for machines";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Which ones; all by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Small sizes: whether it runs, not how fast
    #[arg(long, conflicts_with = "quick")]
    tiny: bool,
    /// A tenth of the events before
    #[arg(long)]
    quick: bool,
    /// Show what there is, and measure nothing
    #[arg(long)]
    list: bool,
    /// A folder that may hold online-retail-uci, for one more row
    #[arg(long, value_name = "DIR", env = "ACCRUE_DATASETS")]
    datasets: Option<PathBuf>,
    /// Never in a process of its own (what a bench asks of its child)
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

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let Arguments { names, tiny, quick, list, datasets, here } = arguments;
    if list {
        let listed: Vec<Listed> = benches()
            .map(|bench| Listed { name: bench.name, question: bench.question, rows: bench.rows().collect() })
            .collect();
        context.output.result(&listed, |listed| {
            columns(&listed.iter().map(|bench| vec![bench.name.into(), bench.question.into()]).collect::<Vec<_>>())
        })?;
        return Ok(Ending::Well);
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
        return Ok(Ending::Well);
    }
    let hint = "what a bench found wrong is a bug; everything else it measured stands above";
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
