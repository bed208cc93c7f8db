//! kill -9 at many moments: every acknowledged event is in the log once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use accrue_event::{EventId, Timestamp};
use accrue_store::{Body, Log};

use crate::fixture::{Folder, checked, id, open, read_all};

const DIR: &str = "ACCRUE_CRASH_DIR";
const SEGMENT_RECORDS: u64 = 300;

/// Not a test, but the process that is killed. It prints `N` on a line when the events before `N` are durable.
#[test]
#[ignore = "the child of acknowledged_records_survive_kill_9"]
fn child_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut log = open(Path::new(&dir), SEGMENT_RECORDS).unwrap();
    let mut n = log.end().0;
    for group in (1..).map(|step: u64| 1 + step * 7 % 60) {
        // Like a shop that got no answer, it sends the last few events again.
        let ids: Vec<u64> = (n.saturating_sub(5)..n + group).collect();
        let new = unknown(&log, &ids);
        let bodies: Vec<Body> = new.iter().map(|&n| Body::Event(checked(n))).collect();
        log.append(Timestamp(n as i64), &bodies).unwrap();
        n += group;
        println!("{n}");
    }
}

fn unknown(log: &Log, ids: &[u64]) -> Vec<u64> {
    let names: Vec<EventId> = ids.iter().map(|&n| id(n)).collect();
    let found = log.find_events(&names).unwrap();
    ids.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(&n, _)| n).collect()
}

#[test]
fn acknowledged_records_survive_kill_9() {
    let folder = Folder::new();
    let mut acknowledged = 0;
    for kill in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_appends_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let n_lines = 1 + (kill * 37 % 41) as usize;
        let said = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok()).take(n_lines);
        acknowledged = said.last().expect("the child said nothing").max(acknowledged);
        child.kill().unwrap();
        child.wait().unwrap();

        let log = open(folder.path(), SEGMENT_RECORDS).unwrap();
        assert!(
            log.end().0 >= acknowledged,
            "kill {kill}: {acknowledged} were acknowledged, the log ends at {}",
            log.end()
        );
        let mut times_seen: HashMap<String, u32> = HashMap::new();
        for record in read_all(&mut log.reader()).unwrap() {
            let Body::Event(checked) = record.body else { panic!("kill {kill}: not what was appended: {record:?}") };
            *times_seen.entry(checked.event.id.as_str().to_owned()).or_default() += 1;
        }
        for n in 0..acknowledged {
            assert_eq!(times_seen.get(id(n).as_str()), Some(&1), "kill {kill}: event {n} of {acknowledged}");
            assert!(log.find_event(&id(n)).unwrap().is_some());
        }
        log.reader().verify().unwrap();
    }
}
