//! Which direct connections does a process have, how do they begin, and how do they end?

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::Connection as Tls;
use socket2::{SockRef, TcpKeepalive};

use crate::connection::{Connection, Fault, Receive, Shown};
use crate::frame::{Kind, Reader, What};
use crate::identity::{Identity, Known};

/// How long the other end has to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How many may be showing who they are; the oldest gives way to one more.
const MOST_UNKNOWN: usize = 32;
/// How long what was sent may be without an acknowledgement of the system's.
const UNACKNOWLEDGED: Duration = Duration::from_secs(8);
/// How long nothing is sent before the system asks whether the other end is there, and between two such questions.
const IDLE: Duration = Duration::from_secs(4);
const BETWEEN: Duration = Duration::from_secs(2);
/// Bytes that the system may have of what it cannot send yet.
const UNSENT: u32 = 128 << 10;

/// A process's end of its direct connections to the other processes of one session.
pub struct Direct(Arc<Shared>);

struct Shared {
    identity: Identity,
    known: Arc<Known>,
    receive: Box<dyn Receive>,
    room: fn(usize) -> Vec<u8>,
    state: Mutex<State>,
    /// A connection has begun or is over.
    changed: Condvar,
    /// What is open. Only who opens or closes something holds it, so that a forked process finds it free.
    descriptors: Mutex<Vec<RawFd>>,
    /// Whose it is: a forked process has a copy of all this, and none of the threads.
    process: u32,
}

#[derive(Default)]
struct State {
    /// By the name of whom they lead to.
    connections: HashMap<String, Arc<Connection>>,
    /// Those whose other end has not shown yet who it is, the oldest first.
    unknown: Vec<Weak<Connection>>,
    listener: Option<SocketAddr>,
    over: bool,
}

impl Direct {
    /// `certificate` and `key` are those of the process's startup kit, as DER and PKCS #8; both ends of a connection
    /// have to be of the same `session`, whose name everybody on the way may read. `room` is as of [`Reader::new`].
    pub fn new(
        certificate: Vec<u8>,
        key: Vec<u8>,
        session: &str,
        receive: Box<dyn Receive>,
        room: fn(usize) -> Vec<u8>,
    ) -> Self {
        let known = Arc::new(Known::default());
        let identity = Identity::new(certificate, key, session, known.clone());
        let (state, changed) = (Mutex::default(), Condvar::new());
        let (descriptors, process) = (Mutex::default(), std::process::id());
        Self(Arc::new(Shared { identity, known, receive, room, state, changed, descriptors, process }))
    }

    /// Listens at the first of these ports that is free, on one interface or on all, and returns it; 0 stands for any.
    ///
    /// # Errors
    /// None is free, or the last one's.
    pub fn listen(&self, interface: Option<IpAddr>, mut ports: RangeInclusive<u16>) -> io::Result<u16> {
        let bind = |port| match interface {
            Some(one) => TcpListener::bind((one, port)),
            // Of both kinds of addresses, where the system has both.
            None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))),
        };
        let mut last = io::Error::from(ErrorKind::AddrInUse);
        let listener = ports.find_map(|port| bind(port).map_err(|error| last = error).ok());
        let Some(listener) = listener else { return Err(last) };
        let address = listener.local_addr()?;
        self.0.lock().listener = Some(address);
        self.0.note([listener.as_raw_fd()]);
        let shared = self.0.clone();
        thread::Builder::new().name("dfm-direct".to_owned()).spawn(move || shared.let_in(&listener))?;
        Ok(address.port())
    }

    /// From now on, whoever has this certificate may connect and be connected to, and is called so.
    pub fn meet(&self, name: &str, certificate: &[u8]) {
        self.0.known.add(certificate, name);
    }

    /// Whoever is called so may not any more.
    pub fn part(&self, name: &str) {
        self.0.known.remove(name);
        let found = self.0.lock().connections.get(name).cloned();
        if let Some(connection) = found {
            connection.end("nothing is expected from there any more");
        }
    }

    /// Connects to whoever is called so, unless there is a connection.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connect(&self, name: &str, host: &str, port: u16) -> Result<(), String> {
        if self.is_connected(name) {
            return Ok(());
        }
        let mut why = format!("{host} has no address");
        for address in (host, port).to_socket_addrs().map_err(|error| error.to_string())? {
            match TcpStream::connect_timeout(&address, HANDSHAKE) {
                Err(error) => why = error.to_string(),
                Ok(socket) => {
                    let tls = self.0.identity.connecting(name).map_err(|error| error.to_string())?;
                    return self.0.begin(socket, tls.into()).and_then(|connection| self.0.await_shown(&connection));
                }
            }
        }
        Err(why)
    }

    /// Whether there is a connection to whoever is called so.
    pub fn is_connected(&self, name: &str) -> bool {
        self.0.lock().connections.contains_key(name)
    }

    /// Whether [`Self::say`] keeps nobody waiting now, which is asked without waiting.
    pub fn takes_at_once(&self, name: &str) -> bool {
        let connection = self.0.state.try_lock().ok().and_then(|state| state.connections.get(name).cloned());
        connection.is_some_and(|one| one.takes_at_once())
    }

    /// Waits until there is a connection, or until there is none, for at most so long; whether it is so.
    pub fn wait(&self, name: &str, connected: bool, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.0.lock();
        while !state.over && state.connections.contains_key(name) != connected {
            let Some(rest) = until.checked_duration_since(Instant::now()) else { return false };
            state = self.0.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.over
    }

    /// Sends a message, of which nobody knows whether it arrives.
    ///
    /// # Errors
    /// There is no connection, or it did not take it within `patience`.
    pub fn say(&self, name: &str, kind: Kind, number: u64, content: Bytes, patience: Duration) -> Result<(), Fault> {
        self.0.connection(name)?.say(kind, number, content, patience)
    }

    /// Sends a message and returns its answer.
    ///
    /// # Errors
    /// There is no connection, or no answer within `patience`, and why.
    pub fn ask(&self, name: &str, kind: Kind, number: u64, content: Bytes, patience: Duration) -> Result<Bytes, Fault> {
        self.0.connection(name)?.ask(kind, number, content, patience)
    }

    /// The descriptors of all that is open, which a forked process is to give up.
    pub fn descriptors(&self) -> Vec<RawFd> {
        self.0.descriptors.try_lock().map(|all| all.clone()).unwrap_or_default()
    }

    /// Ends all connections, and lets nobody in any more. In a forked process they are not its to end.
    pub fn close(&self) {
        if self.0.process != std::process::id() {
            return;
        }
        let mut state = self.0.lock();
        state.over = true;
        let listener = state.listener.take();
        let all: Vec<_> =
            state.connections.values().cloned().chain(state.unknown.iter().filter_map(Weak::upgrade)).collect();
        drop(state);
        self.0.changed.notify_all();
        for connection in all {
            connection.end("this process is done");
        }
        if let Some(mut address) = listener {
            if address.ip().is_unspecified() {
                address.set_ip(if address.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { [127, 0, 0, 1].into() });
            }
            // Whoever waits for somebody to let in sees that it is over.
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, opened: impl IntoIterator<Item = RawFd>) {
        self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).extend(opened);
    }

    fn forget(&self, closed: &[RawFd]) {
        self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !closed.contains(one));
    }

    fn connection(&self, name: &str) -> Result<Arc<Connection>, Fault> {
        let none = || Fault::Over("there is no direct connection".to_owned());
        self.lock().connections.get(name).cloned().ok_or_else(none)
    }

    fn let_in(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let came = listener.accept();
            if self.lock().over {
                self.forget(&[listener.as_raw_fd()]);
                return;
            }
            match came {
                Ok((socket, _)) => {
                    if let Ok(tls) = self.identity.answering() {
                        // Who cannot be served now tries again.
                        let _ = self.begin(socket, tls.into());
                    }
                }
                // Without descriptors, or of one who is gone already.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Runs a connection on a thread of its own.
    fn begin(self: &Arc<Self>, socket: TcpStream, tls: Tls) -> Result<Arc<Connection>, String> {
        let connection = prepare(&socket).and_then(|()| Connection::new(socket, tls));
        let connection = Arc::new(connection.map_err(|error| error.to_string())?);
        let mut state = self.lock();
        if state.over {
            return Err("this process is done".to_owned());
        }
        state.unknown.retain(|one| one.strong_count() > 0);
        let oldest = (state.unknown.len() >= MOST_UNKNOWN).then(|| state.unknown.remove(0));
        state.unknown.push(Arc::downgrade(&connection));
        drop(state);
        if let Some(oldest) = oldest.and_then(|one| one.upgrade()) {
            oldest.end("too many connect at once");
        }
        let (shared, running) = (self.clone(), connection.clone());
        self.note(connection.descriptors());
        let started = thread::Builder::new().name("dfm-direct".to_owned()).spawn(move || {
            shared.run(&running);
            shared.forget(&running.descriptors());
        });
        match started {
            Ok(_) => Ok(connection),
            Err(error) => {
                self.forget(&connection.descriptors());
                Err(error.to_string())
            }
        }
    }

    fn run(&self, connection: &Arc<Connection>) {
        let name = std::cell::OnceCell::new();
        let meet = |shown: &Shown| {
            let Some(found) = self.identity.name_of(shown) else { return false };
            self.put(name.get_or_init(|| found), connection)
        };
        let came = |what, content| {
            let (question, kind, number) = match what {
                What::Said(kind, number) => (None, kind, number),
                What::Asked(question, kind, number) => (Some(question), kind, number),
                What::Answered(_) | What::Unanswered(_) | What::Refused(_) => return None,
            };
            let answer = self.receive.receive(name.get()?, kind, number, content, question.is_some());
            let question = question?;
            Some(match answer {
                Ok(answer) => (What::Answered(question), answer),
                Err(Fault::Refused(why)) => (What::Refused(question), why.into()),
                Err(Fault::Unanswered(why) | Fault::Over(why)) => (What::Unanswered(question), why.into()),
                Err(Fault::Late) => return None,
            })
        };
        connection.run(Reader::new(self.room), Instant::now() + HANDSHAKE, meet, came);
        if let Some(name) = name.get() {
            self.remove(name, connection);
        }
        self.changed.notify_all();
    }

    /// The one connection to whoever is called so from now on; another one that there was gives way.
    fn put(&self, name: &str, connection: &Arc<Connection>) -> bool {
        let mut state = self.lock();
        if state.over {
            return false;
        }
        state.unknown.retain(|one| one.upgrade().is_some_and(|one| !Arc::ptr_eq(&one, connection)));
        let before = state.connections.insert(name.to_owned(), connection.clone());
        drop(state);
        self.changed.notify_all();
        if let Some(before) = before {
            before.end("there is a newer one");
        }
        self.receive.changed(name, true);
        true
    }

    fn remove(&self, name: &str, connection: &Arc<Connection>) {
        let mut state = self.lock();
        let is_it = state.connections.get(name).is_some_and(|one| Arc::ptr_eq(one, connection));
        if is_it {
            state.connections.remove(name);
        }
        drop(state);
        if is_it {
            self.receive.changed(name, false);
        }
    }

    /// Waits until both ends have shown who they are.
    fn await_shown(&self, connection: &Arc<Connection>) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            if state.connections.values().any(|one| Arc::ptr_eq(one, connection)) {
                return Ok(());
            }
            if let Some(why) = connection.over() {
                return Err(why);
            }
            // Its own thread ends it when that takes too long.
            state = self.changed.wait_timeout(state, HANDSHAKE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Small messages go at once, and a way that is cut is noticed. The system has little to send beyond what is under way.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN))
}
