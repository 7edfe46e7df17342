//! Capability names, and the capabilities of this process (capabilities(7)).

use super::status;
use crate::model::privileges::capability_number;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};

/// `_LINUX_CAPABILITY_VERSION_3`: 64-bit sets in two words.
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

/// Returns the permitted capabilities as a bit mask. Async-signal-safe.
#[must_use]
pub fn permitted() -> u64 {
    sets().map_or(0, |[_, low, _, _, high, _]| u64::from(low) | u64::from(high) << 32)
}

/// Returns the inheritable capabilities as a bit mask. Async-signal-safe.
#[must_use]
pub fn inheritable() -> u64 {
    sets().map_or(0, |[_, _, low, _, _, high]| u64::from(low) | u64::from(high) << 32)
}

/// Returns effective, permitted and inheritable: low words, then high words (capget(2)).
fn sets() -> Option<[u32; 6]> {
    let mut header = [VERSION, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads and writes the 8-byte header and writes 24 bytes of data; both are ours.
    let got =
        unsafe { raw::call(libc::SYS_capget, &[raw::address(&raw mut header), raw::address(&raw mut sets)]) };
    got.is_ok().then_some(sets)
}

/// Returns whether a mask from [`effective`] has this capability.
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

/// Sets the permitted (and equally the effective) and the inheritable capabilities. Async-signal-safe.
pub fn set(permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let mut header = [VERSION, 0];
    let [low, high] =
        [0, 32].map(|shift| [permitted, inheritable].map(|set| (set >> shift & 0xffff_ffff) as u32));
    let sets = [low, high].map(|[permitted, inheritable]| [permitted, permitted, inheritable]);
    // SAFETY: the kernel reads the 8-byte header (it may write its version there) and 24 bytes of data; both are ours.
    unsafe { raw::call(libc::SYS_capset, &[raw::address(&raw mut header), raw::address(&raw const sets)]) }
        .map(drop)
}
