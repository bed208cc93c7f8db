//! An order of hits as a request names it; `sort.rs` reads it and puts hits in order.

/// Fields of one order, at most.
pub const MAX_SORT_FIELDS: usize = 4;

/// An order of hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort(pub(super) Vec<SortKey>);

/// One field of an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SortKey {
    pub field: SortField,
    pub is_descending: bool,
}

/// What hits are ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortField {
    Price,
    Stock,
    PublishedAt,
    Popularity,
    Title,
    Brand,
    Id,
    Attribute(Box<str>),
}
