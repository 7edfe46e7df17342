//! Files of the configuration: read whole, up to a bound.

use crate::model::Moment;
use crate::sys::event::clock;
use crate::text::gather::Gather;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// No file of a configuration is larger; `/dev/zero` as one must not fill the memory.
const MAX_FILE_BYTES: usize = 4 << 20;

/// How long something may come out of what is no file on a disk (a pipe, a terminal).
const FIFO_TIMEOUT: Duration = Duration::from_secs(2);

/// The bytes of a file.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    bounded(slurp(path, MAX_FILE_BYTES)?)
}

fn read_up_to(file: &OwnedFd) -> io::Result<Vec<u8>> {
    bounded(read_all(file, MAX_FILE_BYTES)?)
}

fn bounded(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.len() > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// The bytes of a file, one more than `most` when there are more. In few system calls: a file of /proc says that it
/// is empty, and would be read in pieces of 32 bytes.
pub fn slurp(path: &str, most: usize) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    match nix::fcntl::open(path, flags, Mode::empty()) {
        Ok(file) => read_all(&file, most),
        Err(errno) => Err(truly(path, errno)),
    }
}

/// The file or directory at a path, when it is on the same mount as `/`, and so does not block (openat2(2)). `None`: it
/// is on another, or this kernel cannot tell.
fn open_on_root(path: &str, flags: OFlag) -> Option<io::Result<OwnedFd>> {
    let path_c = std::ffi::CString::new(path).ok()?;
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    // struct open_how: flags, mode, resolve.
    let how = [u64::from(flags.bits().cast_unsigned()), 0, libc::RESOLVE_NO_XDEV];
    // SAFETY: a path that ends with NUL, and a structure of ours whose size is said.
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
        // Not known, or forbidden by who does not know it: as before there was such a call.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::E2BIG) => {
            let result = nix::fcntl::open(path, flags, Mode::empty());
            Some(result.map_err(|errno| truly(path, errno)))
        }
        Err(errno) => Some(Err(truly(path, errno))),
    }
}

/// [`read`], when the file is on the same mount as `/`; `None` when it is on another.
#[must_use]
pub fn read_on_root(path: &str) -> Option<io::Result<Vec<u8>>> {
    Some(open_on_root(path, OFlag::O_RDONLY)?.and_then(|file| read_up_to(&file)))
}

/// [`list_toml`], when the directory is on the same mount as `/`; `None` when it is on another.
#[must_use]
pub fn list_on_root(path: &str) -> Option<io::Result<Vec<String>>> {
    let is_there = open_on_root(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?.map(drop);
    Some(is_there.and_then(|()| list_toml(path)))
}

/// Without a free descriptor the kernel does not even look whether there is such a file.
fn truly(path: &str, errno: Errno) -> io::Error {
    let is_want = errno == Errno::EMFILE || errno == Errno::ENFILE;
    if is_want && !exists(path) { Errno::ENOENT.into() } else { errno.into() }
}

/// Apart, so that its frame is not on the stack where there is no file, as in a start without a configuration.
#[inline(never)]
pub(super) fn read_all(file: &OwnedFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let mut until = None;
    let mut is_dry = false;
    while bytes.len() <= most {
        let count = nix::unistd::read(file, &mut piece);
        if is_dry && count == Err(Errno::EAGAIN) {
            // It polls readable and gives nothing: that may go on for ever.
            std::thread::sleep(Duration::from_millis(10));
        }
        is_dry = count == Err(Errno::EAGAIN);
        match count {
            // Of a pipe into which nobody has written yet, this is not the end.
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

/// Waits until there is more to read, [`FIFO_TIMEOUT`] for all of the file; false when all who wrote have gone.
fn more(file: &OwnedFd, until: &mut Option<Moment>) -> io::Result<bool> {
    let now = clock::now();
    let left = until.get_or_insert(now.after(FIFO_TIMEOUT)).since(now).as_millis();
    let nothing = || io::Error::new(io::ErrorKind::TimedOut, "nothing comes out of this pipe");
    if left == 0 {
        return Err(nothing());
    }
    let mut ask = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, of ours.
    match unsafe { libc::poll(&raw mut ask, 1, i32::try_from(left).unwrap_or(0)) } {
        0 => Err(nothing()),
        _ => Ok(ask.revents & libc::POLLIN != 0),
    }
}

/// The text of one of the system's own files; what is not UTF-8 in it is replaced.
pub fn system_text(path: &str) -> io::Result<String> {
    Ok(match String::from_utf8(slurp(path, MAX_FILE_BYTES)?) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// What was read as text; the error is in words that follow the file's name.
pub fn text_of(bytes: io::Result<Vec<u8>>) -> Result<String, String> {
    let bytes = bytes.map_err(|error| crate::text::io_error::unreadable(&error))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())
}

/// The `*.toml` of a directory in name order, as paths. As for a shell, a name that begins with a dot is none of them.
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
    Ok(names.into_iter().map(|name| format!("{dir}/{name}")).gather())
}

/// Whether what is read there comes from somebody who writes it (a pipe, a terminal, a socket).
#[must_use]
pub fn is_stream(path: &str) -> bool {
    Path::new(path).metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Whether a path exists (a link that leads nowhere does not).
#[must_use]
pub fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Adds to a file that exists, as far as it then has no more than `most` bytes: what an application has left in it stays.
/// Nothing is made, a pipe or terminal in its place is left alone, and a failure is nobody's business.
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
    let text = if begins_line { text.to_string() } else { ["\n", text].concat() };
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

    /// What polls readable and says EAGAIN all the same was read again and again, for ever and as fast as can be.
    #[test]
    fn what_never_gives_anything_is_given_up() {
        // A filter is a thread's own: from here on no read of it succeeds.
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
            // SAFETY: numbers, and a program that lives until the call returns.
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

    /// What the application had left for Kubernetes was gone.
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
