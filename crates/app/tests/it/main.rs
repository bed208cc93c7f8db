//! The whole program from outside: its command line, and its HTTP interface.

mod bench;
mod cli;
mod crash;
mod datasets;
mod demo;
mod http;
