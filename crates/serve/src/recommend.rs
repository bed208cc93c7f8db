//! Recommendations: the past → candidates from several sources → filters → the blend's scores → one of each variant group,
//! variety → reasons. A stage that has nothing to say falls back to the stage before it and is named in `degraded`.

use accrue_kernel::Draws;
use accrue_model::{Context, Drawn, Part, Prepared, Scored};
use accrue_store::ItemIdx;

use crate::explain::explain;
use crate::shop::with_scratch;
use crate::{Explore, Reason, RecommendRequest, Recommendation, Seen, Shop, Visitor, filter::Filter, rerank};

/// How many more items than asked for compete for the page.
const BREADTH: usize = 3;
/// A filter that leaves too few candidates is answered by scoring up to this many items of the catalogue.
const WIDEST_SCAN: usize = 100_000;
/// Items of the catalogue that the models have not met yet and that may compete, newest first.
const UNMET: usize = 32;

/// Stream of the random numbers that fill places.
const EXPLORE: u64 = 0x4558_504c;

impl Shop<'_> {
    /// Answers a request for recommendations.
    pub fn recommend(&self, request: &RecommendRequest) -> Recommendation {
        let page: Vec<ItemIdx> = request.items.iter().filter_map(|item| self.facts.items.get(item.as_str())).collect();
        let past = self.past(&request.visitor, request.events.as_deref(), &page);
        let context = past.context(self);
        let mut degraded = Vec::new();
        if context.past.is_empty() {
            degraded.push("cold_user");
        }
        let wanted = request.offset + request.n;
        let picked = with_scratch(|prepared| {
            self.version.ensemble.prepare(&context, prepared);
            prepared.score_by(request.part);
            let accept = self.accept(request, &context, &page);
            let ranked = self.rank(&context, prepared, BREADTH * wanted, accept);
            let ranked = rerank::one_of_each_parent(self, ranked);
            rerank::vary(self, ranked, request.diversity, wanted)
        });
        let (picked, drawn) = match request.explore {
            Some((how, seed)) if request.offset == 0 && picked.len() > 1 => {
                self.explore(&context, request.part, picked, how, seed)
            }
            _ => (picked, None),
        };
        let picked = &picked[request.offset.min(picked.len())..];
        if self.facts.items.is_empty() {
            degraded.push("empty_catalogue");
        } else if picked.len() < request.n {
            degraded.push("few_candidates");
        }
        let mut items: Vec<_> = picked.iter().map(|scored| self.recommended(scored.item, scored.score)).collect();
        if request.explain {
            explain(self, &past, request.part, picked, &mut items);
        }
        let mut answer = self.answer(items, degraded);
        if let Some(Drawn { ranks, propensities }) = drawn {
            (answer.ranks, answer.propensities) = (ranks, propensities);
        }
        answer
    }

    /// The page with its first places drawn, and how likely it was.
    fn explore(
        &self,
        context: &Context<'_>,
        part: Option<Part>,
        picked: Vec<Scored>,
        how: Explore,
        seed: u64,
    ) -> (Vec<Scored>, Option<Drawn>) {
        let mut draws = Draws::new(seed, EXPLORE, 0);
        let drawn = match how {
            Explore::Rank(exploration) => exploration.draw(picked.len(), &mut draws),
            Explore::Belief(thompson) => with_scratch(|prepared| {
                self.version.ensemble.prepare(context, prepared);
                prepared.score_by(part);
                let items: Vec<ItemIdx> = picked.iter().map(|scored| scored.item).collect();
                thompson.draw(&self.version.ensemble.beliefs(context, prepared, &items), &mut draws)
            }),
        };
        (drawn.ranks.iter().map(|&rank| picked[rank as usize]).collect(), Some(drawn))
    }

    fn answer(&self, items: Vec<crate::Recommended>, degraded: Vec<&'static str>) -> Recommendation {
        let (version, offset) = (self.version.number, self.version.offset);
        Recommendation { version, offset, degraded, items, ranks: Vec::new(), propensities: Vec::new() }
    }

    /// Whether an item may stand on the page.
    fn accept<'a>(
        &'a self,
        request: &'a RecommendRequest,
        context: &Context<'_>,
        page: &'a [ItemIdx],
    ) -> impl Fn(ItemIdx) -> bool + 'a {
        let excluded: Vec<ItemIdx> =
            request.exclude.iter().filter_map(|item| self.facts.items.get(item.as_str())).collect();
        let mut seen: Vec<ItemIdx> = match request.seen {
            Seen::Keep => Vec::new(),
            Seen::Drop => context.past.iter().map(|past| past.item).collect(),
        };
        seen.sort_unstable();
        move |item| {
            !page.contains(&item)
                && !excluded.contains(&item)
                && seen.binary_search(&item).is_err()
                && self.shown(item, request.filter.as_ref()).is_some()
        }
    }

    /// The best `limit` acceptable items, best first: of the candidates, or of the whole catalogue where those do not suffice.
    fn rank(
        &self,
        context: &Context<'_>,
        prepared: &Prepared,
        limit: usize,
        accept: impl Fn(ItemIdx) -> bool,
    ) -> Vec<Scored> {
        let ensemble = &self.version.ensemble;
        let n_items = self.facts.items.len() as u32;
        let mut candidates = ensemble.candidates(context, prepared, usize::MAX);
        // Posted a moment ago, not learned yet: a new item competes at once.
        candidates.extend((ensemble.n_items().min(n_items)..n_items).rev().take(UNMET));
        candidates.retain(|&item| accept(item));
        if candidates.len() < limit && candidates.len() < n_items as usize {
            candidates = (0..n_items).rev().filter(|&item| accept(item)).take(WIDEST_SCAN).collect();
        }
        let mut best = accrue_kernel::TopK::new(limit);
        for (score, item) in ensemble.score_all(prepared, &candidates).into_iter().zip(candidates) {
            best.push(score, item);
        }
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect()
    }

    /// Items like `item`: neighbours by what shoppers did, then, where those do not fill the page, by description.
    pub fn similar(&self, item: ItemIdx, n: usize, filter: Option<&Filter>) -> Recommendation {
        let neighbours = self.version.ensemble.neighbours();
        let neighbours = neighbours.map_or_else(Vec::new, |neighbours| neighbours.similar(item, usize::MAX >> 1));
        let acceptable = |other: ItemIdx| other != item && self.shown(other, filter).is_some();
        let chosen: Vec<Scored> = neighbours.into_iter().filter(|scored| acceptable(scored.item)).collect();
        let chosen: Vec<Scored> = rerank::one_of_each_parent(self, chosen).into_iter().take(n).collect();
        let mut degraded = Vec::new();
        if chosen.is_empty() {
            degraded.push("no_neighbours");
        }
        let mut described = Vec::new();
        if chosen.len() < n {
            let known = |other: ItemIdx| chosen.iter().any(|scored| scored.item == other);
            // A likeness by words ranks below the weakest one by deeds.
            let below = chosen.last().map_or(1.0, |weakest| weakest.score);
            described = self.described_alike(item, n - chosen.len(), below, |other| acceptable(other) && !known(other));
        }
        let mut items =
            self.list(chosen.into_iter(), "chosen_together", &format!("chosen together with {}", self.title(item)));
        let text = format!("described like {}", self.title(item));
        items.extend(self.list(described.into_iter(), "described_alike", &text));
        if items.len() < n {
            degraded.push("few_candidates");
        }
        self.answer(items, degraded)
    }

    /// The `n` acceptable items whose descriptions are most like that of `item`; scores are cosines times `scale`.
    fn described_alike(&self, item: ItemIdx, n: usize, scale: f32, accept: impl Fn(ItemIdx) -> bool) -> Vec<Scored> {
        let mut best = accrue_kernel::TopK::new(rerank::PARENT_SLACK * n);
        for other in (0..self.facts.items.len() as u32).take(WIDEST_SCAN) {
            let cosine = self.version.ensemble.catalogue.cosine(item, other);
            if cosine > 0.0 && accept(other) {
                best.push(scale * cosine, other);
            }
        }
        let alike = best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect();
        rerank::one_of_each_parent(self, alike).into_iter().take(n).collect()
    }

    /// What the shop as a whole does lately.
    pub fn trending(&self, n: usize, filter: Option<&Filter>) -> Recommendation {
        let leaders = self.version.ensemble.popularity().leaders(self.facts.stream_time.0);
        let shown = leaders.filter(|leader| leader.score > 0.0 && self.shown(leader.item, filter).is_some());
        let items =
            self.list(rerank::one_of_each_parent(self, shown.collect()).into_iter().take(n), "popular", "popular now");
        let degraded = if items.len() < n { vec!["few_candidates"] } else { Vec::new() };
        self.answer(items, degraded)
    }

    /// The newest items, newest first; the score is the day of the first sight, counted from 1970.
    pub fn new_items(&self, n: usize, filter: Option<&Filter>) -> Recommendation {
        let ensemble = &self.version.ensemble;
        let n_items = self.facts.items.len() as u32;
        let unmet = (ensemble.n_items().min(n_items)..n_items).rev();
        let day = |item| ensemble.first_seen_ms(item).unwrap_or(self.facts.stream_time.0) as f32 / 86_400_000.0;
        let newest = unmet.chain(ensemble.newest()).filter(|&item| self.shown(item, filter).is_some());
        let scored = newest.map(|item| Scored { item, score: day(item) }).collect();
        let items =
            self.list(rerank::one_of_each_parent(self, scored).into_iter().take(n), "new_item", "new in the shop");
        let degraded = if items.len() < n { vec!["few_candidates"] } else { Vec::new() };
        self.answer(items, degraded)
    }

    fn list(&self, picked: impl Iterator<Item = Scored>, code: &'static str, text: &str) -> Vec<crate::Recommended> {
        picked
            .map(|scored| {
                let mut recommended = self.recommended(scored.item, scored.score);
                recommended.reasons = vec![Reason::plain(code, text, scored.score)];
                recommended
            })
            .collect()
    }

    /// The blended scores of `items` for a visitor: what search orders by. `None` for a visitor of whom nothing is known.
    pub(crate) fn taste(&self, visitor: &Visitor, items: &[ItemIdx]) -> Option<Vec<f32>> {
        let past = self.past(visitor, None, &[]);
        let context = past.context(self);
        if context.past.is_empty() {
            return None;
        }
        Some(with_scratch(|prepared| {
            self.version.ensemble.prepare(&context, prepared);
            self.version.ensemble.score_all(prepared, items)
        }))
    }
}
