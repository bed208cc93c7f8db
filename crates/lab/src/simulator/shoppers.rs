//! The people: what they like, how that drifts, how often they come, what they have bought.
//!
//! A shopper's taste on a day is a function of (seed, shopper, day), whatever the shop showed; only the memory of
//! purchases depends on the loop. Guests are people too, but nobody remembers them.

use accrue_event::Timestamp;

use super::SimulatorSettings;
use super::catalogue::{Catalogue, season};
use super::dice::{Roll, Stream};
use super::place::{Place, room, scatter, shifted, spread_between};
use super::words::{BRANDS, FAMILIES};

/// Purchases remembered per shopper; the oldest is forgotten first.
const N_REMEMBERED: usize = 32;
/// Daily step of a taste along each coordinate, at drift 1.
const STEP: f32 = 0.028;
/// Chance per day that a shopper changes their mind altogether, at drift 1.
const JUMP: f64 = 0.004;

/// What a visit shows of a person.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) taste: Place,
    /// Multiple of the usual price that feels right.
    pub(super) budget: f32,
    /// How sharply a higher price repels.
    pub(super) thrift: f32,
    /// Pull of new products, 0..=1.
    pub(super) curiosity: f32,
    /// Chance of looking at the next position.
    pub(super) patience: f32,
    /// Favourite brands.
    pub(super) brands: [u8; 2],
}

impl Profile {
    fn new(roll: &mut Roll, homes: &[Place]) -> Self {
        Self {
            taste: fresh_taste(roll, homes),
            budget: (1.0 + 0.35 * roll.normal()).clamp(0.5, 2.2),
            thrift: roll.between(0.6, 2.6) as f32,
            curiosity: (roll.uniform() * roll.uniform()) as f32,
            patience: roll.between(0.8, 0.95) as f32,
            brands: [roll.below(BRANDS.len()) as u8, roll.below(BRANDS.len()) as u8],
        }
    }
}

/// Somebody with an account.
pub(super) struct Person {
    pub(super) profile: Profile,
    /// The day up to which the taste has walked.
    day: i64,
    /// Item and time, latest last; at most one entry for a product.
    pub(super) bought: Vec<(u32, Timestamp)>,
}

/// Everybody with an account.
pub(super) struct Shoppers {
    settings: SimulatorSettings,
    people: Vec<Person>,
    /// Running sums of the activity rates.
    activity: Vec<f64>,
}

impl Shoppers {
    pub(super) fn new(settings: &SimulatorSettings, homes: &[Place]) -> Self {
        let SimulatorSettings { seed, n_shoppers, start, .. } = *settings;
        let mut people = Vec::with_capacity(n_shoppers);
        let mut activity = Vec::with_capacity(n_shoppers);
        let mut total = 0.0;
        for n in 0..n_shoppers {
            let mut roll = Roll::new(seed, Stream::Shopper, n as u64);
            let profile = Profile::new(&mut roll, homes);
            people.push(Person { profile, day: start.day(), bought: Vec::new() });
            // Pareto with exponent 4/3, cut at 50: a few come all the time, most hardly ever.
            let u = roll.uniform();
            total += 1.0 / (u.sqrt() * u.sqrt().sqrt()).max(0.02);
            activity.push(total);
        }
        Self { settings: settings.clone(), people, activity }
    }

    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn person(&self, n: usize) -> &Person {
        &self.people[n]
    }

    /// Somebody, by activity.
    pub(super) fn pick(&self, roll: &mut Roll) -> usize {
        let total = self.activity.last().copied().unwrap_or_default();
        let drawn = roll.uniform() * total;
        self.activity.partition_point(|&sum| sum <= drawn).min(self.people.len().saturating_sub(1))
    }

    /// Lets the taste of shopper `n` walk up to `day`.
    pub(super) fn walk(&mut self, n: usize, day: i64, homes: &[Place]) {
        let person = &mut self.people[n];
        while person.day < day {
            person.day += 1;
            let counter = (n as u64) << 24 | (person.day as u64 & 0xff_ffff);
            let SimulatorSettings { seed, drift, .. } = self.settings;
            let mut roll = Roll::new(seed, Stream::Walk, counter);
            let profile = &mut person.profile;
            let jumps = roll.chance(JUMP * drift) || self.settings.is_upheaval(person.day);
            profile.taste = if jumps {
                fresh_taste(&mut roll, homes)
            } else {
                shifted(&profile.taste, &scatter(&mut roll), STEP * drift as f32)
            };
        }
    }

    /// Every taste on that day.
    pub(super) fn tastes(&mut self, day: i64, homes: &[Place]) -> Vec<Place> {
        (0..self.people.len()).for_each(|n| self.walk(n, day, homes));
        self.people.iter().map(|person| person.profile.taste).collect()
    }

    /// Notes a purchase.
    pub(super) fn remember(&mut self, n: usize, idx: usize, at: Timestamp, catalogue: &Catalogue) {
        let bought = &mut self.people[n].bought;
        let product = catalogue.traits[idx].product;
        bought.retain(|&(other, _)| catalogue.traits[other as usize].product != product);
        if bought.len() == N_REMEMBERED {
            bought.remove(0);
        }
        bought.push((idx as u32, at));
    }
}

/// A guest, made from a number.
pub(super) fn guest(seed: u64, number: u64, homes: &[Place]) -> Profile {
    Profile::new(&mut Roll::new(seed, Stream::Guest, number), homes)
}

/// Near a family that the person is fond of, but not only there.
fn fresh_taste(roll: &mut Roll, homes: &[Place]) -> Place {
    let near = shifted(&[0.0; 4], &homes[roll.below(homes.len())], 0.6);
    shifted(&near, &scatter(roll), 0.17)
}

/// How a purchase `days` ago changes the wish for the same product again: what lasts is not needed twice; what is used up
/// is wanted little at first and doubly when it runs out.
pub(super) fn renewal(cycle_days: f64, days: f64) -> f32 {
    match cycle_days {
        0.0 if days < 120.0 => 0.12,
        0.0 => 0.5,
        cycle if days < 0.6 * cycle => 0.25,
        cycle if days < 0.9 * cycle => 1.0,
        cycle if days < 2.5 * cycle => 2.0,
        _ => 1.0,
    }
}

/// The one or two families that a visit is about.
pub(super) fn intents(
    profile: &Profile,
    bought: &[(u32, Timestamp)],
    at: Timestamp,
    catalogue: &Catalogue,
    roll: &mut Roll,
) -> [u8; 2] {
    let mut weights = [0f64; FAMILIES.len()];
    for (idx, (weight, family)) in weights.iter_mut().zip(FAMILIES).enumerate() {
        let home = shifted(&[0.0; 4], &catalogue.homes[idx], 0.5);
        let delta = spread_between(&profile.taste, room(&profile.taste), &home, room(&home));
        let far = f64::from(0.08 + delta) * f64::from(0.08 + delta);
        let launched_days = catalogue.launched_at[idx].map_or(f64::INFINITY, |launch| at.days_since(launch));
        let novelty = 1.0 + 3.0 * f64::from(profile.curiosity) * (1.0 - launched_days / 10.0).max(0.0);
        *weight = catalogue.demand[idx] * f64::from(season(family, at)) * novelty / (far * far);
    }
    for &(item, bought_at) in bought {
        let family = catalogue.traits[item as usize].family as usize;
        let again = renewal(FAMILIES[family].cycle_days, at.days_since(bought_at));
        weights[family] *= if again > 1.0 { 3.0 } else { f64::from(again.max(0.4)) };
    }
    let first = draw(&weights, roll);
    weights[first] = 0.0;
    let second = if roll.chance(0.45) { draw(&weights, roll) } else { first };
    [first as u8, second as u8]
}

fn draw(weights: &[f64], roll: &mut Roll) -> usize {
    let mut left = roll.uniform() * weights.iter().sum::<f64>();
    for (idx, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return idx;
        }
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::place::family_homes;

    fn shoppers(n_shoppers: usize, drift: f64, homes: &[Place]) -> Shoppers {
        let settings = SimulatorSettings { seed: 4, n_shoppers, drift, start: Timestamp(0), ..Default::default() };
        Shoppers::new(&settings, homes)
    }

    #[test]
    fn a_taste_depends_on_the_day_and_not_on_the_way_there() {
        let homes = family_homes(4);
        let mut daily = shoppers(20, 1.0, &homes);
        let mut once = shoppers(20, 1.0, &homes);
        let before = daily.tastes(0, &homes);
        for day in 1..=30 {
            daily.tastes(day, &homes);
        }
        assert_eq!(daily.tastes(30, &homes), once.tastes(30, &homes));
        assert_ne!(before, daily.tastes(30, &homes));
        let mut still = shoppers(20, 0.0, &homes);
        assert_eq!(before, still.tastes(30, &homes));
    }

    #[test]
    fn activity_has_a_heavy_tail() {
        let homes = family_homes(4);
        let shoppers = shoppers(1_000, 1.0, &homes);
        let mut visits = vec![0; 1_000];
        for n in 0..50_000 {
            visits[shoppers.pick(&mut Roll::new(4, Stream::Session, n))] += 1;
        }
        visits.sort_unstable_by(|a, b| b.cmp(a));
        let top: i32 = visits[..100].iter().sum();
        assert!((17_000..40_000).contains(&top), "the top tenth makes {top} of 50,000 visits");
    }
}
