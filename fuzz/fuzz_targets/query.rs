//! Any text as a query of a small shop in several scripts: it is answered, with every hit once.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use accrue_event::Item;
use accrue_serve::search::{SearchIndex, SearchReader, SearchSettings};
use libfuzzer_sys::fuzz_target;

static SHOP: LazyLock<SearchReader> = LazyLock::new(|| {
    let titles = ["T-Shirt 7\" blue", "Kinderschuhe", "手机壳 透明", "รองเท้าแตะชาย", "Crème brûlée", "🎄 mug", "HP 85A (CE285A)"];
    let mut index = SearchIndex::open(None, SearchSettings::default()).expect("an index in memory opens");
    for (i, title) in titles.iter().enumerate() {
        let mut item = Item::bare(format!("SKU-{i}").as_str().into());
        item.title = Some((*title).into());
        item.locale = (i == 1).then(|| "de".into());
        index.upsert(i as u32, &item).expect("memory accepts writes");
    }
    index.commit().expect("memory accepts commits");
    index.reader()
});

fuzz_target!(|text: &str| {
    let page = SHOP.search(text, &|_| true, 20, 0).expect("memory is readable");
    let distinct: HashSet<u32> = page.hits.iter().map(|hit| hit.item_idx).collect();
    assert_eq!(distinct.len(), page.hits.len());
    assert!(page.hits.iter().all(|hit| hit.score.is_finite()));
});
