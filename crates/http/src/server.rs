//! The state that all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use accrue_engine::Engine;
use axum::body::Bytes;
use tokio::sync::Semaphore;

use super::access::AccessControl;
use super::large::LargeBodies;
use super::listener::Connections;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use super::route_table::RouteTable;
use super::settings::HttpSettings;
use super::turns::Turns;

/// The state that all requests share.
pub(crate) struct Server {
    pub engine: Engine,
    pub settings: HttpSettings,
    pub access: AccessControl,
    pub ids: RequestIds,
    pub metrics: Metrics,
    /// The number of requests in flight.
    pub in_flight: AtomicUsize,
    /// The open connections; absent if another program serves the routes.
    pub connections: Option<Arc<Connections>>,
    /// Turns to compute a page.
    pub turns: Arc<Turns>,
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
