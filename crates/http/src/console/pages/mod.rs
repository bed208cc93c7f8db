//! The pages of the console, a file each.

pub(super) mod campaigns;
pub(super) mod catalogue;
pub(super) mod experiments;
pub(super) mod item;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod playground;
pub(super) mod quality;
pub(super) mod quarantine;
pub(super) mod rules;
pub(super) mod searches;
pub(super) mod settings;
pub(super) mod what_if;
