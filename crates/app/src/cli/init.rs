//! `accrue init`: a configuration file to begin with, with keys from the system's random source.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Exit;
use super::output::Output;
use super::problem::Problem;

const EXAMPLES: &str = "\
Examples:
  accrue init                                      ./accrue.toml
  accrue init --origin https://shop.example        the shop whose pages may send events
  accrue init --config /etc/accrue/accrue.toml";

const TEMPLATE: &str = include_str!("init.toml");
/// Random bytes of a key.
const KEY_BYTES: usize = 24;
/// The keys in the template.
const KEYS: [&str; 4] = ["backend", "operator", "monitoring", "web"];
const FILE: &str = "accrue.toml";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The address of the shop, whose pages may send events with the published key
    #[arg(long, value_name = "URL", default_value = "https://shop.example")]
    origin: String,
}

pub(super) fn run(config: Option<&Path>, arguments: &Arguments, output: Output) -> anyhow::Result<Exit> {
    let path: PathBuf = config.unwrap_or(Path::new(FILE)).into();
    let origin = origin_of(&arguments.origin)?;
    let mut text = TEMPLATE.replace("@origin@", &origin);
    for key in KEYS {
        text = text.replace(&format!("@{key}@"), &random_key()?);
    }
    write_new(&path, &text)?;
    let told = json!({"file": path, "keys": KEYS, "origin": origin});
    output.result(&told, |_: &Value| {
        format!(
            "{} is written, with a key each for {}.\n\
             Next: accrue serve --config {0}\n\
             Send a key as `Authorization: Bearer KEY`; that of `web` goes into the pages of {origin}.",
            path.display(),
            KEYS.join(", ")
        )
    })?;
    Ok(Exit::Success)
}

/// Scheme, host and port, as browsers send them.
fn origin_of(text: &str) -> anyhow::Result<String> {
    let hint = "write it as in the address bar, such as https://shop.example";
    let is_origin = ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|host| {
            let host = host.trim_end_matches('/');
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c))
        })
    });
    if !is_origin {
        return Err(Problem::new(format!("--origin {text}: not the address of a site"), hint).into());
    }
    Ok(text.trim_end_matches('/').to_ascii_lowercase())
}

fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that is not there yet, for its owner alone.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let place = path.display();
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let hint = "it is left as it is; move it away, or name another file with --config";
            return Err(Problem::new(format!("{place} is already there"), hint).into());
        }
        Err(error) => return Err(error).with_context(|| format!("{place} cannot be written")),
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| format!("{place} cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert_eq!(origin_of("https://Shop.example/").unwrap(), "https://shop.example");
        assert_eq!(origin_of("http://localhost:8080").unwrap(), "http://localhost:8080");
        for text in ["shop.example", "https://", "https://shop.example/path", "https://a\"b"] {
            assert!(origin_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_differ_and_are_long() {
        let (a, b) = (random_key().unwrap(), random_key().unwrap());
        assert!(a != b && a.len() == 2 * KEY_BYTES);
    }
}
