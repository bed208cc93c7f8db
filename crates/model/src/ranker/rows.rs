//! Rows of labelled features, as click models take them.
//!
//! A feature is a row of an embedding table, the field that it belongs to, and a value: 1 for what is or is not, and a
//! standardised number for what is measured. In: features by number; names are the caller's. All rows lie in one slice.

use serde::{Deserialize, Serialize};

/// One feature of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// What it is about: shopper, item, weather. The vectors of one field are added.
    pub field: u32,
    /// Its row in the table of vectors.
    pub row: u32,
    /// What its vector is multiplied by.
    pub value: f32,
}

/// Labelled rows, each with any number of features.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClickRows {
    labels: Vec<f32>,
    /// Where the features of each row end.
    ends: Vec<usize>,
    features: Vec<Feature>,
}

impl ClickRows {
    /// Adds a row. The label is 1 if what is predicted happened, otherwise 0.
    pub fn push(&mut self, label: f32, features: impl IntoIterator<Item = Feature>) {
        self.labels.push(label);
        self.features.extend(features);
        self.ends.push(self.features.len());
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels.
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// The features of one row.
    pub fn features(&self, index: usize) -> &[Feature] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.features[begin..self.ends[index]]
    }

    /// The features of one row, to be changed.
    pub fn features_mut(&mut self, index: usize) -> &mut [Feature] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &mut self.features[begin..self.ends[index]]
    }

    /// Some rows, in the given order.
    pub fn select(&self, indices: &[u32]) -> Self {
        let mut rows = Self::default();
        for &index in indices {
            rows.push(self.labels[index as usize], self.features(index as usize).iter().copied());
        }
        rows
    }

    /// Fields and rows of the table that a model of these rows needs.
    pub fn shape(&self) -> ClickShape {
        let largest = |of: fn(&Feature) -> u32| self.features.iter().map(of).max().map_or(0, |x| x as usize + 1);
        ClickShape { n_fields: largest(|feature| feature.field), n_rows: largest(|feature| feature.row) }
    }
}

/// What a model must have room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickShape {
    /// Number of fields.
    pub n_fields: usize,
    /// Number of features: rows of the table of vectors.
    pub n_rows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_features_apart() {
        let feature = |row| Feature { field: row / 2, row, value: 1.0 };
        let mut rows = ClickRows::default();
        rows.push(1.0, [feature(3), feature(4)]);
        rows.push(0.0, []);
        rows.push(1.0, [feature(9)]);
        assert_eq!((rows.len(), rows.features(0).len(), rows.features(1).len()), (3, 2, 0));
        assert_eq!(rows.features(2), [feature(9)]);
        assert_eq!(rows.shape(), ClickShape { n_fields: 5, n_rows: 10 });
        let chosen = rows.select(&[2, 0]);
        assert_eq!((chosen.labels(), chosen.features(0)), (&[1.0, 1.0][..], &[feature(9)][..]));
        assert_eq!(ClickRows::default().shape(), ClickShape::default());
    }
}
