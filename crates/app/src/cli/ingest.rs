//! `accrue ingest`: files into the log, through the check, with a summary by reason.
//!
//! Reading and parsing run on this thread; the engine takes batches on another, which is a few batches behind at most.
//! Ids come from the content, so a file whose ingest was stopped is read again from the start, and records that the log
//! has count as duplicates.

mod complete;
mod contents;
mod described;
mod documents;
mod dry_run;
mod extent;
mod feed;
mod follow;
mod followers;
mod form;
mod guess;
mod ids;
mod ids_of_attributes;
mod item_columns;
mod learn;
mod money;
mod named;
mod order_guess;
mod order_states;
mod order_tables;
mod order_times;
mod orders;
mod part;
mod progress;
mod recognise;
mod remote;
mod repeated;
mod returns;
mod reviews;
mod shopper;
mod summary;
mod systems;
mod titles;
mod unclear;
mod variants_above;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use accrue_engine::{Engine, EngineError, Ingested, TransferSource, read_text};
use accrue_event::{Mapping, RecordKind};
use accrue_ingest::{Batch, Entry, Format, Progress, Quotes, ReadError, ReadSettings, Reader, Sample};
use indicatif::ProgressBar;

use super::output::{Output, count};
use super::problem::{Hint as _, Problem};
use super::signals::Stop;
use super::{Context, Exit};
use described::Described;
use dry_run::DryRun;
use extent::{Extent, Stocks};
use feed::{Feed, Retirement};
pub(super) use followers::Followers;
use learn::learn;
use named::{Named, look_ahead, no_products};
use progress::progress_bar;
pub(super) use recognise::recognised_events;
use recognise::settings_for;
use repeated::Rows;
use summary::{Places, Summary};
use systems::{SYSTEMS, System};

/// Records in a batch: large enough that one group commit carries them, small enough to stop soon.
const BATCH: usize = 2000;
/// Batches read ahead of the writer.
const AHEAD: usize = 4;

const EXAMPLES: &str = "\
Examples:
  accrue ingest events.ndjson
  accrue ingest products_export.csv       Shopify's export, recognised by its columns
  accrue ingest dump.json --mapping woocommerce-api-products
  accrue ingest --guess export.csv > mapping.toml
  accrue ingest sales.tsv.zst --mapping examples/online-retail/mapping.toml
  accrue ingest clicks.csv --map \"item=sku,user=customer,type='click'\"
  accrue ingest items.csv --items
  accrue ingest items.csv --items --sync  what the file lacks is retired
  accrue ingest stock.csv --items --patch only the columns of the file change
  zcat events.gz | accrue ingest - --format ndjson --json
  accrue ingest new.csv --check           only check; nothing is written
  accrue ingest --from 'postgres://shop@db/shop?table=orders&cursor=id' --mapping orders.toml
  accrue ingest --from 'mysql://shop@db/shop?table=orders' --mapping orders.toml --follow

docs/sources.md explains --from: tables of PostgreSQL and MySQL, read on from where the log has them read.

A line that cannot be read is put into quarantine with its number, and the other lines are read. Records that the log has
count as duplicates, so an interrupted ingest can be started again.
docs/mapping.md explains mappings, with an example for each of: Shopify, WooCommerce, Magento, PrestaShop, Shopware,
BigCommerce, commercetools, Squarespace, Ecwid, Wix, GA4, Segment, Snowplow, OpenSearch UBI, Google Merchant, Meta, Gorse, Klaviyo, Matomo, Meilisearch.
Exit codes: 0 success, 1 all of a file was refused (with --strict: anything), 2 failed, 130 stopped by Ctrl-C.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Files, plain or compressed (.zst, .gz); `-` is standard input
    #[arg(required_unless_present = "from", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A table: postgres://…?table=NAME, mysql://…?query=…. It is read on from where it was read
    /// to before; ${NAME} in the address is a variable
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["files", "format", "quotes", "columns", "sync", "guess", "as_of"])]
    from: Option<String>,
    /// Go on reading what comes, until Ctrl-C
    #[arg(long, requires = "from", conflicts_with = "check")]
    follow: bool,
    /// The name under which the position in the source is kept [default: that of the database and table]
    #[arg(long, requires = "from", value_name = "NAME")]
    name: Option<String>,
    /// How the source's names and units become those of Accrue: a file (TOML), or the name of a system that is known
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "map")]
    mapping: Option<PathBuf>,
    /// The same in short form: field=column, or field='constant'
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    map: Option<String>,
    /// Format of the files [default: by name, then by content]
    #[arg(long)]
    format: Option<Format>,
    /// Whether " encloses cells [default: on for csv, off for tsv]
    #[arg(long)]
    quotes: Option<Quotes>,
    /// The encoding of files that are neither UTF-8 nor Windows-1252, such as gbk, shift_jis or windows-1251
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// The columns of files that have no header
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// The files describe products
    #[arg(long, conflicts_with = "users")]
    items: bool,
    /// The files name known products and the fields of them that change; the others stay. In JSON, null clears a field
    #[arg(long, conflicts_with = "users")]
    patch: bool,
    /// The files are the whole catalogue: products that they do not name are retired
    #[arg(long, conflicts_with_all = ["users", "patch"])]
    sync: bool,
    /// The files describe customers
    #[arg(long)]
    users: bool,
    /// Print a mapping to start from, and show the first records as they would go in; nothing is written
    #[arg(long, conflicts_with_all = ["map", "check"])]
    guess: bool,
    /// Events without a time are of now; otherwise they are refused
    #[arg(long)]
    now: bool,
    /// The time for which the files are read: it decides which prices of sales are valid [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// The address under which pictures lie of which the files have only paths
    #[arg(long, value_name = "URL")]
    image_base: Option<String>,
    /// Only check, against an empty shop; nothing is written
    #[arg(long)]
    check: bool,
    /// Exit with 1 if anything was refused
    #[arg(long)]
    strict: bool,
    /// Let the models of a new shop begin with what another one has learned: from=FOLDER, or from=FOLDER@VERSION of its
    /// versions. What was taken is kept in the data folder, and the source is not needed again
    #[arg(long, value_name = "from=FOLDER", conflicts_with_all = ["check", "guess"])]
    pub init: Option<TransferSource>,
}

/// Refunds of whole orders that wait for the end of the files, at most; further ones are taken where they stand.
const MAX_REFUNDS: usize = 1_000_000;

/// The receiver of batches.
trait Sink: Send {
    fn take(&mut self, batch: Vec<Entry>) -> Result<Ingested, EngineError>;

    /// How many records of the latest batch were left out, because they take back what was never counted.
    fn take_skipped(&mut self) -> u64;

    /// What the items that were taken lack.
    fn described(&self) -> Described;

    /// Whether products that the catalogue has keep what the records that follow do not say of them.
    fn keep_the_rest(&mut self, _is_kept: bool) {}
}

/// Why the reading of files ended.
enum End {
    /// All were read.
    Whole,
    /// A stop was requested.
    Stopped,
    /// A file could not be read, or not to its end.
    Broken(ReadError),
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if let Some(address) = &arguments.from {
        return remote::run(&context, address, &arguments);
    }
    let settings = read_settings(&arguments)?;
    if arguments.guess {
        let [path] = &arguments.files[..] else {
            return Err(Problem::new("--guess reads one file", "name one of them").into());
        };
        return guess::run(&context, path, &settings, &arguments);
    }
    let mut files = Vec::with_capacity(arguments.files.len());
    for path in &arguments.files {
        let (settings, extent) = settings_for(path, &arguments, settings.clone(), context.output)?;
        files.push(Named { path: path.clone(), settings, extent });
    }
    // Products first, so that events find theirs.
    files.sort_by_key(|file| file.settings.mapping.kind != RecordKind::Items);
    if (arguments.patch || arguments.sync) && !files.iter().any(|file| file.settings.mapping.kind == RecordKind::Items)
    {
        return Err(no_products(&files).into());
    }
    look_ahead(&files)?;
    let stop = Stop::listen()?;
    let started = Instant::now();
    let mut summary = Summary::new(arguments.check, arguments.patch);
    let end = if arguments.check {
        let mut dry_run = DryRun::new(&context.config.engine.check_settings(), arguments.patch)?;
        let end = pump(&files, &mut dry_run, &mut summary, &stop, context.output)?;
        summary.describe(dry_run.described());
        summary.finish(started.elapsed());
        end
    } else {
        write(&context, &arguments, &files, &mut summary, &stop, started)?
    };
    context.output.result(&summary, Summary::table)?;
    exit(end, &summary, arguments.strict, context.output)
}

/// Reads the files into the log, and tells what the models and the catalogue have to do with them.
fn write(
    context: &Context,
    arguments: &Arguments,
    files: &[Named],
    summary: &mut Summary,
    stop: &Stop,
    started: Instant,
) -> anyhow::Result<End> {
    let output = context.output;
    let engine = Engine::open(&context.config.data, &context.config.engine)?;
    let mut feed = Feed::new(engine.clone(), arguments.patch).for_whole_catalogue(arguments.sync);
    // Products come first, and events are read by the ids that the catalogue then has.
    let (products, others) = files.split_at(files.partition_point(|it| it.settings.mapping.kind == RecordKind::Items));
    let mut pumped = Ok(End::Whole);
    if !products.is_empty() {
        pumped = pump(products, &mut feed, summary, stop, output);
    }
    let is_recognised = arguments.mapping.is_none() && arguments.map.is_none();
    let others: Vec<Named> = others.iter().map(|file| file.by_ids_of(&feed, is_recognised, output)).collect();
    if matches!(pumped, Ok(End::Whole)) && !others.is_empty() {
        pumped = pump(&others, &mut feed, summary, stop, output);
    }
    let files = [products, &others[..]].concat();
    summary.describe(feed.described());
    summary.finish(started.elapsed());
    let retired = match &pumped {
        Ok(End::Whole) => feed.retire_absent(),
        _ => Ok(Retirement::NotAsked),
    };
    learn(&engine, stop, output);
    if summary.is_of_events_alone() {
        summary.tell_untitled(feed.untitled());
    }
    if feed.n_left_unknown() > 0 {
        for Named { path, settings, .. } in files.iter().filter(|file| file.settings.mapping.kind == RecordKind::Events)
        {
            let sample = Sample::open(path, settings).ok().filter(|_| path.is_file());
            let note = sample.and_then(|it| feed.note_on_ids(&path.display().to_string(), &settings.mapping, &it));
            if let Some(note) = note {
                output.note(&note);
            }
        }
    }
    engine.close()?;
    match retired? {
        Retirement::NotAsked => {}
        Retirement::Retired(n) => summary.retire(n, engine.status().log_end),
        Retirement::Refused(why) => {
            summary.refuse_sync();
            output.note(&format!("no product was retired: {why}"));
        }
    }
    if feed.n_left_unknown() > 0 {
        output.note(&format!(
            "items of the events that the catalogue lacks and that stay unknown: {}",
            count(feed.n_left_unknown() as u64)
        ));
    }
    pumped
}

/// How the command ends.
fn exit(end: End, summary: &Summary, is_strict: bool, output: Output) -> anyhow::Result<Exit> {
    match end {
        End::Broken(error) => Err(error.into()),
        End::Stopped => {
            output.note("stopped between two batches; everything counted above is in the log. Run the same command again to continue: \
                what the log has counts as duplicates.");
            Ok(Exit::Stopped)
        }
        End::Whole if summary.is_sync_refused() || summary.all_refused() || (is_strict && summary.any_refused()) => {
            Ok(Exit::Refused)
        }
        End::Whole if summary.files_refused().next().is_some() => {
            let refused: Vec<&str> = summary.files_refused().collect();
            output.note(&format!("every record was refused of {}", refused.join(", ")));
            Ok(Exit::Refused)
        }
        End::Whole => Ok(Exit::Success),
    }
}

/// Reads files on this thread and feeds the sink on another.
fn pump(
    files: &[Named],
    sink: &mut dyn Sink,
    summary: &mut Summary,
    stop: &Stop,
    output: Output,
) -> anyhow::Result<End> {
    let progress = Progress::default();
    let bar = progress_bar(files, output);
    let (sender, receiver) = sync_channel::<(String, Extent, Batch)>(AHEAD);
    // Cleared before the channel closes, so that the feeder sees it behind the last batch.
    let is_whole = AtomicBool::new(true);
    let (end, fed) = std::thread::scope(|scope| {
        let (bar, progress_seen) = (&bar, progress.clone());
        let is_whole = &is_whole;
        let feeder = scope.spawn(move || {
            feed(
                &receiver,
                sink,
                summary,
                is_whole,
                || {
                    bar.set_position(progress_seen.bytes());
                },
                bar,
            )
        });
        let mut end = End::Whole;
        for file in files {
            match read(file, &progress, stop, &sender, |note| bar.suspend(|| output.note(note))) {
                Ok(Read::Whole) => {}
                // The feeder closes the channel only if it failed; its result says why.
                Ok(Read::Refused) => break,
                Ok(Read::Stopped) => {
                    end = End::Stopped;
                    break;
                }
                Err(error) => {
                    end = End::Broken(error);
                    break;
                }
            }
        }
        is_whole.store(matches!(end, End::Whole), Ordering::Release);
        drop(sender);
        (end, feeder.join())
    });
    bar.finish_and_clear();
    let is_worth_it = match fed {
        Ok(fed) => fed?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    if !is_worth_it {
        output.note("stopped: every record so far was refused, so the files are not read further");
    }
    Ok(end)
}

/// How the reading of one file ended.
enum Read {
    Whole,
    Stopped,
    /// Its batches are not taken any more.
    Refused,
}

/// Reads a file and sends its batches, until it ends or a stop is requested.
fn read(
    file: &Named,
    progress: &Progress,
    stop: &Stop,
    sender: &SyncSender<(String, Extent, Batch)>,
    tell: impl Fn(&str),
) -> Result<Read, ReadError> {
    let mut stocks = Stocks::default();
    let mut reader = Reader::open(&file.path, &file.settings, progress)?;
    let mut has_records = false;
    loop {
        if stop.is_asked() {
            return Ok(Read::Stopped);
        }
        let batch = reader.next_batch(BATCH);
        let notes = reader.take_notes();
        if !notes.is_empty() {
            tell(&format!("{}: recognised {}", reader.name(), notes.join(", ")));
        }
        let mut batch = stocks.in_place_of_products(file.extent, batch?);
        variants_above::complete(&mut batch.entries);
        if batch.entries.is_empty() && batch.n_skipped == 0 {
            if !has_records {
                tell(&format!("{}: has no records", reader.name()));
            }
            if let Some(note) = complete::note_on_sales(reader.name(), reader.sales()) {
                tell(&note);
            }
            if let Some(note) = order_states::note_on_states(reader.name(), &reader.unknown_states()) {
                tell(&note);
            }
            return Ok(Read::Whole);
        }
        has_records = true;
        if sender.send((reader.name().to_owned(), file.extent, batch)).is_err() {
            return Ok(Read::Refused);
        }
    }
}

/// Feeds batches until there are no more; `false` if it gave up, because nothing of what came was taken. What waits for the end
/// of the files is left out unless `is_whole` says that they were read to it: the orders that it is about may not have come.
fn feed(
    receiver: &Receiver<(String, Extent, Batch)>,
    sink: &mut dyn Sink,
    summary: &mut Summary,
    is_whole: &AtomicBool,
    moved: impl Fn(),
    bar: &ProgressBar,
) -> Result<bool, EngineError> {
    let mut rows = Rows::default();
    // A refund of a whole order needs the order, which may stand behind it.
    let mut refunds: Vec<(String, u64, Entry)> = Vec::new();
    for (file, extent, Batch { entries, lines, n_before, n_skipped, n_without_item }) in receiver {
        summary.skip(n_skipped);
        summary.leave_without_item(n_without_item);
        let mut kept = Batch::with_capacity(entries.len());
        for (entry, line) in entries.into_iter().zip(lines) {
            match entry {
                Entry::Undone(_, undo) if undo.is_of_order() && refunds.len() < MAX_REFUNDS => {
                    refunds.push((file.clone(), line, entry))
                }
                entry => kept.push(line, entry),
            }
        }
        let Batch { entries, lines, .. } = kept;
        let n = entries.len() as u64;
        if n == 0 {
            continue;
        }
        // The rows of places are sums of each other.
        if extent != Extent::Stocks {
            rows.add(&file, &entries);
        }
        summary.repeat(rows.repeated());
        for entry in &entries {
            match entry {
                Entry::Item(item) => summary.look_at(item),
                Entry::Patch(patch) => summary.look_at(&patch.item),
                _ => {}
            }
        }
        sink.keep_the_rest(extent == Extent::Part);
        let ingested = sink.take(entries)?;
        let n_left_out = sink.take_skipped();
        summary.skip(n_left_out);
        summary.add(&file, n - n_left_out, Places { lines: &lines, n_before }, &ingested);
        moved();
        if !bar.is_hidden() {
            bar.set_message(summary.rate(bar.elapsed()));
        }
        if summary.is_hopeless() {
            return Ok(false);
        }
    }
    if !is_whole.load(Ordering::Acquire) {
        return Ok(true);
    }
    for of_file in refunds.chunk_by(|one, other| one.0 == other.0) {
        let (lines, entries): (Vec<u64>, Vec<Entry>) =
            of_file.iter().map(|(_, line, entry)| (*line, entry.clone())).unzip();
        let ingested = sink.take(entries)?;
        let n_left_out = sink.take_skipped();
        summary.skip(n_left_out);
        let places = Places { lines: &lines, n_before: summary.n_read() };
        summary.add(&of_file[0].0, lines.len() as u64 - n_left_out, places, &ingested);
    }
    Ok(true)
}

/// What the flags say that the files describe.
fn kind_of(arguments: &Arguments) -> Option<RecordKind> {
    match (arguments.items, arguments.users) {
        (true, _) => Some(RecordKind::Items),
        (_, true) => Some(RecordKind::Users),
        _ => None,
    }
}

fn read_settings(arguments: &Arguments) -> anyhow::Result<ReadSettings> {
    let kind = kind_of(arguments);
    let mut mapping = match (&arguments.mapping, &arguments.map) {
        (Some(path), _) => mapping_file(path, kind)?,
        (None, Some(argument)) => mapping_argument(argument, kind.unwrap_or_default())?,
        (None, None) => Mapping { kind: kind.unwrap_or_default(), ..Mapping::default() },
    };
    mapping.encoding = arguments.encoding.as_deref().map(Into::into).or(mapping.encoding);
    Ok(ReadSettings {
        format: arguments.format,
        quotes: arguments.quotes,
        columns: arguments.columns.clone(),
        mapping,
        needs_time: !arguments.now,
        is_patch: arguments.patch,
    })
}

pub(super) fn mapping_file(path: &Path, kind: Option<RecordKind>) -> anyhow::Result<Mapping> {
    let place = path.display();
    let hint = "docs/mapping.md shows the form of a mapping";
    let system = path.to_str().filter(|_| !path.exists()).and_then(System::named);
    let text = match system {
        Some(system) => system.text.to_owned(),
        None => read_text(path).map_err(|error| {
            let mut names: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
            names.dedup();
            let hint = format!("name a file, or one of: {}", names.join(", "));
            Problem::new(format!("{place}: cannot be read: {error}"), hint)
        })?,
    };
    let mapping: Mapping = toml::from_str(&text).map_err(|error| Problem::new(format!("{place}: {error}"), hint))?;
    if let Some(kind) = kind.filter(|kind| *kind != mapping.kind) {
        let message =
            format!("{place}: the mapping is for {:?}, but the flag says {kind:?}", mapping.kind).to_lowercase();
        return Err(Problem::new(message, "leave the flag out, or set `kind` in the mapping").into());
    }
    mapping.validate().map_err(|error| Problem::new(format!("{place}: {error}"), hint))?;
    Ok(mapping)
}

/// `--map`, for the kind that the flags say.
pub(super) fn mapping_argument(argument: &str, kind: RecordKind) -> anyhow::Result<Mapping> {
    let hint = "write --map item=stock_code,user=customer; a constant is in quotes: \"type='purchase'\"";
    let mut mapping = Mapping { kind, ..Mapping::default() };
    for pair in argument.split(',') {
        let no_pair = || Problem::new(format!("--map: `{pair}` is not field=column"), hint);
        let (field, column) = pair.split_once('=').ok_or_else(no_pair)?;
        mapping.add_pair(field, column);
    }
    mapping.validate().hint(hint)?;
    Ok(mapping)
}
