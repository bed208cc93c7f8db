//! `POST /v1/events`: what shoppers do.

use std::sync::Arc;
use std::time::Duration;

use accrue_engine::{Incoming, Ingested, Sender};
use accrue_event::{RawEvent, Reason};
use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};

use super::body::{Form, by_size};
use super::caller::Caller;
use super::ingested::{IngestedBody, refuse_if_nothing_taken};
use super::problem::{Code, Problem, ProblemDocument};
use super::records::{Batch, Record};
use super::schema::EventRecord;
use super::server::Server;

/// Places for events of keys that every visitor can read in the writer's queue, so that the shop's own never wait for long
/// behind them; a batch that takes more waits until it is alone.
pub(super) const PUBLISHED_AT_A_TIME: u32 = 2_048;
/// Bytes of a batch that take a place, as an event does: what is judged of an event grows with its bytes.
const BYTES_OF_PLACE: usize = 512;
/// Places that a batch takes at least. So there are at most 256 of such keys in the queue, of whose 1,024 places the others
/// are the shop's own.
const LEAST_PLACES: usize = 8;
/// Milliseconds that events of such a key wait for room in the queue.
const PUBLISHED_WAIT_MS: u64 = 2_000;

impl Server {
    /// Reads a request's body as a batch of at most `most` records.
    pub(super) async fn read_batch<R: Record + Send + 'static>(
        &self,
        request: Request,
        most: usize,
    ) -> Result<Batch<R>, Problem> {
        let (parts, body) = request.into_parts();
        let form = Form::of(&parts.headers)?;
        let plain = self.read_body(&parts, body).await?;
        let bytes = plain.bytes.clone();
        let n_bytes = bytes.len();
        let batch: Batch<R> = by_size(n_bytes, move || Batch::read(&bytes, form, most)).await?;
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        caller.charge_records(batch.records.len(), n_bytes);
        Ok(batch)
    }

    /// Accepts events of a published key, which any visitor of a page can send.
    async fn ingest_published(
        &self,
        records: Vec<Incoming<RawEvent>>,
        n_bytes: usize,
        caller: &Caller,
    ) -> Result<Ingested, Problem> {
        let room = self.published_writes.acquire_many(places_of(records.len(), n_bytes));
        let waiting = tokio::time::timeout(Duration::from_millis(PUBLISHED_WAIT_MS), room).await;
        let Ok(Ok(_room)) = waiting else {
            let detail = "too many events of published keys at a time; try again shortly";
            return Err(Problem::new(Code::Overloaded, detail).retry_after(1));
        };
        let ingested = self.engine.ingest_from(caller.sender(), records).await?;
        // What is beyond the bytes of the day is no fault of whoever sends it.
        let is_fault = |reason: &str| reason != Reason::TooManyBytes.code();
        let n_refused = ingested.quarantined.iter().filter(|refused| is_fault(&refused.reason)).count();
        caller.charge_refused(n_refused + ingested.refused_again.len());
        Ok(ingested)
    }
}

/// The places that a batch takes.
fn places_of(n_events: usize, n_bytes: usize) -> u32 {
    let places = n_events.max(n_bytes.div_ceil(BYTES_OF_PLACE)).max(LEAST_PLACES);
    u32::try_from(places).unwrap_or(u32::MAX).min(PUBLISHED_AT_A_TIME)
}

/// Whether the declared type is `text/plain`, with any parameters.
fn is_plain_text(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}

/// Send events
///
/// A JSON array, one object, or one object per line (`application/x-ndjson`); plain, gzip or zstd. After the answer the
/// events are durable, and the next recommendation for their shoppers uses them. One bad record never fails its batch;
/// if no record is taken, the answer is 422 with the reasons. Sending a batch again is safe where its events have an
/// `id` or a time (`at`): an event without both is a new one each time.
///
/// A browser's `navigator.sendBeacon` can set neither the type of a text nor a header: `text/plain` is read as JSON
/// here, and a key with no other scopes than `publish` and `search` may be in the address, as `?key=`.
///
/// What comes with a key without the scope `write` could have been sent by anybody, and is kept apart: its ids are in a
/// namespace of the key (`@publish:KEY:ID`); it belongs to its `session`, whatever `user` it names; and it has no
/// effect if neither the catalogue nor an event of the shop's own names its item, or if it is a purchase or a return,
/// which the shop's backend reports (`check.published.purchases`). Of such a key the rate counts events. With a key
/// that has `write` and not `admin`, an `id` that begins with `@publish:` is refused (`reserved_id`).
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "collect",
    security(("bearer" = []), ("key" = []), ("published" = [])),
    request_body(content(
        (Vec<EventRecord> = "application/json"),
        (EventRecord = "application/x-ndjson"),
        (String = "text/plain"),
    )),
    responses(
        (status = 200, description = "The outcome of each record", body = IngestedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post_events(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
) -> Result<Json<IngestedBody>, Problem> {
    if is_plain_text(request.headers()) {
        request.headers_mut().remove(header::CONTENT_TYPE);
    }
    let Batch { records, n_bytes, .. } = server.read_batch::<RawEvent>(request, server.settings.max_events).await?;
    if records.is_empty() {
        return Ok(Json(IngestedBody::nothing(server.engine.status().log_end)));
    }
    let ingested = match caller.sender() {
        Sender::Published { .. } => server.ingest_published(records, n_bytes, &caller).await?,
        own => server.engine.ingest_from(own, records).await?,
    };
    refuse_if_nothing_taken(&ingested)?;
    Ok(Json(ingested.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_a_published_key_takes_places_by_its_events_and_its_bytes() {
        let places = [(1, 60), (1_000, 60_000), (1, 50_000), (1, 1 << 20), (10_000, 1 << 20)];
        let taken = places.map(|(n_events, n_bytes)| places_of(n_events, n_bytes));
        assert_eq!(taken, [8, 1_000, 98, 2_048, 2_048]);
    }
}
