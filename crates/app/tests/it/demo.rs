//! The demo from outside: it prints its address and that it is simulated, ends by itself or when told to, and leaves no
//! files.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A demo that runs, with a folder for temporary folders.
struct Demo {
    place: tempfile::TempDir,
    process: Child,
    out: BufReader<ChildStdout>,
    /// `HOST:PORT`, from the first line.
    address: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.arg("demo").args(arguments).current_dir(place).env_clear().env("TMPDIR", place);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut process = command(place.path(), arguments).args(["--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{first}")).to_owned();
        Self { place, process, out, address }
    }

    /// The exit code and the rest of stdout.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }

    fn ask(&self, request: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{request}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// A page for people.
    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer
    }

    fn n_left_in_place(&self) -> usize {
        std::fs::read_dir(self.place.path()).unwrap().count()
    }
}

#[test]
fn a_demo_of_some_visits_ends_by_itself_and_leaves_no_files() {
    let mut demo = Demo::start(&["--visits", "300", "--speed", "10000"]);
    let (code, rest) = demo.end();
    assert_eq!(code, Some(0), "{rest}");
    for said in [
        "  storefront  http://127.0.0.1:",
        "/console\n",
        "none of whom exist",
        "curl -s",
        "Simulated: 300 pages",
        "front page, learned",
        "quarantined 0.",
    ] {
        assert!(rest.contains(said), "{said:?} is missing:\n{rest}");
    }
    assert_eq!(demo.n_left_in_place(), 0);
}

#[cfg(unix)]
#[test]
fn a_demo_answers_others_and_ends_at_once_when_interrupted() {
    let mut demo = Demo::start(&["--speed", "50"]);
    let mut lines = String::new();
    while !lines.contains("Ctrl-C ends it") {
        assert!(demo.out.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    // The commands to paste contain these requests.
    let quoted = |before: &str| lines.split(before).nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    let event = quoted("-d '");
    let taken = demo.ask("POST /v1/events", &event);
    assert_eq!(taken["accepted"].as_u64().unwrap() + taken["repaired"].as_u64().unwrap(), 1, "{taken}");
    for path in ["/v1/recommend/you?", "/v1/recommend/shopper-", "/v1/search?", "/v1/items/"] {
        let rest = quoted(path);
        let answer = demo.ask(&format!("GET {path}{rest}"), "");
        let items = answer["items"].as_array().or(answer["hits"].as_array()).unwrap();
        assert_eq!(items.len(), 3, "{path}: {answer}");
    }
    let front = demo.page("/");
    assert!(front.contains("/shop/assets/shop.js") && front.contains("The simulated shop"), "{front}");
    assert!(demo.page("/console").contains("href=\"/console/quality\""));
    // What a visitor does counts at the time of the simulated shop, which is behind the clock.
    let item = quoted("/v1/items/").split('/').next().unwrap().to_owned();
    let clicked = format!(r#"{{"events":[{{"type":"click","session":"you-1","item":"{item}"}}]}}"#);
    let mut taken = demo.ask("POST /shop/events", &clicked);
    assert_eq!(taken["accepted"].as_u64().unwrap() + taken["repaired"].as_u64().unwrap(), 1, "{}", taken.take());
    assert_eq!(demo.n_left_in_place(), 1);
    let asked = Instant::now();
    let killed = Command::new("kill").args(["-INT", &demo.process.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let (code, rest) = demo.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("Simulated: "), "{rest}");
    assert_eq!(demo.n_left_in_place(), 0);
    // Two seconds on an idle machine.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn an_unusable_port_or_folder_is_refused_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().to_string();
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("shop")).unwrap();
    std::fs::write(place.path().join("shop/orders.csv"), "user,item\n").unwrap();
    let cases: [(&[&str], &str, &str); 3] = [
        (&["--listen", &busy], "cannot listen", "port 0"),
        (&["--listen", "0.0.0.0:0"], "loopback", "127.0.0.1"),
        (&["--listen", "127.0.0.1:0", "--data", "shop"], "no demo wrote", "--data DIR"),
    ];
    for (arguments, message, hint) in cases {
        let output = command(place.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message) && said.contains("hint: ") && said.contains(hint), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn json_is_one_value_per_line_and_a_given_folder_stays() {
    let place = tempfile::tempdir().unwrap();
    let arguments = ["--visits", "40", "--listen", "127.0.0.1:0", "--data", "shop", "--json"];
    for _ in 0..2 {
        let output = command(place.path(), &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Value> = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
        assert!(first["listening"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{first}");
        assert_eq!((&first["simulated"], &last["simulated"]), (&Value::Bool(true), &Value::Bool(true)));
        assert_eq!(last["visits"], 40);
        assert!(place.path().join("shop/accrue-demo.json").exists());
    }
}
