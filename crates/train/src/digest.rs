//! Digests: checksums of the log and of each part of the state that follows from it, by which two folders are compared.

use std::collections::BTreeMap;
use std::io::Write;

use accrue_model::{Member, Visitor};
use accrue_store::{Facts, LogReader};
use serde::Serialize;

use crate::{Learner, TrainError};

/// Checksums of the log and of each part of the state that follows from it, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// The records before this offset are covered.
    pub offset: u64,
    /// Checksum of the records: their offsets, times and bytes.
    pub log: String,
    /// Checksum of all parts.
    pub state: String,
    /// Checksum of each part.
    pub parts: BTreeMap<String, String>,
}

/// The digest of both folds, which must be at the same offset.
///
/// # Errors
/// If the log cannot be read.
///
/// # Panics
/// If the learner is behind the facts.
pub fn digest(log: &mut LogReader, facts: &Facts, learner: &Learner) -> Result<Digest, TrainError> {
    assert_eq!(facts.end, learner.end(), "a digest is taken of both folds at one offset");
    let learner = &learner.without_labels();
    let ensemble = learner.ensemble();
    let mut parts = BTreeMap::from(
        [
            ("facts.items", checksum(&facts.items)),
            ("facts.shoppers", checksum(&facts.shoppers)),
            ("facts.catalogue", checksum(facts.entries())),
            ("facts.histories", checksum(&facts.histories)),
            ("facts.quarantine", checksum(&facts.quarantine)),
            ("facts.rules", checksum(&(&facts.statistics, &facts.counters, facts.duplicates))),
            ("facts.all", checksum(facts)),
            ("learned.blend", checksum(&ensemble.blend)),
            ("learned.catalogue", checksum(&ensemble.catalogue)),
            ("learned.arms", checksum(&learner.current().arms())),
            ("learned.histories", checksum(learner.histories())),
            ("learned.descriptions", checksum(learner.descriptions())),
            ("learned.impressions", checksum(learner.impressions())),
            ("learned.guard", checksum(learner.guard())),
            ("learned.versions", checksum(learner.lineage())),
            ("learned.quality", checksum(learner.quality())),
            ("learned.all", checksum(learner)),
        ]
        .map(|(part, checksum)| (part.to_string(), checksum)),
    );
    if let Some(published) = facts.published() {
        parts.insert("facts.published".to_string(), checksum(&published));
    }
    if let Some(rules) = facts.rule_texts() {
        parts.insert("facts.shop_rules".to_string(), checksum(rules));
    }
    if let Some(scenes) = facts.scene_texts() {
        parts.insert("facts.scenes".to_string(), checksum(scenes));
    }
    if !facts.synonyms.is_empty() {
        parts.insert("facts.synonyms".to_string(), checksum(&facts.synonyms));
    }
    if facts.searches != Default::default() {
        parts.insert("facts.searches".to_string(), checksum(&facts.searches));
    }
    if !facts.shown.is_empty() {
        parts.insert("facts.shown".to_string(), checksum(&facts.shown));
    }
    if facts.search_ranking != Default::default() {
        parts.insert("facts.search_ranking".to_string(), checksum(&facts.search_ranking));
    }
    if !facts.new_products.is_empty() {
        parts.insert("facts.new_products".to_string(), checksum(&facts.new_products));
    }
    if !facts.ledger.is_untouched() {
        parts.insert("facts.campaigns".to_string(), checksum(&facts.ledger.settled()));
    }
    if !facts.search_proposals.is_empty() {
        parts.insert("facts.search_proposals".to_string(), checksum(&facts.search_proposals));
    }
    if !facts.sources.is_empty() {
        parts.insert("facts.sources".to_string(), checksum(&facts.sources));
    }
    if let Some(encoded) = facts.encoded_items() {
        parts.insert("facts.encoded".to_string(), checksum(encoded));
        parts.insert("learned.vectors".to_string(), checksum(ensemble.catalogue.vectors()));
    }
    if !learner.clicks().is_untouched() {
        parts.insert("learned.clicks".to_string(), checksum(learner.clicks()));
    }
    ensemble.members.visit(&mut Checksums(&mut parts));
    Ok(Digest { offset: facts.end.0, log: format!("{:032x}", log.digest(facts.end)?), state: checksum(&parts), parts })
}

/// Adds the checksum of each member.
struct Checksums<'a>(&'a mut BTreeMap<String, String>);

impl Visitor for Checksums<'_> {
    fn visit<M: Member>(&mut self, name: &'static str, member: &M) {
        self.0.insert(format!("learned.{name}"), checksum(member));
    }
}

/// Checksum of the serialised value, computed without keeping the bytes.
fn checksum(value: &(impl Serialize + ?Sized)) -> String {
    struct Hashing(xxhash_rust::xxh3::Xxh3);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let hashed =
        postcard::to_io(value, Hashing(Default::default())).expect("states serialise, and hashing never fails");
    format!("{:032x}", hashed.0.digest128())
}
