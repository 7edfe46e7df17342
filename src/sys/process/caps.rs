//! Capabilities by name, and those of this process (capabilities(7)).

use super::status;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};

/// In the order of their numbers.
const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// All names, in the order of their numbers, without `CAP_`.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.split(' ')
}

/// The number of a capability, with or without `CAP_`.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    names().position(|known| known == name).and_then(|number| u8::try_from(number).ok())
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits, in two words.
const VERSION: u32 = 0x2008_0522;

/// The effective capabilities of this process, one bit each: those of capget(2), else of `/proc`; none when neither answers.
#[must_use]
pub fn effective() -> u64 {
    let mut header = [VERSION, 0];
    // Effective, permitted, inheritable; the low words, then the high ones.
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads and writes 8 bytes of the one and writes 24 of the other, both ours.
    if unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) } == 0 {
        let [low, _, _, high, ..] = sets;
        return u64::from(low) | u64::from(high) << 32;
    }
    let text = files::system_text("/proc/self/status").unwrap_or_default();
    status::number(&text, "CapEff:", 16).unwrap_or(0)
}

/// Whether a set as of [`effective`] has this one.
#[must_use]
pub fn has(set: u64, name: &str) -> bool {
    number(name).is_some_and(|bit| set >> bit & 1 == 1)
}

/// Whether this process may take on any user and group.
#[must_use]
pub fn may_switch_user() -> bool {
    let set = effective();
    has(set, "SETUID") && has(set, "SETGID")
}

/// Gives up all capabilities: effective, permitted and inheritable, and with these the ambient ones. Async-signal-safe.
pub fn drop_all() -> Result<(), Errno> {
    let mut header = [VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: the kernel reads 8 bytes of the one, where it may write the version it wants, and 24 of the other; both ours.
    unsafe { raw::call(libc::SYS_capset, &[raw::address(&raw mut header), raw::address(&raw const none)]) }
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::caps::*;

    #[test]
    fn names_have_the_numbers_of_the_kernel() {
        for (name, want) in [
            ("CHOWN", Some(0)),
            ("cap_net_bind_service", Some(10)),
            ("SYS_ADMIN", Some(21)),
            ("CAP_SETFCAP", Some(31)),
            ("CHECKPOINT_RESTORE", Some(40)),
            ("FLY", None),
        ] {
            assert_eq!(number(name), want, "{name}");
        }
    }
}
