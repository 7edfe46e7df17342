//! Why a program could not be started, in words that mend. The kernel says ENOENT for a missing file, a
//! missing interpreter and a missing loader alike; the difference is told here. Pure: the facts are
//! [`crate::sys::inspect`]'s.

use crate::config::fault::did_you_mean;
use crate::sys::Errno;
use crate::sys::inspect::{Content, Found, Look};
use crate::sys::spawn::{SpawnError, Stage};

/// The exit code for a program that could not be started, as the shell, tini and Docker have it: 127 when there
/// is none, 126 when it cannot be executed; 71 (EX_OSERR) when the system refused something before that.
#[must_use]
pub fn exit_code(error: SpawnError) -> u8 {
    match (error.stage, error.errno) {
        (Stage::Exec, Errno::ENOENT | Errno::ENOTDIR) => 127,
        (Stage::Exec, _) => 126,
        _ => 71,
    }
}

/// One line: what, where, what is wrong with it, what to do.
#[must_use]
pub fn explain(error: SpawnError, look: &Look, directory: Option<&str>) -> String {
    let why = match error.stage {
        Stage::Exec => exec(error.errno, look),
        Stage::Fork => format!(
            "no process could be made: {}; raise the pids limit or the memory of the container",
            word(error.errno)
        ),
        Stage::Credentials => format!(
            "its user or groups could not be set: {}; rinit must run as root (or with the capabilities SETUID and SETGID) to start a service as another user",
            word(error.errno)
        ),
        Stage::Directory => {
            let directory = directory.unwrap_or("");
            let remedy = match error.errno {
                Errno::ENOENT => "make it in the image, or correct working_dir",
                Errno::EACCES => "its user may not enter it: change the folder's mode or owner, or the user",
                _ => "correct working_dir",
            };
            format!("working directory \"{directory}\": {}; {remedy}", word(error.errno))
        }
        Stage::Group | Stage::Stdio => word(error.errno).to_string(),
    };
    format!("cannot start \"{}\": {why}", look.word)
}

/// The system's words for an error, lower case.
fn word(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "no such file or directory",
        Errno::EACCES => "permission denied",
        Errno::EPERM => "operation not permitted",
        Errno::ENOMEM => "out of memory",
        Errno::EAGAIN => "the limit of processes is reached",
        Errno::ENOTDIR => "not a directory",
        Errno::E2BIG => "its arguments and environment are too long",
        Errno::ELOOP => "too many symbolic links",
        Errno::ETXTBSY => "the file is open for writing",
        other => other.desc(),
    }
}

/// What would keep a program from being started that has been looked at; `None` when nothing is seen to.
#[must_use]
pub fn why_not(look: &Look) -> Option<String> {
    let Some(found) = &look.found else { return Some(exec(Errno::ENOENT, look)) };
    let sound = match &found.content {
        Content::Script { interpreter: (_, there), carriage_return } => *there && !carriage_return,
        Content::Elf { machine, loader } => {
            // A 64-bit machine runs the programs of its 32-bit one.
            let kin = matches!((OWN_MACHINE, machine), (62, 3) | (183, 40));
            (kin || *machine == OWN_MACHINE) && loader.as_ref().is_none_or(|(_, there)| *there)
        }
        Content::Unreadable => true,
        _ => false,
    };
    let allowed = look.closed.is_none() && !found.folder && found.executable && !found.noexec;
    let errno = if found.noexec || !found.executable { Errno::EACCES } else { Errno::ENOEXEC };
    (!allowed || !sound).then(|| exec(errno, look))
}

fn exec(errno: Errno, look: &Look) -> String {
    if let Some((folder, mode)) = &look.closed {
        return format!(
            "its user may not enter the folder {folder} (mode {mode:04o}); give it x for that user: chmod o+x {folder}"
        );
    }
    match &look.found {
        Some(found) => existing(errno, found),
        None => missing(look),
    }
}

fn missing(look: &Look) -> String {
    if look.word.is_empty() {
        return "the command is an empty word; name a program".into();
    }
    if look.whole_line {
        return "no file has this name, blanks included: a whole command line stands in one word; write each word by itself, as in [\"program\", \"argument\"]".into();
    }
    if look.searched.is_empty() {
        let place = look
            .missing_folder
            .as_ref()
            .map_or(String::new(), |folder| format!(" (there is no folder {folder})"));
        return format!("no such file{place}; correct the path, or put the program into the image");
    }
    let hint = did_you_mean(&look.word, look.names.iter().map(String::as_str));
    format!("not found in PATH ({}){hint}; install it, or give its full path", look.searched.join(":"))
}

fn existing(errno: Errno, found: &Found) -> String {
    let path = &found.path;
    if found.folder {
        return format!("{path} is a folder; name the program in it");
    }
    if found.noexec && errno == Errno::EACCES {
        return format!(
            "{path} is on a file system that is mounted noexec; mount it with exec, or move the program"
        );
    }
    if !found.executable {
        let (uid, gid) = found.owner;
        let remedy = if found.mode & 0o111 == 0 { "chmod +x" } else { "chmod o+x" };
        return format!(
            "{path} is not executable for its user (mode {:04o}, owner {uid}:{gid}); {remedy} {path}",
            found.mode
        );
    }
    match (&found.content, errno) {
        (Content::Script { carriage_return: true, interpreter }, _) => format!(
            "the first line of {path} ends in a carriage return, so that its interpreter is looked for as \"{}\\r\"; save it with unix line ends: sed -i 's/\\r$//' {path}",
            interpreter.0
        ),
        (Content::Script { interpreter: (name, false), .. }, _) if name.is_empty() => {
            format!("the first line of {path} is #! without an interpreter; write #!/bin/sh")
        }
        (Content::Script { interpreter: (name, false), .. }, _) => {
            format!(
                "the interpreter of {path}, {name}, is not there; install it, or correct the first line of the script"
            )
        }
        (Content::Elf { machine, .. }, _) if *machine != OWN_MACHINE && errno == Errno::ENOEXEC => format!(
            "{path} is a program for {}, this machine is {}; build the image for this platform (docker build --platform)",
            machine_name(*machine),
            machine_name(OWN_MACHINE)
        ),
        (Content::Elf { loader: Some((loader, false)), .. }, _) => {
            format!("the loader of {path}, {loader}, is not there: {}", loader_remedy(loader))
        }
        (Content::Empty, Errno::ENOEXEC) => format!("{path} is an empty file; copy the program again"),
        (Content::ByteOrderMark, _) => format!(
            "{path} begins with a byte order mark before #!; save it as UTF-8 without one: sed -i '1s/^\\xEF\\xBB\\xBF//' {path}"
        ),
        (Content::Text, Errno::ENOEXEC) => {
            format!("{path} is a text without a first line that names its interpreter; write #!/bin/sh")
        }
        (_, Errno::ENOEXEC) => format!("{path} is no program that this machine can run"),
        _ => format!("{path}: {}", word(errno)),
    }
}

fn loader_remedy(loader: &str) -> &'static str {
    if loader.contains("ld-musl") {
        "it was built for musl (Alpine); use an Alpine base image, install musl, or build it for glibc"
    } else if loader.contains("ld-linux") {
        "it was built for glibc; use a Debian, Ubuntu or Fedora base image, install gcompat on Alpine, or build it static"
    } else {
        "install the package that has it, or build the program static"
    }
}

/// `e_machine` of the machine that this rinit is built for.
const OWN_MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    0
};

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "x86 (386)".into(),
        8 => "mips".into(),
        20 => "powerpc".into(),
        21 => "powerpc64 (ppc64le)".into(),
        22 => "s390x".into(),
        40 => "arm (arm/v7)".into(),
        62 => "x86_64 (amd64)".into(),
        183 => "aarch64 (arm64)".into(),
        243 => "riscv64".into(),
        258 => "loongarch64".into(),
        other => format!("machine number {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Content) -> Look {
        let found = Found {
            path: "/app/run".into(),
            folder: false,
            mode: 0o755,
            owner: (0, 0),
            executable: true,
            noexec: false,
            content,
        };
        Look { word: "/app/run".into(), found: Some(found), ..Look::default() }
    }

    fn with(errno: Errno, look: &Look) -> String {
        explain(SpawnError { stage: Stage::Exec, errno }, look, None)
    }

    #[test]
    fn three_meanings_of_enoent_are_told_apart() {
        let missing =
            Look { word: "/app/run".into(), missing_folder: Some("/app".into()), ..Look::default() };
        assert!(with(Errno::ENOENT, &missing).contains("there is no folder /app"));
        let script = Content::Script { interpreter: ("/bin/bash".into(), false), carriage_return: false };
        assert!(with(Errno::ENOENT, &file(script)).contains("/bin/bash, is not there"));
        let elf = Content::Elf { machine: 62, loader: Some(("/lib64/ld-linux-x86-64.so.2".into(), false)) };
        let text = with(Errno::ENOENT, &file(elf));
        assert!(text.contains("ld-linux-x86-64.so.2, is not there") && text.contains("glibc"), "{text}");
    }

    #[test]
    fn every_other_reason_names_its_remedy() {
        let crlf = Content::Script { interpreter: ("/bin/sh".into(), true), carriage_return: true };
        assert!(with(Errno::ENOENT, &file(crlf)).contains("carriage return"));
        assert!(with(Errno::ENOEXEC, &file(Content::Empty)).contains("empty file"));
        let arm = Content::Elf { machine: if OWN_MACHINE == 183 { 62 } else { 183 }, loader: None };
        assert!(with(Errno::ENOEXEC, &file(arm)).contains("--platform"));
        let mut plain = file(Content::Text);
        if let Some(found) = &mut plain.found {
            found.executable = false;
            found.mode = 0o644;
        }
        assert!(with(Errno::EACCES, &plain).contains("chmod +x /app/run"));
        let typo = Look {
            word: "ngnix".into(),
            searched: vec!["/usr/sbin".into()],
            names: vec!["nginx".into()],
            ..Look::default()
        };
        assert!(with(Errno::ENOENT, &typo).contains("did you mean \"nginx\"?"));
        let line = Look {
            word: "app --serve".into(),
            searched: vec!["/bin".into()],
            whole_line: true,
            ..Look::default()
        };
        assert!(with(Errno::ENOENT, &line).contains("one word"));
    }

    #[test]
    fn exit_codes_are_the_shells() {
        let code = |stage, errno| exit_code(SpawnError { stage, errno });
        assert_eq!(code(Stage::Exec, Errno::ENOENT), 127);
        assert_eq!(code(Stage::Exec, Errno::EACCES), 126);
        assert_eq!(code(Stage::Exec, Errno::ENOEXEC), 126);
        assert_eq!(code(Stage::Credentials, Errno::EPERM), 71);
    }
}
