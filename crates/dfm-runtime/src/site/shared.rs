//! Which large part of a packet is in another one already, which goes to another site at the same time?
//!
//! Where the host carries packets, a value for several sites would be written, sealed and sent for each. So the first
//! packet has it, and in the others is a hole, of which the host knows where it is filled from.

use std::io;

use bytes::Bytes;
use dfm_wire::{Buffer, Encoded};

/// Smaller parts are written again: to say where they are is not worth it.
const FROM: usize = 1 << 20;

/// A packet for the host to carry.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried {
    /// The site that it is for; empty of one that is for nobody any more, and only fills holes.
    pub to: String,
    /// What is in it, without what goes into its holes.
    pub bytes: Vec<u8>,
    /// In their order; those at the same place too.
    pub holes: Vec<Hole>,
}

/// A place in a packet where a part of another one belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where, in the packet's bytes.
    pub at: usize,
    /// The other packet: its place among those that are taken together. It has no hole there itself.
    pub packet: usize,
    /// Where the part begins in that one's bytes.
    pub begin: usize,
    /// How many bytes it has.
    pub len: usize,
}

/// A packet that waits for the host, with its number; the holes' `packet` are numbers too.
pub(super) struct Piped {
    pub number: usize,
    pub bytes: Vec<u8>,
    pub holes: Vec<Hole>,
}

/// A part that a packet has, held so that no other comes to be where it is.
struct Copied {
    part: Bytes,
    packet: usize,
    begin: usize,
}

/// What has been written into packets while nobody can have changed it.
#[derive(Default)]
pub(super) struct Sharing(Vec<Copied>);

/// Writes one packet.
pub(super) struct Writing<'a> {
    sharing: &'a mut Sharing,
    large: Vec<&'a Bytes>,
    packet: Piped,
}

/// The large parts that are in a packet.
fn large<'a>(values: impl Iterator<Item = &'a Encoded>) -> impl Iterator<Item = &'a Bytes> {
    let inline = |buffer: &'a Buffer| match buffer {
        Buffer::Inline(bytes) if bytes.len() >= FROM => Some(bytes),
        Buffer::Inline(_) | Buffer::Segment { .. } => None,
    };
    values.flat_map(|value| &value.buffers).filter_map(inline)
}

/// Whether two parts are at one place, which stays theirs as long as they are held.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    (one.as_ptr(), one.len()) == (other.as_ptr(), other.len())
}

impl Sharing {
    /// How many bytes of these values are in other packets.
    pub fn had<'a>(&self, values: impl Iterator<Item = &'a Encoded>) -> usize {
        large(values).filter(|part| self.find(part).is_some()).map(Bytes::len).sum()
    }

    fn find(&self, part: &[u8]) -> Option<&Copied> {
        self.0.iter().find(|copied| is_same(&copied.part, part))
    }

    /// The packet of this number, into `memory`, which has these values.
    pub fn begin<'a>(
        &'a mut self,
        number: usize,
        values: impl Iterator<Item = &'a Encoded>,
        memory: Vec<u8>,
    ) -> Writing<'a> {
        Writing {
            sharing: self,
            large: large(values).collect(),
            packet: Piped { number, bytes: memory, holes: vec![] },
        }
    }
}

impl Writing<'_> {
    /// What was written.
    pub fn end(self) -> Piped {
        self.packet
    }
}

impl io::Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let at = self.packet.bytes.len();
        if let Some(part) = self.large.iter().find(|part| is_same(part, bytes)) {
            if let Some(&Copied { packet, begin, .. }) = self.sharing.find(bytes) {
                self.packet.holes.push(Hole { at, packet, begin, len: bytes.len() });
                return Ok(bytes.len());
            }
            self.sharing.0.push(Copied { part: (*part).clone(), packet: self.packet.number, begin: at });
        }
        self.packet.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
