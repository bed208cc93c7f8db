//! Whether most prices of a catalogue changed by the same large factor: cents for euros, a decimal sign that was read as
//! one of thousands. Prices in another currency than before are not compared.
//!
//! In: the engine before and after the files. Out: a note. The prices are taken as they are, because a shop may mean them.

use accrue_engine::Engine;

/// Fewer changed prices than this tell nothing.
const ENOUGH: usize = 20;
/// The median factor from which on it is a jump; no sale of a whole shop is that large.
const FACTOR: f64 = 5.0;

/// The prices of the catalogue before the files, by item; 0 where there is none.
pub(super) struct PricesBefore(Vec<(f64, Option<Box<str>>)>);

impl PricesBefore {
    pub fn of(engine: &Engine) -> Self {
        Self(prices(engine))
    }

    /// What is to be said of the prices that the catalogue has now.
    pub fn note(self, engine: &Engine) -> Option<String> {
        let now = prices(engine);
        let same =
            self.0.iter().zip(&now).map(|(before, now)| if before.1 == now.1 { (before.0, now.0) } else { (0.0, 0.0) });
        let (before, now): (Vec<f64>, Vec<f64>) = same.unzip();
        note(&before, &now)
    }
}

fn prices(engine: &Engine) -> Vec<(f64, Option<Box<str>>)> {
    let price = |item: &accrue_event::Item| (item.price.map_or(0.0, |price| price.to_f64()), item.currency.clone());
    engine.with_shop(|shop| shop.facts.entries().iter().map(|place| price(&place.read().item)).collect())
}

fn note(before: &[f64], now: &[f64]) -> Option<String> {
    let priced = || before.iter().zip(now).filter(|(before, now)| **before > 0.0 && **now > 0.0);
    let mut factors: Vec<f64> =
        priced().filter(|(before, now)| before != now).map(|(before, now)| now / before).collect();
    if factors.len() < ENOUGH || 2 * factors.len() < priced().count() {
        return None;
    }
    factors.sort_by(f64::total_cmp);
    let median = factors[factors.len() / 2];
    let factor = median.max(median.recip());
    let how = if median < 1.0 { format!("1/{factor:.0} of") } else { format!("{factor:.0} times") };
    (factor >= FACTOR).then(|| {
        format!(
            "{} of {} prices changed, in the median to {how} what they were: are they in cents (`scale` in a mapping), or is the \
             decimal sign another one (`decimal`)? The right file, ingested again, corrects them",
            factors.len(),
            priced().count()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_that_all_changed_by_a_large_factor_are_told() {
        let before: Vec<f64> = (0..50).map(|n| 2.0 + f64::from(n)).collect();
        let times = |factor: f64| before.iter().map(|price| price * factor).collect::<Vec<_>>();
        assert!(
            note(&before, &times(100.0)).unwrap().contains("50 of 50 prices changed, in the median to 100 times what")
        );
        assert!(note(&before, &times(0.01)).unwrap().contains("1/100 of what they were"));
        assert_eq!(note(&before, &times(0.5)), None, "a sale");
        assert_eq!(note(&before, &times(1.0)), None);
        let few = [&times(100.0)[..19], &before[19..]].concat();
        assert_eq!(note(&before, &few), None, "some products");
        assert_eq!(note(&[], &before), None, "a new catalogue");
    }
}
