//! The vocabulary of a shop, and the check of what a shop sends.
//!
//! In: raw records as a shop sends them ([`RawEvent`], [`Mapping`]). Out: validated facts ([`Event`], [`Item`],
//! [`User`]), or a rejection with a stable reason. Later stages rely on these facts and do not check them again. This
//! crate stores nothing, reads no clock and knows no model.

mod amount;
mod any_value;
mod attribute;
mod campaign;
mod check;
mod costs;
mod duration;
mod event;
mod id;
mod identity;
mod item;
mod json;
mod mapping;
mod near;
mod price;
mod private;
mod published;
mod raw;
mod raw_patch;
mod raw_value;
mod record_kind;
mod refusal_id;
mod same_text;
pub mod sent_id;
mod setting_fault;
mod settings;
mod shop_rule;
mod time;
mod time_text;
mod tree;

pub use amount::Decimal;
pub use attribute::{Attribute, Attributes};
pub use campaign::{Campaign, CampaignDocument, CampaignRecord, Charge, InvalidClick, InvalidReason};
pub use check::{
    Check, ItemNotes, KnownItem, LogHistogram, MisspeltField, MisspeltFields, Outcome, PublishedStatistics, Reason,
    Refusal, Rejection, Repair, RuleCounters, RuleStatistics, StatedStock, clean_id, is_placeholder, is_withdrawn,
    says_withdrawn, stated_stock, truth_value,
};
pub use duration::{format_duration, parse_duration};
pub use event::{Event, EventType};
pub use id::{EventId, ItemId, SessionId, Shopper, UserId};
pub use identity::{ContentIds, arrival_id, content_hash, lacks_id, placed_id};
pub use item::{Item, ItemPatch, User};
pub use mapping::{
    BoundMapping, Cell, Condition, Family, FamilyFinder, Join, Mapped, Mapping, MappingError, MappingRule, Names,
    Object, OrderPart, OrderState, Orders, Pairs, Reading, Sale, Sales, StateCell, StateColumn, Undo, UnknownStates,
    Variants, fields_named, is_answer, is_charge, is_time_of_order, is_total_of_order, is_unclear_number, listed,
    number_beside_name, order_column, order_state, unclear_sale, usual_column, usual_sale,
};
pub use near::{folded, misspelling, nearest};
pub use price::Price;
pub use private::{Private, is_cost, is_private, may_name_person, names_person, privacy_of};
pub use published::{Namespace, PUBLISHED_PREFIX};
pub use raw::{RawEvent, RawItem, RawUser};
pub use raw_patch::RawPatch;
pub use raw_value::RawValue;
pub use record_kind::RecordKind;
pub use refusal_id::RefusalId;
pub use same_text::normalised;
pub use setting_fault::SettingFault;
pub use settings::{
    CheckSettings, CoordinatedSettings, OutlierAction, OutlierSettings, PublishedSettings, RateSettings, default_weight,
};
pub use shop_rule::{RuleAction, ShopRule};
pub use time::{DAY_MS, Timestamp};
pub use tree::{Mismatch, MismatchKind, Tree};

/// A text that is mostly short: an id, a field of an event. Up to 24 bytes lie in the value itself, so that most events
/// are read, checked, learned from and dropped without memory for each of their texts. It is stored as any text is.
pub use compact_str::CompactString as Text;
