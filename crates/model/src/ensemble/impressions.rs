//! What the ensemble computes for items that are shown: the features that the click heads read.

use accrue_store::ItemIdx;

use super::{Ensemble, Prepared};
use crate::Context;
use crate::ranker::{ItemFeatures, located};

impl Ensemble {
    /// The features of `items`, of which `place` says where each stands on the page. `prepared` is for `context`.
    pub fn item_features(
        &self,
        context: &Context<'_>,
        prepared: &Prepared,
        items: &[ItemIdx],
        place: impl Fn(usize) -> Option<u32>,
    ) -> Vec<ItemFeatures> {
        let axes: Vec<_> = self.columns().iter().map(|column| column.axis).collect();
        let mut features = Vec::with_capacity(items.len());
        let part = self.part(prepared);
        self.each_batch(part, prepared, items, |first, batch, columns| {
            let n = batch.len();
            let mut scores = vec![0.0; n];
            self.score_batch(part, prepared, batch, columns, &mut scores);
            let mut places = vec![(0, 0); n * axes.len()];
            let (mut knots, mut shares) = (vec![0; n], vec![0.0; n]);
            for (column, (axis, values)) in axes.iter().zip(columns.chunks_exact(n)).enumerate() {
                axis.locate(values, &mut knots, &mut shares);
                for (row, (&knot, &share)) in knots.iter().zip(&shares).enumerate() {
                    places[row * axes.len() + column] = located(knot, share);
                }
            }
            for (row, &item) in batch.iter().enumerate() {
                let columns = places[row * axes.len()..][..axes.len()].into();
                features.push(ItemFeatures::new(context, item, place(first + row), scores[row], columns));
            }
        });
        features
    }
}
