//! The whole program from outside: its command line, and its HTTP interface.

mod cli;
mod http;
