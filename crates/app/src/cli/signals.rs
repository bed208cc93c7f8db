//! Ctrl-C, SIGTERM and SIGHUP (of a terminal that is closed): the first one stops work at the next safe place, the second ends the process at once.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::output;

/// Whether a stop was requested.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Starts to listen.
    pub fn listen() -> anyhow::Result<Self> {
        let stop = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = stop.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                stop_asked().await;
                asked.0.store(true, Ordering::Relaxed);
                output::note("stopping; once more ends at once");
                stop_asked().await;
                // Safe at any moment: what was acknowledged is durable.
                std::process::exit(130);
            });
        })?;
        Ok(stop)
    }

    /// Whether to stop at the next safe place.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets a write beyond the largest file that the process may have (`ulimit -f`) fail as one to a full disk does. The system would
/// end the process. It is called inside a runtime.
pub(super) fn survive_limit_of_file_size() {
    /// SIGXFSZ.
    #[cfg(target_os = "linux")]
    const FILE_TOO_LARGE: i32 = 25;
    // Whoever listens to a signal once is never ended by it; nobody needs to hear it.
    #[cfg(target_os = "linux")]
    if let Err(error) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(FILE_TOO_LARGE)) {
        tracing::debug!(%error, "the limit of the size of files ends the process");
    }
}

/// Done when Ctrl-C is pressed, or SIGTERM arrives, or SIGHUP because a terminal is closed. They are caught from the call on, and not
/// only once the result is awaited; it is made inside a runtime.
///
/// Without a terminal SIGHUP is passed over: whatever rotates logs sends it, and `nohup` means that it shall not end the process.
pub(super) fn stop_asked() -> impl Future<Output = ()> + Send + 'static {
    let has_terminal = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => return,
                    _ = terminate.recv() => return,
                    _ = hangup.recv() => {}
                }
                if has_terminal {
                    return;
                }
                tracing::info!("SIGHUP is passed over, because there is no terminal; SIGTERM stops");
            }
        }
        // Without a signal this waits for ever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
