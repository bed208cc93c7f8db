//! The contract of fitted models.

mod click_contract;
mod contract;
mod rating_contract;
