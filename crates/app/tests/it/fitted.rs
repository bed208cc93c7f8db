//! A fitted model in a running server: fitted on another thread, used in answers, restored after `kill -9`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, purchases};

const SEED: u64 = 20_261_128;

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.env("ACCRUE_DATA", dir).env("ACCRUE_LOG", "error").env("ACCRUE_LEARN_RESET_EVERY_EVENTS", "0");
    command.env("ACCRUE_MODEL_FITTED_EVERY", "400").env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000");
    command
}

fn serve(dir: &Path, model: &str) -> Server {
    Server::start(command(dir).args(["serve", "--listen", "127.0.0.1:0", "--model", model]))
}

fn send(server: &Server, numbers: std::ops::Range<u64>) {
    for begins in numbers.step_by(100) {
        let (status, answer) = server.ask("POST", "/v1/events", &purchases(SEED, begins..begins + 100));
        assert_eq!(status, 200, "{answer}");
        server.wait_until_learned();
    }
}

fn n_fits(server: &Server) -> u64 {
    let (_, quality) = server.ask("GET", "/v1/quality", "");
    assert_eq!(quality["fits"]["failed"], 0, "{quality}");
    quality["fits"]["fitted"].as_u64().unwrap()
}

/// Ids and scores of a user's page.
fn page(server: &Server) -> Vec<(Value, Value)> {
    let (status, page) = server.ask("GET", "/v1/recommend/u7?n=10", "");
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().iter().map(|item| (item["id"].clone(), item["score"].clone())).collect()
}

#[test]
fn a_fitted_model_answers_and_is_restored_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for model in ["fitted:ease", "blend:markov"] {
        let dir = dir.path().join(model.replace(':', "-"));
        let server = serve(&dir, model);
        send(&server, 0..2_500);
        let (fits, before) = (n_fits(&server), page(&server));
        assert!(fits >= 4, "{fits}");
        drop(server);
        let server = serve(&dir, model);
        server.wait_until_learned();
        assert_eq!((n_fits(&server), page(&server)), (fits, before), "{model}");
        send(&server, 2_500..3_500);
        assert!(n_fits(&server) > fits);
        drop(server);
        let replay = command(&dir).args(["replay", "--verify", "--json", "--quiet"]).output().unwrap();
        let replay: Value = serde_json::from_slice(&replay.stdout).unwrap();
        assert_eq!(replay["equal"], true, "{model}: {replay}");
    }
}

#[test]
fn a_challenger_of_another_family_with_settings_is_promoted() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path());
    command.env("ACCRUE_LEARN_RESET_SHARE", "1").env("ACCRUE_LEARN_RESET_GATE_PREDICT_ONE_IN", "1");
    let server = Server::start(command.args(["serve", "--listen", "127.0.0.1:0"]));
    send(&server, 0..2_000);
    let ask_for = |body: &str| server.ask("PUT", "/v1/versions/challenger", body);
    for (wrong, why) in [
        (r#"{"set": {"fitted.model": "eas"}}"#, "no fitted model `eas`"),
        (r#"{"set": {"fitted.model": {"ease": {"l2": -1}}}}"#, "ease.l2` is -1"),
        (r#"{"set": {"fitted.model.ease.l2": 1.0}}"#, "no setting `fitted.model.ease.l2`"),
    ] {
        let (status, problem) = ask_for(wrong);
        assert!(status == 400 && problem.to_string().contains(why), "{wrong}: {problem}");
    }
    let fitted = r#"{"set": {"fitted.model": "ease", "fitted.model.ease.l2": 20.0}, "margin": 0.4}"#;
    assert_eq!(ask_for(fitted).0, 202);
    let mut next = 2_000;
    loop {
        let (_, versions) = server.ask("GET", "/v1/versions", "");
        let challenger = &versions["challenger"];
        assert!(next < 60_000 && challenger["failed"].is_null(), "{versions}");
        if challenger["promoted"].as_u64() >= Some(1) {
            break;
        }
        send(&server, next..next + 100);
        next += 100;
    }
    send(&server, next..next + 500);
    assert!(n_fits(&server) > 0, "the current model is the challenger's");
}

#[test]
fn a_model_without_an_online_form_says_how_it_can_be_served() {
    let dir = tempfile::tempdir().unwrap();
    let refused = command(dir.path()).args(["serve", "--model", "ease"]).output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && message.contains("fitted:ease or blend:ease"), "{message}");
    let nothing = command(dir.path()).args(["serve", "--model", "fitted"]).output().unwrap();
    let message = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.code() == Some(2) && message.contains("`model.fitted.model` is none"), "{message}");
}

/// During a fit of many minutes answers and events continue, and the server ends at once when it is told to.
#[cfg(unix)]
#[test]
fn a_slow_fit_delays_only_learning() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("accrue.toml");
    std::fs::write(&config, "[model.fitted.model.gru]\nd = 512\nlayers = 2\nepochs = 1000\n").unwrap();
    let start = || {
        let mut command = command(dir.path());
        Server::start(command.args(["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]))
    };
    let server = start();
    let (status, answer) = server.ask("POST", "/v1/events", &purchases(SEED, 0..900));
    assert_eq!((status, &answer["accepted"]), (200, &900.into()), "{answer}");
    let due = loop {
        let (_, quality) = server.ask("GET", "/v1/quality", "");
        if quality["offset"].as_u64() > Some(500) {
            break quality;
        }
    };
    assert_eq!((&due["fits"]["fitted"], &due["learner_failed"]), (&0.into(), &Value::Null), "{due}");
    assert!(due["offset"].as_u64() < Some(700), "the learner waits where the fit is due: {due}");
    assert_eq!(page(&server).len(), 10);
    assert_eq!(server.end_well(), Some(0));
    let server = start();
    assert_eq!(page(&server).len(), 10);
    assert_eq!(server.ask("POST", "/v1/events", &purchases(SEED, 900..950)).0, 200);
    assert_eq!(server.end_well(), Some(0));
}
