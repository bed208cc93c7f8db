//! Tables of other servers, read from a position on.
//!
//! In: an address (`postgres://…`, `mysql://…`), a mapping, and the position after which to go on. Out: portions of
//! records, each with the position after it. Whoever takes a portion stores its position in the same commit as its records, and
//! opens the source there the next time: then a crash loses nothing and doubles nothing.
//!
//! A source of another kind is a file here and a line of `KINDS`. Without its cargo feature a kind is known and cannot be
//! opened.

mod address;
#[cfg(feature = "sql")]
mod mysql;
#[cfg(feature = "sql")]
mod postgres;
#[cfg(feature = "sql")]
mod records;
#[cfg(feature = "sql")]
mod sql;

use std::time::Duration;

use accrue_event::{Mapping, MappingError};

pub use self::address::Address;
use super::entry::Batch;

/// A table that is read from a position on. It connects when it is first read, and again after a failure.
pub trait RemoteSource: Send {
    /// Up to `n` records after those returned so far. If there are none, it waits for some for about `wait`.
    ///
    /// # Errors
    /// [`RemoteError`]. The records returned so far stay returned: after [`RemoteError::is_passing`] it may be asked again.
    fn next(&mut self, n: usize, wait: Duration) -> Result<Portion, RemoteError>;

    /// What was recognised since the last call and should be said.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Records of a source, and how far it was read by them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Portion {
    /// The records, with the numbers of their rows.
    pub batch: Batch,
    /// The position after them (JSON); `None` if there was nothing to read.
    pub position: Option<String>,
    /// Whether it ends because it has as many records, or bytes, as were asked for or as one may have.
    pub is_full: bool,
    /// Whether the source had no more records than these when it was asked, or, in a source that grows, when it was opened.
    pub is_at_end: bool,
}

/// How a source is read.
#[derive(Clone, Debug, Default)]
pub struct RemoteSettings {
    /// The name under which its position is kept. Ids of events that have none of their own are made with it.
    pub name: String,
    /// How its names become ours.
    pub mapping: Mapping,
    /// Whether events without a time are refused. Otherwise the check gives them the time of their arrival.
    pub needs_time: bool,
    /// Items are changes of some fields, in which `null` clears a field.
    pub is_patch: bool,
    /// Where to go on (JSON), as a [`Portion`] said it; `None` begins at the beginning.
    pub position: Option<String>,
}

/// Bytes of the texts of a portion, about.
#[cfg(feature = "sql")]
const MAX_BYTES: usize = 16 << 20;

/// Why a source cannot be read, or not now.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that is none.
    #[error("{address}: {what}")]
    Address {
        /// The address, without its password.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// The build cannot read such sources.
    #[error(
        "{address}: this build does not read {scheme}; build one that does with: \
         cargo build --release -p accrue --features {feature}"
    )]
    Feature {
        /// The address, without its password.
        address: String,
        /// The kind of source.
        scheme: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// The server does not answer, or broke off: it may be tried again.
    #[error("{name}: {why}")]
    Unavailable {
        /// The source.
        name: String,
        /// What was seen of it.
        why: String,
    },
    /// The server answers and refuses, or what is asked for is not there.
    #[error("{name}: {why}")]
    Refused {
        /// The source.
        name: String,
        /// The server's words, and what is there instead.
        why: String,
    },
    /// The mapping does not fit the source.
    #[error("{name}: the mapping does not fit: {source}")]
    Mapping {
        /// The source.
        name: String,
        /// What does not fit.
        source: MappingError,
    },
    /// The mapping has keys that a source without an end cannot have.
    #[error("{name}: `{key}` of the mapping needs a file as a whole, and a source is read in portions")]
    NeedsFile {
        /// The source.
        name: String,
        /// The key.
        key: &'static str,
    },
}

impl RemoteError {
    /// Whether the same may succeed in a while without a change of the command.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Opens a source of a kind.
type Open = fn(&Address, &RemoteSettings) -> Result<Box<dyn RemoteSource>, RemoteError>;

/// A kind of source.
struct Kind {
    /// How its addresses begin.
    schemes: &'static [&'static str],
    /// The cargo feature that it needs.
    feature: &'static str,
    /// The name under which its position is kept, if none is given.
    name: fn(&Address) -> Result<String, RemoteError>,
    /// `None` in a build without the feature.
    open: Option<Open>,
}

#[cfg(feature = "sql")]
const POSTGRES: Option<Open> = Some(postgres::open);
#[cfg(not(feature = "sql"))]
const POSTGRES: Option<Open> = None;
#[cfg(feature = "sql")]
const MYSQL: Option<Open> = Some(mysql::open);
#[cfg(not(feature = "sql"))]
const MYSQL: Option<Open> = None;

/// Every kind of source.
const KINDS: &[Kind] = &[
    Kind { schemes: &["postgres", "postgresql"], feature: "sql", name: Address::table_name, open: POSTGRES },
    Kind { schemes: &["mysql", "mariadb"], feature: "sql", name: Address::table_name, open: MYSQL },
];

fn kind_of(address: &Address) -> Result<&'static Kind, RemoteError> {
    let known = |kind: &&Kind| kind.schemes.contains(&address.scheme());
    KINDS.iter().find(known).ok_or_else(|| {
        let schemes: Vec<String> = KINDS.iter().map(|kind| format!("{}://", kind.schemes[0])).collect();
        address.fault(format!("there is no source of this kind; there are: {}", schemes.join(", ")))
    })
}

/// The name under which the position of a source is kept if none is given: the database and the table or query. It
/// leaves out the server, which may be replaced by another one with the same records.
///
/// # Errors
/// If the address does not say what to read.
pub fn default_name(address: &Address) -> Result<String, RemoteError> {
    (kind_of(address)?.name)(address)
}

/// Opens a source. Nothing is sent to its server yet.
///
/// # Errors
/// If the address or the mapping cannot be used, or the build lacks the feature.
pub fn open(address: &Address, settings: &RemoteSettings) -> Result<Box<dyn RemoteSource>, RemoteError> {
    let kind = kind_of(address)?;
    let name = || settings.name.clone();
    let of_file =
        [("variants", settings.mapping.variants.is_some()), ("fill_down", !settings.mapping.fill_down.is_empty())];
    if let Some((key, _)) = of_file.into_iter().find(|(_, given)| *given) {
        return Err(RemoteError::NeedsFile { name: name(), key });
    }
    let open = kind.open.ok_or_else(|| RemoteError::Feature {
        address: address.to_string(),
        scheme: kind.schemes[0],
        feature: kind.feature,
    })?;
    open(address, settings)
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_accepts_and_says_nothing_counts_as_one_that_does_not_answer() {
        for scheme in ["postgres", "mysql"] {
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = silent.local_addr().unwrap().port();
            let text = format!("{scheme}://shop:secret@127.0.0.1:{port}/db?table=orders&cursor=id&timeout=0.3");
            let address: Address = text.parse().unwrap();
            let mut source = open(&address, &RemoteSettings::default()).unwrap();
            let error = source.next(10, Duration::ZERO).unwrap_err();
            assert!(error.is_passing() && error.to_string().contains("no answer within 0.3 s"), "{error}");
            drop(silent);
        }
        let wrong: Address = "mysql://db/shop?table=orders&timeout=soon".parse().unwrap();
        let error = open(&wrong, &RemoteSettings::default()).err().unwrap();
        assert!(error.to_string().contains("`timeout`"), "{error}");
    }
}
