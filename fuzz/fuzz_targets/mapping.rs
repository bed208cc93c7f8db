//! Any text as a mapping: read and bound to a header, or refused; what binds maps any row.
#![no_main]

use accrue_event::Mapping;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mapping) = toml::from_str::<Mapping>(text) else { return };
    if let Ok(mut bound) = mapping.bind(&["a", "b", "item"]) {
        let _ = bound.apply(&["1", "-2", "x"]);
    }
});
