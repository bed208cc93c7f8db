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
//! **Bounded.** The latest [`WAITING`] answers with sponsored items can be charged for, each for [`CLICK_WINDOW_MS`];
//! frequency caps know [`SHOWN`] pairs of shopper and campaign on one day, and beyond that a campaign with a cap is not
//! shown to further shoppers; of a campaign the latest [`DAYS`] days are kept singly.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{CampaignRecord, Charge, DAY_MS, Event, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Offset, RuleTexts, Served, SponsoredSlot};

/// Answers that can still be charged for, at most.
const WAITING: usize = 32_768;
/// How long after its answer a click is charged, in time of arrival: as long as the click heads wait for a click.
pub const CLICK_WINDOW_MS: i64 = 30 * 60 * 1000;
/// Pairs of a shopper and a campaign that are counted on one day, at most.
const SHOWN: usize = 262_144;
/// Days of a campaign that are kept singly.
const DAYS: usize = 35;
const HOURS: usize = 24;
/// Events that each hour is taken to have beside those that it had.
const PRIOR: u64 = 5;

/// What a campaign was shown for and what it spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Answers in which an item of it stood.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// What the clicks cost, in minor units.
    pub amount: u64,
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

/// Hashes of those who asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Asker {
    user: Option<u64>,
    session: Option<u64>,
}

impl Asker {
    fn of(served: &Served) -> Self {
        let user = served.user.as_ref().map(|user| hash(user.as_str()));
        Self { user, session: served.session.as_ref().map(|session| hash(session.as_str())) }
    }

    /// Whether an event can be of them. Ids of answers can be guessed, and a published key can name any user: its events
    /// are those of a session, and of nobody where the answer has none.
    fn is_of(self, event: &Event) -> bool {
        let is_session = self.session.is_some() && self.session == event.session.as_ref().map(|id| hash(id.as_str()));
        let is_user = self.user.is_some() && self.user == event.user.as_ref().map(|id| hash(id.as_str()));
        is_session || (!event.id.is_published() && (is_user || self == Self::default()))
    }
}

/// An answer whose sponsored items can be charged for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    received_at: Timestamp,
    asker: Asker,
    /// Those that were not charged yet, each with the hash of its item.
    slots: Vec<(u64, SponsoredSlot)>,
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The campaigns in force.
    document: RuleTexts,
    accounts: BTreeMap<Box<str>, Account>,
    /// Answers by the hash of their ids.
    waiting: BTreeMap<u64, Answer>,
    /// Their hashes in the order of the answers.
    order: VecDeque<u64>,
    /// The day of the stream.
    day: i64,
    /// How often a shopper saw a campaign on this day, by the hashes of both.
    shown: BTreeMap<(u64, u64), u16>,
    /// Events of this day by the hour, and of the days before it, of which each counts half of the next.
    hours: [[u64; HOURS]; 2],
}

/// The day of a moment, counted from 1970.
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

impl Ledger {
    /// Whether there never was a campaign.
    pub fn is_untouched(&self) -> bool {
        self.document == RuleTexts::default() && self.accounts.is_empty()
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

    /// How often a shopper, by [`shopper_hash`](crate::shopper_hash), saw a campaign on this day of the stream; `None` if
    /// no further shopper can be counted today.
    pub fn n_shown(&self, shopper: u64, campaign: &str, day: i64) -> Option<u32> {
        if day != self.day {
            return Some(0);
        }
        match self.shown.get(&(shopper, hash(campaign))) {
            Some(n) => Some(u32::from(*n)),
            None => (self.shown.len() < SHOWN).then_some(0),
        }
    }

    /// How much of a daily budget may be spent by this moment of the stream: the share of a day's events that usually
    /// happen by this time of the day.
    pub fn allowance(&self, budget: u64, at_ms: i64) -> u64 {
        let weight = |hour: usize| self.hours[1][hour] + PRIOR;
        let of_day = at_ms.rem_euclid(DAY_MS);
        let (hour, within) = ((of_day / (DAY_MS / HOURS as i64)) as usize, of_day % (DAY_MS / HOURS as i64));
        let whole: u64 = (0..hour).map(weight).sum();
        let all: u64 = (0..HOURS).map(weight).sum();
        let hour_ms = (DAY_MS / HOURS as i64) as u128;
        let elapsed = u128::from(whole) * hour_ms + u128::from(weight(hour)) * within as u128;
        // At most the budget, because what elapsed is less than all.
        (u128::from(budget) * elapsed / (u128::from(all) * hour_ms)) as u64
    }

    /// The sponsored slot from which an event that arrives now chose its item, if it can be charged: the answer that it
    /// names showed the item to the same visitor, and this was not charged yet.
    pub fn waiting(&self, event: &Event, received_at: Timestamp) -> Option<&SponsoredSlot> {
        let known = self.waiting.get(&hash(event.recommendation_id.as_deref()?))?;
        let item = hash(event.item.as_ref()?.as_str());
        let is_in_time = received_at.0.saturating_sub(known.received_at.0) <= CLICK_WINDOW_MS;
        let is_theirs = is_in_time && known.asker.is_of(event);
        known.slots.iter().find(|(of, _)| is_theirs && *of == item).map(|(_, slot)| slot)
    }

    /// The same for an answer that is on its way to the log.
    pub fn on_its_way<'s>(served: &'s Served, event: &Event) -> Option<&'s SponsoredSlot> {
        let is_theirs =
            event.recommendation_id.as_deref() == Some(&*served.recommendation_id) && Asker::of(served).is_of(event);
        let item = event.item.as_ref();
        let mut slots = served.sponsored.iter();
        slots.find(|slot| is_theirs && item.is_some() && served.items.get(slot.place as usize) == item)
    }

    /// Takes in an answer with sponsored items.
    pub(crate) fn serve(&mut self, served: &Served, shopper: Option<u64>, received_at: Timestamp, at: Timestamp) {
        if served.sponsored.is_empty() {
            return;
        }
        self.roll(at);
        let day = day_of(at.0);
        let mut slots = Vec::with_capacity(served.sponsored.len());
        for slot in &served.sponsored {
            let Some(item) = served.items.get(slot.place as usize) else { continue };
            slots.push((hash(item.as_str()), slot.clone()));
            let account = self.accounts.entry(slot.campaign.clone()).or_default();
            account.total.impressions += 1;
            account.on(day).impressions += 1;
            if let Some(shopper) = shopper {
                let key = (shopper, hash(&slot.campaign));
                if self.shown.len() < SHOWN || self.shown.contains_key(&key) {
                    let n = self.shown.entry(key).or_default();
                    *n = n.saturating_add(1);
                }
            }
        }
        let answer = hash(&served.recommendation_id);
        if self.waiting.insert(answer, Answer { received_at, asker: Asker::of(served), slots }).is_none() {
            self.order.push_back(answer);
        }
        while let Some(oldest) = self.order.front()
            && (self.order.len() > WAITING || self.is_over(*oldest, received_at))
        {
            self.waiting.remove(oldest);
            self.order.pop_front();
        }
    }

    fn is_over(&self, answer: u64, now: Timestamp) -> bool {
        let known = self.waiting.get(&answer);
        known.is_none_or(|known| now.0.saturating_sub(known.received_at.0) > CLICK_WINDOW_MS)
    }

    /// Takes in a record about campaigns. One that cannot be read, of another build, changes nothing.
    pub(crate) fn take(&mut self, json: &str, since: Offset) {
        match serde_json::from_str(json) {
            Ok(CampaignRecord::Document(document)) => {
                let json = serde_json::to_string(&document).unwrap_or_default();
                self.document = RuleTexts { json: json.into(), since };
            }
            Ok(CampaignRecord::Charge(charge)) => self.charge(&charge),
            Err(_) => {}
        }
    }

    fn charge(&mut self, charge: &Charge) {
        if let Some(answer) = self.waiting.get_mut(&hash(&charge.answer)) {
            let item = hash(charge.item.as_str());
            answer.slots.retain(|(of, _)| *of != item);
        }
        let account = self.accounts.entry(charge.campaign.clone()).or_default();
        let add = |spend: &mut Spend| {
            spend.clicks += 1;
            spend.amount = spend.amount.saturating_add(charge.amount);
        };
        add(&mut account.total);
        add(account.on(charge.day));
    }

    /// Takes in that an event happened, which counts towards the usual traffic of its hour.
    pub(crate) fn pass(&mut self, at: Timestamp) {
        if self.is_untouched() {
            return;
        }
        self.roll(at);
        self.hours[0][(at.0.rem_euclid(DAY_MS) / (DAY_MS / HOURS as i64)) as usize] += 1;
    }

    /// Begins a new day of the stream when it has come.
    fn roll(&mut self, at: Timestamp) {
        let day = day_of(at.0);
        if day <= self.day {
            return;
        }
        let [today, usual] = &mut self.hours;
        if today.iter().any(|&n| n > 0) {
            usual.iter_mut().zip(today.iter()).for_each(|(usual, today)| *usual = (*usual + today) / 2);
        }
        *today = [0; HOURS];
        self.shown.clear();
        self.day = day;
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Campaign, CampaignDocument, EventType};
    use accrue_kernel::Draws;

    use super::*;
    use crate::Page;

    const HOUR_MS: i64 = DAY_MS / HOURS as i64;

    fn document() -> String {
        let campaign = Campaign {
            id: "spring".into(),
            items: vec!["mug".into()],
            filter: None,
            bid: 50,
            daily_budget: 5_000,
            scenes: Vec::new(),
            categories: Vec::new(),
            queries: Vec::new(),
            shoppers: None,
            per_shopper: None,
            quality_floor: None,
            from: None,
            until: None,
        };
        let document = CampaignDocument { campaigns: vec![campaign], ..CampaignDocument::default() };
        serde_json::to_string(&CampaignRecord::Document(document)).unwrap()
    }

    fn served(id: &str, price: u64) -> Served {
        Served {
            recommendation_id: id.into(),
            page: Page::Recommend,
            user: None,
            session: None,
            version: 1,
            learned: Offset(0),
            first_position: 0,
            items: vec!["cup".into(), "mug".into()],
            propensities: Vec::new(),
            arm: None,
            ranks: Vec::new(),
            asked: Box::default(),
            sponsored: vec![SponsoredSlot { place: 1, campaign: "spring".into(), price }],
        }
    }

    fn charge(answer: &str, amount: u64, day: i64) -> String {
        let (campaign, answer, item) = ("spring".into(), answer.into(), "mug".into());
        serde_json::to_string(&CampaignRecord::Charge(Charge { campaign, answer, item, price: amount, amount, day }))
            .unwrap()
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.take(&document(), Offset(1));
        ledger
    }

    fn click(answer: &str, item: &str) -> Event {
        Event {
            id: "e1".into(),
            event_type: EventType::Click,
            user: None,
            session: None,
            item: Some(item.into()),
            at: Timestamp(0),
            value: 1.0,
            quantity: 1,
            price: None,
            query: None,
            source: None,
            recommendation_id: Some(answer.into()),
            position: None,
            properties: Default::default(),
        }
    }

    #[test]
    fn a_click_is_charged_for_the_visitor_who_was_shown_the_item() {
        let mut ledger = ledger();
        let to_ann = Served { user: Some("ann".into()), session: Some("s1".into()), ..served("ann", 45) };
        let to_guest = Served { session: Some("s1".into()), ..served("guest", 45) };
        let all = [to_ann, to_guest, served("nobody", 45)];
        all.iter().for_each(|served| ledger.serve(served, None, Timestamp(0), Timestamp(0)));
        let by = |answer: &str, id: &str, user: Option<&str>, session: Option<&str>| {
            let (user, session) = (user.map(Into::into), session.map(Into::into));
            let event = Event { id: id.into(), user, session, ..click(answer, "mug") };
            let is_charged = ledger.waiting(&event, Timestamp(0)).is_some();
            assert_eq!(all.iter().any(|served| Ledger::on_its_way(served, &event).is_some()), is_charged, "{event:?}");
            is_charged
        };
        let (own, web) = ("e1", "@publish:web:e1");
        assert!(by("ann", own, Some("ann"), None) && by("ann", own, Some("other"), Some("s1")));
        assert!(!by("ann", own, Some("other"), Some("s2")) && !by("ann", own, None, None));
        assert!(by("guest", web, None, Some("s1")) && by("ann", web, None, Some("s1")));
        assert!(!by("guest", web, None, Some("s2")) && !by("ann", web, Some("ann"), Some("s2")));
        assert!(by("nobody", own, Some("bob"), None), "the shop's own event, of an answer to an unknown visitor");
        assert!(!by("nobody", web, None, Some("s9")), "anybody could have guessed the answer's id");
    }

    #[test]
    fn a_shown_item_waits_for_its_click_and_is_charged_once() {
        let mut ledger = ledger();
        let now = Timestamp(DAY_MS);
        let mug = |answer: &str| click(answer, "mug");
        ledger.serve(&served("r1", 45), Some(7), now, now);
        assert_eq!(ledger.waiting(&mug("r1"), now).map(|slot| slot.price), Some(45));
        assert!(ledger.waiting(&click("r1", "cup"), now).is_none(), "the other item is not sponsored");
        assert!(ledger.waiting(&mug("r2"), now).is_none());
        assert!(ledger.waiting(&mug("r1"), Timestamp(now.0 + CLICK_WINDOW_MS + 1)).is_none());
        ledger.take(&charge("r1", 45, 1), Offset(3));
        assert!(ledger.waiting(&mug("r1"), now).is_none());
        let account = ledger.account("spring").unwrap();
        assert_eq!(account.total, Spend { impressions: 1, clicks: 1, amount: 45 });
        assert_eq!((ledger.spent("spring", 1), ledger.spent("spring", 2)), (45, 0));
        assert_eq!((ledger.n_shown(7, "spring", 1), ledger.n_shown(8, "spring", 1)), (Some(1), Some(0)));
    }

    #[test]
    fn a_new_day_begins_the_caps_again_and_keeps_the_amounts() {
        let mut ledger = ledger();
        ledger.serve(&served("r1", 45), Some(7), Timestamp(0), Timestamp(DAY_MS));
        ledger.take(&charge("r1", 45, 1), Offset(3));
        ledger.pass(Timestamp(2 * DAY_MS));
        assert_eq!((ledger.n_shown(7, "spring", 2), ledger.spent("spring", 1)), (Some(0), 45));
        for day in 2..60 {
            ledger.take(&charge("later", 1, day), Offset(4));
        }
        let account = ledger.account("spring").unwrap();
        assert_eq!((account.days.len(), account.total.amount), (DAYS, 45 + 58));
        assert!(account.days.is_sorted_by_key(|(day, _)| *day));
    }

    #[test]
    fn answers_that_wait_are_bounded_and_end() {
        let mut ledger = ledger();
        for n in 0..WAITING + 10 {
            ledger.serve(&served(&format!("r{n}"), 1), None, Timestamp(0), Timestamp(0));
        }
        assert_eq!((ledger.waiting.len(), ledger.order.len()), (WAITING, WAITING));
        ledger.serve(&served("late", 1), None, Timestamp(CLICK_WINDOW_MS + 1), Timestamp(0));
        assert_eq!(ledger.waiting.len(), 1);
        // The same id again.
        ledger.serve(&served("late", 2), None, Timestamp(CLICK_WINDOW_MS + 1), Timestamp(0));
        assert_eq!((ledger.waiting.len(), ledger.order.len()), (1, 1));
    }

    #[test]
    fn records_that_cannot_be_read_change_nothing() {
        let mut ledger = ledger();
        let before = ledger.clone();
        for json in ["", "{}", r#"{"later":{}}"#, r#"{"charge":{"amount":-1}}"#] {
            ledger.take(json, Offset(9));
        }
        assert_eq!(ledger, before);
    }

    #[test]
    fn the_allowance_follows_the_usual_traffic_of_the_day_and_never_exceeds_the_budget() {
        let mut ledger = ledger();
        assert_eq!(ledger.allowance(2_400, 6 * HOUR_MS), 600, "evenly, while nothing is known");
        // Three days with all events between 18 and 21 o'clock.
        for day in 1..4 {
            for n in 0..3_000 {
                ledger.pass(Timestamp(day * DAY_MS + 18 * HOUR_MS + n * 3_600));
            }
        }
        ledger.pass(Timestamp(4 * DAY_MS));
        let by = |hour: i64| ledger.allowance(10_000, 4 * DAY_MS + hour * HOUR_MS);
        assert!(by(18) < 600 && by(21) > 9_700, "{} {}", by(18), by(21));
        assert!((0..24).map(by).is_sorted());
        assert!(ledger.allowance(u64::MAX >> 8, DAY_MS - 1) <= u64::MAX >> 8);
    }

    /// A shop's day: visitors come by the hour, a page has the campaign while its pacing lets it take part, and some
    /// click.
    #[test]
    fn a_simulated_day_spends_the_budget_over_the_whole_day_and_never_more() {
        const BUDGET: u64 = 5_000;
        let traffic =
            |hour: usize| [1, 1, 1, 1, 1, 2, 4, 6, 8, 10, 11, 12, 12, 12, 11, 11, 12, 14, 16, 18, 18, 14, 8, 3][hour];
        let mut ledger = ledger();
        let mut draws = Draws::new(3, 4, 0);
        let mut by_hour = [[0_u64; HOURS]; 6];
        for (day, by_hour) in (0..).zip(&mut by_hour) {
            for (hour, settled) in by_hour.iter_mut().enumerate() {
                let n = 20 * traffic(hour);
                for visitor in 0..n {
                    let now = Timestamp(day * DAY_MS + hour as i64 * HOUR_MS + HOUR_MS * visitor / n);
                    ledger.pass(now);
                    let spent = ledger.spent("spring", day);
                    if spent > 0 && spent >= ledger.allowance(BUDGET, now.0) {
                        continue;
                    }
                    let (id, price) = (format!("{day}-{hour}-{visitor}"), 30 + draws.below(21));
                    ledger.serve(&served(&id, price), None, now, now);
                    if draws.below(10) == 0 {
                        let amount = price.min(BUDGET - spent);
                        ledger.take(&charge(&id, amount, day), Offset(9));
                        *settled += amount;
                    }
                }
            }
        }
        let whole: u64 = (0..HOURS).map(|hour| traffic(hour) as u64).sum();
        for (day, by_hour) in by_hour.iter().enumerate() {
            let spent: u64 = by_hour.iter().sum();
            assert!((BUDGET * 9 / 10..=BUDGET).contains(&spent), "day {day}: {spent}");
            assert_eq!(spent, ledger.spent("spring", day as i64));
        }
        // From the third day on, each quarter of the day has its part of the traffic of the money.
        for by_hour in &by_hour[2..] {
            let spent: u64 = by_hour.iter().sum();
            for quarter in 0..4 {
                let hours = 6 * quarter..6 * quarter + 6;
                let money = by_hour[hours.clone()].iter().sum::<u64>() as f64 / spent as f64;
                let usual = hours.map(|hour| traffic(hour) as u64).sum::<u64>() as f64 / whole as f64;
                assert!(
                    (money - usual).abs() < 0.08,
                    "quarter {quarter}: {money:.3} of the money, {usual:.3} of the traffic"
                );
            }
        }
    }
}
