//! The texts of one condition, read once into a form in which a text of an item is looked up, however many there are.
//!
//! In: the normalised texts of a condition. Out: whether a text of an item is one of them, or holds one of them.

use accrue_event::normalised;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};

/// So few texts are compared one after the other.
const FEW: usize = 8;

/// The texts of a condition, normalised.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    /// In the order in which they are printed.
    given: Box<[Box<str>]>,
    /// The same texts in their own order.
    sorted: Box<[Box<str>]>,
    /// Seeks all of them in one pass over a text; only where several are sought.
    seeker: Option<AhoCorasick>,
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

impl Texts {
    /// Texts that whole texts are compared with.
    pub fn whole(given: Vec<Box<str>>) -> Self {
        let mut sorted = given.clone();
        sorted.sort_unstable();
        sorted.dedup();
        Self { given: given.into(), sorted: sorted.into(), seeker: None }
    }

    /// Texts that are sought within longer ones.
    pub fn sought(given: Vec<Box<str>>) -> Self {
        let texts = Self::whole(given);
        // Built for each request, so by the kind that is built fastest. Without one they are sought one after the other.
        let build = || {
            let texts = texts.sorted.iter().map(|text| text.as_bytes());
            AhoCorasickBuilder::new().kind(Some(AhoCorasickKind::ContiguousNFA)).build(texts).ok()
        };
        let seeker = if texts.sorted.len() > 1 { build() } else { None };
        Self { seeker, ..texts }
    }

    /// The texts as they were given.
    pub fn given(&self) -> &[Box<str>] {
        &self.given
    }

    /// The texts as they were given.
    pub fn into_given(self) -> Vec<Box<str>> {
        self.given.into_vec()
    }

    /// Each text once, in order.
    pub fn each(&self) -> &[Box<str>] {
        &self.sorted
    }

    /// Whether a normalised text is one of them.
    pub fn contain(&self, text: &str) -> bool {
        if self.sorted.len() <= FEW {
            return self.sorted.iter().any(|one| **one == *text);
        }
        self.sorted.binary_search_by(|one| (**one).cmp(text)).is_ok()
    }

    /// Whether a text of an item is one of them. Most texts of a shop are compared with one text without an allocation.
    pub fn have(&self, text: &str) -> bool {
        match &*self.sorted {
            [one] if text.is_ascii() => text.eq_ignore_ascii_case(one),
            _ => self.contain(&normalised(text)),
        }
    }

    /// Whether a normalised text holds one of them.
    pub fn occur_in(&self, text: &str) -> bool {
        match &self.seeker {
            Some(seeker) => seeker.is_match(text),
            None => self.sorted.iter().any(|one| text.contains(&**one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_texts_are_found_alike() {
        for n in [1, 2, FEW, FEW + 1, 400] {
            let texts: Vec<Box<str>> = (0..n).map(|n| format!("ärger {n}").into()).collect();
            let (whole, sought) = (Texts::whole(texts.clone()), Texts::sought(texts));
            for of in [0, n / 2, n - 1] {
                assert!(
                    whole.have(&format!("ÄRGER {of}")) && sought.occur_in(&format!("viel ärger {of}.")),
                    "{n} {of}"
                );
            }
            assert!(!whole.have(&format!("ärger {n}")) && !whole.have("ärger"), "{n}");
            assert!(!sought.occur_in("ärge 0") && !sought.occur_in(""), "{n}");
        }
        assert!(Texts::sought(vec!["".into(), "x".into()]).occur_in("a"), "an empty text is part of every text");
    }
}
