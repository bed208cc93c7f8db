//! Names of models that learn from events: a part alone, or a part with the network or the fitted model in it, as in `blend:gru` and
//! `fitted:ease`.
//!
//! In: a name of the command line. Out: the settings that choose it.

use std::fmt;

use accrue_model::collaborative::Kind;
use accrue_model::{Part, SequenceKind};

/// A model that learns from every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlineModel {
    /// The part that scores.
    pub part: Part,
    member: Option<Member>,
}

/// A model that is off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Network(SequenceKind),
    Fitted(Kind),
}

impl OnlineModel {
    /// The model with this name.
    ///
    /// # Errors
    /// If there is none; the error lists the names.
    pub fn named(name: &str) -> Result<Self, UnknownModel> {
        let (part, member) = name.split_once(':').map_or((name, None), |(part, member)| (part, Some(member)));
        let Some(part) = Part::named(part) else {
            return Err(unknown(name));
        };
        let Some(member) = member else { return Ok(Self { part, member: None }) };
        let network = SequenceKind::NETWORKS.into_iter().find(|known| known.name() == member).map(Member::Network);
        let fitted = Kind::named(member).map(Member::Fitted);
        let member = match part {
            // In the blend a name that both have is the network that learns from every event.
            Part::Blend => network.or(fitted),
            Part::Sequence => network,
            Part::Fitted => fitted,
            _ => None,
        };
        member.map(|member| Self { part, member: Some(member) }).ok_or_else(|| unknown(name))
    }

    /// The names of models that score alone, and those of networks, which stand after a colon.
    pub fn names() -> (Vec<&'static str>, Vec<&'static str>) {
        let needs_another = |part: &Part| matches!(part, Part::Sequence | Part::Fitted);
        let alone = Part::ALL.iter().filter(|part| !needs_another(part)).map(|part| part.name());
        (alone.collect(), SequenceKind::NETWORKS.map(SequenceKind::name).to_vec())
    }

    /// The keys of the configuration that choose it, with their values. All others keep their defaults.
    pub fn settings(self) -> Vec<(&'static str, &'static str)> {
        let member = self.member.map(|member| match member {
            Member::Network(kind) => ("model.sequence.kind", kind.name()),
            Member::Fitted(kind) => ("model.fitted.model", kind.name()),
        });
        std::iter::once(("model.part", self.part.name())).chain(member).collect()
    }
}

/// A name that no model has that learns from events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// The name.
    pub name: String,
}

fn unknown(name: &str) -> UnknownModel {
    UnknownModel { name: name.to_owned() }
}

impl std::error::Error for UnknownModel {}

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name } = self;
        match Kind::named(name) {
            Some(_) => write!(
                f,
                "`{name}` is fitted on whole data sets; a model that learns from events is fitted:{name} or blend:{name}"
            )?,
            None => write!(f, "there is no model `{name}` that learns from events")?,
        }
        let parts = Part::ALL.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ");
        let networks = SequenceKind::NETWORKS.map(SequenceKind::name).join("|");
        let fitted = Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join("|");
        write!(f, "; there is {parts}, with :{networks} after sequence or blend, and :{fitted} after fitted or blend")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_a_part_and_the_model_in_it() {
        for (name, settings) in [
            ("factorization", vec![("model.part", "factorization")]),
            ("sequence:gru", vec![("model.part", "sequence"), ("model.sequence.kind", "gru")]),
            ("blend:gru", vec![("model.part", "blend"), ("model.sequence.kind", "gru")]),
            ("blend:ease", vec![("model.part", "blend"), ("model.fitted.model", "ease")]),
            ("fitted:gru", vec![("model.part", "fitted"), ("model.fitted.model", "gru")]),
        ] {
            assert_eq!(OnlineModel::named(name).map(OnlineModel::settings), Ok(settings), "{name}");
        }
    }

    #[test]
    fn each_name_of_a_model_alone_chooses_one_and_the_manual_has_it() {
        let manual = include_str!("../../../docs/learning.md");
        let (alone, networks) = OnlineModel::names();
        assert!(alone.len() + 2 == Part::ALL.len() && !networks.is_empty());
        for name in alone {
            assert!(OnlineModel::named(name).is_ok() && manual.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_error_of_an_unknown_name_lists_the_names() {
        for (name, why) in [
            ("ease", "fitted:ease or blend:ease"),
            ("sequence:rnn", "no model `sequence:rnn`"),
            ("sequence:ease", "no model `sequence:ease`"),
            ("neighbours:gru", "gru|transformer"),
            ("x", "neighbours"),
        ] {
            let error = OnlineModel::named(name).expect_err(name).to_string();
            assert!(error.contains(why) && error.contains("neighbours"), "{name}: {error}");
        }
    }
}
