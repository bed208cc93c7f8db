//! What the facts say that a shop has put in force, read once for each change: rules, scenes, campaigns, synonyms.

pub(crate) mod campaigns;
pub(crate) mod rules;
pub(crate) mod scenes;
pub(crate) mod synonyms;
