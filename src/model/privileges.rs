//! Privileges and scheduling attributes of a process, beyond its user and limits.

use super::Signal;

/// The privileges of a service's process, as far as they differ from what it inherits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExecPrivileges {
    /// The niceness, -20 to 19 (setpriority(2)).
    pub nice: Option<i8>,
    /// The I/O class and level for ioprio_set(2).
    pub ionice: Option<u16>,
    /// The adjustment of its OOM score, -1000 to 1000 (proc(5)).
    pub oom_score_adj: Option<i16>,
    /// The bit mask of CPUs it may run on (sched_setaffinity(2)); empty: unchanged.
    pub cpus: Box<[u64]>,
    /// The bit mask of capabilities that it gets although its user would not have them.
    pub cap_add: u64,
    /// The bit mask of capabilities that neither it nor its descendants can have.
    pub cap_drop: u64,
    /// Whether execve(2) can never give it more privileges (prctl(2), PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// The signal that it gets when rinit dies (prctl(2), PR_SET_PDEATHSIG).
    pub pdeathsig: Option<Signal>,
}

/// Indexed by capability number (capabilities(7)).
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// Returns all capability names without `CAP_`, by capability number.
pub fn capability_names() -> impl Iterator<Item = &'static str> {
    CAPABILITIES.split(' ')
}

/// Returns the number of a capability, given with or without `CAP_`.
#[must_use]
pub fn capability_number(name: &str) -> Option<u8> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    capability_names().position(|known| known == name).and_then(|number| u8::try_from(number).ok())
}

/// Returns the names of the capabilities in a bit mask.
pub fn capabilities_of(set: u64) -> impl Iterator<Item = &'static str> {
    capability_names().enumerate().filter(move |(bit, _)| set >> bit & 1 == 1).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::super::privileges::*;

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
            assert_eq!(capability_number(name), want, "{name}");
        }
        assert_eq!(capabilities_of(0b1001).collect::<Vec<_>>(), ["CHOWN", "FOWNER"]);
    }
}
