//! Plurals that the stemmers do not know: short lists, and rules, by language.
//!
//! In: a word in lower case. Out: its singular, or a word that has the same stem. Lists are looked up by the word without its
//! marks, because shoppers leave them out. Only words that shops use are listed: a stemmer is right about most others.

use std::borrow::Cow;

use tantivy::tokenizer::Language;

use super::fold::fold;

/// Shorter beginnings of a word are no first part of a compound.
const MIN_FIRST_CHARS: usize = 3;

/// The singular of a plural that the stemmer of the language does not know; other words stay.
pub(super) fn singular(language: Language, word: &str) -> Cow<'_, str> {
    let Some(lists) = lists(language) else { return ruled(language, word) };
    let plain = fold(word);
    if let Ok(nth) = lists.words.binary_search_by(|(plural, _)| (*plural).cmp(&plain)) {
        return Cow::Borrowed(lists.words[nth].1);
    }
    for (plural, singular) in lists.endings {
        if let Some(first) = plain.strip_suffix(plural)
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
struct Lists {
    /// In their own order.
    words: &'static [(&'static str, &'static str)],
    /// Those that are also the end of compounds: `bookshelves`, `grandchildren`, `Zimmerkakteen`.
    endings: &'static [(&'static str, &'static str)],
}

fn lists(language: Language) -> Option<&'static Lists> {
    Some(match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
        Language::Dutch => &DUTCH,
        Language::Swedish => &SWEDISH,
        Language::Norwegian => &NORWEGIAN,
        Language::Danish => &DANISH,
        Language::Finnish => &FINNISH,
        Language::Hungarian => &HUNGARIAN,
        Language::Italian => &ITALIAN,
        Language::Romanian => &ROMANIAN,
        _ => return None,
    })
}

const ENGLISH: Lists = Lists {
    words: &[
        ("abuses", "abuse"),
        ("appendices", "appendix"),
        ("atlases", "atlas"),
        ("bureaux", "bureau"),
        ("cacti", "cactus"),
        ("calves", "calf"),
        ("canvases", "canvas"),
        ("chateaux", "chateau"),
        ("criteria", "criterion"),
        ("dwarves", "dwarf"),
        ("elves", "elf"),
        ("feet", "foot"),
        ("fungi", "fungus"),
        ("gases", "gas"),
        ("gateaux", "gateau"),
        ("geese", "goose"),
        ("gentlemen", "gentleman"),
        ("halves", "half"),
        ("hooves", "hoof"),
        ("indices", "index"),
        ("irises", "iris"),
        ("leaves", "leaf"),
        ("lenses", "lens"),
        ("lice", "louse"),
        ("loaves", "loaf"),
        ("matrices", "matrix"),
        ("men", "man"),
        ("mens", "man"),
        ("mice", "mouse"),
        ("octopi", "octopus"),
        ("oxen", "ox"),
        ("plateaux", "plateau"),
        ("quizzes", "quiz"),
        ("salesmen", "salesman"),
        ("snowmen", "snowman"),
        ("stimuli", "stimulus"),
        ("teeth", "tooth"),
        ("thieves", "thief"),
        ("trellises", "trellis"),
        ("vertices", "vertex"),
        ("wharves", "wharf"),
        ("wives", "wife"),
    ],
    endings: &[
        ("shelves", "shelf"),
        ("knives", "knife"),
        ("scarves", "scarf"),
        ("wolves", "wolf"),
        ("children", "child"),
        ("childrens", "child"),
        ("women", "woman"),
        ("womens", "woman"),
        ("buses", "bus"),
        ("dormice", "dormouse"),
        ("titmice", "titmouse"),
    ],
};

const GERMAN: Lists = Lists {
    words: &[("basen", "basis"), ("boni", "bonus"), ("praxen", "praxis"), ("themen", "thema"), ("viren", "virus")],
    endings: &[
        ("kakteen", "kaktus"),
        ("atlanten", "atlas"),
        ("globen", "globus"),
        ("alben", "album"),
        ("museen", "museum"),
        ("konten", "konto"),
        ("zentren", "zentrum"),
        ("aquarien", "aquarium"),
        ("terrarien", "terrarium"),
        ("stadien", "stadion"),
        ("villen", "villa"),
        ("firmen", "firma"),
        ("risiken", "risiko"),
        ("lexika", "lexikon"),
        ("espressi", "espresso"),
    ],
};

const DUTCH: Lists = Lists {
    words: &[
        ("baden", "bad"),
        ("dagen", "dag"),
        ("daken", "dak"),
        ("gaten", "gat"),
        ("leden", "lid"),
        ("vaten", "vat"),
        ("wegen", "weg"),
    ],
    endings: &[
        ("glazen", "glas"),
        ("eieren", "ei"),
        ("kinderen", "kind"),
        ("schepen", "schip"),
        ("steden", "stad"),
        ("bladeren", "blad"),
        ("bladen", "blad"),
        ("sloten", "slot"),
    ],
};

const SWEDISH: Lists = Lists {
    words: &[("oron", "öra"), ("soner", "son")],
    endings: &[
        ("bocker", "bok"),
        ("fotter", "fot"),
        ("ogon", "öga"),
        ("hander", "hand"),
        ("tander", "tand"),
        ("natter", "natt"),
        ("notter", "nöt"),
        ("rotter", "rot"),
        ("stader", "stad"),
        ("skor", "sko"),
        ("skorna", "sko"),
    ],
};

const NORWEGIAN: Lists = Lists {
    words: &[("menn", "mann"), ("oyne", "øye")],
    endings: &[
        ("boker", "bok"),
        ("fotter", "fot"),
        ("hender", "hånd"),
        ("tenner", "tann"),
        ("netter", "natt"),
        ("skoene", "sko"),
        ("skoen", "sko"),
        ("klaer", "klær"),
        ("nokler", "nøkkel"),
        ("stovler", "støvel"),
        ("sykler", "sykkel"),
        ("kabler", "kabel"),
        ("gafler", "gaffel"),
        ("tofler", "tøffel"),
    ],
};

const DANISH: Lists = Lists {
    words: &[],
    endings: &[
        ("skoene", "sko"),
        ("skoen", "sko"),
        ("haender", "hånd"),
        ("taender", "tand"),
        ("stovler", "støvle"),
        ("nogler", "nøgle"),
    ],
};

const FINNISH: Lists =
    Lists { words: &[("kadet", "käsi"), ("vedet", "vesi")], endings: &[("kenkia", "kenkä"), ("puvut", "puku")] };

const HUNGARIAN: Lists =
    Lists { words: &[("fuvek", "fű"), ("kovek", "kő"), ("lovak", "ló"), ("tavak", "tó")], endings: &[] };

const ITALIAN: Lists = Lists { words: &[("buoi", "bue"), ("uomini", "uomo")], endings: &[] };

const ROMANIAN: Lists =
    Lists { words: &[("carti", "carte"), ("mese", "masă"), ("roti", "roată"), ("usi", "ușă")], endings: &[] };

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
    fn the_lists_are_in_order_and_in_plain_letters() {
        for lists in
            [&ENGLISH, &GERMAN, &DUTCH, &SWEDISH, &NORWEGIAN, &DANISH, &FINNISH, &HUNGARIAN, &ITALIAN, &ROMANIAN]
        {
            assert!(lists.words.is_sorted());
            for (plural, _) in lists.words.iter().chain(lists.endings) {
                assert_eq!(fold(plural), *plural);
            }
        }
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
