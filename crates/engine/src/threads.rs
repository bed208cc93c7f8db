//! The engine's threads: each has a name, and whoever depends on one is told when it ends by a panic.
//!
//! A panic is a fault in the program. The thread is not started again: its state may be half changed. What it last published stays
//! readable, and the status says what no longer happens.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. If it panics, `tell` gets the reason before the thread ends.
pub(crate) fn thread(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
    tell: impl FnOnce(String) + Send + 'static,
) -> JoinHandle<()> {
    let work = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let why = fault(&*panic);
            tracing::error!(thread = name, %why, "the thread has panicked; the log holds everything that was acknowledged");
            tell(why);
            resume_unwind(panic);
        }
    };
    Builder::new().name(name.into()).spawn(work).expect("the system has room for a few threads")
}

/// What a panic says, as the reason of a failure.
pub(crate) fn fault(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say which");
    format!("a fault in the program: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_that_panics_tells_why_and_one_that_ends_tells_nothing() {
        let end = |run: fn()| {
            let (sender, told) = channel();
            let ended = thread("test", run, move |why| sender.send(why).unwrap()).join();
            (ended.is_ok(), told.recv().ok())
        };
        assert_eq!(end(|| {}), (true, None));
        let divide = || assert_ne!(std::hint::black_box(0), 0, "no room for a pair");
        let (is_ok, why) = end(divide);
        assert!(!is_ok && why.as_ref().is_some_and(|why| why.contains("no room for a pair")), "{why:?}");
    }
}
