//! The allocator: the first 256 KiB come from a place in the file's own .bss, all else from the C library.
//!
//! rinit in front of one command needs a few KiB and so never asks the kernel for memory: its data lies
//! on two or three pages side by side, where malloc(3) would touch a page for each size of object. A
//! configuration of some services is read and resolved without a single mmap(2). Given back is the last block, and
//! all that came after a [`mark`] once none of it is left; what else is freed is not reused, so that the place costs
//! no more than its size. What is large comes from malloc and is reused like any memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Enough for a start with a configuration of ordinary size. What is not touched costs nothing.
const SIZE: usize = 256 * 1024;

/// Larger blocks (but for the stack of a child, which has just this size) would soon fill the place, and are rare.
const LARGEST: usize = 8 * 1024;

/// Bytes to hand out. They lie in .bss: what is not touched is neither in the file nor in memory.
pub struct Place(UnsafeCell<[MaybeUninit<u128>; SIZE / size_of::<u128>()]>);

// SAFETY: the state beside it hands each byte to one owner only, by compare and exchange.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new([const { MaybeUninit::uninit() }; SIZE / size_of::<u128>()]));

/// What of a place is handed out, in one word so that it changes as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    /// Bytes handed out, from the start.
    used: usize,
    /// How many they were at the last mark.
    floor: usize,
    /// Blocks handed out since, and not given back.
    blocks: usize,
}

impl State {
    const BITS: u32 = 20;
    const MASK: u64 = (1 << Self::BITS) - 1;

    const fn pack(self) -> u64 {
        self.used as u64 | (self.floor as u64) << Self::BITS | (self.blocks as u64) << (2 * Self::BITS)
    }

    const fn unpack(word: u64) -> Self {
        Self {
            used: (word & Self::MASK) as usize,
            floor: (word >> Self::BITS & Self::MASK) as usize,
            blocks: (word >> (2 * Self::BITS)) as usize,
        }
    }
}

/// See the module.
pub struct Heap {
    place: &'static Place,
    /// Apart from the place, and not 0 at the start: so it lies in .data, whose page is written at every start anyway,
    /// and the first look at it does not fetch a page of .bss.
    state: &'static AtomicU64,
}

/// See [`Heap::state`].
static STATE: AtomicU64 =
    AtomicU64::new(State { used: size_of::<u128>(), floor: size_of::<u128>(), blocks: 0 }.pack());

/// From here on: once nothing that is handed out after this is left, its bytes are free again. For work that leaves
/// nothing behind and comes again and again, such as a start of a process.
pub fn mark() {
    change(&STATE, |state| Some(State { floor: state.used, blocks: 0, ..state }));
}

/// Changes a state as one step; `None` leaves it.
fn change(word: &AtomicU64, to: impl Fn(State) -> Option<State>) -> bool {
    word.fetch_update(Relaxed, Relaxed, |word| to(State::unpack(word)).map(State::pack)).is_ok()
}

impl Heap {
    /// The allocator. There can be only one, for there is one state.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self { place: &PLACE, state: &STATE }
    }

    fn start(&self) -> *mut u8 {
        self.place.0.get().cast()
    }

    /// Where in `place` a pointer points, if it does.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        let offset = pointer.addr().checked_sub(self.start().addr())?;
        (offset < SIZE).then_some(offset)
    }

    /// Where in `place` a new block begins, if it has room there.
    fn hand_out(&self, layout: Layout) -> Option<usize> {
        if layout.align() > align_of::<u128>() || layout.size() > LARGEST {
            return None;
        }
        let from = |state: State| state.used.next_multiple_of(layout.align());
        let word = self.state.fetch_update(Relaxed, Relaxed, |word| {
            let state = State::unpack(word);
            let used = from(state) + layout.size();
            (used <= SIZE).then(|| State { used, blocks: state.blocks + 1, ..state }.pack())
        });
        word.ok().map(|word| from(State::unpack(word)))
    }

    fn take_back(&self, offset: usize, size: usize) {
        change(self.state, |state| {
            let last = offset + size == state.used;
            if offset < state.floor {
                // The floor stays below what it counts.
                return (last && state.blocks == 0).then_some(State { used: offset, floor: offset, ..state });
            }
            let blocks = state.blocks.saturating_sub(1);
            let used = if blocks == 0 {
                state.floor
            } else if last {
                offset
            } else {
                state.used
            };
            Some(State { used, blocks, ..state })
        });
    }
}

// SAFETY: a block of the layout's size and alignment comes from `place`, where `used` only ever moves over bytes
// that nobody has, or from `System`, which gets back just what was its own.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.hand_out(layout) {
            // SAFETY: within `place`.
            Some(from) => unsafe { self.start().add(from) },
            // SAFETY: the caller's own promise on the layout.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(offset) => self.take_back(offset, layout.size()),
            // SAFETY: not ours, so System's.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: not ours, so System's.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        let (end, new_end) = (offset + layout.size(), offset + size);
        let grows =
            |state: State| (state.used == end && new_end <= SIZE).then_some(State { used: new_end, ..state });
        if change(self.state, grows) {
            return pointer; // the last one grows where it is
        }
        // SAFETY: the caller promises that `size` and this alignment make a layout.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: two blocks of at least that many bytes, which do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(pointer, new, layout.size().min(size)) };
            // SAFETY: the caller gives this block up.
            unsafe { self.dealloc(pointer, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    fn another() -> Heap {
        let place = Place(UnsafeCell::new([const { MaybeUninit::uninit() }; SIZE / size_of::<u128>()]));
        Heap { place: Box::leak(Box::new(place)), state: Box::leak(Box::new(AtomicU64::new(0))) }
    }

    #[test]
    fn blocks_are_apart_aligned_and_grow() {
        let heap = another();
        // SAFETY: each block is used within its size and given back once.
        unsafe {
            let a = heap.alloc(layout(3, 1));
            let b = heap.alloc(layout(8, 8));
            assert_eq!(b.addr() % 8, 0);
            assert!(b.addr() >= a.addr() + 3);
            b.write_bytes(7, 8);
            let grown = heap.realloc(b, layout(8, 8), 64);
            assert_eq!(grown, b, "the last block grows in place");
            let moved = heap.realloc(a, layout(3, 1), 32);
            assert_ne!(moved, a, "an inner one moves");
            assert_eq!(*grown, 7);
            heap.dealloc(moved, layout(32, 1));
            let again = heap.alloc(layout(32, 1));
            assert_eq!(again, moved, "the last one is given back");
        }
    }

    #[test]
    fn what_does_not_fit_comes_from_the_system() {
        let heap = another();
        // SAFETY: as above.
        unsafe {
            let large = heap.alloc(layout(SIZE, 16));
            assert!(heap.offset(large).is_none());
            large.write_bytes(1, SIZE);
            let larger = heap.realloc(large, layout(SIZE, 16), 2 * SIZE);
            assert_eq!(*larger.add(SIZE - 1), 1);
            heap.dealloc(larger, layout(2 * SIZE, 16));
            let small: Vec<_> = (0..20_000).map(|_| heap.alloc(layout(16, 16))).collect();
            assert!(small.iter().any(|block| heap.offset(*block).is_none()));
            small.into_iter().for_each(|block| heap.dealloc(block, layout(16, 16)));
        }
    }

    #[test]
    fn what_came_after_a_mark_is_free_again_when_none_is_left() {
        let heap = another();
        let used = || State::unpack(heap.state.load(Relaxed)).used;
        // SAFETY: as above.
        unsafe {
            let kept = heap.alloc(layout(100, 4));
            change(heap.state, |state| Some(State { floor: state.used, blocks: 0, ..state }));
            let before = used();
            for _ in 0..100 {
                let blocks =
                    [heap.alloc(layout(10, 1)), heap.alloc(layout(20, 8)), heap.alloc(layout(8192, 16))];
                for (block, size) in blocks.into_iter().zip([(10, 1), (20, 8), (8192, 16)]) {
                    heap.dealloc(block, layout(size.0, size.1)); // in the order in which they came
                }
                assert_eq!(used(), before);
            }
            let stays = heap.alloc(layout(16, 16));
            heap.dealloc(kept, layout(100, 4)); // older than the mark: its bytes are not in reach
            heap.dealloc(heap.alloc(layout(16, 16)), layout(16, 16));
            assert!(used() > before, "a block that is still had keeps its bytes");
            heap.dealloc(stays, layout(16, 16));
            assert_eq!(used(), before);
        }
    }
}
