//! Plots as inline SVG: bars with intervals, lines, points.

use super::{append, shown};

/// Width of a plot, the room for labels on the left, and for values on the right.
const WIDTH: f64 = 680.0;
const LABELS: f64 = 160.0;
const VALUES: f64 = 170.0;
/// Height of a bar with the space below it.
const STEP: f64 = 30.0;
const BAR: f64 = 16.0;
/// Height of plots with a vertical axis, and their margin for labels.
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 52.0;

/// A bar.
#[derive(Clone, Debug, Default)]
pub(super) struct Bar {
    /// What it is, escaped.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// The interval of the value.
    pub interval: Option<(f64, f64)>,
    /// A value to compare with, drawn as a line across the bar.
    pub baseline: Option<f64>,
    /// Whether it rests on few queries; it is drawn as an outline.
    pub is_small: bool,
    /// Text after the value, escaped.
    pub note: String,
}

/// Bars from the left, with whiskers for the intervals.
pub(super) fn bars(bars: &[Bar]) -> String {
    let ends = bars
        .iter()
        .flat_map(|bar| [bar.value, bar.baseline.unwrap_or(0.0), bar.interval.map_or(0.0, |interval| interval.1)]);
    let longest = ends.fold(0.0, f64::max).max(1e-12);
    let x = |value: f64| LABELS + value.max(0.0) / longest * (WIDTH - LABELS - VALUES);
    let height = bars.len() as f64 * STEP + 6.0;
    let mut plot = open(height);
    for (place, bar) in bars.iter().enumerate() {
        let top = place as f64 * STEP + 6.0;
        let (middle, bottom) = (top + BAR / 2.0, top + BAR);
        let class = if bar.is_small { "a few" } else { "a" };
        let wide = (x(bar.value) - LABELS).max(1.0);
        append(
            &mut plot,
            format_args!(
                "<text x={:.1} y={:.1} text-anchor=end>{}</text>\
                 <rect class=\"{class}\" x={LABELS} y={top:.1} width={wide:.1} height={BAR} rx=2 />",
                LABELS - 8.0,
                middle + 4.0,
                bar.label
            ),
        );
        let mut end = x(bar.value);
        if let Some((low, high)) = bar.interval {
            let (left, right) = (x(low), x(high));
            end = end.max(right);
            append(
                &mut plot,
                format_args!(
                    "<path class=whisker d=\"M{left:.1} {middle:.1}H{right:.1}M{left:.1} {:.1}v8M{right:.1} {:.1}v8\" />",
                    middle - 4.0,
                    middle - 4.0
                ),
            );
        }
        if let Some(baseline) = bar.baseline {
            let (at, above) = (x(baseline), top - 3.0);
            end = end.max(at);
            append(&mut plot, format_args!("<path class=base d=\"M{at:.1} {above:.1}V{:.1}\" />", bottom + 3.0));
        }
        let note = if bar.note.is_empty() { String::new() } else { format!(" <tspan class=soft>{}</tspan>", bar.note) };
        append(
            &mut plot,
            format_args!("<text x={:.1} y={:.1}>{}{note}</text>", end + 8.0, middle + 4.0, shown(bar.value)),
        );
    }
    plot + "</svg>"
}

/// A line over numbers from `first` on; `None` leaves a gap. `zero` says whether the axis begins at zero.
pub(super) fn line(values: &[f64], first: usize, zero: bool) -> String {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let low = if zero { 0.0 } else { low };
    let floor = HEIGHT - MARGIN / 2.0;
    let x = |place: usize| MARGIN + place as f64 / (values.len() - 1).max(1) as f64 * (WIDTH - MARGIN - 16.0);
    let y = |value: f64| floor - (value - low) / (high - low).max(1e-12) * (floor - MARGIN / 2.0);
    let mut plot = open_with_axis(floor);
    let points: Vec<String> =
        values.iter().enumerate().map(|(place, &value)| format!("{:.1},{:.1}", x(place), y(value))).collect();
    append(&mut plot, format_args!("<polyline class=line points=\"{}\" />", points.join(" ")));
    for value in [low, high] {
        append(&mut plot, format_args!("<text class=soft x=0 y={:.1}>{}</text>", y(value) + 4.0, shown(value)));
    }
    for place in [0, values.len() - 1] {
        let (at, below) = (x(place), floor + 16.0);
        append(
            &mut plot,
            format_args!("<text class=soft x={at:.1} y={below:.1} text-anchor=middle>{}</text>", first + place),
        );
    }
    plot + "</svg>"
}

/// Points over a logarithmic axis: `(x, y, label)`, the label escaped.
pub(super) fn points(points: &[(f64, f64, String)], unit: &str) -> String {
    let (least, most) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.0), high.max(p.0)));
    let highest = points.iter().fold(1e-9, |high: f64, p| high.max(p.1));
    let floor = HEIGHT - MARGIN / 2.0;
    // Labels are to the right of their points and need space there.
    let span = (most / least).ln().max(1e-9);
    let x = |value: f64| MARGIN + 12.0 + (value / least).ln() / span * (WIDTH - MARGIN - 200.0);
    let y = |value: f64| floor - value / highest * (floor - MARGIN / 2.0);
    let mut plot = open_with_axis(floor);
    for (at, value, label) in points {
        let (x, y) = (x(*at), y(*value));
        append(
            &mut plot,
            format_args!(
                "<circle class=a cx={x:.1} cy={y:.1} r=4 /><text x={:.1} y={:.1}>{label}</text>\
                 <text class=soft x={x:.1} y={:.1} text-anchor=middle>{at:.1} {unit}</text>",
                x + 8.0,
                y + 4.0,
                floor + 16.0
            ),
        );
    }
    for value in [0.0, highest] {
        append(&mut plot, format_args!("<text class=soft x=0 y={:.1}>{}</text>", y(value) + 4.0, shown(value)));
    }
    plot + "</svg>"
}

fn open(height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" width={WIDTH} role=img>")
}

fn open_with_axis(floor: f64) -> String {
    format!("{}<path class=axis d=\"M{MARGIN} {floor}H{WIDTH}\" />", open(HEIGHT))
}
