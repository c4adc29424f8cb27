//! How do packets and descriptors cross one socket without anybody waiting?

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// A packet: its payload, and the descriptors that came beside it.
pub struct Packet {
    /// One message.
    pub payload: Vec<u8>,
    /// Its descriptors, in order.
    pub files: VecDeque<OwnedFd>,
}

/// Length of the payload (4 bytes, little endian), number of descriptors (1 byte).
const HEADER: usize = 5;
/// A packet has at most this many descriptors; the system allows 253.
pub const MAX_FILES: usize = 128;
/// The most bytes of one value that a packet takes, beside what else is in it.
pub const MAX_PACKET: usize = 0xFF00_0000;
const READ_BYTES: usize = 256 * 1024;
/// So many bytes may wait to be written: a process that takes less than it is sent is as good as gone.
const MOST_WAITING: usize = 4 << 30;
/// When so many descriptors were read, their packets come first: each is one that this process has no more of.
const FILES_AT_ONCE: usize = 32;

/// What a link's socket held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// More than was read.
    Partly,
    /// What was read; the rest is still to come.
    Whole,
    /// What was read, and nothing more will come: the other end is gone.
    Gone,
}

/// One end of a stream socket between two processes.
pub struct Link {
    socket: OwnedFd,
    incoming: Vec<u8>,
    consumed: usize,
    files: VecDeque<OwnedFd>,
    outgoing: VecDeque<Chunk>,
    /// The bytes of these.
    waiting: usize,
    scratch: Vec<u8>,
}

/// Bytes to write; the descriptors go with the first of them.
struct Chunk {
    bytes: Vec<u8>,
    written: usize,
    files: Vec<Arc<OwnedFd>>,
}

impl Link {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// The system's, if the socket cannot be made non-blocking.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            incoming: Vec::new(),
            consumed: 0,
            files: VecDeque::new(),
            outgoing: VecDeque::new(),
            waiting: 0,
            scratch: vec![0; READ_BYTES],
        })
    }

    /// Both ends of a new link: one to keep, one to hand to another process.
    ///
    /// # Errors
    /// The system's, when there is no descriptor left.
    pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
    }

    /// The socket, to wait on.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Queues a packet. Small ones are written together. Where too much waits, nothing more is, and [`Link::flush`] says so.
    pub fn push(&mut self, payload: &[u8], files: Vec<Arc<OwnedFd>>) {
        if self.waiting > MOST_WAITING {
            return;
        }
        self.waiting += HEADER + payload.len();
        let fits = |chunk: &&mut Chunk| files.is_empty() && chunk.bytes.len() + payload.len() < READ_BYTES;
        let mut header = [0; HEADER];
        let length = u32::try_from(payload.len()).expect("a packet is below 4 GiB: large buffers are segments");
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4] = u8::try_from(files.len()).expect("the caller keeps to MAX_FILES");
        match self.outgoing.back_mut().filter(fits) {
            Some(chunk) => {
                chunk.bytes.extend_from_slice(&header);
                chunk.bytes.extend_from_slice(payload);
            }
            None => self.outgoing.push_back(Chunk { bytes: [&header, payload].concat(), written: 0, files }),
        }
    }

    /// Writes what the socket takes; `true` when nothing is left.
    ///
    /// # Errors
    /// The system's, or that too much waits; the other end is gone then, or as good as that.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.waiting > MOST_WAITING {
            return Err(io::Error::other("it takes less than it is sent"));
        }
        while let Some(chunk) = self.outgoing.front_mut() {
            let bytes = [IoSlice::new(&chunk.bytes[chunk.written..])];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            let files: Vec<BorrowedFd> = chunk.files.iter().map(|file| file.as_fd()).collect();
            if !files.is_empty() {
                beside.push(SendAncillaryMessage::ScmRights(&files));
            }
            match rustix::net::sendmsg(&self.socket, &bytes, &mut beside, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    drop(files);
                    chunk.files.clear();
                    chunk.written += sent;
                    self.waiting -= sent;
                    if chunk.written == chunk.bytes.len() {
                        self.outgoing.pop_front();
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Reads what there is, or some of it. [`Link::next_packet`] has the packets.
    ///
    /// # Errors
    /// The system's, for a broken socket; or that descriptors were lost, as this process may have no more. What was
    /// read before is whole.
    pub fn fill(&mut self) -> io::Result<Filled> {
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut self.scratch)];
            match rustix::net::recvmsg(&self.socket, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => {
                    for extra in beside.drain() {
                        if let RecvAncillaryMessage::ScmRights(files) = extra {
                            self.files.extend(files);
                        }
                    }
                    if message.flags.contains(ReturnFlags::CTRUNC) {
                        return Err(io::Error::other("it came with more open files than this process may have"));
                    }
                    if message.bytes == 0 {
                        return Ok(Filled::Gone);
                    }
                    self.incoming.extend_from_slice(&self.scratch[..message.bytes]);
                    if self.files.len() >= FILES_AT_ONCE {
                        return Ok(Filled::Partly);
                    }
                    if message.bytes < READ_BYTES && self.files.is_empty() {
                        return Ok(Filled::Whole);
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(Filled::Whole),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(Filled::Gone),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next whole packet that was read.
    pub fn next_packet(&mut self) -> Option<Packet> {
        let rest = &self.incoming[self.consumed..];
        let length = rest.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let Some(length) = length.filter(|length| rest.len() >= HEADER + length) else {
            self.incoming.drain(..self.consumed);
            self.consumed = 0;
            return None;
        };
        let payload = rest[HEADER..HEADER + length].to_vec();
        let files = self.files.drain(..(rest[4] as usize).min(self.files.len())).collect();
        self.consumed += HEADER + length;
        Some(Packet { payload, files })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both() -> (Link, Link) {
        let (one, other) = Link::pair().unwrap();
        (Link::new(one).unwrap(), Link::new(other).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn packets_and_descriptors_arrive_whole_and_in_order(
            packets in prop::collection::vec((0usize..600_000, 0usize..3), 1..12)
        ) {
            let (mut from, mut to) = both();
            for (at, (length, files)) in packets.iter().enumerate() {
                let files = (0..*files).map(|_| Arc::new(Link::pair().unwrap().0)).collect();
                from.push(&vec![at as u8; *length], files);
            }
            let mut got = vec![];
            while got.len() < packets.len() {
                from.flush().unwrap();
                prop_assert!(to.fill().unwrap() != Filled::Gone);
                while let Some(packet) = to.next_packet() {
                    prop_assert!(packet.payload.iter().all(|byte| *byte == got.len() as u8));
                    got.push((packet.payload.len(), packet.files.len()));
                }
            }
            prop_assert_eq!(got, packets);
        }
    }

    #[test]
    fn what_waits_to_be_written_is_bounded() {
        let (mut from, _to) = both();
        let packet = vec![0; 64 << 10];
        while from.flush().unwrap() {
            from.push(&packet, vec![]);
        }
        let written: usize = from.outgoing.iter().map(|chunk| chunk.bytes.len() - chunk.written).sum();
        assert_eq!(from.waiting, written);
        // As if so much more had been queued, which no test has room for.
        from.waiting += MOST_WAITING;
        from.push(&packet, vec![]);
        assert!(from.flush().is_err());
        assert_eq!(from.outgoing.iter().map(|chunk| chunk.bytes.len() - chunk.written).sum::<usize>(), written);
    }

    #[test]
    fn descriptors_are_handed_on_before_more_are_read() {
        let (mut from, mut to) = both();
        let files = Link::pair().unwrap();
        let (one, _other) = (Arc::new(files.0), files.1);
        for _ in 0..3 * FILES_AT_ONCE {
            from.push(b"beside a file", vec![one.clone()]);
            assert!(from.flush().unwrap());
        }
        for _ in 0..3 {
            assert_eq!(to.fill().unwrap(), Filled::Partly);
            let packets = std::iter::from_fn(|| to.next_packet()).inspect(|packet| assert_eq!(packet.files.len(), 1));
            assert_eq!(packets.count(), FILES_AT_ONCE);
        }
        assert_eq!(to.fill().unwrap(), Filled::Whole);
    }

    #[test]
    fn what_was_written_before_the_end_still_arrives() {
        let (mut from, mut to) = both();
        from.push(b"last", vec![]);
        assert!(from.flush().unwrap());
        drop(from);
        while to.fill().unwrap() != Filled::Gone {}
        assert_eq!(to.next_packet().unwrap().payload, b"last");
        assert!(to.next_packet().is_none());
        to.push(b"lost", vec![]);
        assert!(to.flush().is_err());
    }
}
