//! Any bytes as the body of a record: decoded or refused.
#![no_main]

use accrue_store::Body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = postcard::from_bytes::<Body>(bytes);
});
