//! `accrue ingest --from`: a table of another server, once or for ever.

use std::time::Instant;

use accrue_engine::{Engine, EngineError};
use accrue_event::RecordKind;
use accrue_ingest::remote::RemoteSettings;
use accrue_store::StoreError;

use super::dry_run::DryRun;
use super::follow::{Ended, FollowError, FollowedSource, Reporter, Until, mapping_of};
use super::summary::Summary;
use super::{Arguments, Sink as _, kind_of, learn};
use crate::cli::output::Output;
use crate::cli::problem::Problem;
use crate::cli::signals::Stop;
use crate::cli::{Context, Exit};

/// Reads a table of another server.
pub(super) fn run(context: &Context, address: &str, arguments: &Arguments) -> anyhow::Result<Exit> {
    let mapping = mapping_of(arguments.mapping.as_deref(), arguments.map.as_deref(), kind_of(arguments))?;
    let settings =
        RemoteSettings { needs_time: !arguments.now, is_patch: arguments.patch, ..RemoteSettings::default() };
    if arguments.patch && mapping.kind != RecordKind::Items {
        return Err(
            Problem::new("--patch is for products", "add --items, or set `kind = \"items\"` in the mapping").into()
        );
    }
    let followed = FollowedSource::new(address, arguments.name.as_deref(), mapping, settings)?;
    let stop = Stop::listen()?;
    let started = Instant::now();
    let output = context.output;
    let mut summary = Summary::new(arguments.check, arguments.patch);
    let reporter = Reporter { say: &|text| output.note(text), is_stopped: &|| stop.is_asked() };
    let until = if arguments.follow { Until::Stopped } else { Until::End };
    if arguments.check {
        let mut dry_run = DryRun::new(&context.config.engine.check, arguments.patch)?;
        let ended = followed.check(&mut dry_run, &mut summary, &reporter);
        summary.describe(dry_run.described());
        summary.finish(started.elapsed());
        output.result(&summary, Summary::table)?;
        return exit_of(ended.map_err(FollowError::into_cause)?, until, &summary, arguments.strict, output);
    }
    let engine = Engine::open(&context.config.data, &context.config.engine).map_err(held_by_a_server)?;
    let ended = followed.read(&engine, &mut summary, until, &reporter);
    summary.finish(started.elapsed());
    if until == Until::End {
        learn(&engine, &stop, output);
    }
    engine.close()?;
    output.result(&summary, Summary::table)?;
    exit_of(ended.map_err(FollowError::into_cause)?, until, &summary, arguments.strict, output)
}

fn exit_of(ended: Ended, until: Until, summary: &Summary, is_strict: bool, output: Output) -> anyhow::Result<Exit> {
    match ended {
        Ended::Stopped if until == Until::Stopped => {}
        Ended::Stopped => {
            output.note("stopped; everything counted above is in the log, and the same command goes on behind it");
            return Ok(Exit::Stopped);
        }
        Ended::AllRefused => {
            output.note("stopped: every record so far was refused, so the source is not read further");
            return Ok(Exit::Refused);
        }
        Ended::Whole => {}
    }
    let is_refused = summary.all_refused() || (is_strict && summary.any_refused());
    Ok(if is_refused { Exit::Refused } else { Exit::Success })
}

/// A folder that a server has open is not opened a second time: the server can follow the source itself.
fn held_by_a_server(error: EngineError) -> anyhow::Error {
    match error {
        EngineError::Store(StoreError::Locked { .. }) => {
            let hint =
                "if a server has it, let that follow the source: an entry [[sources]] in accrue.toml (docs/sources.md)";
            Problem::new(error, hint).into()
        }
        error => error.into(),
    }
}
