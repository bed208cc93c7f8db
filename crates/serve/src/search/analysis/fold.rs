//! One spelling for letters that shoppers type in several ways: case, accents, points and vowels of Hebrew and Arabic, forms of
//! a letter. The marks of scripts in which they are letters of their own (Devanagari, Thai) stay.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Lower case without regard to a language, character by character: `İ` becomes `i` with a dot above.
pub(super) fn lower(word: &str) -> String {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Lower case as Turkish and Azerbaijani write it: `I` is the capital of `ı`, and `İ` that of `i`.
pub(super) fn lower_turkish(word: &str) -> String {
    let mut lower = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            'I' => lower.push('ı'),
            'İ' => lower.push('i'),
            c => lower.extend(c.to_lowercase()),
        }
    }
    lower
}

/// A word in lower case without marks, in plain letters: `crème` is `creme`, `straße` is `strasse`, `שָׁלוֹם` is `שלומ`.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.nfd().filter(|&c| !is_mark(c)).nfc() {
        match plain_letters(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.extend(usual_form(c)),
        }
    }
    Cow::Owned(plain)
}

/// Whether a character is written into or between the letters of a word and is none itself.
pub(super) fn is_inside_words(c: char) -> bool {
    is_mark(c) || unicode_normalization::char::is_combining_mark(c)
}

/// Marks that a shopper may leave out: accents (also those of Greek and Cyrillic), points of Hebrew, vowels of Arabic, and
/// characters without a shape.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}')
        || matches!(c, '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}')
        || matches!(c, '\u{ad}' | '\u{2bc}' | '\u{200c}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

fn plain_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' | 'ẞ' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ŋ' => "ng",
        'ĳ' => "ij",
        _ => return None,
    })
}

/// The usual form of a letter: of Latin letters with a stroke, of the last letter of a word, of Arabic letters that
/// keyboards and languages write differently; and of digits. `None` for the hamza, which is often left out.
fn usual_form(c: char) -> Option<char> {
    Some(match c {
        'ø' => 'o',
        'đ' | 'ð' => 'd',
        'ł' => 'l',
        'ı' => 'i',
        'ħ' => 'h',
        'ŧ' => 't',
        'ς' => 'σ',
        'ґ' => 'г',
        'ך' => 'כ',
        'ם' => 'מ',
        'ן' => 'נ',
        'ף' => 'פ',
        'ץ' => 'צ',
        'ى' | 'ی' => 'ي',
        'ة' | 'ھ' => 'ه',
        'ک' => 'ك',
        'ٱ' => 'ا',
        'ء' => return None,
        '٠'..='٩' => char::from(b'0' + (c as u32 - '٠' as u32) as u8),
        '۰'..='۹' => char::from(b'0' + (c as u32 - '۰' as u32) as u8),
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::{fold, lower, lower_turkish};

    #[test]
    fn spellings_with_and_without_marks_are_one() {
        for (one, other) in [
            ("CRÈME", "creme"),
            ("Łódź", "lodz"),
            ("Straße", "strasse"),
            ("Smørrebrød", "smorrebrod"),
            ("İSTANBUL", "istanbul"),
            ("ısparta", "isparta"),
            ("ΚΑΦΈΣ", "καφες"),
            ("Ёлка", "елка"),
            ("шалаш\u{301}", "шалаш"),
            ("שָׁלוֹם", "שלום"),
            ("قَهْوَة", "قهوه"),
            ("أحمر", "احمر"),
            ("كتـــاب", "کتاب"),
            ("٥٠٠", "500"),
            ("Kin\u{ad}der", "kinder"),
        ] {
            assert_eq!(fold(&lower(one)), fold(&lower(other)), "{one}");
        }
        assert_eq!(fold("हिन्दी"), "हिन्दी", "vowel signs are letters");
        assert_eq!((&*lower_turkish("KADIN"), &*lower_turkish("İPEK")), ("kadın", "ipek"));
    }
}
