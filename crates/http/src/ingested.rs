//! The answer to a batch of records of any kind, and the problem of a batch of which every record was refused.

use std::collections::BTreeMap;

use accrue_engine::{Ingested, Refused};
use accrue_event::MisspeltField;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::problem::{Code, Problem};

/// The outcome of a batch: `accepted` + `repaired` + `duplicates` + the length of `quarantined` is its number of
/// records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IngestedBody {
    /// Accepted as sent.
    #[schema(example = 2)]
    accepted: u64,
    /// Accepted after repairs (white space, a missing price, a clock a little ahead …).
    #[schema(example = 0)]
    repaired: u64,
    /// How many of the repaired records each repair was made to, by its code; a record may have several. `GET /metrics`
    /// counts them for events.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({"price_from_item": 1}))]
    repairs: BTreeMap<Box<str>, u64>,
    /// Names that were kept as attributes or properties, and are near the name of a field that the record lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misspelt: Vec<MisspeltBody>,
    /// Attributes and properties that were left out because their values are objects, with the number of records.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Option<BTreeMap<String, u64>>, example = json!({"_vectors": 1}))]
    dropped: BTreeMap<Box<str>, u64>,
    /// What the sender should know of records that were taken, in sentences: that an event is more than 30 days newer than
    /// all before it, so that those count as long ago from now on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// With `sync=true`: items that were retired because the catalogue lacks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 14)]
    retired: Option<u64>,
    /// Known already by id, or refused before; nothing was changed.
    #[schema(example = 0)]
    duplicates: u64,
    /// Refused; kept with the reason until they are released or dropped. Of a published key at most as many an hour as
    /// `check.published.kept_refusals_per_hour` says; further ones are counted by reason.
    quarantined: Vec<RefusedBody>,
    /// The log's end after this batch: its records are before this offset. An answer with an `offset` at least as high
    /// has learned from them.
    #[schema(example = 48213)]
    offset: u64,
}

/// A refused record of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedBody {
    /// Its position in the batch, from 0.
    #[schema(example = 1)]
    index: usize,
    /// Stable reason code.
    #[schema(example = "no_shopper")]
    reason: String,
    /// The exact fault.
    #[schema(example = "user, session: one of them is needed")]
    detail: String,
}

/// A name that is probably that of a field, written wrongly.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MisspeltBody {
    /// The name as it was sent.
    #[schema(value_type = String, example = "stok")]
    name: Box<str>,
    /// The field that was probably meant.
    #[schema(value_type = String, example = "stock")]
    near: Box<str>,
    /// Number of records.
    #[schema(example = 1)]
    records: u64,
}

impl From<MisspeltField> for MisspeltBody {
    fn from(MisspeltField { name, near, records }: MisspeltField) -> Self {
        Self { name, near, records }
    }
}

impl From<Refused> for RefusedBody {
    fn from(Refused { index, reason, detail }: Refused) -> Self {
        Self { index, reason, detail }
    }
}

impl From<Ingested> for IngestedBody {
    fn from(ingested: Ingested) -> Self {
        Self {
            accepted: ingested.accepted,
            repaired: ingested.repaired,
            repairs: ingested.repairs,
            misspelt: ingested.misspelt.into_iter().map(MisspeltBody::from).collect(),
            dropped: ingested.dropped,
            warnings: ingested.leap.iter().map(ToString::to_string).collect(),
            retired: ingested.retired,
            duplicates: ingested.duplicates,
            quarantined: ingested.quarantined.into_iter().map(RefusedBody::from).collect(),
            offset: ingested.offset,
        }
    }
}

impl IngestedBody {
    /// The answer to an empty batch.
    pub(super) fn nothing(offset: u64) -> Self {
        Ingested { offset, ..Ingested::default() }.into()
    }
}

/// The problem of a batch of which no record was taken, now or before. A client that names every field wrongly would not
/// notice it by a 200.
pub(super) fn refuse_if_nothing_taken(ingested: &Ingested) -> Result<(), Problem> {
    let refused: Vec<_> = ingested.quarantined.iter().chain(&ingested.refused_again).collect();
    let known = ingested.duplicates - ingested.refused_again.len() as u64;
    let Some(first) = refused.first() else { return Ok(()) };
    if ingested.accepted + ingested.repaired + known > 0 {
        return Ok(());
    }
    let detail = format!("none of {} records was taken; the first: {}", refused.len(), first.detail);
    let reasons = |refused: &[Refused]| -> Vec<_> {
        let one =
            |refused: &Refused| json!({"index": refused.index, "reason": refused.reason, "detail": refused.detail});
        refused.iter().map(one).collect()
    };
    Err(Problem::new(Code::RecordRefused, detail)
        .member("reason", first.reason.as_str())
        .member("accepted", 0)
        .member("repaired", 0)
        .member("duplicates", ingested.duplicates)
        .member("quarantined", reasons(&ingested.quarantined))
        .member("refused_before", reasons(&ingested.refused_again))
        .member("offset", ingested.offset))
}

/// The problem of the one record that was sent, if the check refused it, now or before.
pub(super) fn refuse_if_refused(ingested: &Ingested) -> Result<(), Problem> {
    match ingested.quarantined.first().or(ingested.refused_again.first()) {
        None => Ok(()),
        Some(refused) => {
            let problem = Problem::new(Code::RecordRefused, refused.detail.as_str());
            Err(problem.member("reason", refused.reason.as_str()))
        }
    }
}
