//! Slots: which places of the list the page has, and what is missing from it.

use std::ops::Range;

use super::{Candidate, Situation};
use crate::{Degraded, RecommendRequest};

/// Length of the list.
pub(crate) const DEPTH: usize = crate::MAX_DEPTH;

/// The places that the request asks for, up to the end of the list.
pub(super) fn places(request: &RecommendRequest) -> Range<usize> {
    let ends = request.offset.saturating_add(request.n).min(DEPTH);
    // A page beyond the list is empty, and needs no list.
    if request.offset >= ends { 0..0 } else { request.offset..ends }
}

/// The same places counted from place `n_before` of the list; none if they are before it.
pub(super) fn behind(places: &Range<usize>, n_before: usize) -> Range<usize> {
    places.start.saturating_sub(n_before)..places.end.saturating_sub(n_before)
}

/// The candidates at these places.
pub(super) fn cut(mut list: Vec<Candidate>, places: &Range<usize>) -> Vec<Candidate> {
    list.truncate(places.end);
    list.drain(..places.start.min(list.len()));
    list
}

/// What is missing from the page, by name.
pub(super) fn degraded(situation: &Situation<'_>, page: &[Candidate]) -> Vec<&'static str> {
    let Situation { shop, request, context, .. } = situation;
    let mut degraded = Vec::new();
    if request.scene.as_ref().is_some_and(|scene| shop.scenes.is_misspelt(scene)) {
        degraded.push(Degraded::UnknownScene.name());
    }
    if situation.scene.overrules(&request.seen) {
        degraded.push(Degraded::SeenPinned.name());
    }
    if context.past.is_empty() {
        degraded.push(Degraded::ColdUser.name());
    }
    if situation.about.is_empty() && !request.items.is_empty() {
        degraded.push(Degraded::UnknownItems.name());
    }
    if shop.facts.items.is_empty() {
        degraded.push(Degraded::EmptyCatalogue.name());
    } else if request.offset.saturating_add(page.len()) >= DEPTH && page.len() < request.n {
        degraded.push(Degraded::TooDeep.name());
    } else if page.len() < request.n {
        degraded.push(Degraded::FewCandidates.name());
    }
    degraded.extend(situation.work.fallbacks());
    degraded
}
