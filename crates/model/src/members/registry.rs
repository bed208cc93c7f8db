//! All online models: **one entry here adds a model** to the ensemble, its settings, digests, checkpoints and the
//! contract's tests.
//!
//! In: the members' types. Out: [`Settings`] with a table for each, [`Part`] (which model scores), [`Members`] (the
//! trained models) and [`Situations`] (what each derives from a shopper's context), which always have the same members.
//! The blend's columns are those of the members in this order.

use accrue_event::SettingFault;
use accrue_store::{ItemIdx, SectionSource, StoreError};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Column, Member, MemberReport, MemberSettings};
use crate::blend::BlendSettings;
use crate::catalogue::Catalogue;
use crate::ensemble::RetrievalSettings;
use crate::transfer::{InitSettings, PartsOfMembers, TransferError};
use crate::{Context, Step};

members! {
    popularity "Decayed popularity, by the week." => Popularity,
    repeat "The shopper's own items by decayed count, then popularity." => Repeat,
    neighbours "Item neighbours, the three kinds added up." => Neighbours,
    factorization "Matrix factorization, the shopper folded in from their history." => Factorization,
    preference "Preference by the words of descriptions." => Preference,
    newness "The newest items first." => Newness,
    sequence "A sequence network that learns from every event: sequence:gru." => Sequence,
    fitted "A model that is fitted on a window of choices repeatedly: fitted:ease." => Fitted,
    replenishment "What the shopper will need again: the time since the last purchase over the expected interval." => Replenishment,
    bought_together "What the basket makes likelier than usual: lift within a visit." => BoughtTogether,
    content "What is like what the shopper chose, by the vectors of an encoder." => Content,
    affinity "What is chosen more than usual in this scene, after this search, on this device, by shoppers described alike." => Affinity,
    two_tower "Two towers: vectors of items from all that is known of them, of shoppers from what they chose." => TwoTower,
    own_visits "What the shopper chose beside the items of this visit, in earlier visits of their own." => OwnVisits,
}

/// Visits the members of an ensemble, each with its own type.
pub trait Visitor {
    /// Called for each member that exists, in the order of the registry.
    fn visit<M: Member>(&mut self, name: &'static str, member: &M);
}

/// The factor of popularity where it only breaks ties.
const TIE: f32 = 1e-3;

fn needs(part: Part, member: Part, always: bool) -> bool {
    always || part == Part::Blend || part == member
}

impl Part {
    /// The part with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|part| part.name() == name)
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let names = Self::ALL.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ");
            D::Error::invalid_value(Unexpected::Str(&name), &&*format!("one of {names}"))
        })
    }
}
