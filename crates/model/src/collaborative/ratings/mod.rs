//! Models of explicit ratings: they predict how a user would rate an item.
//!
//! In: [`Ratings`], one list of `(item, rating)` a user. Out: a fitted model that predicts the ratings of items for *a
//! list of ratings*, also of a user it never saw. Predictions stay within the range of the ratings in the data. One
//! file a model, one entry each in the registry below.

mod baseline;
mod blend;
mod factorization;
mod item_knn;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

pub use baseline::{Baseline, BaselineSettings};
pub use blend::{RatingBlend, RatingBlendSettings};
pub use factorization::{RatingFactorization, RatingFactorizationSettings};
pub use item_knn::{RatingKnn, RatingKnnSettings};

use super::{Fit, FitError};

/// Which users rated which items, and how. A pair occurs at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratings {
    n_items: usize,
    users: Vec<Vec<(u32, f32)>>,
}

impl Ratings {
    /// From each user's `(item, rating)`.
    ///
    /// # Panics
    /// If an item is not below `n_items`.
    pub fn new(n_items: usize, users: Vec<Vec<(u32, f32)>>) -> Self {
        let items = users.iter().flatten().map(|&(item, _)| item as usize);
        assert!(items.max().is_none_or(|item| item < n_items), "item ids are below n_items={n_items}");
        Self { n_items, users }
    }

    /// Number of items, including unrated ones.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Each user's `(item, rating)`.
    pub fn users(&self) -> &[Vec<(u32, f32)>] {
        &self.users
    }

    /// Number of ratings.
    pub fn n_ratings(&self) -> usize {
        self.users.iter().map(Vec::len).sum()
    }

    /// Each item's `(user, rating)`, users ascending.
    pub fn by_item(&self) -> Vec<Vec<(u32, f32)>> {
        let mut items = vec![Vec::new(); self.n_items];
        for (user, rated) in self.users.iter().enumerate() {
            rated.iter().for_each(|&(item, rating)| items[item as usize].push((user as u32, rating)));
        }
        items
    }
}

/// A model of ratings.
pub trait RatingModel: Sized + Send + Sync + Serialize + DeserializeOwned {
    /// The settings.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + std::fmt::Debug;

    /// Learns from `data`; the same bytes for the same data, settings and seed on any number of threads.
    ///
    /// # Errors
    /// [`FitError`] if a setting is not valid or training diverges.
    fn fit(data: &Ratings, settings: &Self::Settings, fit: &Fit<'_>) -> Result<Self, FitError>;

    /// Numbers that were learned.
    fn n_params(&self) -> u64;

    /// Predicts the ratings of `items` by a user who gave the ratings `rated`. `items: [n] → out: [n]`, finite.
    fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]);
}

/// Declares [`RatingKind`], [`AnyRatingSettings`] and [`AnyRatingModel`] from one list of models.
macro_rules! rating_models {
    ($($name:literal $what:literal => $model:ident,)+) => {
        /// Which model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RatingKind {
            $(#[doc = $what] $model,)+
        }

        impl RatingKind {
            /// All models.
            pub const ALL: &'static [Self] = &[$(Self::$model),+];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$model => $name),+ }
            }

            /// What it is, in one sentence.
            pub fn what(self) -> &'static str {
                match self { $(Self::$model => $what),+ }
            }

            /// Its default settings.
            pub fn default_settings(self) -> AnyRatingSettings {
                match self { $(Self::$model => AnyRatingSettings::$model(Default::default())),+ }
            }

            /// Reads its settings from any serde format; settings that are left out keep their defaults.
            ///
            /// # Errors
            /// The error of the format, if a name or a type is wrong.
            pub fn read_settings<'de, D: Deserializer<'de>>(self, settings: D) -> Result<AnyRatingSettings, D::Error> {
                Ok(match self { $(Self::$model => AnyRatingSettings::$model(Deserialize::deserialize(settings)?)),+ })
            }
        }

        /// The settings of one model; written as `{name: settings}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum AnyRatingSettings {
            $(#[serde(rename = $name)] $model(<$model as RatingModel>::Settings),)+
        }

        impl AnyRatingSettings {
            /// The model that they belong to.
            pub fn kind(&self) -> RatingKind {
                match self { $(Self::$model(_) => RatingKind::$model),+ }
            }

            /// Fits the model.
            ///
            /// # Errors
            /// The model's; [`FitError::Empty`] if there is no rating.
            pub fn fit(&self, data: &Ratings, fit: &Fit<'_>) -> Result<AnyRatingModel, FitError> {
                if data.n_ratings() == 0 {
                    return Err(FitError::Empty);
                }
                Ok(match self { $(Self::$model(settings) => AnyRatingModel::$model($model::fit(data, settings, fit)?)),+ })
            }
        }

        /// One fitted model.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum AnyRatingModel {
            $($model($model),)+
        }

        impl AnyRatingModel {
            /// Numbers that were learned.
            pub fn n_params(&self) -> u64 {
                match self { $(Self::$model(model) => model.n_params()),+ }
            }

            /// [`RatingModel::rate`].
            pub fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]) {
                match self { $(Self::$model(model) => model.rate(rated, items, out)),+ }
            }
        }
    };
}

rating_models! {
    "rating-baseline" "The mean, and the biases of the user and the item." => Baseline,
    "rating-knn" "The user's ratings of similar items." => RatingKnn,
    "rating-mf" "Matrix factorization of ratings by alternating least squares." => RatingFactorization,
    "rating-blend" "A weighted mean of the others." => RatingBlend,
}

impl RatingKind {
    /// The model with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
