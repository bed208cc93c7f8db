//! One step of the ensemble: the blend learns from what the members predict, then each member learns.

use accrue_store::ItemIdx;

use super::{Ensemble, Prepared, group};
use crate::accumulator::Accumulator;
use crate::blend::Sample;
use crate::members::Part;
use crate::{Context, Step};

/// After each this many events the blend learns from a smaller share of them, down to one event in `learn_one_in`.
const EVENTS_PER_STEP: u64 = 16_384;
/// Stream of the blend's random numbers.
const STREAM: u64 = 0x424c_4e44;

/// The group that learns a part of what `group` learns: short visits and long ones. The same evidence means nearly the same
/// in both, and only one example in three is of a visit. Before a visit there is other evidence.
fn alike(group: usize) -> Option<usize> {
    let (depth, is_own) = (group / 2, group % 2);
    match depth {
        1 => Some(2 * 2 + is_own),
        2 => Some(2 + is_own),
        _ => None,
    }
}

/// Candidates that the blend learns from. Keep one and refill it, so that its memory is reused.
#[derive(Clone, Debug, Default)]
pub(super) struct Examples {
    retrieved: Vec<ItemIdx>,
    /// Marks each item at its first occurrence.
    pub(super) met: Accumulator<0>,
    /// The candidates: first those that the shopper did not choose before, `n_new` of them.
    items: Vec<ItemIdx>,
    n_new: usize,
    /// The others, while the candidates are chosen.
    own: Vec<(ItemIdx, bool)>,
    /// For each of the items, whether a model retrieved it; otherwise it was drawn at random.
    is_retrieved: Vec<bool>,
    sample: Sample,
}

impl Ensemble {
    /// Learns from one event: the blend first, from what the members predicted before it, then each member. `reference`
    /// is the reference state, for members that are regularised towards it.
    pub fn learn(&mut self, step: &Step<'_>, reference: Option<&Self>, prepared: &mut Prepared) {
        prepared.foreseen = None;
        // The blend does not learn from the first event about an item: the item could not have been shown before, and learning
        // from it would make every new item look likely to be chosen.
        if self.settings.part == Part::Blend && step.weight > 0.0 && step.is_known && self.blend_learns_at(step) {
            // Two examples of three are taken as if the visit had just begun. The first page of a visit has less
            // evidence, so its curves need more examples.
            let greeting = !accrue_kernel::random(step.seed, STREAM, step.offset, 1).is_multiple_of(3);
            let context = if greeting { step.context.before_visit() } else { step.context };
            self.learn_blend(step, context, prepared);
        }
        let reference = reference.map(|reference| &reference.members);
        self.members.learn(step, &self.catalogue, reference, &mut prepared.situations);
    }

    /// Learns from an impression without a choice: `step.weight` is negative. The blend does not learn from it: it
    /// compares an item with others drawn at random, and an item that was shown is still likelier to be chosen than
    /// those.
    pub fn learn_unchosen(&mut self, step: &Step<'_>) {
        self.members.learn_unchosen(step);
    }

    /// A log with few events so far has few to learn curves from, a long one has more than the blend needs.
    fn blend_learns_at(&self, step: &Step<'_>) -> bool {
        let one_in = (1 + step.offset / EVENTS_PER_STEP).min(self.settings.retrieval.learn_one_in.max(1));
        accrue_kernel::random(step.seed, STREAM, step.offset, 0).is_multiple_of(one_in)
    }

    fn learn_blend(&mut self, step: &Step<'_>, context: Context<'_>, prepared: &mut Prepared) {
        self.prepare(&context, prepared);
        let mut examples = std::mem::take(&mut prepared.examples);
        self.choose_candidates(step, &context, prepared, &mut examples);
        let Examples { retrieved, items, n_new, is_retrieved, sample, .. } = &mut examples;
        let n_retrieved = retrieved.len();
        // Sampled softmax: an item drawn at random represents all that could have been drawn (Bengio, Senécal 2008).
        let n_drawn = (items.len() - n_retrieved).max(1) as f32;
        let log_represented = accrue_kernel::ln(((step.n_items as f32 - n_retrieved as f32) / n_drawn).max(1.0));
        let columns = sample.begin(items.len(), self.blend.n_columns());
        self.members.fill(&self.catalogue, &prepared.situations, items, Part::Blend, columns);
        for (place, &is_retrieved) in is_retrieved.iter().enumerate() {
            let group = group(prepared.visit_len, place >= *n_new);
            sample.push(group, if is_retrieved { 0.0 } else { log_represented });
        }
        let chosen = accrue_kernel::find(items, step.event.item).expect("the chosen item was put in");
        self.blend.learn(sample, chosen, step.weight * step.rate_multiplier, alike);
        // The probability of an item drawn at random is that of all items that it represents; here it is divided among
        // them.
        let for_itself = accrue_kernel::exp(-log_represented);
        let worth = |place: usize| sample.probability(place) * if is_retrieved[place] { 1.0 } else { for_itself };
        let least = worth(chosen);
        let above = (0..items.len()).filter(|&place| place != chosen && worth(place) >= least);
        prepared.foreseen = Some(above.count());
        prepared.examples = examples;
    }

    /// What the models retrieve, as many items drawn at random, and the chosen one; each once. Items that the shopper
    /// chose before come after the others, because the blend has other curves for them.
    fn choose_candidates(&self, step: &Step<'_>, context: &Context<'_>, prepared: &Prepared, examples: &mut Examples) {
        let Examples { retrieved, met, items, n_new, own, is_retrieved, .. } = examples;
        let limit = self.settings.retrieval.learn_candidates;
        retrieved.clear();
        self.add_candidates(context, prepared, (limit, true), retrieved);
        met.clear(self.n_items() as usize);
        retrieved.iter().for_each(|&item| met.meet(item));
        retrieved.clear();
        retrieved.extend_from_slice(met.touched());
        let mut draws = accrue_kernel::Draws::new(step.seed, STREAM + 1, step.offset);
        (0..limit).for_each(|_| met.meet(draws.below(u64::from(step.n_items.max(1))) as ItemIdx));
        met.meet(step.event.item);
        let history = &prepared.situations.repeat;
        // Each is written behind both lists and kept in one of them: a branch would be one that cannot be predicted.
        let n = met.touched().len();
        items.resize(n, 0);
        is_retrieved.resize(n, false);
        own.resize(n, (0, false));
        let (mut n_others, mut n_own) = (0, 0);
        for (place, &item) in met.touched().iter().enumerate() {
            let (of_model, is_own) = (place < retrieved.len(), history.contains(item));
            (items[n_others], is_retrieved[n_others]) = (item, of_model);
            own[n_own] = (item, of_model);
            n_own += usize::from(is_own);
            n_others += usize::from(!is_own);
        }
        *n_new = n_others;
        for (place, &(item, of_model)) in (n_others..).zip(&own[..n_own]) {
            (items[place], is_retrieved[place]) = (item, of_model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::N_GROUPS;

    #[test]
    fn short_visits_and_long_ones_learn_from_each_other() {
        let alike: Vec<_> = (0..N_GROUPS).map(alike).collect();
        assert_eq!(alike, [None, None, Some(4), Some(5), Some(2), Some(3)]);
    }
}
