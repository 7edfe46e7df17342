//! Capabilities by name (capabilities(7)).

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

#[cfg(test)]
mod tests {
    use super::*;

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
