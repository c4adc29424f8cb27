//! Does what threads share keep its promise in every order in which they can come, and with all that memory may show
//! them?
//!
//! The modules are those of `dfm-runtime` themselves, with `loom`'s locks and counters in the place of the standard
//! library's.

#[path = "../../../crates/dfm-runtime/src/held.rs"]
pub mod held;
#[path = "../../../crates/dfm-runtime/src/released.rs"]
pub mod released;
#[path = "../../../crates/dfm-runtime/src/memory_pool.rs"]
pub mod memory_pool;

/// `dfm-runtime`'s module of this name, under `loom`.
pub mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering};
    pub use loom::sync::{Arc, Mutex};
}

#[cfg(test)]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use crate::held::Holder;
    use crate::released::Released;
    use crate::memory_pool::MemoryPool;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_any_thread_lets_go_makes_room_and_no_more_than_there_was() {
        loom::model(|| {
            let holder = Holder::new(100);
            let lets_go = [60, 40].map(|bytes| {
                let held = holder.hold(bytes).expect("there is room for both");
                thread::spawn(move || drop(held))
            });
            // Whether there is room depends on the order; what is refused takes none.
            let third = holder.hold(50);
            assert!(third.is_none() || holder.hold(51).is_none());
            lets_go.into_iter().for_each(|thread| thread.join().unwrap());
            drop(third);
            assert!(holder.hold(101).is_none() && holder.hold(100).is_some());
        });
    }

    #[test]
    fn each_segment_is_told_once_whoever_drops_it_and_whenever_it_is_asked() {
        loom::model(|| {
            let released = Released::new();
            let dropping = [1, 2].map(|number| {
                let released = released.clone();
                thread::spawn(move || released.note((7, number)))
            });
            let mut taken = released.take();
            dropping.into_iter().for_each(|thread| thread.join().unwrap());
            taken.extend(released.take());
            taken.sort_unstable();
            assert_eq!(taken, [(7, 1), (7, 2)]);
            assert!(released.take().is_empty());
        });
    }

    #[test]
    fn memory_that_any_thread_gives_is_used_again_by_one_and_no_more_is_kept_than_may_be() {
        loom::model(|| {
            let pool = Arc::new(MemoryPool::new(3 * MIB));
            // Their capacities tell them from memory that nobody has given.
            let giving = [1, 2].map(|number| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || pool.give(Vec::with_capacity(2 * MIB + number)))
            });
            let early = pool.take(2 * MIB);
            giving.into_iter().for_each(|thread| thread.join().unwrap());
            let late = [pool.take(2 * MIB), pool.take(2 * MIB)];
            let again = |memory: &Vec<u8>| memory.capacity() > 2 * MIB;
            let (early, late): (Vec<_>, Vec<_>) =
                ([early].into_iter().filter(again).collect(), late.into_iter().filter(again).collect());
            assert!(late.len() <= 1 && !(early.is_empty() && late.is_empty()));
            assert!(early.first().map(Vec::capacity) != late.first().map(Vec::capacity));
        });
    }
}
