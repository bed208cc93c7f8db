//! What showing new products costs and brings, in simulated shops in which every page's true value is known.
//!
//! Each shop is simulated twice with the same visitors: once with pages by score, as the scene `home` makes them, and once
//! with places for new products, half of the answers being those that they are compared with, and the default budget.
//! Front pages alone are asked for. Impressions and choices are learned as a server learns them.
//!
//! A **good** new product is one whose appeal, over a sample of the shop's visitors, is at least that of the median item
//! of the first catalogue. How long it takes until a new product has 20 clicks is counted in days from its publication,
//! and in its impressions; one that does not get there counts as later than all others, so medians are compared.

use std::collections::BTreeMap;

use accrue_engine::learn_settings;
use accrue_engine::traffic::{ServeConfig, Traffic};
use accrue_event::{DAY_MS, EventType, ItemId, ItemPatch, Price, Timestamp};
use accrue_lab::simulator::{Request, Simulator, SimulatorSettings, Step, Visit};
use accrue_model::ranker::HeadFigures;
use accrue_model::{DrawCost, Version};
use accrue_serve::{Campaigns, CatalogueSettings, RecommendRequest, Rules, SceneSettings, Scenes, Shop, Visitor};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Page, Record, Served};
use accrue_train::Learner;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::measure::{Figure, Target, row};

pub(super) const BENCHES: &[Bench] = &[Bench {
    only_when_named: true,
    ..bench(
        "new_products",
        "simulated shops with and without places for new products: what do they cost, and how soon is a good one known?",
        &[
            row("new_products_regret_ratio", "", Target::AtMost(0.7)),
            row("new_products_value_regret_ratio", "", Target::AtMost(0.7)),
            row("new_products_days_ratio", "", Target::AtMost(0.5)),
            row("new_products_impressions_ratio", "", Target::None),
            row("new_products_reached_without", "share", Target::None),
            row("new_products_reached_with", "share", Target::None),
            row("new_products_click_calibration", "share", Target::AtMost(0.01)),
            row("new_products_click_calibration_worst", "share", Target::None),
            row("new_products_click_auc", "share", Target::None),
        ],
        new_products,
    )
}];

/// Clicks after which a product counts as known.
const ENOUGH: u64 = 20;
/// Front pages between two publications of the models.
const PUBLISHED_EVERY: u64 = 32;
/// Visitors by whom appeal is measured, and items of the first catalogue that it is compared with.
const SAMPLED_VISITS: usize = 150;
const SAMPLED_ITEMS: usize = 100;

/// How the pages of a shop are made.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    ByScore,
    WithNew,
    /// By the value of a click, with places for new products.
    ByValueWithNew,
}

fn new_products(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let (n_shops, days) = bed.size.pick((1, 3), (1, 30), (3, 45));
    let mut regret = [0.0; 3];
    let mut found: [Vec<Reached>; 3] = Default::default();
    let (mut clicks, mut n_pages) = ([0.0; 3], 0);
    for seed in 1..=n_shops {
        for (place, policy) in [Policy::ByScore, Policy::WithNew, Policy::ByValueWithNew].into_iter().enumerate() {
            let run = Run::new(bed, seed, policy).run(days)?;
            bed.note(format!(
                "  shop {seed}, policy {place}: {} pages, {:.4} of the best clicks, {} good new products, {} known after \
                 {ENOUGH} clicks; trial {:?}",
                run.n_pages,
                run.clicks / run.best.max(f64::MIN_POSITIVE),
                run.reached.len(),
                run.reached.iter().filter(|reached| reached.days < f64::INFINITY).count(),
                run.cost,
            ));
            regret[place] += run.best - run.clicks;
            found[place].extend(run.reached);
            if policy == Policy::WithNew {
                n_pages += run.n_pages;
                let of_run = [run.heads.calibration, run.heads.calibration_worst, run.heads.auc];
                clicks.iter_mut().zip(of_run).for_each(|(sum, figure)| *sum += figure / n_shops as f64);
            }
        }
    }
    let known = |of: &[Reached]| {
        of.iter().filter(|reached| reached.days < f64::INFINITY).count() as f64 / of.len().max(1) as f64
    };
    let n_good = (found[0].len() as u64).max(1);
    let figure = |value: f64, samples: u64| Figure { value, samples };
    Ok(vec![
        figure(regret[1] / regret[0], n_pages),
        figure(regret[2] / regret[0], n_pages),
        figure(ratio(&found[1], &found[0], |reached| reached.days), n_good),
        figure(ratio(&found[1], &found[0], |reached| reached.impressions), n_good),
        figure(known(&found[0]), n_good),
        figure(known(&found[1]), n_good),
        figure(clicks[0], n_pages),
        figure(clicks[1], n_pages),
        figure(clicks[2], n_pages),
    ])
}

/// The ratio of the times at which the same share of the products is known: the largest share, up to a half, that is
/// known under both.
fn ratio(with: &[Reached], without: &[Reached], of: impl Fn(&Reached) -> f64) -> f64 {
    let sorted = |reached: &[Reached]| {
        let mut values: Vec<f64> = reached.iter().map(&of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (with, without) = (sorted(with), sorted(without));
    let known = |values: &[f64]| values.iter().filter(|value| value.is_finite()).count();
    let place = known(&with).min(known(&without)).min(with.len().div_ceil(2));
    match place.checked_sub(1) {
        Some(place) => with[place] / without[place].max(f64::MIN_POSITIVE),
        None => 1.0,
    }
}

/// When a good new product had its 20 clicks.
#[derive(Clone, Copy)]
struct Reached {
    days: f64,
    impressions: f64,
}

/// What came of a shop.
struct Outcome {
    n_pages: u64,
    clicks: f64,
    best: f64,
    cost: DrawCost,
    /// How well the head of clicks predicted.
    heads: HeadFigures,
    reached: Vec<Reached>,
}

#[derive(Clone, Copy, Default)]
struct ClicksOfItem {
    impressions: u64,
    clicks: u64,
    /// When it was clicked often enough, and after how many impressions.
    known: Option<(i64, u64)>,
}

/// A shop whose front pages are made by a policy.
struct Run {
    serve: ServeConfig,
    traffic: Traffic,
    scenes: Scenes,
    shop: Simulator,
    facts: Facts,
    learner: Learner,
    version: Version,
    counted: BTreeMap<ItemId, ClicksOfItem>,
    /// When each new product was published.
    published: BTreeMap<ItemId, i64>,
    outcome: Outcome,
}

impl Run {
    fn new(bed: &Bed<'_>, seed: u64, policy: Policy) -> Self {
        let (n_items, n_shoppers, visits_per_day) =
            bed.size.pick((150, 100, 200.0), (500, 600, 1_500.0), (600, 800, 2_000.0));
        let shop = SimulatorSettings { seed, n_items, n_shoppers, visits_per_day, ..Default::default() };
        let mut learn = learn_settings(&bed.config);
        (learn.seed, learn.predict_one_in, learn.guard.enabled) = (seed, u64::MAX, false);
        let mut serve = ServeConfig { good_share: 0.0, ..ServeConfig::default() };
        if policy == Policy::ByScore {
            serve.new_products.share = 0.0;
        }
        let home = match policy {
            Policy::ByValueWithNew => r#"{"value":{"click":1}}"#,
            _ => "{}",
        };
        let home: SceneSettings = serde_json::from_str(home).expect("settings of this bench");
        let scenes = Scenes::read(&[("home".into(), home)].into()).expect("settings of this bench");
        let facts = Facts::new(learn.history_capacity);
        let mut learner = Learner::new(learn);
        let version = learner.publish();
        Self {
            traffic: Traffic::new(&serve),
            serve,
            scenes,
            shop: Simulator::new(shop),
            facts,
            learner,
            version,
            counted: BTreeMap::new(),
            published: BTreeMap::new(),
            outcome: Outcome {
                n_pages: 0,
                clicks: 0.0,
                best: 0.0,
                cost: DrawCost::default(),
                heads: HeadFigures::default(),
                reached: Vec::new(),
            },
        }
    }

    fn run(mut self, days: i64) -> anyhow::Result<Outcome> {
        let start = self.shop.settings().start;
        let end_ms = start.0 + days * DAY_MS;
        let mut sampled = Vec::new();
        for item in self.shop.items_at_start() {
            self.take(start, Body::Item(Box::new(item)))?;
        }
        while self.shop.now().0 < end_ms {
            match self.shop.next_step() {
                Step::NewItems(items) => {
                    for item in items {
                        self.published.insert(item.id.clone(), self.shop.now().0);
                        self.take(self.shop.now(), Body::Item(Box::new(item)))?;
                    }
                }
                Step::PriceChange { item, price, at } => {
                    self.patch(item, ItemPatch { price: Price::new(price.into()), ..ItemPatch::default() }, at)?;
                }
                Step::StockChange { item, stock, at } => {
                    self.patch(item, ItemPatch { stock: Some(stock), ..ItemPatch::default() }, at)?;
                }
                Step::Visit(visit) if visit.request == Request::Home => {
                    self.answer(&visit)?;
                    if visit.number % 97 == 0 {
                        sampled.push(visit);
                    }
                }
                Step::Visit(_) => {}
            }
        }
        let heads = self.learner.publish().clicks;
        self.outcome.heads = heads.map(|heads| heads.quality()[0].figures()).unwrap_or_default();
        self.outcome.cost = DrawCost::of(self.facts.new_products.trial.days());
        sampled.drain(..sampled.len().saturating_sub(SAMPLED_VISITS));
        self.outcome.reached = self.reached(&sampled, end_ms);
        Ok(self.outcome)
    }

    fn patch(&mut self, id: ItemId, patch: ItemPatch, at: Timestamp) -> anyhow::Result<()> {
        self.take(at, Body::ItemPatched { id, patch: Box::new(patch) })
    }

    fn take(&mut self, received_at: Timestamp, body: Body) -> anyhow::Result<()> {
        let record = Record { offset: Offset(self.facts.end.0), received_at, body };
        self.facts.apply(&record);
        self.learner.step(record.offset, received_at.0, self.facts.resolve(&record))?;
        Ok(())
    }

    /// Answers a request for the front page, and takes in what comes of it.
    fn answer(&mut self, visit: &Visit) -> anyhow::Result<()> {
        if self.outcome.n_pages.is_multiple_of(PUBLISHED_EVERY) {
            self.version = self.learner.publish();
        }
        let id = format!("r{}", visit.number);
        let user = match &visit.shopper {
            accrue_event::Shopper::User(user) => Some(user.clone()),
            _ => None,
        };
        let visitor = Visitor { user, session: Some(visit.session.clone()) };
        let treatment = self.traffic.treatment(&visitor, &id, visit.at.0);
        let account = &self.facts.new_products.trial;
        let new_trial = treatment.within_new(&self.serve.new_products, account, visit.at).new_trial;
        let request = RecommendRequest {
            visitor: visitor.clone(),
            scene: Some("home".into()),
            n: visit.n,
            new_trial,
            ..RecommendRequest::default()
        };
        let shop = Shop {
            facts: &self.facts,
            version: &self.version,
            now_ms: visit.at.0,
            catalogue: CatalogueSettings::DEFAULT,
            rules: Rules::NONE,
            scenes: &self.scenes,
            campaigns: Campaigns::NONE,
        };
        let page = shop.recommend(&request);
        let items: Vec<ItemId> = page.items.into_iter().map(|item| item.id).collect();
        let served = Served {
            user: visitor.user,
            session: visitor.session,
            version: page.version,
            learned: Offset(page.offset),
            items: items.clone(),
            trial: page.trial,
            ..Served::bare(id.as_str().into(), Page::Recommend)
        };
        self.take(visit.at, Body::Served(Box::new(served)))?;
        let mut outcome = self.shop.respond(visit, &items);
        outcome.credit(&id);
        self.outcome.n_pages += 1;
        self.outcome.clicks += outcome.expected_clicks;
        self.outcome.best += outcome.best_expected_clicks;
        for event in outcome.events {
            self.count(&event);
            let at = event.at;
            self.take(at, Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None }))?;
        }
        Ok(())
    }

    fn count(&mut self, event: &accrue_event::Event) {
        let Some(item) = event.item.as_ref().filter(|item| self.published.contains_key(*item)) else { return };
        let counted = self.counted.entry(item.clone()).or_default();
        counted.impressions += u64::from(event.event_type == EventType::Impression);
        counted.clicks += u64::from(event.event_type == EventType::Click);
        if counted.clicks == ENOUGH && event.event_type == EventType::Click {
            counted.known = Some((event.at.0, counted.impressions));
        }
    }

    /// When each good new product was known. Products of the last third of the time had no time to become known.
    fn reached(&self, visits: &[Visit], end_ms: i64) -> Vec<Reached> {
        let start_ms = self.shop.settings().start.0;
        let appeal = |item: &ItemId| -> f64 {
            visits.iter().map(|visit| self.shop.chances(visit, std::slice::from_ref(item))[0].clicked).sum()
        };
        let first = self.shop.items_at_start();
        let step = (first.len() / SAMPLED_ITEMS).max(1);
        let mut known: Vec<f64> = first.iter().step_by(step).map(|item| appeal(&item.id)).collect();
        known.sort_by(f64::total_cmp);
        let median = known[known.len() / 2];
        let early = self.published.iter().filter(|(_, at)| **at < start_ms + (end_ms - start_ms) * 2 / 3);
        let good = early.filter(|(item, _)| appeal(item) >= median);
        let reached = |(item, &published): (&ItemId, &i64)| {
            let known = self.counted.get(item).and_then(|counted| counted.known);
            known.map_or(Reached { days: f64::INFINITY, impressions: f64::INFINITY }, |(at, impressions)| Reached {
                days: (at - published) as f64 / DAY_MS as f64,
                impressions: impressions as f64,
            })
        };
        good.map(reached).collect()
    }
}
