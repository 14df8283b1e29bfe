//! Memory, and who may touch it when.

use super::*;

#[test]
fn memory_is_zero_and_begins_at_a_block() {
    for len in [0, 1, 4095, 4096, 4097, 3 << 20] {
        let buffer = IoBuffer::zeroed(len);
        assert_eq!((buffer.len(), buffer.is_empty()), (len, len == 0));
        assert_eq!(buffer.address().addr().get() % 4096, 0);
        assert!(buffer.view(0..len).unwrap().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn clones_are_the_same_memory() {
    let buffer = IoBuffer::zeroed(4096);
    let other = buffer.clone();
    buffer.fill(10..13).unwrap().copy_from_slice(b"abc");
    assert_eq!(&*other.view(9..14).unwrap(), b"\0abc\0");
    assert!(!buffer.is_last());
    drop(other);
    assert!(buffer.is_last());
}

#[test]
fn a_range_that_is_not_there_is_refused() {
    let buffer = IoBuffer::zeroed(100);
    let backwards = std::ops::Range { start: 2, end: 1 };
    for range in [0..101, 100..101, usize::MAX - 1..usize::MAX, backwards] {
        assert_eq!(buffer.view(range.clone()).unwrap_err(), ViewError::Range);
        assert_eq!(buffer.fill(range.clone()).unwrap_err(), ViewError::Range);
        assert_eq!(buffer.zero(range).unwrap_err(), ViewError::Range);
    }
    assert_eq!(buffer.view(100..100).unwrap().len(), 0);
}

/// The table in `buffer.rs`.
#[test]
fn uses_go_together_as_they_should() {
    let buffer = IoBuffer::zeroed(4096);
    let hold = |is_read| buffer.clone().hold(0, 10, is_read);
    // Each is over before the next one begins.
    let tries = || {
        let read = hold(true).is_ok();
        let write = hold(false).is_ok();
        let view = buffer.view(0..10).is_ok();
        let fill = buffer.fill(0..10).is_ok();
        [read, write, view, fill, buffer.zero(0..10).is_ok()]
    };
    assert_eq!(tries(), [true; 5]);
    let read = hold(true).unwrap();
    assert_eq!(tries(), [true, true, false, false, true]);
    let write = hold(false).unwrap();
    assert_eq!(tries(), [true, true, false, false, true]);
    drop(read);
    assert_eq!(tries(), [true, true, true, false, true]);
    drop(write);
    let view = buffer.view(0..10).unwrap();
    assert_eq!(tries(), [false, true, true, false, false]);
    drop(view);
    let filling = buffer.fill(0..10).unwrap();
    assert_eq!(tries(), [false; 5]);
    drop(filling);
    assert_eq!(tries(), [true; 5]);
}

#[test]
fn zeroing_is_of_its_range() {
    let buffer = buffer_of(&[7; 100]);
    buffer.zero(10..20).unwrap();
    let view = buffer.view(0..100).unwrap();
    assert!(view.iter().enumerate().all(|(at, byte)| *byte == if at / 10 == 1 { 0 } else { 7 }));
}

#[test]
fn threads_see_a_buffer_whole() {
    let buffer = IoBuffer::zeroed(4096);
    std::thread::scope(|scope| {
        for number in 1..4_u8 {
            let buffer = buffer.clone();
            let fill = move || {
                let mut left = 100;
                while left > 0 {
                    std::thread::yield_now();
                    if let Ok(mut filling) = buffer.fill(0..4096) {
                        filling.fill(number);
                        left -= 1;
                    }
                    if let Ok(view) = buffer.view(0..4096) {
                        assert!(view.iter().all(|byte| *byte == view[0]));
                    }
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, fill).unwrap();
        }
    });
}

#[test]
fn a_pool_gives_again_what_it_was_given_back() {
    let mut pool = Pool::new(64 << 10);
    let buffer = pool.take(5000);
    assert_eq!(buffer.len(), 8192);
    let address = buffer.address();
    pool.give_back(buffer);
    assert_eq!(pool.kept(), 8192);
    assert_eq!(pool.take(4096).len(), 4096);
    let again = pool.take(8192);
    assert_eq!((again.address(), pool.kept()), (address, 0));
    assert_eq!((pool.take(0).len(), pool.take(1).len()), (4096, 4096));
    assert_eq!((pool.take((1 << 20) - 1).len(), pool.take(1 << 20).len()), (1 << 20, 1 << 20));
    assert_eq!(pool.take((1 << 20) + 1).len(), (1 << 20) + 1);
}

#[test]
fn a_pool_keeps_what_is_free_and_has_room() {
    let mut pool = Pool::new(64 << 10);
    for _ in 0..20 {
        pool.give_back(IoBuffer::zeroed(8192));
    }
    assert_eq!(pool.kept(), 64 << 10);
    for _ in 0..8 {
        pool.take(8192);
    }
    assert_eq!(pool.kept(), 0);
    // No length of its own, or too long.
    for len in [0, 5000, 12288, 2 << 20] {
        pool.give_back(IoBuffer::zeroed(len));
    }
    // Not free.
    let buffer = pool.take(4096);
    pool.give_back(buffer.clone());
    let forgotten = pool.take(4096);
    std::mem::forget(forgotten.view(0..1).unwrap());
    pool.give_back(forgotten);
    assert_eq!(pool.kept(), 0);
    pool.give_back(buffer);
    assert_eq!(pool.kept(), 4096);
}

#[test]
fn a_range_is_copied_beside_operations_in_others() {
    let (from, to) = (buffer_of(&[7; 100]), IoBuffer::zeroed(100));
    let reading = from.clone().hold(0, 10, true).unwrap();
    from.copy_to(&to, 10..20).unwrap();
    drop(reading);
    let view = to.view(0..100).unwrap();
    assert!(view.iter().enumerate().all(|(at, byte)| *byte == if at / 10 == 1 { 7 } else { 0 }));
    assert_eq!(from.copy_to(&to, 0..1), Err(ViewError::InUse), "it is looked at");
    drop(view);
    let view = from.view(0..1).unwrap();
    assert_eq!(from.copy_to(&to, 0..1), Err(ViewError::InUse));
    drop(view);
    assert_eq!(from.copy_to(&from.clone(), 0..1), Err(ViewError::InUse), "it is the same");
    assert_eq!(from.copy_to(&to, 99..101), Err(ViewError::Range));
    from.copy_to(&to, 0..100).unwrap();
    assert!(to.view(0..100).unwrap().iter().all(|byte| *byte == 7));
}
