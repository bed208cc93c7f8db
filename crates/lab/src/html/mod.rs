//! Reports as an HTML page that needs no network: headline, data set, command and picture first, then the metrics that
//! matter, then everything else.
//!
//! In: reports as JSON; the page is about the first one, compared with the others. Out: a page with inline SVG, for
//! light and dark displays.

mod plot;

use std::fmt::Write as _;

use serde_json::Value;

use plot::Bar;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6475;--line:#d9dde5;--page:#fff;--card:#f5f7fa;--a:#2563a8;--b:#b4541a}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9f0;--soft:#a3acbb;--line:#39414f;--page:#14181f;--card:#1d232d;--a:#6aa9e9;--b:#f0a878}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:46rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;line-height:1.25;margin-bottom:.4rem}h2{font-size:1.1rem;margin:2rem 0 .4rem}p{margin:.4rem 0}\
table{border-collapse:collapse}td,th{padding:.25rem 1.2rem .25rem 0;border-bottom:1px solid var(--line);text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.main td{font-weight:600}.soft{color:var(--soft)}\
pre{background:var(--card);padding:.6rem .8rem;border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}\
details{margin:.8rem 0}td details{margin:0}summary{cursor:pointer;color:var(--a)}svg{max-width:100%;height:auto;margin:.4rem 0}\
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}svg .a{fill:var(--a)}\
svg .few{fill:none;stroke:var(--a);stroke-dasharray:3 3}svg .whisker{stroke:var(--ink);fill:none}\
svg .base{stroke:var(--b);stroke-width:3}svg .line{fill:none;stroke:var(--a);stroke-width:2}svg .axis{stroke:var(--line)}\
.key{display:inline-block;width:.8em;height:.8em;background:var(--a);margin-right:.3em}.key.b{width:.2em;background:var(--b)}";

/// A group with fewer queries is too small to rely on.
const SMALL: u64 = 100;
/// Names of metrics in the order in which they are looked at, without their cutoffs.
const ORDER: [&str; 13] =
    ["ndcg", "hr", "p", "recall", "mrr", "map", "precision", "f1", "rmse", "mae", "within_half", "coverage", "novelty"];
/// Metrics in the table of several runs.
const COMPARED: usize = 3;
/// Metrics that are shown at once; the others can be unfolded.
const FIRST: usize = 6;
/// Trials that are shown at once.
const TRIALS: usize = 12;

/// What a page says about the run itself.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The command, as it can be typed again.
    pub command: String,
    /// The names of the files.
    pub files: Vec<String>,
}

/// The page of the best report, compared with the others.
pub fn html(reports: &[Value], run: &Run) -> String {
    let reports = &best_first(reports)[..];
    let Some(report) = reports.first() else { return String::new() };
    let title = match reports.len() {
        1 => format!("{} under {}", escaped(&report["model"]), escaped(&report["protocol"])),
        n => format!("{n} runs under {}", escaped(&report["protocol"])),
    };
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    append(&mut page, format_args!("<p>{}</p><p class=soft>{}</p>", headline(reports), data_set(report, run)));
    if !run.command.is_empty() {
        append(&mut page, format_args!("<pre>{}</pre>", text(&run.command)));
    }
    page += &picture(reports);
    page += &figures(report);
    page += &apart(report);
    let main = text(&main_metric(report));
    page += &groups(&report["by_history"], &format!("{main} by items in the history"));
    page += &groups(&report["by_popularity"], &format!("{main} by number of earlier choices of the chosen items"));
    page += &weeks(&report["weeks"]);
    page += &curve(&report["curve"]);
    page += &search(report);
    page += &table("Settings", &report["settings"]);
    page += &table("Counted in the files", &report["counted"]);
    page += &table("Left out of the files", &report["refused"]);
    page += &table("Cost", &report["cost"]);
    page + "</html>\n"
}

/// A text, escaped for HTML.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A text or number, escaped for HTML.
fn escaped(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(words) => text(words),
        Value::Number(number) if number.is_f64() => shown(number.as_f64().unwrap_or(0.0)),
        other => text(&other.to_string()),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// A number with as many digits as it needs, never `-0`.
fn shown(x: f64) -> String {
    let digits = match x.abs() {
        huge if (1e4..1e15).contains(&huge) => {
            return format!("{}{}", if x < 0.0 { "-" } else { "" }, thousands(huge as u64));
        }
        large if large >= 100.0 => 1,
        large if large >= 10.0 => 2,
        _ => 4,
    };
    let shown = format!("{x:.digits$}");
    let is_zero = shown.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_zero { shown.trim_start_matches('-').to_string() } else { shown }
}

/// A count with separators of thousands.
fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| escaped(value), thousands)
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of predictions, in words.
fn predictions(n: &Value) -> String {
    if n.as_u64() == Some(1) { "1 prediction".into() } else { format!("{} predictions", count(n)) }
}

fn interval(value: &Value) -> Option<(f64, f64)> {
    match value.as_array().map(Vec::as_slice) {
        Some([low, high]) => Some((number(low), number(high))),
        _ => None,
    }
}

/// Appends formatted text.
fn append(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a String cannot fail");
}

/// The metric by which runs are compared. Reports of earlier builds, which may be compared with, do not all name it.
pub fn main_metric(report: &Value) -> String {
    let of_protocol = || match report["protocol"].as_str() {
        Some("ratings") => "rmse",
        Some("off-policy") => "dr",
        _ => "ndcg@20",
    };
    report["main_metric"].as_str().unwrap_or_else(of_protocol).to_string()
}

/// Whether less is better.
fn is_error(metric: &str) -> bool {
    matches!(metric, "rmse" | "mae" | "logloss")
}

/// The reports by their main metric.
fn best_first(reports: &[Value]) -> Vec<Value> {
    let mut sorted = reports.to_vec();
    if let Some(main) = reports.first().map(main_metric) {
        let sign = if is_error(&main) { 1.0 } else { -1.0 };
        let key = |report: &Value| sign * number(&report["metrics"][&main]);
        sorted.sort_by(|a, b| key(a).total_cmp(&key(b)));
    }
    sorted
}

/// The result in a sentence.
fn headline(reports: &[Value]) -> String {
    let main = main_metric(&reports[0]);
    let value = |report: &Value| number(&report["metrics"][&main]);
    let with_interval = |report: &Value| {
        let interval = interval(&report["ci95"][&main]);
        let interval = interval.map(|(low, high)| format!(" (95 % interval {} – {})", shown(low), shown(high)));
        format!("<b>{}</b>{}", shown(value(report)), interval.unwrap_or_default())
    };
    if reports.len() > 1 {
        let (name, main) = (label(&reports[0]), text(&main));
        return format!("The best is {name}: {main} {}.", with_interval(&reports[0]));
    }
    let report = &reports[0];
    let lift = popularity(report).filter(|&popularity| popularity > 0.0).map(|popularity| {
        format!(": {:.1} times that of the most popular items ({})", value(report) / popularity, shown(popularity))
    });
    let on = if report["settings"]["on"] == "validation" { " on validation data" } else { "" };
    format!("{} is {}{on}{}.", text(&main), with_interval(report), lift.unwrap_or_default())
}

/// The main metric of popularity over all queries.
fn popularity(report: &Value) -> Option<f64> {
    let groups = report["by_history"].as_array().filter(|groups| !groups.is_empty())?;
    let n: f64 = groups.iter().map(|group| number(&group["n_eval"])).sum();
    let sum: f64 = groups.iter().map(|group| number(&group["n_eval"]) * number(&group["popularity"])).sum();
    (n > 0.0).then(|| sum / n)
}

fn data_set(report: &Value, run: &Run) -> String {
    let mut parts: Vec<String> = run.files.iter().map(|file| text(file)).collect();
    let data = &report["data"];
    for (key, name) in [("n_users", "users"), ("n_items", "items"), ("n_interactions", "choices to learn from")] {
        if data[key].is_u64() {
            parts.push(format!("{} {name}", count(&data[key])));
        }
    }
    parts.push(predictions(&report["n_eval"]));
    parts.push(format!("{} parameters", count(&report["n_params"])));
    parts.push(format!("seed {}", escaped(&report["seed"])));
    parts.join(" · ")
}

/// What a run is called among others.
fn label(report: &Value) -> String {
    match report["settings"]["mode"].as_str() {
        Some(mode) => {
            let warmth = match report["settings"]["warm"].as_str() {
                Some("true") => " warm",
                Some(_) => " cold",
                None => "",
            };
            format!("{} {}{warmth}", escaped(&report["model"]), text(mode))
        }
        None => escaped(&report["model"]),
    }
}

/// The runs beside each other; of one run, the model beside popularity.
fn picture(reports: &[Value]) -> String {
    let main = main_metric(&reports[0]);
    let bar = |report: &Value| Bar {
        label: label(report),
        value: number(&report["metrics"][&main]),
        interval: interval(&report["ci95"][&main]),
        ..Bar::default()
    };
    let mut bars: Vec<Bar> = reports.iter().map(bar).collect();
    if let ([report], Some(popularity)) = (reports, popularity(&reports[0]))
        && report["model"] != "popularity"
    {
        bars.push(Bar { label: "popularity".into(), value: popularity, ..Bar::default() });
    }
    let compared = if reports.len() > 1 { compared(reports) } else { String::new() };
    let direction = if is_error(&main) { " (less is better)" } else { "" };
    let mut page = format!("<h2>{}{direction}, with 95 % intervals</h2>{}{compared}", text(&main), plot::bars(&bars));
    if reports.len() > 1 && reports.iter().all(|report| report["protocol"] == "stream") {
        page += &policies(reports);
    }
    page
}

/// The runs in a table: the metrics that matter, users apart, and what they cost.
fn compared(reports: &[Value]) -> String {
    let main = main_metric(&reports[0]);
    let names: Vec<String> = in_order(&reports[0]).into_iter().take(COMPARED).collect();
    let are_apart = reports.iter().any(|report| report["by_user"].is_array());
    let mut page = String::from("<table><tr><th>model");
    let mut header: Vec<String> = names.iter().map(|name| text(name)).collect();
    if are_apart {
        header.extend(["users trained on", "never trained on"].map(String::from));
    }
    header.extend(["parameters", "seconds to learn"].map(String::from));
    header.iter().for_each(|name| append(&mut page, format_args!("<th class=n>{name}")));
    for report in reports {
        append(&mut page, format_args!("</tr><tr><td>{}", label(report)));
        let of_users = |trained_on: bool| {
            let kinds = report["by_user"].as_array().into_iter().flatten();
            let kind = kinds.into_iter().find(|kind| kind["trained_on"] == trained_on);
            kind.map_or_else(String::new, |kind| shown(number(&kind["metrics"][&main])))
        };
        let mut cells: Vec<String> = names.iter().map(|name| escaped(&report["metrics"][name])).collect();
        if are_apart {
            cells.extend([of_users(true), of_users(false)]);
        }
        cells.extend([count(&report["n_params"]), format!("{:.1}", number(&report["cost"]["train_s"]))]);
        cells.iter().for_each(|cell| append(&mut page, format_args!("<td class=n>{cell}")));
    }
    page + "</tr></table>"
}

/// Runs of the stream protocol: quality over the CPU seconds of learning (logarithmic).
fn policies(reports: &[Value]) -> String {
    let points: Vec<(f64, f64, String)> = reports
        .iter()
        .map(|report| {
            let cpu_s = number(&report["cost"]["train_cpu_s"]).max(0.01);
            (cpu_s, number(&report["metrics"]["ndcg@20"]), label(report))
        })
        .collect();
    format!("<h2>NDCG@20 by CPU seconds of learning</h2>{}", plot::points(&points, "s"))
}

/// The main metric, then the others: the usual ones first, those of the same cutoff before other cutoffs.
fn in_order(report: &Value) -> Vec<String> {
    let main = main_metric(report);
    let at_of = |name: &str| name.split_once('@').map_or(String::new(), |(_, at)| at.to_string());
    let key = |name: &String| {
        let base = name.split('@').next().unwrap_or_default();
        let place = ORDER.iter().position(|known| *known == base).unwrap_or(ORDER.len());
        let at = at_of(name);
        let k: u32 = at.split('.').next().and_then(|k| k.parse().ok()).unwrap_or(0);
        (*name != main, !at.is_empty() && at != at_of(&main), place, k, at)
    };
    let mut names: Vec<String> =
        report["metrics"].as_object().into_iter().flat_map(|all| all.keys().cloned()).collect();
    names.sort_by_key(key);
    names
}

fn figures(report: &Value) -> String {
    let names = in_order(report);
    if names.is_empty() {
        return String::new();
    }
    let rows = |names: &[String]| {
        let mut rows = String::from("<table><tr><th>metric<th class=n>mean<th class=n>95 % interval</tr>");
        for name in names {
            let interval = interval(&report["ci95"][name]);
            let interval = interval.map(|(low, high)| format!("{} – {}", shown(low), shown(high))).unwrap_or_default();
            let class = if *name == main_metric(report) { " class=main" } else { "" };
            let (name, mean) = (text(name), shown(number(&report["metrics"][name])));
            append(&mut rows, format_args!("<tr{class}><td>{name}<td class=n>{mean}<td class=n>{interval}</tr>"));
        }
        rows + "</table>"
    };
    let (first, others) = names.split_at(FIRST.min(names.len()));
    let mut page = format!("<h2>Figures of {}</h2>{}", label(report), rows(first));
    if !others.is_empty() {
        append(&mut page, format_args!("<details><summary>{} more</summary>{}</details>", others.len(), rows(others)));
    }
    page
}

/// Users that were trained on and users that were not.
fn apart(report: &Value) -> String {
    let Some(kinds) = report["by_user"].as_array().filter(|kinds| !kinds.is_empty()) else { return String::new() };
    let main = main_metric(report);
    let bar = |kind: &Value| Bar {
        label: if kind["trained_on"] == true { "trained on" } else { "never trained on" }.into(),
        value: number(&kind["metrics"][&main]),
        interval: interval(&kind["ci95"][&main]),
        is_small: kind["n_eval"].as_u64().unwrap_or(0) < SMALL,
        note: predictions(&kind["n_eval"]),
        ..Bar::default()
    };
    let bars: Vec<Bar> = kinds.iter().map(bar).collect();
    format!("<h2>{} of users</h2>{}", text(&main), plot::bars(&bars))
}

fn groups(groups: &Value, title: &str) -> String {
    let Some(groups) = groups.as_array().filter(|groups| !groups.is_empty()) else { return String::new() };
    let mut has_small = false;
    let bars: Vec<Bar> = groups
        .iter()
        .map(|group| {
            let (from, to) = (escaped(&group["from"]), escaped(&group["to"]));
            let is_small = group["n_eval"].as_u64().unwrap_or(0) < SMALL;
            has_small |= is_small;
            let few = if is_small { format!(" · only {}", predictions(&group["n_eval"])) } else { String::new() };
            let lift = group["lift"].as_f64().map_or("–".into(), |lift| format!("{lift:.1}×"));
            Bar {
                label: if from == to { from } else { format!("{from} – {to}") },
                value: number(&group["value"]),
                interval: interval(&group["ci95"]),
                baseline: Some(number(&group["popularity"])),
                is_small,
                note: format!("{lift}{few}"),
            }
        })
        .collect();
    let small = if has_small { " A dashed bar rests on few predictions." } else { "" };
    format!(
        "<h2>{title}</h2><p class=soft><span class=key></span>the model, <span class=\"key b\"></span>popularity; \
         the factor is their ratio.{small}</p>{}",
        plot::bars(&bars)
    )
}

/// A stream's quality by week.
fn weeks(weeks: &Value) -> String {
    let values: Vec<f64> = weeks.as_array().into_iter().flatten().map(|week| number(&week["ndcg@20"])).collect();
    if values.len() < 2 {
        return String::new();
    }
    format!("<h2>NDCG@20 by week of the stream</h2>{}", plot::line(&values, 1, true))
}

fn curve(curve: &Value) -> String {
    let losses: Vec<f64> = curve.as_array().into_iter().flatten().map(number).collect();
    if losses.len() < 2 {
        return String::new();
    }
    format!("<h2>Learning curve: mean loss by epoch</h2>{}", plot::line(&losses, 1, false))
}

/// What `--model auto` tried.
fn search(report: &Value) -> String {
    let Some(trials) = report["search"].as_array().filter(|trials| !trials.is_empty()) else { return String::new() };
    let budget = &report["budget"];
    let mut page = format!(
        "<h2>The search</h2><p class=soft>{} trials on validation data in {:.0} s; {:.0} s with the final fit and the test, \
         of {:.0} s that were given. The test steered no choice.</p>",
        trials.len(),
        number(&budget["search_s"]),
        number(&budget["total_s"]),
        number(&budget["given_s"])
    );
    let mut sorted: Vec<&Value> = trials.iter().collect();
    let key = |trial: &Value| (-number(&trial["share"]), -trial["value"].as_f64().unwrap_or(-1.0));
    sorted.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let rows = |trials: &[&Value]| {
        let mut rows = String::from(
            "<table><tr><th>model<th class=n>share of users<th class=n>on validation<th class=n>seconds<th>settings</tr>",
        );
        for trial in trials {
            let value = trial["value"].as_f64().map_or_else(|| escaped(&trial["why"]), shown);
            let class = if trial["chosen"] == true { " class=main" } else { "" };
            let chosen = if trial["chosen"] == true { " (chosen)" } else { "" };
            let settings: Vec<String> = trial["settings"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("{}={}", text(key), escaped(value)))
                .collect();
            append(
                &mut rows,
                format_args!(
                    "<tr{class}><td>{}{chosen}<td class=n>{:.2}<td class=n>{value}<td class=n>{:.1}\
                     <td><details><summary>show</summary>{}</details></tr>",
                    escaped(&trial["model"]),
                    number(&trial["share"]),
                    number(&trial["seconds"]),
                    settings.join(" ")
                ),
            );
        }
        rows + "</table>"
    };
    let (first, others) = sorted.split_at(TRIALS.min(sorted.len()));
    page += &rows(first);
    if !others.is_empty() {
        let n = others.len();
        append(&mut page, format_args!("<details><summary>{n} more trials</summary>{}</details>", rows(others)));
    }
    page
}

fn table(title: &str, values: &Value) -> String {
    let Some(values) = values.as_object().filter(|values| !values.is_empty()) else { return String::new() };
    let mut page = format!("<h2>{title}</h2><table>");
    for (name, value) in values {
        let value = if value.is_u64() { count(value) } else { escaped(value) };
        append(&mut page, format_args!("<tr><td>{}<td class=n>{value}</tr>", text(name)));
    }
    page + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run() -> Run {
        Run { command: "accrue evaluate --model a".into(), files: vec!["clicks.csv".into()] }
    }

    #[test]
    fn the_headline_the_data_the_command_and_the_picture_come_first() {
        let group = |n: u64| json!({"from": 1, "to": 5, "n_eval": n, "value": 0.2, "ci95": [0.1, 0.3], "popularity": 0.1, "lift": 2.0});
        let report = json!({"model": "a<b", "protocol": "sessions", "main_metric": "mrr@20", "n_eval": 1209,
            "metrics": {"hr@5": 0.1, "mrr@20": 0.2, "x@20": -0.00001}, "ci95": {"mrr@20": [0.1, 0.3]},
            "by_history": [group(9), group(1200)], "curve": [2.0, 1.0], "settings": {"k": "5"},
            "data": {"n_users": 1000, "n_items": 7, "n_interactions": 20000}});
        let page = html(&[report], &run());
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        let order = [
            "mrr@20 is <b>0.2000</b> (95 % interval 0.1000 – 0.3000): 2.0 times",
            "clicks.csv · 1,000 users · 7 items · 20,000 choices to learn from · 1,209 predictions",
            "accrue evaluate --model a",
            "class=whisker",
            "Figures of",
            "<td>mrr@20<td",
            "<td>hr@5<td",
            "· only 9 predictions",
            "polyline",
            "<td>k<td class=n>5",
        ];
        let mut at = 0;
        for part in order {
            at += page[at..].find(part).unwrap_or_else(|| panic!("{part} is missing or too early: {page}"));
        }
        assert!(!page.contains("-0.0") && page.contains("prefers-color-scheme:dark"));
        assert!(!page.contains("http"), "the page opens offline");
    }

    #[test]
    fn runs_are_compared_with_their_intervals_the_best_first() {
        let run = |model: &str, rmse: f64| json!({"model": model, "protocol": "ratings", "metrics": {"rmse": rmse}, "ci95": {"rmse": [rmse - 0.1, rmse + 0.1]}});
        let page = html(&[run("worse", 1.0), run("better", 0.9)], &Run::default());
        assert!(page.contains("The best is better: rmse <b>0.9000</b>") && page.contains("less is better"), "{page}");
        assert!(page.find(">better<").unwrap() < page.find(">worse<").unwrap());
        assert!(page.contains("Figures of better"));
    }

    #[test]
    fn policies_are_plotted_over_their_cost() {
        let run = |mode: &str, warm: Option<&str>, cpu_s: f64, ndcg: f64| {
            json!({"model": "blend", "protocol": "stream", "metrics": {"ndcg@20": ndcg}, "cost": {"train_cpu_s": cpu_s},
                "settings": {"mode": mode, "warm": warm}})
        };
        let runs = [run("online", None, 2.0, 0.06), run("retrain:7d", Some("true"), 200.0, 0.03)];
        let page = html(&runs, &Run::default());
        let page = &page[page.find("by CPU seconds").unwrap()..];
        let (left, right) = (page.find("blend online").unwrap(), page.find("blend retrain:7d warm").unwrap());
        assert!(left < right);
        // The most expensive run is on the right, the best one on top; zero is on the axis.
        for part in ["cx=64.0 cy=26.0", "cx=492.0 cy=110.0", "200.0 s", ">0.0600<", ">0.0000<"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn the_trials_of_a_search_are_listed_with_the_choice() {
        let trial = |model: &str, value: Option<f64>| {
            json!({"model": model, "settings": {"k": "5"}, "share": 1.0, "value": value, "seconds": 1.0,
                "why": value.is_none().then_some("stopped"), "chosen": model == "als"})
        };
        let report = json!({"model": "als", "protocol": "temporal", "metrics": {"ndcg@20": 0.1},
            "budget": {"given_s": 60.0, "search_s": 40.0, "total_s": 50.4},
            "search": [trial("gru", None), trial("als", Some(0.1)), trial("ease", Some(0.2))]});
        let page = html(&[report], &Run::default());
        for part in ["3 trials", "40 s; 50 s", "of 60 s", "als (chosen)", "stopped"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
