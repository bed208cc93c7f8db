//! The account of draws: clicks on answers whose first places were drawn by chance, beside clicks on the others.
//!
//! In: answers and events, in log order. Out: for each day how many first pages of either kind there were, and the
//! clicks on them. Whether an answer is drawn is decided by a hash of its id, so both kinds are samples of the same
//! answers, and the difference is what draws cost, which `model/src/draw_budget.rs` bounds. It is a fold of the facts.
//! Counting begins with the first draw, so a shop without draws has no account. Answers of an experiment's arms do not
//! count: they have shares of their own. Neither do answers to a published key: anyone can ask for them and click on what
//! they like, so their clicks do not tell what draws cost.
//!
//! **Bounded.** The latest [`WAITING`] answers can be clicked, each for [`CLICK_WINDOW_MS`]; of one answer
//! [`MAX_CLICKS`] clicks count; the latest [`DAYS`] days are kept.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{Event, EventType, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ledger::{CLICK_WINDOW_MS, day_of};
use crate::{Page, Served};

/// Answers that can still be clicked, at most.
const WAITING: usize = 65_536;
/// Clicks that count of one answer.
pub const MAX_CLICKS: u8 = 3;
/// Days that are kept.
pub const DAYS: usize = 366;

/// Answers of one kind on one day, and the clicks on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clicked {
    /// Answers.
    pub answers: u64,
    /// Clicks on them.
    pub clicks: u64,
    /// The sum of the squares of each answer's clicks.
    pub squares: u64,
}

impl std::ops::Add for Clicked {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            answers: self.answers + other.answers,
            clicks: self.clicks + other.clicks,
            squares: self.squares + other.squares,
        }
    }
}

/// The answers of one day by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawDay {
    /// The day, counted from 1970.
    pub day: i64,
    /// Answers whose first places were drawn.
    pub drawn: Clicked,
    /// First pages that could have been drawn and were not.
    pub others: Clicked,
}

impl DrawDay {
    fn of(&mut self, is_drawn: bool) -> &mut Clicked {
        if is_drawn { &mut self.drawn } else { &mut self.others }
    }
}

/// An answer that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    received_at: Timestamp,
    is_drawn: bool,
    n_clicks: u8,
}

/// The account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawAccount {
    /// In order.
    days: VecDeque<DrawDay>,
    /// By the hash of the answer's id.
    waiting: BTreeMap<u64, Answer>,
    /// Their hashes in the order of the answers.
    order: VecDeque<u64>,
}

impl DrawAccount {
    /// Whether no answer was ever drawn.
    pub fn is_untouched(&self) -> bool {
        self.days.is_empty()
    }

    /// The days that are kept, the latest last.
    pub fn days(&self) -> impl DoubleEndedIterator<Item = &DrawDay> {
        self.days.iter()
    }

    /// The days of the window of `n_days` that the latest day belongs to. Windows follow each other without a gap,
    /// counted from 1970.
    pub fn window(&self, n_days: i64) -> impl Iterator<Item = &DrawDay> + Clone {
        let window_of = move |day: &DrawDay| day.day.div_euclid(n_days.max(1));
        let latest = self.days.back().map(window_of);
        self.days.iter().filter(move |day| Some(window_of(day)) == latest)
    }

    /// The days of the window of `n_days` that a moment belongs to.
    pub fn window_at(&self, n_days: i64, at: Timestamp) -> impl Iterator<Item = &DrawDay> + Clone {
        let window_of = move |day: i64| day.div_euclid(n_days.max(1));
        let window = window_of(day_of(at.0));
        self.days.iter().filter(move |day| window_of(day.day) == window)
    }

    /// Takes in an answer.
    pub fn serve(&mut self, served: &Served, received_at: Timestamp) {
        if !served.published {
            self.count(served, !served.propensities.is_empty(), received_at);
        }
    }

    /// Takes in an answer of one of the two kinds that are compared.
    pub(crate) fn count(&mut self, served: &Served, is_drawn: bool, received_at: Timestamp) {
        let counts = served.page == Page::Recommend
            && served.first_position == 0
            && served.items.len() >= 2
            && served.sponsored.is_empty()
            && served.arm.is_none();
        if !counts || (self.is_untouched() && !is_drawn) {
            return;
        }
        let hash = xxh3_64(served.recommendation_id.as_bytes());
        if self.waiting.insert(hash, Answer { received_at, is_drawn, n_clicks: 0 }).is_none() {
            self.order.push_back(hash);
            self.on(received_at).of(is_drawn).answers += 1;
        }
        while let Some(oldest) = self.order.front()
            && (self.order.len() > WAITING || self.is_over(*oldest, received_at))
        {
            self.waiting.remove(oldest);
            self.order.pop_front();
        }
    }

    /// Takes in an event. A click on an answer counts for the day of the answer.
    pub fn observe(&mut self, event: &Event, received_at: Timestamp) {
        let Some(id) = event.recommendation_id.as_deref().filter(|_| event.event_type == EventType::Click) else {
            return;
        };
        let hash = xxh3_64(id.as_bytes());
        if self.is_over(hash, received_at) {
            return;
        }
        let Some(answer) = self.waiting.get_mut(&hash).filter(|answer| answer.n_clicks < MAX_CLICKS) else { return };
        answer.n_clicks += 1;
        let Answer { received_at: answered_at, is_drawn, n_clicks } = *answer;
        let of = self.on(answered_at).of(is_drawn);
        of.clicks += 1;
        of.squares += 2 * u64::from(n_clicks) - 1;
    }

    fn is_over(&self, answer: u64, now: Timestamp) -> bool {
        let known = self.waiting.get(&answer);
        known.is_none_or(|known| now.0.saturating_sub(known.received_at.0) > CLICK_WINDOW_MS)
    }

    /// The day of a moment. The clock of a server may go back, but not behind what is kept.
    fn on(&mut self, at: Timestamp) -> &mut DrawDay {
        let day = day_of(at.0);
        let mut place = self.days.partition_point(|known| known.day < day);
        if self.days.get(place).is_none_or(|known| known.day != day) {
            self.days.insert(place, DrawDay { day, ..DrawDay::default() });
        }
        if self.days.len() > DAYS {
            self.days.pop_front();
            place = place.saturating_sub(1);
        }
        &mut self.days[place]
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::DAY_MS;

    use super::*;
    use crate::SponsoredSlot;

    fn served(id: &str, is_drawn: bool) -> Served {
        Served {
            version: 1,
            items: vec!["mug".into(), "cup".into()],
            propensities: if is_drawn { vec![0.5, 1.0] } else { Vec::new() },
            ..Served::bare(id.into(), Page::Recommend)
        }
    }

    fn event(event_type: EventType, of: &str) -> Event {
        Event {
            user: Some("ann".into()),
            item: Some("mug".into()),
            recommendation_id: Some(of.into()),
            ..Event::bare("e1".into(), event_type, Timestamp(0))
        }
    }

    fn counts(of: Clicked) -> [u64; 3] {
        [of.answers, of.clicks, of.squares]
    }

    #[test]
    fn clicks_count_for_the_kind_and_the_day_of_their_answer() {
        let mut account = DrawAccount::default();
        account.serve(&served("before", false), Timestamp(1));
        assert!(account.is_untouched(), "nothing was drawn yet");
        let night = Timestamp(DAY_MS - 1);
        account.serve(&served("a", true), night);
        account.serve(&served("b", false), night);
        account.serve(&served("b", false), night);
        for (kind, of, after_ms) in [
            (EventType::Click, "a", 2),
            (EventType::Click, "b", 2),
            (EventType::Click, "b", 3),
            (EventType::Purchase, "a", 3),
            (EventType::Click, "unknown", 3),
            (EventType::Click, "a", CLICK_WINDOW_MS + 1),
        ] {
            account.observe(&event(kind, of), Timestamp(night.0 + after_ms));
        }
        let day = *account.days().next().unwrap();
        assert_eq!((day.day, counts(day.drawn), counts(day.others)), (0, [1, 1, 1], [1, 2, 4]));
        (0..9).for_each(|_| account.observe(&event(EventType::Click, "b"), night));
        assert_eq!(counts(account.days().next().unwrap().others), [1, 3, 9], "three of one answer");
    }

    #[test]
    fn answers_that_no_draw_could_have_reached_do_not_count() {
        let mut account = DrawAccount::default();
        account.serve(&served("first", true), Timestamp(0));
        let other = |id: &str| served(id, false);
        let arm = crate::Assignment { experiment: "x".into(), arm: "y".into() };
        let slot = SponsoredSlot { place: 0, campaign: "spring".into(), price: 45 };
        for served in [
            Served { page: Page::Search { query: "mug".into() }, ..other("1") },
            Served { first_position: 10, ..other("2") },
            Served { items: vec!["mug".into()], ..other("3") },
            Served { arm: Some(arm), ..other("4") },
            Served { sponsored: vec![slot], ..other("5") },
            Served { published: true, ..other("6") },
            Served { published: true, ..served("7", true) },
        ] {
            account.serve(&served, Timestamp(1));
        }
        let day = account.days().next().unwrap();
        assert_eq!((counts(day.drawn), counts(day.others)), ([1, 0, 0], [0, 0, 0]));
    }

    #[test]
    fn days_and_answers_are_bounded_and_windows_follow_each_other() {
        let mut account = DrawAccount::default();
        for day in 0..500 {
            account.serve(&served(&format!("d{day}"), true), Timestamp(day * DAY_MS));
        }
        assert_eq!((account.days().count(), account.days().next().unwrap().day), (DAYS, 134));
        assert_eq!(account.window(30).map(|day| day.day).collect::<Vec<_>>(), (480..500).collect::<Vec<_>>());
        account.serve(&served("late", true), Timestamp(3 * DAY_MS));
        assert_eq!(account.days().count(), DAYS);
        for n in 0..70_000 {
            account.serve(&served(&format!("n{n}"), false), Timestamp(500 * DAY_MS));
        }
        assert_eq!((account.waiting.len(), account.order.len()), (WAITING, WAITING));
    }
}
