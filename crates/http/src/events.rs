//! `POST /v1/events`: what shoppers do.

use std::sync::Arc;

use accrue_event::RawEvent;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};

use super::body::{Form, by_size};
use super::ingested::{IngestedBody, refuse_if_nothing_taken};
use super::problem::{Problem, ProblemDocument};
use super::records::{Batch, Record};
use super::schema::EventRecord;
use super::server::Server;

impl Server {
    /// Reads a request's body as a batch of at most `most` records.
    pub(super) async fn read_batch<R: Record + Send + 'static>(
        &self,
        request: Request,
        most: usize,
    ) -> Result<Batch<R>, Problem> {
        let (parts, body) = request.into_parts();
        let form = Form::of(&parts.headers)?;
        let plain = self.read_body(&parts.headers, body).await?;
        let bytes = plain.bytes.clone();
        by_size(bytes.len(), move || Batch::read(&bytes, form, most)).await
    }
}

/// Whether the declared type is `text/plain`, with any parameters.
fn is_plain_text(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}

/// Send events
///
/// A JSON array, one object, or one object per line (`application/x-ndjson`); plain, gzip or zstd. After the answer the
/// events are durable, and the next recommendation for their shoppers uses them. One bad record never fails its batch; if
/// no record is taken, the answer is 422 with the reasons. Sending a batch again is safe where its events have an `id` or
/// a time (`at`): an event without both is a new one each time.
///
/// A browser's `navigator.sendBeacon` can set neither the type of a text nor a header: `text/plain` is read as JSON here,
/// and a key with the scope `publish` alone may be in the address, as `?key=`.
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
    mut request: Request,
) -> Result<Json<IngestedBody>, Problem> {
    if is_plain_text(request.headers()) {
        request.headers_mut().remove(header::CONTENT_TYPE);
    }
    let Batch { records, .. } = server.read_batch::<RawEvent>(request, server.settings.max_events).await?;
    if records.is_empty() {
        return Ok(Json(IngestedBody::nothing(server.engine.status().log_end)));
    }
    let ingested = server.engine.ingest_async(records).await?;
    refuse_if_nothing_taken(&ingested)?;
    Ok(Json(ingested.into()))
}
