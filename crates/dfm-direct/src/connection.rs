//! How do messages get through one TLS connection, whoever sends them, and who waits for what?
//!
//! Whoever sends also writes, as far as the socket takes it; what it does not take is left to the connection's own
//! thread, which reads too. So nobody who reads ever waits for somebody to be read. What is small goes before the next
//! part of what is large, and the system is given no more than goes soon, so it waits for little more than that.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustls::Connection as Tls;

use crate::frame::{Frame, HEAD, Kind, MOST, MOST_ANSWER, PART, Reader, What, further};

/// Bytes that may wait to be written, of small messages and of large ones. Who sends more waits; who asks more than they
/// take answers is cut off.
const MOST_WAITING: usize = 8 << 20;
/// Bytes that are read, or encrypted, at once.
const AT_ONCE: usize = 128 << 10;
/// Small messages that are encrypted at once.
const TOGETHER: usize = 16;
/// Bytes after which whoever writes leaves the rest to the connection's thread, so that others get at the connection.
const IN_A_TURN: usize = 128 << 10;

/// What whoever was connected to says first: the answer to what nobody asks.
const WELCOME: What = What::Answered(0);

/// Why a message did not arrive, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is over, and why.
    Over(String),
    /// There was no answer in time.
    Late,
    /// The other end says why it does not answer now.
    Unanswered(String),
    /// The other end says why it never will.
    Refused(String),
}

/// What the other end of a connection has shown of itself.
pub struct Shown {
    /// Its certificate, of which it has the key.
    pub certificate: Option<Vec<u8>>,
    /// What both ends speak, which names their session.
    pub protocol: Option<Vec<u8>>,
}

/// What a connection's end does with what comes.
pub trait Receive: Send + Sync {
    /// Takes a lane's message from whoever is called so, and says what answers it, if anybody asks.
    fn receive(&self, name: &str, kind: Kind, number: u64, content: Bytes, is_asked: bool) -> Result<Bytes, Fault>;
    /// Whether there is a connection to whoever is called so has changed.
    fn changed(&self, name: &str, connected: bool);
}

/// One connection, over which both ends have shown who they are.
pub struct Connection {
    socket: TcpStream,
    wake: OwnedFd,
    state: Mutex<State>,
    /// Something was written, an answer has come, or it is over.
    changed: Condvar,
}

struct State {
    tls: Tls,
    small: Queue,
    large: Queue,
    /// Whether a part of what is large is due, as small ones were written.
    is_larges_turn: bool,
    /// Whether the connection's thread has to go on, as the socket takes no more or somebody has written enough.
    is_full: bool,
    questions: HashMap<u32, Option<Result<Bytes, Fault>>>,
    last_question: u32,
    heard: Instant,
    over: Option<String>,
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Message>,
    bytes: usize,
}

/// A message, or what is left of one of which parts were written.
struct Message {
    /// The beginning of its next frame.
    head: [u8; HEAD],
    content: Bytes,
}

impl Message {
    fn size(&self) -> usize {
        HEAD + self.content.len()
    }
}

impl Queue {
    fn is_too_long(&self) -> bool {
        self.bytes > MOST_WAITING
    }

    fn add(&mut self, message: Message) {
        self.bytes += message.size();
        self.waiting.push_back(message);
    }
}

impl Connection {
    /// Takes over a socket, which blocks nobody from now on.
    ///
    /// # Errors
    /// The system's.
    pub fn new(socket: TcpStream, mut tls: Tls) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        tls.set_buffer_limit(Some(AT_ONCE));
        let state = State {
            tls,
            small: Queue::default(),
            large: Queue::default(),
            is_larges_turn: false,
            is_full: false,
            questions: HashMap::new(),
            last_question: 0,
            heard: Instant::now(),
            over: None,
        };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { socket, wake, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, for this reason if it is not over already.
    pub fn end(&self, why: &str) {
        let mut state = self.lock();
        state.over.get_or_insert_with(|| why.to_owned());
        self.changed.notify_all();
        drop(state);
        self.wake_up();
        // What may be left of it is only whether it was connected at all.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn wake_up(&self) {
        // It is full where it would make nobody wake up who does not already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Those that it has open.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.socket.as_raw_fd(), self.wake.as_raw_fd()]
    }

    /// Why it is over, if it is.
    pub fn over(&self) -> Option<String> {
        self.lock().over.clone()
    }

    /// Whether it takes a small message now without anybody's waiting for the other end, or for who else sends.
    pub fn takes_at_once(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.over.is_none() && !state.small.is_too_long())
    }

    /// Sends a message, of which nobody knows whether it arrives.
    ///
    /// # Errors
    /// The connection is over, or took nothing within `patience`.
    pub fn say(&self, kind: Kind, number: u64, content: Bytes, patience: Duration) -> Result<(), Fault> {
        self.send(self.lock(), What::Said(kind, number), content, patience).map(drop)
    }

    /// Sends a message and returns its answer, for which it waits at most for `patience`. Where nothing at all came in
    /// that time, the connection is over.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(&self, kind: Kind, number: u64, content: Bytes, patience: Duration) -> Result<Bytes, Fault> {
        let begun = Instant::now();
        let mut state = self.lock();
        state.last_question = state.last_question.checked_add(1).unwrap_or(1);
        let question = state.last_question;
        state.questions.insert(question, None);
        let sent = self.send(state, What::Asked(question, kind, number), content, patience);
        let mut state = match sent {
            Ok(state) => state,
            Err(fault) => {
                self.lock().questions.remove(&question);
                return Err(fault);
            }
        };
        loop {
            if let Some(Some(answer)) = state.questions.get_mut(&question).map(Option::take) {
                state.questions.remove(&question);
                return answer;
            }
            if let Some(why) = state.over.clone() {
                state.questions.remove(&question);
                return Err(Fault::Over(why));
            }
            let Some(rest) = patience.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) else { break };
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.questions.remove(&question);
        let is_silent = state.heard < begun;
        drop(state);
        if is_silent {
            self.end("nothing has come for too long");
        }
        Err(Fault::Late)
    }

    /// Queues a frame, once there is room, and writes what the socket takes.
    fn send<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        what: What,
        content: Bytes,
        patience: Duration,
    ) -> Result<MutexGuard<'s, State>, Fault> {
        if content.len() > MOST {
            return Err(Fault::Refused(format!("a message of {} bytes is too large", content.len())));
        }
        let until = Instant::now() + patience;
        while state.over.is_none() && state.is_too_much(content.len()) {
            let Some(rest) = until.checked_duration_since(Instant::now()) else { return Err(Fault::Late) };
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(why) = state.over.clone() {
            return Err(Fault::Over(why));
        }
        state.enqueue(what, content);
        if !state.is_full {
            self.write(&mut state);
            if state.is_full {
                self.wake_up();
            }
        }
        Ok(state)
    }

    /// Writes what the socket takes of what is queued.
    fn write(&self, state: &mut State) {
        if let Err(error) = state.write(&self.socket) {
            state.over.get_or_insert_with(|| error.to_string());
        }
        self.changed.notify_all();
    }

    /// Reads and writes until the connection is over. Both ends have to have shown who they are until the `deadline`:
    /// `meet` is then asked once whether the other end is welcome, and `came` gets each message that is no answer, and
    /// answers it.
    pub fn run(
        &self,
        reader: Reader,
        deadline: Instant,
        meet: impl FnOnce(&Shown) -> bool,
        came: impl Fn(What, Bytes) -> Option<(What, Bytes)>,
    ) {
        match self.go_on(reader, deadline, meet, came) {
            Ok(()) => self.end("it was closed"),
            Err(error) => self.end(&error.to_string()),
        }
    }

    fn go_on(
        &self,
        mut reader: Reader,
        deadline: Instant,
        meet: impl FnOnce(&Shown) -> bool,
        came: impl Fn(What, Bytes) -> Option<(What, Bytes)>,
    ) -> io::Result<()> {
        let mut meet = Some(meet);
        let mut buffer = vec![0; AT_ONCE];
        let mut frames = Vec::new();
        self.write(&mut self.lock());
        loop {
            let rest = match &meet {
                None => None,
                Some(_) => Some(deadline.checked_duration_since(Instant::now()).ok_or_else(late)?),
            };
            let ready = self.await_ready(rest)?;
            if ready.contains(PollFlags::OUT) {
                self.write(&mut self.lock());
            }
            if !ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                continue;
            }
            let read = match (&self.socket).read(&mut buffer) {
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                return Ok(());
            }
            let mut state = self.lock();
            let taken = state.take(&buffer[..read], meet.is_none(), &mut reader, &mut frames);
            // What TLS itself has to say, such as why it refuses.
            self.write(&mut state);
            let is_closed = taken?;
            // Who has connected is not sure to be welcome before the other end has said something.
            let is_sure = !state.tls.is_handshaking() && (state.is_answering() || !frames.is_empty());
            let shown = (is_sure && meet.is_some()).then(|| Shown::of(&state.tls));
            drop(state);
            if let Some(shown) = shown
                && let Some(meet) = meet.take()
            {
                if !meet(&shown) {
                    return Err(io::Error::new(ErrorKind::PermissionDenied, "the other end is not known here"));
                }
                self.welcome(&mut reader, &mut frames)?;
            }
            for frame in frames.drain(..) {
                if let Some(answer) = self.heed(frame, &came) {
                    self.answer(answer)?;
                }
            }
            if is_closed {
                return Ok(());
            }
        }
    }

    /// Waits until there is something to read or, where something waits for that, room to write.
    fn await_ready(&self, patience: Option<Duration>) -> io::Result<PollFlags> {
        let is_full = {
            let state = self.lock();
            if let Some(why) = &state.over {
                return Err(io::Error::other(why.clone()));
            }
            state.is_full
        };
        let wanted = if is_full { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut watched = [PollFd::new(&self.socket, wanted), PollFd::new(&self.wake, PollFlags::IN)];
        let patience = patience.and_then(|rest| Timespec::try_from(rest).ok());
        match poll(&mut watched, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(PollFlags::empty()),
            other => other?,
        };
        let [socket, wake] = watched.map(|one| one.revents());
        if !wake.is_empty() {
            // Only that there was something counts.
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
        Ok(socket)
    }

    /// Tells who has connected that it is let in, and reads what may have come with the last of the handshake.
    fn welcome(&self, reader: &mut Reader, frames: &mut Vec<Frame>) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_answering() {
            state.enqueue(WELCOME, Bytes::new());
            self.write(&mut state);
        }
        state.read(reader, frames)
    }

    /// Takes a frame, and returns what answers it.
    fn heed(&self, frame: Frame, came: impl Fn(What, Bytes) -> Option<(What, Bytes)>) -> Option<(What, Bytes)> {
        let text = |content: &Bytes| String::from_utf8_lossy(content).into_owned();
        match frame.what {
            What::Said(..) | What::Asked(..) => return came(frame.what, frame.content),
            What::Answered(question) => self.answered(question, Ok(frame.content)),
            What::Unanswered(question) => self.answered(question, Err(Fault::Unanswered(text(&frame.content)))),
            What::Refused(question) => self.answered(question, Err(Fault::Refused(text(&frame.content)))),
        }
        None
    }

    fn answer(&self, (what, content): (What, Bytes)) -> io::Result<()> {
        let mut state = self.lock();
        if state.small.is_too_long() {
            return Err(io::Error::other("the other end takes no answers"));
        }
        state.enqueue(what, content.slice(..content.len().min(MOST_ANSWER)));
        if !state.is_full {
            self.write(&mut state);
        }
        Ok(())
    }

    fn answered(&self, question: u32, answer: Result<Bytes, Fault>) {
        let mut state = self.lock();
        // Of what nobody asks any more, or never did, nothing is kept.
        if let Some(waiting) = state.questions.get_mut(&question) {
            *waiting = Some(answer);
            self.changed.notify_all();
        }
    }
}

/// Encrypts parts of a frame, or of several, of which TLS takes all where nothing waits there and they are not too many.
fn encrypt(tls: &mut Tls, parts: &[IoSlice<'_>]) -> io::Result<()> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    if tls.writer().write_vectored(parts)? < size {
        return Err(ErrorKind::WriteZero.into());
    }
    Ok(())
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the other end has not shown in time who it is")
}

impl Shown {
    fn of(tls: &Tls) -> Self {
        let certificate = tls.peer_certificates().and_then(<[_]>::first).map(|one| one.to_vec());
        Self { certificate, protocol: tls.alpn_protocol().map(<[u8]>::to_vec) }
    }
}

impl State {
    /// Whether the other end has connected to this one.
    fn is_answering(&self) -> bool {
        matches!(self.tls, Tls::Server(_))
    }

    /// Whether one more message has to wait, whose content has so many bytes.
    fn is_too_much(&self, length: usize) -> bool {
        if length > PART { self.large.is_too_long() } else { self.small.is_too_long() }
    }

    fn enqueue(&mut self, what: What, content: Bytes) {
        let queue = if content.len() > PART { &mut self.large } else { &mut self.small };
        queue.add(Message { head: what.head(content.len()), content });
    }

    fn write(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        self.is_full = false;
        let mut rest = IN_A_TURN;
        loop {
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut socket) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => rest = rest.saturating_sub(written),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.is_full = true;
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
            let (small, large) = (!self.small.waiting.is_empty(), !self.large.waiting.is_empty());
            if self.tls.is_handshaking() || !(small || large) {
                return Ok(());
            }
            if rest == 0 {
                self.is_full = true;
                return Ok(());
            }
            if large && (self.is_larges_turn || !small) {
                self.encrypt_part()?;
            } else {
                self.encrypt_small()?;
            }
        }
    }

    /// Encrypts some of what is small: several messages in one record.
    fn encrypt_small(&mut self) -> io::Result<()> {
        self.is_larges_turn = true;
        let mut bytes = 0;
        let fits = |one: &&Message| {
            bytes += one.size();
            bytes <= AT_ONCE
        };
        let together: Vec<_> = self.small.waiting.iter().take(TOGETHER).take_while(fits).collect();
        let parts: Vec<_> = together.iter().flat_map(|one| [&one.head[..], &one.content]).map(IoSlice::new).collect();
        encrypt(&mut self.tls, &parts)?;
        let count = together.len();
        self.small.bytes -= self.small.waiting.drain(..count).map(|one| one.size()).sum::<usize>();
        Ok(())
    }

    /// Encrypts the next part of what is large.
    fn encrypt_part(&mut self) -> io::Result<()> {
        self.is_larges_turn = false;
        let Some(large) = self.large.waiting.front_mut() else { return Ok(()) };
        let part = large.content.split_to(large.content.len().min(PART));
        encrypt(&mut self.tls, &[IoSlice::new(&large.head), IoSlice::new(&part)])?;
        large.head = further(large.content.len().min(PART));
        self.large.bytes -= part.len();
        if large.content.is_empty() {
            self.large.bytes -= HEAD;
            self.large.waiting.pop_front();
        }
        Ok(())
    }

    /// Takes what came on the socket; whether the other end says that no more will.
    fn take(&mut self, mut came: &[u8], read: bool, reader: &mut Reader, frames: &mut Vec<Frame>) -> io::Result<bool> {
        self.heard = Instant::now();
        let mut is_closed = false;
        while !came.is_empty() && !is_closed {
            self.tls.read_tls(&mut came)?;
            let seen = self.tls.process_new_packets().map_err(io::Error::other)?;
            is_closed = seen.peer_has_closed();
            if read || !(self.is_answering() || self.tls.is_handshaking()) {
                self.read(reader, frames)?;
            }
        }
        Ok(is_closed)
    }

    fn read(&mut self, reader: &mut Reader, frames: &mut Vec<Frame>) -> io::Result<()> {
        let mut plain = self.tls.reader();
        while let Some(frame) = reader.next(&mut plain)? {
            frames.push(frame);
        }
        Ok(())
    }
}
