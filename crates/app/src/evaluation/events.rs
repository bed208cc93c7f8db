//! Events, items and users of files, checked as by the server, for protocols on a stream.

use std::collections::BTreeMap;
use std::path::Path;

use accrue_engine::Config;
use accrue_event::{
    Check, CheckSettings, Item, ItemId, KnownItem, Mapping, Outcome, RateSettings, RecordKind, RuleStatistics,
    Timestamp, Undo, User,
};
use accrue_ingest::{Entry, Progress, ReadSettings, Reader, taken_back};
use accrue_lab::StreamData;
use anyhow::bail;

use super::left_out::{BATCH, LeftOut, Refused, refuse_if_empty};
use super::request::Request;
use super::table::{TableSettings, known_columns};

/// Reads and checks the events; returns them with the counts of refused ones.
pub(super) fn read(
    config: &Config,
    request: &Request,
    types: Option<&[String]>,
) -> anyhow::Result<(StreamData, Refused)> {
    // Times in files may be rounded to the day, or missing, so the check for automated senders is off.
    let settings =
        CheckSettings { rates: RateSettings { actions: 0, ..config.check.rates.clone() }, ..config.check_settings() };
    let mut check = Check::new(settings, RuleStatistics::default())?;
    let mut items: BTreeMap<ItemId, Item> = BTreeMap::new();
    let mut refused = Refused::new();
    let mut data = StreamData::default();
    let mapping = match &request.mapping {
        Some(mapping) => mapping.clone(),
        None => known_columns(&request.train, &TableSettings::of(request))?,
    };
    let read_settings = ReadSettings { mapping, columns: request.columns.clone(), ..ReadSettings::default() };
    let mut reader = Reader::open(&request.train, &read_settings, &Progress::default())?;
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            break;
        }
        for entry in batch.entries {
            let mut refuse = |reason: LeftOut| *refused.entry(reason).or_default() += 1;
            let (event, description) = match entry {
                Entry::Event(event, item) => (event, item),
                Entry::Undone(event, Undo::Always) => (taken_back(event), None),
                Entry::Undone(_, Undo::IfKnown | Undo::Order | Undo::KnownOrder) => continue,
                Entry::Unreadable(refusal) => {
                    refuse(refusal.rejection.reason.into());
                    continue;
                }
                Entry::Item(_) | Entry::Patch(_) | Entry::User(_) | Entry::ItemRemoved(_) | Entry::UserRemoved(_) => {
                    bail!("{}: events are needed here", request.train.display())
                }
            };
            let known = |id: &ItemId| items.get(id).map(|item| KnownItem { price: item.price, category: None });
            // No event of a file is late, so the clock is at the end of time.
            match check.judge(&event, Timestamp(i64::MAX / 4), known) {
                Outcome::Quarantined(rejection) => refuse(rejection.reason.into()),
                Outcome::Accepted(event) | Outcome::Repaired(event, _) => {
                    if types.is_some_and(|types| !types.iter().any(|kept| kept == event.event_type.name())) {
                        refuse(LeftOut::OtherType);
                        continue;
                    }
                    check.observe(&event, event.item.as_ref().and_then(known));
                    if let Some(Ok((item, _))) = description.map(|item| check.judge_item(&item))
                        && items.get(&item.id) != Some(&item)
                    {
                        items.insert(item.id.clone(), item.clone());
                        data.items.push((data.events.len(), item));
                    }
                    data.events.push(event);
                }
            }
        }
    }
    refuse_if_empty(&request.train, data.events.len(), &refused)?;
    if let Some(path) = &request.users {
        data.users = read_users(path, &check)?;
    }
    Ok((data, refused))
}

/// Reads and checks descriptions of users.
fn read_users(path: &Path, check: &Check) -> anyhow::Result<Vec<User>> {
    let mapping = Mapping { kind: RecordKind::Users, ..Mapping::default() };
    let mut reader = Reader::open(path, &ReadSettings { mapping, ..ReadSettings::default() }, &Progress::default())?;
    let mut users = Vec::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok(users);
        }
        for entry in batch.entries {
            let Entry::User(user) = entry else { bail!("{}: users are needed here", path.display()) };
            let judged = check.judge_user(&user);
            users.push(judged.map_err(|rejection| anyhow::anyhow!("{}: {rejection}", path.display()))?.0);
        }
    }
}
