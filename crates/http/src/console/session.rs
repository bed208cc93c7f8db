//! People who have logged in to the console.
//!
//! In: the number of a key. Out: a random token for a cookie, which stands for the key and is not the key, and a second
//! one for the forms of that person. A session ends twelve hours after the login, two hours after its last use, when
//! its holder logs out, and when the server stops: nothing of it is stored.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;

/// The cookie that holds the token.
const COOKIE: &str = "accrue_console";
/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// How long it lasts without a request.
const LASTS_IDLE: Duration = Duration::from_secs(2 * 3600);
/// Sessions of a key at a time; a further login ends the one of the same key that was used least recently.
const MAX_SESSIONS: usize = 100;

/// The sessions of a server.
pub(in super::super) struct Sessions {
    by_token: Mutex<HashMap<Box<str>, Session>>,
    /// The token of forms where no key is needed, so that there is no session.
    open_form_token: Box<str>,
}

struct Session {
    /// The key's place in the settings.
    key: usize,
    form_token: Box<str>,
    began: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= LASTS || now.saturating_duration_since(self.used) >= LASTS_IDLE
    }
}

impl Sessions {
    /// No session.
    pub fn new() -> Self {
        Self { by_token: Mutex::default(), open_form_token: random_token() }
    }

    /// Begins a session with a key. Returns the value of `Set-Cookie`; over TLS the cookie is `Secure`.
    pub fn begin(&self, key: usize, is_over_tls: bool, now: Instant) -> String {
        let token = random_token();
        let mut by_token = self.by_token.lock();
        by_token.retain(|_, session| !session.is_over(now));
        let of_key = || by_token.iter().filter(|(_, session)| session.key == key);
        if of_key().count() >= MAX_SESSIONS {
            let oldest = of_key().min_by_key(|(_, session)| session.used).map(|(token, _)| token.clone());
            oldest.iter().for_each(|token| drop(by_token.remove(token)));
        }
        let session = Session { key, form_token: random_token(), began: now, used: now };
        by_token.insert(token.clone(), session);
        let secure = if is_over_tls { "; Secure" } else { "" };
        format!("{COOKIE}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", LASTS.as_secs())
    }

    /// Ends the session of a request, if it has one. Returns the value of `Set-Cookie` that removes the cookie.
    pub fn end(&self, headers: &HeaderMap) -> String {
        if let Some(token) = cookie(headers, COOKIE) {
            self.by_token.lock().remove(token);
        }
        format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
    }

    /// The key of the session that a request belongs to.
    pub fn key(&self, headers: &HeaderMap, now: Instant) -> Option<usize> {
        self.with(headers, now, |session| session.key)
    }

    /// What forms of the session that a request belongs to must contain. Another site cannot read it.
    pub fn form_token(&self, headers: &HeaderMap, now: Instant) -> Box<str> {
        self.with(headers, now, |session| session.form_token.clone()).unwrap_or_else(|| self.open_form_token.clone())
    }

    fn with<T>(&self, headers: &HeaderMap, now: Instant, read: impl FnOnce(&Session) -> T) -> Option<T> {
        let token = cookie(headers, COOKIE)?;
        let mut by_token = self.by_token.lock();
        let session = by_token.get_mut(token).filter(|session| !session.is_over(now))?;
        session.used = now;
        Some(read(session))
    }
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|pairs| pairs.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// 256 random bits of the system, in hexadecimal digits.
fn random_token() -> Box<str> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the system has a source of random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookie(set: &str) -> HeaderMap {
        let pair = set.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, format!("a=b; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_session_stands_for_its_key_until_it_ends() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let set = sessions.begin(3, false, now);
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
        let headers = with_cookie(&set);
        assert_eq!(sessions.key(&headers, now), Some(3));
        assert_ne!(sessions.form_token(&headers, now), sessions.form_token(&HeaderMap::new(), now));
        let guess = with_cookie("accrue_console=0000");
        assert_eq!(sessions.key(&guess, now), None);
        assert!(sessions.end(&headers).contains("Max-Age=0"));
        assert_eq!(sessions.key(&headers, now), None);
    }

    #[test]
    fn a_session_ends_by_time() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let headers = with_cookie(&sessions.begin(0, true, now));
        let after = |hours: u64| now + Duration::from_secs(hours * 3600);
        assert_eq!(sessions.key(&headers, after(2)), None, "it was not used");
        for hours in 1..12 {
            assert_eq!(sessions.key(&headers, after(hours)), Some(0));
        }
        assert_eq!(sessions.key(&headers, after(12)), None);
    }

    #[test]
    fn a_key_ends_only_sessions_of_its_own_by_logging_in() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let of_another = with_cookie(&sessions.begin(0, false, now));
        let first = with_cookie(&sessions.begin(2, false, now));
        let second = with_cookie(&sessions.begin(2, false, now + Duration::from_secs(1)));
        for n in 0..10 * MAX_SESSIONS as u64 {
            sessions.begin(2, false, now + Duration::from_secs(2 + n % 2));
            assert!(n > 0 || sessions.key(&second, now + Duration::from_secs(1)).is_some());
        }
        let now = now + Duration::from_secs(4);
        assert_eq!([of_another, first, second].map(|headers| sessions.key(&headers, now)), [Some(0), None, None]);
        assert_eq!(sessions.by_token.lock().len(), MAX_SESSIONS + 1);
    }
}
