//! `accrue inspect why USER ITEM`: why an item stands where it does for a shopper, with the page without each cited event.

use accrue_event::{ItemId, Shopper, UserId};
use accrue_serve::{Reason, RecommendRequest, Sibling, Visitor, Why};
use serde::Serialize;

use super::Context;
use super::output::columns;
use super::problem::Problem;
use super::unknown::{unknown_item, unknown_scene, unknown_user};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shopper's id
    #[arg(value_parser = super::id_as_in_records)]
    user: String,
    /// The item's id
    #[arg(value_parser = super::id_as_in_records)]
    item: String,
    /// The kind of page
    #[arg(long, value_name = "NAME")]
    scene: Option<String>,
    /// Items of a page: reasons cite what the whole page has in common with the past
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    n: u16,
}

#[derive(Debug, Serialize)]
struct Answer {
    user: String,
    item: String,
    #[serde(flatten)]
    why: Why,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> anyhow::Result<()> {
    let Context { config, output } = context;
    let Arguments { user, item, scene, n } = arguments;
    let (id, wanted) = (UserId::from(&*user), ItemId::from(&*item));
    let why = accrue_engine::at_rest(&config.data, &config.engine, |shop| {
        if shop.facts.shopper(&Shopper::User(id.clone())).is_none() {
            return Err(unknown_user(shop.facts, &user));
        }
        if shop.facts.find(&wanted).is_none() {
            return Err(unknown_item(shop.facts, &item));
        }
        if let Some(scene) = scene.as_deref().filter(|scene| !shop.scenes.has(scene)) {
            return Err(unknown_scene(&shop, scene));
        }
        let visitor = Visitor { user: Some(id), session: None };
        let request =
            RecommendRequest { visitor, scene: scene.map(Into::into), n: n.into(), ..RecommendRequest::default() };
        shop.why(&request, &wanted).ok_or_else(|| match shop.shown_sibling(&request, &wanted) {
            Some(shown) => Problem::new(
                format!("the page of {user:?} does not show {item:?}: {}", told(&shown)),
                "a product has one place on a page; ask for the sibling",
            ),
            None => Problem::new(
                format!("the page of {user:?} may not show {item:?}"),
                "it is sold out, retired, not published yet, hidden by a rule, disliked, or not in this scene; \
                 `accrue inspect item` shows it",
            ),
        })
    })??;
    output.result(&Answer { user, item, why }, table)
}

/// Which variant stands in the place of another.
fn told(Sibling { item, title, place }: &Sibling) -> String {
    let title = title.as_deref().map(|title| format!(" ({title})")).unwrap_or_default();
    format!("its sibling {item}{title} is shown at place {}", place + 1)
}

fn table(Answer { why, .. }: &Answer) -> String {
    let place = |place: Option<usize>| place.map_or("beyond 1000".to_owned(), |place| (place + 1).to_string());
    let mut text = match &why.sibling {
        // A product has one place on a page.
        Some(sibling) => format!("not shown: {}; score {:.4}\n", told(sibling), why.score),
        None => format!("place {}, score {:.4}\n", place(why.place), why.score),
    };
    let share = |reason: &Reason| vec![format!("{:+.4}", reason.share), reason.code.to_owned(), reason.text.clone()];
    text += &columns(&why.reasons.iter().map(share).collect::<Vec<_>>());
    if !why.is_whole {
        text += "the shares do not sum to the score\n";
    }
    for without in &why.without {
        let item = without.item.as_ref().map_or("an item", |item| item.as_str());
        let found = match without.score {
            Some(score) => format!("place {}, score {score:.4}", place(without.place)),
            None => "not on the page".to_owned(),
        };
        text += &format!(
            "without the {} of {item} at {}: {found}; {}\n",
            without.event.event_type,
            without.event.at,
            if without.is_confirmed { "the share is confirmed" } else { "this is not the share that the reason has" },
        );
    }
    text
}
