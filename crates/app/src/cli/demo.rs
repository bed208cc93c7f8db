//! `accrue demo`: a simulated shop to look around in.

use super::{Context, Ending, wanted};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:7171] [env: ACCRUE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
}

pub(super) fn run(context: Context, _arguments: Arguments) -> anyhow::Result<Ending> {
    wanted::demo(&context.config)?;
    Ok(Ending::Well)
}
