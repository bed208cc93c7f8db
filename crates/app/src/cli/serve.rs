//! `accrue serve`: the engine behind HTTP, until it is asked to stop.

use std::io::Write as _;

use accrue_model::collaborative::Kind;
use accrue_model::{Part, SequenceKind};

use super::problem::Hint as _;
use super::{Context, Ending, signals};
use crate::engine::Engine;

const EXAMPLES: &str = "\
Examples:
  accrue serve
  accrue serve --data shop --listen 0.0.0.0:7171       needs keys in accrue.toml
  accrue serve --model sequence:gru                    one model alone; the default is the blend of all
  accrue serve --listen 127.0.0.1:0                    a free port; the first line on stdout names it

Ctrl-C or SIGTERM ends it: requests in flight are answered, a checkpoint is written.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:7171] [env: ACCRUE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Which model answers: popularity, repeat, neighbours, preference, factorization, blend, sequence:NETWORK, or blend:NETWORK
    /// with a network in it; NETWORK is gru, transformer or convolution [default: blend]
    #[arg(long, value_name = "NAME", value_parser = served_model)]
    pub model: Option<ServedModel>,
}

/// A model that learns from every event, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServedModel {
    pub part: Part,
    pub network: Option<SequenceKind>,
}

impl ServedModel {
    /// The keys of the configuration that choose it.
    pub fn settings(self) -> Vec<(&'static str, toml::Value)> {
        let network = self.network.map(|network| ("model.sequence.kind", network.name()));
        let pairs = std::iter::once(("model.part", self.part.name())).chain(network);
        pairs.map(|(key, name)| (key, toml::Value::String(name.into()))).collect()
    }
}

fn served_model(name: &str) -> Result<ServedModel, String> {
    let (part, network) = name.split_once(':').map_or((name, None), |(part, network)| (part, Some(network)));
    let part_of = |part: &str| Part::ALL.into_iter().find(|known| known.name() == part);
    let network_of = |name: &str| SequenceKind::NETWORKS.into_iter().find(|known| known.name() == name);
    match (part_of(part), network.map(network_of)) {
        (Some(part @ (Part::Blend | Part::Sequence)), Some(Some(network))) => {
            Ok(ServedModel { part, network: Some(network) })
        }
        (Some(part), None) if part != Part::Sequence => Ok(ServedModel { part, network: None }),
        _ => Err(not_servable(name)),
    }
}

fn not_servable(name: &str) -> String {
    let networks = SequenceKind::NETWORKS.map(SequenceKind::name).join("|");
    let parts = Part::ALL.into_iter().filter(|&part| part != Part::Sequence).map(Part::name);
    let parts = parts.collect::<Vec<_>>().join(", ");
    let servable = format!("servable are {parts}, sequence:{networks}, blend:{networks}");
    if Kind::ALL.iter().any(|kind| kind.name() == name) {
        return format!(
            "`{name}` is fitted on whole data sets, for `accrue evaluate`, and does not learn from events; {servable}"
        );
    }
    format!("there is no such model; {servable}")
}

pub(super) fn run(context: Context) -> anyhow::Result<Ending> {
    let Context { config, .. } = context;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // The port first: a second server on it should fail before it recovers a shop.
        let listener = tokio::net::TcpListener::bind(&config.http.listen).await;
        let listener = listener
            .map_err(|error| anyhow::anyhow!("{}: cannot listen: {error}", config.http.listen))
            .hint("choose another port with --listen HOST:PORT; port 0 picks a free one")?;
        let address = listener.local_addr()?;
        let settings = config.http.clone();
        let engine = tokio::task::spawn_blocking(move || Engine::open_to_serve(&config.data, &config)).await??;
        writeln!(std::io::stdout(), "listening on http://{address}")?;
        std::io::stdout().flush()?;
        let served = crate::http::serve(engine.clone(), listener, settings, signals::stop_asked()).await;
        tracing::info!("stopping: the learner catches up and a checkpoint is written");
        // The engine is closed also when serving failed.
        tokio::task::spawn_blocking(move || engine.close()).await??;
        served
    })?;
    Ok(Ending::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_learn_from_events_are_servable_and_others_say_why_not() {
        let keys = |name| served_model(name).map(|model| model.settings());
        let text = |text: &str| toml::Value::String(text.into());
        assert_eq!(keys("factorization"), Ok(vec![("model.part", text("factorization"))]));
        let gru = vec![("model.part", text("sequence")), ("model.sequence.kind", text("gru"))];
        assert_eq!(keys("sequence:gru"), Ok(gru));
        for (name, why) in [
            ("ease", "fitted on whole data sets"),
            ("sequence", "sequence:gru|"),
            ("sequence:rnn", "no such"),
            ("x", "no such"),
        ] {
            let error = keys(name).expect_err(name);
            assert!(error.contains(why) && error.contains("neighbours"), "{name}: {error}");
        }
    }
}
