//! A small shop for tests: a catalogue, customers with a past, and models that learned from it. The same for the same
//! seed.

use accrue_event::{Event, EventType, Item, Price, Timestamp};
use accrue_kernel::Draws;
use accrue_model::ranker::{ClickHeads, ColumnNames, Followed, Keys, PageFeatures, moment};
use accrue_model::{Context, Ensemble, Prepared, Settings, Step, TypeWeights, Version};
use accrue_store::{Body, CheckedEvent, Fact, Facts, Histories, History, Offset, Record};

use crate::search::{SearchIndex, SearchReader, SearchSettings};
use crate::{Campaigns, CatalogueSettings, Rules, Scenes, Shop, Visitor};

const STREAM: u64 = 0x5445_5354;
const START_MS: i64 = 1_790_000_000_000;
const N_BRANDS: u64 = 9;
const TYPES: [EventType; 4] = [EventType::View, EventType::Click, EventType::Cart, EventType::Purchase];

/// A shop that owns its parts.
pub(crate) struct Fixture {
    pub facts: Facts,
    pub version: Version,
    /// All events, in their order.
    pub events: Vec<Event>,
    pub index: SearchReader,
}

/// How large the shop is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub n_items: u64,
    pub n_users: u64,
    pub n_events: u64,
    /// Items at the beginning of the catalogue that events name.
    pub n_favourites: u64,
    /// Every this many items there is a variant: the item before in another colour.
    pub variant_each: u64,
    /// Items at the end of the catalogue that the models do not know.
    pub n_unmet: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { n_items: 700, n_users: 20, n_events: 600, n_favourites: 200, variant_each: 5, n_unmet: 20 }
    }
}

pub(crate) fn user(number: u64) -> Visitor {
    Visitor { user: Some(format!("u{number}").as_str().into()), session: None }
}

pub(crate) fn item_name(number: u64) -> String {
    format!("i{number}")
}

impl Fixture {
    pub fn new(size: Size) -> Self {
        let mut draws = Draws::new(3, STREAM, 0);
        let items: Vec<Item> = (0..size.n_items).map(|number| item(number, size, &mut draws)).collect();
        let events: Vec<Event> = (0..size.n_events).map(|number| event(number, size, &mut draws)).collect();
        let n_met = (size.n_items - size.n_unmet) as usize;
        let checked =
            |event: &Event| Body::Event(CheckedEvent { event: event.clone(), repairs: Vec::new(), raw: None });
        let (met, unmet) = items.split_at(n_met);
        let described = |item: &Item| Body::Item(Box::new(item.clone()));
        let bodies = met.iter().map(described).chain(events.iter().map(checked));

        // Few enough candidates that the models leave a part of a small catalogue unretrieved, and enough new items
        // among them that better items are in that part.
        let mut settings = Settings::default();
        settings.neighbours.candidates = 30;
        settings.repeat.candidates = 20;
        settings.factorization.candidates = 20;
        settings.popularity.candidates = 15;
        settings.newness.candidates = 60;
        settings.bought_together.candidates = 0;
        let mut fold = Fold::new(settings);
        bodies.for_each(|body| fold.take(body, true));
        unmet.iter().map(described).for_each(|body| fold.take(body, false));
        let index = index(&items);
        let (facts, version) = fold.into_parts();
        Self { facts, version, events, index }
    }

    /// An event for an inline history.
    pub fn event(&self, event_type: EventType, item: u64, at_s: i64) -> Event {
        let at = Timestamp(self.facts.stream_time.0 + at_s * 1000);
        Event { event_type, item: Some(item_name(item).as_str().into()), at, ..self.events[0].clone() }
    }

    /// Click heads that learned from `n` impressions in turn of the first `n_shown` items, of which this followed.
    pub fn learn_clicks(&mut self, n: u64, n_shown: u32, followed: impl Fn(u32, u64) -> Followed) {
        let mut heads = ClickHeads::new(1);
        let ensemble = &self.version.ensemble;
        let history = History::default();
        let now_ms = moment(self.facts.stream_time.0);
        let (context, mut prepared) =
            (Context::new(&history, None, now_ms, &self.version.weights), Prepared::default());
        ensemble.prepare(&context, &mut prepared);
        let items: Vec<u32> = (0..n_shown).collect();
        let shown = ensemble.item_features(&context, &prepared, &items, |_| Some(0));
        let (page, names) = (PageFeatures::of(&context), ColumnNames::of(&ensemble.columns()));
        let mut keys = Keys::default();
        keys.begin(&page);
        for number in 0..n {
            let shown = &shown[(number % u64::from(n_shown)) as usize];
            keys.show(&page, shown, &ensemble.catalogue, &names);
            let foreseen = heads.foresee(&keys);
            heads.learn(&keys, &foreseen, followed(shown.item, number / u64::from(n_shown)));
        }
        self.version.clicks = Some(heads);
    }

    pub fn shop(&self) -> Shop<'_> {
        self.shop_with(Scenes::built_in())
    }

    /// The shop with other scenes.
    pub fn shop_with<'a>(&'a self, scenes: &'a Scenes) -> Shop<'a> {
        let (now_ms, catalogue) = (self.facts.stream_time.0, CatalogueSettings::DEFAULT);
        let (rules, campaigns) = (Rules::NONE, Campaigns::NONE);
        Shop { facts: &self.facts, version: &self.version, now_ms, catalogue, rules, scenes, campaigns }
    }
}

fn item(number: u64, size: Size, draws: &mut Draws) -> Item {
    let mut item = Item::bare(item_name(number).as_str().into());
    let brand = draws.below(N_BRANDS);
    item.title = Some(format!("mug number {number} of brand{brand}").into());
    item.brand = Some(format!("brand{brand}").into());
    item.categories = vec![format!("category{}", draws.below(4)).into()];
    item.price = Price::new(1.0 + f64::from(draws.below(99) as f32));
    if number % size.variant_each <= 1 {
        item.parent = Some(format!("p{}", number / size.variant_each).into());
    }
    item
}

fn event(number: u64, size: Size, draws: &mut Draws) -> Event {
    let favourites = (size.n_items - size.n_unmet).min(size.n_favourites);
    let user = draws.below(size.n_users);
    // The lower of two draws: some items are chosen more often than others.
    let item = draws.below(favourites).min(draws.below(favourites));
    Event {
        user: Some(format!("u{user}").as_str().into()),
        item: Some(item_name(item).as_str().into()),
        ..Event::bare(
            format!("e{number}").as_str().into(),
            TYPES[draws.below(4) as usize].clone(),
            Timestamp(START_MS + number as i64 * 400_000),
        )
    }
}

pub(crate) fn index(items: &[Item]) -> SearchReader {
    let mut index = SearchIndex::open(None, SearchSettings::default()).unwrap();
    for (place, item) in items.iter().enumerate() {
        index.upsert(place as u32, item).unwrap();
    }
    index.commit().unwrap();
    index.reader()
}

/// Facts and models, record by record, as the server's writer and learner would make them.
struct Fold {
    facts: Facts,
    ensemble: Ensemble,
    histories: Histories,
    weights: TypeWeights,
    prepared: Prepared,
}

impl Fold {
    fn new(settings: Settings) -> Self {
        Self {
            facts: Facts::new(100),
            ensemble: Ensemble::new(settings, 1),
            histories: Histories::new(100),
            weights: TypeWeights::default(),
            prepared: Prepared::default(),
        }
    }

    fn take(&mut self, body: Body, is_learned: bool) {
        let offset = self.facts.end;
        let record = Record { offset, received_at: Timestamp(START_MS), body };
        self.facts.apply(&record);
        if is_learned {
            self.learn(offset, &record);
        }
    }

    fn learn(&mut self, Offset(offset): Offset, record: &Record) {
        match self.facts.resolve(record) {
            Fact::Described(item, description) => {
                self.ensemble.see_item(item, START_MS);
                self.ensemble.describe(item, description);
            }
            Fact::Interaction(event, _) => {
                let history = self.histories.get(event.shopper);
                let context = Context::new(&history, event.session, event.at_ms, &self.weights);
                let weight = self.weights.get(event.type_code);
                let n_items = self.ensemble.n_items();
                let step =
                    Step { offset, seed: 1, context, event, weight, n_items, is_known: true, rate_multiplier: 1.0 };
                self.ensemble.learn(&step, None, &mut self.prepared);
                self.histories.push(&event);
            }
            _ => {}
        }
    }

    fn into_parts(mut self) -> (Facts, Version) {
        self.ensemble.refresh();
        let version = Version::new(1, self.facts.end.0, self.ensemble, self.weights);
        (self.facts, version)
    }
}
