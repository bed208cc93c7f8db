//! The contract that every model passes, held through the learner that the server runs.

mod contract;
mod forget;
mod shop;
