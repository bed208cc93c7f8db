//! Counters of the server in the Prometheus text format.
//!
//! Requests are counted by method, route template and status, so the number of series is bounded by the routes. The
//! engine's figures are read at each scrape.

mod engine;
mod page;
mod process;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accrue_engine::Status;
use axum::http::Method;
use parking_lot::RwLock;

use self::engine::render_engine;
use self::page::{Page, escape};
use self::process::render_process;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 15] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Requests counted so far.
#[derive(Default)]
pub(super) struct Metrics {
    /// By route; each has few series, so that a linear scan finds one fastest.
    by_route: RwLock<HashMap<Box<str>, Vec<Series>>>,
    /// Searches that found nothing.
    pub(super) searches_without_result: AtomicU64,
}

/// What the server does at the moment of a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Requests that are served.
    pub(super) in_flight: usize,
    /// Open connections.
    pub(super) connections: usize,
    /// Connections that were closed to make room for others.
    pub(super) evicted: u64,
}

/// Requests of one method, route and status.
struct Series {
    method: &'static str,
    status: u16,
    /// Requests by the first bucket that holds them; the last is beyond all bounds.
    buckets: [AtomicU64; BUCKETS_S.len() + 1],
    sum_ns: AtomicU64,
}

impl Series {
    fn count(&self, took: Duration) {
        let took_s = took.as_secs_f64();
        let bucket = BUCKETS_S.partition_point(|bound| *bound < took_s);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub(super) fn observe(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let method = method_name(method);
        let is_it = |series: &&Series| series.status == status && series.method == method;
        {
            let by_route = self.by_route.read();
            if let Some(series) = by_route.get(route).and_then(|all| all.iter().find(is_it)) {
                return series.count(took);
            }
        }
        let mut by_route = self.by_route.write();
        let all = by_route.entry(route.into()).or_default();
        // Another thread may have added it in between.
        if let Some(series) = all.iter().find(is_it) {
            return series.count(took);
        }
        let series = Series { method, status, buckets: Default::default(), sum_ns: AtomicU64::new(0) };
        series.count(took);
        all.push(series);
    }

    /// Requests answered so far.
    pub(super) fn n_requests(&self) -> u64 {
        let by_route = self.by_route.read();
        let counts = by_route.values().flatten().flat_map(|series| &series.buckets);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// All metrics in the text format.
    pub(super) fn render(&self, status: &Status, load: Load) -> String {
        let mut page = Page(String::with_capacity(16 << 10));
        self.render_requests(&mut page);
        let help = "Requests that arrived as a whole and are not answered yet.";
        page.one("accrue_http_requests_in_flight", "gauge", help, load.in_flight);
        page.one("accrue_http_connections", "gauge", "Open connections.", load.connections);
        let help = "Waiting connections that were closed to make room for others.";
        page.one("accrue_http_connections_evicted_total", "counter", help, load.evicted);
        let n_searches = self.searches_without_result.load(Ordering::Relaxed);
        page.one("accrue_searches_without_result_total", "counter", "Searches that found nothing.", n_searches);
        render_process(&mut page);
        render_engine(&mut page, status);
        page.0
    }

    fn render_requests(&self, page: &mut Page) {
        let by_route = self.by_route.read();
        let mut lines = Vec::new();
        for (route, all) in by_route.iter() {
            for series in all {
                let labels =
                    format!("method=\"{}\",route=\"{}\",status=\"{}\"", series.method, escape(route), series.status);
                let mut counts = series.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
                for idx in 1..counts.len() {
                    counts[idx] += counts[idx - 1];
                }
                lines.push((labels, counts, series.sum_ns.load(Ordering::Relaxed)));
            }
        }
        drop(by_route);
        lines.sort();
        page.head("accrue_http_requests_total", "counter", "Requests answered, by method, route and status.");
        for (labels, counts, _) in &lines {
            page.sample("accrue_http_requests_total", labels, counts[BUCKETS_S.len()]);
        }
        let name = "accrue_http_request_duration_seconds";
        page.head(name, "histogram", "Time from a request's headers to its answer, by method, route and status.");
        for (labels, counts, sum_ns) in &lines {
            for (bound, count) in BUCKETS_S.iter().zip(counts) {
                page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), count);
            }
            let all = counts[BUCKETS_S.len()];
            page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), all);
            page.sample(&format!("{name}_sum"), labels, *sum_ns as f64 / 1e9);
            page.sample(&format!("{name}_count"), labels, all);
        }
    }
}

/// The method's name, if it is a usual one: clients may send any other.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use accrue_engine::{ChallengerStatus, ClickStatus, DrawStatus, IndexStatus, PublishedStatus, StageStatus};
    use accrue_event::Timestamp;
    use accrue_store::Clicked;
    use accrue_train::{ShadowResult, Verdict};

    use super::*;

    /// A status in which nothing is absent, so that every metric is rendered.
    fn full_status() -> Status {
        let draws = DrawStatus {
            drawn: Clicked { answers: 3, clicks: 2, squares: 2 },
            others: Clicked::default(),
            cost: Default::default(),
            budget: Some(5.0),
            is_spent: false,
        };
        let standing = ShadowResult { n: 4, challenger: 0.5, current: 0.25, verdict: Verdict::Open };
        let stage = StageStatus { stage: "rank", n_in: 4, n_out: 2, took_ns: 7, fallbacks: 1 };
        Status {
            log_end: 9,
            learned: 7,
            ahead_s: Some(7_200),
            checkpoint_age_s: Some(1.5),
            search: IndexStatus { committed_at: Some(Timestamp(1_500)), ..IndexStatus::default() },
            repairs: BTreeMap::from([("time_shifted".into(), 2)]),
            reasons: BTreeMap::from([("a \"quoted\"\nreason".into(), 3)]),
            published: PublishedStatus { inert: BTreeMap::from([("order".into(), 1)]), ..PublishedStatus::default() },
            stages: vec![stage],
            clicks: Some(ClickStatus { n_learned: 3, ..ClickStatus::default() }),
            draws: Some(draws),
            new_products: Some(draws),
            challenger: ChallengerStatus { due_in: Some(8), standing: Some(standing), ..ChallengerStatus::default() },
            ..Status::default()
        }
    }

    fn page() -> String {
        let metrics = Metrics::default();
        metrics.observe(&Method::GET, "/v1/recommend/{user}", 200, Duration::from_micros(700));
        metrics.observe(&Method::GET, "/v1/recommend/{user}", 200, Duration::from_secs(11));
        metrics.observe(&Method::POST, "/v1/events", 503, Duration::from_millis(1));
        let status = full_status();
        metrics.render(&status, Load { in_flight: 2, connections: 3, evicted: 1 })
    }

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let page = page();
        let labels = r#"method="GET",route="/v1/recommend/{user}",status="200""#;
        for line in [
            format!("accrue_http_requests_total{{{labels}}} 2"),
            format!("accrue_http_request_duration_seconds_bucket{{{labels},le=\"0.0005\"}} 0"),
            format!("accrue_http_request_duration_seconds_bucket{{{labels},le=\"0.001\"}} 1"),
            format!("accrue_http_request_duration_seconds_bucket{{{labels},le=\"10\"}} 1"),
            format!("accrue_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            format!("accrue_http_request_duration_seconds_count{{{labels}}} 2"),
            "accrue_learner_lag_records 2".into(),
            "accrue_checkpoint_lag_records 9".into(),
            "accrue_checkpoint_failed 0".into(),
            "accrue_search_index_failed 0".into(),
            "accrue_http_requests_in_flight 2".into(),
            "accrue_http_connections 3".into(),
            "accrue_http_connections_evicted_total 1".into(),
            "accrue_searches_without_result_total 0".into(),
            r#"accrue_part_failed{part="clock"} 1"#.into(),
            r#"accrue_part_failed{part="content"} 0"#.into(),
            r#"accrue_refusals_total{reason="a \"quoted\"\nreason"} 3"#.into(),
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\nis missing in\n{page}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_has_its_figures() {
        let page = page();
        let value = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is missing")).parse::<f64>().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")));
        assert!(value("process_threads") >= 1.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 86_400.0..now + 5.0).contains(&value("process_start_time_seconds")));
    }

    // The rules of `promtool check metrics`.
    #[test]
    fn the_page_follows_the_rules_of_the_format() {
        let page = page();
        let mut kinds = BTreeMap::new();
        let mut helped = None;
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split(' ').next();
                assert!(help.ends_with('.'), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(Some(name), helped, "TYPE follows HELP");
                assert_eq!(kinds.insert(name, kind), None, "{name} is described twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            } else {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix).filter(|family| kinds.contains_key(family)))
                    .unwrap_or(name);
                assert_eq!(Some(family), helped, "samples follow their own TYPE: {line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
        // The test sees every metric that these files name, also those that are rendered only at times.
        let own = [
            include_str!("metrics.rs").split("#[cfg(test)]").next().unwrap(),
            include_str!("metrics/engine.rs"),
            include_str!("metrics/process.rs"),
        ]
        .concat();
        let quoted = own.split("\"accrue_").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<String> =
            quoted.filter(|text| !text.contains('{')).map(|text| format!("accrue_{text}")).collect();
        assert!(named.len() > 50, "{named:?}");
        for name in named {
            let is_of = |line: &str| line.strip_prefix(&*name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
            let is_rendered = page.lines().any(is_of);
            assert!(is_rendered, "{name} is on no page of a test");
        }
    }
}
