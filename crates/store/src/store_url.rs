//! The address of the server that holds a log: `SCHEME://USER:PASSWORD@HOST/DATABASE?key=value&…`.
//!
//! It is shown and written out without its password.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address, or nothing, which means the data folder.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreUrl {
    text: Box<str>,
}

impl StoreUrl {
    /// Whether it names no server, so that the log is in the data folder.
    pub fn is_embedded(&self) -> bool {
        self.text.is_empty()
    }

    /// The word before `://`.
    pub(crate) fn scheme(&self) -> &str {
        self.text.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    /// What stands between `://` and `?`: user, password, host, database.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "servers need it"))]
    pub(crate) fn server(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('?').next().unwrap_or_default()
    }

    /// The options behind `?`.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "servers need it"))]
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        let options = self.text.split_once('?').map_or("", |(_, options)| options);
        options.split('&').filter_map(|pair| pair.split_once('='))
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreUrlError(&'static str);

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let form = StoreUrlError(
            "not the address of a server; write postgres://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE",
        );
        let (scheme, rest) = text.split_once("://").ok_or(form.clone())?;
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(form);
        }
        let (server, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, database) = server.split_once('/').unwrap_or((server, ""));
        if database.contains('@') || options.contains('@') || database.contains('/') {
            // What would be shown of it may be a part of the password.
            return Err(StoreUrlError(
                "the user or the password has a sign that divides addresses; write %3F for `?`, %2F for `/`, %40 for `@`",
            ));
        }
        if host.is_empty() || database.is_empty() {
            return Err(StoreUrlError("it names no database; write postgres://USER@HOST/DATABASE"));
        }
        if options.split('&').any(|pair| !pair.is_empty() && !pair.contains('=')) {
            return Err(StoreUrlError("what stands behind `?` is key=value&key=value"));
        }
        Ok(Self { text: text.into() })
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = StoreUrlError;

    fn try_from(text: String) -> Result<Self, StoreUrlError> {
        text.parse()
    }
}

impl From<StoreUrl> for String {
    fn from(url: StoreUrl) -> Self {
        url.to_string()
    }
}

/// Without the password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.text.split_once("://") else { return Ok(()) };
        let (server, options) = rest.split_once('?').unwrap_or((rest, ""));
        match server.rsplit_once('@') {
            Some((user, server)) => write!(f, "{scheme}://{}@{server}", user.split(':').next().unwrap_or_default())?,
            None => write!(f, "{scheme}://{server}")?,
        }
        // Other options may be secrets.
        match options.split('&').find(|pair| pair.starts_with("prefix=")) {
            Some(prefix) => write!(f, "?{prefix}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_and_written_without_its_password() {
        let url: StoreUrl = "postgres://shop:p%40ss@db:5433/shop?prefix=a&sslmode=require".parse().unwrap();
        let shown = "postgres://shop@db:5433/shop?prefix=a";
        assert_eq!(
            (url.to_string(), format!("{url:?}"), String::from(url.clone())),
            (shown.into(), shown.into(), shown.into())
        );
        assert_eq!((url.scheme(), url.server()), ("postgres", "shop:p%40ss@db:5433/shop"));
        assert_eq!(url.options().collect::<Vec<_>>(), [("prefix", "a"), ("sslmode", "require")]);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for text in [
            "shop:secret@db",
            "postgres://shop:sec/ret@db/shop",
            "postgres://u:secret@db",
            "p g://u:secret@h/d",
            "postgres://u:secret?x@h/d",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(!error.contains("sec"), "{text}: {error}");
        }
        assert!("".parse::<StoreUrl>().unwrap().is_embedded());
    }
}
