//! The protocols on files, as users see them.

mod bad_input;
mod datasets;
mod folder;
mod protocols;
