//! The names of the sources that the server's own scenes ask. What each source does is in `page/sources/`.

/// The largest limit that a scene may give to a source.
pub(crate) const MAX_LIMIT: usize = accrue_model::MAX_CANDIDATES;
/// The source of what the shopper bought.
pub(crate) const BOUGHT: &str = "bought";
/// What is like the items of the page.
pub(crate) const SIMILAR: &str = "similar";
/// What is chosen most this week.
pub(crate) const TRENDING: &str = "trending";
/// What was chosen after the search that the page stands beside.
pub(crate) const AFTER_SEARCH: &str = "after_search";
/// The sources of a page of which nothing is said.
pub(crate) const MODELS: &str = "models";
pub(crate) const NEW: &str = "new";
