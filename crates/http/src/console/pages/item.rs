//! One item: its fields, how it sells, who chose it lately, what is chosen together with it.

use std::sync::Arc;

use accrue_engine::Engine;
use accrue_event::{Item, ItemId};
use accrue_serve::{Degraded, IncompleteItems, ListRequest, Recommendation, Shop};
use accrue_store::ItemIdx;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{clipped, count, filled, percent, price, time};
use super::super::part::{empty, heading, item, said};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use super::catalogue::{Row, row, table};
use crate::problem::{Code, Problem};
use crate::server::Server;

/// Items that are listed beside it.
const N_SIMILAR: usize = 12;
/// Variants that are listed.
const N_VARIANTS: usize = 30;
/// Shoppers whose histories are looked at, the latest.
const N_SHOPPERS: u32 = 5_000;
/// Shoppers who are named.
const N_NAMED: usize = 10;
/// Characters of a long text.
const MAX_CHARS: usize = 2_000;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

/// What is shown of an item.
struct Shown {
    item: Item,
    row: Row,
    /// Its sales compared with those of the best seller.
    standing: f32,
    variants: Vec<Row>,
    parent: Option<(String, Option<String>)>,
    choosers: Choosers,
    similar: Recommendation,
    similar_rows: Vec<(Row, f32)>,
}

/// Who chose an item, among the latest shoppers.
#[derive(Default)]
struct Choosers {
    looked_at: u32,
    by_type: Vec<(String, u64)>,
    named: Vec<String>,
}

async fn page(view: View) -> Result<Response, Problem> {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let id = view.param("id").unwrap_or_default();
    let shown = look_up(engine, id)?;
    let title = shown.row.title.clone().unwrap_or_else(|| id.to_owned());
    let similar = format!("/v1/items/{}/similar?n={N_SIMILAR}&fields=title,price", encoded(id));
    let body = html! {
        p { a href="/console/catalogue" { "← " (texts.catalogue) } }
        p { (shown.row.state.badge(texts)) }
        div .columns {
            section .card {
                (heading(texts.description, Some(&format!("/v1/items/{}", encoded(id)))))
                (fields(texts, &shown.item))
                @if let Some((id, title)) = &shown.parent { p { (texts.variant_of) " " (item(id, title.as_deref())) } }
            }
            section .card {
                (heading(texts.who_chose_it, None))
                p {
                    (filled(texts.sells, &[&format!("{:.1}", shown.row.weekly), &percent(shown.standing.into())]))
                }
                (choosers(texts, &shown.choosers))
            }
        }
        section .card {
            (heading(texts.chosen_together, Some(&similar)))
            @if shown.similar_rows.is_empty() { (empty(texts.no_similar, texts.no_similar_hint)) }
            @else { (neighbours(texts, &shown)) }
        }
        @if !shown.variants.is_empty() {
            section .card { (heading(texts.variants, None)) (table(texts, &shown.variants)) }
        }
    };
    Ok(view.page("/console/catalogue", &clipped(&title, 100), body))
}

fn look_up(engine: &Engine, id: &str) -> Result<Shown, Problem> {
    let shown = engine.with_shop(|shop| {
        let idx = shop.facts.items.get(id)?;
        let list = ListRequest { n: N_SIMILAR, incomplete: Some(IncompleteItems::Show), ..Default::default() };
        let similar = shop.similar(idx, &list);
        let similar_rows = similar
            .items
            .iter()
            .filter_map(|other| Some((row(&shop, shop.facts.items.get(other.id.as_str())?)?, other.score)));
        Some(Shown {
            item: shop.facts.described(idx)?.to_item(),
            row: row(&shop, idx)?,
            standing: shop.version.ensemble.popularity().standing(idx),
            variants: variants(&shop, idx),
            parent: parent(&shop, idx),
            choosers: who_chose(&shop, idx),
            similar_rows: similar_rows.collect(),
            similar,
        })
    });
    let unknown = || Problem::new(Code::ItemNotFound, format!("no item has the id {:?}", ItemId::from(id).as_str()));
    shown.ok_or_else(unknown)
}

fn variants(shop: &Shop<'_>, idx: ItemIdx) -> Vec<Row> {
    let Some(product) = shop.facts.products.of(idx) else { return Vec::new() };
    let others = shop.facts.products.variants(product).iter().filter(|&&other| other != idx);
    others.take(N_VARIANTS).filter_map(|&other| row(shop, other)).collect()
}

fn parent(shop: &Shop<'_>, idx: ItemIdx) -> Option<(String, Option<String>)> {
    let parent = shop.facts.products.parent(shop.facts.products.of(idx)?).filter(|&parent| parent != idx)?;
    let described = shop.facts.described(parent)?;
    Some((described.own().id.to_string(), described.title().map(str::to_owned)))
}

/// Looks at the histories of the latest shoppers, of whom a history has a bounded length.
fn who_chose(shop: &Shop<'_>, idx: ItemIdx) -> Choosers {
    let facts = shop.facts;
    let n_shoppers = facts.shoppers.len() as u32;
    let mut found = Choosers { looked_at: n_shoppers.min(N_SHOPPERS), ..Default::default() };
    let mut by_type = [0_u64; 256];
    for shopper in (n_shoppers.saturating_sub(N_SHOPPERS)..n_shoppers).rev() {
        let mut types: Vec<u8> = Vec::new();
        for event in facts.histories.get(shopper).past() {
            if event.item == idx && !types.contains(&event.type_code) {
                types.push(event.type_code);
            }
        }
        types.iter().for_each(|&code| by_type[usize::from(code)] += 1);
        if !types.is_empty() && found.named.len() < N_NAMED {
            let user = facts.shoppers.name(shopper).and_then(|name| name.strip_prefix('u'));
            found.named.extend(user.map(str::to_owned));
        }
    }
    let named = |code: u8| facts.type_of(code).map_or_else(|| code.to_string(), |kind| kind.name().to_owned());
    let counted = (0..=u8::MAX).filter(|&code| by_type[usize::from(code)] > 0);
    found.by_type = counted.map(|code| (named(code), by_type[usize::from(code)])).collect();
    found.by_type.sort_by_key(|entry| std::cmp::Reverse(entry.1));
    found
}

fn fields(texts: &Texts, item: &Item) -> Markup {
    let list = |texts: &[Box<str>]| texts.join(", ");
    let long = |text: &str| clipped(text, MAX_CHARS);
    let of = |text: &Option<Box<str>>| text.as_deref().map(long).unwrap_or_default();
    let price = item.price.map(|of_item| price(of_item, item.currency.as_deref()));
    let lines: [(&str, String); 9] = [
        ("id", item.id.to_string()),
        ("title", of(&item.title)),
        ("description", of(&item.description)),
        ("brand", of(&item.brand)),
        ("categories", long(&list(&item.categories))),
        ("tags", long(&list(&item.tags))),
        ("price", price.unwrap_or_default()),
        ("stock", item.stock.map(|stock| count(stock.into())).unwrap_or_default()),
        ("image", of(&item.image)),
    ];
    html! {
        table .plain .fields {
            tbody {
                @for (name, value) in &lines {
                    tr {
                        th { code { (name) } }
                        td { @if value.is_empty() { span .soft { (texts.not_given) } } @else { bdi dir="auto" { (value) } } }
                    }
                }
                @if let Some(at) = item.published_at { tr { th { code { "published_at" } } td { (time(at)) } } }
                @for (name, value) in item.attributes.iter().take(50) {
                    tr { th { code { "attributes." (said(name)) } } td { bdi dir="auto" { (long(&plain(value))) } } }
                }
            }
        }
    }
}

/// A value as JSON, a text without its quotes.
fn plain(value: &accrue_event::Attribute) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn choosers(texts: &Texts, choosers: &Choosers) -> Markup {
    html! {
        @if choosers.by_type.is_empty() {
            (empty(texts.nobody_lately, &filled(texts.among_latest, &[&count(choosers.looked_at.into())])))
        } @else {
            table .plain {
                tbody {
                    @for (kind, n) in &choosers.by_type {
                        tr {
                            th { (said(kind)) }
                            td .number { (count(*n)) }
                            td .number .soft { (percent(*n as f64 / f64::from(choosers.looked_at.max(1)))) }
                        }
                    }
                }
            }
            p .soft { (filled(texts.among_latest, &[&count(choosers.looked_at.into())])) }
            @if !choosers.named.is_empty() {
                ul .chips {
                    @for user in &choosers.named {
                        li { a href={ "/console/playground?user=" (encoded(user)) } { (said(user)) } }
                    }
                }
            }
        }
    }
}

fn neighbours(texts: &Texts, shown: &Shown) -> Markup {
    html! {
        @if shown.similar.degraded.contains(&Degraded::NoNeighbours.name()) { p .soft { (texts.only_alike) } }
        ul .tiles {
            @for (row, score) in &shown.similar_rows {
                li {
                    (item(&row.id, row.title.as_deref()))
                    span .soft { (row.price.as_deref().unwrap_or("–")) " · " (format!("{score:.3}")) }
                }
            }
        }
    }
}
