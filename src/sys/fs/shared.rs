//! Memory shared between rinit's processes that survives each of them: a memfd(2). PID 1 accesses it as a file, so
//! that none of it counts as its own memory; a helper maps it.

use crate::sys::Errno;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The shared memory as a file.
pub struct SharedMemory {
    fd: OwnedFd,
    len: usize,
}

impl SharedMemory {
    /// Creates it, zeroed.
    pub fn new(len: usize) -> Result<Self, Errno> {
        // SAFETY: a name, and a new descriptor that is owned from here on.
        let fd = unsafe {
            let fd = Errno::result(libc::memfd_create(c"rinit-logs".as_ptr(), libc::MFD_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: resizes a file of ours.
        Errno::result(unsafe { libc::ftruncate(fd.as_raw_fd(), i64::try_from(len).unwrap_or(0)) })?;
        Ok(Self { fd, len })
    }

    /// Makes it larger; those that have mapped it do not see more of it.
    pub fn grow(&mut self, len: usize) -> Result<(), Errno> {
        if len > self.len {
            // SAFETY: resizes a file of ours.
            Errno::result(unsafe { libc::ftruncate(self.fd.as_raw_fd(), i64::try_from(len).unwrap_or(0)) })?;
            self.len = len;
        }
        Ok(())
    }

    /// Returns its descriptor, for [`read_word`] and [`write_word`].
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Reads at an offset; on failure the buffer keeps its content.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        read(self.raw_fd(), at, into);
    }

    /// Reads the word at a byte offset.
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        read_word(self.raw_fd(), at)
    }

    /// Writes a word.
    pub fn set_word(&self, at: usize, to: u64) {
        write_word(self.raw_fd(), at, to);
    }

    /// Maps it for the rest of the process.
    pub fn map(&self) -> Result<Mapping, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of a file of ours, which is never unmapped.
        let place = unsafe {
            libc::mmap(std::ptr::null_mut(), self.len, protection, libc::MAP_SHARED, self.fd.as_raw_fd(), 0)
        };
        if place == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(place.cast()).map(|place| Mapping { place, len: self.len }).ok_or(Errno::ENOMEM)
    }
}

fn read(fd: RawFd, at: usize, into: &mut [u8]) {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    // SAFETY: a buffer of ours and its size.
    unsafe { libc::pread(fd, into.as_mut_ptr().cast(), into.len(), at) };
}

/// Reads the word at a byte offset.
#[must_use]
pub fn read_word(fd: RawFd, at: usize) -> u64 {
    let mut bytes = [0; 8];
    read(fd, at, &mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Writes a word.
pub fn write_word(fd: RawFd, at: usize, to: u64) {
    let (bytes, at) = (to.to_ne_bytes(), i64::try_from(at).unwrap_or(i64::MAX));
    // SAFETY: eight bytes of ours.
    unsafe { libc::pwrite(fd, bytes.as_ptr().cast(), bytes.len(), at) };
}

/// The mapped memory. Other processes read it concurrently.
pub struct Mapping {
    place: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Returns the word at a byte offset, which must be a multiple of 8; the first word if it is invalid.
    fn at(&self, at: usize) -> &AtomicU64 {
        let at = if at.is_multiple_of(8) && at + 8 <= self.len { at } else { 0 };
        // SAFETY: within the mapping, aligned and never unmapped; all accesses to words are atomic.
        unsafe { &*self.place.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// Reads a word.
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        self.at(at).load(Ordering::Acquire)
    }

    /// Writes a word.
    pub fn set_word(&self, at: usize, to: u64) {
        self.at(at).store(to, Ordering::Release);
    }

    /// Adds to a word.
    pub fn add(&self, at: usize, more: u64) {
        self.set_word(at, self.word(at).wrapping_add(more));
    }

    /// Writes bytes; drops those that do not fit.
    pub fn copy_in(&self, at: usize, bytes: &[u8]) {
        let count = bytes.len().min(self.len.saturating_sub(at));
        if count > 0 {
            // SAFETY: within the mapping; concurrent readers use the file, and check the counters afterwards.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.place.as_ptr().add(at), count) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::*;

    #[test]
    fn both_see_the_same() {
        let memory = SharedMemory::new(4096).expect("memory");
        let map = memory.map().expect("a mapping");
        map.set_word(8, 7);
        map.add(8, 1);
        memory.set_word(16, 9);
        assert_eq!((memory.word(8), map.word(16)), (8, 9));
        map.copy_in(4090, b"abcdefgh");
        let mut end = [0; 6];
        memory.read(4090, &mut end);
        assert_eq!(&end, b"abcdef");
    }
}
