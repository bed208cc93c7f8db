//! Words of one meaning: those of the shop, and a short list that every shop shares.
//!
//! A line is a group, `brolly, umbrella, parasol`: each of its words also finds the others; or it has a direction,
//! `notebook => laptop`: the words on the left also find those on the right. `#` begins a comment. What a word stands for is
//! looked up once and not again for the result, so lists that lead in circles end.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use tantivy::tokenizer::Language;

use super::analysis::{Analyzer, CHARACTER, Kind, Word, compose};

/// What a synonym is worth, in comparison with the word itself.
const WORTH: f32 = 0.9;
/// Bytes of a list.
pub const MAX_SYNONYMS_BYTES: usize = 4 << 20;
/// Names in one line.
const MAX_NAMES: usize = 64;
/// Words of one name.
const MAX_WORDS: usize = 6;
/// Terms that one name is looked for by.
const MAX_TERMS: usize = 12;
/// Bytes of one name.
const MAX_NAME_BYTES: usize = 256;
/// What one name may stand for, from all lines.
const MAX_MEANINGS: usize = 128;

/// A list of synonyms as a shop writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synonyms {
    rules: Vec<Rule>,
}

/// Names that are typed, and the names that they also find.
type Rule = (Vec<Box<str>>, Vec<Box<str>>);

/// Why a list of synonyms cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SynonymError {
    /// The list is too long.
    #[error("the list of synonyms has {size_bytes} bytes; {MAX_SYNONYMS_BYTES} are allowed")]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// A line is none of `a, b, c` and `a => b`.
    #[error("line {line} of the synonyms: {fault}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
}

/// What is wrong with a line of synonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It has two arrows.
    #[error("it has two arrows; write one rule a line")]
    TwoArrows,
    /// Nothing stands on a side of the arrow.
    #[error("a side of the arrow is empty; write `brolly => umbrella`")]
    EmptySide,
    /// It has one name and no arrow.
    #[error("it has one name; write `brolly, umbrella` or `brolly => umbrella`")]
    OneName,
    /// It has too many names.
    #[error("it has more than {MAX_NAMES} names; write several lines")]
    ManyNames,
    /// A name has too many words.
    #[error("a name has more than six words")]
    ManyWords,
    /// A name is too long.
    #[error("a name has more than {MAX_NAME_BYTES} bytes")]
    LongName,
    /// A name has a control character.
    #[error("a name has a control character")]
    ControlCharacter,
    /// A name has neither letters nor digits.
    #[error("a name has neither letters nor digits")]
    NoLetter,
}

impl Synonyms {
    /// Reads a list.
    ///
    /// ```
    /// use accrue_serve::search::Synonyms;
    ///
    /// let synonyms = Synonyms::parse("brolly, umbrella  # both ways\nnotebook => laptop\n")?;
    /// assert_eq!(synonyms.len(), 2);
    /// assert!(Synonyms::parse("alone\n").is_err());
    /// # Ok::<(), accrue_serve::search::SynonymError>(())
    /// ```
    ///
    /// # Errors
    /// If a line has neither two names nor a direction, or the list is too long.
    pub fn parse(text: &str) -> Result<Self, SynonymError> {
        if text.len() > MAX_SYNONYMS_BYTES {
            return Err(SynonymError::TooLong { size_bytes: text.len() });
        }
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                rules.push(rule(line).map_err(|fault| SynonymError::Line { line: i + 1, fault })?);
            }
        }
        Ok(Self { rules })
    }

    /// These rules and others.
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }

    /// Lines with a rule.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The names of a line: what is typed, and what that also finds.
fn rule(line: &str) -> Result<Rule, LineFault> {
    let names = |text: &str| -> Vec<Box<str>> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect()
    };
    let (from, to) = match line.split_once("=>") {
        Some((_, to)) if to.contains("=>") => return Err(LineFault::TwoArrows),
        Some((from, to)) => (names(from), names(to)),
        None => (names(line), names(line)),
    };
    match (from.len(), to.len()) {
        (0, _) | (_, 0) => Err(LineFault::EmptySide),
        (1, 1) if !line.contains("=>") => Err(LineFault::OneName),
        (n_from, n_to) if n_from > MAX_NAMES || n_to > MAX_NAMES => Err(LineFault::ManyNames),
        _ => from.iter().chain(&to).try_for_each(|name| usable(name)).map(|()| (from, to)),
    }
}

/// Refuses a name that no query can have.
fn usable(name: &str) -> Result<(), LineFault> {
    if name.split_whitespace().count() > MAX_WORDS {
        Err(LineFault::ManyWords)
    } else if name.len() > MAX_NAME_BYTES {
        Err(LineFault::LongName)
    } else if name.chars().any(char::is_control) {
        Err(LineFault::ControlCharacter)
    } else if name.chars().all(|c| c.is_ascii_punctuation()) {
        Err(LineFault::NoLetter)
    } else {
        Ok(())
    }
}

/// Takes the concepts that a name covers, the stems that it also finds, and what these are worth.
type AddMeaning<'a> = dyn FnMut(Range<usize>, &[String], f32) + 'a;

/// The synonyms of a shop and the common ones of its language, as stems.
#[derive(Clone, Debug, Default)]
pub(super) struct Meanings {
    /// By the stems of a name with blanks between them, the stems of each name that it also finds.
    by_name: BTreeMap<String, Vec<Vec<String>>>,
    /// Words of the longest name.
    longest: usize,
    /// The common ones of Han text, if they are in use; read when the first query with Han text comes, because that
    /// needs the dictionary.
    han: Option<Arc<LazyLock<Meanings>>>,
}

/// The common synonyms of Han text.
fn common_han() -> Meanings {
    let mut meanings = Meanings::default();
    let list = Synonyms::parse(include_str!("common/zh.txt")).unwrap_or_default();
    meanings.add(&list, &Analyzer::new(Language::English));
    meanings
}

impl Meanings {
    pub(super) fn new(own: &Synonyms, language: Language, has_common: bool) -> Self {
        let analyzer = Analyzer::new(language);
        let mut meanings = Self::default();
        meanings.add(own, &analyzer);
        let common = if has_common { common(language) } else { "" };
        // The lists of the program are read by a test.
        meanings.add(&Synonyms::parse(common).unwrap_or_default(), &analyzer);
        meanings.han = has_common.then(|| Arc::new(LazyLock::new(common_han as fn() -> Meanings)));
        meanings
    }

    /// These and more.
    pub(super) fn with(&self, more: &Synonyms, language: Language) -> Self {
        let mut meanings = self.clone();
        meanings.add(more, &Analyzer::new(language));
        meanings
    }

    fn add(&mut self, synonyms: &Synonyms, analyzer: &Analyzer) {
        for (from, to) in &synonyms.rules {
            let to: Vec<(Vec<String>, Vec<String>)> = to.iter().map(|name| stems(analyzer, name)).collect();
            for name in from {
                let (name, _) = stems(analyzer, name);
                if !(1..=MAX_WORDS).contains(&name.len()) {
                    continue;
                }
                self.longest = self.longest.max(name.len());
                let known = self.by_name.entry(name.join(" ")).or_default();
                for (other, terms) in &to {
                    let is_new = *other != name && !known.contains(terms);
                    if is_new && (1..=MAX_TERMS).contains(&terms.len()) && known.len() < MAX_MEANINGS {
                        known.push(terms.clone());
                    }
                }
            }
        }
    }

    /// Reads the common ones of Han text, if they are in use, before a query needs them.
    pub(super) fn load_han(&self) {
        if let Some(han) = &self.han {
            LazyLock::force(han);
        }
    }

    /// Calls `add` with the concepts that a name in the query covers, the stems that it also finds and what these are worth.
    pub(super) fn expand(&self, words: &[Word], add: &mut AddMeaning<'_>) {
        for start in 0..words.len() {
            for end in start + 1..=words.len().min(start + self.longest) {
                let name: Vec<&str> = words[start..end].iter().map(|word| &*word.term).collect();
                for other in self.by_name.get(&name.join(" ")).into_iter().flatten() {
                    add(start..end, other, WORTH);
                }
            }
        }
        if let Some(han) = &self.han
            && words.iter().any(|word| word.kind == Kind::Han)
        {
            han.expand(words, add);
        }
    }
}

/// The stems of a name as a query has them, and as they are looked for in titles: Han text by its characters side by
/// side, because a title may be split into words otherwise.
fn stems(analyzer: &Analyzer, name: &str) -> (Vec<String>, Vec<String>) {
    let (mut stems, mut terms) = (Vec::new(), Vec::new());
    analyzer.query_words(&compose(name), |word| {
        match word.kind {
            Kind::Han => terms.extend(word.plain.chars().map(|c| format!("{CHARACTER}{c}"))),
            _ => terms.push(word.term.clone()),
        }
        stems.push(word.term);
    });
    (stems, terms)
}

fn common(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("common/en.txt"),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_which_line_is_wrong() {
        let synonyms = Synonyms::parse("\u{feff}# shop\nbrolly, umbrella,\r\n\n a b => c , d # why\n").unwrap();
        assert_eq!(synonyms.len(), 2);
        let unusable = ["a b c d e f g, h", "a, \u{0}", "a, -"].map(|text| (text, 1));
        let faulty = [("a, b\nc", 2), ("=> b", 1), ("a =>", 1), ("a => b => c", 1), (",,", 1)];
        for (text, line) in faulty.into_iter().chain(unusable) {
            assert!(matches!(Synonyms::parse(text), Err(SynonymError::Line { line: at, .. }) if at == line), "{text}");
        }
        let long = "a,".repeat(65) + "b";
        assert!(Synonyms::parse(&long).is_err());
        assert!(matches!(Synonyms::parse(&"a, b\n".repeat(1_000_000)), Err(SynonymError::TooLong { .. })));
    }

    #[test]
    fn the_common_lists_can_be_read() {
        assert!(Synonyms::parse(common(Language::English)).unwrap().len() > 40);
        assert!(Synonyms::parse(include_str!("common/zh.txt")).unwrap().len() > 60);
    }
}
