//! Which encoding of Latin letters a text is in, where each byte is a letter: Windows-1252, Windows-1250, ISO-8859-2, those of
//! Turkey and the Baltic, ISO-8859-15, or that of old Macs.
//!
//! In all of them every byte stands for something, so the letters decide: those that a text has in the right encoding are
//! letters of one language. Windows-1252 is taken unless another encoding explains clearly more of them.

use encoding_rs::{
    Encoding, ISO_8859_2, ISO_8859_15, MACINTOSH, WINDOWS_1250, WINDOWS_1252, WINDOWS_1254, WINDOWS_1257,
};

/// Encodings and the languages that are written in them, the more usual ones first.
const CANDIDATES: &[(&Encoding, &[&str])] = &[
    (WINDOWS_1252, WESTERN),
    (WINDOWS_1250, CENTRAL),
    (ISO_8859_2, CENTRAL),
    (WINDOWS_1254, &["çğıöşüâîûi̇"]),
    (WINDOWS_1257, &["ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"]),
    (ISO_8859_15, WESTERN),
    (MACINTOSH, WESTERN),
];

/// The letters of languages, with those of the usual loan words.
const WESTERN: &[&str] = &[
    "äöüßéèàçáê",
    "àâæçèéêëîïôœùûüÿ",
    "áéíóúüñçº",
    "àèéìíîòóùúç",
    "ãõáéíóúâêôàçüª",
    "åäöøæéüáôè",
    "ëïéèöüáóêàç",
    "àçèéíïòóúüñ",
    "áéíóúýþæðö",
    "äöõüšž",
];
const CENTRAL: &[&str] = &["ąćęłńóśźż", "áčďéěíňóřšťúůýžö", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšžäöü", "ăâîşţșț"];

/// Signs that stand among words of any language.
const SIGNS: &str = "€£©®™°§«»„“”‚‘’–—…•·×²³½¼¾µ¿¡\u{a0}";

/// Signs before which no letter stands but at the end of a word: a `©` with one behind it is the `Š` of another encoding.
const CLOSING: &str = "©®™§•·×²³½¼¾";

/// Words that are looked at.
const MAX_WORDS: usize = 20_000;

/// Letters of a word that are looked at.
const MAX_WORD_CHARS: usize = 256;

/// The encoding that explains the texts, if one explains nearly all of their letters above ASCII: by more than
/// Windows-1252, if it is another one.
pub(super) fn recognised(bytes: &[u8]) -> Option<&'static Encoding> {
    let scored = CANDIDATES.iter().filter_map(|(encoding, languages)| {
        let text = encoding.decode_without_bom_handling(bytes).0;
        let (n_explained, n) = languages.iter().map(|language| explained(&text, language)).max_by_key(|(n, _)| *n)?;
        Some((*encoding, n_explained, n))
    });
    let scored: Vec<(&'static Encoding, usize, usize)> = scored.collect();
    let (_, usual, n) = *scored.first()?;
    // The first of equals.
    let best = scored.iter().rev().max_by_key(|(_, n_explained, _)| *n_explained)?;
    let is_clear = best.1 >= usual + 2 && best.1 >= usual + n / 20;
    // What is unclear is left to the caller.
    (n > 0 && is_clear && 10 * best.1 >= 9 * best.2).then_some(best.0)
}

/// How many letters above ASCII of a text are those of a language and stand where a word has them, and how many there are.
/// Signs beside words count as explained.
fn explained(text: &str, language: &str) -> (usize, usize) {
    let is_of_word = |c: char| c.is_alphabetic() || (!c.is_ascii() && !SIGNS.contains(c) && !c.is_whitespace());
    let (mut n_explained, mut n) = (0, 0);
    let is_letter = |c: char| language.contains(c) || c.to_lowercase().all(|c| language.contains(c));
    for token in
        text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '|' | '"' | '\t')).take(MAX_WORDS)
    {
        let chars: Vec<char> = token.chars().take(MAX_WORD_CHARS).collect();
        for (place, c) in chars.iter().copied().enumerate().filter(|(_, c)| !c.is_ascii()) {
            n += 1;
            let before = place.checked_sub(1).map(|place| chars[place]);
            let after = chars.get(place + 1).copied();
            let is_inside = |one: Option<char>| one.is_some_and(is_of_word);
            n_explained += usize::from(match () {
                // An apostrophe stands between letters; other signs beside them.
                () if c == '’' => is_inside(before),
                () if CLOSING.contains(c) => !is_inside(after),
                () if SIGNS.contains(c) => !(is_inside(before) && is_inside(after)),
                // A capital letter in the middle of a word of small ones is none.
                () if c.is_uppercase() && before.is_some_and(char::is_lowercase) => false,
                () => is_letter(c) && !is_run(&chars, place),
            });
        }
    }
    (n_explained, n)
}

/// Whether a letter is one of three in a row above ASCII, as words of other alphabets have them.
fn is_run(chars: &[char], place: usize) -> bool {
    const ENOUGH: usize = 4;
    let is_high = |c: &char| !c.is_ascii() && c.is_alphabetic();
    // No more than is asked for: counted to its ends, a run of one letter would take the square of its length.
    let before = chars[..place].iter().rev().take(ENOUGH).take_while(|c| is_high(c)).count();
    let after = chars[place..].iter().take(ENOUGH).take_while(|c| is_high(c)).count();
    before + after >= ENOUGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, encoding: &'static Encoding, expected: Option<&'static Encoding>) {
        let (bytes, _, is_lossy) = encoding.encode(text);
        assert!(!is_lossy, "{text}");
        assert_eq!(recognised(&bytes), expected, "{text} in {}", encoding.name());
    }

    #[test]
    fn letters_of_central_europe_tell_their_encoding() {
        for text in [
            "id;nazwa;cena\n1;Kubek żółty;5\n2;Łyżka drewniana z gałęzi;7\n3;Święta książka;9\n",
            "id;název;cena\n1;Žlutý hrnek;5\n2;Dřevěná lžíce;7\n3;Těžký kůň;9\n",
            "id;ime;cijena\n1;Šalica;5\n2;Žlica;7\n3;Ručnik za kuću;9\n",
            "id;név;ár\n1;Bögre;5\n2;Fűszertartó;7\n3;Őszi terítő;9\n",
        ] {
            for encoding in [WINDOWS_1250, ISO_8859_2] {
                let (bytes, ..) = encoding.encode(text);
                let found = recognised(&bytes).unwrap_or_else(|| panic!("{text} in {}", encoding.name()));
                assert_eq!(found.decode_without_bom_handling(&bytes).0, text, "{}", encoding.name());
            }
        }
    }

    #[test]
    fn the_encoding_of_old_macs_is_told_by_its_letters() {
        for text in [
            "id;Bezeichnung\n1;Müslischüssel\n2;Größe für Töpfe\n3;Käsemesser\n",
            "id;désignation\n1;Théière émaillée\n2;Crème brûlée\n3;Forêt à l’orée\n",
            "id;nombre\n1;Jarrón pequeño\n2;Cuchara de té\n3;Sartén de aluminio y otras más\n",
        ] {
            check(text, MACINTOSH, Some(MACINTOSH));
        }
    }

    #[test]
    fn a_long_run_of_one_letter_is_looked_at_in_linear_time() {
        let chars = vec!['é'; 64 << 10];
        // Counted to the ends of the run, this would be four thousand million steps.
        assert!((0..chars.len()).all(|place| is_run(&chars, place)));
        let text = "é".repeat(64 << 10);
        assert!(
            explained(&text, WESTERN[0]).1 <= MAX_WORD_CHARS,
            "what is beyond the first letters of a word says no more"
        );
        assert_eq!(recognised(&[b"id,title\nA,".as_slice(), &[0xE9; 64 << 10]].concat()), None);
    }

    #[test]
    fn western_texts_stay_in_the_usual_encoding() {
        for text in [
            "id;Bezeichnung\n1;Müslischüssel\n2;Größe für Töpfe – „neu“\n3;Café crème\n",
            "id;désignation\n1;Théière émaillée\n2;Crème brûlée 9,99 €\n3;À l’orée du bois\n",
            "id;nombre\n1;Jarrón pequeño\n2;¿Té?\n",
            "id;namn\n1;Blå kopp\n2;Grön tallrik\n",
            "id;título\n1;Chávena de café\n2;Colher de açaí, São João\n",
            "id;nafn\n1;Þvottaefni\n2;Skeið úr við\n",
            "id;title\n1;Mug ®\n2;Cup 5° ½ l\n3;Plate\u{a0}x\n",
            "id;title\n1;Mug\n",
            "id;title\n1;Café\n",
        ] {
            check(text, WINDOWS_1252, None);
        }
    }

    #[test]
    fn turkish_is_told_and_other_alphabets_are_none() {
        check("id;ürün\n1;Yeşil çay bardağı\n2;Kırmızı şişe\n3;Ağaç kaşık\n", WINDOWS_1254, Some(WINDOWS_1254));
        check("id;title\n1;Mug 9,99 €\n2;Cup 7,50 €\n3;Plate 5 €\n", ISO_8859_15, Some(ISO_8859_15));
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode("а;б\n1;Кружка с цветами\n2;Ложка деревянная\n");
        assert_eq!(recognised(&bytes), None);
        let (bytes, ..) = encoding_rs::GBK.encode("甲,乙\n1,亚麻衬衫的优质面料\n2,适合夏天穿着\n");
        assert_eq!(recognised(&bytes), None);
    }
}
