//! The allocator: blocks of some sizes, cut from one place after the other, and kept for their next use when given back.
//!
//! rinit in front of one command needs a few KiB and so never asks the kernel for memory: the first place lies in
//! the file's own .bss, and its data on two or three pages side by side, where malloc(3) would touch a page for each
//! size of object. Reading a configuration makes and drops thousands of small texts: a block that is given back is
//! the next one of its size to be handed out, still in the cache, so that few pages are touched and none is mapped or
//! unmapped on the way. What is large is a mapping of its own and goes back to the kernel. malloc(3) of the C library leads
//! here too, so that there is one heap, and 9 KB less in the file.
//!
//! What a configuration needs while it is read is far more than what it comes to. So when it is read, what stays is
//! copied side by side into memory that nobody had before ([`compactly`]), all else is dropped, and the pages on which
//! nothing is left go back to the kernel ([`give_back`]). A page on which anything lives stays where it is: nothing that
//! somebody has forgotten can be lost, it only costs a page.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// Enough for a start with a configuration of ordinary size. What is not touched costs nothing.
const FIRST: usize = 256 * 1024;

/// The first of the further places; each is twice as large as the one before. What is not touched costs nothing either.
const FURTHER: usize = 1024 * 1024;

/// So much of what was given back is kept for its next use without a look at where it lies.
const ENOUGH: usize = 256 * 1024;

/// The first place and all further ones: together 16 GiB.
const MAX_PLACES: usize = 16;

/// All blocks are of this alignment, and their sizes multiples of it.
const UNIT: usize = align_of::<u128>();

/// Up to here there is a size for each multiple of [`UNIT`]; above, four between a power of two and the next.
const FINE: usize = 512;

/// The largest block that is cut from a place.
const MAX_BLOCK: usize = 8 * 1024;

/// As many sizes as there are: 32 fine ones, and four for each doubling from 512 to 8192.
const SIZES: usize = FINE / UNIT + 4 * (MAX_BLOCK / FINE).ilog2() as usize;

/// Mappings begin on a page, and no type is aligned to more.
const MAX_ALIGN: usize = 4096;

/// The size of the block that a layout gets, and its number; `None` for a mapping of its own. The answer depends on
/// the layout alone, so that a block goes back to where it came from.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(1);
    if layout.align() > UNIT || size > MAX_BLOCK {
        return None;
    }
    if size <= FINE {
        let number = (size - 1) / UNIT;
        return Some(((number + 1) * UNIT, number));
    }
    let power = (size - 1).ilog2();
    let step = 1 << (power - 2);
    let rounded = size.next_multiple_of(step);
    let number = FINE / UNIT + 4 * (power - FINE.ilog2()) as usize + (rounded >> (power - 2)) - 5;
    Some((rounded, number))
}

/// The size of the blocks of this number: the reverse of [`class`].
fn block_size(number: usize) -> usize {
    let Some(coarse) = number.checked_sub(FINE / UNIT) else { return (number + 1) * UNIT };
    let power = FINE.ilog2() as usize + coarse / 4;
    (1 << power) + (coarse % 4 + 1) * (1 << (power - 2))
}

/// A block that nobody has begins with a pointer to the next of its size.
struct Free {
    next: *mut Free,
}

/// What is handed out next.
struct HeapState {
    /// The rest of the newest place.
    from: *mut u8,
    left: usize,
    /// The blocks that were given back, by size.
    free: [*mut Free; SIZES],
    /// Where all blocks come from: begin and length.
    places: [(*mut u8, usize); MAX_PLACES],
    /// A stretch of one of them whose pages have gone back to the kernel: the next place.
    spare: (*mut u8, usize),
    /// How much lies on the lists, and how much may before the pages are looked at again.
    kept: usize,
    enough: usize,
    /// Whether blocks that were given back are left alone, so that what is handed out lies side by side.
    compact: bool,
}

/// The bytes of the first place. They lie in .bss: what is not touched is neither in the file nor in memory.
#[repr(align(16))]
struct Arena(UnsafeCell<[MaybeUninit<u8>; FIRST]>);

// SAFETY: only a `Heap` hands it out, each byte to one owner.
unsafe impl Sync for Arena {}

#[unsafe(link_section = ".bss.place")]
static PLACE: Arena = Arena(UnsafeCell::new([MaybeUninit::uninit(); FIRST]));

/// See the module.
struct Heap {
    /// Held while the state is looked at. rinit has one thread, but nothing here relies on it.
    busy: AtomicBool,
    state: UnsafeCell<HeapState>,
}

// SAFETY: the state is only touched by who holds `busy`.
unsafe impl Sync for Heap {}
// SAFETY: the pointers in it are to memory that lives as long as the process and belongs to no thread.
unsafe impl Send for Heap {}

impl Heap {
    const fn over(from: *mut u8, left: usize) -> Self {
        let mut places = [(null_mut(), 0); MAX_PLACES];
        places[0] = (from, left);
        let (free, spare) = ([null_mut(); SIZES], (null_mut(), 0));
        let state = HeapState { from, left, free, kept: 0, enough: ENOUGH, places, spare, compact: false };
        Self { busy: AtomicBool::new(false), state: UnsafeCell::new(state) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HeapState) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            spin_loop();
        }
        // SAFETY: nobody else has it while `busy` is true, and `work` cannot come here again: it allocates nothing.
        let done = work(unsafe { &mut *self.state.get() });
        self.busy.store(false, Ordering::Release);
        done
    }
}

impl HeapState {
    fn hand_out(&mut self, size: usize, number: usize) -> *mut u8 {
        if let Some(block) = self.take_kept(number) {
            return block;
        }
        if self.left < size && !self.grow() {
            // All places are full: a page of its own, which comes to the list of its size.
            return map(size).unwrap_or(null_mut());
        }
        let block = self.from;
        self.left -= size;
        // SAFETY: the place has that many bytes left from here.
        self.from = unsafe { block.add(size) };
        block
    }

    /// A block of this size that was given back.
    fn take_kept(&mut self, number: usize) -> Option<*mut u8> {
        let list = self.free.get_mut(number).filter(|list| !list.is_null() && !self.compact)?;
        let block = *list;
        // SAFETY: blocks on a list belong to it, and began with a `Free` when they were put there.
        *list = unsafe { (*block).next };
        self.kept = self.kept.saturating_sub(block_size(number));
        Some(block.cast())
    }

    /// Another block for one that grows or shrinks: a kept one of the new size first, else itself where it is the last
    /// that was cut. In this order there are never more blocks of a size than were in use at one time. (A text that
    /// begins in a fresh block and grows in place leaves one more large block at each turn, which nobody asks for.)
    fn resize(&mut self, block: *mut u8, old: usize, (new, number): (usize, usize)) -> Option<*mut u8> {
        let kept = self.take_kept(number);
        kept.or_else(|| self.resize_last(block, old, new).then_some(block))
    }

    /// Goes on to a new place; what is left of the old one is less than one block, and lost.
    fn grow(&mut self) -> bool {
        if self.spare.1 > 0 {
            (self.from, self.left) = std::mem::replace(&mut self.spare, (null_mut(), 0));
            return true;
        }
        let count = self.places.iter().take_while(|place| place.1 > 0).count();
        let Some(entry) = self.places.get_mut(count) else { return false };
        let size = FURTHER << count.saturating_sub(1);
        let Some(place) = map(size) else { return false };
        *entry = (place, size);
        (self.from, self.left) = (place, size);
        true
    }

    fn take_back(&mut self, block: *mut u8, number: usize) {
        if let Some(list) = self.free.get_mut(number) {
            let block = block.cast::<Free>();
            // SAFETY: the block is as large and as aligned as a `Free`, and its owner has given it up.
            unsafe { block.write(Free { next: *list }) };
            *list = block;
            self.kept += block_size(number);
        }
    }

    /// Whether the block is the last that was cut, and now has the other size.
    fn resize_last(&mut self, block: *mut u8, old: usize, new: usize) -> bool {
        // Something was cut from the place, so `from` is not its beginning: a block that ends there is of the same place,
        // even if the kernel has put another right before it.
        let fits = block.addr() + old == self.from.addr() && new <= self.left + old;
        if fits {
            self.left = self.left + old - new;
            // SAFETY: the place has that many bytes from the block on.
            self.from = unsafe { block.add(new) };
        }
        fits
    }
}

/// New memory, full of zeros.
fn map(size: usize) -> Option<*mut u8> {
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory at an address of the kernel's choice.
    let place = unsafe { libc::mmap(null_mut(), size, rights, kind, -1, 0) };
    (place != libc::MAP_FAILED).then(|| place.cast())
}

/// The mapping with another size, wherever there is room for it; null where there is none.
///
/// # Safety
///
/// It was mapped with the old size, and is used by the new address alone from here on.
unsafe fn remap(place: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: the caller's own promise.
    let moved = unsafe { libc::mremap(place.cast(), old, new, libc::MREMAP_MAYMOVE) };
    if moved == libc::MAP_FAILED { null_mut() } else { moved.cast() }
}

/// How much of each page of all places is free.
struct FreePages<'t> {
    places: &'t [(*mut u8, usize)],
    page: usize,
    /// In bytes, page after page and place after place.
    free: &'t mut [u32],
}

impl FreePages<'_> {
    fn count(places: &[(*mut u8, usize)], page: usize) -> usize {
        places.iter().map(|(_, len)| len / page + 2).sum()
    }

    /// The pages that a block touches, and how many bytes of it are on each. A block lies in one place.
    fn of(&mut self, block: *mut Free, size: usize, mut see: impl FnMut(&mut u32, usize)) {
        let (start, end, page) = (block.addr(), block.addr() + size, self.page);
        let mut before = 0;
        for (place, len) in self.places {
            if (place.addr()..place.addr() + len).contains(&start) {
                let first = before + start / page - place.addr() / page;
                for (at, number) in (start / page..end.div_ceil(page)).enumerate() {
                    let share = end.min((number + 1) * page) - start.max(number * page);
                    self.free.get_mut(first + at).into_iter().for_each(|free| see(free, share));
                }
                return;
            }
            before += len / page + 2;
        }
    }

    /// The longest stretches of pages that are free as a whole.
    fn stretches(&self, mut see: impl FnMut(*mut u8, usize)) {
        let mut rest: &[u32] = self.free;
        for (place, len) in self.places {
            let (own, after) = rest.split_at_checked(len / self.page + 2).unwrap_or((rest, &[]));
            rest = after;
            let mut at = 0;
            for run in own.chunk_by(|a, b| self.is_free(*a) == self.is_free(*b)) {
                if run.first().is_some_and(|free| self.is_free(*free)) {
                    // A page of which not all belongs to the place is never free, so that this begins in the place.
                    let begin = (place.addr() / self.page + at) * self.page - place.addr();
                    // SAFETY: the pages are of the place.
                    see(unsafe { place.add(begin) }, run.len() * self.page);
                }
                at += run.len();
            }
        }
    }

    fn is_free(&self, free: u32) -> bool {
        free as usize == self.page
    }
}

impl HeapState {
    /// Gives the pages back to the kernel on which there is nothing but blocks that nobody has.
    fn give_back(&mut self) {
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(FURTHER);
        let places = self.places;
        let count = FreePages::count(&places, page);
        let Some(table) = map(count * size_of::<u32>()) else { return };
        // SAFETY: the mapping is as long, full of zeros, and nobody else's.
        let free = unsafe { std::slice::from_raw_parts_mut(table.cast::<u32>(), count) };
        let mut pages = FreePages { places: &places, page, free };
        for number in 0..SIZES {
            self.each_free(number, |block| {
                pages.of(block, block_size(number), |free, share| *free += share as u32);
                true
            });
        }
        for number in 0..SIZES {
            self.each_free(number, |block| {
                let mut stays = true;
                pages.of(block, block_size(number), |free, _| stays &= *free as usize != page);
                stays
            });
        }
        pages.stretches(|begin, len| {
            // SAFETY: no list leads to these pages any more, and nobody has a block on them.
            unsafe { libc::madvise(begin.cast(), len, libc::MADV_DONTNEED) };
            if len > self.spare.1 {
                self.spare = (begin, len);
            }
        });
        // What could not go back now is not looked at again before there is as much more.
        self.enough = 2 * self.kept + ENOUGH;
        // SAFETY: it was mapped above, and is used no more.
        unsafe { libc::munmap(table.cast(), count * size_of::<u32>()) };
    }

    /// Goes through the blocks of one size that nobody has, and keeps those that `stays` says.
    fn each_free(&mut self, number: usize, mut stays: impl FnMut(*mut Free) -> bool) {
        let Some(mut link) = self.free.get_mut(number).map(std::ptr::from_mut) else { return };
        // SAFETY: a list leads from block to block, each of which begins with a `Free`; its end is null.
        unsafe {
            while !(*link).is_null() {
                let block = *link;
                if stays(block) {
                    link = &raw mut (*block).next;
                } else {
                    *link = (*block).next;
                    self.kept = self.kept.saturating_sub(block_size(number));
                }
            }
        }
    }
}

/// The heap of the program.
static HEAP: Heap = Heap::over(PLACE.0.get().cast(), FIRST);

/// Makes `HEAP` the program's allocator.
pub struct GlobalHeap;

// SAFETY: that of `Heap`.
unsafe impl GlobalAlloc for GlobalHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's own promise.
        unsafe { HEAP.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { HEAP.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { HEAP.realloc(block, layout, size) }
    }
}

/// Does something whose blocks are to stay, so that they lie side by side and not where others were before.
pub fn compactly<T>(work: impl FnOnce() -> T) -> T {
    HEAP.with(|state| state.compact = true);
    let done = work();
    HEAP.with(|state| state.compact = false);
    done
}

/// Gives back to the kernel what was used once and is no more.
#[cold]
pub fn give_back() {
    HEAP.with(HeapState::give_back);
}

/// The same, where that is much: after a thousand starts at one time, for one.
pub fn give_back_much() {
    HEAP.with(|state| {
        if state.kept > state.enough {
            state.give_back();
        }
    });
}

// SAFETY: a block is of at least the layout's size and alignment; it is cut from a place once, and handed out again only
// when it was given back. What is mapped is unmapped, for `class` knows which is which.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            Some((size, number)) => self.with(|state| state.hand_out(size, number)),
            None if layout.align() > MAX_ALIGN => null_mut(),
            None => map(layout.size()).unwrap_or(null_mut()),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            Some((_, number)) => self.with(|state| state.take_back(block, number)),
            // SAFETY: `alloc` mapped it, and the caller gives it up.
            None => unsafe { _ = libc::munmap(block.cast(), layout.size()) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` and this alignment make a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = match (class(layout), class(wanted)) {
            // SAFETY: `alloc` mapped it, and would map the new one.
            (None, None) => return unsafe { remap(block, layout.size(), size) },
            (Some((old, _)), Some((new, _))) if old == new => return block,
            (Some((old, _)), Some(new)) => self.with(|state| state.resize(block, old, new)),
            _ => None,
        };
        // SAFETY: as above.
        let moved = moved.unwrap_or_else(|| unsafe { self.alloc(wanted) });
        if moved != block && !moved.is_null() {
            // SAFETY: two blocks of at least that many bytes, which do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: the caller gives this block up.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::super::allocator::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    fn another(size: usize) -> Heap {
        let place = Box::leak(vec![0u128; size.div_ceil(UNIT)].into_boxed_slice());
        Heap::over(place.as_mut_ptr().cast(), size)
    }

    #[test]
    fn every_size_has_a_block_that_is_little_larger() {
        let mut last = (0, 0);
        for size in 1..=MAX_BLOCK {
            let (block, number) = class(layout(size, 1)).expect("a block");
            assert!(
                block >= size && block % UNIT == 0 && block - size < UNIT.max(size / 4),
                "{size}: {block}"
            );
            assert!(number < SIZES, "{size}: {number}");
            assert!(
                (block, number) == last || (block > last.0 && number == last.1 + usize::from(last.0 > 0))
            );
            last = (block, number);
        }
        assert_eq!(last, (MAX_BLOCK, SIZES - 1));
        assert_eq!(class(layout(0, 1)), class(layout(1, 16)));
        assert!(class(layout(MAX_BLOCK + 1, 1)).is_none() && class(layout(8, 32)).is_none());
    }

    #[test]
    fn blocks_are_apart_aligned_grow_and_come_again() {
        let heap = another(4096);
        // SAFETY: each block is used within its size and given back once.
        unsafe {
            let a = heap.alloc(layout(3, 1));
            let b = heap.alloc(layout(8, 8));
            assert!(b.addr().is_multiple_of(UNIT) && b.addr() >= a.addr() + 3);
            b.write_bytes(7, 8);
            let grown = heap.realloc(b, layout(8, 8), 64);
            assert_eq!(grown, b, "the last block grows where it is");
            assert_eq!(heap.realloc(a, layout(3, 1), 16), a, "within its size any block does");
            let moved = heap.realloc(a, layout(16, 1), 17);
            assert_ne!(moved, a, "an inner one moves");
            assert_eq!(*grown, 7);
            assert_eq!(heap.alloc(layout(9, 1)), a, "what was given back is next");
        }
    }

    #[test]
    fn what_does_not_fit_goes_to_a_new_place() {
        let heap = another(4096);
        // SAFETY: as above.
        unsafe {
            let large = heap.alloc(layout(MAX_BLOCK + 1, 16));
            large.write_bytes(1, MAX_BLOCK + 1);
            let larger = heap.realloc(large, layout(MAX_BLOCK + 1, 16), 2 * FURTHER);
            assert_eq!(*larger.add(MAX_BLOCK), 1);
            let smaller = heap.realloc(larger, layout(2 * FURTHER, 16), 100);
            assert_eq!(*smaller.add(99), 1);
            heap.dealloc(smaller, layout(100, 16));
            let many: Vec<_> = (0..FURTHER / 50).map(|_| heap.alloc(layout(100, 16))).collect();
            many.iter().for_each(|block| block.write_bytes(1, 100));
            many.into_iter().for_each(|block| heap.dealloc(block, layout(100, 16)));
        }
    }

    /// Work that comes again and again takes no more room the second time.
    #[test]
    fn what_is_given_back_is_used_again() {
        let heap = another(1 << 16);
        let left = || heap.with(|state| state.left);
        let mut after = None;
        for _ in 0..100 {
            // SAFETY: as above.
            unsafe {
                let sizes = [10, 20, 8192, 500, 513, 700];
                let blocks = sizes.map(|size| heap.alloc(layout(size, 1)));
                for (block, size) in blocks.into_iter().zip(sizes) {
                    heap.dealloc(block, layout(size, 1));
                }
            }
            assert_eq!(left(), *after.get_or_insert(left()));
        }
    }

    /// rinit grew by 80 bytes with each line that it said: a text began in a fresh small block, grew where it was though a
    /// block of the wanted size lay free, and was given back to a list that nobody asked. Whatever grows and shrinks in
    /// whatever order takes no more room once each of its sizes has a block: after the second round for one that grows once.
    #[test]
    fn a_text_that_grows_takes_no_more_room_the_second_time() {
        let ways: [&[usize]; 7] = [
            &[80, 160],
            &[8, 16, 32, 64, 128],
            &[1, 100],
            &[8192, 16],
            &[600, 20, 900, 20],
            &[8, 9000, 8],
            &[16, 17, 16, 5000, 3],
        ];
        for way in ways {
            for others in 0..3 {
                let heap = another(1 << 18);
                let mut after = None;
                for round in 0..100 {
                    // SAFETY: each block is used within its layout and given back once with it.
                    unsafe {
                        let held: Vec<_> = (0..others).map(|n| heap.alloc(layout(8 << n, 1))).collect();
                        let mut block = heap.alloc(layout(way[0], 1));
                        for sizes in way.windows(2) {
                            block = heap.realloc(block, layout(sizes[0], 1), sizes[1]);
                        }
                        heap.dealloc(block, layout(way[way.len() - 1], 1));
                        for (n, block) in held.into_iter().enumerate() {
                            heap.dealloc(block, layout(8 << n, 1));
                        }
                    }
                    let left = heap.with(|state| state.left);
                    if round + 1 >= way.len() {
                        assert_eq!(
                            left,
                            *after.get_or_insert(left),
                            "{way:?}, {others} others, round {round}"
                        );
                    }
                }
            }
        }
    }

    /// Blocks of many sizes, kept and given back in no order, grown and shrunk: each keeps what was written to it.
    #[test]
    fn no_block_ever_loses_a_byte() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut dice = move |most: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).expect("31 bits") % most
        };
        for _ in 0..50 {
            let heap = another(1 << 14);
            let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
            for round in 0..2_000u32 {
                let tag = u8::try_from(round % 251).expect("a byte");
                let most = if dice(8) == 0 { 10_000 } else { 300 };
                // SAFETY: each block is used within its layout, and given back once with it.
                unsafe {
                    match dice(9) {
                        0..=3 => {
                            let layout = layout(1 + dice(most), 1 << dice(6));
                            let block = heap.alloc(layout);
                            assert_eq!(block.addr() % layout.align(), 0);
                            block.write_bytes(tag, layout.size());
                            live.push((block, layout, tag));
                        }
                        4..=5 if !live.is_empty() => {
                            let at = dice(live.len());
                            let (block, old, tag) = live[at];
                            let new = layout(1 + dice(most), old.align());
                            let moved = heap.realloc(block, old, new.size());
                            assert!((0..old.size().min(new.size())).all(|n| *moved.add(n) == tag));
                            moved.write_bytes(tag, new.size());
                            live[at] = (moved, new, tag);
                        }
                        _ if !live.is_empty() => {
                            let (block, layout, tag) = live.swap_remove(dice(live.len()));
                            assert!((0..layout.size()).all(|n| *block.add(n) == tag), "round {round}");
                            heap.dealloc(block, layout);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// What is left on a page keeps the page; the others go back to the kernel. 1,000 services took 2,096 KiB of a place
    /// for what they were read by.
    #[test]
    fn pages_without_a_block_that_somebody_has_go_back() {
        let heap = another(1 << 14);
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 7_usize;
        let mut fill = |count: usize, live: &mut Vec<_>| {
            for n in 0..count {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let most = if n % 64 == 0 { MAX_BLOCK } else { 400 };
                let layout = layout(1 + (seed >> 33) % most, 1);
                let tag = u8::try_from(n % 251).expect("a byte");
                // SAFETY: each block is used within its layout and given back once with it.
                unsafe {
                    let block = heap.alloc(layout);
                    block.write_bytes(tag, layout.size());
                    live.push((block, layout, tag));
                }
            }
        };
        let whole = |live: &[(*mut u8, Layout, u8)]| {
            // SAFETY: as above.
            live.iter()
                .all(|(block, layout, tag)| (0..layout.size()).all(|n| unsafe { *block.add(n) } == *tag))
        };
        for round in 0..4 {
            fill(20_000, &mut live);
            let before = resident(&heap);
            let (kept, dropped): (Vec<_>, Vec<_>) =
                live.drain(..).enumerate().partition(|(n, _)| n % 1_000 == 0);
            live = kept.into_iter().map(|(_, block)| block).collect();
            // SAFETY: as above.
            dropped.iter().for_each(|(_, (block, layout, _))| unsafe { heap.dealloc(*block, *layout) });
            heap.with(HeapState::give_back);
            assert!(whole(&live), "round {round}");
            // One page a block, three for a large one, and what lies across the edge of a page.
            let after = resident(&heap);
            assert!(
                before > 500 && after < 5 * live.len() + 8,
                "round {round}: {before} pages, then {after}"
            );
            fill(1_000, &mut live);
            assert!(whole(&live), "round {round}");
        }
    }

    /// Pages of the further places that are in memory.
    fn resident(heap: &Heap) -> usize {
        let places = heap.with(|state| state.places);
        let count = |(place, len): &(*mut u8, usize)| {
            let mut pages = vec![0_u8; len / 4096];
            // SAFETY: the place is mapped, and there is a byte for each of its pages.
            assert_eq!(unsafe { libc::mincore(place.cast(), *len, pages.as_mut_ptr()) }, 0);
            pages.iter().filter(|page| **page & 1 == 1).count()
        };
        places[1..].iter().filter(|place| place.1 > 0).map(count).sum()
    }

    /// What is to stay lies side by side, whatever was given back before.
    #[test]
    fn what_is_made_compactly_fills_no_holes() {
        let heap = another(1 << 14);
        // SAFETY: as above.
        unsafe {
            let blocks: Vec<_> = (0..20).map(|_| heap.alloc(layout(32, 1))).collect();
            blocks.iter().step_by(2).for_each(|block| heap.dealloc(*block, layout(32, 1)));
            heap.with(|state| state.compact = true);
            let made: Vec<_> = (0..10).map(|_| heap.alloc(layout(32, 1))).collect();
            assert!(made.windows(2).all(|two| two[1].addr() == two[0].addr() + 32));
            assert!(made[0] > blocks[19]);
            heap.with(|state| state.compact = false);
            assert!(blocks.contains(&heap.alloc(layout(32, 1))));
        }
    }

    #[test]
    fn a_number_has_one_size() {
        for size in 1..=MAX_BLOCK {
            let (block, number) = class(layout(size, 1)).expect("a block");
            assert_eq!(block_size(number), block);
        }
    }
}
