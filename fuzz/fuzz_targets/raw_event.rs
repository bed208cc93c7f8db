//! Any bytes as a JSON event or item: read or refused, judged without a panic; what passes keeps the promises of `Event`.
#![no_main]

use accrue_event::{Check, CheckSettings, Outcome, RawEvent, RawItem, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let check = Check::new(CheckSettings::default(), Default::default()).expect("defaults hold");
    if let Ok(raw) = serde_json::from_slice::<RawEvent>(bytes) {
        let (Outcome::Accepted(event) | Outcome::Repaired(event, _)) = check.judge(&raw, Timestamp(1_800_000_000_000), |_| None)
        else {
            return;
        };
        assert!(event.user.is_some() || event.session.is_some());
        assert!(event.value.is_finite() && event.quantity >= 1);
        assert!(event.price.is_none_or(|price| price.is_finite() && price >= 0.0));
    }
    if let Ok(raw) = serde_json::from_slice::<RawItem>(bytes) {
        let _ = check.judge_item(&raw);
    }
});
