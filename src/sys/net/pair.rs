//! A socket pair between two rinit processes: short messages, optionally with a descriptor.

use crate::sys::Errno;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// Creates both ends, close-on-exec. Message boundaries are kept.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends: [RawFd; 2] = [-1, -1];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: an array for two descriptors.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    let [one, other] = ends;
    // SAFETY: both are new and owned from here on.
    Ok(unsafe { (OwnedFd::from_raw_fd(one), OwnedFd::from_raw_fd(other)) })
}

/// Room for one descriptor in a control message, aligned as the kernel requires.
type Control = [u64; 4];

fn header(part: &mut libc::iovec, control: Option<&mut Control>) -> libc::msghdr {
    // SAFETY: zero is valid for all its fields.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = std::ptr::from_mut(part);
    header.msg_iovlen = 1;
    if let Some(control) = control {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
    }
    header
}

/// Sends a message; does not wait for room.
pub fn send(to: RawFd, bytes: &[u8], fd: Option<RawFd>) -> Result<(), Errno> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control: Control = [0; 4];
    let mut header = header(&mut part, fd.map(|_| &mut control));
    if let Some(fd) = fd {
        // SAFETY: the control buffer has room for the header and one descriptor.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(first).cast::<RawFd>().write_unaligned(fd);
            header.msg_controllen = libc::CMSG_SPACE(4) as _;
        }
    }
    // SAFETY: everything that the header points to is ours and outlives the call.
    let sent = unsafe { libc::sendmsg(to, &raw const header, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
    Errno::result(sent).map(drop)
}

/// Receives a message; with `waits`, blocks until one arrives. `None`: the peer has closed.
pub fn receive(from: RawFd, into: &mut [u8], waits: bool) -> Result<Option<(usize, Option<OwnedFd>)>, Errno> {
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut control: Control = [0; 4];
    let mut header = header(&mut part, Some(&mut control));
    let flags = libc::MSG_CMSG_CLOEXEC | if waits { 0 } else { libc::MSG_DONTWAIT };
    let count = loop {
        // SAFETY: everything that the header points to is ours and outlives the call.
        match Errno::result(unsafe { libc::recvmsg(from, &raw mut header, flags) }) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(count) => break count.unsigned_abs(),
        }
    };
    // SAFETY: the kernel has filled the control buffer as described; its descriptor is new and owned from here on.
    let fd = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let has = !first.is_null() && (*first).cmsg_type == libc::SCM_RIGHTS;
        has.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned()))
    };
    Ok((count > 0).then_some((count, fd)))
}

/// Waits until it is readable, at most this long; returns whether it is.
#[must_use]
pub fn wait(fd: RawFd, span: std::time::Duration) -> bool {
    let mut ask = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry of ours.
    unsafe { libc::poll(&raw mut ask, 1, i32::try_from(span.as_millis()).unwrap_or(i32::MAX)) == 1 }
}

#[cfg(test)]
mod tests {
    use super::super::pair::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn a_message_comes_whole_and_with_its_descriptor() {
        let (one, other) = pair().expect("a pair");
        let null = crate::sys::stdio::open_null().expect("null");
        send(one.as_raw_fd(), b"hello", Some(null.as_raw_fd())).expect("room");
        send(one.as_raw_fd(), b"x", None).expect("room");
        let mut text = [0; 16];
        let got = receive(other.as_raw_fd(), &mut text, false).expect("a message").expect("bytes");
        assert!(got.0 == 5 && got.1.is_some() && text.starts_with(b"hello"));
        let got = receive(other.as_raw_fd(), &mut text, false).expect("a message").expect("bytes");
        assert!(got.0 == 1 && got.1.is_none());
        assert_eq!(receive(other.as_raw_fd(), &mut text, false).err(), Some(Errno::EAGAIN));
        drop(one);
        assert!(receive(other.as_raw_fd(), &mut text, true).expect("the end").is_none());
    }
}
