//! Sources of other servers into the log: each portion of records is one commit with the position after it.
//!
//! The source is read on one thread, and the engine takes portions on another, which is a few portions behind at most. A server
//! that does not answer is reported and tried again, with waits that grow. After a crash reading goes on at the position that the log has,
//! so nothing is lost and nothing doubled.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use accrue_engine::{Engine, EngineError};
use accrue_event::Mapping;
use accrue_ingest::remote::{self, Address, Portion, RemoteError, RemoteSettings};
use accrue_store::SourcePosition;

use super::feed::Feed;
use super::summary::{Places, Summary};
use super::{Sink, complete};
use crate::cli::problem::Problem;

/// Records in a commit, at most. A backlog is taken in commits of this size, which do not depend on when records arrive.
const BATCH: usize = 2000;
/// Portions read ahead of the writer.
const AHEAD: usize = 4;
/// How long the first record of a portion waits for others behind the end of the backlog: each commit also has a record of the
/// position.
const GATHER: Duration = Duration::from_millis(100);
/// How long a source that has nothing is waited for before a stop is looked for.
const WAIT: Duration = Duration::from_millis(200);
/// Waits between attempts to reach a server.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long a server may be unreachable in a reading that ends.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// How often it is told how many records came.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Without records, a position that moved on is stored this often.
const POSITION_EVERY: Duration = Duration::from_secs(10);

/// A source, and how it is read.
pub(in crate::cli) struct FollowedSource {
    address: Address,
    settings: RemoteSettings,
}

/// Whether the end of a source ends the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Until {
    /// It is read to the end that it had at the beginning.
    End,
    /// What comes later is read too.
    Stopped,
}

/// Why the reading ended.
pub(in crate::cli) enum Ended {
    /// The end was reached.
    Whole,
    /// A stop was requested.
    Stopped,
    /// Every record so far was refused.
    AllRefused,
}

/// What makes a reading impossible.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FollowError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl FollowError {
    /// The error itself, of which the hint is known.
    pub fn into_cause(self) -> anyhow::Error {
        match self {
            Self::Remote(error) => error.into(),
            Self::Engine(error) => error.into(),
        }
    }
}

/// How a reading reports what it does, and learns that it should stop.
pub(in crate::cli) struct Reporter<'a> {
    /// Says something for people.
    pub say: &'a (dyn Fn(&str) + Sync),
    /// Whether to stop.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

impl FollowedSource {
    /// A source by its address, in which `${NAME}` is the variable of that name. `name` is the one under which its position is
    /// kept.
    pub fn new(address: &str, name: Option<&str>, mapping: Mapping, settings: RemoteSettings) -> anyhow::Result<Self> {
        let address: Address = with_variables(address, |name| std::env::var(name).ok())?.parse()?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => remote::default_name(&address)?,
        };
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let message = format!("the name of a source has 1 to {MAX_NAME} bytes and no control characters: {name:?}");
            return Err(Problem::new(message, "give it another one, such as orders").into());
        }
        let mut mapping = mapping;
        complete::complete(&mut mapping, None, None)?;
        let followed = Self { address, settings: RemoteSettings { name, mapping, ..settings } };
        // A fault of the mapping, or a build without the feature, is told before a folder is opened.
        remote::open(&followed.address, &followed.settings)?;
        Ok(followed)
    }

    /// The name under which its position is kept.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Reads the source into the engine, from the position on that the log has of it.
    pub fn read(
        &self,
        engine: &Engine,
        summary: &mut Summary,
        until: Until,
        reporter: &Reporter<'_>,
    ) -> Result<Ended, FollowError> {
        let position = engine.source_position(self.name()).map(String::from);
        let begins = position.as_ref().map_or("at its beginning".into(), |position| format!("after {position}"));
        (reporter.say)(&format!("{}: reading begins {begins}", self.name()));
        let settings = RemoteSettings { position, ..self.settings.clone() };
        let (sender, receiver) = sync_channel::<Portion>(AHEAD);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut take = |portion| sender.send(portion).is_ok();
                self.read_portions(&settings, until, reporter, &mut take)
            });
            let taken = self.take_portions(engine, &receiver, summary, reporter);
            // The reader ends once no receiver of its portions is left.
            drop(receiver);
            let read = match reader.join() {
                Ok(read) => read,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            match taken? {
                true => Ok(read?),
                false => Ok(Ended::AllRefused),
            }
        })
    }

    /// Checks what the source has, from its beginning to its end; nothing is written.
    pub fn check(
        &self,
        sink: &mut dyn Sink,
        summary: &mut Summary,
        reporter: &Reporter<'_>,
    ) -> Result<Ended, FollowError> {
        let mut failure = None;
        let mut take = |portion: Portion| {
            summary.skip(portion.batch.n_skipped);
            summary.leave_without_item(portion.batch.n_without_item);
            let n = portion.batch.entries.len() as u64;
            match sink.take(portion.batch.entries) {
                Ok(ingested) => {
                    let n_left_out = sink.take_skipped();
                    summary.skip(n_left_out);
                    let places = Places { lines: &portion.batch.lines, n_before: summary.n_read() };
                    summary.add(self.name(), n - n_left_out, places, &ingested);
                }
                Err(error) => failure = Some(error),
            }
            failure.is_none() && !summary.is_hopeless()
        };
        let ended = self.read_portions(&self.settings, Until::End, reporter, &mut take);
        failure.map_or(Ok(ended?), |error| Err(error.into()))
    }

    /// Reads portions until the end, a stop, or until they are taken no more.
    fn read_portions(
        &self,
        settings: &RemoteSettings,
        until: Until,
        reporter: &Reporter<'_>,
        take: &mut dyn FnMut(Portion) -> bool,
    ) -> Result<Ended, RemoteError> {
        let mut source = remote::open(&self.address, settings)?;
        let mut gathered = Gathered::default();
        let mut outage: Option<Outage> = None;
        loop {
            if (reporter.is_stopped)() {
                return Ok(if gathered.flush(take) { Ended::Stopped } else { Ended::AllRefused });
            }
            let wait = gathered.left().unwrap_or(WAIT);
            let read = source.next(BATCH.saturating_sub(gathered.n_read()).max(1), wait);
            source.take_notes().iter().for_each(|note| (reporter.say)(note));
            match read {
                Ok(portion) => {
                    if outage.take().is_some() {
                        (reporter.say)(&format!("{}: it answers again", self.name()));
                    }
                    let is_over = until == Until::End && portion.is_at_end;
                    gathered.add(portion);
                    if (is_over || gathered.is_due()) && !gathered.flush(take) {
                        return Ok(Ended::AllRefused);
                    }
                    if is_over {
                        return Ok(Ended::Whole);
                    }
                }
                Err(error) if error.is_passing() => {
                    if !gathered.flush(take) {
                        return Ok(Ended::AllRefused);
                    }
                    let outage = outage.get_or_insert_with(Outage::now);
                    if until == Until::End && outage.since.elapsed() >= GIVE_UP_AFTER {
                        return Err(error);
                    }
                    outage.wait(&error, reporter);
                }
                Err(error) => {
                    gathered.flush(take);
                    return Err(error);
                }
            }
        }
    }

    /// Puts portions into the log; `false` if it gave up, because every record was refused.
    fn take_portions(
        &self,
        engine: &Engine,
        receiver: &Receiver<Portion>,
        summary: &mut Summary,
        reporter: &Reporter<'_>,
    ) -> Result<bool, EngineError> {
        let mut feed = Feed::new(engine.clone(), self.settings.is_patch);
        let mut told = Instant::now();
        let mut n_since = 0;
        loop {
            match receiver.recv_timeout(TELL_EVERY) {
                Ok(Portion { batch, position, .. }) => {
                    summary.skip(batch.n_skipped);
                    summary.leave_without_item(batch.n_without_item);
                    let n = batch.entries.len() as u64;
                    let position = position
                        .map(|position| SourcePosition { source: self.name().into(), position: position.into() });
                    let ingested = feed.take_in_order(batch.entries, position)?;
                    let n_left_out = feed.take_skipped();
                    summary.skip(n_left_out);
                    let places = Places { lines: &batch.lines, n_before: summary.n_read() };
                    summary.add(self.name(), n - n_left_out, places, &ingested);
                    summary.describe(feed.described());
                    n_since += n;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
            if n_since > 0 && told.elapsed() >= TELL_EVERY {
                (reporter.say)(&format!("{}: {}", self.name(), summary.progress()));
                (told, n_since) = (Instant::now(), 0);
            }
            if summary.is_hopeless() {
                return Ok(false);
            }
        }
    }
}

/// Bytes of a name, at most.
const MAX_NAME: usize = 128;

/// A portion that is gathered.
struct Gathered {
    portion: Portion,
    since: Instant,
    stored_at: Instant,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { portion: Portion::default(), since: Instant::now(), stored_at: Instant::now() }
    }
}

impl Gathered {
    /// Records that were read for it, those that the mapping leaves out among them: how many are committed at once does not
    /// depend on when they were read.
    fn n_read(&self) -> usize {
        self.portion.batch.entries.len() + self.portion.batch.n_skipped as usize
    }

    /// Whether records wait, or only a position that moved on.
    fn has_records(&self) -> bool {
        !self.portion.batch.entries.is_empty()
    }

    /// How long records still wait for others.
    fn left(&self) -> Option<Duration> {
        self.has_records().then(|| GATHER.saturating_sub(self.since.elapsed()))
    }

    fn add(&mut self, portion: Portion) {
        let Portion { batch, position, is_full, is_at_end } = portion;
        if !self.has_records() {
            self.since = Instant::now();
        }
        let gathered = &mut self.portion;
        gathered.batch.entries.extend(batch.entries);
        gathered.batch.lines.extend(batch.lines);
        gathered.batch.n_skipped += batch.n_skipped;
        gathered.batch.n_without_item += batch.n_without_item;
        gathered.position = position.or_else(|| gathered.position.take());
        gathered.is_full = is_full;
        gathered.is_at_end = is_at_end;
    }

    fn is_due(&self) -> bool {
        if self.n_read() >= BATCH || self.portion.is_full {
            return true;
        }
        match self.has_records() {
            true => self.since.elapsed() >= GATHER,
            false => self.portion.position.is_some() && self.stored_at.elapsed() >= POSITION_EVERY,
        }
    }

    /// Hands on what there is; `false` if it is not taken any more.
    fn flush(&mut self, take: &mut dyn FnMut(Portion) -> bool) -> bool {
        let portion = std::mem::take(&mut self.portion);
        if portion.position.is_none() {
            return true;
        }
        self.stored_at = Instant::now();
        take(portion)
    }
}

/// A server that does not answer.
struct Outage {
    since: Instant,
    retry: Duration,
}

impl Outage {
    fn now() -> Self {
        Self { since: Instant::now(), retry: FIRST_RETRY }
    }

    /// Says it, and waits.
    fn wait(&mut self, error: &RemoteError, reporter: &Reporter<'_>) {
        (reporter.say)(&format!("{error}; it is tried again in {} s", self.retry.as_secs()));
        pause(self.retry, reporter);
        self.retry = LONGEST_RETRY.min(2 * self.retry);
    }
}

/// Waits, and no longer than until a stop.
pub(in crate::cli) fn pause(wait: Duration, reporter: &Reporter<'_>) {
    let started = Instant::now();
    while started.elapsed() < wait && !(reporter.is_stopped)() {
        std::thread::sleep(WAIT.min(wait.saturating_sub(started.elapsed())));
    }
}

/// An address with the values of the variables that it names: `postgres://shop:${DB_PASSWORD}@db/shop`. A value is encoded, so
/// that it may have any character.
fn with_variables(address: &str, value_of: impl Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut text = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or_else(|| {
            Problem::new("--from: `${` without a `}`", "write ${NAME} for the value of the variable NAME")
        })?;
        let value = value_of(name).ok_or_else(|| {
            Problem::new(format!("--from: there is no variable {name}"), format!("set it: export {name}=…"))
        })?;
        text.push_str(before);
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

/// Where a mapping is, and how it is read: `--mapping`, `--map` or a setting of the same name.
pub(in crate::cli) fn mapping_of(
    mapping: Option<&Path>,
    map: Option<&str>,
    kind: Option<accrue_event::RecordKind>,
) -> anyhow::Result<Mapping> {
    match (mapping, map) {
        (Some(path), _) => super::mapping_file(path, kind),
        (None, Some(argument)) => super::mapping_argument(argument, kind.unwrap_or_default()),
        (None, None) => Ok(Mapping { kind: kind.unwrap_or_default(), ..Mapping::default() }),
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::RawEvent;
    use accrue_ingest::{Batch, Entry};

    use super::*;

    #[test]
    fn variables_are_put_into_an_address_encoded() {
        let value_of = |name: &str| (name == "PASSWORD").then(|| "a@b/c%".to_owned());
        let address = with_variables("postgres://u:${PASSWORD}@h/d?table=t", value_of).unwrap();
        assert_eq!(address, "postgres://u:a%40b%2Fc%25@h/d?table=t");
        let missing = with_variables("postgres://u:${OTHER}@h/d", value_of).unwrap_err().to_string();
        assert!(missing.contains("no variable OTHER"), "{missing}");
        assert!(with_variables("postgres://u:${PASSWORD", value_of).is_err());
    }

    #[test]
    fn portions_are_gathered_with_the_last_position() {
        let portion = |n: usize, position: Option<&str>| {
            let mut batch = Batch::default();
            (0..n).for_each(|line| batch.push(line as u64, Entry::Event(RawEvent::default(), None)));
            Portion { batch, position: position.map(String::from), ..Portion::default() }
        };
        let mut taken = Vec::new();
        let mut gathered = Gathered::default();
        gathered.add(portion(2, Some("2")));
        gathered.add(portion(0, None));
        gathered.add(portion(3, Some("5")));
        assert!(!gathered.is_due() && gathered.left().is_some());
        let mut take = |portion: Portion| {
            taken.push((portion.batch.entries.len(), portion.position));
            true
        };
        assert!(gathered.flush(&mut take) && gathered.flush(&mut take));
        gathered.add(portion(BATCH, Some("9")));
        assert!(gathered.is_due() && gathered.flush(&mut take));
        // A position that moved on without records waits.
        gathered.add(portion(0, Some("11")));
        assert!(!gathered.is_due() && gathered.left().is_none());
        assert_eq!(taken, [(5, Some("5".into())), (BATCH, Some("9".into()))]);
    }
}
