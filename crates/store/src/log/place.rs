//! Where a log is: in its data folder, or on an SQL server beside a data folder, which then has everything that is derived.
//!
//! A place of another kind is a file that implements [`SegmentStore`], and a line of [`BACKENDS`]. Without its cargo feature a kind
//! is known and cannot be opened.

use std::path::{Path, PathBuf};

use super::embedded::EmbeddedStore;
use super::local_part::LocalPart;
use super::segment_store::SegmentStore;
use crate::{StoreError, StoreUrl};

/// Where a log is.
#[derive(Clone, Debug)]
pub struct LogPlace {
    dir: PathBuf,
    url: StoreUrl,
}

/// Opens the store of an address for the data folder's part of the log.
type Open = fn(&StoreUrl, LocalPart) -> Result<Box<dyn SegmentStore>, StoreError>;

/// A kind of server that can hold a log.
struct Backend {
    /// How its addresses begin.
    schemes: &'static [&'static str],
    /// The cargo feature that it needs.
    feature: &'static str,
    /// `None` in a build without the feature.
    open: Option<Open>,
}

#[cfg(feature = "sql")]
const SQL: [Option<Open>; 2] = [Some(super::sql::open_postgres), Some(super::sql::open_mysql)];
#[cfg(not(feature = "sql"))]
const SQL: [Option<Open>; 2] = [None, None];

/// Every kind of server.
const BACKENDS: &[Backend] = &[
    Backend { schemes: &["postgres", "postgresql"], feature: "sql", open: SQL[0] },
    Backend { schemes: &["mysql", "mariadb"], feature: "sql", open: SQL[1] },
];

impl LogPlace {
    /// The log of the data folder `dir`: in it, or where the address says.
    pub fn new(dir: &Path, url: &StoreUrl) -> Self {
        Self { dir: dir.into(), url: url.clone() }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Whether the log is in the data folder.
    pub fn is_embedded(&self) -> bool {
        self.url.is_embedded()
    }

    /// The store, which need not have a log yet.
    pub(super) fn to_write(&self) -> Result<Box<dyn SegmentStore>, StoreError> {
        let local = LocalPart::of(&self.dir);
        if self.is_embedded() {
            local.refuse_if_elsewhere()?;
            return Ok(Box::new(EmbeddedStore::new(local.dir)));
        }
        local.refuse_if_embedded(&self.url)?;
        self.open_backend(local)
    }

    /// The store of a log that is there.
    pub(super) fn to_read(&self) -> Result<Box<dyn SegmentStore>, StoreError> {
        let local = LocalPart::of(&self.dir);
        if self.is_embedded()
            && let Err(error) = std::fs::metadata(&local.dir)
            && error.kind() == std::io::ErrorKind::NotFound
        {
            return Err(StoreError::NoFolder { path: self.dir.clone() });
        }
        self.to_write()
    }

    fn open_backend(&self, local: LocalPart) -> Result<Box<dyn SegmentStore>, StoreError> {
        let scheme = self.url.scheme();
        let fault = |why: String| StoreError::Refused { place: self.url.to_string(), why };
        let Some(backend) = BACKENDS.iter().find(|backend| backend.schemes.contains(&scheme)) else {
            let schemes: Vec<String> = BACKENDS.iter().map(|backend| format!("{}://", backend.schemes[0])).collect();
            return Err(fault(format!("there is no place for a log of this kind; there are: {}", schemes.join(", "))));
        };
        let open = backend.open.ok_or_else(|| {
            fault(format!(
                "this build keeps the log in its data folder only; build one that can keep it in {} with: cargo build --release -p \
                 accrue --features {}",
                backend.schemes[0], backend.feature
            ))
        })?;
        open(&self.url, local)
    }
}

impl From<&Path> for LogPlace {
    fn from(dir: &Path) -> Self {
        Self { dir: dir.into(), url: StoreUrl::default() }
    }
}

impl From<&PathBuf> for LogPlace {
    fn from(dir: &PathBuf) -> Self {
        dir.as_path().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Log, LogReader, LogSettings};

    #[test]
    fn a_folder_whose_log_is_elsewhere_gets_no_second_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        std::fs::write(dir.path().join("log/elsewhere"), "postgres://db/shop\n7\n").unwrap();
        let told = |error: StoreError| {
            assert!(error.to_string().contains("is in postgres://db/shop; name it with --store"), "{error}");
        };
        told(Log::open(dir.path(), LogSettings::default()).err().unwrap());
        told(LogReader::open(dir.path()).err().unwrap());
    }

    #[test]
    fn an_address_of_an_unknown_kind_is_refused_with_those_that_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let url = "redis://u:secret@h/1".parse().unwrap();
        let error = LogReader::open(LogPlace::new(dir.path(), &url)).err().unwrap().to_string();
        assert!(error.contains("there are: postgres://, mysql://") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_folder_with_a_log_of_its_own_is_not_used_beside_another() {
        let dir = tempfile::tempdir().unwrap();
        drop(Log::open(dir.path(), LogSettings::default()).unwrap());
        let url = "postgres://h/d".parse().unwrap();
        let error = Log::open(LogPlace::new(dir.path(), &url), LogSettings::default()).err().unwrap().to_string();
        assert!(error.contains("has a log of its own"), "{error}");
    }
}
