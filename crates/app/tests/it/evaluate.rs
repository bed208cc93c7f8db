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
    let search = report["search"].as_array().unwrap();
    assert!(search.len() > 3, "{search:?}");
    let chosen: Vec<&Value> = search.iter().filter(|trial| trial["chosen"] == true).collect();
    assert!(chosen.len() == 1 && chosen[0]["model"] == report["model"], "{chosen:?}");
    // The final fit is in the budget; some seconds may pass on a machine that is busy.
    let total_s = report["budget"]["total_s"].as_f64().unwrap();
    assert!(total_s < 3.0 * 1.2 + 3.0, "{total_s}");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("The search") && !page.contains("http"));
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

/// The ring as a table, one row per choice, in no order.
fn ring_table(delimiter: char) -> String {
    let mut rows: Vec<(u64, String)> = Vec::new();
    for user in 0..40_u64 {
        for step in 0..6 {
            let (item, time) = ((user + step) % 12, 1_500_000_000 + step * 86_400 + user);
            let row = [user.to_string(), item.to_string(), "4.5".into(), time.to_string()];
            rows.push(((user * 31 + step * 17) % 101, row.join(&delimiter.to_string())));
        }
    }
    rows.sort();
    let header = ["user_id", "item_id", "rating", "timestamp"].join(&delimiter.to_string());
    rows.into_iter().fold(header, |text, (_, row)| text + "\n" + &row) + "\n"
}

#[test]
fn a_table_with_a_header_gives_the_figures_of_the_same_choices_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.txt", &ring());
    write(folder.path(), "ring.csv", &ring_table(','));
    write(folder.path(), "ring.tsv", &ring_table('\t'));
    write(folder.path(), "named.csv", &ring_table(';').replace("user_id;item_id", "who;what"));
    write(folder.path(), "bare.csv", ring_table(',').split_once('\n').unwrap().1);
    let of = |more: &[&str]| {
        let arguments = ["evaluate", "--protocol", "leave-one-out", "--model", "item-knn", "--json", "--train"];
        json(folder.path(), &[&arguments[..], more].concat())["metrics"].clone()
    };
    let lines = of(&["ring.txt"]);
    assert!(lines["hr@10"].as_f64().unwrap() > 0.5);
    assert_eq!(of(&["ring.csv"]), lines);
    assert_eq!(of(&["ring.tsv"]), lines);
    assert_eq!(of(&["named.csv", "--map", "user=who,item=what"]), lines);
    assert_eq!(of(&["bare.csv", "--columns", "user_id,item_id,rating,timestamp"]), lines);
    // Every other protocol reads it too.
    let run = |protocol: &str, model: &str, more: &[&str]| {
        let arguments = ["evaluate", "--protocol", protocol, "--model", model, "--json", "--train", "ring.csv"];
        json(folder.path(), &[&arguments[..], more].concat())["n_eval"].as_u64().unwrap()
    };
    assert_eq!(run("ratings", "rating-mf", &[]), 240);
    assert!(run("temporal", "item-knn", &[]) > 10);
    assert_eq!(run("sessions", "session-knn", &["--test", "ring.tsv"]), 200);
    write(folder.path(), "asked.csv", "user_id,item_id\n1,1\n2,3\n");
    assert_eq!(run("sampled", "item-knn", &["--test", "asked.csv"]), 2);
    assert!(run("stream", "popularity", &["--set", "from_day=1", "--set", "every=2"]) > 50);
    write(folder.path(), "test.csv", "user_id,item_id\n1,9\n2,10\nnew,3\n");
    let arguments = ["evaluate", "--protocol", "user-items", "--model", "item-knn", "--json", "--train", "ring.csv"];
    let report = json(folder.path(), &[&arguments[..], &["--test", "test.csv"]].concat());
    let kinds = report["by_user"].as_array().unwrap();
    assert_eq!((&kinds[0]["trained_on"], &kinds[0]["n_eval"]), (&Value::Bool(true), &Value::from(2)));
    assert_eq!((&kinds[1]["trained_on"], &kinds[1]["n_eval"]), (&Value::Bool(false), &Value::from(1)));
    let text = run_text(folder.path(), &[&arguments[..5], &["--train", "ring.csv", "--test", "test.csv"]].concat());
    assert!(text.contains("never trained on") && text.contains("95 % interval"), "{text}");
}

fn run_text(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn several_models_run_at_once_with_settings_of_their_own_and_lists_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.csv", &ring_table(','));
    write(folder.path(), "settings.toml", "at = [5, 10]\n[als]\nfactors = 4\n");
    let arguments = ["evaluate", "--protocol", "leave-one-out", "--train", "ring.csv", "--model", "als", "markov"];
    let set = ["--settings", "settings.toml", "als.iterations=3"];
    let files = ["--predictions", "lists.csv", "--html", "page.html"];
    let reports = json(folder.path(), &[&arguments[..], &set, &files, &["--json"]].concat());
    assert_eq!((&reports[0]["model"], &reports[1]["model"]), (&"als".into(), &"markov".into()));
    assert_eq!((&reports[0]["settings"]["factors"], &reports[0]["settings"]["iterations"]), (&"4".into(), &"3".into()));
    let rows = std::fs::read_to_string(folder.path().join("lists.csv")).unwrap();
    assert!(rows.starts_with("model,user,trained_on,rank,item,score,chosen\nals,"), "{rows}");
    assert!(rows.contains("\nmarkov,") && rows.lines().filter(|row| row.ends_with(",true")).count() > 20);
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("The best is markov") && page.contains("--settings settings.toml als.iterations=3"));
    let text = run_text(folder.path(), &[&arguments[..], &set].concat());
    let first = |line: usize| text.lines().nth(line).unwrap().split_whitespace().next().unwrap();
    assert_eq!([first(2), first(3), first(4)], ["model", "markov", "als"], "{text}");
    // A report is a file of settings too, and a prediction an object.
    let report = json(folder.path(), &[&arguments[..5], &["--model", "als", "--set", "factors=6", "--json"]].concat());
    write(folder.path(), "report.json", &report.to_string());
    let files = ["--settings", "report.json", "--predictions", "lists.ndjson", "--json"];
    let again = json(folder.path(), &[&arguments[..5], &["--model", "als"], &files].concat());
    assert_eq!((&again["settings"], &again["metrics"]), (&report["settings"], &report["metrics"]));
    let lists = std::fs::read_to_string(folder.path().join("lists.ndjson")).unwrap();
    let list: Value = serde_json::from_str(lists.lines().next().unwrap()).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), list["scores"].as_array().unwrap().len());
    assert!(list["metrics"]["ndcg@10"].is_number() && list["user"].is_string(), "{list}");
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
    // The same log with tabs between its cells, which is read as a table.
    for name in ["even", "other"] {
        let text = std::fs::read_to_string(folder.path().join(format!("{name}.csv"))).unwrap();
        write(folder.path(), &format!("{name}.tsv"), &text.replace(',', "\t"));
    }
    let table = {
        let as_tsv = |text: &&str| text.replace(".csv", ".tsv");
        let arguments: Vec<String> = arguments.iter().map(as_tsv).collect();
        json(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(table["metrics"], report["metrics"]);
    let refused = run(folder.path(), &[&arguments[..], &["--set", "least_effective=5000"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("at least 5000 are required"));
}

/// Rows in which users of even and odd numbers click on items of their own parity, with a price that says nothing.
fn clicks(n: u32, seed: u32) -> String {
    let row = |row: u32| {
        let mixed = row.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503));
        let (user, item, price) = (mixed >> 8 & 15, mixed >> 16 & 15, mixed >> 24);
        let is_noise = mixed.is_multiple_of(11);
        let label = if (user % 2 == item % 2) == is_noise { "-1" } else { "1" };
        format!("{label} user={user} item={item} price:{price}\n")
    };
    (0..n).map(row).collect()
}

#[test]
fn click_models_are_compared_on_labelled_rows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.txt", &clicks(3_000, 1));
    write(folder.path(), "test.txt", &clicks(1_000, 2));
    let files = ["evaluate", "--protocol", "ctr", "--train", "train.txt", "--test", "test.txt", "--json"];
    let small = ["--set", "batch=128", "--set", "learning_rate=0.01", "--set", "l2=0.001", "--set", "epochs=8"];
    let deep = ["--model", "deepfm", "--set", "hidden=16", "--set", "layers=1", "--predictions", "rows.csv"];
    let mut report = json(folder.path(), &[&files[..], &deep, &small].concat());
    let auc = report["metrics"]["auc"].as_f64().unwrap();
    assert!(auc > 0.85, "{report}");
    assert!(report["ci95"]["auc"][0].as_f64().unwrap() <= auc && report["deciles"].as_array().unwrap().len() == 10);
    assert_eq!((&report["data"]["fields_by"], &report["data"]["n_fields"]), (&"column".into(), &3.into()));
    let rows = std::fs::read_to_string(folder.path().join("rows.csv")).unwrap();
    assert_eq!((rows.lines().count(), rows.lines().next()), (1_001, Some("model,row,label,predicted")));
    let mut again = json(folder.path(), &[&files[..], &deep, &small].concat());
    (report["cost"], again["cost"]) = (Value::Null, Value::Null);
    assert_eq!(report.to_string(), again.to_string());

    let online = json(folder.path(), &[&files[..], &["--model", "pairs", "--set", "mode=online"]].concat());
    for metric in ["auc", "prequential.auc"] {
        assert!(online["metrics"][metric].as_f64().unwrap() > 0.8, "{online}");
    }
    assert!(online["cost"]["events_per_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn labelled_rows_may_be_a_table_with_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |n: std::ops::Range<u32>| {
        let row = |k: u32| format!("{},u{},i{},{}.5\n", u32::from(k % 3 == k % 5 % 3), k % 7, k % 5, k % 11);
        format!("clicked,user,item,price\n{}", n.map(row).collect::<String>())
    };
    write(folder.path(), "train.csv", &rows(0..400));
    write(folder.path(), "test.csv", &rows(400..500));
    let files =
        ["evaluate", "--protocol", "ctr", "--model", "fm", "--train", "train.csv", "--test", "test.csv", "--json"];
    let report = json(folder.path(), &files);
    assert_eq!(report["n_eval"], 100, "{report}");
    assert!(report["metrics"]["auc"].as_f64().is_some_and(|auc| auc > 0.4), "{report}");
}

#[test]
fn misspelt_names_of_models_and_protocols_and_foreign_judgments_are_told() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ring.txt", &ring());
    write(folder.path(), "ratings.csv", "user_id,item_id,rating\nu1,i1,5\n");
    write(folder.path(), "judged.csv", "query,docid,rating\nmug,other,2\n");
    write(folder.path(), "items.csv", "id,title\ni1,Red mug\n");
    let search = ["--protocol", "search", "--model", "lexical", "--items", "items.csv", "--test"];
    for (arguments, said) in [
        (&["--protocol", "tempral", "--model", "als", "--train", "ring.txt"][..], "did you mean `temporal`"),
        (&["--protocol", "leave-one-out", "--model", "alss", "--train", "ring.txt"], "did you mean `als`"),
        (&["--protocol", "rating", "--model", "list"], "did you mean `ratings`"),
        (&[&search[..], &["ratings.csv"]].concat(), "query,docid,rating"),
        (&[&search[..], &["judged.csv"]].concat(), "none of the judged items"),
    ] {
        let output = run(folder.path(), &[&["evaluate"], arguments].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && message.contains(said), "{arguments:?}: {message}");
    }
    let listed = json(folder.path(), &["evaluate", "--protocol", "ctr", "--model", "list", "--json"]);
    let listed = listed.as_array().unwrap();
    assert!(!listed.is_empty() && listed.iter().all(|model| model["protocols"].to_string().contains("ctr")));
}

#[test]
fn labelled_rows_that_cannot_be_used_are_refused_with_the_line_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.txt", "1 a b\n0 a c\n1 a b\n0 d c\n");
    write(folder.path(), "wide.txt", "1 a b c\n");
    write(folder.path(), "label.txt", "1 a b\nyes a b\n");
    write(folder.path(), "number.txt", "1 a x:1e999\n0 b x:2\n");
    write(folder.path(), "one.txt", "1 a\n1 b\n");
    write(folder.path(), "empty.txt", "");
    for (train, test, more, parts) in [
        ("good.txt", "wide.txt", &[][..], &["line 1", "4 words"][..]),
        ("label.txt", "good.txt", &[], &["line 2", "a label of `yes`"]),
        ("number.txt", "good.txt", &[], &["1e999", "not a number"]),
        ("one.txt", "good.txt", &[], &["the same label"]),
        ("empty.txt", "good.txt", &[], &["empty"]),
        ("good.txt", "good.txt", &["--set", "depth=3"], &["depth", "learning_rate"]),
        ("good.txt", "good.txt", &["--set", "holdout=2"], &["holdout"]),
        ("good.txt", "good.txt", &["--items", "good.txt"], &["--items", "ctr"]),
        ("good.txt", "good.txt", &["--map", "user=a"], &["leave out --mapping"]),
    ] {
        let base = ["evaluate", "--protocol", "ctr", "--model", "fm", "--train", train, "--test", test];
        let output = run(folder.path(), &[&base[..], more].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{train} {test} {more:?}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{train} {test} {more:?}: {message}");
    }
    let without_test = ["evaluate", "--protocol", "ctr", "--model", "fm", "--train", "good.txt"];
    let message = String::from_utf8_lossy(&run(folder.path(), &without_test).stderr).into_owned();
    assert!(message.contains("--test"), "{message}");
    let unknown = ["evaluate", "--protocol", "ctr", "--model", "als", "--train", "good.txt", "--test", "good.txt"];
    let message = String::from_utf8_lossy(&run(folder.path(), &unknown).stderr).into_owned();
    assert!(message.contains("finalmlp"), "{message}");
}
