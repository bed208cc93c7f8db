//! What all requests share.

use std::sync::atomic::AtomicUsize;

use accrue_engine::Engine;
use axum::body::Bytes;
use tokio::sync::Semaphore;

use super::door::Door;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use super::settings::HttpSettings;

/// What all requests share.
pub(crate) struct Server {
    pub engine: Engine,
    pub settings: HttpSettings,
    pub door: Door,
    pub ids: RequestIds,
    pub metrics: Metrics,
    /// Requests that are being served.
    pub in_flight: AtomicUsize,
    /// Permits for large bodies.
    pub large_bodies: Semaphore,
    /// The description of the interface, written once.
    pub openapi: Bytes,
}
