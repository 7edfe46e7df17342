//! Pipes whose content survives their reader: data is peeked before it is consumed (tee(2), splice(2)).

use crate::sys::Errno;
use crate::sys::process::fork;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// Both ends of a pipe, close-on-exec.
pub struct Pipe {
    /// The read end.
    pub read: OwnedFd,
    /// The write end.
    pub write: OwnedFd,
}

impl Pipe {
    /// Creates a pipe that any user may open for writing (`/dev/stdout`).
    pub fn new() -> Result<Self, Errno> {
        let (read, write) = fork::pipe()?;
        Ok(Self { read, write })
    }

    /// Replaces the write end by a new open file description, so that flags of an earlier writer (`O_NONBLOCK`) are
    /// not inherited. If it cannot be reopened, clears the flags.
    pub fn renew(&mut self) {
        match reopen(self.write.as_raw_fd(), 0) {
            Some(fresh) => self.write = fresh,
            None => {
                // SAFETY: flags of a descriptor of ours.
                unsafe { libc::fcntl(self.write.as_raw_fd(), libc::F_SETFL, 0) };
            }
        }
    }
}

/// Reopens a pipe or terminal for writing, with a new open file description.
#[must_use]
pub fn reopen(fd: RawFd, flags: libc::c_int) -> Option<OwnedFd> {
    let path = std::ffi::CString::new(fill!("/proc/self/fd/{}", &fd.to_string())).ok()?;
    let flags = libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NOCTTY | flags;
    // SAFETY: a new descriptor, owned from here on.
    unsafe {
        let fd = libc::open(path.as_ptr(), flags);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    }
}

/// Reopens it with a non-blocking description; `None` if that is impossible (a regular file, whose position would
/// change; a socket; no `/proc`).
#[must_use]
pub fn reopen_nonblocking(fd: RawFd) -> Option<OwnedFd> {
    let kind = mode(fd)? & libc::S_IFMT;
    if kind == libc::S_IFIFO || kind == libc::S_IFCHR { reopen(fd, libc::O_NONBLOCK) } else { None }
}

fn stat(fd: RawFd) -> Option<libc::stat> {
    let mut found = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel fills a structure of ours, for which zero is valid.
    unsafe { (libc::fstat(fd, found.as_mut_ptr()) == 0).then(|| found.assume_init()) }
}

fn mode(fd: RawFd) -> Option<libc::mode_t> {
    stat(fd).map(|found| found.st_mode)
}

/// Returns whether two descriptors are the same pipe, terminal or file.
#[must_use]
pub fn is_same(a: RawFd, b: RawFd) -> bool {
    let id = |fd| stat(fd).map(|found| (found.st_dev, found.st_ino, found.st_rdev));
    id(a).is_some() && id(a) == id(b)
}

/// Lets other users open a FIFO by its name (`/dev/stdout`), as runc does for the user of an image. Changes nothing
/// else: a device or file belongs to the host. Ignores failures.
pub fn open_to_others(fd: RawFd) {
    const WRITABLE: libc::mode_t = 0o222;
    let Some(mode) = mode(fd) else { return };
    if mode & libc::S_IFMT == libc::S_IFIFO && mode & WRITABLE != WRITABLE {
        // SAFETY: integers only.
        unsafe { libc::fchmod(fd, mode & 0o7777 | WRITABLE) };
    }
}

/// Returns how many bytes are in a pipe.
#[must_use]
pub fn unread(fd: RawFd) -> u64 {
    let mut left: libc::c_int = 0;
    // SAFETY: the kernel writes one integer of ours.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut left) };
    u64::try_from(left).unwrap_or(0)
}

/// Returns the capacity of a pipe in bytes.
#[must_use]
pub fn capacity(fd: RawFd) -> usize {
    // SAFETY: takes integers.
    usize::try_from(unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) }).unwrap_or(4096)
}

/// Sets the capacity of a pipe; ignores a failure (pipe(7): the user's limit).
pub fn resize(fd: RawFd, bytes: libc::c_int) {
    // SAFETY: integers only.
    unsafe { libc::fcntl(fd, libc::F_SETPIPE_SZ, bytes) };
}

/// Copies the content of a pipe to another pipe without consuming it. EAGAIN: it is empty.
pub fn peek(from: RawFd, to: RawFd, most: usize) -> Result<usize, Errno> {
    loop {
        // SAFETY: descriptors and integers only.
        let count = unsafe { libc::tee(from, to, most, libc::SPLICE_F_NONBLOCK) };
        match Errno::result(count) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(0) => return Err(Errno::EAGAIN),
            Ok(count) => return Ok(count.unsigned_abs()),
        }
    }
}

/// Consumes that many bytes of a pipe, which holds them, and discards them; `null` is `/dev/null`, if there is one.
pub fn discard(from: RawFd, null: Option<RawFd>, mut count: usize) {
    let null = null.unwrap_or(-1);
    while count > 0 {
        let to = std::ptr::null_mut();
        // SAFETY: descriptors and integers; no offsets.
        let moved =
            unsafe { libc::splice(from, std::ptr::null_mut(), null, to, count, libc::SPLICE_F_NONBLOCK) };
        let moved = match Errno::result(moved) {
            Err(Errno::EINTR) => continue,
            Ok(moved) if moved > 0 => moved.unsigned_abs(),
            // The kernel has no such call, or there is no device to write to.
            _ => {
                let mut scratch = [0; 4096];
                let most = count.min(scratch.len());
                read_available(from, scratch.get_mut(..most).unwrap_or_default())
            }
        };
        if moved == 0 {
            return;
        }
        count = count.saturating_sub(moved);
    }
}

/// Reads what a pipe holds already, without waiting for more; nobody else may read it.
pub fn read_available(from: RawFd, into: &mut [u8]) -> usize {
    let most = usize::try_from(unread(from)).unwrap_or(0).min(into.len());
    if most == 0 { 0 } else { read(from, into.get_mut(..most).unwrap_or_default()) }
}

/// Reads up to the buffer's size; returns 0 at the end or on an error.
pub fn read(from: RawFd, into: &mut [u8]) -> usize {
    loop {
        // SAFETY: a buffer of ours and its size.
        let count = unsafe { libc::read(from, into.as_mut_ptr().cast(), into.len()) };
        match Errno::result(count) {
            Err(Errno::EINTR) => {}
            Err(_) => return 0,
            Ok(count) => return count.unsigned_abs(),
        }
    }
}

/// Calls write(2); retries when a signal interrupts it.
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: the bytes are borrowed for the call.
        let count = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match Errno::result(count) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(count) => return Ok(count.unsigned_abs()),
        }
    }
}

/// Returns whether a write of up to 4,096 bytes would not block.
#[must_use]
pub fn has_room(fd: RawFd) -> bool {
    let mut ask = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry of ours; a zero timeout does not wait.
    unsafe { libc::poll(&raw mut ask, 1, 0) == 1 }
}

/// Finds the first occurrence of a byte. (memchr(3): several times faster than a compiled loop.)
#[must_use]
pub fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    // SAFETY: a buffer of ours and its size; the result points into it.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), i32::from(byte), bytes.len()) };
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

/// Finds the first occurrence of a byte string.
#[must_use]
pub fn find_text(bytes: &[u8], text: &[u8]) -> Option<usize> {
    // SAFETY: two buffers of ours and their sizes.
    let found = unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), text.as_ptr().cast(), text.len()) };
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::super::pipe::*;

    #[test]
    fn what_is_looked_at_stays_until_it_is_taken() {
        let (source, view) = (Pipe::new().expect("a pipe"), Pipe::new().expect("a pipe"));
        let null = crate::sys::stdio::open_null().expect("null");
        let fd = source.read.as_raw_fd();
        assert_eq!(peek(fd, view.write.as_raw_fd(), 100), Err(Errno::EAGAIN));
        assert_eq!(write(source.write.as_raw_fd(), b"one\ntwo"), Ok(7));
        for want in [b"one\ntwo".as_slice(), b"two"] {
            assert_eq!(peek(fd, view.write.as_raw_fd(), 100), Ok(want.len()));
            let mut seen = [0; 100];
            let count = read(view.read.as_raw_fd(), &mut seen);
            assert_eq!(seen.get(..count), Some(want));
            assert_eq!(unread(fd), want.len() as u64);
            discard(fd, Some(null.as_raw_fd()), 4);
        }
        assert_eq!(unread(fd), 0);
        assert_eq!(write(source.write.as_raw_fd(), b"three\nfour"), Ok(10));
        discard(fd, None, 6);
        let mut seen = [0; 100];
        assert_eq!((read_available(fd, &mut seen), seen.get(..4)), (4, Some(b"four".as_slice())));
        assert_eq!(read_available(fd, &mut seen), 0);
    }

    /// Node leaves O_NONBLOCK set on its standard output, and the next program lost what it wrote.
    #[test]
    fn a_renewed_end_is_blocking_and_the_same_pipe() {
        let mut pipe = Pipe::new().expect("a pipe");
        // SAFETY: flags of our own descriptors.
        let flags = |fd: &OwnedFd| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        // SAFETY: as above.
        unsafe { libc::fcntl(pipe.write.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        pipe.renew();
        assert_eq!(flags(&pipe.write) & libc::O_NONBLOCK, 0);
        assert!(is_same(pipe.read.as_raw_fd(), pipe.write.as_raw_fd()));
        open_to_others(pipe.write.as_raw_fd());
        assert_eq!(mode(pipe.read.as_raw_fd()).map(|mode| mode & 0o777), Some(0o622));
    }

    #[test]
    fn bytes_and_texts_are_found() {
        assert_eq!(find_byte(b"ab\ncd", b'\n'), Some(2));
        assert_eq!(find_byte(b"", b'\n'), None);
        assert_eq!(find_text(b"xxsecret", b"secret"), Some(2));
        assert_eq!(find_text(b"xx", b"secret"), None);
    }
}
