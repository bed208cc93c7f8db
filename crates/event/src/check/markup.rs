//! Texts without markup: tags are taken out, and character references are decoded, once, where a text enters.
//!
//! Only names of HTML's elements are tags, so that `size <S>` and `3 < 5` keep their meaning. Nothing is parsed beyond
//! that: the result is a text for search and reading, and never trusted as markup.

use std::borrow::Cow;

/// The elements after and before which a text has a break.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "iframe",
    "legend",
    "li",
    "main",
    "nav",
    "noscript",
    "object",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "select",
    "summary",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "video",
];

/// The other elements.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "area", "audio", "b", "base", "bdi", "bdo", "big", "button", "canvas", "cite", "code",
    "col", "colgroup", "data", "datalist", "del", "dfn", "em", "embed", "font", "i", "img", "input", "ins", "kbd",
    "label", "link", "map", "mark", "meta", "meter", "nobr", "output", "param", "path", "picture", "progress", "q",
    "rp", "rt", "ruby", "s", "samp", "script", "slot", "small", "source", "span", "strike", "strong", "style", "sub",
    "sup", "svg", "time", "track", "tt", "u", "var", "wbr",
];

/// The elements whose content is no text.
const WITHOUT_TEXT: &[&str] = &["script", "style", "template", "svg", "head", "noscript", "iframe", "object"];

/// The text without its markup; the same text if it has none.
pub(super) fn without_markup(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'<' | b'&')) {
        return Cow::Borrowed(text);
    }
    let tagless = without_tags(text);
    let had_tags = matches!(tagless, Cow::Owned(_));
    let mut plain = match decoded(&tagless) {
        Some(plain) => plain,
        None if !had_tags => return Cow::Borrowed(text),
        None => tagless.into_owned(),
    };
    // A whole description that was escaped once too often: `&lt;p&gt;A mug.&lt;/p&gt;`.
    if !had_tags
        && plain.contains("</")
        && let Cow::Owned(inner) = without_tags(&plain)
    {
        plain = decoded(&inner).unwrap_or(inner);
    }
    Cow::Owned(plain)
}

/// The text without its tags; owned if it had any.
fn without_tags(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        let start = at + found;
        // A text that was wrapped twice: its content is the text.
        if let Some(content) = cdata(&text[start..]) {
            out.push_str(&text[copied..start]);
            out.push_str(&without_tags(content));
            at = (start + CDATA.len() + content.len() + CDATA_END.len()).min(text.len());
            copied = at;
            continue;
        }
        let Some(tag) = Tag::at(&text[start..]) else {
            at = start + 1;
            continue;
        };
        out.push_str(&text[copied..start]);
        if tag.is_block && !out.is_empty() && !out.ends_with(['\n', ' ']) {
            out.push('\n');
        }
        at = start + tag.len;
        copied = at;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

const CDATA: &str = "<![CDATA[";
const CDATA_END: &str = "]]>";

/// The content of the CDATA section at the beginning of a text.
fn cdata(text: &str) -> Option<&str> {
    let rest = text.get(..CDATA.len()).filter(|head| head.eq_ignore_ascii_case(CDATA)).map(|_| &text[CDATA.len()..])?;
    Some(rest.split_once(CDATA_END).map_or(rest, |(content, _)| content))
}

/// A tag, a comment or an element without text.
struct Tag {
    len: usize,
    is_block: bool,
}

impl Tag {
    /// The tag at the beginning of `text`, which begins with `<`.
    fn at(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("<!--") {
            let len = rest.find("-->").map_or(text.len(), |end| end + 7);
            return Some(Self { len, is_block: false });
        }
        let rest = &text[1..];
        if rest.starts_with('!') || rest.starts_with('?') {
            let declares = ["!doctype", "![cdata[", "![endif", "![if", "?xml"];
            let head = rest.get(..8).unwrap_or(rest).to_ascii_lowercase();
            let is_declaration = declares.iter().any(|name| head.starts_with(name));
            return is_declaration.then(|| rest.find('>').map(|end| Self { len: end + 2, is_block: false })).flatten();
        }
        let is_end = rest.starts_with('/');
        let named = rest.strip_prefix('/').unwrap_or(rest);
        let name_len = named.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b":-".contains(byte)).count();
        let name = named[..name_len].to_ascii_lowercase();
        let is_block = BLOCKS.contains(&name.as_str());
        // Names with a colon or hyphen are those of office programs (`o:p`) and custom elements.
        let is_foreign = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && name.bytes().any(|byte| matches!(byte, b':' | b'-'));
        if !is_block && !is_foreign && !INLINE.contains(&name.as_str()) {
            return None;
        }
        // `<S>` is a size, unless it is closed.
        let is_size = !is_end && name_len == 1 && named.starts_with(|c: char| c.is_ascii_uppercase());
        if is_size && find_ignoring_case(named, &format!("</{name}>")).is_none() {
            return None;
        }
        let end = tag_end(&named[name_len..])?;
        let len = text.len() - named.len() + name_len + end;
        if !is_end && WITHOUT_TEXT.contains(&name.as_str()) && !text[..len].ends_with("/>") {
            let closing = format!("</{name}");
            // An element that is never closed loses its tag only.
            if let Some(close) = find_ignoring_case(&text[len..], &closing)
                && let Some(end) = text[len + close..].find('>')
            {
                return Some(Self { len: len + close + end + 1, is_block });
            }
        }
        Some(Self { len, is_block })
    }
}

/// The length of what follows a tag's name, the `>` included. Attributes may hold `>` in quotes.
fn tag_end(rest: &str) -> Option<usize> {
    /// A tag is not longer than this, embedded pictures aside.
    const MAX_BYTES: usize = 1 << 16;
    if !rest.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/') {
        return None;
    }
    // What follows the name is an attribute: `a<b && c>d` is arithmetic.
    let inner = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    if !inner.starts_with(|c: char| c.is_alphabetic() || "_:@>\"'".contains(c)) {
        return None;
    }
    let mut quote = None;
    let mut first_end = None;
    for (at, byte) in rest.bytes().enumerate().take(MAX_BYTES) {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if byte == open => quote = None,
            (Some(_), b'>') if first_end.is_none() => first_end = Some(at + 1),
            _ => {}
        }
    }
    // A quote that is never closed.
    first_end
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The text with its character references decoded; `None` if it has none.
fn decoded(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        match reference(rest) {
            Some((c, len)) => {
                found = true;
                out.push(c);
                rest = &rest[len..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

/// The character of the reference at the beginning of `text`, which begins with `&`, and the reference's length.
fn reference(text: &str) -> Option<(char, usize)> {
    const MAX_BYTES: usize = 12;
    let end = text.bytes().take(MAX_BYTES).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let number =
        |digits: &str, radix: u32| u32::from_str_radix(digits, radix).ok().map(windows_1252).and_then(char::from_u32);
    let c = match name.strip_prefix('#') {
        Some(code) => match code.strip_prefix(['x', 'X']) {
            Some(hex) => number(hex, 16)?,
            None => number(code, 10)?,
        },
        None => named(name)?,
    };
    Some((c, end + 1))
}

/// HTML reads the numbers 128 to 159 as Windows-1252.
fn windows_1252(code: u32) -> u32 {
    const CHARS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match code {
        128..=159 => CHARS[code as usize - 128] as u32,
        code => code,
    }
}

/// The character of this name. Names of Latin 1 are listed in the order of their codes, from 160.
fn named(name: &str) -> Option<char> {
    const LATIN_1: [&str; 96] = [
        "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not",
        "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1",
        "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml",
        "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH",
        "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc",
        "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
        "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute",
        "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
    ];
    const OTHERS: &[(&str, char)] = &[
        ("amp", '&'),
        ("AMP", '&'),
        ("lt", '<'),
        ("LT", '<'),
        ("gt", '>'),
        ("GT", '>'),
        ("quot", '"'),
        ("QUOT", '"'),
        ("apos", '\''),
        ("OElig", 'Œ'),
        ("oelig", 'œ'),
        ("Scaron", 'Š'),
        ("scaron", 'š'),
        ("Zcaron", 'Ž'),
        ("zcaron", 'ž'),
        ("Yuml", 'Ÿ'),
        ("Ccaron", 'Č'),
        ("ccaron", 'č'),
        ("Ecaron", 'Ě'),
        ("ecaron", 'ě'),
        ("Rcaron", 'Ř'),
        ("rcaron", 'ř'),
        ("Lstrok", 'Ł'),
        ("lstrok", 'ł'),
        ("Aogon", 'Ą'),
        ("aogon", 'ą'),
        ("Eogon", 'Ę'),
        ("eogon", 'ę'),
        ("Cacute", 'Ć'),
        ("cacute", 'ć'),
        ("Nacute", 'Ń'),
        ("nacute", 'ń'),
        ("Sacute", 'Ś'),
        ("sacute", 'ś'),
        ("Zacute", 'Ź'),
        ("zacute", 'ź'),
        ("Zdot", 'Ż'),
        ("zdot", 'ż'),
        ("odblac", 'ő'),
        ("Odblac", 'Ő'),
        ("udblac", 'ű'),
        ("Udblac", 'Ű'),
        ("Uring", 'Ů'),
        ("uring", 'ů'),
        ("Amacr", 'Ā'),
        ("amacr", 'ā'),
        ("scedil", 'ş'),
        ("Scedil", 'Ş'),
        ("gbreve", 'ğ'),
        ("Gbreve", 'Ğ'),
        ("imath", 'ı'),
        ("Idot", 'İ'),
        ("fnof", 'ƒ'),
        ("circ", 'ˆ'),
        ("tilde", '˜'),
        ("ensp", '\u{2002}'),
        ("emsp", '\u{2003}'),
        ("thinsp", '\u{2009}'),
        ("zwnj", '\u{200c}'),
        ("zwj", '\u{200d}'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("sbquo", '‚'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("bdquo", '„'),
        ("dagger", '†'),
        ("Dagger", '‡'),
        ("bull", '•'),
        ("hellip", '…'),
        ("permil", '‰'),
        ("prime", '′'),
        ("Prime", '″'),
        ("lsaquo", '‹'),
        ("rsaquo", '›'),
        ("euro", '€'),
        ("trade", '™'),
        ("larr", '←'),
        ("uarr", '↑'),
        ("rarr", '→'),
        ("darr", '↓'),
        ("harr", '↔'),
        ("minus", '−'),
        ("infin", '∞'),
        ("asymp", '≈'),
        ("ne", '≠'),
        ("le", '≤'),
        ("ge", '≥'),
        ("radic", '√'),
        ("sum", '∑'),
        ("hearts", '♥'),
        ("star", '☆'),
        ("starf", '★'),
        ("check", '✓'),
        ("cross", '✗'),
        ("phone", '☎'),
        ("NewLine", '\n'),
        ("Tab", '\t'),
        ("comma", ','),
        ("period", '.'),
        ("colon", ':'),
        ("semi", ';'),
        ("excl", '!'),
        ("quest", '?'),
        ("num", '#'),
        ("percnt", '%'),
        ("lpar", '('),
        ("rpar", ')'),
        ("plus", '+'),
        ("equals", '='),
        ("commat", '@'),
        ("sol", '/'),
        ("bsol", '\\'),
        ("lowbar", '_'),
        ("hyphen", '‐'),
        ("dash", '‐'),
        ("lsqb", '['),
        ("rsqb", ']'),
        ("lbrace", '{'),
        ("rbrace", '}'),
        ("vert", '|'),
        ("ast", '*'),
        ("dollar", '$'),
        ("grave", '`'),
        ("Alpha", 'Α'),
        ("alpha", 'α'),
        ("beta", 'β'),
        ("gamma", 'γ'),
        ("delta", 'δ'),
        ("Delta", 'Δ'),
        ("epsilon", 'ε'),
        ("lambda", 'λ'),
        ("mu", 'μ'),
        ("pi", 'π'),
        ("sigma", 'σ'),
        ("omega", 'ω'),
        ("Omega", 'Ω'),
        ("ohm", 'Ω'),
        ("deg", '°'),
        ("diam", '⌀'),
        ("inodot", 'ı'),
        ("half", '½'),
    ];
    if let Some(place) = LATIN_1.iter().position(|latin| *latin == name) {
        return char::from_u32(160 + place as u32);
    }
    OTHERS.iter().find(|(other, _)| *other == name).map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_leaves_its_text() {
        let cases = [
            ("<p>A <b>red</b> mug</p>", "A red mug"),
            ("<table class=\"spec\"><tr><td>Height</td><td>12 cm</td></tr></table>", "Height\n12 cm"),
            ("one<br/>two<BR>three", "one\ntwo\nthree"),
            ("caf&eacute; &amp; bar &#8211; &#x263A; &#150;", "café & bar – ☺ –"),
            ("a<script>var b = '<p>';</script>c", "ac"),
            ("a<style type='text/css'>p > b { }</style>c", "ac"),
            ("a<!-- <p>hidden</p> -->b", "ab"),
            ("<a href=\"x>y\" title='z'>link</a>", "link"),
            ("<o:p>Office</o:p><my-tag>custom</my-tag>", "Officecustom"),
            ("&lt;p&gt;A mug&lt;/p&gt;", "A mug"),
            ("&lt;p&gt;caf&amp;eacute;&lt;/p&gt;", "café"),
            ("<!DOCTYPE html><html><head><title>t</title></head><body>b</body></html>", "b"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_markup(text).trim(), expected, "{text}");
        }
    }

    #[test]
    fn signs_that_are_no_markup_stay() {
        let texts = [
            "size <S> and <XL>",
            "3 < 5 > 2",
            "a <b",
            "H&M",
            "AT&T;",
            "R&D; &unknown; &#xzz; &#1114112;",
            "<3 you",
            "if a<b && c>d",
            "<notatag>",
            "&",
            "<",
            "&amp",
            "<!",
            "</",
            "1 <2>",
        ];
        for text in texts {
            assert_eq!(without_markup(text), text);
            assert!(matches!(without_markup(text), Cow::Borrowed(_)), "{text}");
        }
        // The references are decoded once: what a shop escapes on purpose stays readable.
        assert_eq!(without_markup("<p>The tag &amp;lt;br&amp;gt;</p>").trim(), "The tag &lt;br&gt;");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(<|>|&|;|/|\"|'|p|br|script|!--|-->|#x|amp|é| |\\PC){0,40}") {
            let plain = without_markup(&text);
            prop_assert!(plain.len() <= text.len() + text.matches('<').count());
        }
    }

    #[test]
    fn a_text_that_was_wrapped_twice_is_its_content() {
        for (wrapped, plain) in [
            ("<![CDATA[birch wood]]>", "birch wood"),
            ("Mug <![CDATA[<p>of birch</p>]]> wood", "Mug of birch wood"),
            ("<![CDATA[birch", "birch"),
        ] {
            let joined = without_markup(wrapped).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(joined, plain, "{wrapped}");
        }
    }
}
