//! Evaluations as tables for people. `--json` prints everything; a table has what one looks at first.

use accrue_lab::main_metric;
use serde_json::Value;

use super::output::{columns, count};

/// Names of metrics in the order in which they are looked at, without their cutoffs.
const ORDER: [&str; 13] =
    ["ndcg", "hr", "p", "recall", "mrr", "map", "precision", "f1", "rmse", "mae", "within_half", "coverage", "novelty"];
/// Metrics in a table of several models.
const COMPARED: usize = 4;
/// Trials of a search that are shown.
const TRIALS: usize = 10;
/// A group with fewer queries is too small to rely on.
const SMALL: u64 = 100;

/// The models with their protocols.
pub(super) fn models(list: &Value) -> String {
    let mut rows = vec![vec!["model".to_string(), "protocols".into(), "what".into()]];
    for model in list.as_array().into_iter().flatten() {
        let protocols: Vec<String> = model["protocols"].as_array().into_iter().flatten().map(word).collect();
        rows.push(vec![word(&model["model"]), protocols.join(" "), word(&model["what"])]);
    }
    columns(&rows)
}

/// One report.
pub(super) fn of(report: &Value) -> String {
    let Some(metrics) = report["metrics"].as_object() else { return leaves(report) };
    let mut text = headline(report);
    let mut rows = vec![["metric", "mean", "95 % interval"].map(String::from).to_vec()];
    for name in in_order(metrics.keys(), &main_metric(report)) {
        rows.push(vec![name.clone(), figure(&metrics[&name]), interval(&report["ci95"][&name])]);
    }
    text += &columns(&rows);
    text += &apart(report);
    text += &by_group(report, "by_history", "items in the history");
    text += &by_group(report, "by_popularity", "earlier choices of the item");
    text += &search(report);
    text += &ratios(report);
    text + &left_out(report)
}

/// Several reports of one protocol: a row for each model.
pub(super) fn of_several(reports: &[Value]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    if reports.iter().any(|report| !report["metrics"].is_object()) {
        return reports.iter().map(|report| format!("{}\n", leaves(report))).collect();
    }
    let main = main_metric(first);
    let names: Vec<String> =
        first["metrics"].as_object().into_iter().flat_map(|metrics| metrics.keys().cloned()).collect();
    let names = in_order(names.iter(), &main);
    let at = main.split_once('@').map(|(_, k)| format!("@{k}"));
    // Of each metric the cutoff of the main one.
    let is_shown = |name: &&String| at.as_ref().is_none_or(|at| name.ends_with(at.as_str()) || !name.contains('@'));
    let names: Vec<&String> = names.iter().filter(is_shown).take(COMPARED).collect();
    let mut header = vec!["model".to_string()];
    for (place, name) in names.iter().enumerate() {
        header.push(name.to_string());
        if place == 0 {
            header.push("95 % interval".into());
        }
    }
    // The main metric of users that were trained on, and of users that were not.
    let are_apart = reports.iter().any(|report| report["by_user"].is_array());
    if are_apart {
        header.extend(["trained on", "never trained on"].map(String::from));
    }
    header.extend(["parameters", "train s"].map(String::from));
    let mut sorted: Vec<&Value> = reports.iter().collect();
    let sign = if main == "rmse" { 1.0 } else { -1.0 };
    let key = |report: &Value| sign * report["metrics"][&main].as_f64().unwrap_or(0.0);
    sorted.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let mut rows = vec![header];
    for report in sorted {
        let mut row = vec![word(&report["model"])];
        for (place, name) in names.iter().enumerate() {
            row.push(figure(&report["metrics"][name.as_str()]));
            if place == 0 {
                row.push(interval(&report["ci95"][name.as_str()]));
            }
        }
        if are_apart {
            let of_users = |trained_on: bool| {
                let mut kinds = report["by_user"].as_array().into_iter().flatten();
                let kind = kinds.find(|kind| kind["trained_on"] == trained_on);
                kind.map_or_else(String::new, |kind| figure(&kind["metrics"][&main]))
            };
            row.extend([of_users(true), of_users(false)]);
        }
        row.push(count(report["n_params"].as_u64().unwrap_or(0)));
        row.push(format!("{:.1}", report["cost"]["train_s"].as_f64().unwrap_or(0.0)));
        rows.push(row);
    }
    let mut text =
        format!("{}: {} predictions, seed {}\n\n", word(&first["protocol"]), n(&first["n_eval"]), word(&first["seed"]));
    text += &columns(&rows);
    text + &left_out(first)
}

fn headline(report: &Value) -> String {
    let learned = match (&report["n_params"], &report["cost"]["train_s"]) {
        // A search learns nothing.
        (Value::Null, Value::Null) => String::new(),
        (n_params, train_s) => {
            format!("{} parameters, learned in {:.1} s, ", n(n_params), train_s.as_f64().unwrap_or(0.0))
        }
    };
    let mut text = format!(
        "{} under {}: {} predictions, {learned}seed {}\n",
        word(&report["model"]),
        word(&report["protocol"]),
        n(&report["n_eval"]),
        word(&report["seed"]),
    );
    if report["settings"]["on"] == "validation" {
        text += "On validation data, not on the test.\n";
    }
    text + "\n"
}

/// The main metric, then the others: the usual ones first, short lists before long ones.
fn in_order<'a>(names: impl Iterator<Item = &'a String>, main: &str) -> Vec<String> {
    let key = |name: &String| {
        let (base, at) = name.split_once('@').unwrap_or((name, ""));
        let place = ORDER.iter().position(|known| *known == base).unwrap_or(ORDER.len());
        let (k, rest) = at.split_once('.').unwrap_or((at, ""));
        let is_main = name != main;
        (is_main, rest.to_string(), place, k.parse::<u32>().unwrap_or(0))
    };
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_by_key(key);
    names
}

/// Users that were trained on, and those that were not.
fn apart(report: &Value) -> String {
    let Some(kinds) = report["by_user"].as_array().filter(|kinds| !kinds.is_empty()) else { return String::new() };
    let main = main_metric(report);
    let mut rows = vec![vec!["users".to_string(), main.clone(), "95 % interval".into(), "predictions".into()]];
    for kind in kinds {
        let name = if kind["trained_on"] == true { "trained on" } else { "never trained on" };
        let cells = [figure(&kind["metrics"][&main]), interval(&kind["ci95"][&main]), n(&kind["n_eval"])];
        rows.push(std::iter::once(name.to_string()).chain(cells).collect());
    }
    format!("\n{}", columns(&rows))
}

fn by_group(report: &Value, key: &str, title: &str) -> String {
    let Some(groups) = report[key].as_array().filter(|groups| groups.len() > 1) else { return String::new() };
    let header = [title, &main_metric(report), "95 % interval", "popularity", "predictions"].map(String::from);
    let mut rows = vec![header.to_vec()];
    for group in groups {
        let n_eval = group["n_eval"].as_u64().unwrap_or(0);
        let few = if n_eval < SMALL { " (few)" } else { "" };
        rows.push(vec![
            range(group),
            figure(&group["value"]),
            interval(&group["ci95"]),
            figure(&group["popularity"]),
            format!("{}{few}", count(n_eval)),
        ]);
    }
    format!("\n{}", columns(&rows))
}

/// `1–4`, or `0` for a group of one key.
fn range(group: &Value) -> String {
    let (from, to) = (word(&group["from"]), word(&group["to"]));
    if from == to { from } else { format!("{from}–{to}") }
}

/// What `--model auto` tried.
fn search(report: &Value) -> String {
    let Some(trials) = report["search"].as_array() else { return String::new() };
    let budget = &report["budget"];
    let mut best: Vec<&Value> = trials.iter().filter(|trial| trial["value"].is_number()).collect();
    let key = |trial: &Value| (-trial["share"].as_f64().unwrap_or(0.0), -trial["value"].as_f64().unwrap_or(0.0));
    best.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let header = ["", "model", "share of users", "on validation", "seconds"].map(String::from);
    let mut rows = vec![header.to_vec()];
    for trial in best.into_iter().take(TRIALS) {
        let mark = if trial["chosen"] == true { "chosen" } else { "" };
        rows.push(vec![
            mark.into(),
            word(&trial["model"]),
            format!("{:.2}", trial["share"].as_f64().unwrap_or(0.0)),
            figure(&trial["value"]),
            format!("{:.1}", trial["seconds"].as_f64().unwrap_or(0.0)),
        ]);
    }
    let is_first = rows.get(1).is_none_or(|best| !best[0].is_empty());
    let why = "The one chosen is the cheapest of those that validation cannot tell apart from the best.\n";
    let seconds = |key: &str| budget[key].as_f64().unwrap_or(0.0);
    format!(
        "\n{} trials in {:.0} s, {:.0} s with the final fit, of {:.0} s that were given; the best:\n{}{}",
        trials.len(),
        seconds("search_s"),
        seconds("total_s"),
        seconds("given_s"),
        columns(&rows),
        if is_first { "" } else { why }
    )
}

/// The comparison with another run of the same stream.
fn ratios(report: &Value) -> String {
    let Some(ratios) = report["against"]["ratios"].as_object() else { return String::new() };
    let mut rows = vec![["compared with the other run", "ratio", "95 % interval"].map(String::from).to_vec()];
    for (name, ratio) in ratios {
        rows.push(vec![name.clone(), figure(&ratio["ratio"]), interval(&ratio["ci95"])]);
    }
    format!("\n{}", columns(&rows))
}

/// What was left out of the files.
fn left_out(report: &Value) -> String {
    let counts = ["counted", "refused"].into_iter().filter_map(|key| report[key].as_object()).flatten();
    let some: Vec<String> = counts
        .filter(|(_, value)| value.as_u64().is_some_and(|n| n > 0))
        .map(|(name, value)| format!("{} {}", n(value), name.replace('_', " ")))
        .collect();
    if some.is_empty() { String::new() } else { format!("\nCounted in the files: {}\n", some.join(", ")) }
}

/// Every leaf with its path, for reports of other forms.
fn leaves(report: &Value) -> String {
    fn walk(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
        let at = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(&at(key), value, rows)),
            Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
                rows.push(vec![path.into(), values.iter().map(figure).collect::<Vec<_>>().join("  ")]);
            }
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(place, value)| walk(&at(&place.to_string()), value, rows));
            }
            value => rows.push(vec![path.into(), figure(value)]),
        }
    }
    let mut rows = Vec::new();
    walk("", report, &mut rows);
    columns(&rows)
}

/// A number with four digits after the point; whole numbers and texts as they are.
fn figure(value: &Value) -> String {
    match value.as_f64() {
        // Adding zero turns a negative zero into zero.
        Some(x) if value.is_f64() => format!("{:.4}", (x * 1e4).round() / 1e4 + 0.0),
        _ => word(value),
    }
}

fn interval(value: &Value) -> String {
    match value.as_array().map(Vec::as_slice) {
        Some([low, high]) => format!("{}–{}", figure(low), figure(high)),
        _ => String::new(),
    }
}

fn n(value: &Value) -> String {
    value.as_u64().map_or_else(|| word(value), count)
}

/// A text, or a value as JSON.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_main_metric_is_first_and_small_groups_are_marked() {
        let report = json!({"protocol": "temporal", "model": "als", "seed": 1, "n_eval": 1200, "n_params": 12345,
            "main_metric": "ndcg@20", "metrics": {"coverage@20": 0.5, "hr@5": 0.1, "ndcg@20": -0.00001, "mrr": 0.2},
            "ci95": {"ndcg@20": [0.1, 0.2]}, "cost": {"train_s": 1.26}, "counted": {"duplicate_lines": 0, "users": 3},
            "by_user": [{"trained_on": true, "n_eval": 1000, "metrics": {"ndcg@20": 0.3}, "ci95": {}},
                {"trained_on": false, "n_eval": 200, "metrics": {"ndcg@20": 0.1}, "ci95": {}}],
            "by_history": [{"from": 0, "to": 4, "n_eval": 99, "value": 0.1, "ci95": [0.0, 0.2], "popularity": 0.1},
                {"from": 5, "to": 5, "n_eval": 1101, "value": 0.1, "ci95": [0.0, 0.2], "popularity": 0.1}]});
        let text = of(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "als under temporal: 1,200 predictions, 12,345 parameters, learned in 1.3 s, seed 1");
        assert_eq!(lines[3], "ndcg@20      0.0000  0.1000–0.2000", "{text}");
        assert!(lines[4].starts_with("hr@5") && lines[6].starts_with("coverage@20"), "{text}");
        for part in ["never trained on   0.1000", "99 (few)", "Counted in the files: 3 users\n"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("-0.0"));
    }

    #[test]
    fn several_models_are_rows_the_best_first() {
        let report = |model: &str, value: f64| {
            json!({"protocol": "leave-one-out", "model": model, "seed": 1, "n_eval": 9, "n_params": 5,
                "main_metric": "ndcg@10", "metrics": {"ndcg@10": value, "ndcg@5": 0.1, "hr@10": 0.3},
                "ci95": {"ndcg@10": [0.1, 0.2]}, "cost": {"train_s": 0.0}})
        };
        let text = of_several(&[report("als", 0.1), report("ease", 0.2)]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "model  ndcg@10  95 % interval   hr@10  parameters  train s");
        assert!(lines[1].starts_with("ease ") && lines[2].starts_with("als "), "{text}");
    }
}
