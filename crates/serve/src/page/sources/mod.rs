//! Sources: where a page's candidates come from. A source is a file with one function and one line of [`all`]; each
//! online model that retrieves is a source too, by its name.
//!
//! In: the situation, and the most candidates that the scene allows. Out: candidates in any order, before anything is
//! left out. A source that cannot answer, because its model does not learn, says so, and the page is made from the
//! others.

mod after_search;
mod bought;
mod models;
mod new_items;
mod of_scenes;
mod replenishment;
mod similar;
mod trending;

use std::sync::LazyLock;

use accrue_model::Part;
use accrue_store::ItemIdx;

pub use self::of_scenes::sources;
use super::Situation;
use crate::scene::source_names::{AFTER_SEARCH, BOUGHT, MODELS, NEW, SIMILAR, TRENDING};

/// A place where candidates come from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name in settings.
    pub name: &'static str,
    /// What it finds, in a sentence.
    pub what: &'static str,
    find: Find,
}

/// What a source reads.
pub(super) struct Asked<'a> {
    pub situation: &'a Situation<'a>,
    /// Candidates that the scene allows; `None` is as many as the source gives by itself.
    pub limit: Option<usize>,
    /// Whether the page may show an item among its first. A source that would otherwise spend its limit on items that
    /// are left out asks it.
    pub accepts: &'a dyn Fn(ItemIdx) -> bool,
}

#[derive(Debug)]
enum Find {
    /// Adds candidates; `false` if the source cannot answer.
    By(fn(&Asked<'_>, &mut Vec<ItemIdx>) -> bool, Option<Part>),
    /// The candidates of one model.
    Model(Part),
}

impl Source {
    const fn by(
        name: &'static str,
        what: &'static str,
        find: fn(&Asked<'_>, &mut Vec<ItemIdx>) -> bool,
        needs: Option<Part>,
    ) -> Self {
        Self { name, what, find: Find::By(find, needs) }
    }

    /// Adds the candidates; `false` if the source cannot answer.
    pub(super) fn find(&self, asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
        match self.find {
            Find::By(find, _) => find(asked, found),
            Find::Model(part) => {
                let Situation { shop, context, prepared, .. } = asked.situation;
                shop.version.ensemble.candidates_of(part, context, prepared, asked.limit, found)
            }
        }
    }

    /// The model that must learn for the source to answer.
    pub fn needs(&self) -> Option<Part> {
        match self.find {
            Find::By(_, needs) => needs,
            Find::Model(part) => Some(part),
        }
    }
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut sources = vec![
        Source::by(MODELS, "The candidates of every model that learns.", models::find, None),
        Source::by(NEW, "Items that the models have not met, and those published lately.", new_items::find, None),
        Source::by(TRENDING, "What is chosen most this week, in the categories of the page.", trending::find, None),
        Source::by(SIMILAR, "What is like the items of the page, or the latest choices.", similar::find, None),
        Source::by(
            AFTER_SEARCH,
            "What shoppers chose after the search that the page stands beside.",
            after_search::find,
            None,
        ),
        Source::by(BOUGHT, "What the shopper bought and kept.", bought::find, None),
        Source::by(
            "replenishment",
            "What the shopper buys again and again and is due, by learned intervals.",
            replenishment::find,
            Some(Part::Replenishment),
        ),
    ];
    let models = Part::ALL.iter().filter(|part| part.retrieves());
    sources.extend(models.map(|part| Source { name: part.name(), what: part.what(), find: Find::Model(*part) }));
    sources
});

/// All sources.
pub(crate) fn all() -> &'static [Source] {
    &SOURCES
}

/// The source of this name.
pub(crate) fn named(name: &str) -> Option<&'static Source> {
    all().iter().find(|source| source.name == name)
}
