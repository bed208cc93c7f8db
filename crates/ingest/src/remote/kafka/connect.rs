//! Connecting to a topic: which partitions it has, and where each of them is read from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::partition::{Partition, Reading};
use super::{ANSWER, Topic};
use crate::remote::RemoteError;

impl Topic {
    pub(super) fn connect(&mut self) -> Result<(), RemoteError> {
        let consumer: BaseConsumer = self.config.create().map_err(|error| self.failed(&error))?;
        let consumer = Arc::new(consumer);
        let found = self.partitions_of(&consumer)?;
        let mut list = TopicPartitionList::new();
        let mut ends = BTreeMap::new();
        for &number in &found {
            let bounds = consumer.fetch_watermarks(&self.topic, number, ANSWER).map_err(|error| self.failed(&error))?;
            let next = self.start_of(number, bounds)?;
            self.position.next.insert(number, next);
            list.add_partition_offset(&self.topic, number, Offset::Offset(next))
                .map_err(|error| self.failed(&error))?;
            ends.insert(number, bounds.1);
        }
        consumer.assign(&list).map_err(|error| self.failed(&error))?;
        let mut partitions = BTreeMap::new();
        for (number, end) in ends {
            let queue = consumer
                .split_partition_queue(&self.topic, number)
                .ok_or_else(|| self.refused(format!("partition {number} has no queue")))?;
            partitions.insert(number, Partition { queue, early: VecDeque::new(), head: None, is_at_end: false, end });
        }
        self.is_first = false;
        self.reading = Some(Reading { consumer, partitions, looked_at: Instant::now(), is_live: false, down: None });
        Ok(())
    }

    /// The partitions of the topic, which are those of the position or more.
    fn partitions_of(&self, consumer: &BaseConsumer) -> Result<Vec<i32>, RemoteError> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), ANSWER).map_err(|error| self.failed(&error))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let mut found: Vec<i32> =
            topic.iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
        found.sort_unstable();
        if found.is_empty() {
            let error = topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
            return Err(match error {
                Some(error) if error != RDKafkaErrorCode::UnknownTopicOrPartition => {
                    self.failed(&KafkaError::MetadataFetch(error))
                }
                _ => self.no_topic(consumer),
            });
        }
        if let Some(gone) = self.position.next.keys().find(|number| !found.contains(number)) {
            return Err(self.refused(format!(
                "the topic has {} partitions, and the log has a position in partition {gone}: it was made again since, \
                 perhaps on another cluster. To read it from its beginning, give it another name (--name)",
                found.len()
            )));
        }
        Ok(found)
    }

    /// Where a partition that has the records `low..high` is read from.
    fn start_of(&mut self, number: i32, (low, high): (i64, i64)) -> Result<i64, RemoteError> {
        // A partition that is new in a known topic is read from its first record.
        let Some(&next) = self.position.next.get(&number) else {
            if low > 0 && !self.is_first {
                return self.lost(number, 0, low);
            }
            return Ok(low);
        };
        if next > high {
            return Err(self.refused(format!(
                "partition {number} ends at {high}, and the log has it read up to {next}: the topic was made again since, \
                 or its cluster has lost records. To read it from its beginning, give it another name (--name)"
            )));
        }
        if next < low { self.lost(number, next, low) } else { Ok(next) }
    }

    fn lost(&mut self, number: i32, from: i64, low: i64) -> Result<i64, RemoteError> {
        let what = format!(
            "partition {number}: the records {from} to {} are gone, because the topic's retention removed them before they were \
             read",
            low - 1
        );
        if !self.accepts_loss {
            let what = format!("{what}. To go on at {low} without them: --accept-loss");
            return Err(RemoteError::Lost { name: self.name.clone(), what });
        }
        self.notes.push(format!("{}: {what}; reading goes on at {low}", self.name));
        Ok(low)
    }

    /// A topic that is not there, with those that are.
    fn no_topic(&self, consumer: &BaseConsumer) -> RemoteError {
        let all = consumer.fetch_metadata(None, ANSWER).ok();
        let names: Vec<String> = all
            .iter()
            .flat_map(|metadata| metadata.topics())
            .map(|topic| topic.name().to_owned())
            .filter(|name| !name.starts_with("__"))
            .collect();
        let there = if names.is_empty() { "none".into() } else { accrue_event::listed(&names) };
        self.refused(format!("the cluster has no topic {:?}; topics that it has: {there}", self.topic))
    }
}
