//! Faults of disks and conflicts with other processes, on a real server process: a full disk, a folder that cannot be
//! written, a folder that another process has open. If the machine does not permit a test to make the fault, the test
//! says so and ends.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;

/// A mounted folder; unmounted when it is dropped.
struct Mount<'p>(&'p Path);

impl<'p> Mount<'p> {
    /// `None` if mounting is not permitted.
    fn new(path: &'p Path, arguments: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        mount(path, arguments).then_some(Self(path))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).stderr(Stdio::null()).status();
    }
}

fn mount(path: &Path, arguments: &[&str]) -> bool {
    let done = Command::new("mount").args(arguments).arg(path).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

fn accrue(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(arguments).arg("--data").arg(dir).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn serve(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir).env_clear();
    command
}

/// The same under a limit on the size of every file, in blocks of 512 bytes; the signal is ignored, so writes fail instead.
fn serve_limited(dir: &Path, blocks: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_accrue")]);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir).env_clear();
    command
}

fn event(number: u64) -> String {
    let (user, item, at) = (number % 50, number % 31, 1_760_000_000_000 + 1000 * number);
    let note = "x".repeat(200);
    format!(r#"{{"id":"e{number}","type":"view","user":"u{user}","item":"i{item}","at":{at},"note":"{note}"}}"#)
}

fn batch(first: u64) -> String {
    format!("[{}]", (first..first + 100).map(event).collect::<Vec<_>>().join(","))
}

/// Posts until a write is refused; returns how many events were acknowledged.
fn fill(server: &Server) -> u64 {
    for number in 0..2000 {
        let (status, answer) = server.ask("POST", "/v1/events", &batch(100 * number));
        if status == 200 {
            assert_eq!(answer["accepted"], 100, "{answer}");
            continue;
        }
        assert_eq!((status, answer["code"].as_str()), (503, Some("writer_poisoned")), "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("by itself"), "it says what happens next: {answer}");
        assert_eq!(detail.matches("cannot be written").count(), 1, "it says it once: {answer}");
        return 100 * number;
    }
    panic!("the disk never filled up");
}

/// A server that cannot write answers reads.
fn reads_go_on(server: &Server) {
    let (status, page) = server.ask("GET", "/v1/recommend/u1?n=5", "");
    assert_eq!((status, page["items"].as_array().map(Vec::len)), (200, Some(5)), "{page}");
    let (status, found) = server.ask("GET", "/v1/search?q=i1", "");
    assert_eq!(status, 200, "{found}");
}

/// Each acknowledged event is there once, the folder accepts writes again, and the log folds to the recovered state.
fn nothing_acknowledged_is_lost(dir: &Path, acknowledged: u64) {
    let export = accrue(dir, &["export", "events"]);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let text = String::from_utf8(export.stdout).unwrap();
    let ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    // The group that failed may be stored as a whole, only without its acknowledgement.
    assert!([acknowledged, acknowledged + 100].contains(&(ids.len() as u64)), "{} of {acknowledged}", ids.len());
    assert!(ids.iter().enumerate().all(|(number, id)| *id == format!("e{number}")));
    let server = Server::start(&mut serve(dir));
    let (status, answer) = server.ask("POST", "/v1/events", &batch(acknowledged));
    assert_eq!(
        (status, answer["accepted"].as_u64().zip(answer["duplicates"].as_u64()).map(|(a, d)| a + d)),
        (200, Some(100))
    );
    drop(server);
    let replay = accrue(dir, &["replay", "--verify", "--json"]);
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[test]
fn a_full_disk_stops_only_writes_and_loses_nothing_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    let Some(mounted) = Mount::new(&disk, &["-t", "tmpfs", "-o", "size=12m", "accrue-test"]) else {
        eprintln!(
            "skipped: this machine does not permit a test to mount a small disk; a limit on file sizes is tested instead"
        );
        return;
    };
    let dir = disk.join("shop");
    let server = Server::start(&mut serve(&dir));
    let acknowledged = fill(&server);
    assert!(acknowledged > 0);
    reads_go_on(&server);
    let (status, refused) = server.ask("PUT", "/v1/users/u1", "{}");
    assert_eq!((status, refused["code"].as_str()), (503, Some("writer_poisoned")), "{refused}");
    assert_eq!(server.ask("GET", "/readyz", "").0, 503, "a server that cannot write takes no more traffic");
    // As soon as there is room, it writes again.
    assert!(mount(&disk, &["-o", "remount,size=200m"]));
    let started = Instant::now();
    while server.ask("GET", "/readyz", "").0 != 200 {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, answer) = server.ask("POST", "/v1/events", &batch(acknowledged));
    assert_eq!((status, &answer["quarantined"]), (200, &serde_json::json!([])), "{answer}");
    assert_eq!(server.ask("PUT", "/v1/users/u1", "{}").0, 204);
    drop(server);
    nothing_acknowledged_is_lost(&dir, acknowledged + 100);
    drop(mounted);
}

#[test]
fn a_limit_on_file_sizes_stops_only_writes_and_loses_nothing_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("shop");
    let server = Server::start(&mut serve_limited(&dir, 12_000));
    let acknowledged = fill(&server);
    assert!(acknowledged > 0);
    reads_go_on(&server);
    drop(server);
    nothing_acknowledged_is_lost(&dir, acknowledged);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_with_a_hint() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("shop");
    let server = Server::start(&mut serve(&dir));
    assert_eq!(server.ask("POST", "/v1/events", &batch(0)).0, 200);
    drop(server);
    let path = dir.to_str().unwrap();
    let Some(mounted) = Mount::new(&dir, &["--bind", path]).filter(|_| mount(&dir, &["-o", "remount,ro,bind"])) else {
        eprintln!(
            "skipped: this machine does not permit a test to mount a folder read-only, and the mode bits do not bind its administrator"
        );
        return;
    };
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["quarantine", "drop", "--reason", "x"]] {
        let refused = accrue(&dir, arguments);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains("error: ") && stderr.contains("\nhint: "), "{stderr}");
        assert!(stderr.to_lowercase().contains("read-only"), "{stderr}");
    }
    drop(mounted);
    nothing_acknowledged_is_lost(&dir, 100);
}

#[test]
fn a_folder_in_use_is_refused_with_a_hint_and_can_still_be_read() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(&mut serve(place.path()));
    assert_eq!(server.ask("POST", "/v1/events", &batch(0)).0, 200);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["quarantine", "drop", "--reason", "x"]] {
        let refused = accrue(place.path(), arguments);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("another process") && stderr.contains("\nhint: "), "{stderr}");
    }
    let beside = accrue(place.path(), &["export", "events"]);
    assert_eq!(String::from_utf8_lossy(&beside.stdout).lines().count(), 100);
    assert_eq!(server.ask("POST", "/v1/events", &batch(100)).0, 200, "the server continues");
}
