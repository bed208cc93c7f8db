//! Pages that take long to compute, because they have many items or begin far down: they are computed on threads of
//! their own, of a lower priority. On the threads of all others, each of them would delay every page of a visitor, and
//! the probes, by the milliseconds that it takes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::problem::{Code, Problem, overloaded};
use super::turns::{HeldTurn, Turns};

/// Items from the top of the list to the end of the page, from which on a page is long: it takes some times as long as
/// one of the usual ten.
const LONG_DEPTH: usize = 100;
/// The niceness of the threads: of a core that both want, they get a third of what the threads of short pages get.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

type Work = Box<dyn FnOnce() + Send>;

/// The threads of long pages, which end when this is dropped.
pub(super) struct LongPages {
    turns: Arc<Turns>,
    work: Sender<Work>,
}

impl LongPages {
    /// Threads for half of the cores, at least one.
    pub(super) fn new(n_cores: usize) -> Self {
        let n_threads = (n_cores / 2).max(1);
        let (work, receiver) = channel::<Work>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..n_threads {
            let receiver = Arc::clone(&receiver);
            let started = Builder::new().name("long-pages".into()).spawn(move || run(&receiver));
            started.expect("the system has room for a few threads");
        }
        Self { turns: Turns::new(n_threads), work }
    }

    /// Computes a page that ends `depth` items from the top, and writes its answer: a short one at once, a long one in
    /// its turn among those, on one of their threads.
    ///
    /// # Errors
    /// What `page` returns; `overloaded` if a long page would have to wait for too long.
    pub(super) async fn compute<T: IntoResponse>(
        &self,
        depth: usize,
        turn: &HeldTurn,
        page: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        if depth <= LONG_DEPTH {
            return page().map(T::into_response);
        }
        if !turn.exchange(&self.turns).await {
            return Err(overloaded("too many long pages at a time"));
        }
        let (give, computed) = oneshot::channel();
        let work = move || {
            // If the request has ended meanwhile, nobody takes the page.
            let _ = give.send(catch_unwind(AssertUnwindSafe(|| page().map(T::into_response))));
        };
        let ended = || Problem::new(Code::Internal, "the threads of long pages have ended");
        self.work.send(Box::new(work)).map_err(|_| ended())?;
        computed.await.map_err(|_| ended())?.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn run(work: &Mutex<Receiver<Work>>) {
    // On Linux the call with no process concerns the calling thread alone. Where it fails, pages are computed nevertheless.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        // The others wait for the lock while this thread waits for work.
        let next = work.lock().recv();
        match next {
            Ok(page) => page(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::turns::Claim;
    use super::*;

    const CLAIM: Claim = Claim { payer: None, weight: 1.0, of_connection_s: 0.0 };

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    /// The name of the thread on which a page of that depth is computed.
    fn thread_of(depth: usize) -> String {
        runtime().block_on(async {
            let (turns, long) = (Turns::new(1), LongPages::new(2));
            let turn = HeldTurn::take(&turns, CLAIM).await.unwrap();
            let (tell, name) = mpsc::channel();
            let page = move || {
                tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
                Ok(())
            };
            long.compute(depth, &turn, page).await.unwrap();
            name.recv().unwrap().unwrap_or_default()
        })
    }

    #[test]
    fn only_long_pages_are_computed_on_their_threads() {
        assert_ne!(thread_of(LONG_DEPTH), "long-pages");
        assert_eq!(thread_of(LONG_DEPTH + 1), "long-pages");
    }

    #[test]
    fn a_long_page_leaves_the_turn_of_short_ones_to_them() {
        runtime().block_on(async {
            let (turns, long) = (Turns::new(1), Arc::new(LongPages::new(1)));
            let turn = HeldTurn::take(&turns, CLAIM).await.unwrap();
            let (begun, has_begun) = oneshot::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let page = tokio::spawn({
                let (turn, long) = (turn.clone(), Arc::clone(&long));
                async move {
                    let page = move || {
                        begun.send(()).unwrap();
                        may_end.recv().map_err(|_| Problem::new(Code::Internal, "the test has ended"))
                    };
                    long.compute(LONG_DEPTH + 1, &turn, page).await.is_ok()
                }
            });
            has_begun.await.unwrap();
            let short = tokio::time::timeout(Duration::from_secs(60), HeldTurn::take(&turns, CLAIM)).await;
            assert!(short.unwrap().is_some());
            end.send(()).unwrap();
            assert!(page.await.unwrap());
        });
    }

    #[test]
    fn a_page_that_panics_leaves_its_thread_and_its_turn_to_the_next() {
        runtime().block_on(async {
            let (turns, long) = (Turns::new(1), Arc::new(LongPages::new(1)));
            for _ in 0..2 {
                let (turn, long) = (HeldTurn::take(&turns, CLAIM).await.unwrap(), Arc::clone(&long));
                let page = || -> Result<(), Problem> { panic!("no item") };
                let panicked = tokio::spawn(async move { long.compute(LONG_DEPTH + 1, &turn, page).await.is_ok() });
                assert!(panicked.await.unwrap_err().is_panic());
            }
            let turn = HeldTurn::take(&turns, CLAIM).await.unwrap();
            assert!(long.compute(LONG_DEPTH + 1, &turn, || Ok(())).await.is_ok());
        });
    }
}
