//! Addresses of sources: `SCHEME://SERVER/NAME?key=value&…`.
//!
//! Values may be percent-encoded, and need not be: a query may stand there as it is, unless it has a `&` (`%26`) or a `%` that two
//! hexadecimal digits follow (`%25`). `+` is itself.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64;

use super::RemoteError;

/// The address of a source. It is shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Box<str>,
    /// What stands between `://` and `?`.
    server: Box<str>,
    options: Vec<(Box<str>, Box<str>)>,
}

impl Address {
    /// The word before `://`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The address of the server with the name behind it, without options; user and password are part of it.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "sources need it"))]
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// The value of an option.
    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value)
    }

    /// All options.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "sources need it"))]
    pub(super) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The path behind the server: the database.
    pub(super) fn path(&self) -> &str {
        self.server.split_once('/').map_or("", |(_, path)| path)
    }

    /// A fault of the address.
    pub(super) fn fault(&self, what: impl Into<String>) -> RemoteError {
        RemoteError::Address { address: self.to_string(), what: what.into() }
    }

    /// The name of a source that is a table or a query. That of a query has its hash, so that another query begins anew.
    pub(super) fn table_name(&self) -> Result<String, RemoteError> {
        let database = self.path();
        match (self.option("table"), self.option("query")) {
            _ if database.is_empty() => Err(self.fault("it names no database; write SERVER/DATABASE?table=NAME")),
            (Some(_), Some(_)) => Err(self.fault("it has both `table` and `query`; give one of them")),
            (None, None) => Err(self.fault("it does not say what to read; add ?table=NAME or ?query=SELECT …")),
            (Some(table), None) => Ok(format!("{}:{database}/{table}", self.scheme)),
            (None, Some(query)) => {
                Ok(format!("{}:{database}/query-{:08x}", self.scheme, xxh3_64(query.as_bytes()) as u32))
            }
        }
    }
}

impl FromStr for Address {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let no_address = || RemoteError::Address {
            address: without_secrets(text).into(),
            what: "it is no address; write postgres://USER@HOST/DATABASE?table=NAME, or mysql://…".into(),
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(no_address)?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_word(scheme) {
            return Err(no_address());
        }
        let (server, options) = rest.split_once('?').unwrap_or((rest, ""));
        if divides_a_password(server, options) {
            // What is shown of it may be a part of the password.
            let what = "the user or the password has a sign that divides addresses; write %3F for `?`, %2F for `/`, %40 for `@`";
            return Err(RemoteError::Address { address: format!("{scheme}://…"), what: what.into() });
        }
        let mut address = Self { scheme: scheme.into(), server: server.into(), options: Vec::new() };
        for pair in options.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                address.fault(format!("`{pair}` is not key=value; a `&` inside a value is written %26"))
            })?;
            if address.option(key).is_some() {
                return Err(address.fault(format!("`{key}` is given twice")));
            }
            address.options.push((key.into(), decoded(value).into()));
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match self.server.rsplit_once('@') {
            Some((user, server)) => format!("{}@{server}", user.split(':').next().unwrap_or_default()),
            None => self.server.to_string(),
        };
        write!(f, "{}://{server}", self.scheme)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The beginning of a text that is no address: what stands before the first sign that may be followed by a password.
fn without_secrets(text: &str) -> &str {
    let begin = text.split([':', '?']).next().unwrap_or_default();
    begin.rsplit('@').next().unwrap_or_default()
}

/// Whether a sign of a user or password that is not percent-encoded ended the server or its name early: a port that is no number, or a
/// `@` behind the `/` or in the name of an option.
fn divides_a_password(server: &str, options: &str) -> bool {
    let (host, path) = server.split_once('/').unwrap_or((server, ""));
    // `[::1]:5432`
    let port = host.rsplit_once('@').map_or(host, |(_, host)| host).rsplit(']').next().unwrap_or_default();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_odd_port = port.split_once(':').is_some_and(|(_, port)| !is_port(port));
    let mut keys = options.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    has_odd_port || path.contains('@') || keys.any(|key| key.contains('@'))
}

/// A value without its percent-encoding. A `%` that no two hexadecimal digits follow is itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        let pair = match (first, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address = address("postgres://shop:p%40ss@db.example:5433/shop?table=orders&sslmode=require");
        assert_eq!(format!("{address} {address:?}").matches("postgres://shop@db.example:5433/shop").count(), 2);
        assert_eq!(address.server(), "shop:p%40ss@db.example:5433/shop");
        assert_eq!((address.option("table"), address.option("sslmode")), (Some("orders"), Some("require")));
    }

    #[test]
    fn no_message_shows_a_password() {
        for text in [
            "Postgres://shop:secret@db/shop?table=orders",
            "mysql2://shop:secret@db/shop?table=orders",
            "jdbc:postgresql://shop:secret@db/shop",
            "postgresql+ssl://shop:secret@db/shop",
            "postgres:/shop:secret@db",
            "shop:secret@db/shop",
            "postgres://shop:sec?ret@db/shop?table=orders",
            "postgres://shop:sec?secret@db/shop",
            "postgres://shop:12?secret@db/shop?table=orders",
            "postgres://shop:sec/ret@db/shop?table=orders",
            "postgres://shop:secret@word/secret@db/shop?table=orders",
            "postgres://shop:secret@word?secret@db/shop?table=orders",
            "postgres://shop:secret@db",
            "redis://shop:secret@db/1",
            "postgres://shop:secret@db/shop?table=a&table=b",
        ] {
            let error = text.parse::<Address>().and_then(|address| super::super::default_name(&address)).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("sec") && !told.contains("word/") && !told.contains("ret@"), "{text}: {told}");
        }
        for text in
            ["postgres://u:p@[::1]:5433/d?table=t", "postgres://h:5432/d?query=SELECT '@'", "mysql://h/d?table=t"]
        {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_query_stands_there_as_it_is_or_encoded() {
        let plain = address("mysql://h/d?query=SELECT id, 'a+b' AS type FROM t WHERE x LIKE '%z'&cursor=id");
        assert_eq!(plain.option("query"), Some("SELECT id, 'a+b' AS type FROM t WHERE x LIKE '%z'"));
        let encoded = address("mysql://h/d?query=SELECT%20id%20FROM%20t%20WHERE%20a%26b");
        assert_eq!(encoded.option("query"), Some("SELECT id FROM t WHERE a&b"));
    }

    #[test]
    fn a_source_is_named_by_what_is_read_and_not_by_its_server() {
        let name = |text: &str| super::super::default_name(&address(text)).unwrap();
        assert_eq!(name("postgres://u@h/shop?table=public.orders"), "postgres:shop/public.orders");
        let query = name("postgres://u@h/shop?query=SELECT 1");
        assert!(query.starts_with("postgres:shop/query-") && query == name("postgres://u@other/shop?query=SELECT 1"));
        assert_ne!(query, name("postgres://u@h/shop?query=SELECT 2"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_form() {
        let cases = [
            ("orders.csv", "it is no address"),
            ("://h/d", "it is no address"),
            ("postgres://h/d?table", "`table` is not key=value"),
            ("postgres://h/d?table=a&table=b", "`table` is given twice"),
            ("redis://h/1", "there is no source of this kind; there are: postgres://"),
            ("postgres://h?table=a", "it names no database"),
            ("postgres://h/d", "it does not say what to read"),
            ("postgres://h/d?table=a&query=b", "both `table` and `query`"),
            ("kafka://h:9092/t", "there is no source of this kind"),
        ];
        for (text, expected) in cases {
            let named = text.parse::<Address>().and_then(|address| super::super::default_name(&address));
            let error = named.unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error =
            "postgres://u:secret@h/d".parse::<Address>().and_then(|address| super::super::default_name(&address));
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }
}
