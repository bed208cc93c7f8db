//! Simulated shoppers who search, choose, and search again if they found nothing.
//!
//! A shopper wants one item of the catalogue, and types its noun, sometimes with the material, in words of their own:
//! where a fault is planted, a third of them have the other word. They look at the first ten hits, less at later ones,
//! and choose the item, or one like it (the same noun and material). Two of three who chose nothing try again: with
//! the shop's word if it is another one, with the maker, or with the style. One in twelve goes on to something else.

use accrue_event::{Event, EventId, EventType, Item, SessionId, Timestamp, UserId};
use accrue_kernel::Draws;
use accrue_serve::search::{SearchError, SearchReader};
use accrue_store::{Body, CheckedEvent, Offset, Record, Reformulations};

use super::faults::{Fault, FaultKind, Harm, HarmKind, words};

/// The stream of random numbers.
const STREAM: u64 = 0x5245_5041;
/// Hits that are looked at.
const LOOKED_AT: usize = 10;
const START_MS: i64 = 1_767_571_200_000;

/// What an item is called, without faults.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub style: String,
    pub material: String,
    pub noun: String,
    pub brand: String,
}

impl Named {
    pub fn of(item: &Item) -> Self {
        let title = item.title.as_deref().unwrap_or_default().to_lowercase();
        let plain = title.split([',']).next().unwrap_or_default();
        let plain = plain.split(" no. ").next().unwrap_or_default();
        let mut parts = plain.splitn(3, ' ').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (style, material, noun) = (next(), next(), next());
        Self { style, material, noun, brand: item.brand.as_deref().unwrap_or_default().to_lowercase() }
    }

    /// Whether another item would do as well.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.noun, &self.material) == (&other.noun, &other.material)
    }
}

/// A shop with its shoppers.
pub(super) struct Shoppers<'a> {
    pub names: &'a [Named],
    pub items: &'a [Item],
    pub faults: &'a [Fault],
    pub reader: &'a SearchReader,
    pub found: Reformulations,
    seed: u64,
    n_events: u64,
}

/// A query that a shopper types first, and the item that they want.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Intent {
    pub item: usize,
    pub query: String,
}

/// Who acts, and when.
struct Visit<'v> {
    user: &'v str,
    at_ms: i64,
    is_published: bool,
}

impl<'a> Shoppers<'a> {
    pub fn new(
        items: &'a [Item],
        names: &'a [Named],
        faults: &'a [Fault],
        reader: &'a SearchReader,
        seed: u64,
    ) -> Self {
        Self { names, items, faults, reader, found: Reformulations::default(), seed, n_events: 0 }
    }

    /// What a shopper wants and types.
    pub fn intent(&self, draws: &mut Draws) -> Intent {
        let item = draws.below(self.items.len() as u64) as usize;
        let name = &self.names[item];
        let has_material = draws.below(2) == 0;
        let query = if has_material { format!("{} {}", name.material, name.noun) } else { name.noun.clone() };
        Intent { item, query: self.in_own_words(&query, draws) }
    }

    fn in_own_words(&self, query: &str, draws: &mut Draws) -> String {
        let mut typed = query.to_owned();
        for fault in self.faults.iter().filter(|fault| fault.kind != FaultKind::Title) {
            if words(query).any(|word| word == fault.word) && draws.below(3) == 0 {
                typed = typed.replace(fault.word, fault.wrong);
            }
        }
        typed
    }

    /// The session of shopper `n`.
    pub fn visit(&mut self, n: u64) -> Result<(), SearchError> {
        let mut draws = Draws::new(self.seed, STREAM, n);
        let intent = self.intent(&mut draws);
        let user = format!("shopper-{}", n % 6_000);
        let mut visit =
            Visit { user: &user, at_ms: START_MS + 40_000 * n as i64 + 7 * (n % 100) as i64, is_published: false };
        let mut query = intent.query.clone();
        for attempt in 0..3 {
            self.search(&query, &visit);
            visit.at_ms += 8_000;
            if let Some(chosen) = self.choice(&query, intent.item, &mut draws)? {
                self.choose(&query, chosen, &visit);
                return Ok(());
            }
            if attempt == 2 || draws.below(3) == 0 {
                break;
            }
            visit.at_ms += 5_000 + draws.below(20_000) as i64;
            query = self.other_words(&intent, attempt, &mut draws);
        }
        if draws.below(12) == 0 {
            let other = self.intent(&mut draws);
            visit.at_ms += 20_000;
            self.search(&other.query, &visit);
            visit.at_ms += 8_000;
            if let Some(chosen) = self.choice(&other.query, other.item, &mut draws)? {
                self.choose(&other.query, chosen, &visit);
            }
        }
        Ok(())
    }

    /// What a shopper types who found nothing.
    fn other_words(&self, intent: &Intent, attempt: usize, draws: &mut Draws) -> String {
        let name = &self.names[intent.item];
        let plain = if intent.query.contains(&name.material) {
            format!("{} {}", name.material, name.noun)
        } else {
            name.noun.clone()
        };
        if attempt == 0 && plain != intent.query && draws.below(4) > 0 {
            return plain;
        }
        match draws.below(3) {
            0 => format!("{} {}", name.brand, name.material),
            1 => format!("{} {}", name.style, name.material),
            _ => format!("{} {} {}", name.style, name.material, name.noun),
        }
    }

    /// The item that a shopper chooses from the hits of a query, if one is what they want.
    fn choice(&self, query: &str, wanted: usize, draws: &mut Draws) -> Result<Option<usize>, SearchError> {
        let hits = self.reader.search(query, &|_| true, LOOKED_AT, 0)?.hits;
        for (place, hit) in hits.iter().enumerate() {
            let item = hit.item_idx as usize;
            let is_seen = draws.uniform() < 1.0 / (1.0 + 0.15 * place as f32);
            let appeal = match item == wanted {
                true => 0.9,
                false if self.names[item].is_like(&self.names[wanted]) => 0.2,
                false => 0.0,
            };
            if is_seen && draws.uniform() < appeal {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn search(&mut self, query: &str, visit: &Visit<'_>) {
        self.happen(EventType::Search, query, None, visit);
    }

    fn choose(&mut self, query: &str, item: usize, visit: &Visit<'_>) {
        self.happen(EventType::Click, query, Some(item), visit);
    }

    fn happen(&mut self, kind: EventType, query: &str, item: Option<usize>, visit: &Visit<'_>) {
        self.n_events += 1;
        let id = if visit.is_published { "@publish:web:" } else { "e" };
        let event = Event {
            user: (!visit.is_published).then(|| UserId::from(visit.user)),
            session: Some(SessionId::from(visit.user)),
            item: item.map(|item| self.items[item].id.clone()),
            query: Some(query.into()),
            ..Event::bare(EventId::new(format!("{id}{}", self.n_events)), kind, Timestamp(visit.at_ms))
        };
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        self.found.observe(&Record { offset: Offset(self.n_events), received_at: Timestamp(visit.at_ms), body });
    }

    /// The shoppers of a harmful replacement.
    pub fn harm(&mut self, nth: usize, harm: &Harm) -> Result<(), SearchError> {
        let mut draws = Draws::new(self.seed, STREAM + 1, nth as u64);
        let (n, n_published) = match harm.kind {
            HarmKind::Flood => (500, 200),
            _ => (40, 0),
        };
        for k in 0..n + n_published {
            let is_published = k >= n;
            let user = match harm.kind {
                HarmKind::Flood if !is_published => format!("flood-{nth}"),
                _ => format!("harm-{nth}-{k}"),
            };
            let at_ms = START_MS + 3_600_000 * k as i64 + 1_000 * nth as i64;
            let mut visit = Visit { user: &user, at_ms, is_published };
            self.search(&harm.from, &visit);
            visit.at_ms += 15_000;
            let works = harm.kind == HarmKind::OtherInterest && draws.below(10) < 4;
            let query = if works { &harm.from } else { &harm.to[draws.below(harm.to.len() as u64) as usize] };
            if !works {
                self.search(query, &visit);
            }
            let hits = self.reader.search(query, &|_| true, LOOKED_AT, 0)?.hits;
            if !hits.is_empty() {
                let place = draws.below(hits.len().min(5) as u64) as usize;
                visit.at_ms += 5_000;
                self.choose(query, hits[place].item_idx as usize, &visit);
            }
        }
        Ok(())
    }
}
