//! The ledger of sponsored slots: what campaigns were shown for, and what they spent.
//!
//! In: campaigns, answers with sponsored items, charges and events, in log order. Out: the campaigns in force, which
//! shown items can still be charged for, how often a shopper saw a campaign today, and what each campaign spent, to the
//! minor unit of the currency. It is a fold of the facts: the same log gives the same amounts.
//!
//! Who decides: an auction in `serve` sets prices, which are in the record of the answer; the writer decides what a click
//! is charged, and writes that down as a record of its own, which names no person. So a replay decides nothing, and
//! forgetting a person, which removes answers and events, changes no amount. What is counted of impressions goes with
//! them.
//!
//! **Bounded.** The latest [`WAITING`](answers::WAITING) answers with sponsored items can be charged for, each for
//! [`CLICK_WINDOW_MS`]; frequency caps know the latest [`SHOWN`] pairs of a shopper and a campaign with a cap on one day;
//! of a campaign the latest [`DAYS`] days are kept singly. Pages with a published key can be asked for by anyone, with
//! invented sessions, so their answers and pairs are kept in parts of their own: they take no place from those of the
//! shop's own programs.

mod answers;
mod first;
mod latest;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use accrue_event::{CampaignDocument, CampaignRecord, Charge, DAY_MS, Event, InvalidClick, ItemId, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use self::answers::{Answer, Answers, Asker};
pub(crate) use self::first::FirstLedger;
pub(crate) use self::latest::Latest;
use self::traffic::Traffic;
use crate::{Offset, RuleTexts, Served, SponsoredSlot};

/// How long after its answer a click is charged, in time of arrival: as long as the click heads wait for a click.
pub const CLICK_WINDOW_MS: i64 = 30 * 60 * 1000;
/// Within this time a further click of a visitor on an item of a campaign is not charged, in time of arrival.
const REPEATED_MS: i64 = 60 * 60 * 1000;
/// Clicks by which a further one is recognised, at most.
const CHARGED: usize = 65_536;
/// Pairs of a shopper and a campaign that are counted on one day, at most, of each kind of caller.
const SHOWN: usize = 262_144;
/// Days of a campaign that are kept singly.
const DAYS: usize = 35;

/// What a campaign was shown for and what it spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Answers in which an item of it stood.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// What the clicks cost, in minor units.
    pub amount: u64,
    /// Further clicks that are not charged, because of how often the same visitor or address clicked.
    pub invalid: u64,
}

/// The account of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Since its first impression.
    pub total: Spend,
    /// The latest days of the stream on which there was something, counted from 1970, in order.
    pub days: Vec<(i64, Spend)>,
}

impl Account {
    fn on(&mut self, day: i64) -> &mut Spend {
        let place = self.days.partition_point(|(known, _)| *known < day);
        if self.days.get(place).is_none_or(|(known, _)| *known != day) {
            self.days.insert(place, (day, Spend::default()));
        }
        if self.days.len() > DAYS && place > 0 {
            self.days.remove(0);
            return &mut self.days[place - 1].1;
        }
        &mut self.days[place].1
    }

    /// What it was shown for and spent on a day of the stream.
    pub fn of_day(&self, day: i64) -> Spend {
        self.days.iter().find(|(known, _)| *known == day).map(|(_, spend)| *spend).unwrap_or_default()
    }
}

/// A sponsored item that a click can be charged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chargeable {
    /// The slot.
    pub slot: SponsoredSlot,
    /// Hash of the visitor who was shown it; `None` for an unknown one.
    pub visitor: Option<u64>,
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The campaigns in force.
    document: RuleTexts,
    /// Hashes of those that have a cap.
    capped: BTreeSet<u64>,
    accounts: BTreeMap<Box<str>, Account>,
    /// Answers that the shop's own programs asked for.
    own: Answers,
    /// Answers that published keys asked for.
    published: Answers,
    /// The latest charged clicks, by visitor, campaign and item, and when each arrived.
    charged: Latest<u64, i64>,
    /// The time of the stream as far as campaigns are concerned: the largest `at` of events. Anyone can send events of
    /// published keys with a time ahead of the clock, so theirs count as of their arrival at the latest.
    time: Timestamp,
    /// Its day.
    day: i64,
    /// How often a shopper saw a campaign on this day, by the hashes of both, in answers to the shop's own programs.
    shown_own: Latest<(u64, u64), u16>,
    /// The same in answers to published keys.
    shown_published: Latest<(u64, u64), u16>,
    traffic: Traffic,
}

/// The day of a moment, counted from 1970.
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// Hashes of the campaigns with a cap, of all campaigns as JSON.
fn capped(document: &str) -> BTreeSet<u64> {
    let document: CampaignDocument = serde_json::from_str(document).unwrap_or_default();
    let capped = document.campaigns.iter().filter(|campaign| campaign.per_shopper.is_some());
    capped.map(|campaign| hash(&campaign.id)).collect()
}

/// What makes two clicks the same: the visitor, the campaign and the item.
fn clicked(visitor: u64, campaign: &str, item: &ItemId) -> u64 {
    let hashes = [visitor, hash(campaign), hash(item.as_str())];
    xxh3_64(&hashes.map(u64::to_le_bytes).concat())
}

impl Ledger {
    /// Whether there never was a campaign.
    pub fn is_untouched(&self) -> bool {
        self.document == RuleTexts::default() && self.accounts.is_empty()
    }

    /// The time of the stream by which days of campaigns begin.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Whether an event has told the time of the stream.
    fn has_begun(&self) -> bool {
        self.time > Timestamp(0)
    }

    /// What a campaign was shown for and spent on the current day of the stream; before the first event, on the latest day.
    pub fn today(&self, account: &Account) -> Spend {
        match self.has_begun() {
            true => account.of_day(day_of(self.time.0)),
            false => account.days.last().map(|(_, spend)| *spend).unwrap_or_default(),
        }
    }

    /// When an event happened that arrives now, as far as campaigns are concerned.
    pub fn moment(event: &Event, received_at: Timestamp) -> Timestamp {
        if event.id.is_published() { event.at.min(received_at) } else { event.at }
    }

    /// The campaigns in force as the log has them.
    pub fn document(&self) -> &RuleTexts {
        &self.document
    }

    /// What a replay reaches again even where answers are kept for less time than events: the campaigns, and clicks and
    /// amounts of each.
    pub fn settled(&self) -> impl Serialize + use<> {
        let of = |spend: &Spend| (spend.clicks, spend.amount);
        let is_money = |(_, spend): &&(i64, Spend)| spend.clicks > 0;
        let accounts = self.accounts.iter().filter(|(_, account)| account.total.clicks > 0).map(|(id, account)| {
            let mut days = account.days.iter().filter(is_money).map(|(day, spend)| (*day, of(spend)));
            (id.clone(), of(&account.total), days.next_back())
        });
        (self.document.clone(), accounts.collect::<Vec<_>>())
    }

    /// The account of a campaign; `None` if it was never shown.
    pub fn account(&self, campaign: &str) -> Option<&Account> {
        self.accounts.get(campaign)
    }

    /// All accounts, also of campaigns that are no longer in force.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(id, account)| (&**id, account))
    }

    /// What a campaign spent on a day.
    pub fn spent(&self, campaign: &str, day: i64) -> u64 {
        self.account(campaign).map_or(0, |account| account.of_day(day).amount)
    }

    /// How often a shopper, by [`shopper_hash`](crate::shopper_hash), saw a campaign with a cap on this day of the stream,
    /// as far as it is known.
    pub fn n_shown(&self, shopper: u64, campaign: &str, day: i64) -> u32 {
        if day != self.day {
            return 0;
        }
        let key = (shopper, hash(campaign));
        [&self.shown_own, &self.shown_published]
            .into_iter()
            .filter_map(|shown| shown.get(key))
            .map(|n| u32::from(*n))
            .sum()
    }

    /// What was forgotten because there was too much of it.
    pub fn dropped(&self) -> DroppedOfLedger {
        DroppedOfLedger {
            answers: [self.own.n_dropped, self.published.n_dropped],
            shown: [self.shown_own.n_dropped, self.shown_published.n_dropped],
        }
    }

    /// How much of a daily budget may be spent by this moment of the stream: the share of a day's events that usually
    /// happen by this time of the day.
    pub fn allowance(&self, budget: u64, at_ms: i64) -> u64 {
        self.traffic.part_of(budget, at_ms)
    }

    /// The sponsored slot from which an event that arrives now chose its item, if it can be charged: the answer that it
    /// names showed the item to the same visitor, and this was not charged yet.
    pub fn waiting(&self, event: &Event, received_at: Timestamp) -> Option<Chargeable> {
        let answer = hash(event.recommendation_id.as_deref()?);
        let known = self.own.get(answer).or_else(|| self.published.get(answer))?;
        let item = hash(event.item.as_ref()?.as_str());
        let is_in_time = received_at.0.saturating_sub(known.received_at.0) <= CLICK_WINDOW_MS;
        let is_theirs = is_in_time && known.asker.is_of(event);
        let slot = known.slots.iter().find(|(of, _)| is_theirs && *of == item).map(|(_, slot)| slot.clone())?;
        Some(Chargeable { slot, visitor: known.asker.visitor() })
    }

    /// The same for an answer that is on its way to the log.
    pub fn on_its_way(served: &Served, event: &Event) -> Option<Chargeable> {
        let asker = Asker::of(served);
        if event.recommendation_id.as_deref() != Some(&*served.recommendation_id) || !asker.is_of(event) {
            return None;
        }
        let item = event.item.as_ref()?;
        let slot = served.sponsored.iter().find(|slot| served.items.get(slot.place as usize) == Some(item))?;
        Some(Chargeable { slot: slot.clone(), visitor: asker.visitor() })
    }

    /// Whether a click of a visitor on an item of a campaign was charged within the hour before.
    pub fn was_charged_lately(&self, visitor: u64, campaign: &str, item: &ItemId, received_at: Timestamp) -> bool {
        let at_ms = self.charged.get(clicked(visitor, campaign, item));
        at_ms.is_some_and(|at_ms| received_at.0.saturating_sub(*at_ms) < REPEATED_MS)
    }

    /// Takes in an answer with sponsored items.
    pub(crate) fn serve(&mut self, served: &Served, shopper: Option<u64>, received_at: Timestamp) {
        if served.sponsored.is_empty() {
            return;
        }
        // Before the first event the stream has no time, so the day is that of the answer.
        let day = if self.has_begun() { self.day } else { day_of(received_at.0) };
        let is_published = served.published;
        let mut slots = Vec::with_capacity(served.sponsored.len());
        for slot in &served.sponsored {
            let Some(item) = served.items.get(slot.place as usize) else { continue };
            slots.push((hash(item.as_str()), slot.clone()));
            let account = self.accounts.entry(slot.campaign.clone()).or_default();
            account.total.impressions += 1;
            account.on(day).impressions += 1;
            let campaign = hash(&slot.campaign);
            if let Some(shopper) = shopper.filter(|_| self.capped.contains(&campaign)) {
                let shown = if is_published { &mut self.shown_published } else { &mut self.shown_own };
                let n = shown.entry((shopper, campaign), SHOWN);
                *n = n.saturating_add(1);
            }
        }
        let answers = if is_published { &mut self.published } else { &mut self.own };
        answers.add(hash(&served.recommendation_id), Answer { received_at, asker: Asker::of(served), slots });
    }

    /// Takes in a record about campaigns. One that cannot be read, of another build, changes nothing. `stream_time` is the
    /// largest `at` of all events before it.
    pub(crate) fn take(&mut self, json: &str, since: Offset, received_at: Timestamp, stream_time: Timestamp) {
        if self.is_untouched() {
            self.roll(stream_time.min(received_at));
        }
        match serde_json::from_str(json) {
            Ok(CampaignRecord::Document(document)) => {
                let json = serde_json::to_string(&document).unwrap_or_default();
                self.capped = capped(&json);
                self.document = RuleTexts { json: json.into(), since };
            }
            Ok(CampaignRecord::Charge(charge)) => self.charge(&charge, received_at),
            Ok(CampaignRecord::Invalid(click)) => self.discount(&click),
            Err(_) => {}
        }
    }

    /// Takes the item of an answer from what can be charged for. Returns the visitor who was shown it.
    fn settle(&mut self, answer: &str, item: &ItemId) -> Option<u64> {
        let answer = hash(answer);
        let known = match self.own.get_mut(answer) {
            Some(known) => known,
            None => self.published.get_mut(answer)?,
        };
        let item = hash(item.as_str());
        known.slots.retain(|(of, _)| *of != item);
        known.asker.visitor()
    }

    fn charge(&mut self, charge: &Charge, received_at: Timestamp) {
        if let Some(visitor) = self.settle(&charge.answer, &charge.item) {
            self.charged.forget_while(|at_ms| received_at.0.saturating_sub(*at_ms) >= REPEATED_MS);
            let click = clicked(visitor, &charge.campaign, &charge.item);
            *self.charged.entry(click, CHARGED) = received_at.0;
        }
        let account = self.accounts.entry(charge.campaign.clone()).or_default();
        let add = |spend: &mut Spend| {
            spend.clicks += 1;
            spend.amount = spend.amount.saturating_add(charge.amount);
        };
        add(&mut account.total);
        add(account.on(charge.day));
    }

    fn discount(&mut self, click: &InvalidClick) {
        self.settle(&click.answer, &click.item);
        let account = self.accounts.entry(click.campaign.clone()).or_default();
        account.total.invalid += 1;
        account.on(click.day).invalid += 1;
    }

    /// Takes in that an event happened, which counts towards the usual traffic of its hour if it `is_traffic`.
    pub(crate) fn pass(&mut self, event: &Event, received_at: Timestamp, is_traffic: bool) {
        if self.is_untouched() {
            return;
        }
        let at = Self::moment(event, received_at);
        self.roll(at);
        if is_traffic {
            self.traffic.count(at, self.time);
        }
    }

    /// Begins a new day of the stream when it has come.
    fn roll(&mut self, at: Timestamp) {
        self.time = self.time.max(at);
        let day = day_of(self.time.0);
        if day <= self.day {
            return;
        }
        self.traffic.begin_day();
        self.shown_own.clear();
        self.shown_published.clear();
        self.day = day;
    }
}

/// What the ledger forgot since the beginning of the log because there was too much of it: of the shop's own programs,
/// and of published keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DroppedOfLedger {
    /// Answers that could still have been charged for.
    pub answers: [u64; 2],
    /// Pairs of a shopper and a campaign with a cap that was shown to them today.
    pub shown: [u64; 2],
}
