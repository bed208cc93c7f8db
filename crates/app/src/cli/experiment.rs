//! `accrue experiment`: the results of an experiment's arms, from the log alone. Read-only, so it also works beside a
//! running server.

use std::time::Duration;

use accrue_engine::traffic::ExperimentSettings;
use accrue_lab::Interval;
use accrue_lab::experiment::{ArmReport, ExperimentReport, OffPolicyReport, ReportError, ReportSettings, report};
use accrue_lab::off_policy::{ListPolicy, OffPolicySettings};
use accrue_model::Exploration;

use super::output::{columns, count};
use super::{Context, Exit, evaluate};

const EXAMPLES: &str = "\
Examples:
  accrue experiment                        the experiment of the settings, or the last one in the log
  accrue experiment variety --window 7d    each shopper's answers of one week count
  accrue experiment --policy even --json   an estimate for places drawn uniformly

A shopper's figure is the share of the answers of their first --window that led to a click until --attribution after it;
`closed` counts the shoppers whose figure is final. The interval `at any time` is over them, and stays valid however often it
is read. With --policy, exit code 1 if an arm's drawn answers are too few for an estimate.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Its name
    name: Option<String>,
    /// How long answers count after a shopper's first one: 90s, 30m, 12h, 7d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = evaluate::time)]
    window: Duration,
    /// How long clicks count after that
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = evaluate::time)]
    attribution: Duration,
    /// The policy to estimate from the drawn answers: ranked (the models' order), even, or a temperature such as 1.5
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// Places that the policy draws
    #[arg(long, default_value_t = Exploration::default().places)]
    places: usize,
    /// Items that compete for them
    #[arg(long, default_value_t = Exploration::default().among)]
    among: usize,
    /// Refuse estimates from fewer effective answers
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    least_effective: f64,
    /// Limit weights to this
    #[arg(long, value_name = "WEIGHT")]
    clip: Option<f64>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let settings = ReportSettings {
        window_ms: arguments.window.as_millis() as i64,
        attribution_ms: arguments.attribution.as_millis() as i64,
        policy: policy(&arguments)?,
        off_policy: OffPolicySettings {
            clip: arguments.clip,
            least_effective: arguments.least_effective,
            seed: config.engine.learn.seed,
            ..OffPolicySettings::default()
        },
    };
    let declared = config.engine.serve.experiment.as_ref().map(ExperimentSettings::split);
    let found = match report(config.log_place(), arguments.name.as_deref(), declared.as_ref(), &settings) {
        Err(error @ ReportError::Unknown { .. }) => {
            output.note(&format!("refused: {error}"));
            return Ok(Exit::Refused);
        }
        found => found?,
    };
    output.result(&found, table)?;
    let refused = |arm: &ArmReport| matches!(arm.off_policy, OffPolicyReport::Refused { .. });
    if arguments.policy.is_some() && found.arms.iter().any(refused) {
        output.note("refused: the drawn answers of an arm are too few for an estimate of the policy");
        return Ok(Exit::Refused);
    }
    Ok(Exit::Success)
}

fn policy(arguments: &Arguments) -> anyhow::Result<ListPolicy> {
    let temperature = match arguments.policy.as_deref() {
        None | Some("ranked") => return Ok(ListPolicy::Ranked),
        Some("even") => f32::INFINITY,
        Some(text) => text
            .parse()
            .map_err(|_| anyhow::anyhow!("--policy is ranked, even or a temperature such as 1.5, not {text:?}"))?,
    };
    let exploration = Exploration { places: arguments.places, among: arguments.among, temperature };
    exploration.validate()?;
    Ok(ListPolicy::Drawn(exploration))
}

fn table(report: &ExperimentReport) -> String {
    let share = |value: f64| format!("{value:.4}");
    let between = |Interval(low, high): Interval| format!("{low:.4}..{high:.4}");
    let header =
        ["arm", "shoppers", "answers", "clicked", "carts", "purchases", "rate", "95 %", "closed", "at any time"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(report.arms.iter().map(|arm| {
        let rate = arm.click_through;
        vec![
            arm.arm.clone(),
            count(arm.shoppers),
            count(arm.answers),
            count(arm.clicked),
            count(arm.carts),
            count(arm.purchases),
            rate.map_or("".into(), |rate| share(rate.value)),
            rate.map_or("".into(), |rate| between(rate.ci95)),
            count(arm.closed),
            between(arm.anytime95),
        ]
    }));
    let mut text = columns(&rows);
    for difference in &report.differences {
        let value = difference.value.map_or("unknown".into(), |value| format!("{value:+.4}"));
        let (arm, from, at_any_time) = (&difference.arm, &difference.from, between(difference.anytime95));
        text += &format!("{arm} - {from}: {value} ({at_any_time} at any time, per shopper)\n");
    }
    for arm in &report.arms {
        let said = match &arm.off_policy {
            OffPolicyReport::Estimated(found) => {
                let (dr, effective) = (found.dr, found.n_effective);
                format!(
                    "{} clicks an answer ({}), from {effective:.0} effective answers",
                    share(dr.value),
                    between(dr.ci95)
                )
            }
            OffPolicyReport::Refused { refused, .. } => refused.clone(),
        };
        text += &format!("{} under the policy: {said}\n", arm.arm);
    }
    match report.split_p_value {
        Some(p) if p < 0.01 => {
            text + &format!("the split is not the declared one (p = {p:.1e}): find the fault first\n")
        }
        Some(p) => text + &format!("the split is as declared (p = {p:.2})\n"),
        None => text,
    }
}
