//! `accrue export`: the content of the data folder, as NDJSON on stdout. Read-only, so it also works beside a running
//! server.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use accrue_engine::EngineError;
use accrue_event::{Event, ItemId, SessionId, Timestamp, UserId};
use accrue_serve::Seen;
use accrue_store::{Body, LogReader, Page, Record};
use serde::Serialize;

use super::problem::Problem;
use super::signals::Stop;
use super::{Context, Exit, inspect};
use crate::text_file::read_text;

const EXAMPLES: &str = "\
Examples:
  accrue export events > events.ndjson                         can be ingested again
  accrue export served > served.ndjson                         events refer to it by recommendation_id
  accrue export catalogue | zstd > items.ndjson.zst
  accrue export recommendations --users all -n 20 > lists.ndjson
  accrue export recommendations --users ids.txt --seen drop    one user id per line";

/// Records of the log read at once.
const CHUNK: usize = 4096;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Every accepted event, in the order of the log
    Events,
    /// Every recorded answer: what was shown to which shopper, in which order, by which models
    Served,
    /// Every item
    Catalogue,
    /// A list of items for each user
    Recommendations {
        /// `all`, or a file with one user id per line (`-` is standard input)
        #[arg(long, default_value = "all", value_name = "all|FILE")]
        users: PathBuf,
        /// Items in a list
        #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        n: u16,
        /// Whether items that the user chose before may be in it
        #[arg(long, default_value = "keep")]
        seen: SeenArgument,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SeenArgument {
    /// They compete like any other
    Keep,
    /// They are left out
    Drop,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let stop = Stop::listen()?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let ending = match arguments.what {
        What::Events => records(&context, &stop, &mut out, event)?,
        What::Served => records(&context, &stop, &mut out, served)?,
        What::Catalogue => catalogue(&context, &mut out)?,
        What::Recommendations { users, n, seen } => recommendations(&context, &stop, &users, n, seen, &mut out)?,
    };
    out.flush()?;
    Ok(ending)
}

/// Writes what `chosen` selects of each record, in the order of the log.
fn records<T: Serialize>(
    context: &Context,
    stop: &Stop,
    out: &mut impl Write,
    chosen: impl Fn(&Record) -> Option<T>,
) -> anyhow::Result<Exit> {
    let mut log = LogReader::open(&context.config.data)?;
    let (mut from, end) = (log.start(), log.end());
    if from.0 > 0 {
        context.output.note(&format!("the log begins at record {from}: retention removed the records before"));
    }
    while from < end {
        if stop.is_asked() {
            return Ok(Exit::Stopped);
        }
        let mut written = Ok(());
        let limit = CHUNK.min((end.0 - from.0) as usize);
        from = log.read(from, limit, |record| {
            if let (Ok(()), Some(chosen)) = (&written, chosen(&record)) {
                written = line(out, &chosen);
            }
        })?;
        written?;
    }
    Ok(Exit::Success)
}

fn event(record: &Record) -> Option<Event> {
    match &record.body {
        Body::Event(checked) | Body::Released { event: checked, .. } => Some(checked.event.clone()),
        _ => None,
    }
}

/// A recorded answer, as a line of the output.
#[derive(Serialize)]
struct ServedLine {
    recommendation_id: Box<str>,
    /// `recommend` or `search`.
    page: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Box<str>>,
    user: Option<UserId>,
    session: Option<SessionId>,
    /// When it was recorded, shortly after it was served.
    received_at: Timestamp,
    version: u64,
    /// The models had learned from the records before this offset.
    offset: u64,
    first_position: u32,
    items: Vec<ItemId>,
    propensities: Vec<f32>,
    /// The items' places by score; empty if nothing was drawn.
    ranks: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<Box<str>>,
}

fn served(record: &Record) -> Option<ServedLine> {
    let Body::Served(served) = &record.body else { return None };
    let (page, query) = match &served.page {
        Page::Recommend => ("recommend", None),
        Page::Search { query } => ("search", Some(query.clone())),
    };
    Some(ServedLine {
        recommendation_id: served.recommendation_id.clone(),
        page,
        query,
        user: served.user.clone(),
        session: served.session.clone(),
        received_at: record.received_at,
        version: served.version,
        offset: served.learned.0,
        first_position: served.first_position,
        propensities: (0..served.items.len()).map(|place| served.propensity(place)).collect(),
        ranks: served.ranks.clone(),
        experiment: served.arm.as_ref().map(|arm| arm.experiment.clone()),
        arm: served.arm.as_ref().map(|arm| arm.arm.clone()),
        items: served.items.clone(),
    })
}

fn catalogue(context: &Context, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (_, recovered) = inspect::recovered(context)?;
    for entry in recovered.facts.entries().iter().filter(|entry| !entry.retired) {
        line(out, &entry.item)?;
    }
    Ok(Exit::Success)
}

fn recommendations(
    context: &Context,
    stop: &Stop,
    users: &Path,
    n: u16,
    seen: SeenArgument,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let users = if users == Path::new("all") { None } else { Some(user_file(users)?) };
    let seen = match seen {
        SeenArgument::Keep => Seen::Keep,
        SeenArgument::Drop => Seen::Drop,
    };
    let Context { config, .. } = context;
    let take = |list| match stop.is_asked() {
        true => Err(Interrupted::Stopped),
        false => line(out, &list).map_err(Interrupted::Failed),
    };
    let exported = accrue_engine::recommendations(&config.data, &config.engine, users, n.into(), seen, take);
    match exported {
        Ok(()) => Ok(Exit::Success),
        Err(Interrupted::Stopped) => Ok(Exit::Stopped),
        Err(Interrupted::Failed(error)) => Err(error),
    }
}

/// Why not all lists were written.
enum Interrupted {
    Stopped,
    Failed(anyhow::Error),
}

impl From<EngineError> for Interrupted {
    fn from(error: EngineError) -> Self {
        Self::Failed(error.into())
    }
}

fn user_file(path: &Path) -> anyhow::Result<Vec<UserId>> {
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { read_text(path) };
    let text = text.map_err(|error| {
        let message = format!("{}: cannot be read: {error}", path.display());
        Problem::new(message, "--users takes `all` or a file with one user id per line")
    })?;
    Ok(text.lines().map(str::trim).filter(|name| !name.is_empty()).map(UserId::from).collect())
}

fn line(out: &mut impl Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(out.write_all(b"\n")?)
}
