//! The contract of fitted models.

mod contract;
mod rating_contract;
