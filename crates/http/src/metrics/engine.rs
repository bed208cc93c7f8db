//! Metrics of the engine: the log, the learner, the guard, answers, draws, the search index.

use accrue_engine::{ChallengerState, ChallengerStatus, DrawStatus, GuardStatus, IndexState, IndexStatus, Status};
use accrue_store::{STAYS_S, SatisfactionCounts};
use accrue_train::Quality;

use super::super::parts::PARTS;
use super::page::{Page, escape};

/// The engine's figures.
pub(super) fn render_engine(page: &mut Page, status: &Status) {
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
    let help = "Places for such guests that are taken: those who became known within 30 days.";
    page.one("accrue_published_places", "gauge", help, published.places);
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
    page.one(
        "accrue_search_index_failed",
        "gauge",
        help,
        u8::from(search.state != IndexState::Current && search.failures > 0),
    );
    page.one("accrue_search_index_failures_total", "counter", "Failures of the search index.", search.failures);
    if let Some(at) = search.committed_at {
        let help = "When changes of the catalogue last became visible to searches, in seconds since 1970.";
        page.one("accrue_search_index_commit_time_seconds", "gauge", help, at.0 as f64 / 1e3);
    }
}
