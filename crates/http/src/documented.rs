//! Tests that `docs/requests.md` has every word that answers may have, and no other.

use std::collections::BTreeMap;

use accrue_serve::{Degraded, ReasonCode};

use super::answer::{EVENTS_IGNORED, PERSONS_LEFT_OUT};
use super::parts::PARTS;
use super::problem::Code;

const DOCUMENT: &str = include_str!("../../../docs/requests.md");

/// The rows of the table whose head begins with this cell: the word in the first cell, with the second cell.
fn table(head: &str) -> BTreeMap<&'static str, &'static str> {
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        (cells.next().unwrap().trim_matches('`'), cells.next().unwrap())
    };
    rows.map(cells).collect()
}

#[track_caller]
fn check<'w>(head: &str, words: impl IntoIterator<Item = &'w str>) {
    let mut documented: Vec<&str> = table(head).into_keys().collect();
    let mut words: Vec<&str> = words.into_iter().collect();
    documented.sort_unstable();
    words.sort_unstable();
    assert_eq!(documented, words, "the table {head} of docs/requests.md");
}

#[test]
fn every_code_of_a_problem_is_documented_with_its_status() {
    check("`code` | status", Code::ALL.iter().map(|code| code.name()));
    let documented = table("`code` | status");
    for code in Code::ALL {
        assert_eq!(documented[code.name()], code.status().as_str(), "{}", code.name());
    }
}

#[test]
fn every_code_of_a_reason_is_documented() {
    check("`code` | the item is there because", ReasonCode::ALL.iter().map(|code| code.name()));
}

#[test]
fn every_bound_of_published_keys_is_documented() {
    let settings = serde_json::to_value(accrue_event::CheckSettings::default().published).unwrap();
    let document = include_str!("../../../docs/operations.md");
    for key in settings.as_object().unwrap().keys() {
        let is_told = [format!(".{key}"), format!("`{key}`")].iter().any(|name| document.contains(name));
        assert!(is_told, "{key} is missing in docs/operations.md");
    }
}

#[test]
fn everything_that_an_answer_could_not_do_is_documented() {
    let own = [EVENTS_IGNORED, PERSONS_LEFT_OUT];
    check("`degraded` | meaning", Degraded::ALL.iter().map(|code| code.name()).chain(own));
    check("part | failed", PARTS.map(|(part, _)| part));
}
