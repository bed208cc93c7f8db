//! The ledger as the first builds with campaigns saved it: answers of all callers in one list, shoppers of all callers in
//! one list, also for campaigns without a cap, and no invalid clicks.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{DAY_MS, Timestamp};
use serde::Deserialize;

use super::answers::{Answer, Answers};
use super::traffic::{HOURS, Traffic};
use super::{Account, Ledger, Spend, capped};
use crate::RuleTexts;

/// Section version 1.
#[derive(Deserialize)]
pub(crate) struct FirstLedger {
    document: RuleTexts,
    accounts: BTreeMap<Box<str>, FirstAccount>,
    waiting: BTreeMap<u64, Answer>,
    order: VecDeque<u64>,
    day: i64,
    shown: BTreeMap<(u64, u64), u16>,
    hours: [[u64; HOURS]; 2],
}

#[derive(Deserialize)]
struct FirstAccount {
    total: FirstSpend,
    days: Vec<(i64, FirstSpend)>,
}

#[derive(Deserialize)]
struct FirstSpend {
    impressions: u64,
    clicks: u64,
    amount: u64,
}

impl From<FirstSpend> for Spend {
    fn from(FirstSpend { impressions, clicks, amount }: FirstSpend) -> Self {
        Self { impressions, clicks, amount, invalid: 0 }
    }
}

impl From<FirstAccount> for Account {
    fn from(first: FirstAccount) -> Self {
        let days = first.days.into_iter().map(|(day, spend)| (day, spend.into())).collect();
        Self { total: first.total.into(), days }
    }
}

impl From<FirstLedger> for Ledger {
    fn from(first: FirstLedger) -> Self {
        Self {
            capped: capped(&first.document.json),
            document: first.document,
            accounts: first.accounts.into_iter().map(|(id, account)| (id, account.into())).collect(),
            own: Answers::new(first.waiting, first.order),
            time: Timestamp(first.day.saturating_mul(DAY_MS)),
            day: first.day,
            shown_own: first.shown.into(),
            traffic: Traffic::new(first.hours),
            ..Self::default()
        }
    }
}
