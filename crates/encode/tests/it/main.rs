//! Encoders from whole folders: equal to a plain reference, and refused with a reason where they cannot be used.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod bad_folders;
mod equality;
mod folder;
mod golden;
mod images;
mod reference;
