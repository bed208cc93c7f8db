//! A page of recommendations, made in stages.
//!
//! In: a request, and the shop that answers it. Out: the items of the page with the reasons that sum to their scores.
//! `degraded` names what could not be done as requested; the request still succeeds.
//!
//! A stage is a file with one function: candidates go in, candidates come out. A stage may reorder, leave out or
//! rescore them; it records what it did as a [`Share`] of the candidate, which [`explain`](explain::explain) turns into
//! a reason. So a new stage is a file and a line in
//! `make_after`; for metrics it counts as one of the five groups of [`Stage`]. What a scene changes about the stages is in
//! [`Scene`](crate::scene::Scene).
//!
//! # Pages by offset
//! Every page is cut from one list, which depends neither on `offset` nor on `n`: consecutive pages repeat nothing and
//! leave nothing out while facts and models stay the same. The list is made tier by tier: first what the models
//! retrieved, then the rest of the catalogue. Each tier is ranked, reduced to one item of each variant group, ordered
//! as the scene wants and diversified separately. A tier is opened only for a page that reaches beyond those before it,
//! so the usual page costs no more than the retrieved candidates. The list ends after [`slots::DEPTH`] places; a page
//! that asks for more is cut there and says `too_deep`.

mod diversify;
mod dpp;
mod explain;
mod explore;
mod fatigue;
mod greedy;
mod kept_places;
mod likeness;
mod mmr;
mod new_products;
mod rank;
mod retrieve;
mod rules;
#[cfg(test)]
mod scene_tests;
mod seen;
mod slots;
pub(crate) mod sources;
mod sponsored;
#[cfg(test)]
mod tests;
mod value;
mod variants;
mod why;
mod work;

use std::borrow::Cow;

use accrue_model::{Context, Drawn, Prepared};
use accrue_store::{ItemIdx, Trial};

use self::diversify::diversify;
use self::explain::explain;
use self::explore::explore;
use self::fatigue::lower_shown_often;
use self::kept_places::KeptPlaces;
use self::new_products::{Tried, try_new};
use self::rank::rank;
use self::retrieve::Retrieval;
use self::rules::{Pinned, reorder};
use self::sponsored::{Sponsored, has_slots, sponsor};
use self::value::by_value;
pub(crate) use self::variants::Variants;
pub use self::why::{Sibling, Why, WithoutEvent};
use self::work::Work;
pub use self::work::{PageWork, Stage, StageWork};
use crate::rules::ActiveRules;
use crate::scene::Scene;
use crate::shop::{VisitorHistory, with_scratch};
use crate::{ReasonCode, RecommendRequest, Recommendation, Recommended, Shop, SponsoredBy};

/// An item that retrieval found, on its way to the page.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    item: ItemIdx,
    /// The score that the models give it, and what stages added to it.
    score: f32,
    /// What the stages did, in their order. Each change of the score is the `added` of a share.
    shares: Vec<Share>,
}

/// What one stage did for one candidate.
#[derive(Clone, Debug, PartialEq)]
struct Share {
    /// Stable code of the reason.
    code: ReasonCode,
    /// A sentence for people.
    text: Cow<'static, str>,
    /// What it added to the score; 0 if it only moved the candidate to another place.
    added: f32,
}

/// What every stage may read: the request, the shop and the visitor. The stages do not change it.
struct Situation<'a> {
    shop: Shop<'a>,
    request: &'a RecommendRequest,
    /// Items that the page is about.
    about: &'a [ItemIdx],
    past: &'a VisitorHistory,
    context: Context<'a>,
    /// What the models read from `context`.
    prepared: &'a Prepared,
    rules: &'a ActiveRules<'a>,
    scene: &'a Scene,
    work: &'a Work,
}

impl Shop<'_> {
    /// Answers a request for recommendations.
    pub fn recommend(&self, request: &RecommendRequest) -> Recommendation {
        self.recommend_measured(request).0
    }

    /// [`Shop::recommend`], and what each stage did for it.
    pub fn recommend_measured(&self, request: &RecommendRequest) -> (Recommendation, PageWork) {
        let work = Work::default();
        let answer = make(self.with_incomplete(request.incomplete), request, &work);
        (answer, work.of_page())
    }
}

/// Makes the page that `request` asks for and counts in `work` what it costs.
fn make(shop: Shop<'_>, request: &RecommendRequest, work: &Work) -> Recommendation {
    let about: Vec<ItemIdx> = request.items.iter().filter_map(|item| shop.facts.items.get(item.as_str())).collect();
    let past = shop.past(&request.visitor, request.events.as_deref(), &about);
    make_after(shop, request, &about, &past, work)
}

/// The same for this past, and for the items that the page is about.
fn make_after(
    shop: Shop<'_>,
    request: &RecommendRequest,
    about: &[ItemIdx],
    past: &VisitorHistory,
    work: &Work,
) -> Recommendation {
    let context = past.context(&shop, request.circumstances());
    let rules = ActiveRules::of(&shop, None, request.filter.as_ref());
    let scene = shop.scenes.of(request.scene.as_deref());
    with_scratch(|prepared| {
        shop.version.ensemble.prepare(&context, prepared);
        prepared.score_by(request.part);
        let rules = &rules;
        let situation = Situation { shop, request, about, past, context, prepared, rules, scene, work };

        let places = slots::places(request);
        let mut retrieval = Retrieval::new(&situation);
        let pinned = Pinned::new(&situation, &retrieval);
        let (list, best) = list(&situation, &mut retrieval, &pinned, &places);
        let total = request.n_on_sale.map(|n_on_sale| retrieval.total(n_on_sale));
        let page = slots::cut(pinned.into_list(list), &places);
        let (page, sponsored) = match has_slots(&situation) {
            true => work.time(Stage::Rerank, || sponsor(&situation, &retrieval, &best, page)),
            false => (page, Vec::new()),
        };
        retrieval.tell_if_cut();
        let degraded = slots::degraded(&situation, &page);
        let (page, drawn) = if sponsored.is_empty() { explore(&situation, page) } else { (page, None) };
        let Tried { page, trial, next_offset } = match sponsored.is_empty() && drawn.is_none() {
            true => work.time(Stage::Rerank, || try_new(&situation, &retrieval, page)),
            false => Tried { page, trial: Trial::None, next_offset: None },
        };
        let reasons = if request.explain {
            work.pass(Stage::Explain, page.len(), page.len());
            work.time(Stage::Explain, || explain(&situation, &page))
        } else {
            Vec::new()
        };
        let mut answer = answer(&shop, &page, reasons, degraded, drawn);
        if !sponsored.is_empty() {
            answer.next_offset = Some(page.len() - sponsored.len());
        } else if next_offset.is_some() {
            answer.next_offset = next_offset;
        }
        for Sponsored { place, campaign, price } in sponsored {
            answer.items[place].sponsored = Some(SponsoredBy { campaign, price });
        }
        Recommendation { total, trial, ..answer }
    })
}

/// Candidates, best first, of which only those are ordered and looked at that the page needs.
type Ranked<'a> = Box<dyn Iterator<Item = Candidate> + 'a>;

/// The list up to the last of `places`, without pinned items, and the best candidates by score or value where campaigns
/// may find items among them.
fn list(
    situation: &Situation<'_>,
    retrieval: &mut Retrieval<'_>,
    pinned: &Pinned,
    places: &std::ops::Range<usize>,
) -> (Vec<Candidate>, Vec<ItemIdx>) {
    let Situation { shop, request, scene, work, .. } = situation;
    let mut variants = Variants::new(shop, request.grouping);
    let mut kept = KeptPlaces::new(situation);
    let (mut list, mut buried, mut best) = (Vec::new(), Vec::new(), Vec::new());
    let (mut is_first, n_best) = (true, if has_slots(situation) { sponsored::AMONG } else { 0 });
    while list.len() < places.end
        && let Some(tier) = retrieval.next_tier()
    {
        let of_tier = slots::behind(places, list.len());
        let n_ranked = tier.len();
        let value = scene.value.as_ref().filter(|_| std::mem::replace(&mut is_first, false));
        let mut ranked = work.time(Stage::Rank, || -> Ranked<'_> {
            let ranked = rank(situation, tier);
            match value {
                Some(value) => Box::new(by_value(situation, value, ranked).into_iter()),
                None => Box::new(ranked),
            }
        });
        work.pass(Stage::Rank, n_ranked, n_ranked);
        if best.len() < n_best {
            let all: Vec<Candidate> = ranked.collect();
            best.extend(all.iter().take(n_best - best.len()).map(|candidate| candidate.item));
            ranked = Box::new(all.into_iter());
        }
        let n_before = list.len();
        work.time(Stage::Rerank, || {
            ranked = Box::new(ranked.filter(|candidate| pinned.is_free(situation, candidate.item)));
            if let Some(fatigue) = &scene.fatigue {
                ranked = Box::new(lower_shown_often(situation, fatigue, ranked).into_iter());
            }
            if situation.rules.reorders() {
                ranked = Box::new(reorder(situation, ranked, &mut buried).into_iter());
            }
            let distinct = ranked.filter(|candidate| variants.is_first(candidate.item));
            let placed = kept.fill(situation, distinct, diversify::reach(situation, &of_tier));
            list.extend(diversify(situation, placed, of_tier));
        });
        work.pass(Stage::Rerank, n_ranked, list.len() - n_before);
    }
    if list.len() < places.end {
        list.extend(buried.into_iter().filter(|candidate| variants.is_first(candidate.item)));
    }
    (list, best)
}

fn answer(
    shop: &Shop<'_>,
    page: &[Candidate],
    reasons: Vec<Vec<crate::Reason>>,
    degraded: Vec<&'static str>,
    drawn: Option<Drawn>,
) -> Recommendation {
    let reasons = reasons.into_iter().chain(std::iter::repeat_with(Vec::new));
    let recommended = |(candidate, reasons): (&Candidate, _)| Recommended {
        reasons,
        ..shop.recommended(candidate.item, candidate.score)
    };
    let items = page.iter().zip(reasons).map(recommended).collect();
    let mut answer = shop.recommendation(items, degraded);
    if let Some(Drawn { ranks, propensities }) = drawn {
        (answer.ranks, answer.propensities) = (ranks, propensities);
    }
    answer
}
