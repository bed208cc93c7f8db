//! Plurals that the stemmers do not know: lists (`plurals.txt`), and rules, by language.
//!
//! In: a word in lower case. Out: its singular, or a word that has the same stem. Lists are looked up by the word without its
//! marks, because shoppers leave them out. Only words that shops use are listed: a stemmer is right about most others.

use std::borrow::Cow;
use std::sync::LazyLock;

use tantivy::tokenizer::Language;

use super::fold::fold;
use super::language::LANGUAGES;

/// Shorter beginnings of a word are no first part of a compound.
const MIN_FIRST_CHARS: usize = 3;

/// The singular of a plural that the stemmer of the language does not know; other words stay.
pub(super) fn singular(language: Language, word: &str) -> Cow<'_, str> {
    let Some(lists) = lists(language) else { return ruled(language, word) };
    let plain = fold(word);
    let of = |plain: &str| lists.words.binary_search_by(|(plural, _)| (**plural).cmp(plain)).ok();
    if let Some(nth) = of(&plain).or_else(|| without_article(language, &plain).and_then(of)) {
        return Cow::Borrowed(lists.words[nth].1);
    }
    for (plural, singular) in &lists.endings {
        if let Some(first) = plain.strip_suffix(&**plural)
            && (first.is_empty() || first.chars().nth(MIN_FIRST_CHARS - 1).is_some())
        {
            // Stemmers need the marks of the first part.
            let starts = word.char_indices().map(|(at, _)| &word[..at]);
            let own = starts.rev().find(|start| fold(start) == first);
            return Cow::Owned(format!("{}{singular}", own.unwrap_or(first)));
        }
    }
    ruled(language, word)
}

/// An Arabic word without the article and what is written onto that.
fn without_article(language: Language, plain: &str) -> Option<&str> {
    let prefixes = ["وال", "بال", "كال", "فال", "لل", "ال"];
    (language == Language::Arabic).then(|| prefixes.iter().find_map(|prefix| plain.strip_prefix(prefix))).flatten()
}

/// A word that may be the singular, as the stemmer then reads it too; the word itself is still looked up.
pub(super) fn likely_singular(language: Language, word: &str) -> Option<String> {
    let rules: &[(&str, &str)] = match language {
        Language::Portuguese => &[
            ("ões", "ão"),
            ("oes", "ão"),
            ("ães", "ão"),
            ("aes", "ão"),
            ("ais", "al"),
            ("éis", "el"),
            ("eis", "el"),
            ("óis", "ol"),
            ("ois", "ol"),
            ("uis", "ul"),
            ("is", "il"),
        ],
        Language::Hungarian => {
            &[("ák", "a"), ("ék", "e"), ("ók", "ó"), ("ők", "ő"), ("ok", ""), ("ek", ""), ("ök", ""), ("ak", "")]
        }
        Language::Turkish => &[("lar", ""), ("ler", "")],
        // Words from other languages after a vowel: `Autos`, `Handys`, `Kiwis`.
        Language::German => &[("as", "a"), ("is", "i"), ("os", "o"), ("ys", "y")],
        Language::Romanian => &[("uri", ""), ("oane", "on")],
        Language::Arabic => &[("ات", "ة")],
        _ => return None,
    };
    rules.iter().find_map(|(plural, singular)| {
        let start = word.strip_suffix(plural)?;
        (start.chars().nth(1).is_some()).then(|| format!("{start}{singular}"))
    })
}

/// One stem for the two that a language's stemmer gives a word: of vowels that come and go, of consonants that change.
pub(super) fn usual_stem(language: Language, stem: Cow<'_, str>) -> Cow<'_, str> {
    match language {
        Language::Russian => without_fleeting_vowel(stem),
        Language::Finnish => ungraded(stem),
        _ => stem,
    }
}

/// `сумок` has the stem of `сумка`, `огурец` that of `огурцы`.
fn without_fleeting_vowel(stem: Cow<'_, str>) -> Cow<'_, str> {
    let is_vowel = |c: char| matches!(c, 'а' | 'е' | 'ё' | 'и' | 'о' | 'у' | 'ы' | 'э' | 'ю' | 'я');
    let mut last = stem.char_indices().rev();
    let (Some((at, consonant)), Some((before, vowel)), Some((_, first))) = (last.next(), last.next(), last.next())
    else {
        return stem;
    };
    let is_fleeting = matches!((vowel, consonant), ('о' | 'е', 'к') | ('е', 'ц' | 'л'));
    if !is_fleeting || is_vowel(first) || last.nth(1).is_none() {
        return stem;
    }
    Cow::Owned(format!("{}{}", &stem[..before], &stem[at..]))
}

/// Without the gradation of consonants: `takit` has the stem of `takki`, `kengat` that of `kenka`.
fn ungraded(stem: Cow<'_, str>) -> Cow<'_, str> {
    if stem.chars().nth(3).is_none() {
        return stem;
    }
    let mut plain = stem.as_ref();
    for ending in ["ej", "i"] {
        plain = plain.strip_suffix(ending).unwrap_or(plain);
    }
    if plain.ends_with("ka") || plain.ends_with("pa") || plain.ends_with("ta") {
        plain = &plain[..plain.len() - 1];
    }
    let changed = [("kk", "k"), ("pp", "p"), ("tt", "t"), ("ng", "nk"), ("d", "t"), ("da", "t")];
    match changed.iter().find_map(|(weak, strong)| Some((plain.strip_suffix(weak)?, strong))) {
        Some((start, strong)) => Cow::Owned(format!("{start}{strong}")),
        None if plain.len() == stem.len() => stem,
        None => Cow::Owned(plain.to_owned()),
    }
}

/// Plurals by rule.
fn ruled(language: Language, word: &str) -> Cow<'_, str> {
    match language {
        // The stemmer keeps the c of `lápices` and the z of `lápiz`.
        Language::Spanish => match word.strip_suffix('z') {
            Some(start) => Cow::Owned(format!("{start}c")),
            None => Cow::Borrowed(word),
        },
        // `stövlar` of `stövel`, `nycklar` of `nyckel`.
        Language::Swedish => match word.strip_suffix("lar") {
            Some(start) if start.ends_with(['b', 'd', 'f', 'g', 'k', 'p', 's', 't', 'v', 'x']) => {
                Cow::Owned(format!("{start}el"))
            }
            _ => Cow::Borrowed(word),
        },
        _ => Cow::Borrowed(word),
    }
}

/// Plurals of a language, in plain letters, with their singulars.
#[derive(Default)]
struct Lists {
    /// In their own order.
    words: Vec<(String, &'static str)>,
    /// Those that are also the end of compounds: `bookshelves`, `grandchildren`, `Zimmerkakteen`.
    endings: Vec<(String, &'static str)>,
}

/// The languages that have lists, each after its name.
static LISTS: LazyLock<Vec<(String, Lists)>> = LazyLock::new(|| read(include_str!("plurals.txt")));

/// Reads lists in the form that is described at the head of the file.
fn read(text: &'static str) -> Vec<(String, Lists)> {
    let mut all: Vec<(String, Lists)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(language) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            all.push((language.to_owned(), Lists::default()));
            continue;
        }
        let mut words = line.split(' ');
        let (Some(singular), Some((_, lists))) = (words.next(), all.last_mut()) else { continue };
        for form in words {
            match form.strip_prefix('-') {
                Some(ending) => lists.endings.push((fold(ending).into_owned(), singular)),
                None => lists.words.push((fold(form).into_owned(), singular)),
            }
        }
    }
    all.iter_mut().for_each(|(_, lists)| lists.words.sort_unstable());
    all
}

fn lists(language: Language) -> Option<&'static Lists> {
    static BY_LANGUAGE: LazyLock<Vec<(Language, &'static Lists)>> = LazyLock::new(|| {
        let of = |language: Language| LISTS.iter().find(|(name, _)| *name == format!("{language:?}"));
        LANGUAGES.iter().filter_map(|(_, language)| Some((*language, &of(*language)?.1))).collect()
    });
    BY_LANGUAGE.iter().find(|(known, _)| *known == language).map(|(_, lists)| *lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irregular_plurals_have_their_singular() {
        for (plural, word) in [
            ("mice", "mouse"),
            ("bookshelves", "bookshelf"),
            ("grandchildren", "grandchild"),
            ("minibuses", "minibus"),
            ("quizzes", "quiz"),
        ] {
            assert_eq!(singular(Language::English, plural), word);
        }
        for same in ["gloves", "sleeves", "olives", "abdomen", "specimen", "ice", "slices", "pumice", "abuse", "bus"] {
            assert_eq!(singular(Language::English, same), same);
        }
        assert_eq!(singular(Language::Swedish, "barnböcker"), "barnbok");
        assert_eq!(singular(Language::Swedish, "frånböcker"), "frånbok");
        assert_eq!(singular(Language::Dutch, "heieren"), "heieren", "one letter is no first part");
    }

    #[test]
    fn each_form_in_the_lists_has_one_word() {
        for (name, lists) in LISTS.iter() {
            assert!(LANGUAGES.iter().any(|(_, language)| format!("{language:?}") == *name), "{name}");
            let mut forms: Vec<&str> = lists.words.iter().chain(&lists.endings).map(|(form, _)| &**form).collect();
            forms.sort_unstable();
            assert!(forms.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {forms:?}");
        }
        assert_eq!(singular(Language::Arabic, "والأحذية"), "حذاء");
    }

    #[test]
    fn two_stems_of_a_word_become_one() {
        let usual = |language, stem: &'static str| usual_stem(language, Cow::Borrowed(stem)).into_owned();
        for (one, other) in [("сумок", "сумк"), ("туфел", "туфл"), ("огурец", "огурц")] {
            assert_eq!(usual(Language::Russian, one), other);
        }
        for same in ["сок", "человек", "блок"] {
            let expected = if same == "человек" { "человк" } else { same };
            assert_eq!(usual(Language::Russian, same), expected);
        }
        for (one, other) in [
            ("taki", "tak"),
            ("takkej", "tak"),
            ("keng", "kenk"),
            ("poyda", "poyt"),
            ("suka", "suk"),
            ("poyta", "poyt"),
        ] {
            assert_eq!(usual(Language::Finnish, one), other);
        }
    }
}
