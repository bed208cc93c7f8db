//! The files of the protocol `search`: the catalogue, texts, and the answers of an earlier run.

use std::path::Path;

use accrue_event::{Check, Item, RecordKind, RuleStatistics};
use accrue_ingest::{Entry, Progress, ReadSettings, Reader};
use accrue_lab::search::SearchedQuery;
use anyhow::{Context as _, bail};

use super::left_out::{BATCH, Refused};
use super::request::Run;

/// The name of the protocol.
pub const SEARCH: &str = "search";

/// A text file, plain or `.zst`.
pub(super) fn text_of(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bytes = match path.extension().is_some_and(|ending| ending == "zst") {
        true => zstd::decode_all(&*bytes).with_context(|| format!("{} is no zstd file", path.display()))?,
        false => bytes,
    };
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The queries of an earlier run, as `--predictions` wrote them.
pub(super) fn read_answers(path: &Path) -> anyhow::Result<Vec<SearchedQuery>> {
    let read =
        |line: &str| serde_json::from_str(line).with_context(|| format!("{}: not a searched query", path.display()));
    text_of(path)?.lines().map(read).collect()
}

/// Reads and checks the catalogue; returns the items with the counts of refused ones.
pub(super) fn read_items(run: &Run<'_>, path: &Path) -> anyhow::Result<(Vec<Item>, Refused)> {
    let request = run.request;
    let mut mapping = request.mapping.clone().unwrap_or_else(|| request.named.clone());
    mapping.kind = RecordKind::Items;
    let settings = ReadSettings { mapping, columns: request.columns.clone(), ..ReadSettings::default() };
    let check = Check::new(run.config.check_settings(), RuleStatistics::default())?;
    let mut reader = Reader::open(path, &settings, &Progress::default())?;
    let mut items: Vec<Item> = Vec::new();
    let mut refused = Refused::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok((items, refused));
        }
        for entry in batch.entries {
            let rejection = match entry {
                Entry::Item(item) => match check.judge_item(&item) {
                    Ok((item, _)) => {
                        items.push(item);
                        continue;
                    }
                    Err(rejection) => rejection,
                },
                Entry::Unreadable(refusal) => refusal.rejection,
                _ => bail!("{}: items are needed here", path.display()),
            };
            *refused.entry(rejection.reason.into()).or_default() += 1;
        }
    }
}
