//! The campaigns that pages use, read from the facts; they are read again whenever the facts have other ones.

use std::sync::Arc;

use accrue_event::{CampaignDocument, CampaignRecord};
use accrue_serve::Campaigns;
use accrue_store::{Body, Facts, Offset};
use arc_swap::ArcSwap;

use crate::error::EngineError;

/// The campaigns that the facts have. A record that cannot be read, written by another build, counts as none.
pub(crate) fn written(facts: &Facts) -> CampaignDocument {
    let json = &facts.ledger.document().json;
    if json.is_empty() {
        return CampaignDocument::default();
    }
    serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the campaigns in the log cannot be read; none runs");
        CampaignDocument::default()
    })
}

/// A record about campaigns.
pub(crate) fn body(record: CampaignRecord) -> Result<Body, EngineError> {
    let json = serde_json::to_string(&record);
    let json = json.map_err(|error| EngineError::Invalid { field: "campaigns", message: error.to_string() })?;
    Ok(Body::Campaigns(json.into()))
}

/// The campaigns of the shop, read.
#[derive(Default)]
pub(crate) struct ReadCampaigns(ArcSwap<(Offset, Campaigns)>);

impl ReadCampaigns {
    /// The campaigns that the facts have now. They are read again after each change.
    pub fn of(&self, facts: &Facts) -> Arc<(Offset, Campaigns)> {
        let known = self.0.load_full();
        let since = facts.ledger.document().since;
        if known.0 == since {
            return known;
        }
        let read = Campaigns::read(&written(facts)).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the campaigns of the shop cannot be used; none runs");
            Campaigns::default()
        });
        let read = Arc::new((since, read));
        self.0.store(Arc::clone(&read));
        read
    }
}
