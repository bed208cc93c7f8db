//! The `accrue` program: command line, HTTP, configuration, and the engine that wires the rooms together.
//!
//! The only crate with HTTP and async. It holds no algorithm: it moves values between the rooms.

pub mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod evaluation;
pub mod experiment;
pub mod http;
pub mod ingest;
pub mod online_model;
