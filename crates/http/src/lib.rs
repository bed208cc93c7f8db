//! The HTTP interface: it converts JSON to plain values and back.
//!
//! In: an [`Engine`](accrue_engine::Engine) and [`HttpSettings`]. Out: a router or a running server. Each file holds
//! the routes of one noun; all requests pass one middleware (ids, keys, limits, errors, counters). There is no
//! algorithm here. Only the shape and the bounds of a request are checked; the engine checks the content of records.
//!
//! Recommendations and searches take about a millisecond of one core and run where the request is read, as many at a
//! time as there are cores ([`runtime`] has threads beside these for the rest); what may take longer (large bodies,
//! batches of requests, decompression) runs on the threads for blocking work. Writes wait for the engine's writer
//! without holding a thread.

mod access;
mod answer;
mod body;
mod caller;
mod campaigns;
mod connection;
mod console;
#[cfg(test)]
mod documented;
mod events;
mod fields;
mod forget;
mod history;
mod ingested;
mod items;
mod large;
mod listener;
mod lists;
mod long;
mod metrics;
mod middleware;
mod network;
mod new_products;
mod params;
mod parts;
mod predict;
mod probes;
mod problem;
mod proposals;
mod quality;
mod quarantine;
mod rates;
mod recommend;
mod records;
mod registry;
mod request_id;
mod route_table;
mod router;
mod rules;
mod scenes;
pub mod schema;
mod search;
mod search_counts;
mod searches;
mod server;
mod settings;
mod site;
mod status;
mod storefront;
mod suggest;
mod synonyms;
mod threads;
mod turns;
mod users;
mod versions;
mod what_if;

pub use fields::{ItemFields, NoField};
pub use listener::{listen, raise_limit_of_files};
pub use router::{ServeError, router, serve, serve_site};
pub use settings::{HttpSettings, Key, Scope};
pub use site::{ShownSetting, Site};
pub use threads::runtime;
