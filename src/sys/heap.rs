//! The allocator: the first 256 KiB come from a place in the file's own .bss, all else from the C library.
//!
//! rinit in front of one command needs a few KiB and so never asks the kernel for memory: its data lies
//! on two or three pages side by side, where malloc(3) would touch a page for each size of object. A
//! configuration of some services is read and resolved without a single mmap(2). What is given back here is not
//! reused, unless it was the last; so that this costs no more than its size, whatever comes later, and all
//! that is large, comes from malloc and is reused like any memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Enough for a start with a configuration of ordinary size. What is not touched costs nothing.
const SIZE: usize = 256 * 1024;

/// Larger blocks (but for the stack of a child, which has just this size) would soon fill the place, and are rare.
const LARGEST: usize = 8 * 1024;

/// Bytes to hand out. They lie in .bss: what is not touched is neither in the file nor in memory.
pub struct Place(UnsafeCell<[MaybeUninit<u128>; SIZE / size_of::<u128>()]>);

// SAFETY: the count beside it hands each byte to one owner only, by compare and exchange.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new([const { MaybeUninit::uninit() }; SIZE / size_of::<u128>()]));

/// See the module.
pub struct Heap {
    place: &'static Place,
    /// Bytes handed out, from the start of `place`. Apart from it, and not 0 at the start: so it lies in .data,
    /// whose page is written at every start anyway, and the first look at it does not fetch a page of .bss.
    used: &'static AtomicUsize,
}

/// See [`Heap::used`].
static USED: AtomicUsize = AtomicUsize::new(size_of::<u128>());

impl Heap {
    /// The allocator. There can be only one, for there is one count.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self { place: &PLACE, used: &USED }
    }

    fn start(&self) -> *mut u8 {
        self.place.0.get().cast()
    }

    /// Where in `place` a pointer points, if it does.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        let offset = pointer.addr().checked_sub(self.start().addr())?;
        (offset < SIZE).then_some(offset)
    }
}

// SAFETY: a block of the layout's size and alignment comes from `place`, where `used` only ever moves over free bytes,
// or from `System`, which gets back just what was its own.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = self.used.load(Relaxed);
        let from = used.next_multiple_of(layout.align());
        if layout.align() <= align_of::<u128>()
            && layout.size() <= LARGEST
            && from + layout.size() <= SIZE
            && self.used.compare_exchange(used, from + layout.size(), Relaxed, Relaxed).is_ok()
        {
            // SAFETY: within `place`, as just compared.
            return unsafe { self.start().add(from) };
        }
        // SAFETY: the caller's own promise on the layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            // Given back if it was the last; else it stays as it is.
            Some(offset) => {
                let _ = self.used.compare_exchange(offset + layout.size(), offset, Relaxed, Relaxed);
            }
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
        if new_end <= SIZE && self.used.compare_exchange(end, new_end, Relaxed, Relaxed).is_ok() {
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
        Heap { place: Box::leak(Box::new(place)), used: Box::leak(Box::new(AtomicUsize::new(0))) }
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
}
