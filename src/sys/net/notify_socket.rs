//! The receiving end of sd_notify(3): a datagram socket for one service.
//!
//! Its name is an abstract one that the kernel chooses (unix(7), autobind). A path needs a writable directory, which a
//! container with a read-only root does not have, and in which the service's user may look up; a file would be left
//! behind for the next start, and its file system might hang. Abstract names are shared with everybody in the network
//! namespace, such as the other containers of a pod. The kernel's choice collides with none of them, and what they
//! send is recognised: the kernel adds the sender's credentials, in which a process of another PID namespace has pid 0.

use super::local::PeerCredentials;
use crate::sys::Errno;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// The descriptors that come with one datagram: at most 253 (SCM_MAX_FD), and the credentials.
type Control = [u64; 140];

/// One datagram; its text is in the caller's buffer.
pub struct NotifyDatagram {
    /// The length of the text.
    pub length: usize,
    /// Who has sent it, even if that process is gone.
    pub sender: Option<PeerCredentials>,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
    /// Whether the text was longer than the buffer.
    pub cut: bool,
}

/// See the module documentation.
#[derive(Debug)]
pub struct NotifySocket {
    fd: OwnedFd,
    name: String,
}

impl NotifySocket {
    /// Opens a socket with a name of its own.
    pub fn open() -> Result<Self, Errno> {
        let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let length = |of: usize| libc::socklen_t::try_from(of).unwrap_or(0);
        // SAFETY: zero is valid for an address; the socket is new and owned from here on; all else is ours, with its
        // size.
        unsafe {
            let fd = OwnedFd::from_raw_fd(Errno::result(libc::socket(libc::AF_UNIX, flags, 0))?);
            let on: libc::c_int = 1;
            let size = length(size_of::<libc::c_int>());
            let option = (&raw const on).cast();
            let set = libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, option, size);
            Errno::result(set)?;
            let mut address: libc::sockaddr_un = zeroed();
            address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(1);
            let family = length(size_of::<libc::sa_family_t>());
            Errno::result(libc::bind(fd.as_raw_fd(), (&raw const address).cast(), family))?;
            let mut size = length(size_of::<libc::sockaddr_un>());
            let found = libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut size);
            Errno::result(found)?;
            let count = usize::try_from(size).unwrap_or(0).saturating_sub(size_of::<libc::sa_family_t>());
            let bytes = address.sun_path.iter().take(count).skip(1);
            let name = bytes.map(|byte| char::from(byte.to_ne_bytes()[0]));
            Ok(Self { fd, name: ['@'].into_iter().chain(name).collect() })
        }
    }

    /// Returns the value of NOTIFY_SOCKET.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the descriptor, to poll it.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Receives one datagram. EAGAIN: there is none.
    pub fn receive(&self, into: &mut [u8]) -> Result<NotifyDatagram, Errno> {
        let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let mut control: Control = [0; 140];
        // SAFETY: zero is valid for all its fields.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: everything that the header points to is ours and outlives the call.
        let count = Errno::result(unsafe { libc::recvmsg(self.raw(), &raw mut header, flags) })?;
        let mut datagram = NotifyDatagram {
            length: count.unsigned_abs(),
            sender: None,
            fds: Vec::new(),
            cut: header.msg_flags & libc::MSG_TRUNC != 0,
        };
        // SAFETY: the kernel has filled the control buffer as described; its descriptors are new and owned from here
        // on, each once.
        unsafe {
            let mut part = libc::CMSG_FIRSTHDR(&raw const header);
            while !part.is_null() {
                let data = libc::CMSG_DATA(part);
                match (*part).cmsg_type {
                    libc::SCM_CREDENTIALS => {
                        let found = data.cast::<libc::ucred>().read_unaligned();
                        datagram.sender = Some(PeerCredentials { pid: found.pid, uid: found.uid });
                    }
                    libc::SCM_RIGHTS => {
                        let bytes = (*part).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                        for at in 0..bytes / size_of::<RawFd>() {
                            let fd = data.cast::<RawFd>().wrapping_add(at).read_unaligned();
                            datagram.fds.push(OwnedFd::from_raw_fd(fd));
                        }
                    }
                    _ => {}
                }
                part = libc::CMSG_NXTHDR(&raw const header, part);
            }
        }
        Ok(datagram)
    }
}

#[cfg(test)]
mod tests {
    use super::super::notify_socket::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn each_has_a_name_of_its_own_and_hears_who_sends() {
        let [one, other] = [(); 2].map(|()| NotifySocket::open().expect("a socket"));
        assert_ne!(one.name(), other.name());
        let mut text = [0; 8];
        assert_eq!(one.receive(&mut text).err(), Some(Errno::EAGAIN));
        let name = one.name().strip_prefix('@').expect("abstract");
        let address = SocketAddr::from_abstract_name(name).expect("a name");
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to_addr(b"READY=1", &address).expect("sent");
        client.send_to_addr(b"READY=1 and more", &address).expect("sent");
        let got = one.receive(&mut text).expect("a datagram");
        let sender = got.sender.expect("credentials");
        assert!(got.length == 7 && text.starts_with(b"READY=1") && !got.cut && got.fds.is_empty());
        assert_eq!(sender.pid, crate::sys::pid());
        assert!(one.receive(&mut text).expect("a datagram").cut);
    }
}
