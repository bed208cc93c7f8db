//! Periodic resets from outside: a server process trains its models again while it serves, judges the result while
//! requests are answered, and promotes or refuses it by itself; `kill -9` in every phase leaves nothing half done, and
//! the log alone gives the same bytes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::server::{Server, ask, purchases};

const SEED: u64 = 20_261_125;
/// Events of a batch.
const BATCH: u64 = 100;
/// Batches after which a test stops to wait for a phase.
const PATIENCE: u64 = 600;

/// Settings that differ from those of a server that resets every 2,000 events and promotes anything that is not worse
/// by a tenth.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// The challenger learns so slowly that it does not finish.
const SLOW: Settings<'static> = &[("SHARE", "0.001")];
/// The challenger stays a shadow for ever.
const UNDECIDED: Settings<'static> = &[("GATE_PREDICT_ONE_IN", "1000000000")];
/// The challenger is always refused.
const TOO_LARGE: Settings<'static> = &[("GATE_MAX_PARAMS", "0.1"), ("ATTEMPTS", "2")];

fn command(dir: &Path, settings: Settings<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.env("ACCRUE_DATA", dir).env("ACCRUE_LOG", "error").env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "3000");
    for (name, value) in [("VERSION_EVERY", "1000"), ("CONFIRM_AFTER", "500"), ("TOLERANCE", "0.4")] {
        command.env(format!("ACCRUE_LEARN_GUARD_{name}"), value);
    }
    let usual = [("EVERY_EVENTS", "2000"), ("SHARE", "1"), ("GATE_MARGIN", "0.1"), ("GATE_PREDICT_ONE_IN", "1")];
    for (name, value) in usual.iter().chain(settings) {
        command.env(format!("ACCRUE_LEARN_RESET_{name}"), value);
    }
    command
}

fn start(dir: &Path, settings: Settings<'_>) -> Server {
    Server::start(command(dir, settings).args(["serve", "--listen", "127.0.0.1:0"]))
}

fn is_equal_after_replay(dir: &Path) {
    let replay = command(dir, &[]).args(["replay", "--verify", "--json", "--quiet"]).output().unwrap();
    let replay: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert_eq!(replay["equal"], true, "{replay}");
}

fn challenger(server: &Server) -> Value {
    let (status, versions) = server.ask("GET", "/v1/versions", "");
    assert_eq!(status, 200, "{versions}");
    versions["challenger"].clone()
}

/// Sends events, each batch learned before the next one, until the challenger is in a wanted state; returns that state.
fn send_until(server: &Server, next: &mut u64, is_wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..PATIENCE {
        let challenger = challenger(server);
        if is_wanted(&challenger) {
            return challenger;
        }
        let (status, answer) = server.ask("POST", "/v1/events", &purchases(SEED, *next..*next + BATCH));
        assert_eq!(status, 200, "{answer}");
        *next += BATCH;
        server.wait_until_learned();
    }
    panic!("after {PATIENCE} batches: {}", challenger(server));
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |challenger| challenger["state"] == state
}

fn at_least(count: &'static str, n: u64) -> impl Fn(&Value) -> bool {
    move |challenger| challenger[count].as_u64().unwrap() >= n
}

/// Requests pages until it is told to stop, and fails if one is not answered.
struct Shopper {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Shopper {
    fn visit(server: &Server) -> Self {
        let (stop, address) = (Arc::new(AtomicBool::new(false)), server.address.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut n_answers = 0;
            while !stopped.load(Ordering::Relaxed) {
                let (status, page) = ask(&address, "GET", "/v1/recommend/u7?n=5", "");
                assert!(status == 200 && page["items"].as_array().unwrap().len() == 5, "{page}");
                n_answers += 1;
            }
            n_answers
        });
        Self { stop, thread }
    }

    fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.thread.join().expect("every request was answered") > 0);
    }
}

#[test]
fn a_server_trains_its_models_again_and_promotes_them_while_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut next = 0;
    let young = send_until(&server, &mut next, |_| true);
    assert!(young["state"] == "waiting" && young["due_in"] == 2_000, "{young}");
    send_until(&server, &mut next, |challenger| challenger["due_in"].as_u64().unwrap() <= 1_500);
    let shopper = Shopper::visit(&server);
    let promoted = send_until(&server, &mut next, at_least("promoted", 1));
    send_until(&server, &mut next, at_least("promoted", 2));
    shopper.leave();
    let why = promoted["last"]["why"].as_str().unwrap();
    assert!(why.starts_with("not worse") && promoted["last"]["promoted"] == true, "{promoted}");
    let (_, versions) = server.ask("GET", "/v1/versions", "");
    let of_why = versions["versions"].as_array().unwrap().iter().filter(|entry| entry["why"] == why).count();
    assert!(of_why <= 1 && versions["alarms"] == 0, "{versions}");
    drop(server);
    is_equal_after_replay(dir.path());
}

#[test]
fn a_refused_challenger_learns_more_and_is_dropped_after_the_last_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), TOO_LARGE);
    let mut next = 0;
    let once = send_until(&server, &mut next, at_least("refused", 1));
    assert!(once["last"]["why"].as_str().unwrap().contains("learned numbers"), "{once}");
    assert!(once["last"]["promoted"] == false && once["dropped"] == 0, "{once}");
    let twice = send_until(&server, &mut next, |now| at_least("refused", 2)(now) && is("waiting")(now));
    assert!(twice["due_in"].as_u64().unwrap() > 1_000 && twice["refused_in_a_row"] == 2, "{twice}");
    drop(server);
    is_equal_after_replay(dir.path());
    // The next server continues the count: the period is in the log, not in a process.
    let server = start(dir.path(), TOO_LARGE);
    server.wait_until_learned();
    let after = send_until(&server, &mut next, is("waiting"));
    assert_eq!((&after["refused_in_a_row"], &after["last"]), (&twice["refused_in_a_row"], &twice["last"]));
    assert!(after["due_in"].as_u64().unwrap() <= twice["due_in"].as_u64().unwrap(), "{after}");
    let thrice = send_until(&server, &mut next, at_least("refused", 3));
    assert_eq!(thrice["refused_in_a_row"], 3, "a period later there is another attempt: {thrice}");
    drop(server);
    is_equal_after_replay(dir.path());
}

#[test]
fn a_kill_in_any_phase_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    for (phase, settings) in [("learning", SLOW), ("shadowing", UNDECIDED)] {
        let server = start(dir.path(), settings);
        server.wait_until_learned();
        let killed = send_until(&server, &mut next, is(phase));
        assert_eq!((&killed["promoted"], &killed["refused"]), (&0.into(), &0.into()), "{killed}");
        drop(server);
        is_equal_after_replay(dir.path());
    }
    let server = start(dir.path(), &[]);
    server.wait_until_learned();
    let judged = send_until(&server, &mut next, at_least("promoted", 1));
    // The verdict's record is in the log; the test does not wait for what follows from it.
    drop(server);
    let server = start(dir.path(), SLOW);
    server.wait_until_learned();
    let after = send_until(&server, &mut next, at_least("promoted", 1));
    assert_eq!((&after["last"], &after["promoted"]), (&judged["last"], &1.into()));
    drop(server);
    is_equal_after_replay(dir.path());
}

#[test]
fn a_rollback_drops_the_challenger_and_another_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    for (phase, settings) in [("learning", SLOW), ("shadowing", UNDECIDED)] {
        let server = start(dir.path(), settings);
        server.wait_until_learned();
        send_until(&server, &mut next, is(phase));
        let (_, versions) = server.ask("GET", "/v1/versions", "");
        let learning = versions["versions"].as_array().unwrap().last().unwrap()["version"].as_u64().unwrap();
        let (status, after) = server.ask("POST", &format!("/v1/versions/{learning}/rollback?why=a%20test"), "");
        assert!(status == 200, "{after}");
        send_until(&server, &mut next, |now| at_least("dropped", 1)(now) && is(phase)(now));
    }
    let server = start(dir.path(), &[]);
    server.wait_until_learned();
    let promoted = send_until(&server, &mut next, at_least("promoted", 1));
    let (_, versions) = server.ask("GET", "/v1/versions", "");
    assert!(!versions["suspect"].as_array().unwrap().is_empty(), "it left out suspect records: {promoted}");
    drop(server);
    is_equal_after_replay(dir.path());
}

/// There are no periodic resets.
const ASKED_ONLY: Settings<'static> = &[("EVERY_EVENTS", "0")];

fn ask_for(server: &Server, body: &str) -> (u16, Value) {
    server.ask("PUT", "/v1/versions/challenger", body)
}

#[test]
fn a_requested_challenger_is_trained_beside_the_server_and_promoted_with_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), ASKED_ONLY);
    let mut next = 0;
    let learned = |server: &Server| server.ask("GET", "/v1/quality", "").1["offset"].as_u64().unwrap();
    let idle = send_until(&server, &mut next, |_| learned(&server) >= 2_000);
    assert!(idle["state"] == "waiting" && idle["due_in"].is_null() && idle["asked"].is_null(), "{idle}");
    for (wrong, field) in [
        (r#"{"set": {"factorization.speed": 1}}"#, "set"),
        (r#"{"set": {"factorization.rate": "fast"}}"#, "set"),
        (r#"{"set": {"part": "sequence"}}"#, "set"),
        (r#"{"passes": 0}"#, "passes"),
        (r#"{"margin": 0.7}"#, "margin"),
        (r#"{"from": 1000000}"#, "from"),
    ] {
        let (status, problem) = ask_for(&server, wrong);
        assert!(status == 400 && problem["field"] == field, "{wrong}: {problem}");
    }
    let shopper = Shopper::visit(&server);
    let (status, begun) = ask_for(&server, r#"{"set": {"factorization.rate": 0.03}, "passes": 2}"#);
    assert!(status == 202 && begun["asked"]["set"]["factorization.rate"] == 0.03, "{begun}");
    let promoted = send_until(&server, &mut next, at_least("promoted", 1));
    shopper.leave();
    assert!(promoted["asked"].is_null() && promoted["last"]["promoted"] == true, "{promoted}");
    // Another family is judged in the same way.
    let (status, _) = ask_for(&server, r#"{"set": {"part": "neighbours"}, "margin": 0.4}"#);
    assert_eq!(status, 202);
    send_until(&server, &mut next, |now| at_least("promoted", 2)(now) || at_least("refused", 3)(now));
    let (_, versions) = server.ask("GET", "/v1/versions", "");
    let entries = versions["versions"].as_array().unwrap();
    let of_line: BTreeSet<_> = entries.iter().map(|entry| entry["settings"].to_string()).collect();
    assert!(of_line.len() > 1, "later versions have the challenger's settings: {versions}");
    drop(server);
    is_equal_after_replay(dir.path());
}

#[test]
fn a_requested_challenger_is_replaced_by_the_next_and_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), UNDECIDED);
    let mut next = 0;
    let own = send_until(&server, &mut next, is("shadowing"));
    assert!(own["asked"].is_null(), "a periodic reset: {own}");
    let (_, untouched) = server.ask("DELETE", "/v1/versions/challenger", "");
    assert_eq!(untouched["state"], "shadowing", "that one was not requested");
    assert_eq!(ask_for(&server, r#"{"set": {"factorization.rate": 0.03}}"#).0, 202);
    let asked = send_until(&server, &mut next, |now| is("shadowing")(now) && !now["asked"].is_null());
    assert_eq!(asked["asked"]["passes"], 1);
    assert_eq!(ask_for(&server, r#"{"from": 100}"#).0, 202);
    send_until(&server, &mut next, |now| is("shadowing")(now) && now["asked"]["from"] == 100);
    assert_eq!(server.ask("DELETE", "/v1/versions/challenger", "").0, 200);
    let after = send_until(&server, &mut next, |now| is("shadowing")(now) && now["asked"].is_null());
    assert_eq!((&after["promoted"], &after["refused"]), (&0.into(), &0.into()), "the reset is due again: {after}");
    drop(server);
    is_equal_after_replay(dir.path());
}
