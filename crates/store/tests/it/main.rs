//! The log, checkpoints and backups, from outside.

#![allow(clippy::unwrap_used)]

mod backup;
mod checkpoint;
mod crash;
mod damage;
#[cfg(feature = "sql")]
mod databases;
mod facts;
mod fixture;
mod log;
mod pages;
