//! Which memory is used again for packets that carry large values where there is no shared memory?
//!
//! Fresh pages cost more than the copy into them (about 60 ms against 10 ms for 100 MB), so what a packet or a received
//! value leaves is kept for the next packet.

use std::sync::Mutex;

/// Smaller packets are no trouble to the allocator.
const FROM: usize = 1 << 20;

/// Memory is kept up to this many bytes in all.
const KEPT_BYTES: usize = 256 << 20;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty vector with room for so many bytes.
pub fn take(len: usize) -> Vec<u8> {
    let fits = |memory: &Vec<u8>| (len..=len.saturating_mul(2)).contains(&memory.capacity());
    let mut spare = SPARE.lock().expect("no holder panics");
    match spare.iter().position(fits).filter(|_| len >= FROM) {
        Some(at) => spare.swap_remove(at),
        None => Vec::with_capacity(len),
    }
}

/// Takes over memory that nobody looks at any more.
pub fn give(mut memory: Vec<u8>) {
    if memory.capacity() < FROM {
        return;
    }
    memory.clear();
    let mut spare = SPARE.lock().expect("no holder panics");
    if spare.iter().map(Vec::capacity).sum::<usize>() + memory.capacity() <= KEPT_BYTES {
        spare.push(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_memory_is_used_again_where_it_fits() {
        let memory = vec![7; 4 * FROM];
        let place = memory.as_ptr();
        give(memory);
        let others = [take(5 * FROM), take(FROM)];
        assert!(others.iter().all(|other| other.as_ptr() != place), "it is too small, or too large");
        let again = take(3 * FROM);
        assert!(again.is_empty() && again.capacity() >= 3 * FROM);
        assert_eq!(again.as_ptr(), place);
        give(vec![7; KEPT_BYTES + 1]);
        assert!(take(KEPT_BYTES).capacity() <= KEPT_BYTES, "too much is not kept");
    }
}
