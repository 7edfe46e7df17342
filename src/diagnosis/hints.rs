//! Knowledge about common programs: which image has them, and how to keep them in the foreground.

use crate::text::gather::Gather;
use crate::text::suggest::nearest_within;
use crate::text::template::fill;

/// The verbs of `rinitctl`, which users mistake for a COMMAND.
pub(super) const RINITCTL: [&str; 8] =
    ["status", "start", "stop", "restart", "reload", "logs", "signal", "shutdown"];

/// Returns the program that was probably meant: one typo, or two in a long name, but not in its first letter. With
/// hundreds of programs in PATH every word is similar to one ("stat" to "status").
pub(super) fn program_meant<'k>(word: &str, known: &mut dyn Iterator<Item = &'k str>) -> Option<&'k str> {
    let letters = |word: &str| word.chars().take(2).map(|c| c.to_ascii_lowercase()).gather();
    let begins = letters(word);
    let far = match word.chars().count() {
        0..3 => return None,
        3..8 => 1,
        _ => 2,
    };
    let alike = |name: &&str| {
        let other = letters(name);
        begins.first() == other.first() || begins.iter().eq(other.iter().rev())
    };
    let known: &mut dyn Iterator<Item = &'k str> = &mut known.filter(alike);
    nearest_within(far, word, known)
}

/// `e_machine` of the machine that this rinit was built for.
pub(super) const OWN_MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    0
};

pub(super) fn machine(machine: u16) -> String {
    const KNOWN: &[(u16, &str)] = &[
        (3, "x86 (386)"),
        (8, "mips"),
        (20, "powerpc"),
        (21, "powerpc64 (ppc64le)"),
        (22, "s390x"),
        (40, "arm (arm/v7)"),
        (62, "x86_64 (amd64)"),
        (183, "aarch64 (arm64)"),
        (243, "riscv64"),
        (258, "loongarch64"),
    ];
    let known = KNOWN.iter().find(|(number, _)| *number == machine);
    known.map_or_else(|| fill!("machine number {}", &machine.to_string()), |(_, name)| (*name).into())
}

/// Names a base image that has the loader.
pub(super) fn loader(path: &str) -> &'static str {
    if path.contains("ld-musl") {
        "it was built for musl: use an Alpine base image, install musl, or build it for glibc"
    } else if path.contains("ld-linux") {
        "it was built for glibc: use a Debian, Ubuntu or Fedora base image, install gcompat on Alpine, or build it static"
    } else {
        "install the package that has it, or build the program static"
    }
}

/// Names a base image that has the interpreter. The name may be a path.
pub(super) fn interpreter(name: &str) -> &'static str {
    match name.rsplit('/').next().unwrap_or("") {
        "bash" => {
            "Debian, Ubuntu and Fedora images have it, Alpine and busybox do not: apk add bash, or write the script for #!/bin/sh"
        }
        "sh" => {
            "images from scratch and distroless have no shell: use another base image, or start the program itself"
        }
        "python" => "install it, or write python3 where only that is installed",
        _ => "install it, or correct the first line of the script",
    }
}

/// Returns the option that keeps a daemonizing program in the foreground.
pub(super) fn foreground(program: &str) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("nginx", "-g 'daemon off;'"),
        ("httpd", "-DFOREGROUND"),
        ("apache2", "-DFOREGROUND"),
        ("apachectl", "-DFOREGROUND"),
        ("php-fpm", "-F"),
        ("sshd", "-D -e"),
        ("cron", "-f"),
        ("crond", "-f"),
        ("rsyslogd", "-n"),
        ("dnsmasq", "-k"),
        ("redis-server", "--daemonize no"),
        ("lighttpd", "-D"),
        ("postfix", "start-fg"),
        ("named", "-f"),
        ("haproxy", "-db"),
        ("vsftpd", "-obackground=NO"),
        ("supervisord", "-n"),
        ("dbus-daemon", "--nofork"),
        ("squid", "-N"),
    ];
    let known = KNOWN.iter().find(|(name, _)| program.starts_with(name));
    known.map_or("often -f, -F, -n or --foreground", |(_, option)| option)
}
