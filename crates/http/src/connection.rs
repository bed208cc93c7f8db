//! One connection: what it does at the moment, and how long it may do that.
//!
//! A connection is in one [`Phase`] at a time, and each phase in which it waits for its client has a time limit. The
//! phase also says which connections can be closed with the least harm when there are too many.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use super::settings::HttpSettings;
use super::turns::Usage;

/// Most bytes of a request's line and headers.
const HEAD_BYTES: usize = 32 << 10;
/// How long a client may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(10);
/// An idle connection is closed after a year in any case.
const LONGEST_IDLE_S: u64 = 365 * 24 * 3_600;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It is open, and no request has come yet.
    New,
    /// A request's line and headers are arriving.
    Head,
    /// An answer is being sent.
    Answer,
    /// A request's body is arriving.
    Body,
    /// It waits for the next request.
    Idle,
    /// A request is being served.
    Work,
}

/// The state of a connection, which its task, the accepting loop and the middleware share.
pub(super) struct Connection {
    /// The address at its other end.
    pub(super) address: IpAddr,
    /// The address, or the network, that the connection counts for.
    pub(super) peer: IpAddr,
    /// Whether it was accepted beyond the limit of connections. Then only probes are answered.
    pub(super) is_extra: bool,
    state: Mutex<State>,
    /// Wakes the task when the connection must be closed to make room.
    evicted: Notify,
}

struct State {
    phase: Phase,
    since: Instant,
    /// When the client last took a part of the answer.
    taken: Instant,
    /// The computation of its pages.
    used: Usage,
}

/// How long each phase may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    head: Duration,
    idle: Duration,
    answer: Duration,
}

impl Limits {
    pub(super) fn of(settings: &HttpSettings) -> Self {
        let answer = Duration::from_secs(settings.request_timeout_s);
        // The moment at which a longer time is over may be none that the system can represent.
        let idle = Duration::from_secs(settings.idle_timeout_s.min(LONGEST_IDLE_S));
        Self { head: Duration::from_secs(settings.header_timeout_s).min(answer), idle, answer }
    }
}

impl Connection {
    pub(super) fn new(address: IpAddr, is_extra: bool) -> Arc<Self> {
        let now = Instant::now();
        let state = State { phase: Phase::New, since: now, taken: now, used: Usage::none(now) };
        let (address, peer) = (address.to_canonical(), peer(address));
        Arc::new(Self { address, peer, is_extra, state: Mutex::new(state), evicted: Notify::new() })
    }

    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.state.lock();
        state.phase = phase;
        state.since = Instant::now();
        state.taken = state.since;
    }

    /// Enters a phase from certain others.
    fn pass(&self, from: &[Phase], to: Phase) {
        let mut state = self.state.lock();
        if from.contains(&state.phase) {
            state.phase = to;
            state.since = Instant::now();
        }
    }

    /// Phase, and since when the client has kept the connection waiting.
    pub(super) fn waits(&self) -> (Phase, Instant) {
        let state = self.state.lock();
        (state.phase, if state.phase == Phase::Answer { state.taken } else { state.since })
    }

    /// When the connection must be closed.
    fn deadline(&self, limits: Limits) -> Option<Instant> {
        let state = self.state.lock();
        match state.phase {
            Phase::New => Some(state.since + limits.head.min(limits.idle)),
            Phase::Head => Some(state.since + limits.head),
            Phase::Answer => Some((state.since + limits.answer).min(state.taken + STALLED)),
            Phase::Idle => Some(state.since + limits.idle),
            // The middleware has limits for both, and answers when they have passed.
            Phase::Body | Phase::Work => None,
        }
    }

    /// Closes the connection; one that has begun to work meanwhile answers first.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Seconds of computation that its latest pages took.
    pub(super) fn used_s(&self) -> f64 {
        self.state.lock().used.seconds_at(Instant::now())
    }

    /// Adds the time that a page took to compute.
    pub(super) fn charge(&self, took: Duration) {
        self.state.lock().used.add(took, Instant::now());
    }
}

/// What connections are counted by: an IPv4 address, or an IPv6 network as one customer gets it.
pub(super) fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// The network of 65,536 such networks of IPv6 that may be one customer's as well; `None` for an IPv4 address.
pub(super) fn site(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V6(address) => Some(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)))),
        IpAddr::V4(_) => None,
    }
}

/// Serves a connection until it ends, a limit has passed, or it is closed to make room.
pub(super) async fn run(
    stream: TcpStream,
    connection: Arc<Connection>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let answering = Arc::clone(&connection);
    // Whether a request was taken since the task last gave up its thread.
    let has_taken = Arc::new(AtomicBool::new(false));
    let taken = Arc::clone(&has_taken);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let connection = Arc::clone(&answering);
        connection.enter(Phase::Work);
        request.extensions_mut().insert(Arc::clone(&connection));
        let answer = hyper::service::Service::call(&TowerToHyperService::new(router.clone()), request);
        let is_next = taken.swap(true, Ordering::Relaxed);
        async move {
            // Otherwise a client that sends the next request before it has the answer would hold this thread for all of them.
            if is_next {
                tokio::task::yield_now().await;
            }
            let answer = answer.await;
            connection.enter(Phase::Answer);
            answer
        }
    });
    let io = TokioIo::new(Watched { stream, connection: Arc::clone(&connection) });
    let mut serving =
        pin!(hyper::server::conn::http1::Builder::new().max_buf_size(HEAD_BYTES).serve_connection(io, service));
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut until = None;
    let mut stopping = pin!(stop.wait_for(|is_stopping| *is_stopping));
    let mut is_stopping = false;
    let mut evicted = pin!(connection.evicted.notified());
    std::future::poll_fn(|cx| {
        has_taken.store(false, Ordering::Relaxed);
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !is_stopping && stopping.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            if matches!(connection.waits().0, Phase::New | Phase::Idle) {
                return Poll::Ready(());
            }
            serving.as_mut().graceful_shutdown();
            if serving.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        while evicted.as_mut().poll(cx).is_ready() {
            if connection.waits().0 != Phase::Work {
                return Poll::Ready(());
            }
            serving.as_mut().graceful_shutdown();
            evicted.set(connection.evicted.notified());
        }
        // The phase can have changed only by what was polled above.
        loop {
            let deadline = connection.deadline(limits);
            let Some(at) = deadline else { return Poll::Pending };
            if deadline != until {
                until = deadline;
                timer.as_mut().reset(at.into());
            }
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if connection.deadline(limits) == until => return Poll::Ready(()),
                Poll::Ready(()) => {}
            }
        }
    })
    .await;
}

/// A socket that notes the phase of its connection.
struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.connection.pass(&[Phase::New, Phase::Idle], Phase::Head);
        }
        read
    }
}

impl Watched {
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(n_bytes)) if *n_bytes > 0) {
            self.connection.state.lock().taken = Instant::now();
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // hyper flushes after it has written a whole answer.
        if flushed.is_ready() {
            self.connection.pass(&[Phase::Answer], Phase::Idle);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_are_one_peer() {
        let parsed = |text: &str| peer(text.parse().unwrap());
        assert_eq!(parsed("2001:db8:1:2:3::4"), parsed("2001:db8:1:2:ffff::"));
        assert_ne!(parsed("2001:db8:1:2::"), parsed("2001:db8:1:3::"));
        assert_eq!(parsed("::ffff:10.0.0.1"), parsed("10.0.0.1"));
    }

    #[test]
    fn the_longest_times_of_the_settings_are_moments_that_can_be_waited_for() {
        let (idle_timeout_s, request_timeout_s, header_timeout_s) = (u64::MAX, 600, 600);
        let settings = HttpSettings { idle_timeout_s, request_timeout_s, header_timeout_s, ..HttpSettings::default() };
        assert!(Instant::now().checked_add(Limits::of(&settings).idle).is_some());
    }
}
