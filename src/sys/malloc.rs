//! malloc(3) for the C library (opendir, getifaddrs) and for standard library code that bypasses the global allocator:
//! uses rinit's own heap, which saves the 9 KB of musl's.

use rinit::sys::allocator::GlobalHeap;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// The header before each block holds its size; it is as large as the alignment that malloc(3) guarantees.
const HEADER: usize = align_of::<u128>();

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    let Some(layout) = layout(size) else { return null_mut() };
    // SAFETY: the layout is not empty.
    let block = unsafe { GlobalHeap.alloc(layout) };
    if block.is_null() {
        return null_mut();
    }
    // SAFETY: the block has that size and alignment.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(HEADER).cast()
    }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(size) else { return null_mut() };
    let block = malloc(size);
    if !block.is_null() {
        // SAFETY: the block has that size.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

/// # Safety
///
/// The block must be null or come from this heap, and must not be used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: `malloc` wrote the size there.
    let (begin, size) = unsafe {
        let begin = block.cast::<u8>().sub(HEADER);
        (begin, begin.cast::<usize>().read())
    };
    if let Some(layout) = layout(size) {
        // SAFETY: it was allocated with this layout.
        unsafe { GlobalHeap.dealloc(begin, layout) };
    }
}

/// # Safety
///
/// As for [`free`]; the new block replaces the old one unless it is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    let new = malloc(size);
    if !new.is_null() && !block.is_null() {
        // SAFETY: `malloc` wrote the old size there; both blocks have at least the smaller of the two sizes.
        unsafe {
            let old = block.cast::<u8>().sub(HEADER).cast::<usize>().read();
            std::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), old.min(size));
            free(block);
        }
    }
    new
}

/// Supports only the alignment of malloc(3); no caller needs more.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align > HEADER { null_mut() } else { malloc(size) }
}

/// # Safety
///
/// `place` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    let block = aligned_alloc(align, size);
    // SAFETY: the caller's contract.
    unsafe { place.write(block) };
    if block.is_null() { libc::ENOMEM } else { 0 }
}
