//! Counters of the server in the Prometheus text format.
//!
//! Requests are counted by method, route template and status, so the number of series is bounded by the routes. The
//! engine's figures are read at each scrape.

use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accrue_engine::{ChallengerState, ChallengerStatus, DrawStatus, GuardStatus, IndexState, IndexStatus, Status};
use accrue_store::{STAYS_S, SatisfactionCounts};
use accrue_train::Quality;
use axum::http::Method;
use parking_lot::RwLock;

use super::status::PARTS;

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

/// The process as the system sees it, under the names that exporters agree on. Systems without `/proc` have none.
fn render_process(page: &mut Page) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let stat = read("stat");
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
    // The unit of times in this file is 1/100 s on every Linux that is in use.
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let help = "Time of cores used, in seconds.";
        page.one("process_cpu_seconds_total", "counter", help, (user + system) / 100.0);
    }
    let booted = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
    if let (Some(started), Some(booted)) = (field(22), booted) {
        let help = "Start of the process, in seconds since 1970.";
        page.one("process_start_time_seconds", "gauge", help, booted + started / 100.0);
    }
    let status = read("status");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    for (name, label, help) in [
        ("process_resident_memory_bytes", "VmRSS:", "Resident memory, in bytes."),
        ("process_virtual_memory_bytes", "VmSize:", "Virtual memory, in bytes."),
    ] {
        if let Some(kib) = line(label).and_then(|kib| kib.parse::<u64>().ok()) {
            page.one(name, "gauge", help, kib * 1024);
        }
    }
    if let Some(threads) = line("Threads:").and_then(|threads| threads.parse::<u64>().ok()) {
        page.one("process_threads", "gauge", "Threads.", threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", "gauge", "Open files.", files.count());
    }
    let limits = read("limits");
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    if let Some(most) = most.and_then(|most| most.parse::<u64>().ok()) {
        page.one("process_max_fds", "gauge", "Files that may be open.", most);
    }
}

/// The engine's figures.
fn render_engine(page: &mut Page, status: &Status) {
    render_state(page, status);
    render_guard(page, &status.guard);
    render_challenger(page, &status.challenger);
    render_counts(page, status);
    render_pages(page, status);
    render_learning(page, status);
    render_check(page, status);
    render_quality(page, &status.quality);
}

/// How far the log and the learner are, and whether both work.
fn render_state(page: &mut Page, status: &Status) {
    page.head("accrue_build_info", "gauge", "The build, as a label.");
    page.sample("accrue_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
    page.one("accrue_log_records", "gauge", "Records in the log.", status.log_end);
    page.one("accrue_learned_records", "gauge", "Records that the published version has learned from.", status.learned);
    let lag = status.log_end.saturating_sub(status.learned);
    page.one(
        "accrue_learner_lag_records",
        "gauge",
        "Records that the published version has not learned from yet.",
        lag,
    );
    page.one("accrue_published_version", "gauge", "Number of the published version.", status.version);
    let name = "accrue_part_failed";
    page.head(name, "gauge", "1 for each part of the server that failed and is tried again, 0 for the others.");
    for (part, has_failed) in PARTS {
        page.sample(name, &format!("part=\"{part}\""), u8::from(has_failed(status)));
    }
    let poisoned = u8::from(status.poisoned.is_some());
    page.one(
        "accrue_writer_poisoned",
        "gauge",
        "1 if a write failed; writes are refused until the files can be written again.",
        poisoned,
    );
    let failed = u8::from(status.learner_failed.is_some());
    page.one(
        "accrue_learner_failed",
        "gauge",
        "1 if learning has stopped; answers come from the last version.",
        failed,
    );
    render_checkpoint(page, status);
    render_search(page, &status.search);
    let failed = u8::from(status.erasure_failed.is_some());
    let help = "1 if people are still to be forgotten because the last attempt failed; it is tried again.";
    page.one("accrue_erasure_failed", "gauge", help, failed);
}

/// The tests of the guard.
fn render_guard(page: &mut Page, guard: &GuardStatus) {
    page.one("accrue_guard_rollbacks_total", "counter", "Automatic rollbacks.", guard.alarms);
    page.one(
        "accrue_guard_on_probation",
        "gauge",
        "1 if the last good version answers, because the current one is on probation after a rollback.",
        u8::from(guard.on_probation),
    );
    page.one(
        "accrue_guard_good_version",
        "gauge",
        "Number of the last good version; 0 before there is one.",
        guard.good,
    );
    page.one(
        "accrue_guard_suspect_windows",
        "gauge",
        "Windows of records that were undone and not released.",
        guard.suspect_windows,
    );
    page.head(
        "accrue_guard_ndcg",
        "gauge",
        "Mean NDCG@20 since the tests began, by test, of the current version and of the good version.",
    );
    for (test, (_, current, good)) in [("stream", guard.stream), ("anchor", guard.anchor)] {
        page.sample("accrue_guard_ndcg", &format!("test=\"{test}\",model=\"line\""), current);
        page.sample("accrue_guard_ndcg", &format!("test=\"{test}\",model=\"good\""), good);
    }
}

/// What the facts hold.
fn render_counts(page: &mut Page, status: &Status) {
    page.one("accrue_events_accepted_total", "counter", "Events accepted as sent.", status.accepted);
    page.one("accrue_items", "gauge", "Items known, described or only named by events.", status.n_items);
    page.one("accrue_items_unknown", "gauge", "Items that only events name.", status.n_unknown);
    page.one("accrue_shoppers", "gauge", "Users and guests known.", status.n_shoppers);
    page.one("accrue_quarantine_records", "gauge", "Records in quarantine now.", status.n_quarantined);
    page.one(
        "accrue_duplicates_total",
        "counter",
        "Events that were not stored because their id was known.",
        status.duplicates,
    );
    let published = &status.published;
    let help = "Guests known from events of published keys alone.";
    page.one("accrue_published_shoppers", "gauge", help, published.shoppers);
    page.head(
        "accrue_published_inert_total",
        "counter",
        "Events of published keys that are kept and have no effect, by reason.",
    );
    for (reason, count) in &published.inert {
        page.sample("accrue_published_inert_total", &format!("reason=\"{}\"", escape(reason)), count);
    }
    let help = "Refused records of published keys that were counted and not put into quarantine.";
    page.one("accrue_published_refusals_counted_total", "counter", help, published.refusals_counted);
    for (name, help, [own, published]) in [
        (
            "accrue_campaign_answers_dropped_total",
            "Answers with sponsored items that can no longer be charged for because too many followed, by who asked.",
            status.campaigns_dropped.answers,
        ),
        (
            "accrue_campaign_shown_dropped_total",
            "Pairs of a shopper and a campaign with a cap whose count began again because there were too many, by who asked.",
            status.campaigns_dropped.shown,
        ),
    ] {
        page.head(name, "counter", help);
        page.sample(name, "asked_by=\"shop\"", own);
        page.sample(name, "asked_by=\"published_key\"", published);
    }
    page.one(
        "accrue_served_lost_total",
        "counter",
        "Answers that were not recorded because too many waited to be written.",
        status.served_lost,
    );
}

/// How content shoppers are with what they chose.
fn render_satisfaction(page: &mut Page, counts: &SatisfactionCounts) {
    let help = "Clicks that name their answer.";
    page.one("accrue_answer_clicks_total", "counter", help, counts.clicks);
    let help = "Clicks after which the shopper went back to the same list within ten seconds.";
    page.one("accrue_returns_to_list_total", "counter", help, counts.returns_to_list);
    page.head("accrue_stay_seconds", "histogram", "How long shoppers stayed with what they had clicked.");
    for (bound, n) in STAYS_S.iter().zip(counts.stays) {
        page.sample("accrue_stay_seconds_bucket", &format!("le=\"{bound}\""), n);
    }
    page.sample("accrue_stay_seconds_bucket", "le=\"+Inf\"", counts.n_stays);
    page.line(format_args!("accrue_stay_seconds_sum {}\n", counts.stayed_ms as f64 / 1e3));
    page.line(format_args!("accrue_stay_seconds_count {}\n", counts.n_stays));
    page.head("accrue_visitor_days_total", "counter", "Shoppers by day: new ones, and those who were there before.");
    let first = counts.visitors.saturating_sub(counts.returning);
    for (kind, n) in [("first", first), ("returning", counts.returning)] {
        page.sample("accrue_visitor_days_total", &format!("kind=\"{kind}\""), n);
    }
    let help = "Favourites, ratings, dislikes and returns: whether the shopper is content with the item.";
    page.head("accrue_feedback_total", "counter", help);
    for (kind, n) in [("content", counts.content), ("discontent", counts.discontent)] {
        page.sample("accrue_feedback_total", &format!("kind=\"{kind}\""), n);
    }
}

/// Names and texts of a [`DrawStatus`].
struct DrawTexts {
    prefix: &'static str,
    kinds: [&'static str; 2],
    answers: &'static str,
    what: &'static str,
}

/// Answers whose first places were drawn by chance.
const DRAWS: DrawTexts = DrawTexts {
    prefix: "accrue_draw",
    kinds: ["drawn", "other"],
    answers: "First pages of the current window of the budget of draws, by kind.",
    what: "draws",
};

/// Answers in which new products may stand.
const NEW_PRODUCTS: DrawTexts = DrawTexts {
    prefix: "accrue_new_products",
    kinds: ["with", "without"],
    answers: "First pages of the current window on which a new product could stand, by whether it may.",
    what: "new products",
};

/// Answers of two kinds, and what the first cost.
fn render_draws(page: &mut Page, draws: &DrawStatus, texts: &DrawTexts) {
    let DrawTexts { prefix, kinds, answers, what } = texts;
    let kinds = kinds.iter().zip([draws.drawn, draws.others]);
    let name = format!("{prefix}_answers");
    page.head(&name, "gauge", answers);
    for (kind, of) in kinds.clone() {
        page.sample(&name, &format!("kind=\"{kind}\""), of.answers);
    }
    let name = format!("{prefix}_clicks");
    page.head(&name, "gauge", "Clicks on these pages.");
    for (kind, of) in kinds {
        page.sample(&name, &format!("kind=\"{kind}\""), of.clicks);
    }
    let help = format!("Clicks that {what} cost in the window, estimated.");
    page.one(&format!("{prefix}_cost_clicks"), "gauge", &help, draws.cost.estimate);
    let help = format!("Clicks that {what} cost in the window at most, with 95 % probability at all times together.");
    page.one(&format!("{prefix}_cost_clicks_at_most"), "gauge", &help, draws.cost.at_most);
    if let Some(budget) = draws.budget {
        let help = format!("Clicks that {what} may cost in a window.");
        page.one(&format!("{prefix}_budget_clicks"), "gauge", &help, budget);
    }
    let help = format!("1 if the window has no more {what}, because they may have cost their budget.");
    page.one(&format!("{prefix}_budget_spent"), "gauge", &help, u8::from(draws.is_spent));
}

/// What the stages of pages did.
fn render_pages(page: &mut Page, status: &Status) {
    page.one("accrue_pages_total", "counter", "Pages of recommendations made since the start.", status.pages);
    type Value = fn(&accrue_engine::StageStatus) -> f64;
    let series: [(&str, &str, Value); 4] = [
        ("accrue_page_stage_seconds_total", "Time in a stage of pages.", |stage| stage.took_ns as f64 / 1e9),
        ("accrue_page_stage_candidates_in_total", "Candidates that went into a stage.", |stage| stage.n_in as f64),
        ("accrue_page_stage_candidates_out_total", "Candidates that came out of a stage.", |stage| stage.n_out as f64),
        ("accrue_page_stage_fallbacks_total", "Pages for which a stage did less than their scene asks for.", |stage| {
            stage.fallbacks as f64
        }),
    ];
    for (name, help, value) in series {
        page.head(name, "counter", help);
        for stage in &status.stages {
            page.sample(name, &format!("stage=\"{}\"", stage.stage), value(stage));
        }
    }
}

/// What was not learned, and what members count of their own work.
fn render_learning(page: &mut Page, status: &Status) {
    page.one(
        "accrue_learner_repeats_passed_total",
        "counter",
        "Choices that were not learned because their shopper had made them too often that day.",
        status.repeats_passed,
    );
    render_satisfaction(page, &status.satisfaction[0]);
    if let Some(draws) = &status.draws {
        render_draws(page, draws, &DRAWS);
    }
    if let Some(new_products) = &status.new_products {
        render_draws(page, new_products, &NEW_PRODUCTS);
    }
    if let Some(clicks) = &status.clicks {
        let help = "Impressions that the click heads learned from.";
        page.one("accrue_click_impressions_total", "counter", help, clicks.n_learned);
        let help = "Impressions that the click heads did not learn from because too many waited.";
        page.one("accrue_click_impressions_left_out_total", "counter", help, clicks.n_left_out);
    }
    for (counter, n) in status.members.iter().flat_map(|report| &report.counts) {
        page.one(&format!("accrue_{}_total", counter.metric), "counter", counter.help, n);
    }
    page.one(
        "accrue_publication_copied_bytes",
        "gauge",
        "Bytes copied by publications, per event learned.",
        status.copied_bytes_per_event,
    );
}

/// What the check repaired and refused.
fn render_check(page: &mut Page, status: &Status) {
    page.head("accrue_repairs_total", "counter", "Repairs made on incoming records, by kind.");
    for (repair, count) in &status.repairs {
        page.sample("accrue_repairs_total", &format!("repair=\"{}\"", escape(repair)), count);
    }
    page.head("accrue_refusals_total", "counter", "Incoming records refused, by reason.");
    for (reason, count) in &status.reasons {
        page.sample("accrue_refusals_total", &format!("reason=\"{}\"", escape(reason)), count);
    }
}

/// The progress of the next reset.
fn render_challenger(page: &mut Page, challenger: &ChallengerStatus) {
    let name = "accrue_challenger_state";
    page.head(name, "gauge", "1 for the state of the challenger, 0 for the others.");
    for state in ChallengerState::ALL {
        page.sample(name, &format!("state=\"{}\"", state.name()), u8::from(state == challenger.state));
    }
    if let Some(due_in) = challenger.due_in {
        let help = "Events to be learned before the next reset is due.";
        page.one("accrue_challenger_due_in_events", "gauge", help, due_in);
    }
    let help = "Records that the challenger has processed while it learns.";
    page.one("accrue_challenger_learned_records", "gauge", help, challenger.learned);
    let standing = challenger.standing.as_ref();
    let help = "Choices that the challenger and the current model both predicted.";
    page.one("accrue_challenger_choices", "gauge", help, standing.map_or(0, |standing| standing.n));
    page.head("accrue_challenger_gain", "gauge", "Mean gain over them, of the challenger and of the current model.");
    for (model, gain) in standing.iter().flat_map(|both| [("challenger", both.challenger), ("line", both.current)]) {
        page.sample("accrue_challenger_gain", &format!("model=\"{model}\""), gain);
    }
    let help = "Challengers that were promoted.";
    page.one("accrue_challenger_promoted_total", "counter", help, challenger.n_promoted);
    page.one("accrue_challenger_refused_total", "counter", "Challengers refused.", challenger.n_refused);
    let help = "Resets refused since the last promotion.";
    page.one("accrue_challenger_refused_in_a_row", "gauge", help, challenger.refused_in_a_row);
    let help = "Challengers dropped since the start, because records were undone or released.";
    page.one("accrue_challenger_dropped_total", "counter", help, challenger.n_dropped);
    let help = "1 if the last reset failed; the log says why.";
    page.one("accrue_challenger_failed", "gauge", help, u8::from(challenger.failed.is_some()));
}

/// Predictions made before learning.
fn render_quality(page: &mut Page, quality: &Quality) {
    let sets = [("all", &quality.all), ("first_time", &quality.first_time), ("repeat", &quality.repeat)];
    page.head(
        "accrue_predictions_total",
        "counter",
        "Predictions made before learning, by the kind of item that was chosen.",
    );
    for (set, hits) in sets {
        page.sample("accrue_predictions_total", &format!("items=\"{set}\""), hits.samples);
    }
    page.head("accrue_prediction_hit_ratio", "gauge", "Share of predictions with the chosen item among the first 20.");
    for (set, hits) in sets {
        page.sample("accrue_prediction_hit_ratio", &format!("items=\"{set}\""), hits.hit_rate());
    }
    page.one(
        "accrue_prediction_recent_hit_ratio",
        "gauge",
        "The same over about the last 500 predictions.",
        quality.recent_hit_rate,
    );
    page.one(
        "accrue_prediction_recent_ndcg_ratio",
        "gauge",
        "NDCG of the first 20 over about the last 500 predictions.",
        quality.recent_ndcg,
    );
    let drift = &quality.drift;
    page.one(
        "accrue_drift_window_choices",
        "gauge",
        "Choices learned by the blend since its error last changed.",
        drift.width() as f64,
    );
    page.one("accrue_drift_error_ratio", "gauge", "Mean error of the blend over that window.", drift.mean());
    page.one(
        "accrue_drift_changes_total",
        "counter",
        "Changes of that mean, for better or worse.",
        drift.n_changes() as f64,
    );
    page.one("accrue_drift_worse_total", "counter", "Changes for the worse among them.", drift.n_worse() as f64);
    page.one(
        "accrue_drift_pace_ratio",
        "gauge",
        "The learning-rate multiplier since the last of them.",
        f64::from(drift.rate_multiplier()),
    );
}

/// The newest checkpoint, from which the next start goes on.
fn render_checkpoint(page: &mut Page, status: &Status) {
    let checkpoint = &status.checkpoint;
    if let Some(age_s) = status.checkpoint_age_s {
        page.one("accrue_checkpoint_age_seconds", "gauge", "Time since the newest checkpoint was written.", age_s);
    }
    let behind = status.log_end.saturating_sub(checkpoint.covered.unwrap_or(0));
    let help = "Records that the newest checkpoint does not include; the next start learns them again.";
    page.one("accrue_checkpoint_lag_records", "gauge", help, behind);
    let help = "1 if the last checkpoint could not be written; it is tried again.";
    page.one("accrue_checkpoint_failed", "gauge", help, u8::from(checkpoint.failed.is_some()));
}

/// The search index.
fn render_search(page: &mut Page, search: &IndexStatus) {
    let help = "1 if the search index failed and does not follow the catalogue until it is built again.";
    page.one("accrue_search_index_failed", "gauge", help, u8::from(search.state != IndexState::Current));
    page.one("accrue_search_index_failures_total", "counter", "Failures of the search index.", search.failures);
    if let Some(at) = search.committed_at {
        let help = "When changes of the catalogue last became visible to searches, in seconds since 1970.";
        page.one("accrue_search_index_commit_time_seconds", "gauge", help, at.0 as f64 / 1e3);
    }
}

/// The text being written.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("{name}{{{labels}}} {value}\n"));
    }

    /// A metric with one sample and no labels.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}\n"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing to a String does not fail");
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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

    use accrue_engine::{ClickStatus, PublishedStatus, StageStatus};
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
        // The test sees every metric that this file names, also those that are rendered only at times.
        let own = include_str!("metrics.rs").split("#[cfg(test)]").next().unwrap();
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
