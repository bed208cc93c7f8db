//! Accepting connections, and how many may be open at a time: in total and for each peer.
//!
//! At a limit, a new connection takes the place of one that keeps the server waiting: first those that have sent no
//! request, then those that take no answer or send no body, then idle ones, each time the one that has waited longest.
//! If all of them work, a few more are accepted for the probes; other requests on these are answered 503.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::{self, Connection, Limits, Phase, peer};
use super::settings::HttpSettings;

/// Connections beyond the limit, which are for probes.
const N_EXTRA: usize = 32;
/// How long a client must have kept its connection waiting for a body or an answer before it can be closed for another.
const PATIENCE: Duration = Duration::from_secs(1);
/// Files that the engine may open, of each three that the process may have open, within these bounds.
const FILES_KEPT: (usize, usize) = (64, 1024);

/// The open connections.
pub(super) struct Connections {
    most: usize,
    most_per_peer: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// By number, which is the order of their beginning.
    connections: HashMap<u64, Arc<Connection>>,
    per_peer: HashMap<IpAddr, usize>,
    n_extra: usize,
    /// Connections that were closed to make room.
    n_evicted: u64,
}

impl Connections {
    pub(super) fn new(settings: &HttpSettings, most: usize) -> Arc<Self> {
        let most_per_peer = settings.max_connections_per_peer.min(most);
        Arc::new(Self { most, most_per_peer, open: Mutex::default() })
    }

    /// Open connections, and those that were closed to make room.
    pub(super) fn counts(&self) -> (usize, u64) {
        let open = self.open.lock();
        (open.connections.len(), open.n_evicted)
    }

    /// Makes room for a connection from that address, and enters it. `None` if not even the reserve has room.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entered> {
        let peer = peer(address);
        let mut open = self.open.lock();
        let is_full_for_peer = open.per_peer.get(&peer).is_some_and(|n| *n >= self.most_per_peer);
        let is_full = open.connections.len() - open.n_extra >= self.most;
        let mut is_extra = false;
        if is_full_for_peer || is_full {
            let among = is_full_for_peer.then_some(peer);
            is_extra = !open.evict(among, false);
        }
        if is_extra && open.n_extra >= N_EXTRA && !open.evict(None, true) {
            return None;
        }
        let connection = Connection::new(address, is_extra);
        let number = open.next;
        open.next += 1;
        open.add(number, &connection);
        Some(Entered { connections: Arc::clone(self), number, connection })
    }
}

impl Open {
    fn add(&mut self, number: u64, connection: &Arc<Connection>) {
        self.connections.insert(number, Arc::clone(connection));
        if connection.is_extra {
            self.n_extra += 1;
        } else {
            *self.per_peer.entry(connection.peer).or_default() += 1;
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        if connection.is_extra {
            self.n_extra -= 1;
        } else if let Some(n) = self.per_peer.get_mut(&connection.peer) {
            *n -= 1;
            if *n == 0 {
                self.per_peer.remove(&connection.peer);
            }
        }
    }

    /// Closes the connection that can be closed with the least harm, if there is one.
    fn evict(&mut self, among: Option<IpAddr>, is_extra: bool) -> bool {
        let now = Instant::now();
        let waits = |(number, connection): (&u64, &Arc<Connection>)| {
            let (phase, since) = connection.waits();
            let patience = match phase {
                Phase::Work => return None,
                Phase::Body | Phase::Answer => PATIENCE,
                // One that was just accepted has had no time to send its request.
                Phase::New | Phase::Head => Duration::from_millis(100),
                Phase::Idle => Duration::ZERO,
            };
            (now.saturating_duration_since(since) >= patience).then_some((phase.max(Phase::Head), since, *number))
        };
        let of_peer = self.connections.iter().filter(|(_, connection)| {
            connection.is_extra == is_extra && among.is_none_or(|peer| connection.peer == peer)
        });
        let Some((.., number)) = of_peer.filter_map(waits).min() else { return false };
        if let Some(connection) = self.connections.get(&number) {
            connection.evict();
        }
        self.remove(number);
        self.n_evicted += 1;
        true
    }
}

/// A connection among the open ones, until this is dropped.
struct Entered {
    connections: Arc<Connections>,
    number: u64,
    connection: Arc<Connection>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connections.open.lock().remove(self.number);
    }
}

/// Serves connections until `shutdown` is done; then accepts no more, and waits for the requests in flight.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    settings: &HttpSettings,
    shutdown: impl Future<Output = ()>,
) {
    let limits = Limits::of(settings);
    let (stop, stopped) = watch::channel(false);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                connections.open.lock().evict(None, false);
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Without room even in the reserve, the connection is closed at once.
        let Some(entered) = connections.enter(address.ip()) else { continue };
        tokio::spawn(one(stream, entered, router.clone(), limits, stopped.clone()));
    }
    drop((listener, stopped));
    // Fails if there is no connection left that could be told.
    let _ = stop.send(true);
    stop.closed().await;
}

async fn one(stream: TcpStream, entered: Entered, router: Router, limits: Limits, stop: watch::Receiver<bool>) {
    // Answers are written as a whole; waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    connection::run(stream, Arc::clone(&entered.connection), router, limits, stop).await;
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// Raises the limit of open files as far as the system allows, and returns how many connections it leaves room for.
pub(super) fn connections_within_files(most: usize) -> usize {
    let Some(files) = raise_limit_of_files() else { return most };
    let kept = (files / 3).clamp(FILES_KEPT.0, FILES_KEPT.1);
    let room = files.saturating_sub(kept + N_EXTRA).max(1);
    if room < most {
        tracing::warn!(
            open_files = files,
            max_connections = most,
            connections = room,
            "the limit of open files is too low for `http.max_connections`; raise it (`ulimit -n`, `LimitNOFILE=`)",
        );
    }
    room.min(most)
}

/// Raises the limit of open files of this process as far as the system allows, and returns it; `None` if there is none.
#[cfg(unix)]
pub fn raise_limit_of_files() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(1 << 20);
    let current = limit.current?;
    if current < wanted {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => return usize::try_from(wanted).ok(),
            Err(error) => tracing::debug!(%error, "the limit of open files could not be raised"),
        }
    }
    usize::try_from(current).ok()
}

/// Raises the limit of open files of this process; on this system there is none to raise.
#[cfg(not(unix))]
pub fn raise_limit_of_files() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, most_per_peer: usize) -> Arc<Connections> {
        let settings = HttpSettings { max_connections_per_peer: most_per_peer, ..Default::default() };
        Connections::new(&settings, most)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn at_the_limit_a_waiting_connection_makes_room_and_working_ones_stay() {
        let connections = connections(2, 2);
        let working = connections.enter(address(1)).unwrap();
        working.connection.enter(Phase::Work);
        let idle = connections.enter(address(2)).unwrap();
        idle.connection.enter(Phase::Idle);
        let third = connections.enter(address(3)).unwrap();
        assert!(!third.connection.is_extra);
        assert_eq!(connections.counts(), (2, 1));
        drop(idle);
        assert_eq!(connections.counts(), (2, 1), "what was closed is not subtracted again");
        third.connection.enter(Phase::Work);
        let extra: Vec<_> = (0..N_EXTRA).map(|_| connections.enter(address(4)).unwrap()).collect();
        assert!(extra.iter().all(|entered| entered.connection.is_extra));
        extra.iter().for_each(|entered| entered.connection.enter(Phase::Work));
        assert!(connections.enter(address(5)).is_none());
        extra[0].connection.enter(Phase::Idle);
        assert!(connections.enter(address(5)).is_some());
    }

    #[test]
    fn a_peer_at_its_limit_closes_its_own() {
        let connections = connections(10, 1);
        let other = connections.enter(address(1)).unwrap();
        other.connection.enter(Phase::Idle);
        let own = connections.enter(address(2)).unwrap();
        own.connection.enter(Phase::Idle);
        let next = connections.enter(address(2)).unwrap();
        assert!(!next.connection.is_extra);
        let open = connections.open.lock();
        assert!(open.connections.contains_key(&other.number) && !open.connections.contains_key(&own.number));
    }
}
