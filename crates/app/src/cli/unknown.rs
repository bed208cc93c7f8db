//! What a command says where an item, a shopper or a scene is not known, with what was probably meant.

use accrue_serve::Shop;
use accrue_store::Facts;

use super::problem::Problem;

pub(super) fn unknown_item(facts: &Facts, id: &str) -> Problem {
    let known = facts.items.names().find(|known| is_alike(known, id));
    unknown("item", id, known, "`accrue export catalogue` lists items")
}

pub(super) fn unknown_user(facts: &Facts, id: &str) -> Problem {
    let known = facts.user_names().find(|known| is_alike(known, id));
    unknown(
        "user",
        id,
        known,
        "`accrue export recommendations` has a line for each user; guests have a session and no id",
    )
}

/// A scene that is not there, with those that are.
pub(super) fn unknown_scene(shop: &Shop<'_>, scene: &str) -> Problem {
    let names: Vec<&str> = shop.scenes.names().collect();
    let hint = match shop.scenes.near(scene) {
        Some(near) => format!("did you mean `{near}`? There are {}", names.join(", ")),
        None => format!("there are {}", names.join(", ")),
    };
    Problem::new(format!("there is no scene {scene:?}"), hint)
}

/// Whether two ids differ in capitals and blanks alone.
fn is_alike(known: &str, id: &str) -> bool {
    known.trim().to_lowercase() == id.trim().to_lowercase()
}

fn unknown(what: &str, id: &str, known: Option<&str>, otherwise: &str) -> Problem {
    let hint = match known {
        Some(known) => format!("did you mean {known:?}? Ids are exact, capitals included"),
        None => format!("ids are exact, capitals included; {otherwise}"),
    };
    Problem::new(format!("{what} {id:?} is unknown"), hint)
}
