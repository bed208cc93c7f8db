//! Files that people write: settings, mappings, lists.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of such a file. A larger one was named by mistake, and a device has no end.
const MAX_BYTES: u64 = 64 << 20;

/// The text of a file that a person wrote.
///
/// # Errors
/// If it cannot be read, is no UTF-8 or is larger than 64 MiB.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 64 MiB"));
    }
    Ok(text)
}
