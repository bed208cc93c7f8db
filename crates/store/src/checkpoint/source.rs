//! Reading a checkpoint's sections as values. A section that this build cannot use is reported and is not an error.
//!
//! A damaged section is an error, because an earlier checkpoint or the log has its content.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use super::Checkpoint;
use crate::StoreError;

/// The sections of a checkpoint, read one by one.
#[derive(Debug)]
pub struct SectionSource<'a> {
    checkpoint: &'a Checkpoint,
    asked: BTreeSet<String>,
    unread: Vec<Unread>,
}

/// A section that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its name.
    pub section: String,
    /// Why.
    pub reason: UnreadReason,
}

/// Why a section was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadReason {
    /// The checkpoint does not have it.
    #[error("the checkpoint does not have it")]
    Missing,
    /// It has another version.
    #[error("it has version {found}, but this build reads version {expected}")]
    Version {
        /// The version in the file.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// It has an older version, which this build converts, but an older build counted in another way.
    #[error("{}", converted(*found, *expected))]
    Converted {
        /// The version in the file; 0 where the build that wrote it did not count this yet.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// Its bytes are undamaged, but this build cannot decode them.
    #[error("it does not decode: {0}")]
    Undecodable(String),
    /// This build does not know it.
    #[error("this build has no use for it")]
    Unknown,
}

fn converted(found: u32, expected: u32) -> String {
    match found {
        0 => "the build that wrote the checkpoint did not count it yet".into(),
        found => format!("it has version {found}, which counted in another way than version {expected}"),
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "section {:?}: {}", self.section, self.reason)
    }
}

impl<'a> SectionSource<'a> {
    /// The sections of `checkpoint`.
    pub fn new(checkpoint: &'a Checkpoint) -> Self {
        Self { checkpoint, asked: BTreeSet::new(), unread: Vec::new() }
    }

    /// The checkpoint that they come from.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// The value of a section of this version. If this build cannot use the section, `None` is returned and the reason is kept.
    ///
    /// # Errors
    /// If the section is damaged, or the file cannot be read.
    pub fn value<T: DeserializeOwned>(&mut self, name: &str, version: u32) -> Result<Option<T>, StoreError> {
        self.value_since(name, version..=version)
    }

    /// [`SectionSource::value`] for a type that can read all these versions.
    ///
    /// # Errors
    /// Those of [`SectionSource::value`].
    pub fn value_since<T: DeserializeOwned>(
        &mut self,
        name: &str,
        versions: RangeInclusive<u32>,
    ) -> Result<Option<T>, StoreError> {
        self.asked.insert(name.to_owned());
        let reason = match self.checkpoint.section_version(name) {
            None => UnreadReason::Missing,
            Some(found) if !versions.contains(&found) => UnreadReason::Version { found, expected: *versions.end() },
            Some(_) => match postcard::take_from_bytes(&self.checkpoint.section_bytes(name)?) {
                Ok((value, [])) => return Ok(Some(value)),
                Ok((_, rest)) => UnreadReason::Undecodable(format!("{} bytes are left over", rest.len())),
                Err(error) => UnreadReason::Undecodable(error.to_string()),
            },
        };
        self.unread.push(Unread { section: name.to_owned(), reason });
        Ok(None)
    }

    /// The value of a section of an older version, converted. That the build that wrote it counted in another way than this
    /// one is noted, because what was converted is not what this build computes from the same records.
    ///
    /// # Errors
    /// Those of [`SectionSource::value`].
    pub fn converted<Old: DeserializeOwned, T: From<Old>>(
        &mut self,
        name: &str,
        found: u32,
        expected: u32,
    ) -> Result<Option<T>, StoreError> {
        let value = self.value::<Old>(name, found)?.map(T::from);
        if value.is_some() {
            self.unread.push(Unread { section: name.to_owned(), reason: UnreadReason::Converted { found, expected } });
        }
        Ok(value)
    }

    /// The empty value of a section that the build that wrote the checkpoint did not have, which is noted likewise.
    pub fn not_counted<T: Default>(&mut self, name: &str, expected: u32) -> T {
        self.asked.insert(name.to_owned());
        self.unread.push(Unread { section: name.to_owned(), reason: UnreadReason::Converted { found: 0, expected } });
        T::default()
    }

    /// Skips a section without content, whether the checkpoint has it or not.
    pub fn pass(&mut self, name: &str) {
        self.asked.insert(name.to_owned());
    }

    /// Records that a section was read and cannot be used.
    pub fn reject(&mut self, name: &str, why: String) {
        self.unread.push(Unread { section: name.to_owned(), reason: UnreadReason::Undecodable(why) });
    }

    /// The sections that could not be used, in the order of the requests, followed by those that were never requested.
    pub fn into_unread(self) -> Vec<Unread> {
        let Self { checkpoint, asked, mut unread } = self;
        let unknown = checkpoint.sections().filter(|(name, _)| !asked.contains(*name));
        unread.extend(unknown.map(|(name, _)| Unread { section: name.to_owned(), reason: UnreadReason::Unknown }));
        unread
    }
}
