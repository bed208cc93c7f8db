//! Answers to visitors: the one place where a request is assigned to an arm of the experiment, and where answers are
//! passed on to be recorded.
//!
//! In: a request, and the id of its answer. What traffic decides about it ([`Treatment`]: the arm, the version of the
//! models, the part that scores, what is drawn by chance) is decided once and holds for the answer and for its record.
//! Out: the answer, and the arm that it was made for. People who are being forgotten are already treated as unknown
//! visitors, also in the record.

use std::sync::Arc;

use accrue_event::PublishedSettings;
use accrue_serve::search::{QueryVector, ReadQuery};
use accrue_serve::{
    Degraded, PredictRequest, Prediction, RecommendRequest, Recommendation, Recommended, SearchAnswer, SearchRequest,
    Shop, SponsoredBy, SuggestRequest, Suggestion, Visitor,
};
use accrue_store::{Assignment, Facts, Offset, Page, Served, SponsoredSlot, Trial};

use crate::by_asker::Asker;
use crate::clock::now;
use crate::content::queries::Encoding;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::running::Running;
use crate::status::IndexState;
use crate::traffic::Treatment;
use crate::what_if::{self, AskedPage};
use crate::write::addresses::Counted;

/// An answer to a visitor.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// The arm of the running experiment that it was made for, if there is one.
    pub arm: Option<Assignment>,
}

/// A search whose query was read and whose answer was not computed yet.
pub struct StartedSearch {
    running: Arc<Running>,
    read: ReadQuery,
    /// Of the vector of the query, if it has to be waited for.
    encoding: Option<Encoding>,
    request: SearchRequest,
    asker: Asker,
}

impl StartedSearch {
    /// Whether the vector of the query is being computed.
    pub fn is_waiting(&self) -> bool {
        self.encoding.is_some()
    }

    /// Ends when the vector of the query is there, or the search has waited for it as long as the settings say. No thread
    /// is blocked meanwhile.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let (running, encoding) = (Arc::clone(&self.running), self.encoding.clone());
        async move {
            if let Some(encoding) = encoding {
                running.shared.queries.ended(&encoding).await;
            }
        }
    }
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
        self.recommend_to(Asker::Shop, id, request)
    }

    /// The same for whoever asks. What a key in a page asks for can be asked for by anyone, in the name of invented
    /// sessions: it is bounded, and recorded as such.
    ///
    /// # Errors
    /// None at present.
    pub fn recommend_to(
        &self,
        asker: Asker,
        id: &str,
        request: RecommendRequest,
    ) -> Result<Answered<Recommendation>, EngineError> {
        let visitor = self.unless_hidden(request.visitor.clone());
        let first_position = request.offset;
        let visit = request.visit.clone().map(|visit| (visit, request.scene.clone().unwrap_or_default()));
        let mut request = request;
        if let Some((visit, scene)) = &visit {
            request.exclude.extend(self.inner.visits.shown_elsewhere(asker, visit, scene));
        }
        request.lately_sponsored = self.lately_sponsored(&visitor);
        request.may_be_sponsored = self.has_room_for(CountedPage::Sponsored, asker);
        let may_try_new = self.has_room_for(CountedPage::Trial, asker);
        let may_draw = asker == Asker::Shop || self.inner.config.serve.explore.budget.is_none();
        let asked = what_if::asked(&request);
        let answered = self.answer(&self.running(), id, &visitor, |shop, treatment| {
            // What an arm changes about a page is no part of the request, so such a page cannot be made again.
            let asked = asked.filter(|_| treatment.part().is_none() && treatment.diversity().is_none());
            let request = RecommendRequest {
                visitor: visitor.clone(),
                part: request.part.or(treatment.part()),
                diversity: request.diversity.or(treatment.diversity()),
                explore: request.explore.or(treatment.explore.filter(|_| may_draw)),
                new_trial: request.new_trial.or(treatment.new_trial).filter(|_| may_try_new),
                n_on_sale: Some(self.inner.totals.n_on_sale(&shop, &request.list())),
                ..request
            };
            let asked = asked.map(|asked| AskedPage { known: Some(shop.facts.end), ..asked });
            let (answer, work) = shop.recommend_measured(&request);
            self.inner.pages.add(&work);
            Ok((answer, asked))
        })?;
        let Answered { answer: (answer, asked), arm } = answered;
        debug_assert!(answer.degraded.iter().all(|word| Degraded::is_known(word)), "{:?}", answer.degraded);
        if let Some((visit, scene)) = &visit {
            let items = answer.items.iter().map(|item| item.id.clone());
            self.inner.visits.show(asker, visit, scene, first_position, items);
        }
        let sponsored = sponsored(&answer.items);
        if !sponsored.is_empty() {
            self.count_page(CountedPage::Sponsored, asker);
        }
        if answer.trial != Trial::None {
            self.count_page(CountedPage::Trial, asker);
        }
        self.record(asker, id, !sponsored.is_empty(), || Served {
            sponsored,
            published: asker != Asker::Shop,
            propensities: answer.propensities.clone(),
            ranks: answer.ranks.clone(),
            trial: answer.trial.clone(),
            asked: asked.map(|asked| asked.to_record()).unwrap_or_default(),
            ..served(
                id,
                Page::Recommend,
                &visitor,
                first_position,
                &arm,
                (answer.version, answer.offset),
                &answer.items,
            )
        });
        Ok(Answered { answer, arm })
    }

    /// Begins a search: its query is read, and where searches compare vectors and this one is not known, it is being
    /// computed. [`StartedSearch::ready`] waits for it.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn start_search(&self, request: SearchRequest) -> Result<StartedSearch, EngineError> {
        self.start_search_of(Asker::Shop, request)
    }

    /// [`Engine::start_search`] by `asker`.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn start_search_of(&self, asker: Asker, request: SearchRequest) -> Result<StartedSearch, EngineError> {
        let running = self.running();
        let read = running.search.read(&request.query, request.typo)?;
        let queries = &running.shared.queries;
        // Why there is no vector is looked up again by the search, which says it.
        let encoding = match queries.is_on() && read.has_meaning() {
            true => queries.begin(asker, &read.likely()),
            false => None,
        };
        Ok(StartedSearch { running, read, encoding, request, asker })
    }

    /// Search, which waits for the vector of its query and blocks the thread meanwhile. `id` names the answer, as in
    /// [`Engine::recommend`]. Hits are not drawn by chance.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn search(&self, id: &str, request: SearchRequest) -> Result<Answered<SearchAnswer>, EngineError> {
        let search = self.start_search(request)?;
        if let Some(encoding) = &search.encoding {
            search.running.shared.queries.wait(encoding);
        }
        self.finish_search(id, search)
    }

    /// The answer of a search that was begun, with the vector of its query if it is there by now. Does not wait.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn finish_search(&self, id: &str, search: StartedSearch) -> Result<Answered<SearchAnswer>, EngineError> {
        // One run for the whole search: an erasure that ends meanwhile starts another, in which items have other indices.
        let StartedSearch { running, read, request, asker, .. } = search;
        let visitor = self.unless_hidden(request.visitor.clone());
        let (query, first_position) = (request.query.clone(), request.offset);
        // Before the facts are locked, because encoding takes longer than the search.
        let (meaning, near, without) = meaning(&running, &read);
        let mut answered = self.answer(&running, id, &visitor, |shop, treatment| {
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
        running.shared.recent_searches.remember(asker, id, &query, first_position, ranked);
        debug_assert!(answer.degraded.iter().all(|word| Degraded::is_known(word)), "{:?}", answer.degraded);
        // An index that is not up to date may lack what was searched for: that nothing was found then says nothing of the search.
        let is_telling = !answer.hits.is_empty() || !answer.degraded.contains(&Degraded::StaleIndex.name());
        if is_telling {
            self.record(asker, id, false, || {
                let page = Page::Search { query: query.into() };
                Served {
                    published: asker != Asker::Shop,
                    ..served(id, page, &visitor, first_position, arm, (answer.version, answer.offset), &answer.hits)
                }
            });
        }
        Ok(answered)
    }

    /// What [`Engine::recommend`] would answer a shopper of no experiment, without a draw. Nothing is recorded, so that
    /// an operator who looks at a page is not taken for a shopper who saw it.
    pub fn preview(&self, request: RecommendRequest) -> Recommendation {
        let visitor = self.unless_hidden(request.visitor.clone());
        self.with_shop(|shop| {
            let n_on_sale = Some(self.inner.totals.n_on_sale(&shop, &request.list()));
            shop.recommend(&RecommendRequest { visitor, n_on_sale, explore: None, new_trial: None, ..request })
        })
    }

    /// What [`Engine::finish_search`] would answer, without a record as in [`Engine::preview`].
    ///
    /// # Errors
    /// Those of [`Engine::finish_search`].
    pub fn preview_search(&self, search: StartedSearch) -> Result<SearchAnswer, EngineError> {
        let StartedSearch { running, read, request, .. } = search;
        let visitor = self.unless_hidden(request.visitor.clone());
        let (meaning, near, without) = meaning(&running, &read);
        let request = SearchRequest { visitor, meaning, near, ..request };
        let mut answer = running.with_shop(|shop| shop.search_read(read, &request))?;
        answer.degraded.extend(without.map(Degraded::name));
        Ok(answer)
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
        running: &Running,
        id: &str,
        visitor: &Visitor,
        make: impl FnOnce(Shop<'_>, &Treatment<'_>) -> Result<T, EngineError>,
    ) -> Result<Answered<T>, EngineError> {
        let serve = &self.inner.config.serve;
        let decide = |facts: &Facts| {
            let treatment = self.inner.traffic.treatment(visitor, id, facts.stream_time.0);
            let treatment = treatment.within(&serve.explore, &facts.draws);
            treatment.within_new(&serve.new_products, &facts.new_products.trial, now())
        };
        running.with_shop_for(decide, |shop, treatment| {
            Ok(Answered { answer: make(shop, &treatment)?, arm: treatment.assignment })
        })
    }

    /// What a shopper who is typing may want. After a start, texts that were not read again yet are missing for a moment.
    pub fn suggest(&self, request: SuggestRequest) -> Vec<Suggestion> {
        let request = SuggestRequest { visitor: self.unless_hidden(request.visitor), ..request };
        let running = self.running();
        running.with_shop(|shop| shop.suggest(&running.shared.suggestions.read(), &request))
    }

    /// The visitor for the answer: people who are being forgotten are already treated as unknown, and so is a name that is
    /// longer than that of any record. Such a name would otherwise take its place in the log with the answer.
    fn unless_hidden(&self, visitor: Visitor) -> Visitor {
        let erasure = &self.inner.erasure;
        let is_hidden = erasure.is_running() && visitor.user.as_ref().is_some_and(|user| erasure.hides(user));
        if is_hidden {
            return Visitor::default();
        }
        let most = self.inner.config.check.max_id_bytes;
        Visitor {
            user: visitor.user.filter(|user| user.as_str().len() <= most),
            session: visitor.session.filter(|session| session.as_str().len() <= most),
        }
    }

    /// The campaigns whose items a visitor was shown in answers that are not in the log yet.
    fn lately_sponsored(&self, visitor: &Visitor) -> Vec<Box<str>> {
        let running = self.running();
        if running.shared.facts.read().ledger.is_untouched() {
            return Vec::new();
        }
        running.shared.served.sponsored_to(visitor.user.as_ref(), visitor.session.as_ref())
    }

    /// Whether a page may have sponsored items, or be one of those that tell what new products cost: anyone can ask for
    /// pages with a published key, so an address gets as many within an hour as `check.published` says. Otherwise a few
    /// addresses would decide which answers can still be charged for, and what new products seem to cost.
    fn has_room_for(&self, page: CountedPage, asker: Asker) -> bool {
        let Asker::Page(Some(address)) = asker else { return true };
        let (counted, most) = page.bound(&self.inner.config.check.published);
        self.inner.counted_pages.lock().would_admit(counted, address, now(), most)
    }

    /// Counts a page of that kind.
    fn count_page(&self, page: CountedPage, asker: Asker) {
        let Asker::Page(Some(address)) = asker else { return };
        let (counted, most) = page.bound(&self.inner.config.check.published);
        self.inner.counted_pages.lock().admit_times(counted, address, now(), most);
    }

    /// Has an answer written into the log with the next group, if it must be, because clicks on it are charged, or if it
    /// is one of the share that is recorded. Pages that published keys ask for take a bounded part of the log on a day;
    /// those that are charged for are bounded by address already. Does not wait.
    fn record(&self, asker: Asker, id: &str, is_charged: bool, served: impl FnOnce() -> Served) {
        let running = self.running();
        let shared = &running.shared;
        if !(is_charged || shared.served.keeps(id)) || shared.poisoned.load().is_some() {
            return;
        }
        if asker == Asker::Shop {
            return shared.served.push(served());
        }
        let (mut kept, at) = (self.inner.kept_pages.lock(), now());
        if is_charged || !kept.is_full(&(), at, self.inner.config.check.published.kept_bytes_per_day) {
            let served = served();
            kept.add((), at, served.n_bytes());
            drop(kept);
            shared.served.push(served);
        }
    }
}

/// The pages with a published key that are counted by address.
#[derive(Clone, Copy)]
enum CountedPage {
    /// With sponsored items.
    Sponsored,
    /// That tell what showing new products costs.
    Trial,
}

impl CountedPage {
    /// What is counted, and how many an address gets within an hour.
    fn bound(self, settings: &PublishedSettings) -> (Counted<'static>, u32) {
        match self {
            Self::Sponsored => (Counted::SponsoredPages, settings.sponsored_pages_per_address),
            Self::Trial => (Counted::TrialPages, settings.new_product_pages_per_address),
        }
    }
}

/// The vector of a query in a server with an encoder and the queries near it, or why there are none.
fn meaning(running: &Running, query: &ReadQuery) -> Meaning {
    let queries = &running.shared.queries;
    if !queries.is_on() || !query.has_meaning() {
        return (None, Vec::new(), None);
    }
    match queries.vector(&query.likely()) {
        Ok(vector) => (Some(vector.clone()), queries.near(&vector), None),
        Err(why) => (None, Vec::new(), Some(why)),
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
        published: false,
        trial: Trial::None,
    }
}
