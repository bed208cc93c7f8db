//! Files that are there as a whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::EncodeError;

/// Writes a file beside its place, waits until it is on the disk, and puts it in its place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), EncodeError> {
    replace_with(path, |file| file.write_all(bytes))
}

/// [`replace`] with a file's bytes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), EncodeError> {
    let bytes = std::fs::read(from).map_err(|source| EncodeError::Io { path: from.into(), source })?;
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(|source| EncodeError::Io { path: parent.into(), source })?;
    }
    replace(to, &bytes)
}

/// [`replace`] with what `write` writes. What it wrote is removed again if it fails.
pub(crate) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> Result<(), EncodeError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = File::create(&part).and_then(|file| {
        let mut file = io::BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.into_inner()?.sync_all()?;
        std::fs::rename(&part, path)
    });
    written.map_err(|source| {
        // The fault that counts is the first one.
        let _ = std::fs::remove_file(&part);
        EncodeError::Io { path: path.into(), source }
    })
}
