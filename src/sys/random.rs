//! Random bytes from the kernel.

use super::Errno;
use super::fs::files;

/// Returns random bytes fit for secrets (getrandom(2)); if that call is blocked or unknown, from `/dev/urandom`.
pub fn bytes(count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: a buffer of ours and its size.
        match Errno::result(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) }) {
            Ok(more) => done += more.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(_) => {
                let mut found = files::slurp("/dev/urandom", count)?;
                found.truncate(count);
                return if found.len() == count { Ok(found) } else { Err(Errno::EIO.into()) };
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (super::bytes(300).expect("bytes"), super::bytes(300).expect("bytes"));
        assert!(one.len() == 300 && one != other);
    }
}
