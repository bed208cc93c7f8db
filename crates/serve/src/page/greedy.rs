//! Greedy selection: places are filled one by one, each by the item with the best value that is allowed there.
//!
//! A value may be known only as an upper bound that falls as more items are picked. Then an item is valued exactly only
//! when its bound is the best (lazy greedy selection: Minoux 1978). Equal values are ordered by the item's place.

/// The values of items, given those that are picked.
pub(super) trait Greedy {
    /// An upper bound of the item's value.
    fn bound(&self, item: usize) -> f32;

    /// Makes the bound of an item exact; `true` if it was.
    fn is_exact(&mut self, item: usize) -> bool;

    /// Takes an item; `left` are the items that have no place yet, without it.
    fn pick(&mut self, item: usize, left: &[usize]);
}

/// What filled the places.
pub(super) struct Filled {
    /// The items by their places in the window.
    pub picked: Vec<usize>,
    /// The first place for which no item was allowed; it and those behind it have the best item regardless.
    pub unmet: Option<usize>,
}

/// Fills the first `n` places of a window of `n_items`. `allows` says whether an item may follow those that are picked.
pub(super) fn fill(
    values: &mut impl Greedy,
    n_items: usize,
    n: usize,
    mut allows: impl FnMut(&[usize], usize) -> bool,
) -> Filled {
    let mut left: Vec<usize> = (0..n_items).collect();
    let mut filled = Filled { picked: Vec::with_capacity(n.min(n_items)), unmet: None };
    while filled.picked.len() < n && !left.is_empty() {
        let best = |values: &dyn Greedy, allowed: &dyn Fn(usize) -> bool| {
            let mut best: Option<(usize, f32)> = None;
            for (place, &item) in left.iter().enumerate() {
                let bound = values.bound(item);
                if best.is_none_or(|(_, value)| bound > value) && allowed(item) {
                    best = Some((place, bound));
                }
            }
            best.map(|(place, _)| place)
        };
        let allowed: Vec<bool> = left.iter().map(|&item| allows(&filled.picked, item)).collect();
        let is_any_allowed = allowed.contains(&true);
        if !is_any_allowed {
            filled.unmet.get_or_insert(filled.picked.len());
        }
        let is_allowed = |item: usize| !is_any_allowed || left.binary_search(&item).is_ok_and(|place| allowed[place]);
        let place = loop {
            let Some(place) = best(values, &is_allowed) else { break 0 };
            if values.is_exact(left[place]) {
                break place;
            }
        };
        let item = left.remove(place);
        values.pick(item, &left);
        filled.picked.push(item);
    }
    filled
}
