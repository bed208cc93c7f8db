//! `accrue train --challenge`: other settings, more passes or only the recent past, compared with the current model.

use accrue_engine::{Config, learn_settings, with_changes};
use accrue_store::Offset;
use accrue_train::{Challenge, GateSettings};
use indicatif::{ProgressBar, ProgressStyle};
use toml::{Table, Value};

use super::output::count;
use super::problem::Problem;
use super::{Context, Exit};

const HINT: &str = "write it as under [model] in `accrue config`: --set factorization.rate=0.02";

const EXAMPLES: &str = "\
Examples:
  accrue train --challenge                                           learn everything again, except suspect records
  accrue train --challenge --passes 2 --set factorization.rate=0.02  other settings, over the log twice
  accrue train --challenge --from 1000000                            from the recent past alone
  accrue train --challenge --set part=neighbours                     another model

The server must be stopped; for a running one, use PUT /v1/versions/challenger. The challenger learns from the log. Then it and
the current model both predict and learn the last records. The challenger is promoted only if it is not worse by more than the
margin, and within its limits of time and memory; otherwise the reason is printed and recorded, and the exit code is 1.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Train a challenger and judge it
    #[arg(long, required = true)]
    challenge: bool,
    /// A setting of the models, as under [model] in `accrue config`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Learn from this record of the log onwards
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    from: u64,
    /// Passes over the log
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    passes: u32,
    /// Records of the log that both predict and learn, at most the last half of it
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..))]
    shadow: u64,
    /// Loss of mean gain that still counts as not worse, 0 to 0.4
    #[arg(long, value_name = "LOSS", default_value_t = GateSettings::default().margin, value_parser = margin)]
    margin: f64,
}

fn margin(text: &str) -> anyhow::Result<f64> {
    let gate = GateSettings { margin: text.parse()?, ..GateSettings::default() };
    gate.validate()?;
    Ok(gate.margin)
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let mut settings = learn_settings(&config.engine);
    let changes = arguments.set.iter().map(|text| change(text)).collect::<anyhow::Result<_>>()?;
    settings.models =
        with_changes(&settings.models, &changes).map_err(|fault| Problem::new(format!("--set {fault}"), HINT))?;
    let with_them = Config { model: settings.models.clone(), ..config.engine.clone() };
    with_them
        .validate()
        .map_err(|fault| Problem::new(format!("--set: {fault}"), "`accrue config` shows every setting"))?;
    let challenge = Challenge {
        settings,
        from: Offset(arguments.from),
        passes: arguments.passes,
        until: Offset(0),
        windows_digest: None,
        requested: false,
    };
    let gate = GateSettings { margin: arguments.margin, ..GateSettings::default() };
    let bar = if output.draws_progress() { ProgressBar::new(arguments.shadow) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:30} {percent:>3} %  predicting with both  {eta} left")?);
    let report =
        accrue_engine::challenge(&config.data, &config.engine, &challenge, arguments.shadow, &gate, |at, _| {
            bar.set_position(at);
        })?;
    bar.finish_and_clear();
    output.result(&report, |report| {
        format!(
            "{}: {}\n{} records predicted by both; a page takes {:.2} ms (the current model {:.2}); {} learned numbers (the current model {}); {:.1} s",
            if report.promoted { "promoted" } else { "refused" },
            report.why,
            count(report.shadowed),
            report.page_ms.0,
            report.page_ms.1,
            count(report.n_params.0),
            count(report.n_params.1),
            report.seconds,
        )
    })?;
    if report.promoted && !arguments.set.is_empty() {
        output.note("write the same settings into accrue.toml: a start with other settings continues with those");
    }
    Ok(if report.promoted { Exit::Success } else { Exit::Refused })
}

/// `factorization.rate=0.02`, as a name and a value.
fn change(text: &str) -> anyhow::Result<(String, Value)> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Problem::new(format!("--set {text}: no `=`"), HINT).into());
    };
    let parsed = toml::from_str::<Table>(&format!("v = {value}")).ok().and_then(|mut table| table.remove("v"));
    Ok((key.into(), parsed.unwrap_or_else(|| Value::String(value.into()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_in_a_file_and_words_need_no_quotes() {
        let cases = [
            ("factorization.rate=0.5", Value::Float(0.5)),
            ("part=neighbours", Value::String("neighbours".into())),
            ("a=[1]", Value::Array(vec![Value::Integer(1)])),
        ];
        for (text, value) in cases {
            assert_eq!(change(text).unwrap().1, value, "{text}");
        }
        assert!(change("rate").is_err());
    }
}
