//! The synonyms in force: those of a file of the configuration, and those that requests put into the log, together.
//!
//! They change how queries are read and nothing that is learned.

use std::path::Path;

use accrue_serve::search::{SearchReader, SearchSettings, SynonymError, Synonyms};
use accrue_store::Facts;

use crate::error::EngineError;
use crate::text_file::read_text;

/// Gives the reader the synonyms of the file and of the log.
pub(crate) fn put_in_force(reader: &SearchReader, settings: &SearchSettings, facts: &Facts) -> Result<(), EngineError> {
    let own = Synonyms::parse(&facts.synonyms).unwrap_or_else(|error| {
        tracing::error!(%error, "the synonyms in the log cannot be read; none of them holds");
        Synonyms::default()
    });
    let of_file = settings.synonyms.as_deref().map(read).transpose()?.unwrap_or_default();
    reader.set_synonyms(&of_file.and(own));
    Ok(())
}

fn read(path: &Path) -> Result<Synonyms, EngineError> {
    let fault = |message: String| EngineError::SynonymsFile { path: path.to_owned(), message };
    let text = read_text(path).map_err(|error| fault(error.to_string()))?;
    Synonyms::parse(&text).map_err(|error: SynonymError| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_synonyms_without_an_end_is_refused() {
        let EngineError::SynonymsFile { message, .. } = read(Path::new("/dev/zero")).unwrap_err() else { panic!() };
        assert!(message.contains("64 MiB"), "{message}");
    }
}
