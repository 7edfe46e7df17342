//! Unix stream sockets that never make PID 1 wait: a listener, and the connections that it accepts.

use crate::model::Pid;
use crate::sys::Errno;
use std::ffi::CString;
use std::mem::{offset_of, size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

/// Who is at the other end, as of its connect(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerCredentials {
    /// Its pid; 0 when it is of another pid namespace.
    pub pid: Pid,
    /// Its user.
    pub uid: u32,
}

/// A socket that is listened at.
#[derive(Debug)]
pub struct LocalListener {
    fd: OwnedFd,
    /// Its file, with what tells it from another of that name.
    file: Option<(CString, (u64, u64))>,
}

/// A connection.
#[derive(Debug)]
pub struct LocalStream {
    fd: OwnedFd,
}

/// A name as the kernel has it: a path, or with `@` first an abstract name.
fn address(name: &str) -> Result<(libc::sockaddr_un, libc::socklen_t), Errno> {
    // SAFETY: zero is valid.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(1);
    let is_abstract = name.starts_with('@');
    // Room for the NUL that ends a path.
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

fn socket() -> Result<OwnedFd, Errno> {
    let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a new descriptor, owned from here on.
    unsafe { Errno::result(libc::socket(libc::AF_UNIX, flags, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Device and inode of a file.
fn identity(path: &CString) -> Option<(u64, u64)> {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let found = nix::sys::stat::lstat(path).ok()?;
    Some((found.st_dev, found.st_ino))
}

impl LocalListener {
    /// Listens at a path or an abstract name (`@NAME`). The file has this mode; one that is there already is replaced
    /// when it is a socket that nobody listens at. EADDRINUSE: somebody does.
    pub fn bind(name: &str, mode: u32) -> Result<Self, Errno> {
        let (address, length) = address(name)?;
        let fd = socket()?;
        let path = if name.starts_with('@') { None } else { CString::new(name).ok() };
        let bind = || {
            // SAFETY: no pointers; rinit is single-threaded, and what it was is put back.
            let mask = unsafe { libc::umask(0o777 & !mode) };
            // SAFETY: the address is ours and as long as is said.
            let bound =
                Errno::result(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) });
            // SAFETY: as above.
            unsafe { libc::umask(mask) };
            bound.map(drop)
        };
        if let Err(errno) = bind() {
            let path = path.as_ref().filter(|_| errno == Errno::EADDRINUSE).ok_or(errno)?;
            let other = socket()?;
            // SAFETY: as above. It does not wait: EAGAIN is a listener that is busy.
            let connected = Errno::result(unsafe {
                libc::connect(other.as_raw_fd(), (&raw const address).cast(), length)
            });
            // Of what is no socket it is refused too, and that stays.
            let is_socket = || {
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
                nix::sys::stat::lstat(path).is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFSOCK)
            };
            if connected != Err(Errno::ECONNREFUSED) || !is_socket() {
                return Err(errno);
            }
            // SAFETY: a C string.
            Errno::result(unsafe { libc::unlink(path.as_ptr()) })?;
            bind()?;
        }
        // SAFETY: numbers.
        Errno::result(unsafe { libc::listen(fd.as_raw_fd(), 128) })?;
        let file =
            path.and_then(|path| Some((identity(&path)?, path))).map(|(identity, path)| (path, identity));
        Ok(Self { fd, file })
    }

    /// The descriptor, to be polled.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether who looks for its file finds it.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, known)| identity(path) == Some(*known))
    }

    /// Takes one connection; EAGAIN: there is none.
    pub fn accept(&self) -> Result<LocalStream, Errno> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: nobody's address is asked for; the descriptor is new, and owned from here on.
        unsafe {
            let fd = libc::accept4(self.raw(), std::ptr::null_mut(), std::ptr::null_mut(), flags);
            Errno::result(fd).map(|fd| LocalStream { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// Takes its file away, where it is still its own.
    pub fn remove(&self) {
        if let Some((path, _)) = self.file.as_ref().filter(|_| self.is_in_place()) {
            // SAFETY: a C string.
            unsafe { libc::unlink(path.as_ptr()) };
        }
    }
}

impl LocalStream {
    /// The descriptor, to be polled.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Who is at the other end (SO_PEERCRED).
    #[must_use]
    pub fn peer(&self) -> Option<PeerCredentials> {
        let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
        // SAFETY: the kernel fills a structure of ours, as long as is said.
        let result = unsafe {
            let to = (&raw mut found).cast();
            libc::getsockopt(self.raw(), libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut length)
        };
        (result == 0).then_some(PeerCredentials { pid: found.pid, uid: found.uid })
    }

    /// Takes what there is, up to the buffer's size; 0: the peer says nothing more. EAGAIN: nothing now.
    pub fn receive(&self, into: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the buffer is borrowed for the call.
        let count =
            unsafe { libc::recv(self.raw(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        Errno::result(count).map(isize::unsigned_abs)
    }

    /// Gives as much as there is room for. EAGAIN: none.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the bytes are borrowed for the call.
        let count = unsafe { libc::send(self.raw(), bytes.as_ptr().cast(), bytes.len(), flags) };
        Errno::result(count).map(isize::unsigned_abs)
    }
}

impl Drop for LocalStream {
    /// A helper that was forked meanwhile may have the descriptor too: the peer is to see the end all the same.
    fn drop(&mut self) {
        // SAFETY: numbers.
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
