//! What the items of a catalogue lack, as shoppers would notice it.

use accrue_event::Item;
use serde::Serialize;

use crate::cli::output::count;

/// Items, and how many of them lack what a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Described {
    n: u64,
    without_title: u64,
    without_price: u64,
    without_category: u64,
    without_image: u64,
}

impl Described {
    /// Counts an item as it is in the catalogue.
    pub fn add(&mut self, item: &Item) {
        self.n += 1;
        self.without_title += u64::from(item.title.is_none());
        self.without_price += u64::from(item.price.is_none());
        self.without_category += u64::from(item.categories.is_empty());
        self.without_image += u64::from(item.image.is_none());
    }

    /// Counts a variant, which has from its product what it lacks.
    pub fn add_variant(&mut self, variant: &Item, product: &Item) {
        let lacks = |of_variant: bool, of_product: bool| u64::from(of_variant && of_product);
        self.n += 1;
        self.without_title += lacks(variant.title.is_none(), product.title.is_none());
        self.without_price += lacks(variant.price.is_none(), product.price.is_none());
        self.without_category += lacks(variant.categories.is_empty(), product.categories.is_empty());
        self.without_image += lacks(variant.image.is_none(), product.image.is_none());
    }

    /// Whether an item has all that a page shows.
    pub fn is_whole(item: &Item) -> bool {
        item.title.is_some() && item.price.is_some() && item.image.is_some() && !item.categories.is_empty()
    }

    /// Whether there were no items.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// A sentence for a person to read; empty without items.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let lacking = [
            ("a title", self.without_title),
            ("a price", self.without_price),
            ("a category", self.without_category),
            ("an image", self.without_image),
        ];
        let shares: Vec<String> = lacking
            .into_iter()
            .map(|(what, n)| match n {
                0 => format!("0 without {what}"),
                n => format!("{} ({:.0} %) without {what}", count(n), 100.0 * n as f64 / self.n as f64),
            })
            .collect();
        let hint = if self.without_title > 0 { "; search finds no item without a title: docs/mapping.md" } else { "" };
        format!("\n{} items: {}{hint}\n", count(self.n), shares.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::Price;

    use super::*;

    #[test]
    fn the_share_of_items_that_lack_something_is_told() {
        let mut described = Described::default();
        assert_eq!(described.text(), "");
        let bare = Item::bare("a".into());
        described.add(&bare);
        described.add(&Item { title: Some("Mug".into()), price: Price::new(9.5), ..bare });
        let text = described.text();
        assert!(
            text.starts_with(
                "\n2 items: 1 (50 %) without a title, 1 (50 %) without a price, 2 (100 %) without a category"
            ),
            "{text}"
        );
        assert!(text.contains("docs/mapping.md"));
    }
}
