//! Files in, reports out: the protocols as their users see them.

mod bad_input;
mod datasets;
mod folder;
mod protocols;
