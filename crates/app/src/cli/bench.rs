//! `accrue bench`: measures this build on this machine.

use super::output::{columns, count};
use super::{Context, Ending, wanted};

const EXAMPLES: &str = "\
Examples:
  accrue bench                     all of them
  accrue bench ingest recommend    some
  accrue bench --tiny --json       a quick look, for machines";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Which ones; all by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Small sizes: whether it runs, not how fast
    #[arg(long)]
    tiny: bool,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let measures = wanted::bench(&context.config, &arguments.names, arguments.tiny)?;
    context.output.result(&measures, |measures| {
        let mut rows = vec![["name", "value", "unit", "target", "met", "samples"].map(String::from).to_vec()];
        rows.extend(measures.iter().map(|measure| {
            let target = measure.target.map_or_else(String::new, |target| target.to_string());
            let met = measure.met.map_or("", |met| if met { "yes" } else { "no" });
            let value = format!("{:.3}", measure.value);
            vec![measure.name.clone(), value, measure.unit.clone(), target, met.into(), count(measure.samples)]
        }));
        columns(&rows)
    })?;
    Ok(Ending::Well)
}
