//! `accrue evaluate` on fitted models: the contract that scripts rely on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_accrue")).args(arguments).current_dir(folder).env_clear().output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Forty users go around a ring of twelve items.
fn ring() -> String {
    let line = |user: u32| (0..6).fold(format!("{user}"), |line, step| format!("{line} {}", (user + step) % 12));
    (0..40).map(|user| line(user) + "\n").collect()
}

#[test]
fn a_report_has_all_fields_and_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.txt", &ring());
    let arguments = ["evaluate", "--protocol", "leave-one-out", "--model", "markov", "--train", "ring.txt", "--json"];
    let mut report = json(folder.path(), &arguments);
    for key in ["protocol", "model", "settings", "seed", "metrics", "ci95", "n_eval", "n_params", "cost"] {
        assert!(!report[key].is_null(), "{key}");
    }
    for key in ["train_s", "eval_s", "train_cpu_s", "events_per_s", "peak_rss_mb"] {
        assert!(report["cost"][key].is_number(), "{key}");
    }
    for metric in ["hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"] {
        let (low, high) = (report["ci95"][metric][0].as_f64().unwrap(), report["ci95"][metric][1].as_f64().unwrap());
        let mean = report["metrics"][metric].as_f64().unwrap();
        assert!(low <= mean && mean <= high, "{metric}: {low} {mean} {high}");
    }
    let mut again = json(folder.path(), &arguments);
    report["cost"] = Value::Null;
    again["cost"] = Value::Null;
    assert_eq!(report.to_string(), again.to_string());
}

#[test]
fn auto_finds_a_model_on_validation_and_reports_what_it_tried() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.txt", &ring());
    let arguments =
        ["evaluate", "--protocol", "leave-one-out", "--model", "auto", "--budget", "3s", "--train", "ring.txt"];
    let report = json(folder.path(), &[&arguments[..], &["--json", "--html", "page.html"]].concat());
    assert_eq!(report["settings"]["on"], "test");
    assert_ne!(report["model"], "popularity");
    assert!(report["search"].as_array().is_some_and(|search| search.len() > 3), "{}", report["search"]);
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http"));
}

#[test]
fn an_invalid_evaluation_ends_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.txt", &ring());
    let told = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["evaluate"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("hint: "), "{told}");
        told
    };
    let train = ["--train", "ring.txt"];
    assert!(
        told(&[&["--protocol", "user-items", "--model", "als"][..], &train].concat()).contains("needs a test file")
    );
    assert!(told(&[&["--protocol", "guesswork", "--model", "als"][..], &train].concat()).contains("leave-one-out"));
    write(folder.path(), "words.txt", "1 2 3\n1 3 many\n");
    let words = ["--protocol", "ratings", "--model", "rating-mf", "--train", "words.txt"];
    assert!(told(&words).contains("words.txt: line 2: `many` is not a number"));
    let missing = ["--protocol", "leave-one-out", "--model", "als", "--train", "absent.txt"];
    assert!(told(&missing).contains("absent.txt"));
}

#[test]
fn the_list_names_models_with_their_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let list = json(folder.path(), &["evaluate", "--model", "list", "--json"]);
    let serves = |model: &str, protocol: &str| {
        list.as_array().unwrap().iter().any(|entry| {
            entry["model"] == model && entry["protocols"].as_array().unwrap().iter().any(|name| name == protocol)
        })
    };
    assert!(serves("als", "user-items") && serves("rating-mf", "ratings") && serves("factorization", "stream"));
}

/// A small simulated shop whose tastes change at its third day.
const SIMULATED: [&str; 20] = [
    "evaluate",
    "--protocol",
    "stream",
    "--model",
    "blend",
    "--train",
    "sim",
    "--json",
    "--set",
    "sim.days=5",
    "--set",
    "sim.items=150",
    "--set",
    "sim.shoppers=40",
    "--set",
    "sim.visits=300",
    "--set",
    "sim.upheaval=3",
    "--set",
    "from_day=2",
];

#[test]
fn two_policies_on_one_stream_are_compared_event_by_event() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| [&SIMULATED[..], &["--set", "every=3", "--set", "types=click"], more].concat();
    let online = json(folder.path(), &with(&["--predictions", "online.tsv"]));
    let n_eval = online["n_eval"].as_u64().unwrap();
    let written = std::fs::read_to_string(folder.path().join("online.tsv")).unwrap();
    assert_eq!(written.lines().count() as u64, n_eval + 1);
    let blocks = online["blocks"].as_array().unwrap();
    assert_eq!(blocks.iter().map(|block| block["n_eval"].as_u64().unwrap()).sum::<u64>(), n_eval);
    let same = json(folder.path(), &with(&["--against", "online.tsv"]));
    assert_eq!(same["against"]["ratios"]["all"]["ci95"], serde_json::json!([1.0, 1.0]));
    let frozen = json(folder.path(), &with(&["--set", "mode=frozen", "--against", "online.tsv"]));
    assert_eq!(frozen["settings"]["mode"], "frozen");
    let ratio = &frozen["against"]["ratios"]["all"];
    assert!(ratio["ratio"].as_f64().unwrap() < 1.0 && ratio["n_eval"] == n_eval, "{ratio}");
    // Runs that predicted other events are refused, and so is a file without predictions.
    let other = run(folder.path(), &[&SIMULATED[..], &["--set", "every=2", "--against", "online.tsv"]].concat());
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("predicted by"), "{other:?}");
    write(folder.path(), "no.tsv", "nothing");
    let other = run(folder.path(), &with(&["--against", "no.tsv"]));
    assert!(String::from_utf8_lossy(&other.stderr).contains("no.tsv"), "{other:?}");
}

/// 3,000 lines of two items at one place, shown with this share of the second, which is clicked more.
fn bandit(share: f32, seed: u64) -> String {
    let mut text = "item_id,position,click,propensity_score,user_feature_0\n".to_string();
    for number in 0..3_000 {
        let mut draws = accrue_kernel::Draws::new(seed, 1, number);
        let item = u8::from(draws.uniform() < share);
        let clicked = u8::from(draws.uniform() < [0.05, 0.2][usize::from(item)]);
        let propensity = if item == 1 { share } else { 1.0 - share };
        text += &format!("{item},1,{clicked},{propensity},u{}\n", number / 3);
    }
    text
}

#[test]
fn a_policy_is_estimated_from_the_log_of_another_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "even.csv", &bandit(0.5, 1));
    write(folder.path(), "other.csv", &bandit(0.9, 2));
    let arguments = ["evaluate", "--protocol", "off-policy", "--model", "logged-policy", "--train", "even.csv"];
    let arguments = [&arguments[..], &["--test", "other.csv", "--json"]].concat();
    let report = json(folder.path(), &arguments);
    let actual = report["metrics"]["actual"].as_f64().unwrap();
    for name in ["ips", "snips", "dr"] {
        let (low, high) = (report["ci95"][name][0].as_f64().unwrap(), report["ci95"][name][1].as_f64().unwrap());
        assert!(low < actual && actual < high && high - low < 0.06, "{name}: {report}");
    }
    assert!(report["metrics"]["logged"].as_f64().unwrap() < report["ci95"]["dr"][0].as_f64().unwrap());
    let refused = run(folder.path(), &[&arguments[..], &["--set", "least_effective=5000"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("at least 5000 are required"));
}
