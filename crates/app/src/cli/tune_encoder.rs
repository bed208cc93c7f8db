//! `accrue tune-encoder`: trains an encoder of texts on the choices in a data folder's log, which it only reads.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use accrue_encode::Trained;
use accrue_engine::{
    Comparison, Figures, PairKind, TuneEnd, TuneError, TuneProgress, TuneReport, TuneRequest, tune_encoder,
    tuning_folder,
};
use accrue_store::Offset;

use super::output::{columns, count};
use super::problem::{Hint as _, Problem};
use super::{Context, Exit, Output, evaluate};

const EXAMPLES: &str = "\
Examples:
  accrue tune-encoder --encoder minilm --out minilm-shop                    all of it
  accrue tune-encoder --encoder minilm --out minilm-shop --last-layers 2    less time and memory
  accrue tune-encoder --encoder minilm --out minilm-shop --adapters 8       low-rank additions, merged at the end
  accrue tune-encoder --encoder minilm --out minilm-shop --threads 2 --share 0.5 --budget 2h

Pairs of texts come from the log: a search and the item that was chosen after it, items of one basket, and where those
are few, titles and the rest of items' texts. The latest fifth is held out. The new folder is written only if it finds
those later pairs better than the old encoder, beyond chance; otherwise the command ends with 1. Broken off at any
moment, the same command goes on, and the same log and settings give the same bytes on any number of threads. To use the
new encoder, set content.encoder to its folder. docs/encoders.md has more.";

/// How often progress is noted where no bar can be drawn.
const NOTED: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder of the encoder to begin with [default: content.encoder of the settings]
    #[arg(long, value_name = "DIR")]
    encoder: Option<String>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Train the last N layers only
    #[arg(long, value_name = "N", conflicts_with = "adapters", value_parser = clap::value_parser!(u16).range(1..=256))]
    last_layers: Option<u16>,
    /// Train low-rank additions of rank N only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    adapters: Option<u16>,
    /// Kinds of pairs to learn from [default: search and together; title where those are few]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pairs: Vec<KindArgument>,
    /// Read the records before this offset only [default: the end of the log]
    #[arg(long, value_name = "OFFSET")]
    to: Option<u64>,
    /// The most pairs; of more, the latest
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    most: u32,
    /// The share of the pairs that is held out, the latest
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    held_out: f64,
    /// How often every pair is seen
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive)]
    epochs: f64,
    /// Pairs of a step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch: u16,
    /// Items that are close to a query and do not belong to it, beside each pair
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=16))]
    negatives: u16,
    /// The learning rate [default: 0.00005, of adapters 0.0005]
    #[arg(long, value_name = "RATE", value_parser = positive)]
    rate: Option<f64>,
    /// What cosines are divided by in the loss
    #[arg(long, value_name = "T", default_value_t = 0.05, value_parser = positive)]
    temperature: f64,
    /// Tokens of a text that are read in training
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(8..=8192))]
    tokens: u16,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// The share of the time in which they work, so that a server beside it has the rest
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    share: f64,
    /// Break off after this time; the same command goes on: 90m, 12h
    #[arg(long, value_name = "TIME", value_parser = evaluate::time)]
    budget: Option<Duration>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArgument {
    /// A search and what was chosen after it
    Search,
    /// Items of one basket
    Together,
    /// A title and the rest of its item's text
    Title,
}

impl From<KindArgument> for PairKind {
    fn from(kind: KindArgument) -> Self {
        match kind {
            KindArgument::Search => Self::Search,
            KindArgument::Together => Self::Together,
            KindArgument::Title => Self::Title,
        }
    }
}

/// Why the text of an argument is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NumberFault {
    #[error("must be a number from 0.01 to 1")]
    NoShare,
    #[error("must be a number above 0")]
    NotPositive,
}

/// A number above 0 and at most 1.
fn share(text: &str) -> Result<f64, NumberFault> {
    let share = text.parse::<f64>().ok().filter(|share| (0.01..=1.0).contains(share));
    share.ok_or(NumberFault::NoShare)
}

fn positive(text: &str) -> Result<f64, NumberFault> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
    number.ok_or(NumberFault::NotPositive)
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let content = &config.engine.content;
    let encoder = arguments.encoder.clone().unwrap_or_else(|| content.encoder.clone());
    if encoder.is_empty() {
        let hint = "name one with --encoder DIR, or under [content] in the settings; examples/encoders has scripts";
        return Err(Problem::new("no encoder", hint).into());
    }
    let trained = match (arguments.last_layers, arguments.adapters) {
        (Some(n), _) => Trained::LastLayers(n.into()),
        (_, Some(rank)) => Trained::Adapters { rank: rank.into() },
        _ => Trained::Whole,
    };
    let request = TuneRequest {
        encoder,
        prefixes: content.prefixes(),
        out: arguments.out.clone(),
        trained,
        kinds: arguments.pairs.iter().map(|&kind| kind.into()).collect(),
        to: arguments.to.map(Offset),
        most: arguments.most as usize,
        held_out: arguments.held_out,
        epochs: arguments.epochs,
        batch: arguments.batch.into(),
        negatives: arguments.negatives.into(),
        rate: arguments.rate.map(|rate| rate as f32),
        temperature: arguments.temperature as f32,
        tokens: arguments.tokens.into(),
        seed: config.engine.learn.seed,
        threads: arguments.threads.into(),
        share: arguments.share,
        budget: arguments.budget,
    };
    let mut noted = Instant::now();
    let mut progress = |progress: TuneProgress| {
        if noted.elapsed() >= NOTED {
            noted = Instant::now();
            note(*output, progress);
        }
    };
    let report = match tune_encoder(&config.data, &config.engine, &request, &mut progress) {
        // It has a hint of its own.
        Err(TuneError::Engine(error)) => return Err(error.into()),
        result => result.hint(hint(&arguments.out))?,
    };
    output.result(&report, text)?;
    Ok(if report.end == TuneEnd::Refused { Exit::Refused } else { Exit::Success })
}

/// What to do after a failure.
fn hint(out: &Path) -> &'static str {
    match tuning_folder(out).is_dir() {
        true => {
            "what was trained so far lies beside the new folder, in NAME.tuning: the same command goes on, and without that \
             folder it begins anew"
        }
        false => "`accrue tune-encoder --help` has examples",
    }
}

fn note(output: Output, progress: TuneProgress) {
    output.note(&match progress {
        TuneProgress::Encoded(n, of) => format!("{} of {} texts encoded", count(n as u64), count(of as u64)),
        TuneProgress::Step(step, of, loss) => format!("step {} of {}, loss {loss:.4}", count(step), count(of)),
    });
}

fn text(report: &TuneReport) -> String {
    let kinds: Vec<String> = report.pairs.iter().map(|(kind, n)| format!("{} {kind}", count(*n as u64))).collect();
    let mut text = format!(
        "Pairs: {}; {} later ones held out. {} of {} steps, {:.0} ms each, {} parameters; loss {:.4}, then {:.4}.\n",
        kinds.join(", "),
        count(report.held_out as u64),
        count(report.steps[0]),
        count(report.steps[1]),
        report.step_ms,
        count(report.parameters as u64),
        report.loss[0],
        report.loss[1]
    );
    if let Some(comparison) = &report.comparison {
        text.push('\n');
        text.push_str(&table(comparison));
        text.push('\n');
    }
    let out = report.out.display();
    text.push_str(&match report.end {
        TuneEnd::Written => format!("Written to {out}. To use it, set content.encoder to it.\n"),
        TuneEnd::Refused => {
            "Refused: it finds later pairs no better than the old encoder. Nothing was written.\n".into()
        }
        TuneEnd::BrokenOff => "The time is over; the same command goes on.\n".into(),
    });
    text
}

/// The comparison in rows.
fn table(comparison: &Comparison) -> String {
    let header = ["held out", "pairs", "MRR before", "after", "difference, 95 %", "recall@10 before", "after"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut row = |name: &str, Figures { pairs, recall_at_10, mrr }: &Figures| {
        let [low, high] = mrr.difference;
        rows.push(vec![
            name.into(),
            count(*pairs as u64),
            format!("{:.4}", mrr.before),
            format!("{:.4}", mrr.after),
            format!("{low:+.4} … {high:+.4}"),
            format!("{:.4}", recall_at_10.before),
            format!("{:.4}", recall_at_10.after),
        ]);
    };
    row("all", &comparison.all);
    if comparison.kinds.len() > 1 {
        comparison.kinds.iter().for_each(|(kind, figures)| row(kind, figures));
    }
    row("pairs not trained on", &comparison.new_pairs);
    row("items not trained on", &comparison.new_passages);
    format!("{}among {} candidates\n", columns(&rows), count(comparison.candidates as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rates_are_within_their_bounds() {
        assert_eq!(share("0.5"), Ok(0.5));
        for wrong in ["0", "1.5", "NaN", "half"] {
            share(wrong).unwrap_err();
        }
        assert_eq!(positive("5e-5"), Ok(5e-5));
        for wrong in ["0", "-1", "inf", "NaN"] {
            positive(wrong).unwrap_err();
        }
    }
}
