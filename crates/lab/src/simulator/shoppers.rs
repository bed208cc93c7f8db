//! The shoppers: tastes and their drift, activity, and remembered purchases.
//!
//! A shopper's taste on a day is a function of (seed, shopper, day) and does not depend on the pages shown; only the
//! remembered purchases do. Guests have a profile but no memory.

use accrue_event::Timestamp;

use super::SimulatorSettings;
use super::catalogue::{Catalogue, season};
use super::place::{Place, delta_between, noise, one_minus_square, shifted};
use super::random::{Random, Stream};
use super::words::{BRANDS, FAMILIES};

/// Number of purchases remembered per shopper; the oldest is forgotten first.
const N_REMEMBERED: usize = 32;
/// Daily step of a taste along each coordinate, at drift 1.
const STEP: f32 = 0.028;
/// Probability per day that a taste is drawn again, at drift 1.
const JUMP: f64 = 0.004;

/// The properties of a shopper that a visit depends on.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) taste: Place,
    /// The accepted price, as a multiple of the usual one.
    pub(super) budget: f32,
    /// How strongly a higher price reduces the appeal.
    pub(super) thrift: f32,
    /// How strongly new products attract, 0..=1.
    pub(super) curiosity: f32,
    /// Probability of examining the next position.
    pub(super) patience: f32,
    /// Favourite brands.
    pub(super) brands: [u8; 2],
}

impl Profile {
    fn new(random: &mut Random, centres: &[Place]) -> Self {
        Self {
            taste: fresh_taste(random, centres),
            budget: (1.0 + 0.35 * random.normal()).clamp(0.5, 2.2),
            thrift: random.between(0.6, 2.6) as f32,
            curiosity: (random.uniform() * random.uniform()) as f32,
            patience: random.between(0.8, 0.95) as f32,
            brands: [random.below(BRANDS.len()) as u8, random.below(BRANDS.len()) as u8],
        }
    }
}

/// A shopper with an account.
pub(super) struct Person {
    pub(super) profile: Profile,
    /// The day of the current taste.
    day: i64,
    /// Purchased items and times, latest last; at most one entry per product.
    pub(super) bought: Vec<(u32, Timestamp)>,
}

/// All shoppers with an account.
pub(super) struct Shoppers {
    settings: SimulatorSettings,
    people: Vec<Person>,
    /// Cumulative sums of the activity rates.
    activity: Vec<f64>,
}

impl Shoppers {
    pub(super) fn new(settings: &SimulatorSettings, centres: &[Place]) -> Self {
        let SimulatorSettings { seed, n_shoppers, start, .. } = *settings;
        let mut people = Vec::with_capacity(n_shoppers);
        let mut activity = Vec::with_capacity(n_shoppers);
        let mut total = 0.0;
        for n in 0..n_shoppers {
            let mut random = Random::new(seed, Stream::Shopper, n as u64);
            let profile = Profile::new(&mut random, centres);
            people.push(Person { profile, day: start.day(), bought: Vec::new() });
            // Pareto with exponent 4/3, cut at 50: few shoppers visit very often, and most rarely.
            let u = random.uniform();
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

    /// A shopper drawn in proportion to activity.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let total = self.activity.last().copied().unwrap_or_default();
        let drawn = random.uniform() * total;
        self.activity.partition_point(|&sum| sum <= drawn).min(self.people.len().saturating_sub(1))
    }

    /// Continues the random walk of shopper `n`'s taste up to `day`.
    pub(super) fn walk(&mut self, n: usize, day: i64, centres: &[Place]) {
        let person = &mut self.people[n];
        while person.day < day {
            person.day += 1;
            let counter = (n as u64) << 24 | (person.day as u64 & 0xff_ffff);
            let SimulatorSettings { seed, drift, .. } = self.settings;
            let mut random = Random::new(seed, Stream::Walk, counter);
            let profile = &mut person.profile;
            let jumps = random.chance(JUMP * drift) || self.settings.is_upheaval(person.day);
            profile.taste = if jumps {
                fresh_taste(&mut random, centres)
            } else {
                shifted(&profile.taste, &noise(&mut random), STEP * drift as f32)
            };
        }
    }

    /// All tastes on this day.
    pub(super) fn tastes(&mut self, day: i64, centres: &[Place]) -> Vec<Place> {
        (0..self.people.len()).for_each(|n| self.walk(n, day, centres));
        self.people.iter().map(|person| person.profile.taste).collect()
    }

    /// Remembers a purchase.
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

/// The profile of a guest, a function of seed and number.
pub(super) fn guest(seed: u64, number: u64, centres: &[Place]) -> Profile {
    Profile::new(&mut Random::new(seed, Stream::Guest, number), centres)
}

/// A new taste: near the centre of a random family, with noise.
fn fresh_taste(random: &mut Random, centres: &[Place]) -> Place {
    let near = shifted(&[0.0; 4], &centres[random.below(centres.len())], 0.6);
    shifted(&near, &noise(random), 0.17)
}

/// The factor on the appeal of a product that was bought `days` ago. Lasting goods are not needed again soon.
/// Consumables have a small appeal at first and a doubled one when they run out.
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
    random: &mut Random,
) -> [u8; 2] {
    let mut weights = [0f64; FAMILIES.len()];
    for (idx, (weight, family)) in weights.iter_mut().zip(FAMILIES).enumerate() {
        let centre = shifted(&[0.0; 4], &catalogue.centres[idx], 0.5);
        let delta = delta_between(&profile.taste, one_minus_square(&profile.taste), &centre, one_minus_square(&centre));
        let far = f64::from(0.08 + delta) * f64::from(0.08 + delta);
        let launched_days = catalogue.launched_at[idx].map_or(f64::INFINITY, |launch| at.days_since(launch));
        let novelty = 1.0 + 3.0 * f64::from(profile.curiosity) * (1.0 - launched_days / 10.0).max(0.0);
        *weight = catalogue.demand[idx] * f64::from(season(family, at)) * novelty / (far * far);
    }
    for &(item, bought_at) in bought {
        let family = catalogue.traits[item as usize].family as usize;
        let factor = renewal(FAMILIES[family].cycle_days, at.days_since(bought_at));
        weights[family] *= if factor > 1.0 { 3.0 } else { f64::from(factor.max(0.4)) };
    }
    let first = draw(&weights, random);
    weights[first] = 0.0;
    let second = if random.chance(0.45) { draw(&weights, random) } else { first };
    [first as u8, second as u8]
}

fn draw(weights: &[f64], random: &mut Random) -> usize {
    let mut left = random.uniform() * weights.iter().sum::<f64>();
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
    use crate::simulator::place::family_centres;

    fn shoppers(n_shoppers: usize, drift: f64, centres: &[Place]) -> Shoppers {
        let settings = SimulatorSettings { seed: 4, n_shoppers, drift, start: Timestamp(0), ..Default::default() };
        Shoppers::new(&settings, centres)
    }

    #[test]
    fn a_taste_depends_on_the_day_and_not_on_the_steps_to_it() {
        let centres = family_centres(4);
        let mut daily = shoppers(20, 1.0, &centres);
        let mut once = shoppers(20, 1.0, &centres);
        let before = daily.tastes(0, &centres);
        for day in 1..=30 {
            daily.tastes(day, &centres);
        }
        assert_eq!(daily.tastes(30, &centres), once.tastes(30, &centres));
        assert_ne!(before, daily.tastes(30, &centres));
        let mut still = shoppers(20, 0.0, &centres);
        assert_eq!(before, still.tastes(30, &centres));
    }

    #[test]
    fn activity_has_a_heavy_tail() {
        let centres = family_centres(4);
        let shoppers = shoppers(1_000, 1.0, &centres);
        let mut visits = vec![0; 1_000];
        for n in 0..50_000 {
            visits[shoppers.pick(&mut Random::new(4, Stream::Session, n))] += 1;
        }
        visits.sort_unstable_by(|a, b| b.cmp(a));
        let top: i32 = visits[..100].iter().sum();
        assert!((17_000..40_000).contains(&top), "the top tenth makes {top} of 50,000 visits");
    }
}
