//! What the earlier records of a batch have made of items and users, over the facts.
//!
//! A description is compared with the one before it, be that of the facts or of the batch. If it were compared with the facts
//! alone, a description that returns to what the facts have would count as known and be lost, although another one of the same
//! batch is written before it.

use std::collections::HashMap;

use accrue_event::{Item, ItemId, User, UserId};
use accrue_store::Facts;

/// What the records of a batch have made of items and users so far; `None` for what they removed. It is looked up only, so
/// its order reaches no byte.
#[derive(Default)]
pub(super) struct Overlay {
    items: HashMap<ItemId, Option<Item>>,
    users: HashMap<UserId, Option<User>>,
}

impl Overlay {
    /// An item of the catalogue, as it is after the records so far.
    pub fn item<'a>(&'a self, facts: &'a Facts, id: &ItemId) -> Option<&'a Item> {
        match self.items.get(id) {
            Some(changed) => changed.as_ref(),
            None => facts.find(id).filter(|entry| entry.is_in_catalogue()).map(|entry| &entry.item),
        }
    }

    /// Whether an item may be shown, or events name it.
    pub fn is_sold(&self, facts: &Facts, id: &ItemId) -> bool {
        match self.items.get(id) {
            Some(changed) => changed.is_some(),
            None => facts.find(id).is_some_and(|entry| !entry.is_retired()),
        }
    }

    /// A user who is described, after the records so far.
    pub fn user<'a>(&'a self, facts: &'a Facts, id: &UserId) -> Option<&'a User> {
        match self.users.get(id) {
            Some(changed) => changed.as_ref(),
            None => facts.described_user(id),
        }
    }

    /// Takes a description of an item in; `false` if it changes nothing.
    pub fn describe_item(&mut self, facts: &Facts, item: &Item) -> bool {
        let is_new = self.item(facts, &item.id) != Some(item);
        if is_new {
            self.items.insert(item.id.clone(), Some(item.clone()));
        }
        is_new
    }

    /// Takes a description of a user in; `false` if it changes nothing.
    pub fn describe_user(&mut self, facts: &Facts, user: &User) -> bool {
        let is_new = self.user(facts, &user.id) != Some(user);
        if is_new {
            self.users.insert(user.id.clone(), Some(user.clone()));
        }
        is_new
    }

    /// Takes an item out of the catalogue.
    pub fn remove_item(&mut self, id: ItemId) {
        self.items.insert(id, None);
    }

    /// Removes the description of a user.
    pub fn remove_user(&mut self, id: UserId) {
        self.users.insert(id, None);
    }
}
