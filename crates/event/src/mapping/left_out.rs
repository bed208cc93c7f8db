//! Texts that stand for nothing, and columns that are left out.

/// Whether a text stands for nothing: it is blank, or one of those that the mapping says.
pub(super) fn is_empty(empty: &[Box<str>], text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || empty.iter().any(|empty| **empty == *text)
}

/// Whether a column is left out: it is named, or begins as one that ends in `*`.
pub(super) fn is_dropped(drop_columns: &[Box<str>], name: &str) -> bool {
    drop_columns.iter().any(|dropped| match dropped.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => **dropped == *name,
    })
}

/// What is said of a column of costs that the mapping does not name: rules may use costs, and visitors must not read them.
pub(super) fn note_on_cost(name: &str) -> String {
    format!("`{name}` as a cost, which is left out")
}
