//! Errors as RFC 9457 problem documents: a stable `code` for programs, a sentence for people.
//!
//! A handler returns a [`Problem`]; the middleware, which knows the request's id, writes the document.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use accrue_engine::{EngineError, Resource};
use accrue_store::StoreError;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $status:ident $code:literal $title:literal,)*) => {
        /// All errors, each with its status and title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            #[cfg(test)]
            pub(super) const ALL: &[Code] = &[$(Code::$variant),*];

            pub(super) fn status(self) -> StatusCode {
                match self {
                    $(Code::$variant => StatusCode::$status,)*
                }
            }

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $code,)*
                }
            }

            pub(super) fn title(self) -> &'static str {
                match self {
                    $(Code::$variant => $title,)*
                }
            }
        }
    };
}

codes! {
    MalformedJson => BAD_REQUEST "malformed_json" "The body is not JSON",
    InvalidBody => BAD_REQUEST "invalid_body" "A field of the body cannot be read",
    UnknownField => BAD_REQUEST "unknown_field" "There is no such field",
    InvalidValue => BAD_REQUEST "invalid_value" "A value is out of its range",
    InvalidQuery => BAD_REQUEST "invalid_query" "The query string cannot be read",
    InvalidPath => BAD_REQUEST "invalid_path" "The path cannot be read",
    InvalidFilter => BAD_REQUEST "invalid_filter" "The filter cannot be read",
    BrokenEncoding => BAD_REQUEST "broken_encoding" "The body cannot be decompressed",
    BrokenBody => BAD_REQUEST "broken_body" "The body did not arrive whole",
    UnsafeSync => BAD_REQUEST "unsafe_sync" "This catalogue would retire items by mistake",
    KeyRequired => UNAUTHORIZED "key_required" "A key is needed",
    UnknownKey => UNAUTHORIZED "unknown_key" "The key is not known",
    MissingScope => FORBIDDEN "missing_scope" "The key does not permit this",
    OriginNotAllowed => FORBIDDEN "origin_not_allowed" "Pages of this origin may not do this",
    HostNotAllowed => FORBIDDEN "host_not_allowed" "This host name is not allowed without keys",
    NotFound => NOT_FOUND "not_found" "There is nothing at this address",
    ItemNotFound => NOT_FOUND "item_not_found" "The item is not known",
    UserNotFound => NOT_FOUND "user_not_found" "The user is not known",
    RecordNotFound => NOT_FOUND "record_not_found" "The record is not in quarantine",
    MethodNotAllowed => METHOD_NOT_ALLOWED "method_not_allowed" "This address has no such method",
    Conflict => CONFLICT "conflict" "The request conflicts with the current state",
    VersionNotFound => NOT_FOUND "version_not_found" "The version is not known",
    BodyTimeout => REQUEST_TIMEOUT "body_timeout" "The body took too long to arrive",
    BodyTooLarge => PAYLOAD_TOO_LARGE "body_too_large" "The body is too large",
    TooManyRecords => PAYLOAD_TOO_LARGE "too_many_records" "The batch is too large",
    UnsupportedMediaType => UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body's type is not supported",
    UnsupportedEncoding => UNSUPPORTED_MEDIA_TYPE "unsupported_encoding" "The body's encoding is not supported",
    RecordRefused => UNPROCESSABLE_ENTITY "record_refused" "The check refused the record",
    RateLimited => TOO_MANY_REQUESTS "rate_limited" "Too many requests",
    Internal => INTERNAL_SERVER_ERROR "internal_error" "The server failed",
    StorageFailed => INTERNAL_SERVER_ERROR "storage_failed" "The stored data could not be read",
    WriterPoisoned => SERVICE_UNAVAILABLE "writer_poisoned" "Nothing can be written at the moment",
    Overloaded => SERVICE_UNAVAILABLE "overloaded" "The server is busy",
    Closing => SERVICE_UNAVAILABLE "closing" "The server is shutting down",
    Timeout => SERVICE_UNAVAILABLE "timeout" "The answer took too long",
}

/// An error of a request.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Content>);

#[derive(Clone, Debug)]
struct Content {
    code: Code,
    detail: String,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Content { code, detail: detail.into(), members: Vec::new(), headers: Vec::new() }))
    }

    /// Adds the field at fault: a path such as `requests[3].n`.
    pub(super) fn field(self, name: impl Into<String>) -> Self {
        self.member("field", name.into())
    }

    pub(super) fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, seconds.into())
    }

    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    /// The field at fault, if one is.
    pub(super) fn at_fault(&self) -> Option<&str> {
        self.0.members.iter().find(|(name, _)| *name == "field").and_then(|(_, field)| field.as_str())
    }

    /// What is wrong, as a sentence.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What the answer has beside the document.
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The document, for the request with this id.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let Content { code, detail, members, headers } = &*self.0;
        let mut document = Map::new();
        let own = [
            ("type", json!(format!("urn:accrue:problem:{}", code.name()))),
            ("title", json!(code.title())),
            ("status", json!(code.status().as_u16())),
            ("detail", json!(detail)),
            ("code", json!(code.name())),
            ("request_id", json!(request_id)),
        ];
        document.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        document.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut response = (code.status(), Json(document)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

// Only the status, with the problem as an extension; the middleware writes the document.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Poisoned(_) => Problem::new(Code::WriterPoisoned, detail).retry_after(60),
            EngineError::Overloaded => Problem::new(Code::Overloaded, detail).retry_after(1),
            EngineError::Closing => Problem::new(Code::Closing, detail).retry_after(5),
            EngineError::NotFound { what, .. } => {
                let code = match what {
                    Resource::Item => Code::ItemNotFound,
                    Resource::User => Code::UserNotFound,
                    Resource::Version => Code::VersionNotFound,
                    Resource::QuarantinedRecord => Code::RecordNotFound,
                    Resource::SuspectWindow | Resource::Rule | Resource::SearchProposal => Code::NotFound,
                };
                Problem::new(code, detail)
            }
            EngineError::Refused(rejection) => {
                Problem::new(Code::RecordRefused, rejection.detail).member("reason", rejection.reason.code().to_owned())
            }
            EngineError::Conflict { .. } => Problem::new(Code::Conflict, detail),
            EngineError::UnsafeSync { n_absent, n_sold } => {
                let detail = format!("{detail} Nothing was taken; with retire_most=true they are retired");
                Problem::new(Code::UnsafeSync, detail).member("absent", n_absent).member("catalogue", n_sold)
            }
            EngineError::Train(refused) if refused.is_of_retention() => Problem::new(Code::Conflict, detail),
            EngineError::Synonyms(_) => Problem::new(Code::InvalidValue, detail).field("synonyms"),
            EngineError::Campaigns(fault) => Problem::new(Code::InvalidValue, detail).field(fault.field),
            EngineError::Rules(fault) => Problem::new(Code::InvalidValue, detail).field(fault.field),
            EngineError::Scenes(fault) => {
                Problem::new(Code::InvalidValue, detail).field(format!("scenes.{}", fault.key))
            }
            EngineError::Proposal(_) => Problem::new(Code::InvalidValue, detail),
            EngineError::Invalid { field, .. } => Problem::new(Code::InvalidValue, detail).field(field),
            EngineError::Store(StoreError::DiskFull { .. } | StoreError::ReadOnly { .. }) => {
                tracing::error!(error = %detail, "the data folder cannot be written");
                Problem::new(
                    Code::WriterPoisoned,
                    "the disk of the server is full or cannot be written; nothing was changed",
                )
                .retry_after(60)
            }
            EngineError::Store(StoreError::Unreachable { .. }) => {
                tracing::error!(error = %detail, "the database that holds the log does not answer");
                Problem::new(
                    Code::WriterPoisoned,
                    "the database of the server does not answer; nothing was changed, and the same request can be repeated",
                )
                .retry_after(5)
            }
            EngineError::Store(_)
            | EngineError::Train(_)
            | EngineError::Search(_)
            | EngineError::SynonymsFile { .. }
            | EngineError::Check(_) => {
                // Paths of the data folder are for the operator, not for the client.
                tracing::error!(error = %detail, "the engine failed");
                Problem::new(Code::StorageFailed, "the server's log has the cause")
            }
        }
    }
}

/// A problem document (RFC 9457, `application/problem+json`).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// The kind of problem, as a URI.
    #[schema(example = "urn:accrue:problem:unknown_field")]
    pub r#type: String,
    /// The kind of problem, for people.
    #[schema(example = "There is no such field")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// The exact fault, and what to do.
    #[schema(example = "unknown field `limit`, expected one of `user`, `session`, `n`")]
    pub detail: String,
    /// Stable, for programs.
    #[schema(example = "unknown_field")]
    pub code: String,
    /// As in the header `x-request-id` and in the server's log.
    #[schema(example = "67408f1ab3c2-1f")]
    pub request_id: String,
    /// The field at fault, if there is one.
    #[schema(example = "limit")]
    pub field: Option<String>,
}

/// The problem of a server that has too much to do at the moment.
pub(super) fn overloaded(why: &str) -> Problem {
    Problem::new(Code::Overloaded, format!("{why}; try again shortly")).retry_after(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_errors_all() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().is_client_error() || code.status().is_server_error()));
    }

    #[test]
    fn errors_of_the_engine_have_their_codes() {
        let check = |error: EngineError, code: Code, retries: bool| {
            let problem = Problem::from(error);
            assert_eq!(problem.code(), code);
            assert_eq!(problem.render("r1").headers().contains_key(header::RETRY_AFTER), retries, "{code:?}");
        };
        let unknown = |what| EngineError::NotFound { what, id: "x".into() };
        check(EngineError::Poisoned("disk full".into()), Code::WriterPoisoned, true);
        check(EngineError::Overloaded, Code::Overloaded, true);
        check(EngineError::Closing, Code::Closing, true);
        check(unknown(Resource::Item), Code::ItemNotFound, false);
        check(unknown(Resource::User), Code::UserNotFound, false);
        check(unknown(Resource::QuarantinedRecord), Code::RecordNotFound, false);
        check(EngineError::Invalid { field: "n", message: "odd".into() }, Code::InvalidValue, false);
    }

    #[test]
    fn a_document_has_its_members_and_headers() {
        let problem = Problem::new(Code::RateLimited, "key `web`").retry_after(2).member("limit", 5);
        let response = problem.render("r1");
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
