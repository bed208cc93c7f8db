//! Repeat consumption: an item chosen before is chosen again, the more likely the more recent it is.
//!
//! `p_d` is the share of steps at which the item last chosen `d` steps ago was chosen again; an item of the history scores the `p_d` of its last
//! place, all others 0. Anderson, Kumar, Tomkins, Vassilvitskii, *The dynamics of repeat consumption*, WWW 2014.

use serde::{Deserialize, Serialize};

use super::{CollaborativeModel, Fit, FitError, Interactions};

/// How many steps back it distinguishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecentRepeatSettings {
    /// Steps back that are distinguished; items further back count as the last of them.
    pub reach: usize,
    /// Steps without a repeat added to each place, which reduces probabilities with little evidence.
    pub shrink: f64,
}

impl Default for RecentRepeatSettings {
    fn default() -> Self {
        Self { reach: 50, shrink: 10.0 }
    }
}

/// The probability of a repeat, by steps back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentRepeat {
    /// `[reach]`, the last item's first.
    chances: Vec<f32>,
}

impl CollaborativeModel for RecentRepeat {
    type Settings = RecentRepeatSettings;

    fn fit(data: &Interactions, settings: &RecentRepeatSettings, _: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(settings.reach > 0, "reach", settings.reach, "at least one place")?;
        FitError::check(settings.shrink > 0.0, "shrink", settings.shrink, "a positive number")?;
        let (mut repeats, mut steps) = (vec![0.0; settings.reach], vec![settings.shrink; settings.reach]);
        let mut last = vec![None; data.n_items()];
        for (user, history) in data.histories().enumerate() {
            for (place, &item) in history.iter().enumerate() {
                // Each place back holds an item whose last occurrence it may be; then it is an opportunity for a
                // repeat.
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
    fn the_probability_of_a_repeat_is_its_past_frequency() {
        // The item two places back is chosen again at every step that has one.
        let data = Interactions::new(4, vec![vec![0, 1, 0, 1, 0, 1]; 50]);
        let model = RecentRepeat::fit(&data, &RecentRepeatSettings::default(), &Fit::quiet(1, 1)).expect("plain data");
        let mut out = [0.0; 4];
        model.score(&[2, 3], &mut out);
        assert_eq!((out[0], out[1], out[3]), (0.0, 0.0, 0.0));
        assert!(out[2] > 0.9, "{out:?}");
    }
}
