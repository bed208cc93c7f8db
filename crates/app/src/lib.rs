//! The `accrue` program: the command line, the demonstration shop, and evaluations of files.
//!
//! It holds no algorithm: it reads settings, arguments and files, calls the crates that do the work, and prints what comes back.

pub mod cli;
pub mod config;
pub mod demo;
pub mod evaluation;
