//! The console at `/console`: what the shop does, for people, in a browser.
//!
//! In: the same requests, keys and limits as the rest of the interface. Out: pages of HTML that load nothing from
//! elsewhere. A page is a file in `pages/` and a line in [`PAGES`]; its texts are in `texts/`, one table per language.
//! Text of the shop and of its shoppers reaches a page only as a value of a template, which escapes it.
//!
//! Pages have no figures of their own: each figure links to the request that gives it, and `assets/console.js` updates
//! figures and charts by that request. No page does an amount of work that grows with the shop without a bound.

mod address;
mod assets;
mod form;
mod format;
mod forwarded;
mod icons;
mod layout;
mod login;
mod look;
mod pages;
mod part;
mod refusal;
mod session;
mod texts;
mod view;

use axum::routing::{MethodRouter, get};

use super::access::Access;
use super::registry::Registry;
use super::server::Server;
use super::settings::Scope;
use std::sync::Arc;

pub(super) use address::is_of_console;
use address::{ITEM, LOGIN, LOGOUT, ROOT};
pub(super) use look::Look;
pub(super) use refusal::refusal;
pub(super) use session::Sessions;
use texts::Texts;

/// A page of the console.
struct Page {
    path: &'static str,
    /// Its name in the menu.
    name: fn(&Texts) -> &'static str,
    /// The sign beside the name: the path of a 24 by 24 icon.
    icon: &'static str,
    /// What a key needs to see it.
    sees: Scope,
    /// What a key needs for its forms.
    acts: Scope,
    /// Whether it computes pages or searches, which wait for their turn.
    computes: bool,
    routes: fn() -> MethodRouter<Arc<Server>>,
}

impl Page {
    const fn new(
        path: &'static str,
        name: fn(&Texts) -> &'static str,
        [sees, acts]: [Scope; 2],
        icon: &'static str,
        routes: fn() -> MethodRouter<Arc<Server>>,
    ) -> Self {
        Self { path, name, icon, sees, acts, computes: false, routes }
    }

    const fn computing(self) -> Self {
        Self { computes: true, ..self }
    }
}

const LOOK: [Scope; 2] = [Scope::Read, Scope::Admin];
const EDIT: [Scope; 2] = [Scope::Read, Scope::Write];
const OPERATE: [Scope; 2] = [Scope::Admin, Scope::Admin];

/// All pages, in the order of the menu: what a key needs to see each and to act on it is what the calls behind it need.
static PAGES: &[Page] = &[
    Page::new(ROOT, |texts| texts.overview, LOOK, icons::OVERVIEW, pages::overview::routes),
    Page::new("/console/quality", |texts| texts.quality, LOOK, icons::QUALITY, pages::quality::routes),
    Page::new("/console/playground", |texts| texts.playground, LOOK, icons::PLAYGROUND, pages::playground::routes)
        .computing(),
    Page::new("/console/catalogue", |texts| texts.catalogue, LOOK, icons::CATALOGUE, pages::catalogue::routes)
        .computing(),
    Page::new("/console/searches", |texts| texts.searches, EDIT, icons::SEARCHES, pages::searches::routes),
    Page::new("/console/rules", |texts| texts.rules, EDIT, icons::RULES, pages::rules::routes),
    Page::new("/console/campaigns", |texts| texts.campaigns, EDIT, icons::CAMPAIGNS, pages::campaigns::routes),
    Page::new("/console/experiments", |texts| texts.experiments, LOOK, icons::EXPERIMENTS, pages::experiments::routes),
    Page::new("/console/what-if", |texts| texts.what_if, OPERATE, icons::WHAT_IF, pages::what_if::routes),
    Page::new("/console/quarantine", |texts| texts.quarantine, OPERATE, icons::QUARANTINE, pages::quarantine::routes),
    Page::new("/console/people", |texts| texts.people, OPERATE, icons::PEOPLE, pages::people::routes),
    Page::new("/console/settings", |texts| texts.settings, OPERATE, icons::SETTINGS, pages::settings::routes),
];

/// Adds the console's routes. They are no part of the interface's description.
pub(super) fn register(registry: Registry) -> Registry {
    let registry = PAGES.iter().fold(registry, |registry, page| {
        let (sees, acts) = (Access::Needs(page.sees), Access::Needs(page.acts));
        registry.console(page.path, sees, acts, page.computes, (page.routes)())
    });
    let (item, read) = (ITEM, Access::Needs(Scope::Read));
    registry
        .console(item, read, read, true, pages::item::routes())
        .console(LOGIN, Access::Open, Access::Open, false, get(login::page).post(login::enter))
        .console(LOGOUT, Access::Open, Access::Open, false, get(login::page).post(login::leave))
        .console("/console/look", Access::Open, Access::Open, false, get(look::choose))
        .console("/console/assets/{name}", Access::Open, Access::Open, false, get(assets::asset))
}
