//! The ranking protocols on files: which files are read, which queries are asked, which metrics are computed.
//!
//! | protocol | files | queries |
//! |---|---|---|
//! | `user-items` | train, test: `user item item …` | each user's test items among all items not in the user's history
//! |
//! | `leave-one-out` | `user item item …` or `user item`, in time order | the last item; with `negatives=100` among
//! sampled ones |
//! | `sessions` | train: one session per line; test: prefix TAB next | the next item among all |
//! | `sampled` | ratings; test with negatives | the test item among its negatives |
//! | `temporal` | `user item [rating] time` | what each user chose after a point in time, among all items not chosen
//! before |
//!
//! Special cases: an item that only the test file contains is a candidate like all others. A user whom only the test
//! file contains has an empty history. A pair that a `sampled` test asks for is removed from the training data. The
//! report counts what was left out. Each file may also be a table with named columns ([`Data`]): one row per choice,
//! which is put in the order of its time.

use accrue_event::SettingFault;
use accrue_model::collaborative::Interactions;

use crate::LabError;
use crate::ranking::{LastItems, LeftOut, Names, Query, Task};
use crate::read::{Data, RatingFile, Timed, Vocabulary, split_by_time};
use crate::settings::Pairs;

/// A ranking protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Test items among all items, training items masked.
    UserItems,
    /// The last item of each history.
    LeaveOneOut,
    /// The next item of a session.
    Sessions,
    /// One item among given negatives.
    Sampled,
    /// All choices after one point in time, the same for all users, so that nothing is learned from the future.
    Temporal,
}

/// Settings of a ranking protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolSettings {
    /// Evaluate on a validation split inside the training data instead of on the test.
    pub on_validation: bool,
    /// Before the test, learn from the validation items too.
    pub refit: bool,
    /// Number of sampled negatives of each query; 0 ranks all items.
    pub negatives: usize,
    /// Whether items of the history are candidates; `None` decides by the data.
    pub keep_seen: Option<bool>,
    /// The share of the latest choices that `temporal` asks for.
    pub share: Option<f64>,
    /// The cutoffs `k` of the metrics.
    pub cutoffs: Vec<u32>,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [Self::UserItems, Self::LeaveOneOut, Self::Sessions, Self::Sampled, Self::Temporal];

    /// The protocol's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserItems => "user-items",
            Self::LeaveOneOut => "leave-one-out",
            Self::Sessions => "sessions",
            Self::Sampled => "sampled",
            Self::Temporal => "temporal",
        }
    }

    /// The protocol with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// The metric by which models are compared.
    pub fn main_metric(self) -> &'static str {
        match self {
            Self::UserItems | Self::Temporal => "ndcg@20",
            Self::LeaveOneOut | Self::Sampled => "ndcg@10",
            Self::Sessions => "mrr@20",
        }
    }

    fn needs_test(self) -> bool {
        !matches!(self, Self::LeaveOneOut | Self::Temporal)
    }

    /// Takes the protocol's settings out of the pairs.
    ///
    /// # Errors
    /// [`LabError::Setting`] if a value is not accepted.
    pub fn settings(self, pairs: &mut Pairs) -> Result<ProtocolSettings, LabError> {
        let cutoffs: &[u32] = match self {
            Self::UserItems | Self::Sessions | Self::Temporal => &[5, 10, 20],
            Self::LeaveOneOut | Self::Sampled => &[5, 10],
        };
        let whole = "a whole number of at least 0";
        let mut settings = ProtocolSettings {
            on_validation: pairs.take_word("on", &["test", "validation"])? == "validation",
            refit: false,
            negatives: 0,
            keep_seen: None,
            share: None,
            cutoffs: pairs.take_cutoffs("at", cutoffs)?,
        };
        if self == Self::LeaveOneOut {
            settings.refit = pairs.take("refit", false, "true or false")?;
            settings.negatives = pairs.take("negatives", 0, whole)?;
            let seen = pairs.take_word("seen", &["auto", "keep", "drop"])?;
            settings.keep_seen = (seen != "auto").then_some(seen == "keep");
        }
        if self == Self::Sampled {
            // Not a setting: `negatives` is the model's here.
            settings.negatives = NEGATIVES;
        }
        if self == Self::Temporal {
            let share = pairs.take("share", LATEST, SHARE)?;
            check_share(share)?;
            settings.share = Some(share);
        }
        // The main metric is always computed.
        let main = self.main_metric().rsplit('@').next().and_then(|k| k.parse().ok()).unwrap_or(10);
        if let Err(place) = settings.cutoffs.binary_search(&main) {
            settings.cutoffs.insert(place, main);
        }
        Ok(settings)
    }

    /// Reads the files and makes the queries.
    ///
    /// # Errors
    /// [`LabError::Read`] if a file does not match the protocol; [`LabError::NothingToAsk`] if there are no queries.
    pub fn task(
        self,
        train: &Data,
        test: Option<&Data>,
        settings: &ProtocolSettings,
        seed: u64,
    ) -> Result<Task, LabError> {
        let test = match (self.needs_test(), test) {
            (true, None) => {
                return Err(LabError::NeedsTest { protocol: self.name(), train: train.path().into() });
            }
            (false, Some(test)) => {
                return Err(LabError::OneFile { protocol: self.name(), test: test.path().into() });
            }
            (_, test) => test.map_or(train, |test| test),
        };
        let task = match self {
            Self::LeaveOneOut => leave_one_out(train, settings, seed)?,
            Self::Temporal => temporal(train, settings)?,
            Self::UserItems => {
                let task = user_items(train, test)?;
                if settings.on_validation { task.hold_out_share(0.2, seed) } else { task }
            }
            Self::Sessions => {
                let task = sessions(train, test)?;
                if settings.on_validation { task.hold_out_last_sessions(0.03) } else { task }
            }
            Self::Sampled => {
                let task = sampled(train, test, settings, seed)?;
                if settings.on_validation {
                    let mut inner = task.hold_out_one(seed);
                    inner.sample_negatives(settings.negatives, seed);
                    inner
                } else {
                    task
                }
            }
        };
        if task.queries.is_empty() || task.train.n_interactions() == 0 {
            return Err(LabError::NothingToAsk { path: train.path().into(), protocol: self.name() });
        }
        Ok(task)
    }
}

fn user_items(train: &Data, test: &Data) -> Result<Task, LabError> {
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let mut trained = train.histories(&mut users, &mut items)?;
    let tested = test.histories(&mut users, &mut items)?;
    trained.histories.resize(users.len(), Vec::new());
    let mut seen = vec![u32::MAX; items.len()];
    let mut n_repeats = 0;
    for (user, history) in trained.histories.iter_mut().enumerate() {
        let before = history.len();
        history.retain(|&item| std::mem::replace(&mut seen[item as usize], user as u32) != user as u32);
        n_repeats += (before - history.len()) as u64;
    }
    let mut task = Task::test_sets(&trained.histories, &tested.histories, items.len());
    task.counted.insert("duplicate_lines", trained.n_duplicate_lines + tested.n_duplicate_lines);
    task.counted.insert("repeated_items", n_repeats);
    task.names = Names::of(Some(users), items);
    Ok(task)
}

/// The count of queries of `sampled` whose negatives were drawn.
pub(crate) const SAMPLED_NEGATIVES: &str = "queries_with_sampled_negatives";
/// Negatives of a query of `sampled`, where the test file does not name them.
const NEGATIVES: usize = 99;
/// The default share of a split by time.
pub(crate) const LATEST: f64 = 0.2;
/// The accepted shares.
pub(crate) const SHARE: &str = "a number above 0 and below 1";

/// # Errors
/// [`LabError::Setting`] if the share is not above 0 and below 1.
pub(crate) fn check_share(share: f64) -> Result<(), LabError> {
    let is_share = share > 0.0 && share < 1.0;
    if is_share { Ok(()) } else { Err(SettingFault::new("share", share, SHARE).into()) }
}

/// Splits at one point in time. For validation the earlier part is split again, and the later part is not used.
fn temporal(data: &Data, settings: &ProtocolSettings) -> Result<Task, LabError> {
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let rows = data.timed(&mut users, &mut items)?;
    let share = settings.share.unwrap_or(LATEST);
    let (mut before, mut after) = split_by_time(&rows, share);
    if settings.on_validation {
        (before, after) = split_by_time(before, share);
    }
    let histories = |rows: &[Timed]| {
        let mut histories = vec![Vec::new(); users.len()];
        rows.iter().for_each(|row| histories[row.user as usize].push(row.item));
        histories
    };
    let mut task = Task::test_sets(&histories(before), &histories(after), items.len());
    task.names = Names::of(Some(users), items);
    Ok(task)
}

fn leave_one_out(data: &Data, settings: &ProtocolSettings, seed: u64) -> Result<Task, LabError> {
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let read = data.histories(&mut users, &mut items)?;
    let on = match (settings.on_validation, settings.refit) {
        (true, _) => LastItems::Validation,
        (false, false) => LastItems::Test,
        (false, true) => LastItems::TestRefitted,
    };
    let keep_seen = settings.keep_seen.unwrap_or_else(|| repeats_itself(&read.histories));
    let mut task = Task::last_items(&read.histories, items.len(), on, !keep_seen);
    task.counted.insert("duplicate_lines", read.n_duplicate_lines);
    if settings.negatives > 0 {
        task.sample_negatives(settings.negatives, seed);
    }
    task.names = Names::of(Some(users), items);
    Ok(task)
}

/// Whether at least one in a hundred validation items had been chosen before; then items of the history are candidates.
fn repeats_itself(histories: &[Vec<u32>]) -> bool {
    let asked = histories.iter().filter(|history| history.len() >= 3);
    let (mut n, mut n_repeats) = (0, 0);
    for history in asked {
        let (validation, before) = (history[history.len() - 2], &history[..history.len() - 2]);
        n += 1;
        n_repeats += usize::from(before.contains(&validation));
    }
    n_repeats * 100 >= n && n > 0
}

fn sessions(train: &Data, test: &Data) -> Result<Task, LabError> {
    let mut items = Vocabulary::default();
    let sessions = train.sessions(&mut items)?;
    let asked = test.session_queries(&mut items)?;
    let train = Interactions::new(items.len(), sessions);
    let known = train.counts();
    let mut queries: Vec<Query> = Vec::with_capacity(asked.len());
    let mut n_unknown = 0;
    for query in asked {
        n_unknown += u64::from(known[query.next as usize] == 0);
        // Prefixes of one session follow each other in the file, each with one item more or fewer than the one before.
        let is_same = queries.last().is_some_and(|last: &Query| {
            let (longer, shorter) = if last.history.len() > query.prefix.len() {
                (&last.history, &query.prefix)
            } else {
                (&query.prefix, &last.history)
            };
            longer.len() == shorter.len() + 1 && longer.starts_with(shorter)
        });
        let user = queries.last().map_or(0, |last| if is_same { last.user } else { last.user + 1 });
        queries.push(Query { user, history: query.prefix, relevant: vec![query.next], among: None });
    }
    let counted = LeftOut::from([("test_items_never_trained_on", n_unknown)]);
    Ok(Task { train, queries, drop_seen: false, counted, names: Names::of(None, items) })
}

fn sampled(train: &Data, test: &Data, settings: &ProtocolSettings, seed: u64) -> Result<Task, LabError> {
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let read: RatingFile = train.pairs(&mut users, &mut items)?;
    let asked = test.sampled(&mut users, &mut items)?;
    let mut histories: Vec<Vec<u32>> = vec![Vec::new(); users.len()];
    let mut is_asked: Vec<(u32, u32)> = asked.iter().map(|test| (test.user, test.item)).collect();
    is_asked.sort_unstable();
    let mut n_held = 0;
    for &(user, item, _) in &read.ratings {
        if is_asked.binary_search(&(user, item)).is_ok() {
            n_held += 1;
        } else {
            histories[user as usize].push(item);
        }
    }
    let query = |test: crate::read::SampledTest| Query {
        user: test.user,
        history: histories[test.user as usize].clone(),
        relevant: vec![test.item],
        among: Some(test.negatives),
    };
    let queries = asked.into_iter().map(query).collect();
    let counted =
        LeftOut::from([("test_pairs_taken_out_of_training", n_held), ("duplicate_lines", read.n_duplicate_lines)]);
    let train = Interactions::new(items.len(), &histories);
    let mut task = Task { train, queries, drop_seen: false, counted, names: Names::of(Some(users), items) };
    // A table of choices has no column of items that were not chosen.
    if task.queries.iter().all(|query| query.among.as_ref().is_some_and(Vec::is_empty)) {
        task.sample_negatives(settings.negatives, seed);
        task.counted.insert(SAMPLED_NEGATIVES, task.queries.len() as u64);
    }
    Ok(task)
}
