//! Is memory used again where it fits, and given back where it is too much?

use dfm_runtime::MemoryPool;

const MIB: usize = 1 << 20;

#[test]
fn large_memory_is_used_again_where_it_fits() {
    let pool = MemoryPool::new(8 * MIB);
    let memory = vec![7; 4 * MIB];
    let place = memory.as_ptr();
    pool.give(memory);
    let others = [pool.take(5 * MIB), pool.take(MIB)];
    assert!(others.iter().all(|other| other.as_ptr() != place), "it is too small, or too large");
    let again = pool.take(3 * MIB);
    assert!(again.is_empty() && again.capacity() >= 3 * MIB);
    assert_eq!(again.as_ptr(), place);
    pool.give(vec![7; 8 * MIB + 1]);
    assert!(pool.take(8 * MIB).capacity() <= 8 * MIB, "too much is not kept");
}
