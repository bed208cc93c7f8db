//! Policies without learning: they show that the simulator tells good pages from bad ones, and serve as baselines for
//! learners.

use std::collections::HashMap;

use accrue_event::{EventType, ItemId};

use super::random::{Random, Stream};
use super::{Request, Simulator, Step, Tastes, Visit};

/// A policy for filling pages.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Items in stock, drawn uniformly.
    Random,
    /// The most clicked items so far that match the request (all items; the context's category; the query); one
    /// position in ten is drawn uniformly, so that new items can be clicked.
    Popular,
    /// The best page.
    Oracle,
    /// The page that is best for the tastes of an earlier day.
    Frozen(Tastes),
}

/// The results of a policy, as sums over its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyReport {
    /// Number of pages.
    pub n_visits: u64,
    /// Number of events.
    pub n_events: u64,
    /// Number of clicks.
    pub n_clicks: u64,
    /// Expected clicks of the pages.
    pub expected_clicks: f64,
    /// Expected clicks of the best pages for the same visits.
    pub best_expected_clicks: f64,
    /// Expected clicks of random pages for the same visits.
    pub random_expected_clicks: f64,
}

/// Lets a policy answer the next `n_visits` requests; reports on all pages, and on front pages alone.
pub fn run_policy(shop: &mut Simulator, policy: &Policy, n_visits: u64) -> [PolicyReport; 2] {
    let mut reports = [PolicyReport::default(); 2];
    let mut clicks: HashMap<ItemId, u32> = HashMap::new();
    while reports[0].n_visits < n_visits {
        let Step::Visit(visit) = shop.next_step() else { continue };
        let shown = fill(shop, policy, &visit, &clicks);
        let outcome = shop.respond(&visit, &shown);
        for event in outcome.events.iter().filter(|event| event.event_type == EventType::Click) {
            if let Some(item) = &event.item {
                *clicks.entry(item.clone()).or_default() += 1;
            }
        }
        let n_reports = if visit.request == Request::Home { 2 } else { 1 };
        for report in &mut reports[..n_reports] {
            report.n_visits += 1;
            report.n_events += outcome.events.len() as u64;
            report.n_clicks += outcome.n_clicks as u64;
            report.expected_clicks += outcome.expected_clicks;
            report.best_expected_clicks += outcome.best_expected_clicks;
            report.random_expected_clicks += outcome.random_expected_clicks;
        }
    }
    reports
}

fn fill(shop: &Simulator, policy: &Policy, visit: &Visit, clicks: &HashMap<ItemId, u32>) -> Vec<ItemId> {
    let mut random = Random::new(shop.settings().seed, Stream::Policy, visit.number);
    match policy {
        Policy::Random => draw(shop, visit.n, &mut random),
        Policy::Popular => {
            let mut page = most_clicked(shop, visit, clicks);
            page.truncate(visit.n - visit.n / 10);
            page.extend(draw(shop, visit.n - page.len(), &mut random));
            page
        }
        Policy::Oracle => shop.best_page(visit),
        Policy::Frozen(tastes) => shop.page_for_tastes(visit, tastes),
    }
}

pub(super) fn draw(shop: &Simulator, n: usize, random: &mut Random) -> Vec<ItemId> {
    let items = shop.items();
    let mut page = Vec::with_capacity(n);
    // The number of attempts is limited, for shops with few items in stock.
    for _ in 0..20 * n {
        if page.len() == n || items.is_empty() {
            break;
        }
        let item = &items[random.below(items.len())];
        if item.can_be_shown() && !page.contains(&item.id) {
            page.push(item.id.clone());
        }
    }
    page
}

fn most_clicked(shop: &Simulator, visit: &Visit, clicks: &HashMap<ItemId, u32>) -> Vec<ItemId> {
    let category = match &visit.request {
        Request::Similar(context) => shop.items().iter().find(|item| item.id == *context).map(|item| &item.categories),
        _ => None,
    };
    let mut counted: Vec<(u32, &ItemId)> = Vec::new();
    for item in shop.items().iter().filter(|item| item.can_be_shown()) {
        let Some(&count) = clicks.get(&item.id) else { continue };
        let fits = match &visit.request {
            Request::Home => true,
            Request::Similar(_) => Some(&item.categories) == category,
            Request::Search(query) => shop.is_relevant(query, &item.id),
        };
        if fits {
            counted.push((count, &item.id));
        }
    }
    counted.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    counted.into_iter().take(visit.n).map(|(_, item)| item.clone()).collect()
}
