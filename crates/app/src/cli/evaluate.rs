//! `accrue evaluate`: a model under a protocol on files. The laboratory does it; here are its arguments.

use std::path::PathBuf;

use accrue_event::Mapping;

use super::ingest::mapping_file;
use super::problem::Problem;
use super::{Context, Ending};
use crate::evaluation::{self, Request};

const EXAMPLES: &str = "\
Examples:
  accrue evaluate --model list
  accrue evaluate --protocol leave-one-out --model popularity --train sequences.txt.zst --json
  accrue evaluate --protocol stream --model blend --train events.tsv --set unit=basket --set mode=online

The same seed gives the same bytes, save under `cost`.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// How it is measured: user-items, leave-one-out, sessions, sampled, ctr, stream, search
    #[arg(long)]
    pub protocol: Option<String>,
    /// What is measured; `list` prints the models with the protocols that they serve
    #[arg(long)]
    pub model: String,
    /// What the model learns from
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// What it is asked, where the protocol has a file of its own for that
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// Descriptions of the items
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// A column mapping, for timestamped events
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// A setting of the model or the protocol
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Ending> {
    let result = match (arguments.model.as_str(), arguments.protocol, arguments.train) {
        ("list", _, _) => evaluation::models(),
        (_, Some(protocol), Some(train)) => {
            for (flag, given) in [("--test", &arguments.test), ("--items", &arguments.items)] {
                if given.is_some() {
                    let hint =
                        "leave it out: this protocol has one file, and the mapping tells what items it describes";
                    return Err(Problem::new(format!("{flag} is not for the protocol `{protocol}`"), hint).into());
                }
            }
            let mapping = match &arguments.mapping {
                Some(path) => mapping_file(path, None)?,
                None => Mapping::default(),
            };
            let request = Request { protocol, model: arguments.model, train, mapping, settings: arguments.settings };
            let output = context.output;
            let mut told = 0;
            evaluation::evaluate(&context.config, &request, |done| {
                let percent = (done * 100.0) as u32;
                if percent >= told + 5 {
                    told = percent;
                    if output.draws_progress() {
                        output.note(&format!("{percent} % of the stream"));
                    }
                }
            })?
        }
        _ => {
            let hint = "`accrue evaluate --model list` prints the models with the protocols that they serve";
            return Err(Problem::new("--protocol and --train are needed", hint).into());
        }
    };
    context
        .output
        .result(&result, |result| serde_json::to_string_pretty(result).unwrap_or_else(|_| result.to_string()))?;
    Ok(Ending::Well)
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no key=value"))?;
    if key.is_empty() {
        return Err(format!("`{text}` has no key"));
    }
    Ok((key.into(), value.into()))
}
