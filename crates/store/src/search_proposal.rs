//! Decisions about what search proposed to repair in itself.

use serde::{Deserialize, Serialize};

/// Decisions that are kept.
pub const MAX_DECISIONS: usize = 10_000;

/// A decision about a proposal. The rule or the synonyms that follow from it are records of their own, in the same
/// commit; this one says that the proposal was decided about, so that it is not made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchProposal {
    /// Its id: a hash of its kind and words.
    pub id: Box<str>,
    /// What it repairs.
    pub kind: ProposalKind,
    /// What shoppers search for.
    pub from: Box<str>,
    /// What is to be found too: other words, or a category.
    pub to: Box<str>,
    /// Whether it is in force.
    pub is_accepted: bool,
    /// Whether the server decided by itself.
    pub is_automatic: bool,
}

/// What a proposal repairs. The order is part of the format: add new ones at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalKind {
    /// Shoppers have another word for something than the shop.
    Synonym,
    /// Shoppers misspell a word in a way that is not corrected by itself.
    Correction,
    /// Shoppers write as one what the shop writes apart, or the other way round, and not letter by letter the same.
    Split,
    /// A title has a word misspelt.
    Title,
    /// After a query items of one category are chosen, and others stand first.
    Category,
}

impl ProposalKind {
    /// Its name in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Synonym => "synonym",
            Self::Correction => "correction",
            Self::Split => "split",
            Self::Title => "title",
            Self::Category => "category",
        }
    }
}
