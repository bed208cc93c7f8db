//! Synonyms as a shop puts and reads them.

use accrue_serve::search::Synonyms;
use accrue_store::Body;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::in_force::synonyms::put_in_force;

impl Engine {
    /// The synonyms that requests put into the log, a rule a line.
    pub fn synonyms(&self) -> Vec<String> {
        self.with_shop(|shop| shop.facts.synonyms.lines().map(str::to_owned).collect())
    }

    /// Replaces the synonyms in the log. They hold from the next answer on.
    ///
    /// # Errors
    /// [`EngineError::Synonyms`], and those of [`Engine::ingest_from`].
    pub async fn set_synonyms(&self, lines: &[String]) -> Result<(), EngineError> {
        let text = lines.join("\n");
        Synonyms::parse(&text)?;
        self.edit(move |facts, _| {
            Ok(if *text == *facts.synonyms { Vec::new() } else { vec![Body::Synonyms(text.into())] })
        })
        .await?;
        self.put_synonyms_in_force()
    }

    /// Has searches read the synonyms that the facts have now.
    pub(crate) fn put_synonyms_in_force(&self) -> Result<(), EngineError> {
        let running = self.running();
        let settings = &self.inner.config.search;
        running.with_shop(|shop| put_in_force(&running.search, settings, shop.facts))
    }
}
