//! The contract of fitted models.

mod contract;
