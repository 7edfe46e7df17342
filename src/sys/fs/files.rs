//! Reads whole files, up to a size limit.

use crate::model::Moment;
use crate::sys::event::clock;
use crate::text::gather::Gather;
use crate::text::template::fill;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The maximum size of a configuration file; `/dev/zero` must not fill the memory.
const MAX_FILE_BYTES: usize = 4 << 20;

/// How long to wait for data from something that is not a regular file (a pipe, a terminal).
const FIFO_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a file of the configuration.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    bounded(slurp(path, MAX_FILE_BYTES)?)
}

fn read_up_to(file: &OwnedFd) -> io::Result<Vec<u8>> {
    bounded(read_all(file, MAX_FILE_BYTES)?)
}

fn bounded(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.len() > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Reads a file, up to `most` + 1 bytes. Uses few system calls: files in /proc claim to be empty, and std would read
/// them in pieces of 32 bytes.
pub fn slurp(path: &str, most: usize) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    match nix::fcntl::open(path, flags, Mode::empty()) {
        Ok(file) => read_all(&file, most),
        Err(errno) => Err(truly(path, errno)),
    }
}

/// Opens a path if it is on the same mount as `/`, and so cannot hang (openat2(2)). `None`: it is on another mount, or
/// this kernel cannot tell.
fn open_on_root(path: &str, flags: OFlag) -> Option<io::Result<OwnedFd>> {
    let path_c = std::ffi::CString::new(path).ok()?;
    // With O_PATH openat2 refuses what has no meaning there, and a start would cost one more call.
    let quiet =
        if flags.contains(OFlag::O_PATH) { OFlag::empty() } else { OFlag::O_NOCTTY | OFlag::O_NONBLOCK };
    let flags = flags | OFlag::O_CLOEXEC | quiet;
    // struct open_how: flags, mode, resolve.
    let how = [u64::from(flags.bits().cast_unsigned()), 0, libc::RESOLVE_NO_XDEV];
    // SAFETY: a NUL-terminated path, and a structure of ours with its size.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path_c.as_ptr(), how.as_ptr(), size_of_val(&how))
    };
    match Errno::result(fd) {
        Ok(fd) => {
            let fd = i32::try_from(fd).ok()?;
            // SAFETY: a new descriptor, owned from here on.
            Some(Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }))
        }
        Err(Errno::EXDEV) => None,
        // Unknown to this kernel, or blocked by a filter that does not know it: fall back.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::E2BIG) => {
            let result = nix::fcntl::open(path, flags, Mode::empty());
            Some(result.map_err(|errno| truly(path, errno)))
        }
        Err(errno) => Some(Err(truly(path, errno))),
    }
}

/// Like [`read`], if the file is on the same mount as `/`; otherwise `None`.
#[must_use]
pub fn read_on_root(path: &str) -> Option<io::Result<Vec<u8>>> {
    Some(open_on_root(path, OFlag::O_RDONLY)?.and_then(|file| read_up_to(&file)))
}

/// Like [`list_toml`], if the directory is on the same mount as `/`; otherwise `None`.
#[must_use]
pub fn list_on_root(path: &str) -> Option<io::Result<Vec<String>>> {
    let is_there = open_on_root(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?.map(drop);
    Some(is_there.and_then(|()| list_toml(path)))
}

/// Corrects an error of open(2): without a free descriptor the kernel does not check whether the file exists.
fn truly(path: &str, errno: Errno) -> io::Error {
    let is_want = errno == Errno::EMFILE || errno == Errno::ENFILE;
    if is_want && !exists(path) { Errno::ENOENT.into() } else { errno.into() }
}

/// A separate function, to keep its frame off the stack when there is no file, as in a start without a configuration.
#[inline(never)]
pub(super) fn read_all(file: &OwnedFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let mut until = None;
    let mut is_dry = false;
    while bytes.len() <= most {
        let count = nix::unistd::read(file, &mut piece);
        if is_dry && count == Err(Errno::EAGAIN) {
            // It polls readable but gives EAGAIN: that may last forever.
            std::thread::sleep(Duration::from_millis(10));
        }
        is_dry = count == Err(Errno::EAGAIN);
        match count {
            // An empty pipe without a writer so far: not the end.
            Ok(0) if !bytes.is_empty() || !is_pipe(file) || !more(file, &mut until)? => break,
            Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => drop(more(file, &mut until)?),
            Err(errno) => return Err(errno.into()),
        }
    }
    bytes.truncate(most.saturating_add(1));
    Ok(bytes)
}

fn is_pipe(file: &OwnedFd) -> bool {
    let kind = nix::sys::stat::fstat(file).map_or(0, |stat| stat.st_mode & libc::S_IFMT);
    kind == libc::S_IFIFO
}

/// Waits for more input, at most [`FIFO_TIMEOUT`] for the whole file; false if all writers have closed it.
fn more(file: &OwnedFd, until: &mut Option<Moment>) -> io::Result<bool> {
    let now = clock::now();
    let left = until.get_or_insert(now.after(FIFO_TIMEOUT)).since(now).as_millis();
    let nothing = || io::Error::new(io::ErrorKind::TimedOut, "nothing comes out of this pipe");
    if left == 0 {
        return Err(nothing());
    }
    let mut ask = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry of ours.
    match unsafe { libc::poll(&raw mut ask, 1, i32::try_from(left).unwrap_or(0)) } {
        0 => Err(nothing()),
        _ => Ok(ask.revents & libc::POLLIN != 0),
    }
}

/// Reads a system file as text; replaces what is not UTF-8.
pub fn system_text(path: &str) -> io::Result<String> {
    Ok(match String::from_utf8(slurp(path, MAX_FILE_BYTES)?) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Converts bytes to text; the error message follows the file's name.
pub fn text_of(bytes: io::Result<Vec<u8>>) -> Result<String, String> {
    let bytes = bytes.map_err(|error| crate::text::io_error::unreadable(&error))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())
}

/// Lists the `*.toml` files of a directory by name, as paths. Skips names that start with a dot, like a shell.
pub fn list_toml(dir: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let found = super::dir::names(dir).map_err(|error| truly(dir, crate::sys::errno(&error)))?;
    for name in found {
        if let Ok(name) = name.into_string()
            && name.ends_with(".toml")
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    crate::text::sort::sort(&mut names);
    let dir = dir.trim_end_matches('/');
    Ok(names.into_iter().map(|name| fill!("{}/{}", dir, name)).gather())
}

/// Returns whether a path is a stream that another process writes (a pipe, a terminal, a socket).
#[must_use]
pub fn is_stream(path: &str) -> bool {
    Path::new(path).metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Returns whether a path exists (a dangling link does not).
#[must_use]
pub fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Appends to an existing file while it stays within `most` bytes: what an application has written there is kept.
/// Creates nothing, skips pipes and terminals, and ignores errors.
pub fn append(path: &str, text: &str, most: usize) {
    let flags = OFlag::O_APPEND | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let opened = nix::fcntl::open(path, flags | OFlag::O_RDWR, Mode::empty());
    let Ok(file) = opened.or_else(|_| nix::fcntl::open(path, flags | OFlag::O_WRONLY, Mode::empty())) else {
        return;
    };
    let Ok(stat) = nix::sys::stat::fstat(&file) else { return };
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return;
    }
    let size = usize::try_from(stat.st_size).unwrap_or(0);
    let mut last = [0];
    let begins_line = size == 0 || {
        // SAFETY: one byte of ours.
        let read = unsafe { libc::pread(file.as_raw_fd(), last.as_mut_ptr().cast(), 1, stat.st_size - 1) };
        read == 1 && last == *b"\n"
    };
    let text = if begins_line { text.to_string() } else { fill!("\n{}", text) };
    let room = text.floor_char_boundary(most.saturating_sub(size));
    let _ = nix::unistd::write(&file, text.get(..room).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::files::*;

    #[test]
    fn what_is_there_is_read_up_to_a_bound() {
        let root = env!("CARGO_MANIFEST_DIR");
        assert!(exists(root) && !exists("/no/such/path"));
        assert!(text_of(read(&format!("{root}/Cargo.toml"))).expect("text").contains("rinit"));
        assert_eq!(text_of(read("/no/such/path")).expect_err("nothing"), "does not exist");
        assert!(text_of(read(root)).expect_err("a directory").starts_with("is a directory (a bind mount"));
        assert_eq!(text_of(read("/dev/zero")).expect_err("no end"), "is larger than 4 MiB");
        let examples = list_toml(&format!("{root}/config-examples/")).expect("a directory");
        assert!(
            examples.is_sorted() && examples.contains(&format!("{root}/config-examples/quickstart.toml"))
        );
        assert_eq!(list_toml("/no/such/path").expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }

    /// A file that polls readable but always gives EAGAIN was read in an endless busy loop.
    #[test]
    fn what_never_gives_anything_is_given_up() {
        // The filter applies to this thread only: from here on none of its reads succeeds.
        let reader = std::thread::spawn(|| {
            let file = nix::fcntl::open("/dev/zero", OFlag::O_RDONLY, Mode::empty()).expect("open");
            let word = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
            let read = u32::try_from(libc::SYS_read).expect("a number");
            let filter = [
                word(0x20, 0),
                libc::sock_filter { jf: 1, ..word(0x15, read) },
                word(0x06, libc::SECCOMP_RET_ERRNO | libc::EAGAIN.cast_unsigned()),
                word(0x06, libc::SECCOMP_RET_ALLOW),
            ];
            let program = libc::sock_fprog { len: 4, filter: filter.as_ptr().cast_mut() };
            // SAFETY: integers, and a program that lives until the call returns.
            unsafe {
                assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
                let mode = libc::SECCOMP_MODE_FILTER;
                assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
            }
            let error = read_all(&file, MAX_FILE_BYTES).expect_err("nothing");
            let mut busy = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: a structure of ours.
            unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut busy) };
            (error.kind(), busy.tv_sec, busy.tv_nsec)
        });
        let (kind, seconds, nanos) = reader.join().expect("it ends");
        assert_eq!((kind, seconds), (io::ErrorKind::TimedOut, 0));
        assert!(nanos < 300_000_000, "{nanos} ns of work");
    }

    /// What an application had written for Kubernetes was overwritten.
    #[test]
    fn what_stands_in_a_file_stays() {
        let path = format!("{}/append-{}", std::env::temp_dir().display(), std::process::id());
        append(&path, "nothing is made\n", 99);
        assert!(!exists(&path));
        std::fs::write(&path, "app: no end").expect("a file");
        append(&path, "rinit: one\n", 99);
        append(&path, "rinit: two\n", 40);
        append(&path, "rinit: three\n", 40);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::remove_file(&path).expect("gone");
        assert_eq!(text, "app: no end\nrinit: one\nrinit: two\nrinit:");
    }
}
