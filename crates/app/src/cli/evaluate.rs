//! `accrue evaluate`: a model under a protocol on files. The laboratory does it; here are its arguments.

use std::path::PathBuf;

use super::problem::Problem;
use super::{Context, Ending, wanted};

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
    if arguments.model != "list" && (arguments.protocol.is_none() || arguments.train.is_none()) {
        let hint = "`accrue evaluate --model list` prints the models with the protocols that they serve";
        return Err(Problem::new("--protocol and --train are needed", hint).into());
    }
    let result = wanted::evaluate(&context.config, &arguments)?;
    context.output.result(&result, |result| {
        serde_json::to_string_pretty(result).unwrap_or_else(|_| result.to_string())
    })?;
    Ok(Ending::Well)
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no key=value"))?;
    if key.is_empty() {
        return Err(format!("`{text}` has no key"));
    }
    Ok((key.into(), value.into()))
}
