//! Capability names, and the capabilities of this process (capabilities(7)).

use super::status;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};

/// Indexed by capability number.
const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// Returns all names without `CAP_`, by capability number.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.split(' ')
}

/// Returns the number of a capability, given with or without `CAP_`.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    names().position(|known| known == name).and_then(|number| u8::try_from(number).ok())
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64-bit sets in two words.
const VERSION: u32 = 0x2008_0522;

/// Returns the effective capabilities as a bit mask, from capget(2) or else `/proc`; 0 if both fail.
#[must_use]
pub fn effective() -> u64 {
    let mut header = [VERSION, 0];
    // Effective, permitted, inheritable: low words, then high words.
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads and writes the 8-byte header and writes 24 bytes of data; both are ours.
    if unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) } == 0 {
        let [low, _, _, high, ..] = sets;
        return u64::from(low) | u64::from(high) << 32;
    }
    let text = files::system_text("/proc/self/status").unwrap_or_default();
    status::number(&text, "CapEff:", 16).unwrap_or(0)
}

/// Returns whether a mask from [`effective`] has this capability.
#[must_use]
pub fn has(set: u64, name: &str) -> bool {
    number(name).is_some_and(|bit| set >> bit & 1 == 1)
}

/// Returns whether this process may switch to any user and group.
#[must_use]
pub fn may_switch_user() -> bool {
    let set = effective();
    has(set, "SETUID") && has(set, "SETGID")
}

/// Drops all capabilities: effective, permitted and inheritable, and thereby ambient. Async-signal-safe.
pub fn drop_all() -> Result<(), Errno> {
    let mut header = [VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: the kernel reads the 8-byte header (it may write its version there) and 24 bytes of data; both are ours.
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
