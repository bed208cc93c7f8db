//! What a person is told who writes something wrong: the value, the path, the command or the id that is meant, in words
//! and not in those of the implementation.

use std::process::{Command, Output, Stdio};

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::{Shop, wait_until};

/// Words of the language that the program is written in, and of its libraries.
const OF_THE_IMPLEMENTATION: [&str; 14] = [
    "digit found",
    "float literal",
    "target type",
    "unknown variant",
    "invalid type",
    "invalid value",
    "u32",
    "u64",
    "usize",
    "f32",
    "f64",
    "struct ",
    "serde",
    "os error",
];

fn command(arguments: &[&str], dir: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(arguments).current_dir(dir).env_clear().stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_wrong_value_of_any_parameter_of_any_route_is_told_in_words() {
    let shop = Shop::furnished();
    let described = shop.get("/openapi.json").json();
    let mut n_refused = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let Some(parameters) = methods["get"]["parameters"].as_array() else { continue };
        let path = path.replace("{id}", "mug-1").replace("{user}", "u1");
        let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let names: Vec<&str> = of_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        for name in &names {
            for value in ["abc", "", "-1", "1.5", "99999999999999999999", "true", "%ff", "a:b", "[", "1&n=2"] {
                let q = if path.ends_with("/suggest") && *name != "q" { "q=m&" } else { "" };
                let answer = shop.get(&format!("{path}?{q}{name}={value}"));
                if answer.status == 200 {
                    continue;
                }
                let detail = serde_json::from_slice::<Value>(&answer.body).unwrap()["detail"].to_string();
                assert_eq!(answer.status, 400, "{path}?{name}={value}: {detail}");
                for word in OF_THE_IMPLEMENTATION {
                    assert!(!detail.contains(word), "{path}?{name}={value}: {detail}");
                }
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > 100, "{n_refused}");
}

#[test]
fn a_value_a_path_or_a_method_that_is_wrong_names_what_is_meant() {
    let shop = Shop::furnished();
    for (path, status, told) in [
        ("/v1/recommend/u1?n=abc", 400, "n: must be a whole number of at least 0, not \"abc\""),
        ("/v1/recommend/u1?explain=yes", 400, "explain: must be true or false, not \"yes\""),
        ("/v1/recommend/u1?variants=two", 400, "variants: must be `one` or `all`, not \"two\""),
        ("/v1/new?n=1&n=2", 400, "n: it is given twice"),
        ("/v1/search?q=mug&sort=-price", 400, "write price:desc"),
        ("/v1/recommend?scene=product&items=mug-1", 405, "it has POST, which takes the parameters as JSON in its body"),
        ("/v1/recommendations?scene=product", 404, "did you mean POST /v1/recommend?"),
        ("/v1/new/", 404, "did you mean GET /v1/new?"),
        ("/search", 404, "did you mean GET, POST /v1/search?"),
    ] {
        let answer = shop.get(path);
        let detail = serde_json::from_slice::<Value>(&answer.body).unwrap()["detail"].to_string().replace("\\\"", "\"");
        assert!(answer.status == status && detail.contains(told), "{path}: {} {detail}", answer.status);
    }
    for (path, page) in [("/console/", "/console"), ("/console/quality/?a=b", "/console/quality?a=b")] {
        let answer = shop.get(path);
        assert_eq!((answer.status, answer.header("location")), (308, Some(page)), "{path}");
        assert_eq!(shop.get(page).status, 200, "{page}");
    }
}

#[test]
fn an_empty_shop_names_no_day_of_1970() {
    let shop = Shop::open(HttpSettings::default());
    for path in
        ["/v1/versions", "/v1/status", "/v1/quality", "/v1/campaigns", "/v1/searches", "/console", "/console/quality"]
    {
        let answer = shop.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("1970"), "{path}: {}", answer.text());
    }
}

#[test]
fn a_rule_and_a_campaign_whose_items_were_removed_are_told() {
    let shop = Shop::furnished();
    let rules = json!({"rules": [{"name": "top", "action": "pin", "items": ["mug-3", "mug-1"], "query": "mug"}]});
    let campaigns = json!({"campaigns": [{"id": "spring", "items": ["mug-3"], "bid": 50, "daily_budget": 500}]});
    for (path, sent) in [("/v1/rules", &rules), ("/v1/campaigns", &campaigns)] {
        assert_eq!(shop.json("PUT", path, sent).json()["missing"], Value::Null, "{path}");
    }
    assert_eq!(shop.send("DELETE", "/v1/items/mug-3", &[], b"").status, 204);
    assert_eq!(shop.get("/v1/rules").json()["missing"], json!({"top": ["mug-3"]}));
    assert_eq!(shop.get("/v1/campaigns").json()["missing"], json!({"spring": ["mug-3"]}));
    wait_until("the search index has the removal", || shop.get("/v1/search?q=mug").json()["total"] == 2);
    assert_eq!(shop.get("/v1/search?q=mug").json()["hits"][0]["id"], "mug-1", "the rest of the rule holds");
}

#[test]
fn a_wrong_argument_ends_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 10] = [
        (&["recomend"], "export recommendations"),
        (&["srve"], "'serve'"),
        (&["inspect", "stats", "--data", "nowhere"], "there is no data folder"),
        (&["inspect", "checkpoint", "--data", "nowhere"], "there is no data folder"),
        (&["inspect", "checkpoint", "nofile"], "there is no such file"),
        (&["experiment", "--data", "nowhere"], "--data DIR"),
        (&["export", "recommendations", "-n", "abc"], "it must be a whole number"),
        (&["--seed", "99999999999999999999", "config"], "the number is too large"),
        (&["--log", "wran", "config"], "use error, warn, info, debug, trace"),
        (&["serve", "--config", "nofile.toml"], "accrue init"),
    ];
    for (arguments, told) in cases {
        let output = command(arguments, dir.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(told), "{arguments:?}: {stderr}");
        // clap begins with "invalid value 'abc' for …", and a file that cannot be opened has the system's own words.
        for word in OF_THE_IMPLEMENTATION.iter().filter(|word| !["invalid value", "os error"].contains(word)) {
            assert!(!stderr.contains(word), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn an_unknown_id_or_scene_names_the_one_that_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "{\"type\":\"view\",\"user\":\"Ann\",\"item\":\"Mug-1\",\"at\":\"2026-11-21T10:00:00Z\"}\n";
    std::fs::write(dir.path().join("events.ndjson"), lines).unwrap();
    assert!(command(&["ingest", "events.ndjson", "--data", "shop"], dir.path()).status.success());
    let cases: [(&[&str], &str); 6] = [
        (&["inspect", "user", "ann"], "did you mean \"Ann\"?"),
        (&["inspect", "user", "nobody"], "`accrue export recommendations` has a line for each user"),
        (&["inspect", "item", "mug-1"], "did you mean \"Mug-1\"?"),
        (&["inspect", "why", "ann", "Mug-1"], "did you mean \"Ann\"?"),
        (&["inspect", "why", "Ann", "Mug-1", "--scene", "hom"], "did you mean `home`?"),
        (&["export", "recommendations", "--scene", "hom"], "did you mean `home`?"),
    ];
    for (arguments, told) in cases {
        let output = command(&[arguments, &["--data", "shop"]].concat(), dir.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(told), "{arguments:?}: {stderr}");
    }
}

/// Whether a server of a catalogue with this title begins to load the dictionary before its suggestions are complete.
fn loads_dictionary(title: &str) -> bool {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let items = format!("{{\"id\":\"a\",\"title\":{title:?},\"price\":3}}\n");
    std::fs::write(dir.path().join("items.ndjson"), items).unwrap();
    assert!(command(&["ingest", "items.ndjson", "--items", "--data", "shop"], dir.path()).status.success());
    let mut server = Command::new(env!("CARGO_BIN_EXE_accrue"));
    server.args(["serve", "--data", "shop", "--listen", "127.0.0.1:0", "--log", "accrue_engine=debug"]);
    server.current_dir(dir.path()).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.contains("http://"), "{address}");
    let (mut log, mut told) = (BufReader::new(server.stderr.take().unwrap()), String::new());
    while !told.contains("the suggestions are complete") && log.read_line(&mut told).unwrap() > 0 {}
    server.kill().unwrap();
    server.wait().unwrap();
    told.contains("loading the dictionary of Chinese")
}

#[test]
fn the_dictionary_of_chinese_is_loaded_at_the_start_of_a_shop_with_chinese_titles_alone() {
    assert!(loads_dictionary("红色杯子"));
    assert!(!loads_dictionary("Red mug"));
}
