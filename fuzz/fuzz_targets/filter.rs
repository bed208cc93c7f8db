//! Any text as a filter: parsed or refused; what parses prints as text that parses to the same filter.
#![no_main]

use accrue_serve::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text) {
        let printed = filter.to_string();
        let again = Filter::parse(&printed).expect("canonical text parses");
        assert_eq!(again.to_string(), printed);
    }
});
