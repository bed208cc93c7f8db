//! Draws of first places that a budget limits, in a shop whose pages ask with a published key.

use accrue_engine::Config;
use serde_json::{Value, json};

use crate::new_products::{OWN_KEY, WEB_KEY, shop_with_keys, with};
use crate::shop::Shop;

const AT_MS: u64 = 1_760_024_000_000;

fn shop_that_draws(budget: Option<f64>) -> Shop {
    let mut config = Config::default();
    config.serve.new_products.share = 0.0;
    config.serve.explore.share = 0.5;
    config.serve.explore.budget = budget;
    shop_with_keys(&config)
}

/// Asks for 60 pages with a key, and clicks each item of them with it.
fn pages(shop: &Shop, key: &str, visitor: &Value) {
    for number in 0..60 {
        let mut body = json!({"n": 5});
        body.as_object_mut().unwrap().extend(visitor.as_object().unwrap().clone());
        let page = with(shop, key, "POST", "/v1/recommend", &body).json();
        // Answers are recorded with the next events.
        let view = json!({"type": "view", "user": "u1", "item": "i1", "at": AT_MS});
        assert_eq!(with(shop, OWN_KEY, "POST", "/v1/events", &view).status, 200);
        let click = |place: usize| {
            json!({"id": format!("{key}-{number}-{place}"), "type": "click", "session": "g1", "at": AT_MS,
                "item": page["items"][place]["id"], "recommendation_id": page["recommendation_id"], "position": place})
        };
        let clicks: Vec<Value> = (0..5).map(click).collect();
        with(shop, key, "POST", "/v1/events", &json!(clicks));
    }
}

/// Answers of each kind, drawn and other, and the clicks on them.
fn account(shop: &Shop) -> [[u64; 2]; 2] {
    let draws = shop.engine.with_shop(|shop| shop.facts.draws.days().copied().collect::<Vec<_>>());
    draws.iter().fold([[0; 2]; 2], |[drawn, others], day| {
        let add = |[answers, clicks]: [u64; 2], of: accrue_store::Clicked| [answers + of.answers, clicks + of.clicks];
        [add(drawn, day.drawn), add(others, day.others)]
    })
}

#[test]
fn pages_asked_for_with_a_published_key_neither_end_draws_nor_hide_what_they_cost() {
    let shop = shop_that_draws(Some(1_000.0));
    pages(&shop, OWN_KEY, &json!({"user": "u2"}));
    let before = account(&shop);
    assert!(before.iter().all(|[answers, clicks]| *answers > 10 && *clicks > 0), "{before:?}");
    pages(&shop, WEB_KEY, &json!({"session": "g1"}));
    assert_eq!(account(&shop), before, "anyone can ask for such a page and click on it");
}

#[test]
fn answers_to_a_published_key_are_drawn_only_where_no_budget_limits_what_that_costs() {
    for (budget, are_drawn) in [(Some(1_000.0), false), (None, true)] {
        let shop = shop_that_draws(budget);
        let page = |_: &usize| {
            let body = json!({"session": "g1", "n": 5});
            let page = with(&shop, WEB_KEY, "POST", "/v1/recommend", &body).json();
            page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()).collect::<Vec<_>>()
        };
        let different: std::collections::BTreeSet<Vec<String>> = (0..30).map(|number| page(&number)).collect();
        assert_eq!(different.len() > 1, are_drawn, "{budget:?}: {different:?}");
    }
}
