//! The whole program from outside: its command line, and its HTTP interface.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod access;
mod bench;
mod browser;
mod campaigns;
mod catalogue;
mod circumstances;
mod cli;
mod connections;
mod console;
mod console_browser;
mod crash;
mod datasets;
mod demo;
mod evaluate;
mod examples;
mod experiment;
mod exports;
mod faults;
mod fitted;
mod forget;
mod http;
mod init;
mod keys;
mod map;
mod mappings;
mod new_products;
mod operate;
mod pages;
mod poison;
mod predict;
mod recover;
mod resets;
mod retention;
mod scenes;
mod search_meaning;
mod search_pages;
mod search_repair;
mod search_words;
mod server;
mod sources;
mod transfer;
mod tune_encoder;
mod versions;
mod what_if;
