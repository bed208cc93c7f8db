//! A topic of Kafka as a source: `kafka://HOST:PORT,…/TOPIC?security.protocol=SSL&…`.
//!
//! Options with a dot are properties of librdkafka. The position is the offset after the last record of each partition; it is
//! kept by whoever takes the records, and no consumer group is used: a group's offsets are committed beside the records, and a
//! crash between the two doubles or loses some. What is read behind the end of a backlog is in the order of the records'
//! timestamps over all partitions, so that a shop that is read for the first time is learned in the order in which it
//! happened, and two readings of the same topic give the same records in the same order.
//!
//! Records that retention removed before they were read are told and not passed over, unless the caller accepts their loss.
//! A record without content removes the item or user that its key names, as in a compacted topic.

mod connect;
mod partition;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};

use self::partition::{Reading, Record};
use super::records::{Place, Records};
use super::{Address, MAX_BYTES, Portion, RemoteError, RemoteSettings, RemoteSource};
use crate::entry::Batch;

/// How long an answer of a broker is waited for.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it is waited for where brokers were away.
const PROBE: Duration = Duration::from_secs(2);
/// How long a record of a partition that has some is waited for while a backlog is read, before the others go on without it.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(10);
/// The same behind the end of the backlog.
const LIVE_PATIENCE: Duration = Duration::from_millis(20);
/// How often new partitions are looked for.
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(30);
/// How long a queue that has nothing is waited for at once.
const STEP: Duration = Duration::from_millis(10);

/// How far the partitions of a topic were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Position {
    topic: String,
    /// The offset of the next record, by partition.
    next: BTreeMap<i32, i64>,
}

pub(super) fn open(address: &Address, settings: &RemoteSettings) -> Result<Box<dyn RemoteSource>, RemoteError> {
    let topic = address.path().to_owned();
    address.topic_name()?;
    let servers = address.server().split_once('/').map_or("", |(servers, _)| servers);
    if servers.is_empty() || servers.contains('@') {
        return Err(address.fault(
            "write kafka://HOST:PORT,HOST:PORT/TOPIC; a user and a password are options: sasl.username=…&sasl.password=…",
        ));
    }
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        // Needed by the library; nothing is stored under it.
        .set("group.id", "accrue")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("fetch.wait.max.ms", "100")
        .set("reconnect.backoff.max.ms", "5000")
        .set("queued.max.messages.kbytes", "16384");
    for (key, value) in address.options() {
        if !key.contains('.') {
            let what = format!(
                "there is no option `{key}`; options of a topic are properties of librdkafka, such as security.protocol"
            );
            return Err(address.fault(what));
        }
        config.set(key, value);
    }
    let position = match &settings.position {
        None => Position { topic: topic.clone(), next: BTreeMap::new() },
        Some(text) => serde_json::from_str(text).map_err(|error| RemoteError::Refused {
            name: settings.name.clone(),
            why: format!("the position {text} that the log has of it is not one of a topic: {error}; give it another name (--name)"),
        })?,
    };
    if position.topic != topic {
        return Err(RemoteError::Refused {
            name: settings.name.clone(),
            why: format!(
                "the log has a position of the topic {:?} under this name; give it another name (--name)",
                position.topic
            ),
        });
    }
    Ok(Box::new(Topic {
        name: settings.name.clone(),
        topic,
        config,
        records: Records::new(settings)?,
        position,
        is_first: settings.position.is_none(),
        accepts_loss: settings.accepts_loss,
        reading: None,
        notes: Vec::new(),
    }))
}

struct Topic {
    name: String,
    topic: String,
    config: ClientConfig,
    records: Records,
    position: Position,
    /// Whether nothing of it was read before.
    is_first: bool,
    accepts_loss: bool,
    /// `None` until it is connected.
    reading: Option<Reading>,
    notes: Vec<String>,
}

impl RemoteSource for Topic {
    fn next(&mut self, n: usize, wait: Duration) -> Result<Portion, RemoteError> {
        let started = Instant::now();
        self.connect_if_needed()?;
        self.look_whether_it_answers()?;
        let mut portion = Portion { batch: Batch::with_capacity(n), ..Portion::default() };
        let (mut n_taken, mut n_bytes) = (0, 0);
        let mut lacking_since: Option<Instant> = None;
        while n_taken < n && n_bytes < MAX_BYTES {
            match self.next_partition()? {
                Next::Of(partition) => {
                    n_bytes += self.take(partition, &mut portion.batch);
                    n_taken += 1;
                    lacking_since = None;
                }
                // At the end of every partition: what there is is returned at once.
                Next::End if n_taken > 0 || started.elapsed() >= wait => break,
                Next::End => self.wait_for_any(wait.saturating_sub(started.elapsed()))?,
                Next::Lacking => {
                    let patience = if self.is_live() { LIVE_PATIENCE } else { BACKLOG_PATIENCE };
                    let since = *lacking_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < patience && !(self.down().is_some() && n_taken > 0) {
                        self.wait_for_lacking()?;
                    } else if let Some(partition) = self.earliest() {
                        n_bytes += self.take(partition, &mut portion.batch);
                        n_taken += 1;
                    } else if n_taken > 0 || started.elapsed() >= wait {
                        break;
                    } else {
                        self.wait_for_lacking()?;
                    }
                }
            }
        }
        portion.is_full = n_taken >= n || n_bytes >= MAX_BYTES;
        portion.is_at_end = self.is_at_end();
        if n_taken > 0 {
            let position = serde_json::to_string(&self.position).expect("a position is plain data");
            portion.position = Some(position);
        } else if let Some(why) = self.down() {
            return Err(RemoteError::Unavailable { name: self.name.clone(), why });
        }
        Ok(portion)
    }

    fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.records.take_notes());
        notes
    }
}

/// Which record comes next.
enum Next {
    /// That of this partition.
    Of(i32),
    /// Some partition has records that did not arrive yet.
    Lacking,
    /// No partition has more.
    End,
}

impl Topic {
    fn refused(&self, why: impl Into<String>) -> RemoteError {
        RemoteError::Refused { name: self.name.clone(), why: why.into() }
    }

    /// What an error of the client means.
    fn failed(&self, error: &KafkaError) -> RemoteError {
        let why = error.to_string();
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::InvalidArgument
                | RDKafkaErrorCode::UnsupportedFeature,
            ) => self.refused(why),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.refused(format!("the cluster has no topic {:?}, or not any more: {why}", self.topic))
            }
            _ if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)) => self.refused(why),
            _ => RemoteError::Unavailable { name: self.name.clone(), why },
        }
    }

    fn is_live(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_live)
    }

    fn down(&self) -> Option<String> {
        self.reading.as_ref().and_then(|reading| reading.down.clone())
    }

    /// Whether everything that was there when the topic was opened has been read.
    fn is_at_end(&self) -> bool {
        let Some(reading) = &self.reading else { return false };
        reading.partitions.iter().all(|(number, partition)| {
            let next = self.position.next.get(number).copied().unwrap_or(0);
            next >= partition.end || (partition.is_at_end && partition.head.is_none())
        })
    }

    /// After the brokers were away: nothing comes of a topic without new records, so they are asked.
    fn look_whether_it_answers(&mut self) -> Result<(), RemoteError> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        if reading.down.is_none() {
            return Ok(());
        }
        match reading.consumer.fetch_metadata(Some(&self.topic), PROBE) {
            Ok(_) => {
                reading.down = None;
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn connect_if_needed(&mut self) -> Result<(), RemoteError> {
        let is_due = |reading: &Reading| reading.looked_at.elapsed() >= LOOK_FOR_PARTITIONS;
        match &mut self.reading {
            None => self.connect(),
            Some(reading) if is_due(reading) => {
                reading.looked_at = Instant::now();
                let known = reading.partitions.len();
                // While brokers are away the partitions are those that are known.
                match reading.consumer.fetch_metadata(Some(&self.topic), Duration::from_secs(1)) {
                    Ok(metadata) if metadata.topics().iter().any(|topic| topic.partitions().len() > known) => {
                        self.notes.push(format!("{}: the topic has more partitions than before", self.name));
                        self.reading = None;
                        self.connect()
                    }
                    _ => Ok(()),
                }
            }
            Some(_) => Ok(()),
        }
    }

    /// Takes out of the queues what can be had without waiting, and says which record comes next.
    fn next_partition(&mut self) -> Result<Next, RemoteError> {
        let Some(reading) = &mut self.reading else { return Ok(Next::End) };
        // Errors that concern no partition come here, and records that came before the partitions had queues of their own.
        let mut failure = None;
        while let Some(came) = reading.consumer.poll(Duration::ZERO) {
            match came {
                Ok(message) => {
                    let partition = reading.partitions.get_mut(&message.partition());
                    partition.into_iter().for_each(|partition| partition.early.push_back(Record::of(&message)));
                }
                Err(KafkaError::PartitionEOF(number)) => {
                    let partition = reading.partitions.get_mut(&number);
                    partition.into_iter().for_each(|partition| partition.is_at_end = partition.early.is_empty());
                }
                Err(error) => failure = Some(error),
            }
        }
        let mut any_head = false;
        let mut lacks = false;
        for partition in reading.partitions.values_mut() {
            if partition.head.is_none() && !partition.is_at_end {
                failure = partition.poll(Duration::ZERO, &mut reading.down).err().or(failure);
            }
            any_head |= partition.head.is_some();
            lacks |= partition.head.is_none() && !partition.is_at_end;
        }
        if !any_head && !lacks {
            for partition in reading.partitions.values_mut() {
                failure = partition.poll(Duration::ZERO, &mut reading.down).err().or(failure);
                any_head |= partition.head.is_some();
            }
        }
        if let Some(error) = failure {
            self.note_failure(&error)?;
        }
        let Some(reading) = &mut self.reading else { return Ok(Next::End) };
        if lacks {
            return Ok(Next::Lacking);
        }
        reading.is_live |= !any_head;
        Ok(self.earliest().map_or(Next::End, Next::Of))
    }

    /// The partition whose next record is the earliest.
    fn earliest(&self) -> Option<i32> {
        let reading = self.reading.as_ref()?;
        let heads =
            reading.partitions.iter().filter_map(|(number, partition)| Some((partition.head.as_ref()?, *number)));
        heads.min_by_key(|(head, number)| (head.at_ms, *number)).map(|(_, number)| number)
    }

    /// Moves the next record of a partition to the batch, and returns its bytes.
    fn take(&mut self, number: i32, batch: &mut Batch) -> usize {
        let partition = self.reading.as_mut().and_then(|reading| reading.partitions.get_mut(&number));
        let Some(record) = partition.and_then(|partition| partition.head.take()) else { return 0 };
        let (key, shown) =
            (format!("{number}/{}", record.offset), format!("partition {number}, offset {}", record.offset));
        let place = Place { key: &key, shown: &shown, number: record.offset as u64, written_at_ms: record.at_ms };
        match (&record.content, &record.key) {
            (Some(content), _) => self.records.add(content, &place, batch),
            (None, Some(key)) => self.records.remove(key, &place, batch),
            (None, None) => batch.n_skipped += 1,
        }
        self.position.next.insert(number, record.offset + 1);
        record.content.map_or(0, |content| content.len())
    }

    /// Waits until a partition that is not at its end has a record.
    fn wait_for_lacking(&mut self) -> Result<(), RemoteError> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let lacking = reading.partitions.values_mut().find(|part| part.head.is_none() && !part.is_at_end);
        match lacking.map(|partition| partition.poll(STEP, &mut reading.down)) {
            Some(Err(error)) => self.note_failure(&error),
            _ => Ok(()),
        }
    }

    /// Waits until any partition has a record.
    fn wait_for_any(&mut self, wait: Duration) -> Result<(), RemoteError> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let each = (wait.min(STEP)) / u32::try_from(reading.partitions.len()).unwrap_or(u32::MAX).max(1);
        let mut failure = None;
        for partition in reading.partitions.values_mut() {
            failure = partition.poll(each.max(Duration::from_millis(1)), &mut reading.down).err().or(failure);
        }
        failure.map_or(Ok(()), |error| self.note_failure(&error))
    }

    /// Goes on after a failure that the client gets over by itself; any other one ends the reading, and the next one
    /// connects again.
    fn note_failure(&mut self, error: &KafkaError) -> Result<(), RemoteError> {
        use RDKafkaErrorCode::{
            AllBrokersDown, AutoOffsetReset, BrokerTransportFailure, OffsetOutOfRange, OperationTimedOut, Resolve,
        };
        match error.rdkafka_error_code() {
            Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve) => {
                if let Some(reading) = &mut self.reading {
                    reading.down = Some(error.to_string());
                }
                Ok(())
            }
            Some(AutoOffsetReset | OffsetOutOfRange) => {
                // Connecting again compares the position with what there is.
                self.reading = None;
                self.connect()
            }
            _ => {
                let failed = self.failed(error);
                self.reading = None;
                Err(failed)
            }
        }
    }
}
