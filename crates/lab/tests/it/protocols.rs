//! Results that can be computed by hand, and that do not depend on the number of threads.

use super::folder::{Folder, ranking, ratings, request, ring};

#[test]
fn the_last_item_of_a_ring_is_predicted_by_a_markov_chain_and_not_by_popularity() {
    let folder = Folder::new();
    let train = folder.file("ring.txt", ring());
    let chain = ranking("leave-one-out", &request("markov", train.clone(), None, &[])).expect("a report");
    assert_eq!((chain.n_eval, chain.metrics["hr@5"]), (40, 1.0), "{:?}", chain.metrics);
    let popular = ranking("leave-one-out", &request("popularity", train, None, &[])).expect("a report");
    assert!(popular.metrics["ndcg@10"] < 0.6 * chain.metrics["ndcg@10"], "{:?}", popular.metrics);
    assert!(chain.by_history.iter().all(|group| group.lift.is_some_and(|lift| lift > 1.0)));
}

#[test]
fn pairs_and_lines_are_read_as_the_same_histories() {
    let folder = Folder::new();
    let lines = folder.file("lines.txt", ring());
    let pairs: String = ring()
        .lines()
        .flat_map(|line| {
            let (user, items) = line.split_once(' ').expect("a user and items");
            items.split(' ').map(move |item| format!("{user} {item}\n")).collect::<Vec<_>>()
        })
        .collect();
    let pairs = folder.file("pairs.txt", pairs);
    let of = |path| ranking("leave-one-out", &request("markov", path, None, &[])).expect("a report").metrics;
    assert_eq!(of(lines), of(pairs));
}

#[test]
fn a_report_has_the_same_bytes_on_any_number_of_threads_except_its_cost() {
    let folder = Folder::new();
    let train = folder.file("ring.txt", ring());
    for (model, settings) in
        [("als", &["factors=8"][..]), ("mf", &["factors=8", "epochs=3", "negatives=100"]), ("blend", &[])]
    {
        // In leave-one-out `negatives` is the protocol's setting, so a factorization learns with its default.
        let bytes = |threads| {
            let request = accrue_lab::Request { threads, ..request(model, train.clone(), None, settings) };
            let mut report = serde_json::to_value(ranking("leave-one-out", &request).expect("a report")).expect("JSON");
            report["cost"] = serde_json::Value::Null;
            report.to_string()
        };
        assert_eq!(bytes(1), bytes(2), "{model}");
        assert_eq!(bytes(1), bytes(5), "{model}");
    }
}

#[test]
fn training_items_are_not_candidates_and_items_of_the_test_alone_are() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a 1 2 3\nb 1 2\nc 1\n");
    let test = folder.file("test.txt", "b 3 1\nd 1\nc 9\n");
    let report = ranking("user-items", &request("popularity", train, Some(test), &["at=1"])).expect("a report");
    // For b, item 3 is first, since 1 and 2 are masked; for d, 1 is first; for c, 9 ranks behind 2 and 3.
    assert_eq!((report.n_eval, report.metrics["hr@1"]), (3, 0.666667));
    assert_eq!(report.counted["test_items_never_trained_on"], 1);
    assert_eq!(report.counted["test_users_never_trained_on"], 1);
}

#[test]
fn sessions_predict_the_next_item_among_all() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "1 2 3\n1 2 4\n1 2 3\n");
    let test = folder.file("test.txt", "1 2\t3\n1\t2\n");
    let report = ranking("sessions", &request("session-knn", train, Some(test), &["at=1"])).expect("a report");
    assert_eq!((report.n_eval, report.metrics["p@1"], report.metrics["mrr@20"]), (2, 1.0, 1.0));
}

#[test]
fn a_sampled_test_pair_is_not_learned_and_headers_are_skipped() {
    let folder = Folder::new();
    let train = folder.file("train.tsv", "user\titem\trating\n1\ta\t5\n1\tb\t3\n2\ta\t4\n2\tc\t1\n");
    let test = folder.file("test.tsv", "user\titem\trating\tts\tnegatives\n1\ta\t5\t0\tb c a\n");
    let report = ranking("sampled", &request("popularity", train, Some(test), &["at=1"])).expect("a report");
    assert_eq!(report.counted["test_pairs_taken_out_of_training"], 1);
    // Each item has one choice left; among equal scores the target ranks last.
    assert_eq!((report.metrics["hr@1"], report.metrics["mrr"]), (0.0, 0.333333));
}

#[test]
fn ratings_are_predicted_in_folds_and_a_better_model_has_smaller_errors() {
    let folder = Folder::new();
    let rating = |user: u32, item: u32| if user % 2 == item % 2 { 5 } else { 1 + (user + item) / 2 % 2 };
    let rows = (0..30)
        .flat_map(|user| (0..20).filter(move |item| (user * 7 + item * 3) % 4 != 0).map(move |item| (user, item)));
    let lines: String = rows.map(|(user, item)| format!("{user} {item} {}\n", rating(user, item))).collect();
    let path = folder.file("ratings.txt", lines);
    let rmse = |model: &str| {
        let report = ratings(&request(model, path.clone(), None, &[])).expect("a report");
        assert_eq!((report.n_eval, report.folds.len()), (450, 5), "{model}");
        report.metrics["rmse"]
    };
    let baseline = rmse("rating-baseline");
    for model in ["rating-knn", "rating-mf", "rating-blend"] {
        assert!(rmse(model) < 0.6 * baseline, "{model}: {} against {baseline}", rmse(model));
    }
}

#[test]
fn validation_does_not_use_the_test() {
    let folder = Folder::new();
    let train = folder.file("train.txt", ring());
    let of_test = |name: &str, test: &str| {
        let test = folder.file(name, test);
        let request = request("item-knn", train.clone(), Some(test), &["on=validation"]);
        ranking("user-items", &request).expect("a report").metrics
    };
    assert_eq!(of_test("a.txt", "u1 10 11\n"), of_test("b.txt", "u1 9 10\n"));
}

/// Users choose consecutive items; the lines are not in time order, and a line on the wrong side of the split would
/// change the result.
fn timed(with_ratings: bool) -> String {
    let mut lines = Vec::new();
    for user in 0..40_u32 {
        for step in 0..5 {
            let item = (user * 7 + step) % 20;
            let rating = if with_ratings { format!("{} ", 1 + item % 5) } else { String::new() };
            lines.push((item, format!("u{user} i{item} {rating}{}\n", 100 * step + user)));
        }
    }
    // Sorted by item, which is not the time order.
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn the_temporal_split_separates_the_history_from_the_queries() {
    let folder = Folder::new();
    let plain = folder.file("plain.txt", timed(false));
    let report = ranking("temporal", &request("markov", plain.clone(), None, &[])).expect("a report");
    // The fifth choice of each of the 40 users is in the latest fifth, and is the next item of the ring.
    assert_eq!((report.n_eval, report.metrics["hr@5"]), (40, 1.0), "{:?}", report.metrics);
    assert_eq!(report.settings["share"], "0.2");
    let rated = folder.file("rated.txt", timed(true));
    let header = folder.file("header.txt", format!("user item rating timestamp\n{}", timed(true)));
    for same in [rated, header] {
        let found = ranking("temporal", &request("markov", same, None, &[])).expect("a report");
        assert_eq!(found.metrics, report.metrics);
    }
    for (settings, message) in [(&["share=1"][..], "`share` is 1"), (&["share=x"], "`share` is x")] {
        let error = ranking("temporal", &request("markov", plain.clone(), None, settings)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn validation_of_a_temporal_split_does_not_use_the_test() {
    let folder = Folder::new();
    let whole = folder.file("whole.txt", timed(false));
    // The lines at 400 or later are the test; their items are replaced.
    let changed: String = timed(false)
        .lines()
        .map(|line| match line.rsplit_once(' ').and_then(|(_, time)| time.parse::<u32>().ok()) {
            Some(time) if time >= 400 => line.replace(" i", " i1") + "\n",
            _ => format!("{line}\n"),
        })
        .collect();
    let other = folder.file("other.txt", changed);
    let of = |path| ranking("temporal", &request("markov", path, None, &["on=validation"])).expect("a report");
    let (one, two) = (of(whole), of(other));
    assert_eq!((one.n_eval, two.n_eval), (32, 32), "of 160 choices before the moment the latest fifth");
    // Items of the test are candidates, so the catalogue is larger; coverage and novelty depend on its size.
    for name in ["hr@5", "ndcg@5", "ndcg@20", "mrr"] {
        assert_eq!(one.metrics[name], two.metrics[name], "{name}");
    }
}

#[test]
fn the_latest_ratings_are_predicted_from_earlier_ones() {
    let folder = Folder::new();
    let file = folder.file("rated.txt", timed(true));
    let report = ratings(&request("rating-knn", file.clone(), None, &["split=time"])).expect("a report");
    assert_eq!((report.n_eval, report.folds.len()), (40, 1));
    assert_eq!(report.settings["split"], "time");
    let again = ratings(&request("rating-knn", file.clone(), Some(file), &["split=time"])).unwrap_err().to_string();
    assert!(again.contains("leave out --test"), "{again}");
}
