use std::path::Path;

use super::*;

fn sources(file: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("accrue.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    (dir, Sources { file: Some(path), environment, flags: Vec::new() })
}

fn origin(resolved: &Resolved, key: &str) -> (String, String) {
    let values = resolved.values();
    let (_, value, origin) = values.iter().find(|(name, ..)| name == key).unwrap();
    (value.to_string(), origin.to_string())
}

#[test]
fn flags_override_variables_and_those_override_the_file() {
    let file = "[learn]\nseed = 1\nhistory_capacity = 10\ncheckpoints_kept = 5";
    let (dir, mut sources) =
        sources(file, &[("ACCRUE_SEED", "2"), ("ACCRUE_LEARN_HISTORY_CAPACITY", "20"), ("PATH", "/bin")]);
    sources.flags.push(("learn.seed", Value::Integer(3), "--seed"));
    let resolved = Resolved::load(&sources).unwrap();
    let learn = &resolved.config.engine.learn;
    assert_eq!((learn.seed, learn.history_capacity, learn.checkpoints_kept), (3, 20, 5));
    assert_eq!(origin(&resolved, "learn.seed"), ("3".into(), "flag --seed".into()));
    let history = ("20".into(), "environment ACCRUE_LEARN_HISTORY_CAPACITY".into());
    assert_eq!(origin(&resolved, "learn.history_capacity"), history);
    let file = format!("file {}", dir.path().join("accrue.toml").display());
    assert_eq!(origin(&resolved, "learn.checkpoints_kept"), ("5".into(), file));
    assert_eq!(origin(&resolved, "learn.publish_every_ms"), ("50".into(), "default".into()));
}

#[test]
fn variables_reach_nested_and_optional_keys() {
    let variables = [
        ("ACCRUE_CHECK_RATES_ACTIONS", "7"),
        ("ACCRUE_CHECK_ITEM_PATTERN", r"^\d+$"),
        ("ACCRUE_DATA", "12"),
        ("ACCRUE_LOG", "debug"),
    ];
    let (_dir, sources) = sources("", &variables);
    let config = Resolved::load(&sources).unwrap().config;
    let check = &config.engine.check;
    assert_eq!((check.rates.actions, check.item_pattern.as_deref()), (7, Some(r"^\d+$")));
    assert_eq!(config.data, Path::new("12"), "a text stays one even if it looks like a number");
}

#[test]
fn variables_of_other_programs_are_passed_over() {
    let foreign = [
        ("ACCRUE_PORT", "tcp://10.0.0.5:7171"),
        ("ACCRUE_SERVICE_HOST", "10.0.0.5"),
        ("ACCRUE_SERVICE_PORT", "7171"),
        ("ACCRUE_SERVICE_PORT_HTTP", "7171"),
        ("ACCRUE_PORT_7171_TCP", "tcp://10.0.0.5:7171"),
        ("ACCRUE_PORT_7171_TCP_ADDR", "10.0.0.5"),
        ("ACCRUE_HTTP_PORT", "tcp://10.0.0.6:80"),
        ("ACCRUE_LOG_SERVICE_HOST", "10.0.0.7"),
        ("ACCRUE_DATA_PORT_80_TCP_PROTO", "tcp"),
        ("ACCRUE_NAME", "/web/accrue"),
        ("ACCRUE_ENV_PATH", "/bin"),
        ("ACCRUE_IMAGE", "accrue:1"),
        ("ACCRUE_TAG", "1.2"),
        ("ACCRUE_HOME", "/opt/accrue"),
        ("ACCRUE_VERSION", "7"),
        ("ACCRUE_", "1"),
    ];
    let (_dir, mut given) = sources("", &foreign);
    given.environment.push(("ACCRUE_LEARN_HISTORY_CAPACITY".into(), "20".into()));
    let resolved = Resolved::load(&given).unwrap();
    assert_eq!(resolved.config.engine.learn.history_capacity, 20);
    let mut expected = foreign.map(|(name, _)| name);
    expected.sort_unstable();
    assert_eq!(resolved.passed_over, expected);
}

#[test]
fn an_empty_variable_is_not_set() {
    let (_dir, sources) = sources("", &[("ACCRUE_SEED", ""), ("ACCRUE_LISTEN", " "), ("ACCRUE_DATA", "")]);
    let resolved = Resolved::load(&sources).unwrap();
    assert_eq!(resolved.config.http.listen, "127.0.0.1:7171");
    assert_eq!(resolved.config.data, Path::new("accrue-data"));
}

#[test]
fn a_variable_that_is_almost_a_key_is_refused() {
    for (name, near) in [
        ("ACCRUE_SEDE", "ACCRUE_SEED"),
        ("ACCRUE_LISTN", "ACCRUE_LISTEN"),
        ("ACCRUE_DTA", "ACCRUE_DATA"),
        ("ACCRUE_HTTP_MAX_CONNECTION", "ACCRUE_HTTP_MAX_CONNECTIONS"),
        ("ACCRUE_LEARN_HISTORY_CAPACTIY", "ACCRUE_LEARN_HISTORY_CAPACITY"),
    ] {
        let (_dir, sources) = sources("", &[(name, "1")]);
        let error = Resolved::load(&sources).unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains(&format!("({near})?")), "{name}: {error}");
    }
}

#[test]
fn all_answers_or_none_or_a_share_are_recorded() {
    for (text, share) in [("true", 1.0), ("false", 0.0), ("0.25", 0.25), ("1", 1.0)] {
        let (_dir, sources) = sources("", &[("ACCRUE_SERVE_RECORD", text)]);
        assert_eq!(Resolved::load(&sources).unwrap().config.engine.serve.record.share(), share, "{text}");
    }
}

#[test]
fn faults_name_their_place_and_the_nearest_key() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 18] = [
        ("[serve]\nrecord = 2", &[], "accrue.toml: `serve.record` is 2, but must be true, false, or a share"),
        ("[learn]\n\nsed = 1", &[], "accrue.toml:3: there is no key `sed`; did you mean `seed`?"),
        ("[lern]\nseed = 1", &[], "accrue.toml:1: there is no key `lern`; did you mean `learn`?"),
        ("[learn]\nquux = 1", &[], "there is no key `quux`; there are: seed, "),
        ("[learn]\nseed = 'x'", &[], "accrue.toml:2: learn.seed: must be a whole number of at least 0, not \"x\""),
        ("[learn]\nguard = 3", &[], "accrue.toml:2: learn.guard: must be an object or table, not 3"),
        ("[learn\n", &[], "accrue.toml:1: "),
        (
            "[model.retrieval]\nlearn_one_in = 4\nown = 9",
            &[],
            "accrue.toml:3: there is no key `model.retrieval.own` any more; write `model.repeat.candidates`",
        ),
        (
            "",
            &[("ACCRUE_MODEL_RETRIEVAL_POPULAR", "7")],
            "MODEL_RETRIEVAL_POPULAR: there is no key `model.retrieval.popular` any more; write `model.popularity.",
        ),
        (
            "[serve.experiment]\nname = 'x'\n[[serve.experiment.arms]]\nname = 'a'\nshare = 'b'",
            &[],
            "accrue.toml:5: serve.experiment.arms[0].share: must be",
        ),
        (
            "[serve.experiment]\nname = 'x'\narms = [{ name = 'a', share = 1.0 }]",
            &[],
            "accrue.toml: `serve.experiment.arms` is a list of 1, but must be a list of 2 to 16",
        ),
        (
            "",
            &[("ACCRUE_LEARN_SEDE", "1")],
            "ACCRUE_LEARN_SEDE: no key has this variable; did you mean `learn.seed` (ACCRUE_LEARN_SEED)?",
        ),
        ("[learn.reset]\nshare = 1.5", &[], "`learn.reset.share` is 1.5, but must be 0.001 to 1"),
        ("[learn.reset]\nevery_events = 10", &[], "`learn.reset.every_events` is 10, but must be at least 1000"),
        (
            "[model.factorization]\nrate = -1",
            &[],
            "`model.factorization.rate` is -1, but must be above 0 and at most 1",
        ),
        ("[model.blend]\nrate = nan", &[], "`model.blend.rate` is NaN, but must be above 0 and at most 1"),
        ("", &[("ACCRUE_SEED", "many")], "ACCRUE_SEED: learn.seed: must be a whole number"),
        ("[learn]\ncheckpoints_kept = 0", &[], "accrue.toml: `learn.checkpoints_kept` is 0, but must be 1 to 1000"),
    ];
    for (file, environment, message) in cases {
        let (_dir, sources) = sources(file, environment);
        let error = Resolved::load(&sources).unwrap_err().to_string();
        assert!(error.contains(message), "{file:?} {environment:?}: {error}");
    }
}

#[test]
fn a_named_file_must_exist() {
    let sources = Sources { file: Some("nowhere/accrue.toml".into()), ..Sources::default() };
    assert!(matches!(Resolved::load(&sources), Err(ConfigError::Read { .. })));
}

#[test]
fn defaults_are_valid_and_print_with_the_digits_of_their_source() {
    let resolved =
        Resolved { config: Config::default(), file: None, passed_over: Vec::new(), origins: BTreeMap::new() };
    assert_eq!(resolved.config.validate(), Ok(()));
    assert_eq!(origin(&resolved, "model.factorization.rate").0, "0.05");
}

#[test]
fn models_without_settings_are_not_listed_and_empty_settings_are() {
    let resolved =
        Resolved { config: Config::default(), file: None, passed_over: Vec::new(), origins: BTreeMap::new() };
    let keys: Vec<String> = resolved.values().into_iter().map(|(key, ..)| key).collect();
    let has = |key: &str| keys.iter().any(|other| other == key);
    assert!(!has("model.preference") && has("model.repeat.candidates") && has("http.keys"), "{keys:?}");
}
