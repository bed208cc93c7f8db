//! Value: the best candidates in the order of what showing them is expected to be worth, on scenes that say so.
//!
//! ```text
//! value(i) = w_click · P(click) + w_cart · P(cart) + w_purchase · P(purchase) · price(i)      price where it counts
//! score(i) = ln value(i) + c
//! ```
//!
//! The probabilities are those of the click heads for this page, each item taken as if it stood first. Only the first
//! [`AMONG`] candidates of the first tier are ordered by value. Scores stay logarithms, so that a boost by a factor
//! multiplies the value; the constant `c` puts the lowest of them where the lowest was, above all that follow. Each
//! action adds a share of its own: the part of the change that it is of the value.
//!
//! An item without a price is taken to cost the median of the others; what is negative counts as 0. Before the
//! heads have learned enough, the order is that of the scores.

use std::borrow::Cow;

use accrue_event::Attribute;
use accrue_kernel::ln;
use accrue_model::ranker::{ClickHeads, HEADS, N_HEADS};
use accrue_store::ItemIdx;

use super::work::Stage;
use super::{Candidate, Share, Situation};
use crate::predict::has_learned_enough;
use crate::scene::{PriceBy, Value};
use crate::{Degraded, ReasonCode};

/// Candidates that are ordered by value.
const AMONG: usize = 300;
/// The least value, as a part of the largest: a logarithm needs one above 0.
const LEAST: f64 = 1e-6;

/// The candidates of the first tier, given best first, with the best of them in the order of their value.
pub(super) fn by_value(
    situation: &Situation<'_>,
    value: &Value,
    ranked: impl Iterator<Item = Candidate>,
) -> Vec<Candidate> {
    let mut ranked: Vec<Candidate> = ranked.collect();
    match situation.shop.version.clicks.as_ref().filter(|heads| heads.n_learned() > 0) {
        None => situation.work.fall_back(Stage::Rank, Degraded::NoImpressions),
        Some(heads) if !has_learned_enough(heads) => situation.work.fall_back(Stage::Rank, Degraded::FewImpressions),
        Some(heads) => {
            let n = ranked.len().min(AMONG);
            order(situation, heads, value, &mut ranked[..n]);
        }
    }
    ranked
}

/// Orders candidates, given best first, by their value.
fn order(situation: &Situation<'_>, heads: &ClickHeads, value: &Value, ranked: &mut [Candidate]) {
    let Some(lowest) = ranked.last().map(|candidate| candidate.score) else { return };
    let items: Vec<ItemIdx> = ranked.iter().map(|candidate| candidate.item).collect();
    let Situation { shop, context, prepared, .. } = situation;
    let foreseen = shop.foresee(heads, context, prepared, &items, |_| Some(0));
    let prices = value.price.as_ref().map(|by| prices(situation, by, &items));
    let worth: Vec<Worth> = (0..items.len())
        .map(|place| Worth::of(value, foreseen[place], prices.as_ref().map(|prices| prices[place])))
        .collect();
    let most = worth.iter().map(Worth::sum).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let logs: Vec<f32> = worth.iter().map(|worth| ln(worth.sum().max(LEAST * most) as f32)).collect();
    let shift = lowest - logs.iter().copied().fold(f32::INFINITY, f32::min);
    for ((candidate, worth), log) in ranked.iter_mut().zip(&worth).zip(&logs) {
        // The next candidates stand at most as high as the lowest did, also after rounding.
        let score = (log + shift).max(lowest);
        // Texts for 300 candidates take longer than their order.
        if situation.request.explain {
            candidate.shares.extend(worth.shares(score - candidate.score));
        }
        candidate.score = score;
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
}

/// What one candidate is worth.
struct Worth {
    /// By a click, a cart, a purchase.
    parts: [f64; N_HEADS],
    probabilities: [f32; N_HEADS],
    weights: [f32; N_HEADS],
    price: Option<f64>,
}

impl Worth {
    fn of(value: &Value, probabilities: [f32; N_HEADS], price: Option<f64>) -> Self {
        let weights = value.weights;
        let mut parts: [f64; N_HEADS] =
            std::array::from_fn(|head| f64::from(weights[head]) * f64::from(probabilities[head]));
        parts[N_HEADS - 1] *= price.unwrap_or(1.0);
        Self { parts, probabilities, weights, price }
    }

    fn sum(&self) -> f64 {
        self.parts.iter().sum()
    }

    /// A share for each action that counts. Together they add `added` to the score.
    fn shares(&self, added: f32) -> impl Iterator<Item = Share> + '_ {
        let sum = self.sum();
        let counts = move |head: &usize| self.weights[*head] > 0.0;
        let n = (0..N_HEADS).filter(counts).count();
        let share = move |head: usize| {
            let part = if sum > 0.0 { (self.parts[head] / sum) as f32 } else { 1.0 / n as f32 };
            let (name, probability, weight) = (HEADS[head], self.probabilities[head], self.weights[head]);
            let mut text = format!("{name}: probability {probability:.4} × worth {weight}");
            if let Some(price) = self.price.filter(|_| head + 1 == N_HEADS) {
                text.push_str(&format!(" × {price:.2}"));
            }
            Share { code: ReasonCode::Value, text: Cow::Owned(text), added: part * added }
        };
        (0..N_HEADS).filter(counts).map(share)
    }
}

/// What the purchase of each item is multiplied by.
fn prices(situation: &Situation<'_>, by: &PriceBy, items: &[ItemIdx]) -> Vec<f64> {
    let prices: Vec<Option<f64>> = items.iter().map(|&item| price(situation, by, item)).collect();
    let mut known: Vec<f64> = prices.iter().filter_map(|&price| price).collect();
    if known.is_empty() {
        situation.work.fall_back(Stage::Rank, Degraded::NoPrices);
        return vec![1.0; items.len()];
    }
    // The median, because one price with a typing error would move the mean above all others.
    known.sort_unstable_by(f64::total_cmp);
    let usual = known[known.len() / 2];
    prices.into_iter().map(|price| price.unwrap_or(usual)).collect()
}

/// The price of an item, or its attribute.
fn price(situation: &Situation<'_>, by: &PriceBy, item: ItemIdx) -> Option<f64> {
    let described = situation.shop.facts.described(item)?;
    let number = match by {
        PriceBy::Price => described.own().price?.to_f64(),
        PriceBy::Attribute(name) => match described.attribute(name)? {
            Attribute::Number(number) => *number,
            _ => return None,
        },
    };
    // A sum over 300 of them stays finite.
    number.is_finite().then_some(number.clamp(0.0, 1e12))
}

#[cfg(test)]
mod tests {
    use accrue_model::ranker::Followed;

    use crate::fixture::{Fixture, Size, item_name};
    use crate::scene::SceneSettings;
    use crate::{Grouping, RecommendRequest, Recommendation, Scenes};

    const N_ITEMS: u32 = 60;

    /// A shop in which a third of the impressions of item 7 lead to a click and a tenth of those of item 40 to a
    /// purchase, and hardly any of the others to anything.
    fn shop(n_impressions: u64) -> Fixture {
        let mut shop = Fixture::new(Size { n_items: u64::from(N_ITEMS), n_unmet: 0, n_events: 200, ..Size::default() });
        shop.learn_clicks(n_impressions, N_ITEMS, |item, turn| match item {
            7 if turn % 3 == 0 => Followed::CLICK,
            40 if turn % 10 == 0 => Followed::PURCHASE,
            other if (turn + u64::from(other)) % 200 == 0 => Followed::CLICK,
            _ => Followed::NOTHING,
        });
        shop
    }

    fn page(shop: &Fixture, value: Option<&str>) -> Recommendation {
        let settings =
            value.map(|value| serde_json::from_str::<SceneSettings>(&format!(r#"{{"value":{value}}}"#)).unwrap());
        let scenes = Scenes::read(&settings.into_iter().map(|settings| ("shelf".into(), settings)).collect()).unwrap();
        let request = RecommendRequest {
            scene: Some("shelf".into()),
            n: N_ITEMS as usize,
            grouping: Grouping::Item,
            explain: true,
            ..Default::default()
        };
        shop.shop_with(&scenes).recommend(&request)
    }

    fn place(page: &Recommendation, item: u64) -> usize {
        page.items.iter().position(|found| found.id.as_str() == item_name(item)).unwrap()
    }

    #[test]
    fn what_is_worth_most_stands_first() {
        let shop = shop(60_000);
        let clicks = page(&shop, Some(r#"{"click":1}"#));
        assert_eq!((place(&clicks, 7), place(&clicks, 40)), (0, 1), "{:?}", &clicks.items[..3]);
        let purchases = page(&shop, Some(r#"{"click":0.01,"purchase":10}"#));
        assert_eq!(place(&purchases, 40), 0);
        assert!(clicks.degraded.iter().all(|word| *word == "cold_user"), "{:?}", clicks.degraded);
        let ids = |page: &Recommendation| {
            let mut ids: Vec<String> = page.items.iter().map(|item| item.id.as_str().to_owned()).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&clicks), ids(&page(&shop, None)), "only the order differs");
    }

    #[test]
    fn each_action_has_its_share_and_the_shares_sum_to_the_score() {
        let page = page(&shop(60_000), Some(r#"{"click":0.5,"cart":2,"purchase":3,"price":true}"#));
        assert!(page.items.is_sorted_by(|a, b| a.score >= b.score));
        for item in &page.items {
            let sum: f32 = item.reasons.iter().map(|reason| reason.share).sum();
            assert!((sum - item.score).abs() < 1e-3, "{item:?}");
            let told: Vec<&str> =
                item.reasons.iter().filter(|reason| reason.code == "value").map(|r| &*r.text).collect();
            assert_eq!(told.len(), 3, "{item:?}");
            assert!(told[0].starts_with("click: probability 0.") && told[0].ends_with("× worth 0.5"), "{told:?}");
            assert!(told[2].starts_with("purchase: ") && told[2].contains("× worth 3 × "), "{told:?}");
        }
    }

    #[test]
    fn with_prices_a_dear_item_goes_before_an_equally_likely_cheap_one() {
        let mut shop = Fixture::new(Size { n_items: u64::from(N_ITEMS), n_unmet: 0, n_events: 0, ..Size::default() });
        shop.learn_clicks(
            60_000,
            N_ITEMS,
            |_, turn| if turn % 20 == 0 { Followed::PURCHASE } else { Followed::NOTHING },
        );
        let by_price = page(&shop, Some(r#"{"purchase":1,"price":true}"#));
        let price = |item: &crate::Recommended| shop.facts.find(&item.id).unwrap().item.price.unwrap().to_f64();
        let (first, last) = (price(&by_price.items[0]), price(&by_price.items[N_ITEMS as usize - 1]));
        assert!(first > 60.0 && last < 40.0, "{first} {last}");
        let by_margin = page(&shop, Some(r#"{"purchase":1,"price":"margin"}"#));
        assert!(by_margin.degraded.contains(&"no_prices"), "{:?}", by_margin.degraded);
    }

    #[test]
    fn before_the_heads_have_learned_enough_the_order_is_by_score() {
        let (few, mut none) = (shop(600), shop(60));
        none.version.clicks = None;
        let plain = page(&few, None);
        for (shop, word) in [(&few, "few_impressions"), (&none, "no_impressions")] {
            let by_value = page(shop, Some(r#"{"click":1}"#));
            assert!(by_value.degraded.contains(&word), "{:?}", by_value.degraded);
            assert_eq!(by_value.items, plain.items);
        }
    }

    #[test]
    fn hostile_values_are_refused_with_their_field() {
        let fault = |value: &str| {
            let settings = serde_json::from_str::<SceneSettings>(&format!(r#"{{"value":{value}}}"#)).ok()?;
            Scenes::read(&[("home".into(), settings)].into()).err().map(|fault| fault.key.to_string())
        };
        assert_eq!(fault(r#"{"click":-1}"#).as_deref(), Some("home.value.click"));
        assert_eq!(fault(r#"{"purchase":1e30}"#).as_deref(), Some("home.value.purchase"));
        assert_eq!(fault(r#"{"click":1,"price":true}"#).as_deref(), Some("home.value.purchase"));
        assert_eq!(fault(r#"{"purchase":1,"price":" "}"#).as_deref(), Some("home.value.price"));
        assert_eq!(fault(r#"{"click":0,"cart":0}"#), None, "off");
        assert!(serde_json::from_str::<SceneSettings>(r#"{"value":{"clicks":1}}"#).is_err());
    }
}
