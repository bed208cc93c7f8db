//! The state that all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use accrue_engine::Engine;
use accrue_event::Timestamp;
use axum::body::Bytes;
use tokio::sync::Semaphore;

use super::access::AccessControl;
use super::history::{History, Requests};
use super::large::LargeBodies;
use super::listener::Connections;
use super::long::LongPages;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use super::route_table::RouteTable;
use super::search_counts::SearchCounts;
use super::settings::HttpSettings;
use super::site::Site;
use super::turns::Turns;

/// The state that all requests share.
pub(crate) struct Server {
    pub engine: Engine,
    pub settings: HttpSettings,
    pub site: Site,
    pub access: AccessControl,
    pub ids: RequestIds,
    pub metrics: Metrics,
    /// Quality and load so far.
    pub history: History,
    /// What was searched for.
    pub searches: SearchCounts,
    /// The number of requests in flight.
    pub in_flight: AtomicUsize,
    /// The open connections; absent if another program serves the routes.
    pub connections: Option<Arc<Connections>>,
    /// Turns to compute a page.
    pub turns: Arc<Turns>,
    /// The threads on which long pages are computed.
    pub long_pages: LongPages,
    /// The large bodies that are held.
    pub large_bodies: LargeBodies,
    /// Those that came with a key that every visitor can read.
    pub published_large_bodies: LargeBodies,
    /// Room in the writer's queue for events of such keys, counted in events.
    pub published_writes: Semaphore,
    /// What each route needs and takes.
    pub routes: RouteTable,
    /// The description of the interface, written once.
    pub openapi: Bytes,
}

impl Server {
    /// Adds a sample to the history if one is due.
    pub fn sample(&self) {
        let now = Instant::now();
        if !self.history.is_due(now) {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let requests = Requests {
            answered: self.metrics.n_requests(),
            without_result: self.metrics.searches_without_result.load(Ordering::Relaxed),
        };
        self.history.add(&self.engine.status(), requests, Timestamp(since.as_millis() as i64), now);
    }
}
