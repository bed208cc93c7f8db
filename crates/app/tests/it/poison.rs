//! Poison from outside: a hostile client sends events that are valid by schema, and the server undoes what was learned
//! from them by itself, while it answers. `ACCRUE_POISON_EVENTS` sets the number of poisoned events (8,000).

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use accrue_kernel::Draws;
use serde_json::Value;

use crate::server::{Server, ask};

const SEED: u64 = 20_261_124;
const N_CLEAN: u64 = 10_000;
const N_USERS: u64 = 50;
/// Shoppers who act before the poison and not during it: their pages show what the models learned.
const N_WITNESSES: u64 = 25;
const N_ITEMS: u64 = 60;
const BATCH: u64 = 250;
/// Poisoned events between two requests for the witnesses' pages.
const LOOK_EVERY: usize = 1_000;

/// How events are poisoned.
#[derive(Clone, Copy, Debug)]
enum Poison {
    /// Another item, drawn from all.
    Shuffled,
    /// The chosen item is disliked, and another one is chosen.
    Flipped,
    /// The event with absurd values and quantities.
    Exploding,
    /// One shopper chooses one item repeatedly.
    Flooding,
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.env("ACCRUE_DATA", dir).env("ACCRUE_LOG", "error").env_remove("ACCRUE_POISON_EVENTS");
    // Answers are not recorded, and the guard's tests have no time limit, so that the speed of the machine does not
    // affect the result.
    let settings =
        [("LEARN_GUARD_ANCHOR_ONE_IN", "16"), ("LEARN_GUARD_TESTS_PER_S", "1000000"), ("SERVE_RECORD", "false")];
    for (name, value) in settings {
        command.env(format!("ACCRUE_{name}"), value);
    }
    command
}

fn replay(dir: &Path) -> Output {
    command(dir).args(["replay", "--verify", "--json", "--quiet"]).output().unwrap()
}

/// Event `number` of a shop where each of 50 people has a taste for a family of six items; `poison` changes it.
fn event(number: u64, poison: Option<Poison>) -> String {
    let mut draws = Draws::new(SEED, 1, number);
    let n_users = if poison.is_none() { N_USERS + N_WITNESSES } else { N_USERS };
    let (mut user, mut kind, mut rest) = (draws.below(n_users), "purchase", "");
    let taste = user % 10 * 6 + draws.below(6);
    let mut item = if draws.below(4) == 0 { draws.below(N_ITEMS) } else { taste };
    match poison {
        None => {}
        Some(Poison::Shuffled) => item = draws.below(N_ITEMS),
        Some(Poison::Flipped) if draws.below(2) == 0 => kind = "dislike",
        Some(Poison::Flipped) => item = draws.below(N_ITEMS),
        Some(Poison::Exploding) => rest = r#","value":1e30,"quantity":4000000000"#,
        Some(Poison::Flooding) => (user, item) = (N_USERS + N_WITNESSES, N_ITEMS / 2),
    }
    let at = 1_760_000_000_000 + number * 60_000;
    format!(r#"{{"id":"e{number}","type":"{kind}","user":"u{user}","item":"i{item}","at":{at}{rest}}}"#)
}

fn send(server: &Server, range: std::ops::Range<u64>, poison: Option<Poison>) {
    for first in range.clone().step_by(BATCH as usize) {
        let events: Vec<String> = (first..(first + BATCH).min(range.end)).map(|number| event(number, poison)).collect();
        let (status, answer) = server.ask("POST", "/v1/events", &format!("[{}]", events.join(",")));
        // The check refuses absurd numbers, and of such a batch it takes nothing.
        let is_absurd = poison.is_some_and(|poison| matches!(poison, Poison::Exploding));
        assert_eq!(status, if is_absurd { 422 } else { 200 }, "{}", answer["detail"]);
        server.wait_until_learned();
    }
}

/// The share of items of the preferred family in each witness's page of six: 0 to 1.
fn fit(server: &Server) -> f64 {
    let own = |user: u64| {
        let (status, page) = server.ask("GET", &format!("/v1/recommend/u{user}?n=6&seen=keep"), "");
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        let number = |item: &Value| item["id"].as_str().unwrap()[1..].parse::<u64>().unwrap();
        items.iter().filter(|item| number(item) / 6 == user % 10).count() as f64 / 6.0
    };
    (N_USERS..N_USERS + N_WITNESSES).map(own).sum::<f64>() / N_WITNESSES as f64
}

fn alarms(server: &Server) -> u64 {
    server.ask("GET", "/v1/versions", "").1["alarms"].as_u64().unwrap()
}

/// A client that requests pages all the while; each request must succeed.
struct Reader {
    stopped: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Reader {
    fn start(server: &Server) -> Self {
        let (stopped, address) = (Arc::new(AtomicBool::new(false)), server.address.clone());
        let until = stopped.clone();
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let (status, page) = ask(&address, "GET", "/v1/recommend/u7?n=5", "");
                assert!(status == 200 && !page["items"].as_array().unwrap().is_empty(), "{page}");
                // Each request is a connection, and the number of ports is limited.
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        Self { stopped, thread }
    }

    fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().expect("requests were answered");
    }
}

/// The effect of a poison on the pages of a server.
#[derive(Debug)]
struct Outcome {
    before: f64,
    /// The least value during the poison, because the effect of shuffled events varies.
    worst: f64,
    after: f64,
    /// Rollbacks since it began.
    alarms: u64,
}

fn under(poison: Poison, guarded: bool) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(
        command(dir.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("ACCRUE_LEARN_GUARD_ENABLED", guarded.to_string()),
    );
    send(&server, 0..N_CLEAN, None);
    let (before, alarms_before) = (fit(&server), alarms(&server));
    let n_poisoned = std::env::var("ACCRUE_POISON_EVENTS").map_or(8_000, |n| n.parse().unwrap());
    let mut worst = before;
    let reader = guarded.then(|| Reader::start(&server));
    for first in (N_CLEAN..N_CLEAN + n_poisoned).step_by(LOOK_EVERY) {
        send(&server, first..(first + LOOK_EVERY as u64).min(N_CLEAN + n_poisoned), Some(poison));
        worst = worst.min(fit(&server));
    }
    if let Some(reader) = reader {
        reader.stop();
    }
    let outcome = Outcome { before, worst, after: fit(&server), alarms: alarms(&server) - alarms_before };
    println!("{poison:?}, guarded {guarded}: {outcome:?}");
    drop(server);
    if guarded {
        let replayed: Value = serde_json::from_slice(&replay(dir.path()).stdout).unwrap();
        assert_eq!(replayed["equal"], true, "{replayed}");
    }
    outcome
}

#[test]
fn the_effect_of_a_hostile_client_is_undone() {
    let alone = under(Poison::Shuffled, false);
    assert!(alone.before > 0.9 && alone.worst < 0.8 * alone.before, "it would do harm: {alone:?}");
    let guarded = under(Poison::Shuffled, true);
    assert!(guarded.alarms > 0 && guarded.after >= 0.95 * guarded.before, "{guarded:?}");
}

#[test]
fn no_kind_of_poison_loses_a_fifth() {
    for poison in [Poison::Flipped, Poison::Exploding, Poison::Flooding] {
        let outcome = under(poison, true);
        assert!(outcome.after >= 0.8 * outcome.before, "{poison:?}: {outcome:?}");
    }
}
