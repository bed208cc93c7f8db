//! Public data sets, in the folder that `ACCRUE_DATASETS` names: results published elsewhere are reproduced.

use std::path::PathBuf;

use super::folder::{ranking, ratings, request};

fn path(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ACCRUE_DATASETS")?;
    Some(PathBuf::from(folder).join(name))
}

fn near(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() < 0.0006, "{what}: {got}, not about {expected}");
}

#[test]
fn popularity_and_neighbours_reproduce_known_results() {
    let Some(beauty) = path("s3rec-amazon-yelp/Beauty.txt.zst") else {
        return eprintln!("skipped: ACCRUE_DATASETS is not set");
    };
    // Computed by others from the same file: .0568/.0326, on whole histories.
    let report = ranking("leave-one-out", &request("item-knn", beauty, None, &["k=100000"])).expect("a report");
    assert_eq!(report.n_eval, 22_363);
    near(report.metrics["hr@10"], 0.0565, "item-knn hr@10");
    near(report.metrics["ndcg@10"], 0.0323, "item-knn ndcg@10");
}

#[test]
fn popularity_reproduces_its_published_result_on_the_sampled_test_of_movielens() {
    let (Some(train), test) = (path("movielens-1m/ratings.tsv.zst"), path("movielens-1m/ncf.test.tsv.zst")) else {
        return eprintln!("skipped: ACCRUE_DATASETS is not set");
    };
    let report = ranking("sampled", &request("popularity", train, test, &[])).expect("a report");
    assert_eq!((report.n_eval, report.counted["test_pairs_taken_out_of_training"]), (6_040, 6_040));
    near(report.metrics["hr@10"], 0.4535, "popularity hr@10");
    near(report.metrics["ndcg@10"], 0.2543, "popularity ndcg@10");
}

#[test]
fn a_fold_of_movielens_ratings_is_predicted_within_its_target() {
    let Some(train) = path("movielens-100k/ml-100k.inter.zst") else {
        return eprintln!("skipped: ACCRUE_DATASETS is not set");
    };
    let report = ratings(&request("rating-knn", train, None, &[])).expect("a report");
    assert_eq!(report.n_eval, 100_000);
    assert!(report.metrics["rmse"] < 0.92, "{:?}", report.metrics);
}
