//! Ids and query parameters of the address, and the bounds that they share with bodies.

use std::ops::RangeInclusive;

use accrue_engine::Engine;
use accrue_event::{ItemId, Tree, clean_id};
use accrue_serve::filter::Filter;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::wrong_field;
use super::problem::{Code, Problem};

/// Items that one answer may have.
pub(super) const N: RangeInclusive<usize> = 1..=1000;
/// How far down the list a page may begin.
pub(super) const MAX_OFFSET: usize = accrue_serve::MAX_DEPTH;
// A schema takes literals only.
const _: () = assert!(*N.end() == 1_000 && MAX_OFFSET == 10_000, "the schemas of requests repeat these numbers");
/// Longest id in a request, in bytes.
const MAX_ID_BYTES: usize = 4096;
/// Longest name of a kind of page or device, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// The one id of a path, decoded and in the form in which records have it.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::InvalidPath, "the id in the path is not a text in UTF-8"))?;
        let id = clean_id(&id);
        check_id(&id).map_err(|fault| Problem::new(Code::InvalidPath, format!("id: {fault}")))?;
        Ok(Self(id.into_owned()))
    }
}

/// An item's id in the form in which records have it.
pub(super) fn clean_item(id: &ItemId) -> ItemId {
    ItemId::from(&*clean_id(id.as_str()))
}

/// The query parameters, as a struct.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if let Ok(Query(params)) = Query::try_from_uri(&parts.uri) {
            return Ok(Self(params));
        }
        // Read again as plain texts, because those errors are data.
        let Query(texts) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(Code::InvalidQuery, error.body_text()))?;
        let texts = texts.into_iter().map(|(name, text)| (name, Tree::Untyped(text))).collect();
        let params = Tree::Table(texts).read();
        params.map(Self).map_err(|mismatch| wrong_field(&mismatch, Code::InvalidQuery))
    }
}

/// An id that no record can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum IdFault {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {MAX_ID_BYTES} bytes")]
    TooLong,
    #[error("must not contain control characters")]
    ControlCharacter,
}

fn check_id(id: &str) -> Result<(), IdFault> {
    match id {
        _ if id.trim().is_empty() => Err(IdFault::Empty),
        _ if id.len() > MAX_ID_BYTES => Err(IdFault::TooLong),
        _ if id.chars().any(char::is_control) => Err(IdFault::ControlCharacter),
        _ => Ok(()),
    }
}

/// Prefixes the names of fields with the position of their object in the body, such as `requests[3].`.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub(super) &'a str);

impl At<'_> {
    pub(super) fn fault(self, field: &str, message: &str) -> Problem {
        let field = format!("{}{field}", self.0);
        Problem::new(Code::InvalidValue, format!("{field}: {message}")).field(field)
    }

    /// A count within bounds, or the default.
    pub(super) fn count(
        self,
        field: &str,
        value: Option<usize>,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        match value {
            None => Ok(default),
            Some(value) if bounds.contains(&value) => Ok(value),
            Some(value) => {
                let message = format!("must be {} to {}, not {value}", bounds.start(), bounds.end());
                Err(self.fault(field, &message))
            }
        }
    }

    /// A number from 0 to 1, or the default.
    pub(super) fn share(self, field: &str, value: Option<f32>, default: f32) -> Result<f32, Problem> {
        match value {
            None => Ok(default),
            Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
            Some(value) => Err(self.fault(field, &format!("must be 0 to 1, not {value}"))),
        }
    }

    /// Refuses more elements than `most`.
    pub(super) fn list(self, field: &str, n: usize, most: usize) -> Result<(), Problem> {
        if n > most {
            return Err(self.fault(field, &format!("must have at most {most} elements, not {n}")));
        }
        Ok(())
    }

    /// Refuses a text that is too long.
    pub(super) fn text(self, field: &str, text: &str, max_bytes: usize) -> Result<(), Problem> {
        if text.len() > max_bytes {
            return Err(self.fault(field, &format!("must have at most {max_bytes} bytes")));
        }
        Ok(())
    }

    /// The shop's own name of a kind of page or device, if there is one.
    pub(super) fn name(self, field: &str, name: Option<String>) -> Result<Option<Box<str>>, Problem> {
        name.iter().try_for_each(|name| self.text(field, name, MAX_NAME_BYTES))?;
        Ok(name.map(String::into_boxed_str))
    }

    /// An id, in the form in which records have it.
    pub(super) fn id<T: for<'i> From<&'i str>>(self, field: &str, id: &str) -> Result<T, Problem> {
        let id = &*clean_id(id);
        check_id(id).map_err(|fault| self.fault(field, &fault.to_string()))?;
        Ok(T::from(id))
    }

    /// An id, if there is one.
    pub(super) fn id_if<T: for<'i> From<&'i str>>(self, field: &str, id: Option<&str>) -> Result<Option<T>, Problem> {
        id.map(|id| self.id(field, id)).transpose()
    }

    /// A list of item ids.
    pub(super) fn items(self, field: &str, ids: &[String], most: usize) -> Result<Vec<ItemId>, Problem> {
        self.list(field, ids.len(), most)?;
        ids.iter().enumerate().map(|(idx, id)| self.id(&format!("{field}[{idx}]"), id)).collect()
    }

    /// A filter on fields that items have; an empty text is none.
    pub(super) fn filter(self, text: Option<&str>, engine: &Engine) -> Result<Option<Filter>, Problem> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        let problem = |fault: String| Problem::new(Code::InvalidFilter, fault).field(format!("{}filter", self.0));
        let filter = Filter::of_request(text).map_err(|error| problem(error.to_string()))?;
        engine.with_shop(|shop| shop.check_filter(&filter)).map_err(|unknown| {
            problem(unknown.to_string()).member("name", &*unknown.name).member("near", &unknown.near[..])
        })?;
        Ok(Some(filter))
    }
}
