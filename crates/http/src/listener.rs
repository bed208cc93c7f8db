//! Accepting connections, and how many may be open at a time: in total, for each peer, and for the networks of IPv6 that
//! may be one customer's.
//!
//! At a limit, a new connection takes the place of one that keeps the server waiting: first those that have sent no
//! request, then those that take no answer or send no body, then idle ones, each time the one that has waited longest.
//! If all of them work, a few more are accepted for the probes; other requests on these are answered 503.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;

use super::connection::{self, Connection, Limits, Phase, site};
use super::settings::HttpSettings;

/// Connections beyond the limit, which are for probes.
const N_EXTRA: usize = 32;
/// How long a client must have kept its connection waiting for a body or an answer before it can be closed for another.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one that was just accepted may take before it has sent the beginning of a request.
const ARRIVAL: Duration = Duration::from_millis(100);
/// A network of 48 bits may have this many times the connections of one peer.
const PEERS_PER_SITE: usize = 2;
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
    per_group: HashMap<Group, usize>,
    n_extra: usize,
    /// Connections that were closed to make room.
    n_evicted: u64,
}

/// Connections that have a limit in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group {
    Peer(IpAddr),
    Site(IpAddr),
}

impl Group {
    /// The groups that a connection is in, with how many peers' connections each may have.
    fn of(connection: &Connection) -> impl Iterator<Item = (Self, usize)> + use<> {
        let site = site(connection.address).map(|site| (Self::Site(site), PEERS_PER_SITE));
        [(Self::Peer(connection.peer), 1)].into_iter().chain(site)
    }

    fn has(self, connection: &Connection) -> bool {
        match self {
            Self::Peer(peer) => connection.peer == peer,
            Self::Site(of) => site(connection.address) == Some(of),
        }
    }
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
        let mut connection = Connection::new(address, false);
        let mut open = self.open.lock();
        let is_full_for = |(group, n_peers): &(Group, usize)| {
            open.per_group.get(group).is_some_and(|n| *n >= self.most_per_peer.saturating_mul(*n_peers))
        };
        let full_group = Group::of(&connection).find(is_full_for).map(|(group, _)| group);
        let is_full = open.connections.len() - open.n_extra >= self.most;
        if (full_group.is_some() || is_full) && !open.evict(full_group, false) {
            if open.n_extra >= N_EXTRA && !open.evict(None, true) {
                return None;
            }
            connection = Connection::new(address, true);
        }
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
            Group::of(connection).for_each(|(group, _)| *self.per_group.entry(group).or_default() += 1);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        if connection.is_extra {
            self.n_extra -= 1;
            return;
        }
        for (group, _) in Group::of(&connection) {
            let Some(n) = self.per_group.get_mut(&group) else { continue };
            *n -= 1;
            if *n == 0 {
                self.per_group.remove(&group);
            }
        }
    }

    /// Closes the connection that can be closed with the least harm, if there is one.
    fn evict(&mut self, among: Option<Group>, is_extra: bool) -> bool {
        let now = Instant::now();
        let waits = |(number, connection): (&u64, &Arc<Connection>)| {
            let (phase, since) = connection.waits();
            let waited = now.saturating_duration_since(since);
            let (harm, patience) = match phase {
                Phase::Work => return None,
                Phase::New | Phase::Head if waited >= ARRIVAL => (0, ARRIVAL),
                Phase::Answer => (1, PATIENCE),
                Phase::Body => (2, PATIENCE),
                Phase::Idle => (3, Duration::ZERO),
                // One that was just accepted has had no time to send its request.
                Phase::New | Phase::Head => (4, Duration::ZERO),
            };
            (waited >= patience).then_some((harm, since, *number))
        };
        let (mut n_among, mut n_arriving) = (0_usize, 0_usize);
        let considered = self.connections.iter().filter(|(_, connection)| {
            connection.is_extra == is_extra && among.is_none_or(|group| group.has(connection))
        });
        let waiting = considered.filter_map(|entry| {
            let found = waits(entry);
            n_among += 1;
            n_arriving += usize::from(matches!(found, Some((4, ..))));
            found
        });
        let found: Vec<(u8, Instant, u64)> = waiting.collect();
        // Who opens connections faster than they send requests closes their own, and not those that were of use before.
        let is_flood = 2 * n_arriving > n_among;
        let least_harm = |(harm, since, number): (u8, Instant, u64)| match harm {
            4 if !is_flood => None,
            4 => Some((3, 0, since, number)),
            harm => Some((harm, 1, since, number)),
        };
        let Some((.., number)) = found.into_iter().filter_map(least_harm).min() else { return false };
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

/// Listens on the first address of `http.listen` that can be listened on. As many connections may wait to be accepted as may be
/// open: with the 128 that are usual, a client that opens hundreds at once would delay all others by the second after which a
/// refused beginning of a connection is repeated. The system may allow fewer (`net.core.somaxconn`).
///
/// # Errors
/// If the name has no address, or none can be listened on.
pub async fn listen(settings: &HttpSettings) -> io::Result<TcpListener> {
    let waiting = u32::try_from(settings.max_connections).unwrap_or(u32::MAX).clamp(128, 1 << 16);
    let mut failed = None;
    for address in lookup_host(&settings.listen).await? {
        match listen_on(address, waiting) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name has no address")))
}

fn listen_on(address: SocketAddr, waiting: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that starts again may use the port of connections that have just ended.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(waiting)
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
    fn who_opens_many_connections_at_once_closes_none_that_was_of_use() {
        let connections = connections(100, 6);
        let idle = [(); 3].map(|()| connections.enter(address(1)).unwrap());
        idle.iter().for_each(|entered| entered.connection.enter(Phase::Idle));
        let is_open = |entered: &Entered| connections.open.lock().connections.contains_key(&entered.number);
        // Of three that arrive where three have been of use, the next one may still take the place of the longest idle.
        let arrived: Vec<Entered> = (0..24).map(|_| connections.enter(address(1)).unwrap()).collect();
        assert_eq!([&idle[1], &idle[2]].map(is_open), [true, true]);
        assert!(is_open(arrived.last().unwrap()) && !is_open(&arrived[0]));
    }

    #[test]
    fn the_networks_of_one_customer_have_a_limit_in_common() {
        let connections = connections(100, 2);
        let network = |n: u128| IpAddr::V6(std::net::Ipv6Addr::from_bits(0x2001_0db8_0007 << 80 | n << 64 | 1));
        let entered: Vec<Entered> = (0..8).map(|n| connections.enter(network(n)).unwrap()).collect();
        assert_eq!(connections.counts(), (4, 4));
        entered.iter().for_each(|entered| entered.connection.enter(Phase::Work));
        assert!(connections.enter(network(9)).unwrap().connection.is_extra);
        assert!(!connections.enter(address(1)).unwrap().connection.is_extra);
        drop(entered);
        assert!(connections.open.lock().per_group.is_empty());
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
