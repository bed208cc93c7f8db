//! Reading a request's body within its time limit and its size limit, which applies to the decompressed bytes.
//!
//! In: the headers and the stream. Out: plain bytes, or a problem. A decompression bomb stops at the limit.

use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use accrue_event::{Mismatch, MismatchKind, Tree};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::access::Access;
use super::caller::Caller;
use super::large::{LargeBodies, Place};
use super::problem::{Code, Problem};
use super::server::Server;
use super::settings::HttpSettings;

/// Above this a body counts as large: few are held at a time, and they are processed off the async threads.
const LARGE_BYTES: usize = 64 << 10;

/// Most bytes of a body that needs no key: the form of a login.
const OPEN_BYTES: usize = 16 << 10;

/// Largest window that a zstd frame may need: `zstd -19` uses 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 24;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Plain) };
        match value.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Plain),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(Problem::new(Code::UnsupportedEncoding, "send the body plain, or compressed by gzip or zstd")
                .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))),
        }
    }
}

/// A body, decompressed.
pub(super) struct Plain {
    pub(super) bytes: Bytes,
}

impl Server {
    /// Waits until the whole body of a request is here, as it was sent, and returns a permit for it if it is large. The
    /// middleware does this before the request counts as being served.
    pub(super) async fn await_body(&self, request: &mut Request, access: Access) -> Result<Option<Place<'_>>, Problem> {
        let encoding = Encoding::of(request.headers())?;
        let body = std::mem::take(request.body_mut());
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        let (large_bodies, owner) = (self.large_bodies_of(&caller), caller.address());
        let limit = if access == Access::Open { OPEN_BYTES } else { self.body_limit_of(&caller) };
        let (mut permit, mut n_arrived) = (None, 0);
        let reading = receive(body, limit, (large_bodies, owner), &mut permit, &mut n_arrived);
        let sent = match tokio::time::timeout(Duration::from_secs(self.settings.request_timeout_s), reading).await {
            Ok(sent) => sent,
            Err(_) => {
                let detail = format!("the body did not arrive within {} s", self.settings.request_timeout_s);
                Err(Problem::new(Code::BodyTimeout, detail))
            }
        };
        let sent = sent.inspect_err(|_| {
            // What arrived of a body that ends early has cost as much as a whole one; the client is told of the first fault.
            let _ = caller.charge_body(n_arrived);
        })?;
        permit.iter().for_each(Place::is_whole);
        // The decompressed size is not known yet, so it counts as large. Nothing decompresses what needs no key.
        if encoding != Encoding::Plain && permit.is_none() && access != Access::Open {
            permit = Some(large_bodies.place(owner).ok_or_else(too_many_large)?);
            permit.iter().for_each(Place::is_whole);
        }
        *request.body_mut() = Body::from(sent);
        Ok(permit)
    }

    /// The whole body of a request, decompressed.
    pub(super) async fn read_body(&self, parts: &Parts, body: Body) -> Result<Plain, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        let limit = self.body_limit_of(&caller);
        let encoding = Encoding::of(&parts.headers)?;
        let sent = axum::body::to_bytes(body, limit).await;
        let sent = sent.map_err(|error| Problem::new(Code::BrokenBody, error.to_string()))?;
        if encoding == Encoding::Plain {
            caller.charge_body(sent.len())?;
            return Ok(Plain { bytes: sent });
        }
        // What has come out of a body that is refused has cost as much as that of one that is not.
        let (bytes, found) = off_worker(move || decompress(&sent, encoding, limit)).await;
        caller.charge_body(bytes.len())?;
        found?;
        Ok(Plain { bytes: bytes.into() })
    }

    /// Most bytes of a caller's body.
    fn body_limit_of(&self, caller: &Caller) -> usize {
        let HttpSettings { body_limit_bytes, published_body_limit_bytes, .. } = self.settings;
        if caller.is_public() { published_body_limit_bytes.min(body_limit_bytes) } else { body_limit_bytes }
    }

    /// The places for a caller's large bodies: keys that every visitor can read have their own, so that they leave those
    /// of the shop free.
    fn large_bodies_of(&self, caller: &Caller) -> &LargeBodies {
        if caller.is_public() { &self.published_large_bodies } else { &self.large_bodies }
    }
}

/// The bytes as sent; `n_arrived` tells how many came, also of a body that is refused. Refuses before reading if the
/// declared length exceeds the limit.
async fn receive<'s>(
    mut body: Body,
    limit: usize,
    (large_bodies, owner): (&'s LargeBodies, Option<IpAddr>),
    permit: &mut Option<Place<'s>>,
    n_arrived: &mut usize,
) -> Result<Bytes, Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(too_large(limit));
    }
    // What was only announced takes no permit: it may never come.
    let mut first = Bytes::new();
    let mut all = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match permit.as_ref() {
            None => next.await,
            Some(place) => tokio::select! {
                frame = next => frame,
                () = place.gave_way() => return Err(too_many_large()),
            },
        };
        let data = match frame {
            None => break,
            Some(Err(error)) => return Err(Problem::new(Code::BrokenBody, error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_trailers) => continue,
            },
        };
        let n_bytes = first.len().max(all.len()) + data.len();
        *n_arrived = n_bytes;
        if n_bytes > limit {
            return Err(too_large(limit));
        }
        if n_bytes > LARGE_BYTES && permit.is_none() {
            *permit = Some(large_bodies.place(owner).ok_or_else(too_many_large)?);
        }
        permit.iter().for_each(|place| place.received(data.len()));
        // Most bodies come in one piece and are not copied.
        match (first.is_empty(), all.is_empty()) {
            (true, _) => first = data,
            (false, true) => {
                all.reserve(n_bytes.max(declared.min(2 * LARGE_BYTES)));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
            }
            (false, false) => all.extend_from_slice(&data),
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

fn too_many_large() -> Problem {
    Problem::new(Code::Overloaded, "too many large bodies at a time; try again shortly").retry_after(1)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body may have {limit} bytes, decompressed; send several smaller ones"))
        .member("limit_bytes", limit)
}

/// The bytes that came out, and whether that is all of them.
fn decompress(sent: &[u8], encoding: Encoding, limit: usize) -> (Vec<u8>, Result<(), Problem>) {
    let mut plain = Vec::with_capacity(sent.len().saturating_mul(4).min(limit));
    // One byte above the limit distinguishes a body that is too large from one that just fits.
    let most = limit as u64 + 1;
    let mut read = || -> io::Result<()> {
        match encoding {
            Encoding::Plain => plain.extend_from_slice(sent),
            Encoding::Gzip => {
                flate2::read::MultiGzDecoder::new(sent).take(most).read_to_end(&mut plain)?;
            }
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(sent)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                decoder.take(most).read_to_end(&mut plain)?;
            }
        }
        Ok(())
    };
    let found = read().map_err(|error| Problem::new(Code::BrokenEncoding, error.to_string()));
    let found = if plain.len() > limit { Err(too_large(limit)) } else { found };
    (plain, found)
}

/// Runs work that may take many milliseconds on a thread where it delays no other request.
pub(super) async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Not cancelled: only this function holds the task.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Runs work on a body of that size: on this thread if it is small, else off the async threads.
pub(super) async fn by_size<T: Send + 'static>(n_bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if n_bytes <= LARGE_BYTES { work() } else { off_worker(work).await }
}

/// The format that the `Content-Type` declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, or no declaration.
    Json,
    /// One JSON text per line.
    Lines,
}

impl Form {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Json) };
        let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/json" | "text/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Ok(Self::Lines)
            }
            other if other.starts_with("application/") && other.ends_with("+json") => Ok(Self::Json),
            other => {
                let detail = format!(
                    "{other:?} is not accepted here; send `Content-Type: application/json`, or `application/x-ndjson` for one record a line"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

/// A body that is one JSON value of a known shape. Unknown fields are refused by name.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if Form::of(&parts.headers)? == Form::Lines {
            return Err(Problem::new(Code::UnsupportedMediaType, "send one JSON object as `application/json`"));
        }
        let plain = server.read_body(&parts, body).await?;
        read_json(&plain.bytes).map(Self)
    }
}

/// One JSON value of a known shape.
pub(super) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Read again as plain values: those errors are data, and a value of the wrong kind may have hidden a later fault
        // in the syntax.
        match serde_json::from_slice::<Tree>(bytes) {
            Ok(tree) => match tree.read::<T>() {
                Err(mismatch) => wrong_field(&mismatch, Code::InvalidBody),
                Ok(_) => Problem::new(Code::InvalidBody, error.to_string()),
            },
            Err(_) => malformed(bytes, 0),
        }
    })
}

/// The problem of bytes that are not JSON; `from` is where they begin in the body.
pub(super) fn malformed(bytes: &[u8], from: usize) -> Problem {
    // Parsed again, since an error inside a typed value may have stopped before the fault in the syntax.
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => Problem::new(Code::MalformedJson, "a text or number in the body cannot be represented"),
        Err(error) => {
            let position = from + position(bytes, &error);
            let detail = format!("{}, at byte {position}", fault_of_text(&error));
            Problem::new(Code::MalformedJson, detail).member("position", position)
        }
    }
}

/// What is wrong with a text that is not JSON.
pub(super) fn fault_of_text(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Eof => "the JSON ends before it is complete",
        Category::Data => "a text or number cannot be represented",
        Category::Syntax | Category::Io => "this is not JSON",
    }
}

/// The byte that an error is about, from the line and column that the parser reports.
pub(super) fn position(bytes: &[u8], error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(line - 2)
            .map_or(bytes.len(), |(newline, _)| newline + 1),
    };
    (line_start + error.column().saturating_sub(1)).min(bytes.len())
}

/// The problem of a well-formed body or query with an invalid field; `invalid` is the code for a value of the wrong kind.
pub(super) fn wrong_field(mismatch: &Mismatch, invalid: Code) -> Problem {
    let code = match mismatch.kind {
        MismatchKind::UnknownField { .. } => Code::UnknownField,
        MismatchKind::MissingField | MismatchKind::Value(_) => invalid,
    };
    let problem = Problem::new(code, mismatch.to_string());
    if mismatch.path.is_empty() { problem } else { problem.field(&mismatch.path) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Shape {
        n: u32,
    }

    #[test]
    fn faults_of_a_body_are_named() {
        let check = |body: &str, code: Code, detail: &str| {
            let problem = read_json::<Shape>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code(), code, "{body}");
            assert!(format!("{problem:?}").contains(detail), "{body}: {problem:?}");
        };
        check(r#"{"n":1,"limit":2}"#, Code::UnknownField, "expected `n`");
        check(r#"{"n":"one"}"#, Code::InvalidBody, "n: must be a whole number");
        check(r#"{"n":-1}"#, Code::InvalidBody, "must be a whole number of at least 0, not -1");
        check(r#"{}"#, Code::InvalidBody, "missing field `n`");
        check("{\"n\":1,\n!}", Code::MalformedJson, "at byte 8");
        check("{\"n\":\"one\",!}", Code::MalformedJson, "at byte 11");
        check(r#"{"n":"#, Code::MalformedJson, "ends before");
        check("", Code::MalformedJson, "ends before");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![b' '; 1 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&zeros[..], 1).unwrap();
        for (sent, encoding) in [(&gzip, Encoding::Gzip), (&zstd, Encoding::Zstd)] {
            let code = |limit| {
                let (plain, found) = decompress(sent, encoding, limit);
                found.map(|()| plain.len()).map_err(|p| p.code())
            };
            assert_eq!(code(zeros.len()), Ok(zeros.len()));
            assert_eq!(code(zeros.len() - 1), Err(Code::BodyTooLarge));
            let cut = decompress(&sent[..sent.len() / 2], encoding, 1 << 20).1.unwrap_err();
            assert_eq!(cut.code(), Code::BrokenEncoding);
        }
    }
}
