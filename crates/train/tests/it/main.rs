//! The contract that every model passes, held through the learner that the server runs.

#![allow(clippy::unwrap_used)]

mod arms;
mod bounds;
mod clicks;
mod contract;
mod descriptions;
mod fitted;
mod flood;
mod forget;
mod formats;
mod guard;
mod impressions;
mod own_visits;
mod sections;
mod sequence;
mod shop;
mod small_shop;
mod two_tower;
