//! What differs between languages: stemmers, stop words, and whether words are compounded.

use frostem::Stemmer;
use tantivy::tokenizer::{Language, LowerCaser, RawTokenizer, StopWordFilter, TextAnalyzer};

/// The stemmer for a locale such as `de-AT`.
pub(crate) fn language_of(locale: &str) -> Option<Language> {
    let language = locale.split(['-', '_']).next().unwrap_or(locale);
    LANGUAGES.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(language)).map(|(_, language)| *language)
}

/// The tag of each language with a stemmer; of several tags the usual one first.
pub(crate) const LANGUAGES: [(&str, Language); 20] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("nl", Language::Dutch),
    ("en", Language::English),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("de", Language::German),
    ("el", Language::Greek),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("no", Language::Norwegian),
    ("nb", Language::Norwegian),
    ("nn", Language::Norwegian),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("es", Language::Spanish),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// The Snowball stemmer of a language.
pub(super) fn stemmer(language: Language) -> Stemmer {
    let name = format!("{language:?}").to_lowercase();
    // Every language of `tantivy` is one of Snowball's, and the build has all that `tantivy` uses.
    Stemmer::try_from_name(&name).unwrap_or_else(|_| Stemmer::new(frostem::Algorithm::English))
}

/// Whether a language writes compounds as one word, so that a word is also looked for at the end of longer ones.
pub(crate) fn compounds(language: Language) -> bool {
    matches!(
        language,
        Language::German
            | Language::Dutch
            | Language::Danish
            | Language::Swedish
            | Language::Norwegian
            | Language::Finnish
            | Language::Hungarian
    )
}

/// Whether a word has little meaning in a language (a stop word).
pub(crate) struct StopWords(Option<TextAnalyzer>);

impl StopWords {
    pub(crate) fn new(language: Language) -> Self {
        Self(
            StopWordFilter::new(language)
                .map(|stop| TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(stop).build()),
        )
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.as_ref().is_some_and(|analyzer| !analyzer.clone().token_stream(word).advance())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_own_stemmer() {
        for (_, language) in LANGUAGES {
            let name = format!("{language:?}").to_lowercase();
            assert!(Stemmer::try_from_name(&name).is_ok(), "{name}");
        }
    }
}
