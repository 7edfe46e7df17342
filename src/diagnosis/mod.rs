//! Explains why a program could not be started: what, where, what was found, what to do. The kernel returns ENOENT for
//! a missing file, a missing interpreter and a missing loader alike; this tells them apart. Pure: the facts come from
//! [`crate::sys::executable::lookup`].

mod early;
mod exited;
mod hints;
mod preflight;
#[cfg(test)]
mod tests;
pub mod unbound;
pub mod unreachable;

use crate::cli::Persona;
use crate::exit_code;
use crate::sys::Errno;
use crate::sys::executable::format::Content;
use crate::sys::executable::lookup::{Barrier, DeadLink, ExecFacts, Found, Obstacle};
use crate::sys::fs::access::Origin;
use crate::sys::fs::stat::Access;
use crate::sys::process::rlimits::TooHigh;
use crate::sys::process::spawn::{SpawnError, Stage};
use crate::text::shell_words;
use crate::text::template::fill;
use crate::text::units::{show_size, show_ulimit};
pub use early::{is_operator, killed_by, told_by};
pub use exited::{at_once, background, killed, never_healthy};
pub use preflight::why_not;

/// Asks why a program that was started has ended with 2, 126 or 127: typical for a script's interpreter, or env(1),
/// that cannot use the script or its first line. Other programs report errors themselves.
pub const STARTED: SpawnError = SpawnError { stage: Stage::Exec, errno: Errno::UnknownErrno };

/// Returns the exit code for a program that could not be started: as the shell, tini and Docker use it, or the one for
/// a failed system call before that.
#[must_use]
pub fn exit_code(error: SpawnError) -> u8 {
    match (error.stage, error.errno) {
        (Stage::Exec, Errno::ENOENT | Errno::ENOTDIR) => exit_code::NOT_FOUND,
        (Stage::Exec, _) => exit_code::NOT_EXECUTABLE,
        _ => exit_code::OS_ERROR,
    }
}

/// Returns the exit code and message of the init that rinit stands in for.
#[must_use]
pub fn as_said_by(persona: Persona, error: SpawnError, program: &str) -> (u8, String) {
    let why = crate::sys::describe(error.errno);
    let unmade = error.stage == Stage::Fork;
    match persona {
        _ if unmade => (1, ["fork failed: ", why].concat()),
        Persona::DumbInit => (2, [program, ": ", why].concat()),
        Persona::Catatonit => (1, ["failed to exec pid1: ", why].concat()),
        Persona::Tini | Persona::Rinit => {
            let code = match error.errno {
                Errno::ENOENT => exit_code::NOT_FOUND,
                Errno::EACCES => exit_code::NOT_EXECUTABLE,
                _ => exit_code::FAILURE,
            };
            (code, ["exec ", program, " failed: ", why].concat())
        }
    }
}

/// Explains the failure in one line: what, where, what is wrong, what to do.
#[must_use]
pub fn explain(error: SpawnError, look: &ExecFacts) -> String {
    if error == STARTED {
        return first_line(look).or_else(|| early::misread(look)).unwrap_or_default();
    }
    let why = match error.stage {
        Stage::Exec => exec(error.errno, look),
        Stage::Fork => fork(error.errno, look),
        Stage::Credentials => credentials(error.errno, look),
        Stage::Directory => {
            let found = look.no_directory.as_ref().map(|obstacle| in_the_way(obstacle, look));
            let found = found.unwrap_or_else(|| word(error.errno).into());
            let or = if found.contains("; ") { "or " } else { "" };
            fill!("working directory {}: {}; {}correct working_dir", &look.directory, &found, or)
        }
        Stage::Ulimits => ulimit(error.errno, look),
        Stage::Privileges if error.errno == Errno::EINVAL => {
            "cpu_affinity: this container may use none of these processors; name some of Cpus_allowed_list (grep Cpus_allowed_list /proc/self/status)".into()
        }
        Stage::Privileges => fill!(
            "nice, ionice, cpu_affinity, cap_add or cap_drop: {}; this container does not allow it",
            crate::sys::describe(error.errno)
        ),
        Stage::Group | Stage::Stdio => word(error.errno).into(),
    };
    fill!("cannot start \"{}\": {}", &look.word, &why)
}

/// Returns the system's message for an error, in lower case.
fn word(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "no such file or directory",
        Errno::EACCES => {
            "permission denied, though its mode allows it; an ACL, SELinux or AppArmor may forbid it (see the host's log)"
        }
        Errno::EPERM => {
            "operation not permitted; it may have file capabilities that this container is not given: add them (docker run --cap-add), or remove them from the file (setcap -r)"
        }
        Errno::ENOMEM => "out of memory",
        Errno::EAGAIN => {
            "its user has as many processes as its limit allows (ulimit -u); raise that (docker run --ulimit nproc=N)"
        }
        Errno::E2BIG => "its arguments and environment are too long",
        Errno::ELOOP => "too many symbolic links, or interpreters of interpreters",
        Errno::ETXTBSY => "the file is open for writing",
        other => crate::sys::describe(other),
    }
}

fn fork(errno: Errno, look: &ExecFacts) -> String {
    match (errno, look.most) {
        (Errno::EAGAIN, (Some(most), _)) => fill!("no process could be made: the container has as many as it may have (pids.max is {}); raise that (docker run --pids-limit), or run fewer", &most.to_string()),
        (Errno::EAGAIN, (None, _)) => {
            "no process could be made: the limit of the user (ulimit -u) or of the machine (kernel.threads-max, kernel.pid_max) is reached".into()
        }
        (Errno::ENOMEM, (_, Some(most))) => fill!("no process could be made: out of memory, limit {}; raise that (docker run --memory)", &show_size(most)),
        _ => fill!("no process could be made: {}", word(errno)),
    }
}

fn ulimit(errno: Errno, look: &ExecFacts) -> String {
    look.too_high.as_ref().map_or_else(|| fill!("ulimits: {}", word(errno)), too_high)
}

/// Explains why a limit cannot be set, and how to be given it.
#[must_use]
pub fn too_high(refused: &TooHigh) -> String {
    let TooHigh { limit, most, for_anybody } = refused;
    let (name, docker, most) = (limit.name, &show_ulimit(limit.hard), &most.to_string());
    let wanted = if limit.hard == u64::MAX { "unlimited" } else { docker };
    if *for_anybody {
        return fill!(
            "ulimits: {} {} is more than the kernel has for anybody (sysctl fs.nr_open is {}); ask for at most {}",
            name,
            wanted,
            most,
            most
        );
    }
    fill!(
        "ulimits: {} {} is above the hard limit, {}, which rinit may not raise here; docker run --ulimit {}={}, or ask for at most {}",
        name,
        wanted,
        most,
        name,
        docker,
        most
    )
}

fn credentials(errno: Errno, look: &ExecFacts) -> String {
    let lacks: Vec<&str> = look.lacks.iter().copied().filter(|name| name.starts_with("SET")).collect();
    if !look.root {
        return fill!(
            "it is to run as {}, and rinit, which is not root, may not become another user; start the container as root (docker run --user 0, no USER in the Dockerfile), or drop user from the configuration",
            &look.viewer.who
        );
    }
    if errno == Errno::EPERM && !lacks.is_empty() {
        return fill!(
            "to run it as {} rinit needs {}, capabilities that this container is not given; docker run --cap-add {}, or drop user from the configuration",
            &look.viewer.who,
            &lacks.join(" and "),
            &lacks.join(" --cap-add ")
        );
    }
    fill!(
        "it cannot be run as {}: {}; the user namespace does not have that user or group, or forbids it (/proc/self/uid_map, gid_map, setgroups)",
        &look.viewer.who,
        crate::sys::describe(errno)
    )
}

/// Describes a dangling link and its remedy.
#[must_use]
pub fn dead_link(link: &DeadLink) -> String {
    let DeadLink { path, target, circle } = link;
    if *circle {
        return fill!(
            "{} is a link to {}, which leads round in a circle of links; correct the link (ls -l {})",
            path,
            target,
            path
        );
    }
    fill!(
        "{} is a link to {}, which is not there; install what it leads to, or correct the link",
        path,
        target
    )
}

fn in_the_way(obstacle: &Obstacle, look: &ExecFacts) -> String {
    match obstacle {
        Obstacle::Missing(directory) => fill!(
            "there is no directory {}; make it (in the Dockerfile: RUN mkdir -p {})",
            directory,
            &look.directory
        ),
        Obstacle::Dead(link) => dead_link(link),
        Obstacle::File(path) => fill!("{} is a file, not a directory", path),
        Obstacle::Closed(barrier) => unreachable::line(barrier, &look.viewer),
    }
}

/// Returns `(mode 0640, owner root:root); chmod o+x PATH`, or another remedy that lets the user execute it.
fn mend(found: &Found, bits: &str, look: &ExecFacts) -> String {
    let Found { path, rights, .. } = found;
    let barrier = Barrier {
        path: path.clone(),
        rights: rights.clone(),
        access: if rights.execute { Access::Read } else { Access::Execute },
        dir: false,
        socket: false,
        on_the_way: false,
    };
    let mode = format!("{:04o}", rights.mode);
    let remedy = unreachable::remedy(&barrier, &look.viewer, bits);
    fill!("(mode {}, owner {}); {}", &mode, &rights.owner, &remedy)
}

fn exec(errno: Errno, look: &ExecFacts) -> String {
    if let Some(found) = look.too_long.as_ref().filter(|_| errno == Errno::E2BIG) {
        return early::too_long(found);
    }
    // An empty word resolves to the working directory, which exists.
    if look.word.is_empty() {
        return "the name of the program is empty; give one".into();
    }
    match (&look.obstacle, &look.found) {
        (Some(Obstacle::Closed(barrier)), None) if !look.searched.is_empty() => fill!(
            "not found in PATH ({}), as far as that may be searched: {}, or put the program into another directory of PATH",
            &look.searched.join(":"),
            &unreachable::line(barrier, &look.viewer)
        ),
        (Some(obstacle @ (Obstacle::Closed(..) | Obstacle::File(_))), _) => in_the_way(obstacle, look),
        (_, Some(found)) => existing(errno, found, look),
        (_, None) => missing(look),
    }
}

fn missing(look: &ExecFacts) -> String {
    if let Some(told) = early::shell_word(look) {
        return told;
    }
    if look.whole_line {
        let plain = |_| look.word.split_whitespace().map(str::to_string).collect();
        let words = shell_words::split(&look.word).unwrap_or_else(plain);
        return fill!(
            "no file has this name, blanks included: a whole command line stands in one word; write each word by itself: {}",
            &early::list(words.iter().map(String::as_str))
        );
    }
    let path = if look.path.is_empty() { &look.word } else { &look.path };
    if let Some(link) = &look.dead {
        // The link may be a parent directory.
        let before = if link.path == *path { String::new() } else { fill!("no such file: {}: ", path) };
        return [&before, &*dead_link(link)].concat();
    }
    let mut text = match (&look.obstacle, look.searched.is_empty()) {
        (Some(Obstacle::Missing(directory)), true) => {
            fill!("no such file: {}; there is no directory {}", &look.path, directory)
        }
        (_, true) => fill!("no such file: {}", &look.path),
        (_, false) => fill!("not found in PATH ({})", &look.searched.join(":")),
    };
    text.push_str(&instead(look));
    text
}

/// Suggests what may have been meant, and what to do.
fn instead(look: &ExecFacts) -> String {
    let by_path = look.searched.is_empty();
    if let Some(path) = &look.elsewhere {
        let end = if by_path { "" } else { ", or add its directory to PATH" };
        return fill!("; it is at {}: give that path{}", path, end);
    }
    let name = look.word.rsplit('/').next().unwrap_or("");
    // A trait object, so that the search is compiled once.
    let known: &mut dyn Iterator<Item = &str> = &mut look.names.iter().map(String::as_str);
    if !by_path && hints::RINITCTL.contains(&name) {
        return fill!("; what a running rinit does is asked with rinitctl {}", name);
    }
    let hint = hints::program_meant(name, known)
        .map_or_else(String::new, |known| fill!("; did you mean \"{}\"?", known));
    if let Some(point) = &look.covered {
        return fill!(
            "{}; {} is a mount of its own, a volume for example, which hides what the image has there: mount it elsewhere, or put the program elsewhere",
            &hint,
            point
        );
    }
    let end = if by_path {
        "correct the path, or put the program into the image"
    } else {
        "install it, or give its full path"
    };
    otherwise(&hint, end)
}

/// Returns `; did you mean "web"? If not, …`, or only the second part.
#[must_use]
pub fn otherwise(hint: &str, end: &str) -> String {
    fill!("{}{}{}", hint, if hint.is_empty() { "; " } else { " If not, " }, end)
}

fn existing(errno: Errno, found: &Found, look: &ExecFacts) -> String {
    let path = &found.path;
    if found.directory {
        return fill!("{} is a directory; name the program in it", path);
    }
    if let Content::Special(kind) = found.content {
        return fill!("{} is {}, no program; put the program there, or correct the path", path, kind);
    }
    if let Some(point) = found.noexec.as_ref().filter(|_| errno == Errno::EACCES) {
        return fill!(
            "{} lies on {}, which is mounted noexec; mount that with exec (docker run --tmpfs {}:exec), or put the program elsewhere",
            path,
            point,
            point
        );
    }
    if !found.rights.execute {
        let bits = if hidden(found) { "rx" } else { "x" };
        let image = found.rights.origin == Origin::Image;
        let build = if image { " (in a Dockerfile: COPY --chmod=755)" } else { "" };
        return fill!(
            "{} is not executable for {} {}{}",
            path,
            &look.viewer.who,
            &mend(found, bits, look),
            build
        );
    }
    match (&found.content, errno) {
        (Content::Script { .. }, _) => script(errno, found, look),
        (Content::Elf { machine, .. }, Errno::ENOEXEC) if *machine != hints::OWN_MACHINE => fill!(
            "{} is a program for {}, this machine is {}; build the image for this platform (docker build --platform)",
            path,
            &hints::machine(*machine),
            &hints::machine(hints::OWN_MACHINE)
        ),
        (Content::Elf { loader: Some((loader, false)), .. }, _) => {
            if let Some(link) = &look.dead {
                return fill!("the loader of {}, {}, is not there: {}", path, loader, &dead_link(link));
            }
            fill!("the loader of {}, {}, is not there; {}", path, loader, hints::loader(loader))
        }
        (Content::Empty, Errno::ENOEXEC) => fill!("{} is an empty file; copy the program again", path),
        (Content::ByteOrderMark, _) => fill!(
            "{} begins with a byte order mark, before #!; save it as UTF-8 without one: sed -i '1s/^\\xEF\\xBB\\xBF//' {}",
            path,
            path
        ),
        (Content::Foreign(system), _) => {
            fill!("{} is a program for {}; build it for Linux, best in the image itself", path, system)
        }
        (Content::Text, Errno::ENOEXEC) => fill!(
            "{} is a text without a first line that names its interpreter; begin it with #!/bin/sh",
            path
        ),
        (_, Errno::ENOEXEC) => fill!("{} is no program that this machine can run; is it complete?", path),
        _ => fill!("{}: {}", path, word(errno)),
    }
}

/// Returns whether it may be a script that its interpreter, run by the same user, could not read.
fn hidden(found: &Found) -> bool {
    !found.rights.read
        && match found.content {
            Content::Script { .. } | Content::Text => true,
            // Only programs have these bits set.
            Content::Unreadable => found.rights.mode & 0o6000 == 0,
            _ => false,
        }
}

/// Explains an executable script whose interpreter cannot be started.
fn script(errno: Errno, script: &Found, look: &ExecFacts) -> String {
    let path = &script.path;
    let Content::Script { interpreter, found, asked, carriage_return } = &script.content else {
        return String::new();
    };
    if interpreter.is_empty() {
        return fill!("the first line of {} is #! without an interpreter; write #!/bin/sh", path);
    }
    if let Some(last) = carriage_return {
        return carriage(path, last, asked.as_ref().unwrap_or(interpreter));
    }
    match found {
        Some(found) if found.path != *path => fill!(
            "{} is a script, and its interpreter cannot be started: {}",
            path,
            &existing(errno, found, look)
        ),
        Some(_) => fill!("{} names itself as its interpreter; correct its first line", path),
        None => match &look.dead {
            Some(link) => {
                fill!("the interpreter of {}, {}, is not there: {}", path, interpreter, &dead_link(link))
            }
            None => fill!(
                "the interpreter of {}, {}, is not there; {}",
                path,
                interpreter,
                &has_interpreter(interpreter, look)
            ),
        },
    }
}

/// Returns where a missing interpreter is, or which image has it.
fn has_interpreter(name: &str, look: &ExecFacts) -> String {
    let elsewhere = look.elsewhere.as_ref();
    let mend = elsewhere.map(|path| fill!("it is at {}: write that into the first line", path));
    mend.unwrap_or_else(|| hints::interpreter(name).into())
}

fn carriage(path: &str, last: &str, interpreter: &str) -> String {
    let is = if last == interpreter { "looked for as" } else { "given" };
    fill!(
        "the first line of {} ends in a carriage return, so that its interpreter is {} \"{}\\r\"; save it with unix line ends: sed -i 's/\\r$//' {}",
        path,
        is,
        last,
        path
    )
}

/// Explains a script whose first line started an interpreter, or env(1), that could not use its arguments.
fn first_line(look: &ExecFacts) -> Option<String> {
    let found = look.found.as_ref()?;
    if hidden(found) {
        return Some(fill!(
            "{} is not readable for {}, as a script must be {}",
            &found.path,
            &look.viewer.who,
            &mend(found, "rx", look)
        ));
    }
    if found.content == Content::Text {
        return Some(fill!(
            "{} has no first line that names its interpreter, so that /bin/sh ran it; begin it with that of the shell that it was written for, such as #!/bin/bash",
            &found.path
        ));
    }
    let Content::Script { interpreter, asked, carriage_return, .. } = &found.content else { return None };
    if let Some(last) = carriage_return {
        return Some(carriage(&found.path, last, asked.as_ref().unwrap_or(interpreter)));
    }
    let asked = asked.as_ref().filter(|_| look.env_fails)?;
    Some(fill!(
        "the first line of {} asks env for {}, which is not in PATH; {}",
        &found.path,
        asked,
        &has_interpreter(asked, look)
    ))
}
