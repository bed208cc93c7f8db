//! Suggestions: what a shopper who is typing may want, before the search.
//!
//! In: the beginning of a text, and whose it is. Out: past queries, titles, brands and categories that begin like it,
//! best first, in plain text. Past queries are those of several different shoppers ([`accrue_store::Searches`]), so
//! that the text of one person is not shown to others. Nothing is suggested that a page would not show: of an item that
//! is sold out, retired, not published yet or hidden by a rule of the shop, nothing, and a brand or category only while it has an item that may be
//! shown.
//!
//! [`Suggestions`] is an index of the words in titles, brands and categories, derived from the catalogue and kept in
//! memory; one writer sets items, any number of readers ask. Each word of a request must be in a text, the last one as
//! the beginning of a word. Where fewer texts than wanted have the words as they are written, texts follow whose words
//! differ by typing errors (`words`): never above exact ones, and never in the first letter or in numbers. Two words also stand for
//! one, and one for two side by side (`spellings`). Of the variants of a product the best one is suggested. What one request
//! may compare is bounded, however many words begin like the last one (`matching`).
//!
//! ```text
//! score = begins · (FLOOR + popularity) · (1 + OWN · own)
//! ```
//!
//! `begins` is 1 if the text begins like the request, and less if a later word does; `popularity` is how the best item
//! sells compared with the leader of the shop; `own` is the part of the shopper's latest choices that are of the same
//! category or brand. Equal scores are ordered by text.

mod index;
mod matching;
mod spellings;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};

use accrue_event::normalised;
use accrue_store::ItemIdx;
use serde::Serialize;

use self::index::{MAX_COMPARED, SuggestedText};
pub use self::index::{SuggestionKind, Suggestions};
use self::matching::Left;
use self::words::errors_allowed;
pub(crate) use self::words::words;
use crate::rules::ActiveRules;
use crate::shop::Product;
use crate::{Shop, Visitor};

/// Suggestions in one answer, at most.
pub const MAX_SUGGESTIONS: usize = 50;
/// Best sellers that are compared if the texts are too many.
const MAX_LEADERS: usize = 256;
/// Choices of a shopper that say what they like.
const CHOICES: usize = 50;

/// What a text that never sold is worth.
const FLOOR: f32 = 0.1;
/// Where a later word of a text begins like the request.
const LATER: f32 = 0.7;
/// How much the shopper's own categories count.
const OWN: f32 = 1.0;
/// What brands and categories, which lead to many items, are worth beside titles.
const GROUP: f32 = 1.5;

/// What queries are worth beside titles, and how much must be chosen after one for half of it.
const QUERY: f32 = 2.0;
const HALF: f32 = 20.0;
/// Past queries that are compared for one answer.
const MAX_QUERIES: usize = 500;

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// Plain text, as the shop writes it.
    pub text: Box<str>,
    /// What it is.
    pub kind: SuggestionKind,
    /// The item, for one.
    pub id: Option<Box<str>>,
}

/// The caller that asks for suggestions, and how many it asks for.
#[derive(Clone, Debug, Default)]
pub struct SuggestRequest {
    /// What the shopper has typed so far.
    pub query: String,
    /// The visitor.
    pub visitor: Visitor,
    /// Suggestions wanted, at most [`MAX_SUGGESTIONS`].
    pub n: usize,
}

/// What decides beside the text: what the visitor likes, and the rules of the shop that hold for what was typed.
struct Asker<'a> {
    /// The part of the visitor's latest choices in each category and brand.
    liked: HashMap<Box<str>, f32>,
    rules: ActiveRules<'a>,
}

/// A text that matches, with its score.
struct Scored {
    entry: u32,
    item: ItemIdx,
    score: f32,
}

impl Shop<'_> {
    /// Suggestions for what a shopper is typing. Without a letter or digit there are none.
    pub fn suggest(&self, suggestions: &Suggestions, request: &SuggestRequest) -> Vec<Suggestion> {
        let typed = words(&request.query);
        let n = request.n.min(MAX_SUGGESTIONS);
        if typed.is_empty() || n == 0 {
            return Vec::new();
        }
        let rules = ActiveRules::of(self, Some(&request.query), None);
        let asker = Asker { liked: self.liked(&request.visitor), rules };
        let mut left = Left::default();
        let exact = suggestions.matching(&typed, false, &mut left);
        let mut chosen = self.best(suggestions, exact, &typed, &asker);
        chosen.extend(self.otherwise_spelled(suggestions, &typed, &asker, &mut left));
        sort(suggestions, &mut chosen);
        let mut products = HashSet::new();
        self.keep_one_of_each_product(suggestions, &mut chosen, &mut products);
        chosen.truncate(n);
        let mut n_near = 0;
        if chosen.len() < n && typed.iter().any(|word| errors_allowed(word) > 0) {
            let known: HashSet<u32> = chosen.iter().map(|scored| scored.entry).collect();
            let near = suggestions.matching(&typed, true, &mut Left::default());
            let near = near.into_iter().filter(|entry| !known.contains(entry)).collect();
            let mut near = self.best(suggestions, near, &typed, &asker);
            self.keep_one_of_each_product(suggestions, &mut near, &mut products);
            n_near = near.len().min(n - chosen.len());
            chosen.extend(near.into_iter().take(n_near));
        }
        let queries = self.past_queries(&request.query, n, &asker.rules);
        let suggestion = |scored: Scored| {
            let SuggestedText { kind, text, .. } = &suggestions.entries[scored.entry as usize];
            let id = (*kind == SuggestionKind::Item).then(|| self.facts.items.name(scored.item)).flatten();
            Suggestion { text: text.clone(), kind: *kind, id: id.map(Box::from) }
        };
        let texts = chosen.into_iter().map(|scored| (scored.score, suggestion(scored)));
        let mut all: Vec<(f32, Suggestion)> = queries.into_iter().chain(texts).collect();
        // A stable sort: queries come before equal texts, and corrected texts stay behind exact ones.
        let n_exact = all.len() - n_near;
        all[..n_exact].sort_by(|(a, _), (b, _)| b.total_cmp(a));
        all.truncate(n);
        all.into_iter().map(|(_, suggestion)| suggestion).collect()
    }

    /// Whether an item may be shown, and no rule of the shop leaves it out.
    fn may_suggest(&self, item: ItemIdx, rules: &ActiveRules<'_>) -> bool {
        self.may_recommend(item, None) && !rules.hides(self, item)
    }

    /// The entries that have the words written together or apart.
    fn otherwise_spelled(
        &self,
        suggestions: &Suggestions,
        typed: &[String],
        asker: &Asker<'_>,
        left: &mut Left,
    ) -> Vec<Scored> {
        let mut all: Vec<Scored> = Vec::new();
        for spelling in suggestions.spellings(typed) {
            let mut matching = suggestions.matching(&spelling.words, false, left);
            matching.retain(|&entry| spelling.fits(&suggestions.entries[entry as usize].text));
            let scored =
                matching.into_iter().filter_map(|entry| self.score_entry(suggestions, entry, &spelling.words, asker));
            all.extend(scored);
        }
        all
    }

    /// Keeps the first title of each product, as pages show one variant of it; and each other entry once.
    fn keep_one_of_each_product(
        &self,
        suggestions: &Suggestions,
        scored: &mut Vec<Scored>,
        products: &mut HashSet<Product>,
    ) {
        let mut known = HashSet::new();
        scored.retain(|one| {
            let is_item = suggestions.entries[one.entry as usize].kind == SuggestionKind::Item;
            known.insert(one.entry) && (!is_item || products.insert(self.product(one.item)))
        });
    }

    /// What several different shoppers searched for, and chose something after that may still be shown. What was typed
    /// already is not suggested again.
    fn past_queries(&self, typed: &str, n: usize, rules: &ActiveRules<'_>) -> Vec<(f32, Suggestion)> {
        let common = self.facts.searches.common(typed, MAX_QUERIES, self.facts.stream_time.0);
        let is_new = |text: &str| words(text) != words(typed);
        let leads = |items: &[ItemIdx]| items.iter().any(|&item| self.may_suggest(item, rules));
        let mut queries: Vec<(f32, Suggestion)> = common
            .into_iter()
            .filter(|(text, items, _)| is_new(text) && !text.contains(['<', '>']) && leads(items))
            .map(|(text, _, chosen)| {
                let suggestion = Suggestion { text: text.into(), kind: SuggestionKind::Query, id: None };
                (QUERY * (FLOOR + chosen / (chosen + HALF)), suggestion)
            })
            .collect();
        queries.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.text.cmp(&other.text)));
        queries.truncate(n);
        queries
    }

    /// The entries that may be shown, best first. Best sellers that match are among them, also if they were not looked
    /// at.
    fn best(
        &self,
        suggestions: &Suggestions,
        mut matching: Vec<u32>,
        typed: &[String],
        asker: &Asker<'_>,
    ) -> Vec<Scored> {
        if matching.len() >= MAX_COMPARED / 2 {
            let leaders = self.version.ensemble.popularity().leaders(self.facts.stream_time.0);
            let titles = leaders.take(MAX_LEADERS).filter_map(|leader| suggestions.title_of(leader.item));
            matching.extend(titles.filter(|&entry| has_all(&suggestions.entries[entry as usize].text, typed)));
            matching.sort_unstable();
            matching.dedup();
        }
        let mut scored: Vec<Scored> =
            matching.into_iter().filter_map(|entry| self.score_entry(suggestions, entry, typed, asker)).collect();
        sort(suggestions, &mut scored);
        scored
    }

    fn score_entry(
        &self,
        suggestions: &Suggestions,
        entry: u32,
        typed: &[String],
        asker: &Asker<'_>,
    ) -> Option<Scored> {
        let place = entry;
        let entry = suggestions.entries.get(entry as usize)?;
        let mut best: Option<(f32, ItemIdx)> = None;
        for &item in &entry.items {
            let standing = self.own_standing(item);
            // Only what would be the best so far is asked for, because each rule may read texts.
            if best.is_none_or(|(known, _)| standing > known) && self.may_suggest(item, &asker.rules) {
                best = Some((standing, item));
            }
        }
        let (standing, item) = best?;
        let own = match entry.kind {
            _ if asker.liked.is_empty() => 0.0,
            SuggestionKind::Item => self.facts.described(item).map_or(0.0, |item| {
                let part = |text: &str| asker.liked.get(&*normalised(text)).copied().unwrap_or(0.0);
                let category = item.categories().iter().map(|text| part(text)).fold(0.0, f32::max);
                0.5 * (category + item.brand().map_or(0.0, part))
            }),
            _ => asker.liked.get(&*normalised(&entry.text)).copied().unwrap_or(0.0),
        };
        let begins = if begins_like(&entry.text, &typed[0]) { 1.0 } else { LATER };
        let group = if entry.kind == SuggestionKind::Item { 1.0 } else { GROUP };
        let score = begins * group * (FLOOR + standing) * (1.0 + OWN * own);
        Some(Scored { entry: place, item, score })
    }

    /// The part of the visitor's latest choices in each category and brand.
    fn liked(&self, visitor: &Visitor) -> HashMap<Box<str>, f32> {
        let past = self.past(visitor, None, &[]);
        let choices: Vec<ItemIdx> = past.history.past().iter().rev().take(CHOICES).map(|event| event.item).collect();
        let mut liked: HashMap<Box<str>, f32> = HashMap::new();
        for &item in &choices {
            let Some(described) = self.facts.described(item) else { continue };
            let groups: BTreeSet<_> =
                described.categories().iter().map(|text| &**text).chain(described.brand()).map(normalised).collect();
            for group in groups {
                *liked.entry(group.into()).or_default() += 1.0 / choices.len() as f32;
            }
        }
        liked
    }
}

/// Best first; equal scores by text.
fn sort(suggestions: &Suggestions, scored: &mut [Scored]) {
    let text = |entry: u32| &suggestions.entries[entry as usize].text;
    scored.sort_unstable_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| text(a.entry).cmp(text(b.entry))).then(a.entry.cmp(&b.entry))
    });
}

/// Whether the first word of a text begins like this one.
fn begins_like(text: &str, typed: &str) -> bool {
    if text.is_ascii() {
        let start = text.as_bytes().get(..typed.len());
        return start.is_some_and(|start| start.eq_ignore_ascii_case(typed.as_bytes()));
    }
    words(text).first().is_some_and(|word| word.starts_with(typed))
}

/// Whether a text has each of these words, the last one as a beginning.
fn has_all(text: &str, typed: &[String]) -> bool {
    let words = words(text);
    let Some((last, whole)) = typed.split_last() else { return false };
    whole.iter().all(|typed| words.contains(typed)) && words.iter().any(|word| word.starts_with(&**last))
}

#[cfg(test)]
mod tests;
