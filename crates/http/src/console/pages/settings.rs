//! Settings: what holds, and where it comes from. They are changed in the file, by variables or by flags.

use std::sync::Arc;

use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{clipped, count, filled};
use super::super::part::{badge, empty, said};
use super::super::view::View;
use crate::server::Server;
use crate::site::ShownSetting;

const PATH: &str = "/console/settings";
/// Settings on the page; there are some hundreds.
const N: usize = 1_000;
/// Characters of a value.
const MAX_CHARS: usize = 200;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

async fn page(view: View) -> Response {
    let (texts, all) = (view.texts(), &view.server.site.settings);
    let sought = view.param("q").map(str::to_lowercase);
    let only_changed = view.param("changed").is_some();
    let is_shown = |setting: &&ShownSetting| {
        (!only_changed || !setting.is_default)
            && sought.as_ref().is_none_or(|sought| setting.key.to_lowercase().contains(sought))
    };
    let shown: Vec<&ShownSetting> = all.iter().filter(is_shown).take(N).collect();
    let n_changed = all.iter().filter(|setting| !setting.is_default).count();
    let body = html! {
        p .lead { (texts.settings_lead) " " a href="/console/what-if" { (texts.what_if_of_scenes) } }
        form .card .row method="get" action=(PATH) role="search" {
            label .wide { (texts.find_setting) input type="search" name="q" value=[view.param("q")] placeholder="learn." data-search; }
            label .check { input type="checkbox" name="changed" value="1" checked[only_changed]; (texts.only_changed) }
            button .primary { (texts.search) }
        }
        section .card {
            p .soft { (filled(texts.n_settings, &[&count(shown.len() as u64), &count(all.len() as u64), &count(n_changed as u64)])) }
            @if shown.is_empty() { (empty(texts.no_settings, texts.no_settings_hint)) } @else { (table(&view, &shown)) }
        }
    };
    view.page(PATH, texts.settings, body)
}

fn table(view: &View, settings: &[&ShownSetting]) -> Markup {
    let texts = view.texts();
    html! {
        div .scroll {
            table {
                thead { tr { th { (texts.setting) } th { (texts.value) } th { (texts.origin) } } }
                tbody {
                    @for setting in settings {
                        tr {
                            td { code { (setting.key) } }
                            td { code { (clipped(&setting.value, MAX_CHARS)) } }
                            td {
                                @if setting.is_default { span .soft { (texts.default_value) } }
                                @else { (badge("accent", texts.set)) " " (said(&setting.origin)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
