//! The console over HTTP: every page, for every language; who may see and act; what is never rendered.

use accrue_http::{HttpSettings, Scope};
use serde_json::{Value, json};

use crate::shop::{Answer, Shop, key, wait_until};

const READ_KEY: &str = "read-key-0123456789";
const WRITE_KEY: &str = "write-key-0123456789";
const ADMIN_KEY: &str = "admin-key-0123456789";
/// The most that a page may be.
const MOST_BYTES: usize = 150_000;

/// The pages whose calls need `admin`.
const FOR_ADMINS: [&str; 4] = ["/console/what-if", "/console/quarantine", "/console/people", "/console/settings"];

fn with_keys() -> Shop {
    let keys = vec![
        key("reader", READ_KEY, &[Scope::Read]),
        key("writer", WRITE_KEY, &[Scope::Write]),
        key("editor", "editor-key-0123456789", &[Scope::Read, Scope::Write]),
        key("admin", ADMIN_KEY, &[Scope::Admin]),
    ];
    Shop::open(HttpSettings { keys, ..Default::default() })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A form as a browser sends it.
fn send(shop: &Shop, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let host = format!("http://{}", shop.address);
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", &*host),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    shop.send("POST", path, &headers, body.join("&").as_bytes())
}

/// The cookie of a login with this key.
fn log_in(shop: &Shop, key: &str) -> String {
    let answer = send(shop, "/console/login", "", &[("key", key), ("next", "/console/quality")]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/console/quality")), "{}", answer.text());
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(key), "{set}");
    set.split(';').next().unwrap().to_owned()
}

fn see(shop: &Shop, path: &str, cookie: &str) -> Answer {
    shop.send("GET", path, &[("cookie", cookie)], b"")
}

/// The pages of the console, as its menu has them for this session.
fn pages(shop: &Shop, cookie: &str) -> Vec<String> {
    let menu = see(shop, "/console", cookie);
    let (_, after) = menu.text().split_once("<nav").unwrap_or_else(|| panic!("no menu in {}", menu.text()));
    let (list, _) = after.split_once("</nav>").unwrap();
    let pages: Vec<String> =
        list.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert!(pages.len() >= 7 && pages.contains(&"/console/quality".to_owned()), "{pages:?}");
    pages
}

/// What the forms of this session hold.
fn form_token(page: &Answer) -> String {
    let text = page.text();
    let token = text.split("name=\"form_token\" value=\"").nth(1).unwrap_or_else(|| panic!("no form in {text}"));
    token.split('"').next().unwrap().to_owned()
}

#[test]
fn every_page_is_whole_in_both_languages_and_loads_nothing_from_elsewhere() {
    let shop = Shop::furnished();
    shop.get("/v1/search?q=nothing-like-it").json();
    let more = ["/console/catalogue/item?id=mug-1", "/console/playground?user=u1", "/console/playground?q=mug&user=u1"];
    let pages = pages(&shop, "");
    let more = more.into_iter().chain(["/console/catalogue?list=unpictured", "/console/people?user=u1"]);
    for path in pages.iter().map(String::as_str).chain(more) {
        for (language, word) in [("en-GB,en;q=0.9", "Overview"), ("zh-CN,zh;q=0.9", "总览")] {
            let page = shop.send("GET", path, &[("accept-language", language)], b"");
            let text = page.text();
            assert_eq!(page.status, 200, "{path}: {text}");
            assert!(text.contains(word), "{path} in {language}: {text}");
            assert!(text.ends_with("</html>") && text.len() < MOST_BYTES, "{path}: {} bytes", text.len());
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            for inline in ["<style", " style=", "onclick", "javascript:", "src=\"http", "href=\"http"] {
                assert!(!text.contains(inline), "{path} has {inline}");
            }
            assert_eq!(text.matches("<script").count(), 1, "{path}");
            assert_eq!(page.header("cache-control"), Some("no-store"));
        }
    }
    for asset in ["/console/assets/console.css", "/console/assets/console.js"] {
        let answer = shop.get(asset);
        assert_eq!(answer.status, 200);
        assert!(answer.body.len() < 40_000 && answer.header("cache-control").unwrap().contains("immutable"));
    }
    assert_eq!(shop.get("/console/assets/../../etc/passwd").status, 404);
    assert!(shop.get("/").text().contains("href=\"/console\""));
}

#[test]
fn every_figure_links_to_a_call_that_gives_it() {
    let shop = Shop::furnished();
    for path in &pages(&shop, "") {
        let page = shop.get(path);
        let calls = page.text().split("class=\"call\" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for call in calls.map(|call| call.replace("&amp;", "&")) {
            assert_eq!(shop.get(&call).status, 200, "{path} links to {call}");
        }
        // What the script updates is in the answer of the call.
        let live = page.text().split(" data-api=\"").skip(1);
        for figure in live {
            let part =
                |name: &str| figure.split(&format!("{name}=\"")).nth(1).map(|rest| rest.split('"').next().unwrap());
            let (call, field) = (figure.split('"').next().unwrap(), part("data-field").unwrap());
            let mut value = shop.get(call).json();
            if field.contains("-1") {
                continue;
            }
            for name in field.split('.') {
                value = value[name].take();
            }
            assert!(value.is_number(), "{path}: {field} of {call}");
        }
    }
}

#[test]
fn hostile_texts_are_escaped_on_every_page() {
    let shop = Shop::open(HttpSettings::default());
    let hostile = [
        "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>",
        "\u{202e}gum deR\u{2066} <b>bold</b>",
        &"<i>&quot;long</i> ".repeat(600),
    ];
    let items: Vec<Value> = hostile
        .iter()
        .enumerate()
        .map(|(n, title)| {
            let title: String = title.chars().take(1_000).collect();
            json!({"id": format!("<u>{n}\"'"), "title": title, "brand": title.chars().take(100).collect::<String>(),
                "categories": ["<em>c</em>"], "description": hostile[n], "image": "javascript:alert(3)",
                "price": 5, "attributes": {"<a>": "<a href=x>"}})
        })
        .collect();
    shop.post("/v1/items", &json!(items));
    let user = "<user>\"'&";
    let events: Vec<Value> = (0..30)
        .map(|n| {
            json!({"id": format!("h{n}"), "type": if n % 2 == 0 { "view" } else { "<kind>" },
            "user": if n < 15 { user.to_owned() } else { format!("<b>{}", n % 4) }, "item": format!("<u>{}\"'", n % 3),
            "query": "<q>mug", "at": 1_760_000_000_000_u64 + n * 1000})
        })
        .collect();
    shop.post("/v1/events", &json!(events));
    shop.post("/v1/events", &json!([{"id": "<bad>", "type": "view", "item": "<u>0", "user": "<x>", "at": "<time>"}]));
    let rule = json!({"name": "<rule>", "action": "boost", "factor": 2.0, "query": "<q>mug", "items": ["<u>0\"'"]});
    shop.post("/v1/rules", &rule).json();
    shop.get("/v1/search?q=%3Cscript%3Enone").json();
    shop.engine.wait_until_learned();
    let id = encoded("<u>0\"'");
    let more = [
        format!("/console/catalogue/item?id={id}"),
        format!("/console/catalogue/item?id={}", encoded("<u>2\"'")),
        format!("/console/catalogue/item?id={}", encoded("<none>")),
        format!("/console/playground?user={}&q=%3Cq%3Emug&a_filter=%3Cf%3E", encoded(user)),
        format!("/console/playground?user={}&a_scene=%3Cs%3E&items={id}", encoded(user)),
        "/console/catalogue?q=%3Cscript%3E".to_owned(),
        format!("/console/people?user={}", encoded(user)),
        "/console/rules?edit=%3Crule%3E".to_owned(),
        "/console/rules?query=%3Cq%3E".to_owned(),
        "/console/quarantine?reason=%3Cr%3E".to_owned(),
        "/console/settings?q=%3Cs%3E".to_owned(),
        "/console/%3Cscript%3E".to_owned(),
    ];
    for path in pages(&shop, "").iter().chain(&more) {
        let page = shop.get(path);
        let text = page.text();
        assert!(page.status < 500 && text.len() < MOST_BYTES, "{path}: {} of {} bytes", page.status, text.len());
        for markup in [
            "<script>", "<img", "<kind", "<rule", "<user", "<q>", "<u>", "<em>", "<i>", "<bad", "<f>", "<s>", "<r>",
            "<none",
        ] {
            assert!(!text.contains(markup), "{path} has {markup}: {text}");
        }
        assert!(!text.contains("href=\"javascript") && !text.contains("<a href=x"), "{path}");
        // Texts of another direction end where they are shown.
        assert_eq!(text.matches("<bdi").count(), text.matches("</bdi>").count(), "{path}");
    }
}

#[test]
fn a_login_shows_what_the_key_may_see_and_ends() {
    let shop = with_keys();
    let admin = log_in(&shop, ADMIN_KEY);
    let pages = pages(&shop, &admin);
    for path in &pages {
        let answer = shop.get(path);
        let login = format!("/console/login?next={}", path.replace('/', "%2F"));
        assert_eq!((answer.status, answer.header("location")), (303, Some(&*login)), "{path}");
    }
    assert_eq!(shop.get("/console/login").status, 200);
    for (key, status) in [("wrong-key-0123456789", 401), (WRITE_KEY, 403), ("", 401)] {
        let answer = send(&shop, "/console/login", "", &[("key", key)]);
        assert_eq!((answer.status, answer.header("set-cookie")), (status, None), "{key}");
        assert!(answer.text().contains("name=\"key\"") && (key.is_empty() || !answer.text().contains(key)));
    }
    let elsewhere = send(&shop, "/console/login", "", &[("key", READ_KEY), ("next", "//evil.example")]);
    assert_eq!(elsewhere.header("location"), Some("/console"));
    let reader = log_in(&shop, READ_KEY);
    for path in &pages {
        let expected = if FOR_ADMINS.contains(&&**path) { 403 } else { 200 };
        let seen = see(&shop, path, &reader);
        assert_eq!(seen.status, expected, "{path}");
        assert!(FOR_ADMINS.iter().all(|page| !seen.text().contains(&format!("href=\"{page}\""))), "{path}");
        assert_eq!(see(&shop, path, &admin).status, 200, "{path}");
    }
    // The calls that pages link to answer the browser too, and nothing else changes by the cookie alone.
    assert_eq!(see(&shop, "/v1/quality", &reader).status, 200);
    assert_eq!(see(&shop, "/v1/quarantine", &reader).status, 403);
    let json = [("cookie", &*admin), ("content-type", "application/json")];
    shop.send("DELETE", "/v1/rules", &json, b"").problem(401, "key_required");
    shop.send("POST", "/v1/forget", &json, br#"{"users":["u1"]}"#).problem(401, "key_required");
    // A key in a header does as well.
    assert_eq!(shop.send("GET", "/console", &[("x-api-key", READ_KEY)], b"").status, 200);
    let token = form_token(&see(&shop, "/console", &reader));
    assert_eq!(send(&shop, "/console/logout", &reader, &[("form_token", "guess")]).status, 403);
    let out = send(&shop, "/console/logout", &reader, &[("form_token", &token)]);
    assert!(out.status == 303 && out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(see(&shop, "/console", &reader).status, 303);
    assert_eq!(see(&shop, "/console", &admin).status, 200, "another session goes on");
}

#[test]
fn wrong_keys_of_a_login_are_bounded_and_the_language_can_be_chosen_before_it() {
    let shop = with_keys();
    let page = shop.send("GET", "/console/login", &[("accept-language", "zh")], b"");
    assert!(page.text().contains("href=\"/console/look?language=en&amp;back=/console\""), "{}", page.text());
    // A proxy of this machine says whose request it is.
    let enter = |address: &str, key: &str| {
        let host = format!("http://{}", shop.address);
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("origin", &*host), ("x-forwarded-for", address)];
        shop.send("POST", "/console/login", &headers, format!("key={key}").as_bytes()).status
    };
    let statuses: Vec<u16> = (0..40).map(|_| enter("1.1.1.1", "wrong-key-0123456789")).collect();
    assert!(statuses.starts_with(&[401; 10]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!((enter("2.2.2.2", "wrong-key-0123456789"), enter("2.2.2.2", READ_KEY)), (401, 303));
}

#[test]
fn a_server_without_predictions_shows_no_figure_for_them() {
    let shop = Shop::open(HttpSettings::default());
    let page = shop.get("/console");
    assert!(page.text().matches(">–<").count() >= 2 && !page.text().contains(">0.000<"), "{}", page.text());
}

#[test]
fn forms_act_for_their_own_session_alone() {
    let shop = with_keys();
    let (reader, editor) = (log_in(&shop, READ_KEY), log_in(&shop, "editor-key-0123456789"));
    let admin = log_in(&shop, ADMIN_KEY);
    let token = form_token(&see(&shop, "/console/rules", &editor));
    let rule = |token: &str| {
        let fields = [
            ("form_token", token),
            ("action", "save"),
            ("name", "first"),
            ("what", "hide"),
            ("items", "sku-1\r\n sku-2 "),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let save = |cookie: &str, token: &str| {
        let fields = rule(token);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        send(&shop, "/console/rules", cookie, &fields).status
    };
    let of_reader = form_token(&see(&shop, "/console", &reader));
    assert_eq!(save(&reader, &of_reader), 403, "a read key sees");
    assert_eq!(save(&editor, &of_reader), 403, "the form of another session");
    assert_eq!(save(&editor, ""), 403);
    let body = format!("form_token={token}&action=save&name=x&what=hide&items=a");
    for foreign in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        let headers = [("cookie", &*editor), ("content-type", "application/x-www-form-urlencoded"), foreign];
        assert_eq!(shop.send("POST", "/console/rules", &headers, body.as_bytes()).status, 403, "{foreign:?}");
    }
    assert_eq!(save(&editor, &token), 303);
    let rules = see(&shop, "/v1/rules", &editor).json();
    assert_eq!(rules["rules"], json!([{"name": "first", "action": "hide", "items": ["sku-1", "sku-2"]}]));
    let page = see(&shop, "/console/rules", &editor);
    assert_eq!(page.text().matches("not in the catalogue").count(), 2, "{}", page.text());
    let faulty =
        [("form_token", &*token), ("action", "save"), ("name", "second"), ("what", "hide"), ("filter", "price:")];
    let refused = send(&shop, "/console/rules", &editor, &faulty);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("filter"), "it says what is wrong: {}", refused.text());
    for kept in ["value=\"second\"", "value=\"price:\"", "class=\"fault\"", "href=\"/console/searches\""] {
        assert!(refused.text().contains(kept), "{kept}: what was typed stays: {}", refused.text());
    }
    let faulty = [("form_token", &*token), ("action", "save"), ("name", "x"), ("what", "boost"), ("factor", "1,5")];
    let refused = send(&shop, "/console/rules", &editor, &faulty);
    let (_, after) = refused.text().split_once("value=\"1,5\"").unwrap_or_else(|| panic!("{}", refused.text()));
    assert!(
        refused.status == 400 && after.find("a number above 0").unwrap() < after.find("<input").unwrap(),
        "{after}"
    );
    let faulty = [("form_token", &*token), ("action", "save"), ("id", "spring"), ("bid", "x"), ("daily_budget", "500")];
    let refused = send(&shop, "/console/campaigns", &editor, &faulty);
    assert!(refused.status == 400 && refused.text().contains("value=\"spring\""), "{}", refused.text());
    assert!(refused.text().contains("a whole number of minor units"), "{}", refused.text());
    let remove = [("form_token", &*token), ("action", "remove"), ("name", "first")];
    assert_eq!(send(&shop, "/console/rules", &editor, &remove).header("location"), Some("/console/rules?done=removed"));
    assert_eq!(see(&shop, "/v1/rules", &editor).json()["rules"], json!([]));
    // What needs `admin` is refused to others.
    for path in ["/console/quality", "/console/quarantine", "/console/people"] {
        let fields = [("form_token", &*token), ("action", "dismiss"), ("users", "u1"), ("offsets", "1")];
        assert_eq!(send(&shop, path, &editor, &fields).status, 403, "{path}");
    }
    let token = form_token(&see(&shop, "/console/quality", &admin));
    let unknown =
        send(&shop, "/console/quality", &admin, &[("form_token", &token), ("action", "promote"), ("version", "77")]);
    assert_eq!(unknown.status, 404, "{}", unknown.text());
}

#[test]
fn an_operator_releases_from_quarantine_and_forgets_people() {
    let shop = Shop::furnished();
    let refused = json!([{"id": "q1", "type": "view", "user": "u1", "item": "mug-1", "at": "someday"}]);
    shop.post("/v1/events", &refused).problem(422, "record_refused");
    let nobody = json!([{"id": "q2", "type": "view", "item": "mug-1", "at": 1_760_000_000_000_u64}]);
    shop.post("/v1/events", &nobody).problem(422, "record_refused");
    let page = shop.get("/console/quarantine");
    assert!(page.text().contains("bad_time") && page.text().contains("someday"), "{}", page.text());
    let token = form_token(&page);
    let held = shop.get("/v1/quarantine?reason=bad_time").json();
    let offset = held["records"][0]["offset"].as_u64().unwrap().to_string();
    let drop = [("form_token", &*token), ("action", "drop"), ("offsets", &*offset)];
    assert_eq!(
        send(&shop, "/console/quarantine", "", &drop).header("location"),
        Some("/console/quarantine?done=dropped")
    );
    assert_eq!(shop.get("/v1/quarantine?reason=bad_time").json()["records"], json!([]));
    assert_eq!(send(&shop, "/console/quarantine", "", &drop).status, 404);
    assert!(shop.get("/console/people?user=u1").text().contains("2 of their latest events"));
    let token = form_token(&shop.get("/console/people"));
    let forget = [("form_token", &*token), ("users", "u1\r\n")];
    assert_eq!(send(&shop, "/console/people", "", &forget).status, 303);
    assert!(!shop.get("/console/people?user=u1").text().contains("of their latest events"));
    assert!(!shop.get("/console/playground?user=u1").text().contains("class=\"events\""));
}

#[test]
fn looking_at_a_page_in_the_playground_leaves_no_record() {
    let shop = Shop::furnished();
    // The search index follows the catalogue on a thread of its own.
    let found = || {
        let request = accrue_serve::SearchRequest { query: "mug".into(), ..Default::default() };
        let search = shop.engine.start_search(request).unwrap();
        shop.engine.preview_search(search).unwrap().total
    };
    wait_until("the catalogue is indexed", || found() >= 3);
    let before = shop.engine.status().log_end;
    for path in ["/console/playground?user=u1&b_scene=home", "/console/playground?user=u1&q=mug"] {
        let page = shop.get(path);
        assert!(page.text().contains("Red mug") && page.text().contains("class=\"reasons\""), "{}", page.text());
    }
    // A real answer is recorded, and comes after those that were not.
    shop.get("/v1/recommend/u1").json();
    shop.post("/v1/events", &json!([{"id": "z", "type": "view", "user": "u1", "item": "mug-1"}])).json();
    assert_eq!(shop.engine.status().log_end, before + 2);
    assert_eq!(shop.get("/v1/searches").json()["searches"], 0);
}

#[test]
fn a_server_beyond_this_machine_shows_nothing_without_keys() {
    let shop = Shop::open(HttpSettings::default());
    let through_a_proxy = shop.send("GET", "/console", &[("x-forwarded-for", "1.2.3.4")], b"");
    assert!(!through_a_proxy.text().contains("<nav"), "{}", through_a_proxy.text());
    assert_ne!(through_a_proxy.status, 200);
    let other_site = shop.send("GET", "/console", &[("sec-fetch-site", "cross-site")], b"");
    assert_eq!(other_site.status, 403);
}

#[test]
fn campaigns_that_are_saved_at_once_are_all_kept_and_a_form_that_is_out_of_date_is_refused() {
    let shop = with_keys();
    let editor = log_in(&shop, "editor-key-0123456789");
    let path = "/console/campaigns";
    let token = form_token(&see(&shop, path, &editor));
    let save = |id: &str, bid: &str, instead_of: &str| {
        let fields = [
            ("form_token", &*token),
            ("action", "save"),
            ("id", id),
            ("items", "mug-1"),
            ("bid", bid),
            ("daily_budget", "500"),
            ("instead_of", instead_of),
        ];
        send(&shop, path, &editor, &fields)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|n| scope.spawn(move || save(&format!("c{n}"), "5", "").status)).collect();
        threads.into_iter().for_each(|saved| assert_eq!(saved.join().unwrap(), 303));
    });
    let bids = || {
        let all = see(&shop, "/v1/campaigns", &editor).json();
        let all = all["campaigns"].as_array().unwrap().clone();
        all.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one["bid"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(bids().len(), 20, "{:?}", bids());
    let opened = see(&shop, &format!("{path}?edit=c3"), &editor);
    let mark =
        opened.text().split("name=\"instead_of\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(save("c3", "6", &mark).status, 303);
    let late = save("c3", "7", &mark);
    assert!(late.status == 409 && late.text().contains("changed meanwhile"), "{} {}", late.status, late.text());
    let twice = save("c3", "8", "");
    assert!(twice.status == 409 && twice.text().contains("already"), "{}", twice.text());
    assert!(bids().contains(&("c3".into(), 6)));
    let remove = [("form_token", &*token), ("action", "remove"), ("id", "c3")];
    assert_eq!(send(&shop, path, &editor, &remove).status, 303);
    assert_eq!(save("c3", "9", &mark).status, 409, "it was removed meanwhile");
    // Those behind the first page are reached by its link.
    let many: Vec<Value> =
        (0..450).map(|n| json!({"id": format!("m{n:03}"), "items": ["mug-1"], "bid": 5, "daily_budget": 50})).collect();
    let body = json!({"campaigns": many}).to_string();
    let headers = [("x-api-key", WRITE_KEY), ("content-type", "application/json")];
    assert_eq!(shop.send("PUT", "/v1/campaigns", &headers, body.as_bytes()).status, 200);
    let first = see(&shop, path, &editor);
    assert!(first.text().contains("?from=200") && !first.text().contains("m449"), "the first 200");
    let last = see(&shop, &format!("{path}?from=400"), &editor);
    assert!(last.text().contains("m449") && last.text().contains("?from=200"), "the last 50");
}

#[test]
fn a_what_if_is_asked_for_from_its_page_and_from_a_rule_and_what_was_typed_stays_where_it_is_refused() {
    let shop = with_keys();
    let (admin, editor) = (log_in(&shop, ADMIN_KEY), log_in(&shop, "editor-key-0123456789"));
    let page = see(&shop, "/console/what-if", &admin);
    assert!(page.text().contains("Nothing was judged"), "{}", page.text());
    let token = form_token(&page);
    let ask = |path: &str, cookie: &str, token: &str, fields: &[(&str, &str)]| {
        let fields = [&[("form_token", token), ("action", "judge")], fields].concat();
        send(&shop, path, cookie, &fields)
    };
    for (scenes, said) in [
        (r#"{"home": {"sources": ["neigbours"]}}"#, "did you mean `neighbours`"),
        ("{home}", "scenes: "),
        ("", "at least one scene"),
        (r#"{"home": {"<blink>": 1}}"#, "unknown field"),
    ] {
        let refused = ask("/console/what-if", &admin, &token, &[("scenes", scenes), ("top", "5")]);
        let text = refused.text();
        assert!(refused.status == 400 && text.contains(said) && text.contains("value=\"5\""), "{scenes}: {text}");
        assert!(!text.contains("<blink>"), "{text}");
    }
    let begun = ask("/console/what-if", &admin, &token, &[("scenes", r#"{"home": {"room_for_new": 0.2}}"#)]);
    assert_eq!(
        (begun.status, begun.header("location")),
        (303, Some("/console/what-if?done=judging")),
        "{}",
        begun.text()
    );
    let ended = || see(&shop, "/v1/what-if", &admin).json()["state"] != "running";
    wait_until("the what-if ends", ended);
    let page = see(&shop, "/console/what-if?done=judging", &admin);
    // Nothing was served yet.
    assert!(page.text().contains("there is no page to judge by"), "{}", page.text());
    assert!(page.text().contains("room_for_new"), "what was proposed: {}", page.text());
    let rule = [("name", "first"), ("what", "hide"), ("items", "sku-1")];
    let of_editor = form_token(&see(&shop, "/console/rules", &editor));
    assert_eq!(ask("/console/rules", &editor, &of_editor, &rule).status, 403, "a what-if needs admin");
    let of_rule = ask("/console/rules", &admin, &form_token(&see(&shop, "/console/rules", &admin)), &rule);
    assert_eq!(of_rule.header("location"), Some("/console/what-if?done=judging"), "{}", of_rule.text());
    wait_until("the what-if ends", ended);
    let found = see(&shop, "/v1/what-if", &admin).json();
    assert_eq!(found["proposal"]["rules"][0]["name"], "first", "{found}");
    assert_eq!(see(&shop, "/v1/rules", &admin).json()["rules"], json!([]), "nothing was changed");
}
