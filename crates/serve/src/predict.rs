//! Predictions: how probable it is that a shopper clicks, puts into the cart and buys what a page shows them.
//!
//! In: a visitor, the items of a page in their order, what is known of the page. Out: calibrated probabilities, from the
//! click heads of the published version. The features are those that the heads learned from, made by the same functions
//! ([`accrue_model::ranker`]). Where nothing was learned there are no numbers, and the answer says why.

use accrue_event::ItemId;
use accrue_model::ranker::{ClickHeads, ColumnNames, Keys, N_HEADS, PageFeatures, moment};
use accrue_model::{Context, Prepared, Version};
use accrue_store::{Circumstances, ItemIdx};

use crate::shop::with_scratch;
use crate::{Degraded, Shop, Visitor};

/// With fewer impressions or clicks than these, the probabilities are mostly what is assumed at the beginning.
const FEW_IMPRESSIONS: u64 = 1_000;
const FEW_CLICKS: u64 = 20;

/// A request for probabilities.
#[derive(Clone, Debug, Default)]
pub struct PredictRequest {
    /// The visitor.
    pub visitor: Visitor,
    /// The items of the page, in their order.
    pub items: Vec<ItemId>,
    /// The kind of page.
    pub scene: Option<Box<str>>,
    /// What was searched for.
    pub query: Option<Box<str>>,
    /// The kind of device.
    pub device: Option<Box<str>>,
    /// The place of the first item on the page, from 0; the others follow. `None`: each as if it stood first.
    pub first_place: Option<u32>,
}

/// The probabilities of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The item.
    pub id: ItemId,
    /// P(click), P(cart), P(purchase); `None` if nothing is known to tell them from.
    pub probabilities: Option<[f32; N_HEADS]>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The version of the models.
    pub version: u64,
    /// Records that it has learned from.
    pub offset: u64,
    /// Impressions that the heads have learned from.
    pub n_learned: u64,
    /// The items in the order of the request.
    pub items: Vec<Predicted>,
    /// What could not be done as asked.
    pub degraded: Vec<&'static str>,
}

impl Shop<'_> {
    /// Predicts what the visitor does with each item.
    pub fn predict(&self, request: &PredictRequest) -> Prediction {
        let mut degraded = Vec::new();
        let known: Vec<Option<ItemIdx>> =
            request.items.iter().map(|item| self.facts.items.get(item.as_str())).collect();
        let heads = self.version.clicks.as_ref();
        let n_learned = heads.map_or(0, ClickHeads::n_learned);
        let probabilities = match heads.filter(|_| n_learned > 0) {
            None => {
                degraded.push(Degraded::NoImpressions.name());
                vec![None; known.len()]
            }
            Some(heads) => {
                if !has_learned_enough(heads) {
                    degraded.push(Degraded::FewImpressions.name());
                }
                self.foreseen(heads, request, &known)
            }
        };
        if known.contains(&None) {
            degraded.push(Degraded::UnknownItems.name());
        }
        let items = request.items.iter().cloned().zip(probabilities);
        let items = items.map(|(id, probabilities)| Predicted { id, probabilities }).collect();
        let Version { number, offset, .. } = *self.version;
        Prediction { version: number, offset, n_learned, items, degraded }
    }

    /// The probabilities of the known items.
    fn foreseen(
        &self,
        heads: &ClickHeads,
        request: &PredictRequest,
        known: &[Option<ItemIdx>],
    ) -> Vec<Option<[f32; N_HEADS]>> {
        let past = self.past(&request.visitor, None, &[]);
        let mut context = past.context(self, request.circumstances());
        context.now_ms = moment(context.now_ms);
        let (places, items): (Vec<u32>, Vec<ItemIdx>) =
            known.iter().enumerate().filter_map(|(place, &item)| Some((place as u32, item?))).unzip();
        let foreseen = with_scratch(|prepared| {
            self.version.ensemble.prepare(&context, prepared);
            let place = |nth: usize| Some(request.first_place.map_or(0, |first| first + places[nth]));
            self.foresee(heads, &context, prepared, &items, place)
        });
        let mut probabilities = vec![None; known.len()];
        places.iter().zip(foreseen).for_each(|(&place, foreseen)| probabilities[place as usize] = Some(foreseen));
        probabilities
    }

    /// The probabilities of some items in a situation, of which `place` says where each stands.
    pub(crate) fn foresee(
        &self,
        heads: &ClickHeads,
        context: &Context<'_>,
        prepared: &Prepared,
        items: &[ItemIdx],
        place: impl Fn(usize) -> Option<u32>,
    ) -> Vec<[f32; N_HEADS]> {
        self.foresee_as(heads, context, prepared, items, place, 0)
    }

    /// The same, of which only the items from number `n_unmet` on are taken as themselves: what the heads learned of the
    /// items before it is left out, and they are predicted by what they are like.
    pub(crate) fn foresee_as(
        &self,
        heads: &ClickHeads,
        context: &Context<'_>,
        prepared: &Prepared,
        items: &[ItemIdx],
        place: impl Fn(usize) -> Option<u32>,
        n_unmet: usize,
    ) -> Vec<[f32; N_HEADS]> {
        let ensemble = &self.version.ensemble;
        // Impressions are learned with the time to the minute.
        let context = &Context { now_ms: moment(context.now_ms), ..*context };
        let shown = ensemble.item_features(context, prepared, items, place);
        let (page, names) = (PageFeatures::of(context), ColumnNames::of(&ensemble.columns()));
        let mut keys = Keys::default();
        keys.begin(&page);
        let of_page = heads.begin(&keys);
        let foreseen = |(nth, shown)| {
            keys.show(&page, shown, &ensemble.catalogue, &names);
            if nth < n_unmet {
                keys.without_own();
            }
            heads.foresee_on(&of_page, &keys).probabilities
        };
        shown.iter().enumerate().map(foreseen).collect()
    }
}

/// Whether the heads have seen enough to say more than what they begin with.
pub(crate) fn has_learned_enough(heads: &ClickHeads) -> bool {
    heads.n_learned() >= FEW_IMPRESSIONS && heads.n_followed()[0] >= FEW_CLICKS
}

impl PredictRequest {
    /// What the models may know of the page.
    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            scene: self.scene.as_deref(),
            query: self.query.as_deref(),
            device: self.device.as_deref(),
            position: None,
        }
    }
}
