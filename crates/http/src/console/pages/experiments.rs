//! Experiments: the arms that shoppers are divided into, and how well each arm's models predict.

use std::sync::Arc;

use accrue_engine::DrawStatus;
use accrue_engine::traffic::{ArmLearning, ArmSettings, ExperimentSettings};
use accrue_train::ArmQuality;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{count, difference, percent, ratio};
use super::super::part::{Figure, badge, empty, figure, heading, said};
use super::super::texts::Texts;
use super::super::view::View;
use crate::server::Server;

const PATH: &str = "/console/experiments";
const QUALITY: &str = "/v1/quality";

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

async fn page(view: View) -> Response {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let (serve, status) = (&engine.config().serve, engine.status());
    let explore = &serve.explore;
    let body = html! {
        p .lead { (texts.experiments_lead) }
        @match &serve.experiment {
            None => section .card { (empty(texts.no_experiment, texts.no_experiment_hint)) },
            Some(experiment) => section .card {
                (heading(&experiment.name, Some(QUALITY)))
                (about(texts, experiment))
                (arms(texts, &experiment.arms, &status.arms, &status.quality.arms))
                p .soft { (texts.experiment_note) " " code { "accrue experiment " (said(&experiment.name)) } }
            },
        }
        section .card {
            (heading(texts.by_chance, None))
            p { (texts.by_chance_note) }
            dl .figures.small {
                (plain(texts.drawn_share, percent(explore.share)))
                (plain(texts.recorded_share, percent(serve.record.share())))
                (plain(texts.good_share, percent(serve.good_share)))
                @if let Some(draws) = &status.draws { (cost(texts, draws)) }
            }
            @if status.draws.is_some_and(|draws| draws.is_spent) { p .soft { (texts.draws_ended) } }
        }
    };
    view.page(PATH, texts.experiments, body)
}

fn plain(label: &str, value: String) -> Markup {
    figure(Figure { label, value, unit: "", api: "", field: "", form: "", note: Markup::default() })
}

/// What draws cost in the current window, and how much they may.
fn cost(texts: &Texts, draws: &DrawStatus) -> Markup {
    html! {
        (plain(texts.draws_made, count(draws.drawn.answers)))
        (plain(texts.draws_cost, format!("{:.0}", draws.cost.estimate)))
        (plain(texts.draws_at_most, format!("{:.0}", draws.cost.at_most)))
        @if let Some(budget) = draws.budget { (plain(texts.draws_budget, format!("{budget:.0}"))) }
    }
}

fn about(texts: &Texts, experiment: &ExperimentSettings) -> Markup {
    let learning = match experiment.learning {
        ArmLearning::Shared => texts.learning_shared,
        ArmLearning::OwnArm => texts.learning_own,
    };
    html! { p { (badge("accent", texts.runs)) " " (learning) } }
}

fn arms(texts: &Texts, arms: &[ArmSettings], names: &[String], quality: &[ArmQuality]) -> Markup {
    let of = |name: &str| names.iter().position(|known| known == name).and_then(|place| quality.get(place));
    html! {
        div .scroll {
            table {
                thead {
                    tr {
                        th { (texts.arm) } th .number { (texts.share) } th { (texts.treatment) } th .number { (texts.choices) }
                        th .number { (texts.ndcg_own) } th .number { (texts.ndcg_shared) } th .number { (texts.difference) }
                    }
                }
                tbody {
                    @for arm in arms {
                        @let quality = of(&arm.name);
                        tr {
                            td { b { (said(&arm.name)) } }
                            td .number { (percent(arm.share)) }
                            td { (treatment(texts, arm)) }
                            @match quality {
                                Some(quality) => {
                                    td .number { (count(quality.n_choices)) }
                                    td .number { (ratio(quality.own.ndcg())) }
                                    td .number { (ratio(quality.shared.ndcg())) }
                                    td .number { (difference(quality.own.ndcg() - quality.shared.ndcg())) }
                                },
                                None => { td .number { "–" } td .number { "–" } td .number { "–" } td .number { "–" } },
                            }
                        }
                    }
                }
            }
        }
    }
}

fn treatment(texts: &Texts, arm: &ArmSettings) -> Markup {
    let settings = [
        arm.part.map(|part| format!("part = {}", part.name())),
        arm.diversity.map(|diversity| format!("diversity = {diversity}")),
        arm.explore.map(|explore| format!("explore = {explore}")),
    ];
    let settings: Vec<String> = settings.into_iter().flatten().collect();
    html! {
        @if settings.is_empty() { span .soft { (texts.as_the_server) } }
        @else { code { (settings.join(", ")) } }
    }
}
