//! The parts of the server that may fail, under the names that the status and the metrics use.

use accrue_engine::{ContentState, IndexState, Status};

/// A part that may fail: the name that the status and the metrics use, and whether it has failed.
type Part = (&'static str, fn(&Status) -> bool);

/// The parts that may fail.
pub(super) const PARTS: [Part; 7] = [
    ("writer", |status| status.poisoned.is_some()),
    ("learner", |status| status.learner_failed.is_some()),
    // One that is filled after a start has not failed.
    ("search_index", |status| status.search.state != IndexState::Current && status.search.failures > 0),
    ("checkpoint", |status| status.checkpoint.failed.is_some()),
    ("forgetting", |status| status.erasure_failed.is_some()),
    ("content", |status| status.content.state == ContentState::Failed),
    ("clock", |status| status.ahead_s.is_some()),
];

/// Those that failed.
pub(super) fn degraded(status: &Status) -> Vec<&'static str> {
    PARTS.into_iter().filter(|(_, has_failed)| has_failed(status)).map(|(part, _)| part).collect()
}

#[cfg(test)]
mod tests {
    use accrue_engine::{CheckpointStatus, ContentStatus, IndexStatus};

    use super::*;

    #[test]
    fn each_part_that_failed_is_told_by_its_own_name() {
        let why = || Some("why".to_owned());
        let failed: [(&str, Status); PARTS.len()] = [
            ("writer", Status { poisoned: why(), ..Status::default() }),
            ("learner", Status { learner_failed: why(), ..Status::default() }),
            (
                "search_index",
                Status {
                    search: IndexStatus { state: IndexState::Failed, failures: 1, ..Default::default() },
                    ..Status::default()
                },
            ),
            (
                "checkpoint",
                Status { checkpoint: CheckpointStatus { failed: why(), ..Default::default() }, ..Status::default() },
            ),
            ("forgetting", Status { erasure_failed: why(), ..Status::default() }),
            (
                "content",
                Status {
                    content: ContentStatus { state: ContentState::Failed, ..Default::default() },
                    ..Status::default()
                },
            ),
            ("clock", Status { ahead_s: Some(7_200), ..Status::default() }),
        ];
        for (name, status) in &failed {
            assert_eq!(degraded(status), [*name]);
        }
        let filled = IndexStatus { state: IndexState::Building, ..Default::default() };
        assert!(degraded(&Status { search: filled, ..Status::default() }).is_empty());
        assert!(degraded(&Status::default()).is_empty());
    }
}
