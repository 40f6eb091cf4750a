//! How large a block is that is given back: `free` does not say.
//!
//! Every block is asked for with one byte more than the program wants. The last byte of the room
//! that the allocator below then has for it says how much of the room was not asked for:
//!
//! ```text
//! malloc(100): malloc(101) below, whose room is 104 bytes
//!              │ 100 bytes of the program │ 0 0 0 │ 4 │
//! mmapped, malloc(200_000): room of 200,688 bytes, more than a byte can say
//!              │ 200,000 bytes │ … │ 688 as eight bytes │ 255 │
//! ```
//! So sizes are those that the program asked for, to the byte, with no table beside. One block in
//! sixteen becomes 16 bytes larger, in glibc. A block that does not come from here is at most taken
//! for a smaller one.

/// Where a block says 255, its eight bytes before do.
const MANY: u8 = u8::MAX;
const MANY_LEN: usize = 1 + size_of::<u64>();

/// What to ask for a block of `size` bytes.
#[inline]
pub fn with_room(size: usize) -> usize {
    // What is too large with a byte more is too large without.
    size.saturating_add(1)
}

/// Notes in a new block that `size` of its `usable` bytes were asked for.
///
/// # Safety
/// The block at `block` has `usable` bytes, more than `size`, and those from `size` on are
/// nobody's.
#[inline]
pub unsafe fn note(block: *mut u8, usable: usize, size: usize) {
    let left = usable.saturating_sub(size);
    // SAFETY: writes behind `size` and below `usable`: one byte, or nine of at least 255.
    unsafe {
        match u8::try_from(left) {
            Ok(0) => {}
            Ok(left) if left != MANY => block.add(usable - 1).write(left),
            _ => {
                block.add(usable - 1).write(MANY);
                let many = block.add(usable - MANY_LEN).cast::<u64>();
                many.write_unaligned(left as u64);
            }
        }
    }
}

/// The size that was asked for, of a block with `usable` bytes.
///
/// # Safety
/// The block at `block` has `usable` bytes.
#[inline]
pub unsafe fn size(block: *const u8, usable: usize) -> usize {
    if usable == 0 {
        return 0;
    }
    // SAFETY: reads the last byte, and the eight before if there are as many.
    let left = unsafe {
        match block.add(usable - 1).read() {
            MANY if usable >= MANY_LEN => {
                let many = block.add(usable - MANY_LEN).cast::<u64>();
                many.read_unaligned() as usize
            }
            left => usize::from(left),
        }
    };
    usable.saturating_sub(left)
}

/// What of `usable` bytes a program may use that asks: all but what stands at the end.
///
/// # Safety
/// As of [`size`].
#[inline]
pub unsafe fn usable_by_program(block: *const u8, usable: usize) -> usize {
    // SAFETY: the caller's promise is passed on.
    let size = unsafe { size(block, usable) };
    let kept = if usable - size < usize::from(MANY) {
        1
    } else {
        MANY_LEN
    };
    usable.saturating_sub(kept).max(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_how_large_it_was_asked_for() {
        let mut room = [7u8; 5000];
        for usable in [24, 104, 300, 5000] {
            for size in 0..usable {
                let block = room.as_mut_ptr();
                // SAFETY: the block is `room`, or a part of it.
                let (found, usable_by_program) = unsafe {
                    note(block, usable, size);
                    (super::size(block, usable), usable_by_program(block, usable))
                };
                assert_eq!(found, size, "of {usable}");
                assert!(
                    (size..usable).contains(&usable_by_program),
                    "{size} of {usable}"
                );
                // A program may write to all that it was told of.
                room[..usable_by_program].fill(0xff);
                // SAFETY: the block is `room`, or a part of it.
                let found = unsafe { super::size(room.as_ptr(), usable) };
                assert_eq!(found, size, "of {usable}, filled");
            }
        }
    }

    #[test]
    fn a_foreign_block_is_taken_for_no_more_than_its_room() {
        for last in 0..=u8::MAX {
            let room = [last; 64];
            // SAFETY: the block is `room`.
            assert!(unsafe { size(room.as_ptr(), 64) } <= 64);
        }
    }
}
