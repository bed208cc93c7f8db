//! Settings of the sequence model, and which of them cannot be combined.

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

use crate::members::MemberSettings;

/// Blocks of convolutions that a network may have: each doubles the distance that the one before it sees.
const MAX_CONVOLUTIONS: usize = 12;

/// Which network reads a shopper's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceKind {
    /// None: the model does not exist and costs nothing.
    #[default]
    None,
    /// Gated recurrent units.
    Gru,
    /// A causal Transformer.
    Transformer,
    /// Dilated causal convolutions.
    Convolution,
}

impl SequenceKind {
    /// All kinds except none.
    pub const NETWORKS: [Self; 3] = [Self::Gru, Self::Transformer, Self::Convolution];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gru => "gru",
            Self::Transformer => "transformer",
            Self::Convolution => "convolution",
        }
    }
}

/// Size of the network and how it learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequenceSettings {
    /// Which network.
    pub kind: SequenceKind,
    /// Width of vectors and states.
    pub d: usize,
    /// Last items of a history that the network reads.
    pub length: usize,
    /// Layers, or blocks of the Transformer and of the convolutions.
    pub blocks: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Events gathered for a step.
    pub batch_events: usize,
    /// Last places of a window that a step learns, including ones learned before: a replay of the shopper's own
    /// choices.
    pub targets: usize,
    /// Items drawn for the sampled softmax of a step.
    pub negatives: usize,
    /// Step of AdamW on the dense weights.
    pub learning_rate: f32,
    /// Decay of the dense weights.
    pub weight_decay: f32,
    /// Step of Adagrad on the items' rows.
    pub row_rate: f32,
    /// Decay of the rows that a step touches.
    pub row_decay: f32,
    /// Largest norm of the gradient of the dense weights, per target; 0 is no limit.
    pub clip: f32,
    /// Largest norm of the gradient of a row in one step; 0 is no limit. Rows are not averaged over targets, and a
    /// popular one has many.
    pub row_clip: f32,
    /// Past windows kept to be learned again.
    pub reservoir: usize,
    /// Past windows learned again for each new event.
    pub replay: f32,
    /// Strength of the regularisation towards the reference state; 0 is none.
    pub anchor_pull: f32,
    /// Candidates of a page.
    pub candidates: usize,
}

impl Default for SequenceSettings {
    fn default() -> Self {
        Self {
            kind: SequenceKind::None,
            d: 64,
            length: 50,
            blocks: 1,
            heads: 2,
            batch_events: 8,
            targets: 4,
            negatives: 256,
            learning_rate: 5e-4,
            weight_decay: 0.0,
            row_rate: 0.2,
            row_decay: 1e-4,
            clip: 5.0,
            row_clip: 0.0,
            reservoir: 1024,
            replay: 0.125,
            anchor_pull: 0.0,
            candidates: 100,
        }
    }
}

impl MemberSettings for SequenceSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        let is_off = self.kind == SequenceKind::None;
        is_off.then(|| SettingFault::new("kind", self.kind.name(), "gru, transformer or convolution"))
    }

    fn validate(&self) -> Result<(), SettingFault> {
        let Self { d, length, blocks, heads, batch_events, targets, negatives, reservoir, .. } = *self;
        let counts = [
            ("d", d, 1, 1024),
            ("length", length, 1, 1000),
            ("blocks", blocks, 1, 16),
            ("heads", heads, 1, 64),
            ("batch_events", batch_events, 1, 4096),
            ("targets", targets, 1, length.max(1)),
            ("negatives", negatives, 1, 100_000),
            ("reservoir", reservoir, 0, 1_000_000),
        ];
        for (key, value, least, most) in counts {
            SettingFault::check(key, value, least..=most)?;
        }
        if self.kind == SequenceKind::Transformer && !d.is_multiple_of(heads) {
            return Err(SettingFault::new("d", d, format!("a multiple of `heads`, {heads}")));
        }
        if self.kind == SequenceKind::Convolution {
            SettingFault::check("blocks", blocks, ..=MAX_CONVOLUTIONS)?;
        }
        let rates = [
            ("learning_rate", self.learning_rate, 1.0),
            ("weight_decay", self.weight_decay, 1.0),
            ("row_rate", self.row_rate, 10.0),
            ("row_decay", self.row_decay, 1.0),
            ("clip", self.clip, f32::MAX),
            ("row_clip", self.row_clip, f32::MAX),
            ("replay", self.replay, 64.0),
            ("anchor_pull", self.anchor_pull, 100.0),
        ];
        for (key, value, most) in rates {
            SettingFault::check(key, value, 0.0..=most)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_invalid_settings_are_named() {
        assert_eq!(SequenceSettings::default().validate(), Ok(()));
        let refused = |change: fn(&mut SequenceSettings), key: &str| {
            let mut settings = SequenceSettings { kind: SequenceKind::Transformer, ..Default::default() };
            change(&mut settings);
            let fault = settings.validate().expect_err("it is not valid").to_string();
            assert!(fault.contains(key), "{fault}");
        };
        refused(|settings| settings.d = 0, "`d` is 0");
        refused(|settings| settings.heads = 3, "multiple of `heads`");
        refused(|settings| settings.targets = 51, "`targets` is 51");
        refused(|settings| settings.batch_events = 0, "`batch_events` is 0");
        refused(|settings| settings.learning_rate = f32::NAN, "`learning_rate` is NaN");
        refused(|settings| settings.replay = -1.0, "`replay` is -1");
    }
}
