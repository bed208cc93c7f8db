//! The sources that a server follows, on a thread each.
//!
//! A source that cannot be read is told in the server's log and tried again, whatever the reason: rights are granted, tables
//! are made while a server runs. Its reading begins at the position of the log each time, so what was not committed is
//! read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use accrue_engine::{Engine, EngineError};
use accrue_ingest::remote::RemoteSettings;

use super::follow::{Ended, FollowError, FollowedSource, Reporter, Until, mapping_of, pause};
use super::summary::Summary;
use crate::cli::problem::Problem;
use crate::config::SourceConfig;

/// Waits before a source that failed is read again.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How long a reading has to last for the waits to begin anew.
const SOUND: Duration = Duration::from_secs(60);

/// The sources of the settings, checked and not read yet.
pub(in crate::cli) struct Followers(Vec<FollowedSource>);

impl Followers {
    /// The sources as the settings describe them.
    ///
    /// # Errors
    /// If an address or a mapping cannot be used, or two sources have one name.
    pub fn of(sources: &[SourceConfig]) -> anyhow::Result<Self> {
        let mut followed: Vec<FollowedSource> = Vec::new();
        for source in sources {
            let mapping = mapping_of(source.mapping.as_deref(), source.map.as_deref(), source.kind)?;
            let settings =
                RemoteSettings { needs_time: !source.now, is_patch: source.patch, ..RemoteSettings::default() };
            let next = FollowedSource::new(&source.from, source.name.as_deref(), mapping, settings)?;
            if followed.iter().any(|known| known.name() == next.name()) {
                let message = format!("two entries of [[sources]] have the name {:?}", next.name());
                return Err(Problem::new(message, "give one of them another name, with `name`").into());
            }
            followed.push(next);
        }
        Ok(Self(followed))
    }

    /// Starts to follow them into an engine.
    pub fn start(self, engine: &Engine) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = self.0.into_iter().map(|followed| {
            let (engine, stop) = (engine.clone(), stop.clone());
            std::thread::spawn(move || follow(&followed, &engine, &stop))
        });
        Running { threads: threads.collect(), stop }
    }
}

/// Threads that follow sources.
pub(in crate::cli) struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Running {
    /// Ends them. What they read is in the log.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a source had panicked; its position is that of the log");
            }
        }
    }
}

fn follow(followed: &FollowedSource, engine: &Engine, stop: &AtomicBool) {
    let reporter = Reporter { say: &|text| tracing::info!("{text}"), is_stopped: &|| stop.load(Ordering::Relaxed) };
    let mut retry = FIRST_RETRY;
    loop {
        let started = std::time::Instant::now();
        let mut summary = Summary::new(false, false);
        let ended = followed.read(engine, &mut summary, Until::Stopped, &reporter);
        if (reporter.is_stopped)() || matches!(ended, Err(FollowError::Engine(EngineError::Closing))) {
            return;
        }
        if started.elapsed() >= SOUND {
            retry = FIRST_RETRY;
        }
        let wait_s = retry.as_secs();
        match ended {
            Err(error) => tracing::error!(source = followed.name(), wait_s, "{error}; it is tried again"),
            Ok(Ended::AllRefused) => tracing::error!(
                source = followed.name(),
                wait_s,
                "every record since the start was refused; correct the mapping and restart"
            ),
            Ok(Ended::Whole | Ended::Stopped) => return,
        }
        pause(retry, &reporter);
        retry = LONGEST_RETRY.min(2 * retry);
    }
}
