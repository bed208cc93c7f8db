//! `accrue demo`: a simulated shop to explore.

use accrue_http::Site;

use super::problem::{Expected, Hint as _};
use super::signals::Stop;
use super::{Context, Exit};
use crate::config::Config;
use crate::demo::{DemoError, DemoSettings, FolderError, HEADER, Said};

const EXAMPLES: &str = "\
Examples:
  accrue demo                                          until Ctrl-C; the data is removed at the end
  accrue demo --visits 20000 --json                    one line of JSON every two seconds, and a summary
  accrue demo --data demo-shop --listen 127.0.0.1:0    keeps the data; a free port

The shoppers are simulated, the server is real: it also answers other programs on this machine.
--data must be new, empty, or the folder of an earlier demo, whose data is then replaced.";

/// Seconds between two lines.
const EVERY_S: u64 = 2;
/// Lines under one header.
const LINES: u32 = 20;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:7171] [env: ACCRUE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// End after this many pages, instead of at Ctrl-C
    #[arg(long, value_name = "N")]
    visits: Option<u64>,
    /// Pages a second, at most
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = speed)]
    speed: f64,
}

pub(super) fn run(context: Context, site: Site, arguments: Arguments) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let settings = DemoSettings {
        data: (config.data != Config::default().data).then(|| config.data.clone()),
        visits: arguments.visits,
        visits_per_s: arguments.speed,
        every: std::time::Duration::from_secs(EVERY_S),
    };
    let stop = Stop::listen()?;
    let mut n_lines = 0;
    let mut say = |said: Said<'_>| match said {
        Said::Opened(opened) => output.result(opened, ToString::to_string),
        Said::Summary(summary) => output.result(summary, ToString::to_string),
        Said::Progress(progress) if output.is_json() => output.result(progress, ToString::to_string),
        Said::Progress(progress) => {
            if n_lines % LINES == 0 {
                output.note(&format!("\nThe last {} simulated pages:\n{}", progress.window, HEADER.join("\n")));
            }
            n_lines += 1;
            output.note(&progress.to_string());
            Ok(())
        }
    };
    match crate::demo::run(&config, site, &settings, &|| stop.is_asked(), &mut say) {
        Ok(()) => Ok(Exit::Success),
        Err(DemoError::Say(error)) => Err(error),
        Err(error) => match hint(&error) {
            Some(hint) => Err(error).hint(hint),
            None => Err(error.into()),
        },
    }
}

fn hint(error: &DemoError) -> Option<&'static str> {
    match error {
        DemoError::Listen { .. } => Some("choose another port with --listen HOST:PORT; port 0 picks a free one"),
        DemoError::Open(_) => Some("leave --listen out, or use --listen 127.0.0.1:PORT"),
        DemoError::Folder(FolderError::Foreign { .. }) => Some("name a new folder with --data DIR"),
        DemoError::Folder(FolderError::Io { .. }) => {
            Some("check the path and the permissions, or name another folder with --data DIR")
        }
        DemoError::Server(_) | DemoError::Client(_) => Some("--log info shows the server's log"),
        DemoError::Folder(FolderError::Engine(_)) | DemoError::Engine(_) | DemoError::Say(_) => None,
    }
}

fn speed(text: &str) -> Result<f64, Expected> {
    const EXPECTED: Expected = Expected("a number from 0.01 to 100000");
    text.parse().ok().filter(|speed| (0.01..=100_000.0).contains(speed)).ok_or(EXPECTED)
}
