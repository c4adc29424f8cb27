//! How does a large buffer get to another process of this machine without being written twice?
//!
//! The sender copies it into a memory file, and its descriptor travels; the receiver maps it. Fresh pages cost more
//! than the copy (about 80 ms against 6 ms for 100 MB), so a released segment is kept and used again.
//!
//! Each segment is a descriptor here as long as anybody reads it. A process has only so many of them, so segments get a
//! share, and what finds none left travels in its packet, which is slower and always possible.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::released::Released;

/// Buffers shorter than this travel in the packet: a descriptor and a mapping cost more than their copy.
pub const SEGMENT_FROM: usize = 64 * 1024;

/// Released segments are kept up to this many bytes in all; while jobs run, one that is larger is kept as well.
const KEPT_BYTES: usize = 512 << 20;

/// At most so many segments are open in a process, whatever the system allows: each is also a mapping.
const MOST_SEGMENTS: u64 = 8192;

/// Of the descriptors that a process may have, segments take one in so many.
const SHARE: u64 = 4;

/// As many descriptors as this process may have, but not more, are asked for.
const MOST_DESCRIPTORS: u64 = 1 << 16;

/// The segments of this process, those that wait to be used again included.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Lets this process have more descriptors, if the system allows it.
pub fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(MOST_DESCRIPTORS, |most| most.min(MOST_DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        // It works with fewer as well.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// How many segments this process may have.
fn most_segments() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (descriptors / SHARE).min(MOST_SEGMENTS) as usize
}

/// The segments of one site.
#[derive(Default)]
pub struct Pool {
    free: Vec<Segment>,
    sent: HashMap<u64, Arc<Segment>>,
    next: u64,
}

struct Segment {
    file: Arc<OwnedFd>,
    map: MmapMut,
}

impl Pool {
    /// Copies `bytes` into a segment; returns its number and its descriptor. `None` if the system has no descriptor or
    /// no shared memory left for it, or segments have their share.
    pub fn send(&mut self, bytes: &[u8]) -> Option<(u64, Arc<OwnedFd>)> {
        let fits = |segment: &Segment| (bytes.len()..=bytes.len().saturating_mul(2)).contains(&segment.map.len());
        let mut segment = match self.free.iter().position(fits) {
            Some(at) => self.free.swap_remove(at),
            None => {
                if OPEN.load(Ordering::Relaxed) >= most_segments() {
                    self.free.pop()?;
                }
                Segment::new(bytes.len()).ok()?
            }
        };
        segment.map[..bytes.len()].copy_from_slice(bytes);
        Some(self.lend(Arc::new(segment)))
    }

    /// Another number for what was sent under this one, for one more receiver; `None` where it was released.
    pub fn send_again(&mut self, id: u64) -> Option<(u64, Arc<OwnedFd>)> {
        let segment = self.sent.get(&id)?.clone();
        Some(self.lend(segment))
    }

    fn lend(&mut self, segment: Arc<Segment>) -> (u64, Arc<OwnedFd>) {
        let (id, file) = (self.next, segment.file.clone());
        self.next += 1;
        self.sent.insert(id, segment);
        (id, file)
    }

    /// Takes back a segment that its receiver, or the receiver's whole process, does not read any more. The last of its
    /// receivers frees it.
    pub fn release(&mut self, id: u64) {
        if let Some(segment) = self.sent.remove(&id).and_then(Arc::into_inner) {
            self.free.push(segment);
            // What was released last is what comes next, if anything of its size does.
            while self.free.len() > 1 && self.kept() > KEPT_BYTES {
                self.free.remove(0);
            }
        }
    }

    /// No job runs here any more.
    pub fn rest(&mut self) {
        if self.kept() > KEPT_BYTES {
            self.free.clear();
        }
    }

    fn kept(&self) -> usize {
        self.free.iter().map(|segment| segment.map.len()).sum()
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
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Self { file: Arc::new(file), map })
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

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
    /// The system's; or that the file is shorter than its sender said, or might be made so while it is read.
    pub fn open(file: impl AsFd, len: usize, owner: (u64, u64), released: Released) -> io::Result<Self> {
        let file = file.as_fd();
        // A file that cannot be sealed at all has no seals to tell.
        if !rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a shared segment may be cut short by its sender"));
        }
        if u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0) < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a shared segment is shorter than announced"));
        }
        // SAFETY: the mapping is private, it stays backed because the file is as long as it is and is sealed against
        // shrinking, and a sender writes to it only when this value was dropped.
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
        self.released.note(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_arrives_is_released_and_used_again() {
        let mut pool = Pool::default();
        let released = Released::new();
        let bytes = vec![7u8; 100_000];
        let (id, file) = pool.send(&bytes).unwrap();
        let mut received = Received::open(&*file, bytes.len(), (3, id), released.clone()).unwrap();
        assert_eq!(received.bytes(), bytes);
        received.bytes_mut()[0] = 1;
        drop(received);
        assert_eq!(released.take(), [(3, id)]);
        pool.release(id);
        assert_eq!(pool.free[0].map[0], 7, "a receiver's changes are its own");
        let (_, again) = pool.send(&bytes[1..]).unwrap();
        assert!(Arc::ptr_eq(&file, &again));
        assert!(pool.free.is_empty());
    }

    #[test]
    fn what_has_two_receivers_is_used_again_when_both_have_released_it() {
        let mut pool = Pool::default();
        let (one, file) = pool.send(&[7; 10]).unwrap();
        let (other, same) = pool.send_again(one).unwrap();
        assert!(one != other && Arc::ptr_eq(&file, &same));
        pool.release(one);
        assert!(pool.free.is_empty());
        assert!(pool.send_again(one).is_none());
        pool.release(other);
        assert!(Arc::ptr_eq(&pool.free[0].file, &file));
    }

    #[test]
    fn one_that_is_larger_than_what_is_kept_is_used_again_until_no_job_runs() {
        let mut pool = Pool::default();
        let (small, _) = pool.send(&[1; 10]).unwrap();
        let large = Segment::new(KEPT_BYTES + 1).unwrap();
        let (large, file) = pool.lend(Arc::new(large));
        pool.release(small);
        pool.release(large);
        assert!(pool.free.len() == 1 && Arc::ptr_eq(&pool.free[0].file, &file));
        pool.rest();
        assert!(pool.free.is_empty());
    }

    #[test]
    fn a_segment_shorter_than_announced_is_refused() {
        let (_, file) = Pool::default().send(&[0; 10]).unwrap();
        for len in [1 << 20, usize::MAX] {
            assert!(Received::open(&*file, len, (0, 0), Released::new()).is_err());
        }
    }

    #[test]
    fn a_segment_that_may_be_cut_short_is_refused() {
        for flags in [MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING, MemfdFlags::CLOEXEC] {
            let file = rustix::fs::memfd_create("dfm", flags).unwrap();
            rustix::fs::ftruncate(&file, 4096).unwrap();
            let refused = Received::open(&file, 4096, (0, 0), Released::new()).err().unwrap();
            assert_eq!(refused.to_string(), "a shared segment may be cut short by its sender");
        }
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Received::open(&file, 10, (0, 0), Released::new()).is_err());
        let (socket, _other) = crate::link::Link::pair().unwrap();
        assert!(Received::open(&socket, 0, (0, 0), Released::new()).is_err());
    }
}
