//! The campaigns that pages use, read from the facts; they are read again whenever the facts have other ones.

use std::sync::Arc;

use accrue_event::{CampaignDocument, CampaignRecord};
use accrue_serve::Campaigns;
use accrue_store::{Body, Facts, Offset};
use arc_swap::ArcSwap;

use crate::error::EngineError;

/// The campaigns that the facts have. A record that cannot be read, written by another build, counts as none.
pub(crate) fn written(facts: &Facts) -> CampaignDocument {
    read(&facts.ledger.document().json).unwrap_or_else(|error| {
        tracing::error!(%error, "the campaigns in the log cannot be read; none runs");
        CampaignDocument::default()
    })
}

/// The campaigns to change one of. If the record cannot be read there are none: the change would remove all others.
///
/// # Errors
/// [`EngineError::Conflict`]
pub(crate) fn to_change(facts: &Facts) -> Result<CampaignDocument, EngineError> {
    read(&facts.ledger.document().json).map_err(|error| EngineError::Conflict {
        message: format!(
            "this version of the program cannot read the campaigns ({error}); a change of one would remove them, so put \
             all campaigns again, or use the version that wrote them"
        ),
    })
}

fn read(json: &str) -> Result<CampaignDocument, serde_json::Error> {
    if json.is_empty() { Ok(CampaignDocument::default()) } else { serde_json::from_str(json) }
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
