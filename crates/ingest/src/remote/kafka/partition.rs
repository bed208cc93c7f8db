//! The connection to a topic, and the records that came over it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};

/// The connection, and what came over it.
pub(super) struct Reading {
    pub consumer: Arc<BaseConsumer>,
    pub partitions: BTreeMap<i32, Partition>,
    pub looked_at: Instant,
    /// Whether the end was reached since the topic was opened.
    pub is_live: bool,
    /// What the client said of the brokers, until something comes of them again.
    pub down: Option<String>,
}

pub(super) struct Partition {
    pub queue: PartitionQueue<DefaultConsumerContext>,
    /// Records that came before there was a queue of the partition's own.
    pub early: VecDeque<Record>,
    /// The next record, taken out of the queue.
    pub head: Option<Record>,
    /// Nothing came after the records so far.
    pub is_at_end: bool,
    /// The offset after the last record when the topic was opened.
    pub end: i64,
}

/// A record as it came.
pub(super) struct Record {
    pub offset: i64,
    pub at_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub content: Option<Vec<u8>>,
}

impl Record {
    pub fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            offset: message.offset(),
            at_ms: message.timestamp().to_millis().filter(|at| *at >= 0),
            key: message.key().map(<[u8]>::to_vec),
            content: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl Partition {
    /// Takes the next record out of the queue, if there is one within `wait`.
    pub fn poll(&mut self, wait: Duration, down: &mut Option<String>) -> Result<(), KafkaError> {
        if self.head.is_none() {
            self.head = self.early.pop_front();
        }
        if self.head.is_some() {
            return Ok(());
        }
        match self.queue.poll(wait) {
            None => Ok(()),
            Some(Ok(message)) => {
                self.head = Some(Record::of(&message));
                (self.is_at_end, *down) = (false, None);
                Ok(())
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                (self.is_at_end, *down) = (true, None);
                Ok(())
            }
            Some(Err(error)) => Err(error),
        }
    }
}
