//! How does a large buffer get to another process of this machine without being written twice?
//!
//! The sender copies it into a memory file, and its descriptor travels; the receiver maps it. Fresh pages cost more
//! than the copy (about 80 ms against 6 ms for 100 MB), so a released segment is kept and used again.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags};

/// Buffers shorter than this travel in the packet: a descriptor and a mapping cost more than their copy.
pub const SEGMENT_FROM: usize = 64 * 1024;

/// Released segments are kept up to this many bytes in all.
const KEPT_BYTES: usize = 512 << 20;

/// The segments of one process.
#[derive(Default)]
pub struct Pool {
    free: Vec<Segment>,
    sent: HashMap<u64, Segment>,
    next: u64,
}

struct Segment {
    file: Arc<OwnedFd>,
    map: MmapMut,
}

impl Pool {
    /// Copies `bytes` into a segment; returns its number and its descriptor.
    ///
    /// # Errors
    /// The system's, when there is no memory or no descriptor left.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<(u64, Arc<OwnedFd>)> {
        let fits = |segment: &Segment| (bytes.len()..=bytes.len().saturating_mul(2)).contains(&segment.map.len());
        let mut segment = match self.free.iter().position(fits) {
            Some(at) => self.free.swap_remove(at),
            None => Segment::new(bytes.len())?,
        };
        segment.map[..bytes.len()].copy_from_slice(bytes);
        let (id, file) = (self.next, segment.file.clone());
        self.next += 1;
        self.sent.insert(id, segment);
        Ok((id, file))
    }

    /// Takes back a segment that its receiver, or the receiver's whole process, does not read any more.
    pub fn release(&mut self, id: u64) {
        if let Some(segment) = self.sent.remove(&id) {
            let kept: usize = self.free.iter().map(|segment| segment.map.len()).sum();
            if kept + segment.map.len() <= KEPT_BYTES {
                self.free.push(segment);
            }
        }
    }
}

impl Segment {
    fn new(len: usize) -> io::Result<Self> {
        let file = rustix::fs::memfd_create("dfm", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, len.next_multiple_of(4096) as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        // SAFETY: the file is sealed against shrinking, so the mapping stays backed; receivers map it privately and
        // never write to it, and this process writes only while no receiver holds it.
        #[allow(unsafe_code)]
        let map = unsafe { MmapOptions::new().populate().map_mut(&file)? };
        Ok(Self { file: Arc::new(file), map })
    }
}

/// What receivers have finished with: (the owner's link, the segment's number).
pub type Released = Arc<Mutex<Vec<(u64, u64)>>>;

/// A received segment: writable memory of this process's own, whose pages are copied only when written to.
pub struct Received {
    map: MmapMut,
    owner: (u64, u64),
    released: Released,
}

impl Received {
    /// Maps the first `len` bytes of `file`.
    ///
    /// # Errors
    /// The system's; or that the file is shorter than its sender said.
    pub fn open(file: impl AsFd, len: usize, owner: (u64, u64), released: Released) -> io::Result<Self> {
        let file = file.as_fd();
        if rustix::fs::fstat(file)?.st_size < len as i64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a shared segment is shorter than announced"));
        }
        // SAFETY: the mapping is private and the sender neither shrinks the file (it is sealed) nor writes to it until
        // this value is dropped.
        #[allow(unsafe_code)]
        let map = unsafe { MmapOptions::new().len(len).map_copy(&file)? };
        Ok(Self { map, owner, released })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes, to change; nobody else sees it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.released.lock().expect("no holder panics").push(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_arrives_is_released_and_used_again() {
        let mut pool = Pool::default();
        let released = Released::default();
        let bytes = vec![7u8; 100_000];
        let (id, file) = pool.send(&bytes).unwrap();
        let mut received = Received::open(&*file, bytes.len(), (3, id), released.clone()).unwrap();
        assert_eq!(received.bytes(), bytes);
        received.bytes_mut()[0] = 1;
        drop(received);
        assert_eq!(*released.lock().unwrap(), [(3, id)]);
        pool.release(id);
        assert_eq!(pool.free[0].map[0], 7, "a receiver's changes are its own");
        let (_, again) = pool.send(&bytes[1..]).unwrap();
        assert!(Arc::ptr_eq(&file, &again));
        assert!(pool.free.is_empty());
    }

    #[test]
    fn a_segment_shorter_than_announced_is_refused() {
        let (_, file) = Pool::default().send(&[0; 10]).unwrap();
        assert!(Received::open(&*file, 1 << 20, (0, 0), Released::default()).is_err());
    }
}
