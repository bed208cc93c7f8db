//! What programs do to ids: white space around them, the `.0` and the exponents of spreadsheets, words in place of an id.

use std::borrow::Cow;

use super::repairs::Repairs;
use super::text::{Lines, clean, prefix};
use super::words_of_exports::is_spreadsheet_error;

/// An id in the form that the check gives to the ids of records, so that a request names what the records name: without
/// white space around it, in normalization form C, without the `.0` of data frames.
pub fn clean_id(id: &str) -> Cow<'_, str> {
    let clean = clean(id, Lines::Join, &mut Repairs::default());
    match damage(&clean) {
        Some(Damage::PointZero(whole)) => Cow::Owned(whole.to_owned()),
        _ => clean,
    }
}

/// What spreadsheets and data frames do to ids that are numbers.
pub(super) enum Damage<'t> {
    /// `13085.0`: the digits before the point are the id.
    PointZero(&'t str),
    /// `8.71E+12`: digits are lost.
    Exponent,
}

/// What is damaged in an id, if anything is.
pub(super) fn damage(id: &str) -> Option<Damage<'_>> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(whole) = id.strip_suffix(".0")
        && is_digits(whole)
        && whole.len() <= 18
    {
        return Some(Damage::PointZero(whole));
    }
    let (mantissa, exponent) = id.split_once(['e', 'E'])?;
    // `1E5` is as well an article's number, so a point, a comma or the sign of the exponent is needed.
    let digits = exponent.strip_prefix('+');
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_number = is_digits(whole)
        && whole.len() == 1
        && fraction.is_none_or(is_digits)
        && is_digits(digits.unwrap_or(exponent))
        && (fraction.is_some() || digits.is_some());
    is_number.then_some(Damage::Exponent)
}

/// Whether a text is what programs write in place of an id that they do not have: `undefined`, `null`, a template that
/// was not filled in, an identifier of zeros.
pub fn is_placeholder(id: &str) -> bool {
    const WORDS: &[&str] = &[
        "undefined",
        "null",
        "nil",
        "none",
        "nan",
        "n/a",
        "not set",
        "notset",
        "not_set",
        "not provided",
        "na",
        "nonetype",
        "#n/a",
        "#ref!",
        "#value!",
        "#name?",
        "#null!",
        "\\n",
        "infinity",
        "data deleted",
        "-",
        "--",
        "?",
        "{}",
        "system.object",
    ];
    const TEMPLATES: &[(&str, &str)] =
        &[("{{", "}}"), ("${", "}"), ("<%", "%>"), ("{%", "%}"), ("%%", "%%"), ("[[", "]]"), ("#{", "}"), ("*|", "|*")];
    // Most ids have a digit other than 0 and no punctuation at their ends, which none of these is; three ids of each event are looked at.
    let is_plain = matches!(id.as_bytes(), [first, .., last] if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && id.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if is_plain || id.len() > 128 {
        return false;
    }
    let quoted = id.trim_matches(['"', '\'', '`']).trim();
    if quoted.is_empty() {
        return !id.is_empty();
    }
    if is_spreadsheet_error(quoted) {
        return true;
    }
    let inner = match quoted.as_bytes() {
        [b'(', .., b')'] | [b'[', .., b']'] | [b'<', .., b'>'] => quoted[1..quoted.len() - 1].trim(),
        _ => quoted,
    };
    let is_bracketed = inner.len() < quoted.len();
    if is_bracketed && (inner.is_empty() || prefix(inner, 7).eq_ignore_ascii_case("object ")) {
        return true;
    }
    // `NA` alone may be an article's id.
    if WORDS.iter().any(|word| inner.eq_ignore_ascii_case(word)) && (is_bracketed || !inner.eq_ignore_ascii_case("na"))
    {
        return true;
    }
    // A first and a last name that are not known, or two ids: `undefined undefined`, `null,null`, `undefined@undefined`.
    const REPEATED: &[&str] = &["undefined", "null", "none", "nan"];
    let mut parts = inner.split([' ', ',', '@', '_', '-', '.', ':', '/', '|', ';']).filter(|part| !part.is_empty());
    if inner.len() <= 64
        && parts.clone().nth(1).is_some()
        && parts.all(|part| REPEATED.iter().any(|word| part.eq_ignore_ascii_case(word)))
    {
        return true;
    }
    // The empty UUID, with or without separators; phones without an advertising id send it.
    let zeros = inner.bytes().filter(|byte| *byte == b'0').count();
    let hyphens = inner.bytes().filter(|byte| *byte == b'-').count();
    if zeros == 32 && zeros + hyphens == inner.len() {
        return true;
    }
    TEMPLATES.iter().any(|(open, close)| quoted.len() > 3 && quoted.starts_with(open) && quoted.ends_with(close))
}

/// Whether a text in place of a shopper's id says that the shopper is not known.
pub(super) fn is_nobody(id: &str) -> bool {
    const WORDS: &[&str] = &[
        "anonymous",
        "anonymous user",
        "anon",
        "guest",
        "guest user",
        "guest_user",
        "unknown",
        "unknown user",
        "(other)",
        "(direct)",
        "not logged in",
        "not_logged_in",
        "notloggedin",
        "logged out",
        "logged_out",
        "loggedout",
        "visitor",
        "no user",
        "walkin",
        "walk-in",
        "walk in",
        "walk-in customer",
        "cash customer",
        "laufkunde",
        "laufkundschaft",
        "barverkauf",
        "barkunde",
        "client comptoir",
        "consumidor final",
        "gast",
        "gastkunde",
        "invité",
        "invitado",
        "ospite",
        "convidado",
        "gość",
        "misafir",
        "гость",
        "游客",
        "访客",
        "訪客",
        "ゲスト",
        "게스트",
        "비회원",
        "cliente generico",
        "nouser",
        "false",
        "na",
    ];
    // The hashes of the empty text, which a site that hashes e-mail addresses sends for all of its guests.
    const HASHES_OF_NOTHING: &[&str] = &[
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let is_same = |word: &&str| match id.is_ascii() {
        true => id.eq_ignore_ascii_case(word),
        false => id.len() <= 64 && id.to_lowercase() == **word,
    };
    let is_in = |words: &[&str]| words.iter().any(is_same);
    is_in(WORDS) || is_in(HASHES_OF_NOTHING) || is_name_in_signs(id)
}

/// Whether a text is the name of a variable in the signs of a template that was not filled in: `{user_id}`, `%USER_ID%`.
fn is_name_in_signs(id: &str) -> bool {
    let inner = match id.as_bytes() {
        [b'{', .., b'}'] | [b'%', .., b'%'] | [b'<', .., b'>'] | [b'[', .., b']'] => id[1..id.len() - 1].trim(),
        _ => return false,
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b' ' | b'$');
    !inner.is_empty() && inner.len() <= 64 && inner.bytes().all(is_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_not_known_are_nobody_in_any_language() {
        for nobody in ["Guest", "Walk-in", "Laufkundschaft", "Gast", "ГОСТЬ", "Invité", "游客", "ゲスト", "비회원"]
        {
            assert!(is_nobody(nobody), "{nobody}");
        }
        for somebody in ["ada", "guest-17", "Gastón", "гость-5", "游客9"] {
            assert!(!is_nobody(somebody), "{somebody}");
        }
    }
}
