//! Reports as an HTML page that needs no network: metrics, learning curves, groups, and a comparison of runs.
//!
//! In: reports as JSON; the page is about the first one. Out: a page with inline SVG, for light and dark displays.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "\
:root{--ink:#1d2433;--soft:#667;--line:#d9dde5;--page:#fff;--a:#2563a8;--b:#c2703d}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9f0;--soft:#9aa3b2;--line:#39414f;--page:#14181f;--a:#6aa9e9;--b:#e09a6a}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}\
td,th{padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.soft{color:var(--soft)}\
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}\
svg .a{fill:var(--a)}svg .b{fill:var(--b)}svg .line{fill:none;stroke:var(--a);stroke-width:2}svg .axis{stroke:var(--line)}";

/// Width and height of a plot, and the margin for its labels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
const MARGIN: f64 = 48.0;

/// The page of the first report, compared with the others.
pub fn html(reports: &[Value]) -> String {
    let Some(report) = reports.first() else { return String::new() };
    let title = format!("{} under {}", escaped(&report["model"]), escaped(&report["protocol"]));
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p class=soft>{} queries, {} parameters, seed {}</p>",
        escaped(&report["n_eval"]),
        escaped(&report["n_params"]),
        escaped(&report["seed"]),
    );
    page += &figures(report);
    if reports.len() > 1 {
        page += &compared(reports);
    }
    let main = escaped(&report["main_metric"]);
    page += &groups(&report["by_history"], &format!("{main} by items in the history"));
    page += &groups(&report["by_popularity"], &format!("{main} by number of earlier choices of the chosen items"));
    page += &curve(&report["curve"]);
    page += &table("Settings", &report["settings"]);
    page += &table("Left out of the files", &report["counted"]);
    page += &table("Cost", &report["cost"]);
    page + "</html>\n"
}

/// A text or number, escaped for HTML.
fn escaped(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Appends formatted text.
fn append(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a String cannot fail");
}

fn figures(report: &Value) -> String {
    let mut page = String::from("<h2>Figures</h2><table><tr><th>metric<th class=n>mean<th class=n>95 % interval</tr>");
    for (name, value) in report["metrics"].as_object().into_iter().flatten() {
        let interval = match report["ci95"][name].as_array().map(Vec::as_slice) {
            Some([low, high]) => format!("{:.4} – {:.4}", number(low), number(high)),
            _ => String::new(),
        };
        let name = escaped(&Value::from(name.as_str()));
        append(&mut page, format_args!("<tr><td>{name}<td class=n>{:.4}<td class=n>{interval}</tr>", number(value)));
    }
    page + "</table>"
}

fn compared(reports: &[Value]) -> String {
    if reports.iter().all(|report| report["protocol"] == "stream") {
        return policies(reports);
    }
    let metric = reports[0]["main_metric"].as_str().unwrap_or("rmse");
    let mut page = format!("<h2>Runs compared by {}</h2>", escaped(&Value::from(metric)));
    let bars: Vec<Bar> = reports
        .iter()
        .map(|report| Bar {
            label: escaped(&report["model"]),
            value: number(&report["metrics"][metric]),
            baseline: None,
        })
        .collect();
    page += &bar_plot(&bars);
    page
}

/// Runs of the stream protocol: quality over the CPU seconds of learning (logarithmic).
fn policies(reports: &[Value]) -> String {
    let points: Vec<(f64, f64, String)> = reports
        .iter()
        .map(|report| {
            let warmth = match report["settings"]["warm"].as_str() {
                Some("true") => " warm",
                Some(_) => " cold",
                None => "",
            };
            let label = format!("{} {}{warmth}", escaped(&report["model"]), escaped(&report["settings"]["mode"]));
            (number(&report["cost"]["train_cpu_s"]).max(0.01), number(&report["metrics"]["ndcg@20"]), label)
        })
        .collect();
    let (least, most) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.0), high.max(p.0)));
    let highest = points.iter().fold(1e-9, |high: f64, p| high.max(p.1));
    let floor = HEIGHT - MARGIN / 2.0;
    // Labels are to the right of their points and need space there.
    let span = (most / least).ln().max(1e-9);
    let x = |cpu_s: f64| MARGIN + 12.0 + (cpu_s / least).ln() / span * (WIDTH - MARGIN - 180.0);
    let y = |ndcg: f64| floor - ndcg / highest * (floor - MARGIN / 2.0);
    let mut plot = open_plot(floor);
    for (cpu_s, ndcg, label) in &points {
        let (x, y) = (x(*cpu_s), y(*ndcg));
        append(
            &mut plot,
            format_args!(
                "<circle class=a cx={x:.1} cy={y:.1} r=4 /><text x={:.1} y={:.1}>{label}</text>\
                 <text class=soft x={x:.1} y={:.1} text-anchor=middle>{cpu_s:.1} s</text>",
                x + 8.0,
                y + 4.0,
                floor + 16.0
            ),
        );
    }
    for ndcg in [0.0, highest] {
        append(&mut plot, format_args!("<text class=soft x=0 y={:.1}>{ndcg:.3}</text>", y(ndcg) + 4.0));
    }
    format!("<h2>NDCG@20 by CPU seconds of learning</h2>{plot}</svg>")
}

struct Bar {
    label: String,
    value: f64,
    baseline: Option<f64>,
}

fn groups(groups: &Value, title: &str) -> String {
    let Some(groups) = groups.as_array().filter(|groups| !groups.is_empty()) else { return String::new() };
    let bars: Vec<Bar> = groups
        .iter()
        .map(|group| Bar {
            label: format!("{}–{}", escaped(&group["from"]), escaped(&group["to"])),
            value: number(&group["value"]),
            baseline: Some(number(&group["popularity"])),
        })
        .collect();
    let mut page = format!("<h2>{title}</h2><p class=soft>Blue: the model. Orange: popularity. Lift:");
    for group in groups {
        match group["lift"].as_f64() {
            Some(lift) => append(&mut page, format_args!(" {lift:.1}×")),
            None => page += " –",
        }
    }
    page + "</p>" + &bar_plot(&bars)
}

fn bar_plot(bars: &[Bar]) -> String {
    let values = bars.iter().flat_map(|bar| [bar.value, bar.baseline.unwrap_or(0.0)]);
    let highest = values.fold(0.0, f64::max).max(1e-9);
    let step = (WIDTH - MARGIN) / bars.len().max(1) as f64;
    let floor = HEIGHT - MARGIN / 2.0;
    let height = |value: f64| value / highest * (floor - MARGIN / 2.0);
    let mut plot = open_plot(floor);
    for (place, bar) in bars.iter().enumerate() {
        let left = MARGIN + place as f64 * step + step * 0.15;
        let width = step * if bar.baseline.is_some() { 0.34 } else { 0.7 };
        let mut column = |class: &str, left: f64, value: f64| {
            let (top, tall) = (floor - height(value), height(value));
            let middle = left + width / 2.0;
            append(
                &mut plot,
                format_args!(
                    "<rect class={class} x={left:.1} y={top:.1} width={width:.1} height={tall:.1} />\
                     <text class=soft x={middle:.1} y={:.1} text-anchor=middle>{value:.3}</text>",
                    top - 4.0
                ),
            );
        };
        column("a", left, bar.value);
        if let Some(baseline) = bar.baseline {
            column("b", left + step * 0.36, baseline);
        }
        let (x, y, label) = (left + step * 0.35, floor + 16.0, &bar.label);
        append(&mut plot, format_args!("<text x={x:.1} y={y:.1} text-anchor=middle>{label}</text>"));
    }
    plot + "</svg>"
}

fn curve(curve: &Value) -> String {
    let losses: Vec<f64> = curve.as_array().into_iter().flatten().map(number).collect();
    if losses.len() < 2 {
        return String::new();
    }
    let (low, high) = losses.iter().fold((f64::MAX, f64::MIN), |(low, high), &loss| (low.min(loss), high.max(loss)));
    let floor = HEIGHT - MARGIN / 2.0;
    let x = |epoch: usize| MARGIN + epoch as f64 / (losses.len() - 1) as f64 * (WIDTH - MARGIN - 8.0);
    let y = |loss: f64| floor - (loss - low) / (high - low).max(1e-12) * (floor - MARGIN / 2.0);
    let mut plot = open_plot(floor);
    let points: Vec<String> =
        losses.iter().enumerate().map(|(epoch, &loss)| format!("{:.1},{:.1}", x(epoch), y(loss))).collect();
    append(&mut plot, format_args!("<polyline class=line points=\"{}\" />", points.join(" ")));
    for loss in [low, high] {
        append(&mut plot, format_args!("<text class=soft x=0 y={:.1}>{loss:.3}</text>", y(loss) + 4.0));
    }
    format!("<h2>Learning curve: mean loss by epoch (1 – {})</h2>{plot}</svg>", losses.len())
}

fn open_plot(floor: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width={WIDTH} height={HEIGHT} role=img>\
         <line class=axis x1={MARGIN} y1={floor} x2={WIDTH} y2={floor} />"
    )
}

fn table(title: &str, values: &Value) -> String {
    let Some(values) = values.as_object().filter(|values| !values.is_empty()) else { return String::new() };
    let mut page = format!("<h2>{title}</h2><table>");
    for (name, value) in values {
        let name = escaped(&Value::from(name.as_str()));
        append(&mut page, format_args!("<tr><td>{name}<td class=n>{}</tr>", escaped(value)));
    }
    page + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_has_its_plots_and_loads_nothing_from_the_network() {
        let group = json!({"from": 1, "to": 5, "n_eval": 9, "value": 0.2, "popularity": 0.1, "lift": 2.0});
        let report = json!({"model": "a<b", "protocol": "sessions", "main_metric": "mrr@20", "metrics": {"mrr@20": 0.2},
            "ci95": {"mrr@20": [0.1, 0.3]}, "by_history": [group], "curve": [2.0, 1.0], "settings": {"k": "5"}});
        let page = html(&[report.clone(), report]);
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        for part in ["0.1000 – 0.3000", "polyline", "2.0×", "Runs compared", "<td>k<td class=n>5"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("http"), "the page opens offline");
    }

    #[test]
    fn policies_are_plotted_over_their_cost() {
        let run = |mode: &str, warm: Option<&str>, cpu_s: f64, ndcg: f64| {
            json!({"model": "blend", "protocol": "stream", "metrics": {"ndcg@20": ndcg}, "cost": {"train_cpu_s": cpu_s},
                "settings": {"mode": mode, "warm": warm}})
        };
        let page = html(&[run("online", None, 2.0, 0.06), run("retrain:7d", Some("true"), 200.0, 0.03)]);
        let (left, right) = (page.find("blend online").unwrap(), page.find("blend retrain:7d warm").unwrap());
        assert!(left < right);
        // The most expensive run is on the right, the best one on top; zero is on the axis.
        for part in ["cx=60.0 cy=24.0", "cx=472.0 cy=120.0", "200.0 s", ">0.060<", ">0.000<"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
