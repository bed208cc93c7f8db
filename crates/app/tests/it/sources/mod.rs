//! Tables of real servers as sources. `ACCRUE_TEST_POSTGRES` and `ACCRUE_TEST_MYSQL` name the servers
//! (`postgres://…`, `mysql://…`); `./check --services` starts them. A test whose server is not named says that it is
//! skipped.

#[cfg(not(feature = "sql"))]
mod absent;
#[cfg(feature = "sql")]
mod mysql;
#[cfg(feature = "sql")]
mod postgres;
#[cfg(feature = "sql")]
pub mod proxy;

#[cfg(feature = "sql")]
pub mod harness {
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::time::{Duration, Instant};

    use serde_json::Value;

    /// The server that a variable names. Without it the test is skipped, which it says.
    pub fn server(variable: &str) -> Option<String> {
        let named = std::env::var(variable).ok().filter(|named| !named.is_empty());
        if named.is_none() {
            println!("{variable} is not set: skipped");
        }
        named
    }

    /// A name for a table of this test alone.
    pub fn unique(name: &str) -> String {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        format!("accrue_{name}_{}_{}", std::process::id(), nanos % 1_000_000_000)
    }

    /// The command line, on a data folder.
    pub fn command(dir: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
        command.args(arguments).arg("--data").arg(dir);
        // Checkpoints and segments small enough that kills happen while they are written.
        command.env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000").env("ACCRUE_LOG_SEGMENT_RECORDS", "3000");
        command
    }

    pub fn accrue(dir: &Path, arguments: &[&str]) -> Output {
        command(dir, arguments).output().unwrap()
    }

    /// A summary whose accepted records include those that were repaired: an id that is a number becomes a text.
    pub fn taken(mut summary: Value) -> Value {
        let of = |key: &str| summary[key].as_u64().unwrap();
        summary["accepted"] = (of("accepted") + of("repaired")).into();
        summary
    }

    /// Runs an ingest that must succeed, and returns its summary.
    pub fn ingest(dir: &Path, arguments: &[&str]) -> Value {
        let output = accrue(dir, &[&["ingest", "--json"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {errors}", output.status);
        taken(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no summary; {errors}")))
    }

    /// The message of an ingest that must fail.
    pub fn refusal(dir: &Path, arguments: &[&str]) -> String {
        let output = accrue(dir, &[&["ingest", "--json"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        errors
    }

    /// The checksums of a folder's states.
    pub fn digest(dir: &Path) -> Value {
        let output = accrue(dir, &["inspect", "digest", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut digest: Value = serde_json::from_slice(&output.stdout).unwrap();
        // The log has the times of arrival, and so have the versions.
        for whole in ["log", "state"] {
            digest.as_object_mut().unwrap().remove(whole);
        }
        let parts = digest["parts"].as_object_mut().unwrap();
        for part in ["learned.all", "learned.guard", "learned.versions"] {
            parts.remove(part);
        }
        digest
    }

    /// The ids of all events in the log, in its order.
    pub fn event_ids(dir: &Path) -> Vec<String> {
        let output = accrue(dir, &["export", "events"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        text.lines().map(id).collect()
    }

    /// A process that follows a source; killed, as `kill -9` does, when it is dropped.
    pub struct Follower {
        process: Child,
        lines: Receiver<String>,
        said: String,
    }

    impl Follower {
        pub fn start(command: &mut Command) -> Self {
            let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let errors = BufReader::new(process.stderr.take().unwrap());
            let (sender, lines) = channel();
            std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
            Self { process, lines, said: String::new() }
        }

        /// Waits for a line with this text.
        pub fn wait_for(&mut self, text: &str) {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => {
                        self.said.push_str(&line);
                        self.said.push('\n');
                        if line.contains(text) {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        panic!("{text:?} was not said, but:\n{}", self.said)
                    }
                }
            }
        }

        /// Stops it as Ctrl-C does, and returns its summary.
        pub fn stop(mut self) -> Value {
            let id = self.process.id().to_string();
            assert!(Command::new("kill").arg("-INT").arg(id).status().unwrap().success());
            let mut stdout = self.process.stdout.take().unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
            assert!(self.process.wait().unwrap().success(), "{}", self.said);
            taken(serde_json::from_str(&text).unwrap())
        }
    }

    impl Drop for Follower {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Follows a source that does not change, is killed at random moments, and is read to its end; the folder is then equal to one
    /// that was filled by one reading.
    pub fn kills_change_nothing(arguments: &[&str], n_events: usize) {
        const SEED: u64 = 20_261_129;
        let kills = n_kills();
        let (undisturbed, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let summary = ingest(undisturbed.path(), arguments);
        assert_eq!(summary["accepted"], n_events, "{summary}");
        let follow = [&["ingest", "--json", "--follow"], arguments].concat();
        let mut n_within = 0;
        for kill in 0..kills {
            let mut draws = accrue_kernel::Draws::new(SEED, 1, kill);
            let mut follower = Follower::start(&mut command(killed.path(), &follow));
            follower.wait_for("reading begins");
            std::thread::sleep(Duration::from_micros(draws.below(600_000)));
            drop(follower);
            n_within += usize::from(events_so_far(killed.path()) < n_events);
        }
        ingest(killed.path(), arguments);
        let ids = event_ids(killed.path());
        assert_eq!(ids.len(), n_events, "seed {SEED}");
        assert_eq!(ids, event_ids(undisturbed.path()), "seed {SEED}");
        assert_eq!(digest(killed.path()), digest(undisturbed.path()), "seed {SEED}");
        println!("{kills} kills, {n_within} of them before the last event: equal digests");
        assert!(n_within > 0, "every kill came after the end");
    }

    /// How often it is killed: `ACCRUE_KILLS`.
    fn n_kills() -> u64 {
        std::env::var("ACCRUE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5)
    }

    /// Events of which not all are read when the last kill comes.
    pub fn n_events_for_kills() -> usize {
        4_000 * n_kills() as usize
    }

    fn events_so_far(dir: &Path) -> usize {
        let output = accrue(dir, &["inspect", "stats", "--json"]);
        let stats: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        stats["accepted"].as_u64().unwrap_or(0) as usize
    }
}
