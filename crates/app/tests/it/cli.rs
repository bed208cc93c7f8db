//! The binary from outside: arguments in; stdout, stderr, an exit code and a data folder out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::server::Server;

/// A temporary folder to run in.
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The JSON of a run that must end with this code.
    pub(super) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", text(&output.stdout)))
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `read`, `accepted` and `repaired` together, `duplicates`, `quarantined` together; they must add up.
fn counts(result: &Value) -> (u64, u64, u64, u64) {
    let n = |key: &str| result[key].as_u64().unwrap();
    let quarantined = result["quarantined"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let (read, taken, duplicates) = (n("read"), n("accepted") + n("repaired"), n("duplicates"));
    assert_eq!(read, taken + duplicates + quarantined, "{result}");
    (read, taken, duplicates, quarantined)
}

const EVENTS: &str = "\
type,user,item,at,price
view,u1,mug,2026-11-01T10:00:00Z,
purchase,u1,mug,2026-11-01T10:05:00Z,9.9
view,u2,cup,2026-11-01T11:00:00Z,
view,u2,cup,2026-11-01T11:00:00Z,
view,,cup,2026-11-01T11:00:00Z,
view,u2
";

#[test]
fn help_is_short_or_long_and_goes_to_stdout() {
    let place = Place::new();
    let (short, long) = (place.run(&["-h"]), place.run(&["--help"]));
    assert!(short.status.success() && long.status.success());
    assert!(text(&long.stdout).contains("Examples:") && !text(&short.stdout).contains("Examples:"));
    for verb in ["demo", "serve", "ingest", "quarantine", "inspect", "replay", "evaluate", "export", "backup", "bench"]
    {
        assert!(text(&short.stdout).contains(verb), "{verb}");
        let help = place.run(&[verb, "--help"]);
        let help = text(&help.stdout);
        // What every verb has stands apart from what this one has.
        let apart = help.split_once("Options of all commands:").map(|(_, apart)| apart);
        assert!(apart.is_some_and(|apart| apart.contains("--data") && apart.contains("--seed")), "{verb}: {help}");
    }
}

#[test]
fn the_help_of_serve_names_every_model() {
    let help = Place::new().run(&["serve", "--help"]);
    let help = text(&help.stdout);
    for name in accrue_model::Part::ALL.iter().map(|part| part.name()) {
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_a_hint() {
    let place = Place::new();
    for arguments in [&["ingest", "--quick", "a.csv"][..], &["ingst"], &["serve", "--seed", "x"]] {
        let output = place.run(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{}", text(&output.stderr));
    }
    for arguments in [&["ingest", "absent.csv"][..], &["inspect", "stats"], &["--config", "absent.toml", "config"]] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("error: ") && stderr.contains("\nhint: "), "{arguments:?}: {stderr}");
    }
}

#[test]
fn every_setting_has_its_origin() {
    let place = Place::new();
    place.write("accrue.toml", "[learn]\nseed = 1\ncheckpoints_kept = 5\n[http]\nlisten = '127.0.0.1:1'\n[[http.keys]]\nname = 'shop'\nkey = '0123456789abcdef'\nscopes = ['read']");
    let mut command = place.command(&["config", "--json", "--data", "shop"]);
    let output = command.env("ACCRUE_SEED", "2").env("ACCRUE_HTTP_LISTEN", "127.0.0.1:2").output().unwrap();
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown = |key: &str| (config[key]["value"].to_string(), config[key]["from"].as_str().unwrap().to_owned());
    assert_eq!(shown("data"), ("\"shop\"".into(), "flag --data".into()));
    assert_eq!(shown("learn.seed"), ("2".into(), "environment ACCRUE_SEED".into()));
    assert_eq!(shown("http.listen"), ("\"127.0.0.1:2\"".into(), "environment ACCRUE_HTTP_LISTEN".into()));
    assert_eq!(shown("learn.checkpoints_kept"), ("5".into(), "file accrue.toml".into()));
    assert_eq!(shown("learn.publish_every_ms").1, "default");
    assert!(!text(&output.stdout).contains("0123456789abcdef"), "secrets stay secret");
    place.write("accrue.toml", "[learn]\nsede = 1");
    let stderr = text(&place.run(&["config"]).stderr);
    assert!(stderr.contains("accrue.toml:2: there is no key `sede`; did you mean `seed`?"), "{stderr}");
}

#[test]
fn a_file_that_is_ingested_twice_counts_once() {
    let place = Place::new();
    place.write("events.csv", EVENTS);
    let first = place.json(&["ingest", "events.csv", "--json"], 0);
    assert_eq!(counts(&first), (6, 4, 0, 2));
    assert_eq!(first["quarantined"], serde_json::json!({ "bad_time": 1, "no_shopper": 1 }));
    let again = place.json(&["ingest", "events.csv", "--json"], 0);
    assert_eq!(counts(&again), (6, 0, 6, 0));
    // The refused lines are in quarantine once, at any position in a file.
    place.write("moved.csv", EVENTS.replacen("at,price\n", "at,price\nview,u3,mug,2026-11-02T10:00:00Z,\n", 1));
    assert_eq!(counts(&place.json(&["ingest", "moved.csv", "--json"], 0)), (7, 1, 6, 0));
    let held = place.json(&["quarantine", "list", "--json"], 0);
    assert_eq!(held["reasons"], serde_json::json!({ "bad_time": 1, "no_shopper": 1 }));
    place.json(&["ingest", "events.csv", "--strict", "--json"], 1);
    let exported = text(&place.run(&["export", "events"]).stdout);
    assert_eq!(exported.lines().count(), 5);
    let item = place.json(&["inspect", "item", "mug", "--json"], 0);
    assert_eq!(item["item"]["id"], "mug");
    assert_eq!(place.json(&["replay", "--verify", "--json"], 0)["equal"], true);
}

#[test]
fn customers_and_products_are_ingested_and_bad_lines_name_their_kind() {
    let place = Place::new();
    let users: String = (0..5000).map(|n| format!("{{\"id\":\"u{n}\",\"country\":\"DE\"}}\n")).collect();
    place.write("users.ndjson", format!("{users}{{\"name\":\"nobody\"}}\nnonsense\n"));
    let first = place.json(&["ingest", "users.ndjson", "--users", "--json"], 0);
    assert_eq!(counts(&first), (5002, 5000, 0, 2));
    assert_eq!(first["quarantined"], serde_json::json!({ "malformed": 1, "user_no_id": 1 }));
    assert_eq!(counts(&place.json(&["ingest", "users.ndjson", "--users", "--json"], 0)), (5002, 0, 5002, 0));
    assert_eq!(place.json(&["inspect", "user", "u7", "--json"], 0)["user"]["attributes"]["country"], "DE");

    place.write("items.ndjson", "{\"id\":\"mug\"}\n{\"title\":\"none\"}\nnonsense\n");
    let items = place.json(&["ingest", "items.ndjson", "--items", "--json"], 0);
    assert_eq!(items["quarantined"], serde_json::json!({ "malformed": 1, "item_no_id": 1 }));
    let checked = place.json(&["ingest", "items.ndjson", "--items", "--check", "--json"], 0);
    assert_eq!(checked["quarantined"], items["quarantined"], "a dry run has the same counts");
    let held = place.json(&["quarantine", "list", "--reason", "malformed", "--json"], 0);
    let kinds: Vec<&Value> = held["records"].as_array().unwrap().iter().map(|record| &record["kind"]).collect();
    assert_eq!(kinds, ["items", "users"]);
    // No rule makes them readable: a release leaves them in quarantine, and says so.
    let released = place.json(&["quarantine", "release", "--reason", "malformed", "--json"], 1);
    assert_eq!(released["quarantined"], serde_json::json!({ "malformed": 2 }));
}

#[test]
fn a_file_of_changes_leaves_all_other_fields_alone() {
    let place = Place::new();
    place.write("full.csv", "id,title,brand,price,stock,colour\nA,Blue mug,Acme,10,3,blue\nB,Red mug,Acme,12,0,red\n");
    assert_eq!(counts(&place.json(&["ingest", "full.csv", "--items", "--json"], 0)), (2, 2, 0, 0));
    place.write("stock.csv", "id,stock,title\nA,7,\nB,0,\nabsent,4,\n");
    let stock = place.json(&["ingest", "stock.csv", "--items", "--patch", "--json"], 0);
    assert_eq!(counts(&stock), (3, 1, 1, 1));
    assert_eq!(stock["quarantined"]["item_not_in_catalogue"], 1);
    place.write("changes.ndjson", "{\"id\":\"A\",\"price\":null}\n{\"id\":\"A\",\"colour\":null,\"size\":\"L\"}\n");
    assert_eq!(counts(&place.json(&["ingest", "changes.ndjson", "--items", "--patch", "--json"], 0)), (2, 2, 0, 0));
    let exported = text(&place.run(&["export", "catalogue"]).stdout);
    let items: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&items[0]["title"], &items[0]["brand"]), (&"Blue mug".into(), &"Acme".into()));
    assert_eq!((&items[0]["stock"], &items[0]["price"]), (&7.into(), &Value::Null));
    assert_eq!(items[0]["attributes"], serde_json::json!({"size": "L"}));
    assert_eq!((items.len(), &items[1]["title"], &items[1]["stock"]), (2, &"Red mug".into(), &0.into()));
    place.write("views.csv", "user,item,type,at\nu1,A,view,1760000000000\n");
    let refused = place.run(&["ingest", "views.csv", "--patch"]);
    assert!(text(&refused.stderr).contains("add --items"), "{}", text(&refused.stderr));
    assert_eq!(
        text(&place.run(&["quarantine", "list"]).stdout).matches("absent").count(),
        0,
        "refused patches are not kept"
    );
}

#[test]
fn a_catalogue_without_most_of_the_products_retires_them_only_if_that_is_meant() {
    let place = Place::new();
    let rows = |prefix: &str, n: usize| -> String { (0..n).map(|n| format!("{prefix}{n},Mug,10\n")).collect() };
    place.write("full.csv", format!("id,title,price\n{}", rows("", 40)));
    place.json(&["ingest", "full.csv", "--items", "--json"], 0);
    // As many products as before, under other ids: what the file brought is no part of the catalogue that it is compared with.
    for (name, feed) in [("page.csv", rows("", 15)), ("other.csv", rows("SKU-", 40))] {
        place.write(name, format!("id,title,price\n{feed}"));
        let refused = place.run(&["ingest", name, "--items", "--sync"]);
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(text(&refused.stderr).contains("of the 40 products are not in the files"), "{}", text(&refused.stderr));
        place.json(&["ingest", "full.csv", "--items", "--sync", "--json"], 0);
    }
    let meant = place.json(&["ingest", "page.csv", "--items", "--sync", "--retire-most", "--json"], 0);
    assert_eq!(meant["retired"], 25);
}

#[test]
fn a_whole_catalogue_retires_what_it_lacks_and_nothing_that_it_names() {
    let place = Place::new();
    place.write("full.csv", "id,title,price\nA,Blue mug,10\nB,Red mug,12\nC,Old mug,3\n");
    place.json(&["ingest", "full.csv", "--items", "--json"], 0);
    // B is refused, and stays as it was.
    place.write("next.csv", "id,title,price\nA,Blue mug,11\nB,Red mug,dear\n");
    let synced = place.json(&["ingest", "next.csv", "--items", "--sync", "--json"], 0);
    assert_eq!((counts(&synced), &synced["retired"]), ((2, 1, 0, 1), &1.into()));
    let ids = || {
        let exported = text(&place.run(&["export", "catalogue"]).stdout);
        let item = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let known = |item: &Value| item["retired"] != true;
        exported.lines().map(item).filter(known).map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(), ["A", "B"]);
    place.write("nameless.csv", "id,title,price\nA,Blue mug,11\n,Red mug,12\n");
    let nameless = place.run(&["ingest", "nameless.csv", "--items", "--sync"]);
    assert!(text(&nameless.stderr).contains("no product was retired"), "{}", text(&nameless.stderr));
    assert_eq!((nameless.status.code(), ids()), (Some(1), vec!["A".to_owned(), "B".to_owned()]));
    // A feed that broke off, and that of a shop system which had nothing to say.
    for (name, feed) in [
        (
            "broken.csv",
            "id,title,price
",
        ),
        ("failed.json", r#"{"error":"rate limited","items":[]}"#),
    ] {
        place.write(name, feed);
        assert_eq!(place.run(&["ingest", name, "--items", "--sync"]).status.code(), Some(1), "{name}");
        assert_eq!(ids(), ["A", "B"], "{name}");
    }
    // Every night: the products, and beside them the day's events, of which a line cannot be read.
    place.write("products.csv", "id,title,price,brand\nB,Red mug,12,Acme\nD,New mug,9,Acme\n");
    let view = r#"{"type":"view","user":"u","item":"A","at":"2026-11-01T10:00:00Z"}"#;
    place.write("events.ndjson", format!("{view}\nnonsense\n"));
    let nightly = place.json(&["ingest", "events.ndjson", "products.csv", "--sync", "--json"], 0);
    assert_eq!((counts(&nightly), &nightly["retired"]), ((4, 3, 0, 1), &1.into()));
    assert_eq!(ids(), ["B", "D"]);
    // Events in place of the products that could not be exported retire nothing.
    place.write("none.csv", "id,title,price\n");
    place.run(&["ingest", "none.csv", "events.ndjson", "--sync"]);
    assert_eq!(ids(), ["B", "D"]);
    place.write("empty.csv", "");
    let empty = place.run(&["ingest", "empty.csv", "--sync"]);
    assert!(text(&empty.stderr).contains("empty.csv: the file is empty"), "{}", text(&empty.stderr));
}

#[test]
fn a_file_of_which_everything_is_refused_exits_with_1_beside_one_that_is_taken() {
    let place = Place::new();
    place.write("products.csv", "id,title,price\nA,Blue mug,10\n");
    place.write("orders.csv", "type,user,item,at\npurchase,,A,2026-11-01T10:00:00Z\n");
    let output = place.run(&["ingest", "products.csv", "orders.csv"]);
    let stderr = text(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("every record was refused of orders.csv"), "{stderr}");
    let again = place.run(&["ingest", "products.csv", "orders.csv"]);
    assert_eq!(again.status.code(), Some(1), "also when it is known");
}

#[test]
fn an_old_order_gives_a_variant_nothing_that_its_product_has() {
    let place = Place::new();
    place.write("products.csv", "id,parent,title,price,image\nP,,Linen shirt,49.9,\nP-1,P,,,\nP-2,P,,,\n");
    place.json(&["ingest", "products.csv", "--items", "--json"], 0);
    let order = r#"{"type":"purchase","user":"u","item":"P-1","item_name":"Old shirt","price":59.9,"at":1760000000}"#;
    place.write("orders.ndjson", order);
    let mapping = "kind = \"events\"\n[item]\ntitle = \"item_name\"\nprice = \"price\"\n";
    place.write("orders.toml", mapping);
    place.json(&["ingest", "orders.ndjson", "--mapping", "orders.toml", "--json"], 0);
    let item = place.json(&["inspect", "item", "P-1", "--json"], 0);
    assert_eq!((&item["item"]["price"], &item["item"]["title"]), (&Value::Null, &"Linen shirt".into()), "{item}");
}

#[test]
fn the_name_of_a_customer_is_no_title_of_an_item() {
    let place = Place::new();
    place.write(
        "lines.csv",
        "Belegdatum;Kundennr;Name;Artikelnummer;Bezeichnung;Menge;Einzelpreis\n\
         2026-10-15;K1;Müller GmbH;A-1;Leinenhemd;2;59,90\n2026-10-16;K2;Ada AG;A-2;Wollsocken;1;12,00\n",
    );
    let guessed = place.run(&["ingest", "--guess", "lines.csv"]);
    let mapping = text(&guessed.stdout);
    assert!(mapping.contains("title = \"Bezeichnung\"") && !mapping.contains("title = \"Name\""), "{mapping}");
    let taken = place.run(&["ingest", "lines.csv", "--map", "at=Belegdatum,type='purchase'"]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));
    assert!(!text(&taken.stdout).contains("no title"), "{}", text(&taken.stdout));
    let catalogue = text(&place.run(&["export", "catalogue"]).stdout);
    assert!(catalogue.contains("Leinenhemd") && !catalogue.contains("GmbH"), "{catalogue}");
}

#[test]
fn items_without_a_title_are_told_where_events_name_them() {
    let place = Place::new();
    let header = "event_name,event_timestamp,user_pseudo_id,item_id";
    place.write(
        "bare.csv",
        format!("{header}\nview_item,1763700000000000,u1,sku-1\nview_item,1763700001000000,u1,sku-2\n"),
    );
    let bare = place.json(&["ingest", "bare.csv", "--json"], 0);
    assert_eq!(bare["untitled"], serde_json::json!({"items": 2, "without_title": 2}));
    let bare = place.run(&["ingest", "bare.csv"]);
    assert!(!text(&bare.stdout).contains("no title"), "nothing new came: {}", text(&bare.stdout));
    let more = "view_item,1763700002000000,u1,sku-1,Trail mug\nview_item,1763700003000000,u2,sku-2,Wool sock\n";
    place.write("titled.csv", format!("{header},item_name\n{more}"));
    let titled = place.json(&["ingest", "titled.csv", "--json"], 0);
    assert_eq!(titled["untitled"], Value::Null, "{titled}");
}

#[test]
fn compressed_ndjson_from_stdin_is_ingested() {
    let place = Place::new();
    let ndjson = "{\"type\":\"view\",\"user\":\"u1\",\"item\":\"mug\",\"at\":\"2026-11-01T10:00:00Z\"}\nnonsense\n";
    let mut child = place
        .command(&["ingest", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&zstd::encode_all(ndjson.as_bytes(), 1).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(counts(&serde_json::from_slice(&output.stdout).unwrap()), (2, 1, 0, 1));
}

#[test]
fn a_cut_file_exits_with_2_and_keeps_what_was_read() {
    let place = Place::new();
    let line = |i: u64| format!("view,u{},{},2026-11-01T10:00:00Z\n", i % 97, i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let csv = format!("type,user,item,at\n{}", (0..20_000).map(line).collect::<String>());
    let whole = zstd::encode_all(csv.as_bytes(), 1).unwrap();
    place.write("cut.csv.zst", &whole[..whole.len() * 3 / 4]);
    let output = place.run(&["ingest", "cut.csv.zst", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let (read, taken, ..) = counts(&serde_json::from_slice(&output.stdout).unwrap());
    assert!(read > 1000 && read == taken, "{read}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&format!("damaged or cut short after line {}", read + 1)), "{stderr}");
    place.write("whole.csv.zst", &whole);
    let (_, rest, duplicates, _) = counts(&place.json(&["ingest", "whole.csv.zst", "--json"], 0));
    assert_eq!((rest, duplicates), (20_000 - read, read));
}

#[test]
fn a_dry_run_writes_nothing_and_refusals_are_exit_code_1() {
    let place = Place::new();
    place.write("events.csv", EVENTS);
    let checked = place.json(&["ingest", "events.csv", "--check", "--json"], 0);
    assert_eq!(counts(&checked), (6, 4, 0, 2));
    assert!(checked["offset"].is_null());
    assert!(!place.path().join("accrue-data").exists());
    place.json(&["ingest", "events.csv", "--check", "--strict", "--json"], 1);
    place.write("bad.csv", "type,user,item\nview,,mug\n");
    place.json(&["ingest", "bad.csv", "--now", "--json"], 1);
    let list = place.json(&["quarantine", "list", "--json"], 0);
    assert_eq!(list["reasons"], serde_json::json!({ "no_shopper": 1 }));
    let offset = list["records"][0]["offset"].to_string();
    assert_eq!(place.json(&["quarantine", "drop", &offset, "--json"], 0)["dropped"], 1);
}

#[test]
fn mappings_rename_and_describe_items() {
    let place = Place::new();
    place.write(
        "sales.tsv",
        "code\tname\twho\twhen\nm1\tBig mug\tu1\t2026-11-01T10:00:00Z\nm1\tBig mug\tu2\t2026-11-01T10:00:00Z\n",
    );
    place.write("mapping.toml", "constants = { type = 'buy' }\nfields = { item = 'code', user = 'who', at = 'when' }\nitem = { title = 'name' }");
    let result = place.json(&["ingest", "sales.tsv", "--mapping", "mapping.toml", "--json"], 0);
    assert_eq!(counts(&result), (2, 2, 0, 0));
    assert_eq!(place.json(&["inspect", "item", "m1", "--json"], 0)["item"]["title"], "Big mug");
    let output = place.run(&["ingest", "sales.tsv", "--map", "item=sku,type='buy',user=who"]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`sku`, which the file does not have; it has: code, name, who, when"), "{stderr}");
    place.write("items.ndjson", "{\"id\":\"m1\",\"title\":\"Bigger mug\"}\n{\"title\":\"nameless\"}\n");
    assert_eq!(counts(&place.json(&["ingest", "items.ndjson", "--items", "--json"], 0)), (2, 1, 0, 1));
    assert_eq!(place.json(&["inspect", "item", "m1", "--json"], 0)["item"]["title"], "Bigger mug");
}

#[test]
fn lists_are_exported_for_all_or_for_some() {
    let place = Place::new();
    place.write("events.csv", EVENTS);
    place.json(&["ingest", "events.csv", "--json"], 0);
    let output = place.run(&["export", "recommendations", "--users", "all", "-n", "5"]);
    let lists: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lists.iter().map(|list| list["user"].as_str().unwrap()).collect::<Vec<_>>(), ["u1", "u2"]);
    assert_eq!(lists[0]["items"].as_array().unwrap().len(), lists[0]["scores"].as_array().unwrap().len());
    place.write("users.txt", "u2\nstranger\n");
    let output = place.run(&["export", "recommendations", "--users", "users.txt"]);
    assert_eq!(text(&output.stdout).lines().count(), 2, "{}", text(&output.stderr));
}

#[test]
fn exported_lists_take_what_requests_take() {
    let place = Place::new();
    let items: String = (0..12)
        .map(|n| format!("{{\"id\":\"i{n}\",\"title\":\"Mug {n}\",\"price\":{n}.5,\"categories\":[\"c{}\"]}}\n", n % 4))
        .collect();
    place.write("items.ndjson", &items);
    let events: String = (0..40)
        .map(|n| {
            format!(
                "{{\"type\":\"purchase\",\"user\":\"u{}\",\"item\":\"i{}\",\"at\":{}}}\n",
                n % 2,
                n % 6,
                1_763_700_000 + n * 600
            )
        })
        .collect();
    place.write("events.ndjson", &events);
    place.json(&["ingest", "items.ndjson", "--items", "--json"], 0);
    place.json(&["ingest", "events.ndjson", "--json"], 0);
    let lists = |more: &[&str]| -> Vec<Value> {
        let output = place.run(&[&["export", "recommendations", "-n", "12"], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let bought = |list: &Value, id: &Value| {
        let (user, number) = (list["user"].as_str().unwrap(), id.as_str().unwrap()[1..].parse::<usize>().unwrap());
        number < 6 && number % 2 == usize::from(user == "u1")
    };
    for list in lists(&["--scene", "email", "--fields", "title,price"]) {
        let items = list["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.iter().all(|item| !bought(&list, &item["id"])), "{list}");
        assert!(
            items.iter().all(|item| item["title"].as_str().unwrap().starts_with("Mug") && item["price"].is_number())
        );
    }
    for list in lists(&["--filter", "price:..3 AND category:c1", "--seen", "drop:cart"]) {
        assert_eq!(list["items"], serde_json::json!(["i1"]), "{list}");
    }
    for (wrong, said) in [
        (["--scene", "emial"], "did you mean `email`"),
        (["--filter", "colur:red"], "colur"),
        (["--filter", "price:>"], "--filter"),
        (["--seen", "drop:purchse"], "drop: with types"),
        (["--fields", "titel"], "titel"),
    ] {
        let output = place.run(&[&["export", "recommendations"][..], &wrong].concat());
        let stderr = text(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(said), "{wrong:?}: {stderr}");
    }
}

#[test]
fn a_restored_backup_has_the_same_digest() {
    let place = Place::new();
    place.write("events.csv", EVENTS);
    place.json(&["ingest", "events.csv", "--json"], 0);
    place.json(&["backup", "copy", "--json"], 0);
    place.json(&["restore", "copy", "--data", "again", "--json"], 0);
    let digest = |data: &str| place.json(&["inspect", "digest", "--data", data, "--json"], 0);
    assert_eq!(digest("accrue-data"), digest("again"));
}

/// The server names its port, refuses a second writer with advice, and ends well on SIGTERM.
#[cfg(unix)]
#[test]
fn a_server_names_its_address_and_ends_well() {
    let place = Place::new();
    place.write("events.csv", EVENTS);
    let mut child = place
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let port: u16 =
        line.trim().strip_prefix("listening on http://127.0.0.1:").and_then(|port| port.parse().ok()).unwrap_or(0);
    assert_ne!(port, 0, "{line}");
    // What rotates logs sends it; a server without a terminal goes on.
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let output = place.run(&["ingest", "events.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("POST /v1/events"), "{}", text(&output.stderr));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_starts_where_stdout_cannot_be_written_to() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = place
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("could not be written to stdout") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "the server ended");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
}

#[cfg(unix)]
#[test]
fn a_closed_stdout_is_no_failure() {
    let place = Place::new();
    let csv: String = (0..20_000).map(|i| format!("view,u{i},mug,2026-11-01T10:00:00Z\n")).collect();
    place.write("events.csv", format!("type,user,item,at\n{csv}"));
    place.json(&["ingest", "events.csv", "--json"], 0);
    let mut child = place.command(&["export", "events"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_checkpoint_after_a_restart_holds_only_changes_and_figures_continue() {
    let place = Place::new();
    let line = |number: u64| {
        let (user, item) = (number * 7919 % 977, number * number % 1_999);
        let at = 1_760_000_000_000 + number * 60_000;
        format!(r#"{{"type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#)
    };
    let events: Vec<String> = (0..12_000).map(line).collect();
    place.write("many.ndjson", events.join("\n"));
    place.write("one.ndjson", line(12_000));
    for file in ["many.ndjson", "one.ndjson"] {
        assert!(place.run(&["ingest", file, "--data", "shop"]).status.success());
    }
    let files = std::fs::read_dir(place.path().join("shop/checkpoints")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let sizes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
    assert!(sizes.len() >= 2 && sizes.last().unwrap() * 2 < sizes[0], "{sizes:?}");
    let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data", "shop"]);
    let server = Server::start(&mut serve);
    let (_, quality) = server.ask("GET", "/v1/quality", "");
    assert!(quality["all"]["samples"].as_u64().unwrap() > 100, "counted before the restart: {quality}");
}

#[test]
fn a_missing_folder_is_not_created() {
    let place = Place::new();
    for verb in [
        &["rollback"] as &[_],
        &["versions"],
        &["versions", "promote", "3"],
        &["train", "--challenge"],
        &["quarantine", "release", "--reason", "no_price"],
        &["replay"],
    ] {
        let output = place.run(&[verb, &["--data", "mistyped"]].concat());
        assert_eq!(output.status.code(), Some(2), "{verb:?}");
        assert!(text(&output.stderr).contains("--data DIR"), "{verb:?}: {}", text(&output.stderr));
        assert!(!place.path().join("mistyped").exists(), "{verb:?}");
    }
}
