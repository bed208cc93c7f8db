//! The vocabulary of a shop and the check at its door.
//!
//! In: raw records as a shop sends them ([`RawEvent`], [`Mapping`]). Out: validated facts ([`Event`], [`Item`],
//! [`User`]) or a rejection with a stable reason. Downstream trusts what leaves this crate and checks nothing again.
//! This crate stores nothing, reads no clock and knows no model.

mod attribute;
mod event;
mod id;
mod item;
mod time;

pub use attribute::{Attribute, Attributes};
pub use event::{Event, EventType};
pub use id::{EventId, ItemId, SessionId, Shopper, UserId};
pub use item::{Item, ItemPatch, User};
pub use time::Timestamp;
