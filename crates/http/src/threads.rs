//! The threads that a server runs on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Threads beside one for each core: they answer probes while every core computes a page. With a second one, pages of
/// visitors take longer under load, because more threads than cores are ready to run (`accrue bench connections`).
const SPARE_THREADS: usize = 1;
/// Tasks that a thread runs before it looks at what has arrived. With the runtime's own number, 61, a request would
/// wait in its socket for tens of pages of others before it even enters the queue for a turn; with 7, for some.
const TASKS_BETWEEN_LOOKS: u32 = 2;

/// A runtime for [`serve`](crate::serve).
///
/// # Errors
/// If the system starts no thread.
pub fn runtime() -> io::Result<Runtime> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(n_cores + SPARE_THREADS).event_interval(TASKS_BETWEEN_LOOKS).enable_all().build()
}
