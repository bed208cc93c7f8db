//! Any bytes as a file of each form: every line becomes a record or a refusal, or the file an error.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use accrue_ingest::{Progress, ReadSettings, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["f.csv", "f.tsv", "f.ndjson", "f.csv.gz", "f.tsv.zst"] {
        let bytes = Cursor::new(bytes.to_vec());
        let Ok(mut reader) = Reader::from_bytes(Path::new(name), bytes, &ReadSettings::default(), &Progress::default())
        else {
            continue;
        };
        while let Ok(batch) = reader.next_batch(100) {
            if batch.entries.is_empty() {
                break;
            }
        }
    }
});
