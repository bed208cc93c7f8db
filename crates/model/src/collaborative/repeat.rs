//! Repeat consumption: what was chosen is chosen again, the more likely the more recently.
//!
//! `p_d` is the share of steps at which the item last chosen `d` places ago was chosen again; an item of the history scores the `p_d` of its last
//! place, all others nothing. Anderson, Kumar, Tomkins, Vassilvitskii, *The dynamics of repeat consumption*, WWW 2014.

use serde::{Deserialize, Serialize};

use super::{CollaborativeModel, Fit, FitError, Interactions};

/// How far back it looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepeatSettings {
    /// Places back that are told apart; further ones count as the last of them.
    pub reach: usize,
    /// Steps without a repeat added to each place: rare evidence is believed less.
    pub shrink: f64,
}

impl Default for RepeatSettings {
    fn default() -> Self {
        Self { reach: 50, shrink: 10.0 }
    }
}

/// The chance of a repeat by places back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// `[reach]`, the last item's first.
    chances: Vec<f32>,
}

impl CollaborativeModel for Repeat {
    type Settings = RepeatSettings;

    fn fit(data: &Interactions, settings: &RepeatSettings, _: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(settings.reach > 0, "reach", settings.reach, "at least one place is needed")?;
        FitError::check(settings.shrink > 0.0, "shrink", settings.shrink, "a positive number is expected")?;
        let (mut repeats, mut steps) = (vec![0.0; settings.reach], vec![settings.shrink; settings.reach]);
        let mut last = vec![None; data.n_items()];
        for (user, history) in data.histories().enumerate() {
            for (place, &item) in history.iter().enumerate() {
                // Each place back holds some item whose last occurrence it may be: an opportunity for a repeat.
                (0..place.min(settings.reach)).for_each(|back| steps[back] += 1.0);
                if let Some((of, before)) = last[item as usize].replace((user, place))
                    && of == user
                {
                    let back: usize = place - before - 1;
                    repeats[back.min(settings.reach - 1)] += 1.0;
                }
            }
        }
        Ok(Self {
            chances: repeats.iter().zip(&steps).map(|(repeats, steps): (&f64, _)| (repeats / steps) as f32).collect(),
        })
    }

    fn n_params(&self) -> u64 {
        self.chances.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        out.fill(0.0);
        // Oldest first: an item's last place is written last.
        for (place, &item) in history.iter().enumerate() {
            let back = history.len() - 1 - place;
            out[item as usize] = self.chances[back.min(self.chances.len() - 1)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_as_likely_as_it_has_been() {
        // Two places back is chosen again at every step that has one.
        let data = Interactions::new(4, vec![vec![0, 1, 0, 1, 0, 1]; 50]);
        let model = Repeat::fit(&data, &RepeatSettings::default(), &Fit::quiet(1, 1)).expect("plain data");
        let mut out = [0.0; 4];
        model.score(&[2, 3], &mut out);
        assert_eq!((out[0], out[1], out[3]), (0.0, 0.0, 0.0));
        assert!(out[2] > 0.9, "{out:?}");
    }
}
