//! Files that do not have the expected form: an error with file, line and expectation, or a documented rule. Never a
//! panic.

use super::folder::{Folder, ranking, ratings, request, ring};

/// The error message of an evaluation on `bytes`.
fn message(protocol: &str, name: &str, bytes: &[u8]) -> String {
    let folder = Folder::new();
    let train = folder.file(name, bytes);
    let test = (protocol != "leave-one-out").then(|| folder.file("test.txt", "u1 1\n"));
    if protocol == "ratings" {
        return ratings(&request("rating-baseline", train, None, &[])).expect_err("a bad file").to_string();
    }
    ranking(protocol, &request("markov", train, test, &[])).expect_err("a bad file").to_string()
}

fn check(protocol: &str, name: &str, bytes: impl AsRef<[u8]>, parts: &[&str]) {
    let message = message(protocol, name, bytes.as_ref());
    for part in [name].iter().chain(parts) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn an_empty_file_is_reported_as_empty() {
    for protocol in ["leave-one-out", "user-items", "sessions", "sampled", "ratings"] {
        check(protocol, "empty.txt", "", &["empty", "expected"]);
        check(protocol, "blank.txt", "\n\n  \n", &["empty", "expected"]);
    }
}

#[test]
fn damaged_or_mislabelled_compression_is_reported() {
    let whole = zstd::encode_all(ring().repeat(200).as_bytes(), 3).expect("compression");
    check("leave-one-out", "cut.zst", &whole[..whole.len() / 2], &["damaged or cut off"]);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    damaged.truncate(middle + 1);
    check("leave-one-out", "damaged.zst", &damaged, &["damaged or cut off"]);
    check("leave-one-out", "plain.zst", ring(), &["not compressed that way"]);
}

#[test]
fn a_file_for_another_protocol_is_reported_with_its_line() {
    check(
        "leave-one-out",
        "ratings.txt",
        "1 2 5\n1 3 4\n",
        &["line 2", "user `1` already has line 1", "--protocol ratings"],
    );
    check("leave-one-out", "rows.json", "{\"user\":1}\n", &["line 1", "is not an id", "user item item"]);
    check("leave-one-out", "rows.csv", "u1,i1\n", &["line 1", "`u1,i1` is not an id"]);
    check("sessions", "queries.txt", "1 2\t3\n", &["line 1", "tab"]);
    check("sampled", "lines.txt", "1 2 3\n4 5\n", &["line 2", "2 words", "user item rating"]);
    check("ratings", "words.txt", "1 2 3\n4 5 many\n", &["line 2", "`many` is not a number"]);
    check("ratings", "nan.txt", "1 2 NaN\n", &["line 1", "`NaN` is not a number"]);
    check("leave-one-out", "bytes.txt", [0xFF, 0xFE, 0x41, 0x0A], &["line 1", "UTF-8"]);
}

#[test]
fn a_session_test_without_a_tab_is_refused() {
    let folder = Folder::new();
    let (train, test) = (folder.file("train.txt", "1 2 3\n"), folder.file("test.txt", "1 2\t3\n1 2 3\n"));
    let message = ranking("sessions", &request("markov", train, Some(test), &[])).expect_err("a bad file").to_string();
    assert!(message.contains("test.txt: line 2: no tab"), "{message}");
}

#[test]
fn a_file_without_queries_is_an_error_and_one_user_is_enough() {
    let folder = Folder::new();
    let short = folder.file("short.txt", "u1 1 2\n");
    let message =
        ranking("leave-one-out", &request("markov", short, None, &[])).expect_err("nothing to ask").to_string();
    assert!(message.contains("short.txt") && message.contains("nothing"), "{message}");
    let one = folder.file("one.txt", "u1 1 2 3 4\n");
    for model in accrue_model::collaborative::Kind::ALL {
        let report = ranking("leave-one-out", &request(model.name(), one.clone(), None, &[]));
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", model.name()));
        assert!(report.metrics.values().all(|value| value.is_finite()), "{}: {:?}", model.name(), report.metrics);
    }
}

#[test]
fn a_repeated_line_is_read_once() {
    let folder = Folder::new();
    let plain = folder.file("plain.txt", ring());
    let doubled = folder.file("doubled.txt", ring() + &ring());
    let of = |path| ranking("leave-one-out", &request("markov", path, None, &[])).expect("a report");
    let (plain, doubled) = (of(plain), of(doubled));
    assert_eq!((&plain.metrics, plain.n_eval), (&doubled.metrics, doubled.n_eval));
    assert_eq!((plain.counted["duplicate_lines"], doubled.counted["duplicate_lines"]), (0, 40));
}

#[test]
fn unknown_models_and_settings_are_refused_with_the_known_ones() {
    let folder = Folder::new();
    let train = folder.file("ring.txt", ring());
    let message = |model: &str, settings: &[&str]| {
        ranking("leave-one-out", &request(model, train.clone(), None, settings)).expect_err("a bad setting").to_string()
    };
    assert!(message("oracle", &[]).contains("item-knn"));
    assert!(message("als", &["depth=3"]).contains("factors"));
    assert!(message("als", &["factors=0"]).contains("at least one"));
    assert!(message("als", &["l2=-1"]).contains("l2=-1"));
    assert!(message("markov", &["at=0"]).contains("`at` is 0"));
    assert!(message("mf", &["rate=1e30"]).contains("diverged"), "{}", message("mf", &["rate=1e30"]));
}
