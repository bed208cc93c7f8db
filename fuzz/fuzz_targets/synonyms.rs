//! Any text as a list of synonyms: read or refused; what is read can be used in a query.
#![no_main]

use accrue_serve::search::{SearchIndex, SearchSettings, Synonyms};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(synonyms) = Synonyms::parse(text) {
        let reader = SearchIndex::open(None, SearchSettings::default()).expect("an index in memory opens").reader();
        reader.set_synonyms(&synonyms);
        reader.search(text, &|_| true, 1, 0).expect("memory is readable");
    }
});
