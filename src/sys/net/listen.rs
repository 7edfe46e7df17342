//! Listening sockets for services. PID 1 makes a socket, which does not block; a helper binds it, for a path may be on
//! a file system that does not answer. Both share what the socket becomes.

use super::local;
use crate::model::listen::{ListenAddress, ListenSpec};
use crate::sys::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Makes a socket for this address, close-on-exec, not bound.
pub fn socket(spec: &ListenSpec) -> Result<OwnedFd, Errno> {
    let kind = if spec.datagram { libc::SOCK_DGRAM } else { libc::SOCK_STREAM } | libc::SOCK_CLOEXEC;
    // SAFETY: a new descriptor, owned from here on.
    let open =
        |family| unsafe { Errno::result(libc::socket(family, kind, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) };
    let set = |fd: &OwnedFd, level, option, value: libc::c_int| {
        // SAFETY: an int of ours and its size.
        unsafe {
            let value = (&raw const value).cast();
            libc::setsockopt(fd.as_raw_fd(), level, option, value, super::length_of(&0_i32));
        }
    };
    let fd = match &spec.address {
        ListenAddress::Path(_) | ListenAddress::Abstract(_) => return open(libc::AF_UNIX),
        ListenAddress::Inet(address) if address.is_ipv4() => open(libc::AF_INET)?,
        // IPv6 alone: whoever wants both names the port alone.
        ListenAddress::Inet(_) => {
            let fd = open(libc::AF_INET6)?;
            set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1);
            fd
        }
        ListenAddress::Port(_) => match open(libc::AF_INET6) {
            Ok(fd) => {
                set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0);
                fd
            }
            // A kernel without IPv6.
            Err(_) => open(libc::AF_INET)?,
        },
    };
    if !spec.datagram {
        // Connections of an ended server (TIME_WAIT) keep the port from nobody.
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
    }
    if spec.reuse_port {
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    }
    Ok(fd)
}

/// Binds such a socket, and listens. Returns device and inode of its file, if it has one. May block on a path.
pub fn bind(fd: &OwnedFd, spec: &ListenSpec) -> Result<Option<(u64, u64)>, Errno> {
    let file = match &spec.address {
        ListenAddress::Path(path) => {
            local::bind(fd, path, spec.mode)?;
            identity(path)
        }
        ListenAddress::Abstract(name) => {
            local::bind(fd, &["@", name].concat(), 0)?;
            None
        }
        ListenAddress::Inet(_) | ListenAddress::Port(_) => {
            // The second address is for a socket of the other family.
            let mut tries = spec.address.inet().map(|address| super::bind_to(fd, address));
            tries
                .find(|bound| *bound != Err(Errno::EAFNOSUPPORT) && *bound != Err(Errno::EINVAL))
                .unwrap_or(Err(Errno::EINVAL))?;
            None
        }
    };
    if !spec.datagram {
        // The kernel takes net.core.somaxconn where this is more.
        let most = spec.backlog.and_then(|most| libc::c_int::try_from(most).ok()).unwrap_or(libc::c_int::MAX);
        // SAFETY: integers only.
        Errno::result(unsafe { libc::listen(fd.as_raw_fd(), most) })?;
    }
    Ok(file)
}

/// Returns device and inode of a file. May block.
#[must_use]
pub fn identity(path: &str) -> Option<(u64, u64)> {
    CString::new(path).ok().and_then(|path| local::identity(&path))
}

/// Gives a socket's file to a user and a group.
pub fn give(path: &str, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    // SAFETY: a C string; -1 leaves an id as it is.
    let given = unsafe { libc::lchown(path.as_ptr(), uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX)) };
    Errno::result(given).map(drop)
}

/// Clears O_NONBLOCK, which all who have the socket share: whoever is started next may not expect it.
pub fn be_blocking(fd: &OwnedFd) {
    // SAFETY: integers only.
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        if flags >= 0 && flags & libc::O_NONBLOCK != 0 {
            libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK);
        }
    }
}
