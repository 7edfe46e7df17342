//! Non-blocking Unix stream sockets for PID 1: a listener and its connections.

use crate::model::Pid;
use crate::sys::Errno;
use std::ffi::CString;
use std::mem::{offset_of, size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

/// The peer's credentials at the time of its connect(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerCredentials {
    /// Its pid; 0 if it is in another PID namespace.
    pub pid: Pid,
    /// Its user id.
    pub uid: u32,
}

/// A listening socket.
#[derive(Debug)]
pub struct LocalListener {
    fd: OwnedFd,
    /// The path of its file, with device and inode to recognise it.
    file: Option<(CString, (u64, u64))>,
}

/// A connection.
#[derive(Debug)]
pub struct LocalStream {
    fd: OwnedFd,
}

/// Converts a path, or with a leading `@` an abstract name, to an address.
fn address(name: &str) -> Result<(libc::sockaddr_un, libc::socklen_t), Errno> {
    // SAFETY: zero is valid.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(1);
    let is_abstract = name.starts_with('@');
    // Leave room for the NUL that ends a path.
    if name.is_empty() || name.len() >= address.sun_path.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (to, from) in address.sun_path.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    if let (true, Some(first)) = (is_abstract, address.sun_path.first_mut()) {
        *first = 0;
    }
    let length = offset_of!(libc::sockaddr_un, sun_path) + name.len() + usize::from(!is_abstract);
    Ok((address, libc::socklen_t::try_from(length).unwrap_or(0)))
}

/// Returns who is at the other end of a connected socket (SO_PEERCRED).
pub(super) fn peer_of(fd: RawFd) -> Option<PeerCredentials> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the kernel fills a structure of ours, with its size.
    let result = unsafe {
        let to = (&raw mut found).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut length)
    };
    (result == 0).then_some(PeerCredentials { pid: found.pid, uid: found.uid })
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a new descriptor, owned from here on.
    unsafe { Errno::result(libc::socket(libc::AF_UNIX, flags, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Device and inode of a file.
pub(super) fn identity(path: &CString) -> Option<(u64, u64)> {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let found = nix::sys::stat::lstat(path).ok()?;
    Some((found.st_dev, found.st_ino))
}

/// Binds a socket to a path or an abstract name (`@NAME`). The file gets this mode; an existing socket without a listener
/// is replaced. EADDRINUSE: it has a listener, or is no socket.
pub(super) fn bind(fd: &OwnedFd, name: &str, mode: u32) -> Result<(), Errno> {
    let (address, length) = address(name)?;
    let path = if name.starts_with('@') { None } else { CString::new(name).ok() };
    let bind = || {
        // SAFETY: integers only; rinit is single-threaded, and the old umask is restored.
        let mask = unsafe { libc::umask(0o777 & !mode) };
        // SAFETY: an address of ours with its length.
        let bound = Errno::result(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) });
        // SAFETY: as above.
        unsafe { libc::umask(mask) };
        bound.map(drop)
    };
    let Err(errno) = bind() else { return Ok(()) };
    let path = path.as_ref().filter(|_| errno == Errno::EADDRINUSE).ok_or(errno)?;
    let other = socket()?;
    // SAFETY: as above. Non-blocking: EAGAIN means a busy listener; one of datagrams is of the wrong type.
    let connected =
        Errno::result(unsafe { libc::connect(other.as_raw_fd(), (&raw const address).cast(), length) });
    // Connecting to a file that is not a socket fails the same way, but it must not be replaced.
    let is_socket = || {
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
        nix::sys::stat::lstat(path).is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFSOCK)
    };
    if connected != Err(Errno::ECONNREFUSED) || !is_socket() {
        return Err(errno);
    }
    // SAFETY: a C string.
    Errno::result(unsafe { libc::unlink(path.as_ptr()) })?;
    bind()
}

impl LocalListener {
    /// Listens on a path or an abstract name (`@NAME`). The file gets this mode; an existing socket without a listener
    /// is replaced. EADDRINUSE: it has a listener.
    pub fn bind(name: &str, mode: u32) -> Result<Self, Errno> {
        let fd = socket()?;
        bind(&fd, name, mode)?;
        // SAFETY: integers only.
        Errno::result(unsafe { libc::listen(fd.as_raw_fd(), 128) })?;
        let path = if name.starts_with('@') { None } else { CString::new(name).ok() };
        let file =
            path.and_then(|path| Some((identity(&path)?, path))).map(|(identity, path)| (path, identity));
        Ok(Self { fd, file })
    }

    /// Returns the descriptor, to poll it.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns whether its file is still at its path.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, known)| identity(path) == Some(*known))
    }

    /// Accepts one connection; EAGAIN: none is pending.
    pub fn accept(&self) -> Result<LocalStream, Errno> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no address is requested; the descriptor is new and owned from here on.
        unsafe {
            let fd = libc::accept4(self.raw(), std::ptr::null_mut(), std::ptr::null_mut(), flags);
            Errno::result(fd).map(|fd| LocalStream { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// Removes its file, if that is still its own.
    pub fn remove(&self) {
        if let Some((path, _)) = self.file.as_ref().filter(|_| self.is_in_place()) {
            // SAFETY: a C string.
            unsafe { libc::unlink(path.as_ptr()) };
        }
    }
}

impl LocalStream {
    /// Returns the descriptor, to poll it.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns the peer's credentials (SO_PEERCRED).
    #[must_use]
    pub fn peer(&self) -> Option<PeerCredentials> {
        peer_of(self.raw())
    }

    /// Receives up to the buffer's size; 0: the peer has closed. EAGAIN: nothing available.
    pub fn receive(&self, into: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the buffer is borrowed for the call.
        let count =
            unsafe { libc::recv(self.raw(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        Errno::result(count).map(isize::unsigned_abs)
    }

    /// Sends as much as fits. EAGAIN: nothing fits.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the bytes are borrowed for the call.
        let count = unsafe { libc::send(self.raw(), bytes.as_ptr().cast(), bytes.len(), flags) };
        Errno::result(count).map(isize::unsigned_abs)
    }
}

impl Drop for LocalStream {
    /// A forked helper may hold a copy of the descriptor; shutdown(2) ends the connection for the peer anyway.
    fn drop(&mut self) {
        // SAFETY: integers only.
        unsafe { libc::shutdown(self.raw(), libc::SHUT_RDWR) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::local::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_file_is_replaced_only_when_nobody_listens_and_it_is_a_socket() {
        let directory = std::env::temp_dir().join(format!("rinit-local-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("a.sock");
        let name = path.to_str().expect("utf-8");
        let first = LocalListener::bind(name, 0o600).expect("bound");
        assert_eq!(LocalListener::bind(name, 0o600).expect_err("in use"), Errno::EADDRINUSE);
        drop(first);
        let second = LocalListener::bind(name, 0o600).expect("nobody listens at what is left");
        assert!(second.is_in_place());
        std::fs::remove_file(&path).expect("removed");
        assert!(!second.is_in_place());
        let third = LocalListener::bind(name, 0o600).expect("bound");
        second.remove();
        assert!(third.is_in_place(), "it is another's by now");
        third.remove();
        std::fs::write(&path, "data").expect("a file");
        assert!(LocalListener::bind(name, 0o600).is_err());
        assert_eq!(std::fs::read(&path).expect("still there"), b"data");
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn nobody_is_waited_for() {
        let directory = std::env::temp_dir().join(format!("rinit-local2-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("b.sock");
        let listener = LocalListener::bind(path.to_str().expect("utf-8"), 0o600).expect("bound");
        assert_eq!(listener.accept().expect_err("nobody"), Errno::EAGAIN);
        let mut client = UnixStream::connect(&path).expect("connected");
        let stream = listener.accept().expect("a client");
        let peer = stream.peer().expect("a peer");
        assert_eq!(peer.pid, crate::sys::pid());
        let mut buffer = [0; 8];
        assert_eq!(stream.receive(&mut buffer), Err(Errno::EAGAIN));
        client.write_all(b"hi").expect("written");
        assert_eq!(stream.receive(&mut buffer), Ok(2));
        while stream.send(&[0; 4096]).is_ok() {}
        assert_eq!(stream.send(b"x"), Err(Errno::EAGAIN));
        drop(stream);
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all);
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
