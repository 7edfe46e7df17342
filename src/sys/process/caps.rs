//! Capability names, and the capabilities of this process (capabilities(7)).

use super::status;
use crate::model::privileges::capability_number;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits, in two words.
const VERSION: u32 = 0x2008_0522;

/// Returns the effective capabilities as a bit mask, from capget(2) or else `/proc`; 0 if both fail.
#[must_use]
pub fn effective() -> u64 {
    if let Some([low, _, _, high, ..]) = sets() {
        return u64::from(low) | u64::from(high) << 32;
    }
    let text = files::system_text("/proc/self/status").unwrap_or_default();
    status::number(&text, "CapEff:", 16).unwrap_or(0)
}

/// The permitted capabilities of this process, one bit each. Async-signal-safe.
#[must_use]
pub fn permitted() -> u64 {
    sets().map_or(0, |[_, low, _, _, high, _]| u64::from(low) | u64::from(high) << 32)
}

/// The inheritable capabilities of this process, one bit each. Async-signal-safe.
#[must_use]
pub fn inheritable() -> u64 {
    sets().map_or(0, |[_, _, low, _, _, high]| u64::from(low) | u64::from(high) << 32)
}

/// Effective, permitted, inheritable: the low words, then the high ones (capget(2)).
fn sets() -> Option<[u32; 6]> {
    let mut header = [VERSION, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads and writes 8 bytes of the one and writes 24 of the other, both ours.
    let got =
        unsafe { raw::call(libc::SYS_capget, &[raw::address(&raw mut header), raw::address(&raw mut sets)]) };
    got.is_ok().then_some(sets)
}

/// Whether a set as of [`effective`] has this one.
#[must_use]
pub fn has(set: u64, name: &str) -> bool {
    capability_number(name).is_some_and(|bit| set >> bit & 1 == 1)
}

/// Returns whether this process may switch to any user and group.
#[must_use]
pub fn may_switch_user() -> bool {
    let set = effective();
    has(set, "SETUID") && has(set, "SETGID")
}

/// Drops all capabilities: effective, permitted and inheritable, and thereby ambient. Async-signal-safe.
pub fn drop_all() -> Result<(), Errno> {
    set(0, 0)
}

/// Sets the permitted capabilities, all of them effective, and the inheritable ones. Async-signal-safe.
pub fn set(permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let mut header = [VERSION, 0];
    let [low, high] =
        [0, 32].map(|shift| [permitted, inheritable].map(|set| (set >> shift & 0xffff_ffff) as u32));
    let sets = [low, high].map(|[permitted, inheritable]| [permitted, permitted, inheritable]);
    // SAFETY: the kernel reads 8 bytes of the one, where it may write the version it wants, and 24 of the other; both ours.
    unsafe { raw::call(libc::SYS_capset, &[raw::address(&raw mut header), raw::address(&raw const sets)]) }
        .map(drop)
}
