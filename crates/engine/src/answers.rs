//! Answers to visitors: the one place where a request is assigned to an arm of the experiment, and where answers are
//! passed on to be recorded.
//!
//! In: a request, and the id of its answer. What traffic decides about it ([`Treatment`]: the arm, the version of the
//! models, the part that scores, what is drawn by chance) is decided once and holds for the answer and for its record.
//! Out: the answer, and the arm that it was made for. People who are being forgotten are already treated as unknown
//! visitors, also in the record.

use std::sync::Arc;

use accrue_serve::search::{QueryVector, ReadQuery};
use accrue_serve::{
    Degraded, PredictRequest, Prediction, RecommendRequest, Recommendation, Recommended, SearchAnswer, SearchRequest,
    Shop, SponsoredBy, Visitor,
};
use accrue_store::{Assignment, Offset, Page, Served, SponsoredSlot};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::running::Running;
use crate::status::IndexState;
use crate::traffic::Treatment;
use crate::what_if;

/// An answer to a visitor.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// The arm of the running experiment that it was made for, if there is one.
    pub arm: Option<Assignment>,
}

/// The vector of a query, the queries near it, and why a search goes without them.
type Meaning = (Option<Arc<QueryVector>>, Vec<(Arc<str>, f32)>, Option<Degraded>);

impl Engine {
    /// Recommendations. CPU-bound, about a millisecond. `id` names the answer: by it the answer is among those that are
    /// drawn by chance and among those that are recorded, or not. What the request itself says goes before what the arm
    /// says.
    ///
    /// # Errors
    /// None at present; requests are checked where they are read.
    pub fn recommend(&self, id: &str, request: RecommendRequest) -> Result<Answered<Recommendation>, EngineError> {
        let visitor = self.unless_hidden(request.visitor.clone());
        let first_position = request.offset;
        let visit = request.visit.clone().map(|visit| (visit, request.scene.clone().unwrap_or_default()));
        let mut request = request;
        let is_inline = request.events.is_some();
        if let Some((visit, scene)) = &visit {
            request.exclude.extend(self.inner.visits.shown_elsewhere(visit, scene));
        }
        request.lately_sponsored = self.lately_sponsored(&visitor);
        let asked = what_if::asked(&request);
        let answered = self.answer(id, &visitor, |_, shop, treatment| {
            let request = RecommendRequest {
                visitor: visitor.clone(),
                part: request.part.or(treatment.part()),
                diversity: request.diversity.or(treatment.diversity()),
                explore: request.explore.or(treatment.explore),
                n_on_sale: Some(self.inner.totals.n_on_sale(&shop, &request.list())),
                ..request
            };
            let (answer, work) = shop.recommend_measured(&request);
            self.inner.pages.add(&work);
            Ok(answer)
        })?;
        let Answered { answer, arm } = &answered;
        debug_assert!(answer.degraded.iter().all(|word| Degraded::is_known(word)), "{:?}", answer.degraded);
        if let Some((visit, scene)) = &visit {
            let items = answer.items.iter().map(|item| item.id.clone());
            self.inner.visits.show(visit, scene, first_position, items);
        }
        let sponsored = sponsored(&answer.items);
        self.record(id, !sponsored.is_empty(), || Served {
            sponsored,
            propensities: answer.propensities.clone(),
            ranks: answer.ranks.clone(),
            // A page of an inline history cannot be made again.
            asked: if is_inline { Box::default() } else { asked.to_record() },
            ..served(id, Page::Recommend, &visitor, first_position, arm, (answer.version, answer.offset), &answer.items)
        });
        Ok(answered)
    }

    /// Search. `id` names the answer, as in [`Engine::recommend`]. Hits are not drawn by chance.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn search(&self, id: &str, request: SearchRequest) -> Result<Answered<SearchAnswer>, EngineError> {
        let visitor = self.unless_hidden(request.visitor.clone());
        let (query, first_position) = (request.query.clone(), request.offset);
        let read = self.running().search.read(&query, request.typo)?;
        // Before the facts are locked, because encoding takes longer than the search.
        let (meaning, near, without) = self.meaning(&read);
        let mut answered = self.answer(id, &visitor, |running, shop, treatment| {
            let part = request.part.or(treatment.part());
            let request = SearchRequest { visitor: visitor.clone(), part, meaning, near, ..request };
            let mut answer = shop.search_read(read, &request)?;
            answer.degraded.extend(without.map(Degraded::name));
            if running.shared.search.lock().state != IndexState::Current {
                answer.degraded.push(Degraded::StaleIndex.name());
            }
            Ok(answer)
        })?;
        let ranked = std::mem::take(&mut answered.answer.ranked);
        let Answered { answer, arm } = &answered;
        self.running().shared.recent_searches.remember(id, &query, first_position, ranked);
        debug_assert!(answer.degraded.iter().all(|word| Degraded::is_known(word)), "{:?}", answer.degraded);
        self.record(id, false, || {
            let page = Page::Search { query: query.into() };
            served(id, page, &visitor, first_position, arm, (answer.version, answer.offset), &answer.hits)
        });
        Ok(answered)
    }

    /// What [`Engine::recommend`] would answer a shopper of no experiment, without a draw. Nothing is recorded, so that
    /// an operator who looks at a page is not taken for a shopper who saw it.
    pub fn preview(&self, request: RecommendRequest) -> Recommendation {
        let visitor = self.unless_hidden(request.visitor.clone());
        self.with_shop(|shop| {
            let n_on_sale = Some(self.inner.totals.n_on_sale(&shop, &request.list()));
            shop.recommend(&RecommendRequest { visitor, n_on_sale, explore: None, ..request })
        })
    }

    /// What [`Engine::search`] would answer, without a record as in [`Engine::preview`].
    ///
    /// # Errors
    /// Those of [`Engine::search`].
    pub fn preview_search(&self, request: SearchRequest) -> Result<SearchAnswer, EngineError> {
        let visitor = self.unless_hidden(request.visitor.clone());
        let read = self.running().search.read(&request.query, request.typo)?;
        let (meaning, near, without) = self.meaning(&read);
        let request = SearchRequest { visitor, meaning, near, ..request };
        let mut answer = self.with_shop(|shop| shop.search_read(read, &request))?;
        answer.degraded.extend(without.map(Degraded::name));
        Ok(answer)
    }

    /// The vector of a query in a server with an encoder and the queries near it, or why there are none.
    fn meaning(&self, query: &ReadQuery) -> Meaning {
        let running = self.running();
        let queries = &running.shared.queries;
        if !queries.is_on() || !query.has_meaning() {
            return (None, Vec::new(), None);
        }
        match queries.vector(&query.likely()) {
            Ok(vector) => (Some(vector.clone()), queries.near(&vector), None),
            Err(why) => (None, Vec::new(), Some(why)),
        }
    }

    /// How probable it is that a visitor clicks on, puts into the cart and buys the items of a page. The shared models
    /// answer, whatever arm the visitor is in; nothing is recorded.
    pub fn predict(&self, request: PredictRequest) -> Prediction {
        let visitor = self.unless_hidden(request.visitor.clone());
        self.with_shop(|shop| shop.predict(&PredictRequest { visitor, ..request }))
    }

    /// Decides how the visitor is answered, and has the answer made under that.
    fn answer<T>(
        &self,
        id: &str,
        visitor: &Visitor,
        make: impl FnOnce(&Running, Shop<'_>, &Treatment<'_>) -> Result<T, EngineError>,
    ) -> Result<Answered<T>, EngineError> {
        let running = self.running();
        let decide = |now_ms| self.inner.traffic.treatment(visitor, id, now_ms);
        running.with_shop_for(decide, |shop, treatment| {
            Ok(Answered { answer: make(&running, shop, &treatment)?, arm: treatment.assignment })
        })
    }

    /// The visitor for the answer: people who are being forgotten are already treated as unknown.
    pub(crate) fn unless_hidden(&self, visitor: Visitor) -> Visitor {
        let erasure = &self.inner.erasure;
        let is_hidden = erasure.is_running() && visitor.user.as_ref().is_some_and(|user| erasure.hides(user));
        if is_hidden { Visitor::default() } else { visitor }
    }

    /// The campaigns whose items a visitor was shown in answers that are not in the log yet.
    fn lately_sponsored(&self, visitor: &Visitor) -> Vec<Box<str>> {
        let running = self.running();
        if running.shared.facts.read().ledger.is_untouched() {
            return Vec::new();
        }
        running.shared.served.sponsored_to(visitor.user.as_ref(), visitor.session.as_ref())
    }

    /// Has an answer written into the log with the next group, if it must be, because clicks on it are charged, or if it
    /// is one of the share that is recorded. Does not wait.
    fn record(&self, id: &str, is_charged: bool, served: impl FnOnce() -> Served) {
        let running = self.running();
        let shared = &running.shared;
        if (is_charged || shared.served.keeps(id)) && shared.poisoned.load().is_none() {
            shared.served.push(served());
        }
    }
}

/// The sponsored items of an answer.
fn sponsored(items: &[Recommended]) -> Vec<SponsoredSlot> {
    let slot = |(place, item): (usize, &Recommended)| {
        let SponsoredBy { campaign, price } = item.sponsored.clone()?;
        Some(SponsoredSlot { place: place as u16, campaign, price })
    };
    items.iter().enumerate().filter_map(slot).collect()
}

/// What is recorded of an answer in which nothing was drawn.
fn served(
    id: &str,
    page: Page,
    visitor: &Visitor,
    first_position: usize,
    arm: &Option<Assignment>,
    (version, learned): (u64, u64),
    items: &[Recommended],
) -> Served {
    Served {
        recommendation_id: id.into(),
        page,
        user: visitor.user.clone(),
        session: visitor.session.clone(),
        version,
        learned: Offset(learned),
        first_position: first_position as u32,
        items: items.iter().map(|item| item.id.clone()).collect(),
        propensities: Vec::new(),
        arm: arm.clone(),
        ranks: Vec::new(),
        asked: Box::default(),
        sponsored: Vec::new(),
    }
}
