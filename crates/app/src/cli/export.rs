//! `accrue export`: the content of the data folder, as NDJSON on stdout. Read-only, so it also works beside a running
//! server.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use accrue_engine::{EngineError, read_text};
use accrue_event::{Event, EventType, ItemId, SessionId, Timestamp, UserId};
use accrue_http::ItemFields;
use accrue_serve::filter::Filter;
use accrue_serve::{RecommendRequest, Recommendation, Recommended, Seen, Shop};
use accrue_store::{Body, LogReader, Page, Record};
use serde::Serialize;
use serde_json::{Value, json};

use super::output::json_line;
use super::problem::Problem;
use super::signals::Stop;
use super::unknown::unknown_scene;
use super::{Context, Exit, inspect};

const EXAMPLES: &str = "\
Examples:
  accrue export events > events.ndjson                         can be ingested again
  accrue export served > served.ndjson                         events refer to it by recommendation_id
  accrue export catalogue | zstd > items.ndjson.zst
  accrue export recommendations --users all -n 20 > lists.ndjson
  accrue export recommendations --users ids.txt --seen drop    one user id per line
  accrue export recommendations --scene email --fields title,price,image -n 5 > mailing.ndjson
  accrue export recommendations --filter 'category:Mugs AND price:..20' --seen drop:purchase";

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
        /// Items that the user acted on before, as in requests: keep, drop, or drop: with types such as
        /// drop:purchase [default: what the scene says]
        #[arg(long, value_name = "SEEN")]
        seen: Option<String>,
        /// The kind of page, such as email
        #[arg(long, value_name = "NAME")]
        scene: Option<Box<str>>,
        /// What may be in it, such as 'category:Mugs AND price:..20'
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// What is told of each item, such as title,price,image; `items` are objects then
        #[arg(long, value_name = "NAME,…")]
        fields: Option<String>,
    },
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let stop = Stop::listen()?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let ending = match arguments.what {
        What::Events => records(&context, &stop, &mut out, event)?,
        What::Served => records(&context, &stop, &mut out, served)?,
        What::Catalogue => catalogue(&context, &mut out)?,
        What::Recommendations { users, n, seen, scene, filter, fields } => {
            let asked = Asked { n: n.into(), seen, scene, filter };
            recommendations(&context, &stop, &users, asked, fields.as_deref(), &mut out)?
        }
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
    let mut log = LogReader::open(context.config.log_place())?;
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

/// What lists are asked for.
struct Asked {
    n: usize,
    seen: Option<String>,
    scene: Option<Box<str>>,
    filter: Option<String>,
}

impl Asked {
    /// The request of every user.
    fn request(self, shop: &Shop<'_>) -> Result<RecommendRequest, Problem> {
        let hint = "docs/requests.md has the values of --seen and --filter, docs/pages.md the scenes";
        let seen = match self.seen.as_deref() {
            None => Seen::AsScene,
            Some(text) => {
                let seen = Seen::read(text).filter(|seen| match seen {
                    Seen::DropTypes(types) => types.iter().all(|kind| shop.facts.type_code(kind).is_some()),
                    _ => true,
                });
                seen.ok_or_else(|| {
                    let types = EventType::BUILT_IN.iter().map(EventType::name).collect::<Vec<_>>().join(", ");
                    Problem::new(format!("--seen {text}: keep, drop, or drop: with types of events ({types})"), hint)
                })?
            }
        };
        if let Some(scene) = self.scene.as_deref().filter(|scene| !shop.scenes.has(scene)) {
            return Err(unknown_scene(shop, scene));
        }
        let filter = self.filter.as_deref().map(Filter::parse).transpose();
        let filter = filter.map_err(|error| Problem::new(format!("--filter: {error}"), hint))?;
        if let Some(filter) = &filter {
            shop.check_filter(filter).map_err(|error| Problem::new(format!("--filter: {error}"), hint))?;
        }
        Ok(RecommendRequest { n: self.n, seen, scene: self.scene, filter, ..RecommendRequest::default() })
    }
}

fn recommendations(
    context: &Context,
    stop: &Stop,
    users: &Path,
    asked: Asked,
    fields: Option<&str>,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let users = if users == Path::new("all") { None } else { Some(user_file(users)?) };
    let fields = fields.map(ItemFields::parse).transpose();
    let fields =
        fields.map_err(|fault| Problem::new(fault.to_string(), "--fields takes names such as title,price,image"))?;
    let Context { config, .. } = context;
    let prepare = |shop: &Shop<'_>| asked.request(shop).map_err(|problem| Interrupted::Failed(problem.into()));
    let take = |shop: &Shop<'_>, user: UserId, list: Recommendation| match stop.is_asked() {
        true => Err(Interrupted::Stopped),
        false => write_list(shop, user, list, fields.as_ref(), out).map_err(Interrupted::Failed),
    };
    match accrue_engine::recommendations(&config.data, &config.engine, users, prepare, take) {
        Ok(()) => Ok(Exit::Success),
        Err(Interrupted::Stopped) => Ok(Exit::Stopped),
        Err(Interrupted::Failed(error)) => Err(error),
    }
}

/// One user's list: ids and their scores, or objects with the fields that were asked for.
fn write_list(
    shop: &Shop<'_>,
    user: UserId,
    list: Recommendation,
    fields: Option<&ItemFields>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(fields) = fields else {
        let (items, scores): (Vec<ItemId>, Vec<f32>) = list.items.into_iter().map(|item| (item.id, item.score)).unzip();
        return line(out, &UserList { user, items, scores });
    };
    let described = |Recommended { id, score, .. }: Recommended| {
        let mut item = json!({"id": id, "score": score});
        let described = shop.facts.items.get(id.as_str()).and_then(|item| shop.facts.described(item));
        if let (Some(item), Some(Value::Object(more))) =
            (item.as_object_mut(), described.map(|described| fields.of(described)).transpose()?)
        {
            item.extend(more);
        }
        Ok(item)
    };
    let items = list.items.into_iter().map(described).collect::<Result<Vec<Value>, serde_json::Error>>()?;
    line(out, &json!({"user": user, "items": items}))
}

/// One user's list.
#[derive(Serialize)]
struct UserList {
    user: UserId,
    /// Items, best first.
    items: Vec<ItemId>,
    scores: Vec<f32>,
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
    Ok(out.write_all(json_line(value)?.as_bytes())?)
}
