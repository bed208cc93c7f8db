//! The state of an engine as counters and figures: what `/readyz`, `/metrics` and `/v1/quality` show.

use std::collections::BTreeMap;

use accrue_event::Timestamp;
use accrue_model::ranker::{HEADS, HeadFigures};
use accrue_model::{DrawCost, MemberReport, Version};
use accrue_store::{
    Clicked, DrawAccount, DrawDay, DroppedOfLedger, Facts, InertReason, PublishedCounts, SatisfactionCounts,
};
use accrue_train::{Quality, Tally};
use serde::Serialize;

use crate::challenger::status::ChallengerStatus;
use accrue_store::RankingReport;

use crate::clock::{ahead_s, now};
use crate::content::ContentStatus;
use crate::page_work::StageStatus;
use crate::traffic::{ExploreSettings, NewProductsSettings, ServeConfig};
use crate::versions::Versions;

/// The state of an engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Records in the log.
    pub log_end: u64,
    /// Records the published version has learned from.
    pub learned: u64,
    /// Number of the published version.
    pub version: u64,
    /// Why the writer is poisoned, if it is.
    pub poisoned: Option<String>,
    /// How far the newest event is ahead of the clock, in seconds, if by more than an hour: the clock was ahead, or is behind
    /// now. What is counted from the newest event, such as trends and days of campaigns, waits for it.
    pub ahead_s: Option<u64>,
    /// What stopped the learner, if something did.
    pub learner_failed: Option<String>,
    /// The newest checkpoint.
    pub checkpoint: CheckpointStatus,
    /// Seconds since it was written.
    pub checkpoint_age_s: Option<f64>,
    /// The search index.
    pub search: IndexStatus,
    /// The encoder of items' texts.
    pub content: ContentStatus,
    /// What choices after searches taught about the order of hits.
    pub search_ranking: RankingReport,
    /// Why people who are to be forgotten are not yet forgotten, if the last attempt failed.
    pub erasure_failed: Option<String>,
    /// Items in the catalogue (described or met in events).
    pub n_items: u64,
    /// Items that the catalogue described, retired ones included.
    pub n_described: u64,
    /// Items that only events name, and that are not retired.
    pub n_unknown: u64,
    /// Users and guests known.
    pub n_shoppers: u64,
    /// Records in quarantine now.
    pub n_quarantined: u64,
    /// Events taken in as sent.
    pub accepted: u64,
    /// Events by repair code.
    pub repairs: BTreeMap<String, u64>,
    /// Refusals by reason code.
    pub reasons: BTreeMap<String, u64>,
    /// Events not kept because their id was known.
    pub duplicates: u64,
    /// What came with published keys.
    pub published: PublishedStatus,
    /// What was forgotten of campaigns because there was too much of it.
    pub campaigns_dropped: DroppedOfLedger,
    /// Pages of recommendations made since the start.
    pub pages: u64,
    /// What each stage did for them.
    pub stages: Vec<StageStatus>,
    /// Answers that were to be recorded and could not, since the start.
    pub served_lost: u64,
    /// Choices that were not learned, because their shopper had made the same choice too often on that day.
    pub repeats_passed: u64,
    /// What the members report of their own work, in the order of their registry.
    pub members: Vec<MemberReport>,
    /// The click heads, where they have learned.
    pub clicks: Option<ClickStatus>,
    /// How content shoppers are with what they chose: since the log began, and in the latest week of the stream.
    pub satisfaction: [SatisfactionCounts; 2],
    /// What draws cost, where first places were drawn.
    pub draws: Option<DrawStatus>,
    /// What new products cost, where one could have stood on an answer.
    pub new_products: Option<DrawStatus>,
    /// Bytes copied by publications, per event learned.
    pub copied_bytes_per_event: f64,
    /// Prequential quality: predictions made before learning.
    pub quality: Quality,
    /// Arms with models of their own, in the order of `quality.arms`.
    pub arms: Vec<String>,
    /// The current model compared with the last good version.
    pub guard: GuardStatus,
    /// The challenger, and the verdicts on those before it.
    pub challenger: ChallengerStatus,
}

impl Status {
    /// What the status says of the facts; the rest is empty.
    pub(crate) fn of_facts(facts: &Facts, serve: &ServeConfig) -> Self {
        let counts = |counts: &BTreeMap<Box<str>, u64>| counts.iter().map(|(code, n)| (code.to_string(), *n)).collect();
        Self {
            log_end: facts.end.0,
            ahead_s: ahead_s(facts.stream_time),
            search_ranking: facts.search_ranking.report(),
            n_items: facts.items.len() as u64,
            n_described: facts.overview().n_described(),
            n_unknown: facts.overview().n_unknown(),
            n_shoppers: facts.shoppers.len() as u64,
            n_quarantined: facts.quarantine.len() as u64,
            accepted: facts.counters.accepted,
            repairs: counts(&facts.counters.repairs),
            reasons: counts(&facts.counters.quarantined),
            duplicates: facts.duplicates[0] + facts.duplicates[1],
            published: PublishedStatus::of(&facts.published),
            campaigns_dropped: facts.ledger.dropped(),
            satisfaction: [*facts.satisfaction.total(), facts.satisfaction.latest(7)],
            draws: DrawStatus::of(&serve.explore, &facts.draws),
            new_products: DrawStatus::of_new(&serve.new_products, &facts.new_products.trial),
            ..Self::default()
        }
    }
}

/// The click heads: how many impressions they learned from, and how well each predicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClickStatus {
    /// Impressions learned.
    pub n_learned: u64,
    /// Impressions that wait for what follows them.
    pub n_waiting: u64,
    /// Impressions that were not learned from, because too many waited.
    pub n_left_out: u64,
    /// What each head predicts, how many impressions were followed by it, and how well it predicted over about the last
    /// 30,000.
    pub heads: Vec<(&'static str, u64, HeadFigures)>,
}

impl ClickStatus {
    /// Of a version; `None` if its heads have learned nothing.
    pub(crate) fn of(version: &Version, [n_waiting, n_left_out]: [u64; 2]) -> Option<Self> {
        let heads = version.clicks.as_ref().filter(|heads| heads.n_learned() > 0)?;
        let each = HEADS.into_iter().zip(heads.n_followed()).zip(heads.quality());
        let each = each.map(|((name, n_followed), quality)| (name, n_followed, quality.figures()));
        Some(Self { n_learned: heads.n_learned(), n_waiting, n_left_out, heads: each.collect() })
    }
}

/// Answers whose first places were drawn, those beside them that were not, and what the draws cost in clicks: of the
/// current window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawStatus {
    /// Answers that were drawn.
    pub drawn: Clicked,
    /// First pages that could have been drawn.
    pub others: Clicked,
    /// Clicks that the draws cost.
    pub cost: DrawCost,
    /// Clicks that they may cost.
    pub budget: Option<f64>,
    /// Whether nothing is drawn any more in this window.
    pub is_spent: bool,
}

impl DrawStatus {
    /// Of an account; `None` if nothing was ever drawn.
    pub(crate) fn of(explore: &ExploreSettings, account: &DrawAccount) -> Option<Self> {
        if account.is_untouched() {
            return None;
        }
        Some(Self::of_days(explore, account.window(explore.budget_days.into())))
    }

    fn of_days<'d>(explore: &ExploreSettings, days: impl Iterator<Item = &'d DrawDay> + Clone) -> Self {
        let (mut drawn, mut others) = (Clicked::default(), Clicked::default());
        for day in days.clone() {
            drawn = drawn + day.drawn;
            others = others + day.others;
        }
        let cost = DrawCost::of(days);
        Self { drawn, others, cost, budget: explore.budget, is_spent: explore.is_spent(cost) }
    }

    /// Of the account of new products in the window of this moment; `None` if none could ever have stood on an answer.
    pub(crate) fn of_new(settings: &NewProductsSettings, account: &DrawAccount) -> Option<Self> {
        let budget = (settings.budget > 0.0).then_some(settings.budget);
        let explore = ExploreSettings { budget, budget_days: settings.budget_days, ..ExploreSettings::default() };
        let window = account.window_at(settings.budget_days.into(), now());
        (!account.is_untouched()).then(|| Self::of_days(&explore, window))
    }
}

/// What published keys caused so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PublishedStatus {
    /// Guests who are known from their events alone.
    pub shoppers: u64,
    /// Those of them that became known within 30 days, of which there may be `check.published.max_shoppers`.
    pub places: u64,
    /// Events that are kept and have no effect, by reason.
    pub inert: BTreeMap<String, u64>,
    /// Refused records that were counted and not put into quarantine.
    pub refusals_counted: u64,
}

impl PublishedStatus {
    pub(crate) fn of(counts: &PublishedCounts) -> Self {
        let inert = |why: InertReason| (why.name().to_owned(), counts.inert.get(&why).copied().unwrap_or(0));
        Self {
            shoppers: counts.n_shoppers,
            places: counts.n_places(now()),
            inert: InertReason::ALL.iter().map(|why| inert(*why)).collect(),
            refusals_counted: counts.n_counted,
        }
    }
}

/// The newest checkpoint, from which the next start goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointStatus {
    /// It includes what was learned from the records before this one; `None` if there is no checkpoint.
    pub covered: Option<u64>,
    /// When it was written.
    pub written_at: Option<Timestamp>,
    /// Why the last attempt to write one failed, if it did. It is repeated after increasing waits.
    pub failed: Option<String>,
}

/// The search index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexStatus {
    /// What it is doing.
    pub state: IndexState,
    /// Why it failed last, if it did since the start.
    pub last_error: Option<String>,
    /// How often it failed since the start.
    pub failures: u64,
    /// When changes of the catalogue last became visible to searches.
    pub committed_at: Option<Timestamp>,
}

impl IndexStatus {
    pub(crate) fn fail(&mut self, why: String) {
        self.state = IndexState::Failed;
        self.last_error = Some(why);
        self.failures += 1;
    }
}

/// What the search index is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// It follows the catalogue within a second.
    #[default]
    Current,
    /// It failed, or was not up to date at the start, and is being filled from the catalogue; searches are answered from its last commit.
    Building,
    /// It failed, and is opened again after a wait; searches are answered from its last commit.
    Failed,
}

/// The current model compared with the last good version.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GuardStatus {
    /// The last good version; 0 before there is one.
    pub good: u64,
    /// Whether the good version answers, because the current model is on probation after a rollback.
    pub on_probation: bool,
    /// Rollbacks that an alarm caused.
    pub alarms: u64,
    /// Windows of records that were undone and not released.
    pub suspect_windows: u64,
    /// Since the tests began: choices of the stream examined, the mean NDCG@20 of the current model, and of the good version.
    pub stream: (u64, f64, f64),
    /// The same over holdout choices.
    pub anchor: (u64, f64, f64),
}

impl GuardStatus {
    pub(crate) fn of(versions: &Versions, tallies: [Tally; 2]) -> Self {
        let [stream, anchor] = tallies.map(|tally| (tally.n, tally.current(), tally.good()));
        let suspect_windows = versions.suspect.iter().filter(|window| !window.released).count() as u64;
        let (good, on_probation, alarms) = (versions.good, versions.on_probation, versions.alarms);
        Self { good, on_probation, alarms, suspect_windows, stream, anchor }
    }
}
