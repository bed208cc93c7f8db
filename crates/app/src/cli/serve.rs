//! `accrue serve`: the engine behind HTTP, until it is asked to stop.

use std::io::Write as _;

use accrue_engine::online_model::OnlineModel;
use accrue_engine::{Engine, TransferSource};
use accrue_http::Site;

use super::ingest::Followers;
use super::problem::Hint as _;
use super::{Context, Exit, signals};

const EXAMPLES: &str = "\
Examples:
  accrue serve
  accrue serve --data shop --listen 0.0.0.0:7171       needs keys in accrue.toml
  accrue serve --model sequence:gru                    one model alone; the default is the blend of all
  accrue serve --model blend:lightgcn                  the blend with a fitted model as a member
  accrue serve --data new --init from=old              the models of a new shop begin with what another one has learned
  accrue serve --listen 127.0.0.1:0                    a free port; the first line on stdout names it

Ctrl-C or SIGTERM ends it: requests in flight are answered, and a checkpoint is written.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:7171] [env: ACCRUE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    #[arg(long, value_name = "NAME", value_parser = OnlineModel::named, help = model_help())]
    pub model: Option<OnlineModel>,
    /// Let the models of a new shop begin with what another one has learned: from=FOLDER, or from=FOLDER@VERSION of its
    /// versions. What was taken is kept in the data folder, and the source is not needed again
    #[arg(long, value_name = "from=FOLDER")]
    pub init: Option<TransferSource>,
}

/// The names come from the registries, so that a new model is named here as well.
fn model_help() -> String {
    let (alone, networks) = OnlineModel::names();
    format!(
        "The model that answers: {}, sequence:NETWORK, fitted:MODEL, or blend:NETWORK, blend:MODEL with one of those as a \
         member; NETWORK is {}, MODEL a fitted model of `accrue evaluate --model list` [default: blend]",
        alone.join(", "),
        networks.join(", ")
    )
}

pub(super) fn run(context: Context, site: Site) -> anyhow::Result<Exit> {
    let Context { config, .. } = context;
    accrue_http::runtime()?.block_on(async {
        // The port first: a second server on it must fail before it recovers a shop.
        let listener = accrue_http::listen(&config.http)
            .await
            .map_err(|error| anyhow::anyhow!("{}: cannot listen: {error}", config.http.listen))
            .hint("choose another port with --listen HOST:PORT; port 0 picks a free one")?;
        let address = listener.local_addr()?;
        let settings = config.http.clone();
        let followers = Followers::of(&config.sources)?;
        let engine = tokio::task::spawn_blocking(move || Engine::open_to_serve(&config.data, &config.engine)).await??;
        signals::survive_limit_of_file_size();
        // Before the address is announced: a stop that follows at once must find a server that closes its folder.
        let stop = signals::stop_asked();
        let followers = followers.start(&engine);
        // Nobody may read it, and the disk of a log may be full: neither is a reason to serve nobody.
        let told =
            writeln!(std::io::stdout(), "listening on http://{address}").and_then(|()| std::io::stdout().flush());
        if let Err(error) = told {
            tracing::warn!(%error, %address, "the address could not be written to stdout");
        }
        let served = accrue_http::serve_site(engine.clone(), listener, settings, site, stop).await;
        tracing::info!("stopping: the learner catches up and a checkpoint is written");
        // The engine is closed even if serving failed.
        let closed = tokio::task::spawn_blocking(move || {
            followers.stop();
            engine.close()
        });
        closed.await??;
        anyhow::Ok(served?)
    })?;
    Ok(Exit::Success)
}
