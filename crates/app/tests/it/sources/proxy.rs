//! A server's address that can go away and come back.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Forwards connections to a server while it is open.
pub struct Proxy {
    pub port: u16,
    is_open: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// A way to the server at `address` (`HOST:PORT`).
    pub fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            is_open: Arc::new(AtomicBool::new(true)),
            is_silent: Arc::default(),
            streams: Arc::default(),
        };
        let (address, is_open, streams) = (address.to_owned(), proxy.is_open.clone(), proxy.streams.clone());
        let is_silent = proxy.is_silent.clone();
        std::thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let to = TcpStream::connect(&address).unwrap();
                let copies = [from.try_clone(), to.try_clone(), from.try_clone(), to.try_clone()].map(Result::unwrap);
                streams.lock().unwrap().extend([from, to]);
                let [a, b, c, d] = copies;
                for (from, to) in [(a, b), (d, c)] {
                    let is_silent = is_silent.clone();
                    std::thread::spawn(move || forward(from, to, &is_silent));
                }
            }
        });
        proxy
    }

    /// Breaks all connections, and takes no further ones.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }

    /// Keeps all connections and passes on nothing, as a firewall does that drops packets.
    pub fn stall(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Passes on what comes from now on.
    pub fn resume(&self) {
        self.is_silent.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_silent: &AtomicBool) -> io::Result<()> {
    let mut bytes = [0; 65_536];
    loop {
        let n = from.read(&mut bytes)?;
        if n == 0 {
            return to.shutdown(Shutdown::Both);
        }
        if !is_silent.load(Ordering::SeqCst) {
            to.write_all(&bytes[..n])?;
        }
    }
}
