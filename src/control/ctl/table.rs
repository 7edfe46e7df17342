//! The table of rinitctl's verbs and options: the source of parsing, `--help` and completions.

use super::{
    CtlError, CtlRequest, check, events, exec, graph, health, logs, metrics, orders, status, timeline, wait,
};

/// An option of one verb or of all.
#[derive(Debug)]
pub(super) struct CtlOption {
    /// The long name, without dashes.
    pub long: &'static str,
    /// The short name; NUL: none.
    pub short: char,
    /// The name of its value; empty: a flag.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The allowed values; empty: any.
    pub words: &'static [&'static str],
}

/// The operands of a verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operands {
    /// Nothing.
    None,
    /// Services; none means all.
    Names,
    /// One or more services.
    SomeNames,
    /// A signal, then one or more services.
    SignalAndNames,
    /// A service, then a command.
    NameAndCommand,
    /// A shell.
    Shell,
    /// Names other than services.
    Words,
}

/// A verb.
#[derive(Debug)]
pub(super) struct CtlVerb {
    /// Its name.
    pub name: &'static str,
    /// Its operands, for `--help`.
    pub usage: &'static str,
    /// Its operands, for parsing and completions.
    pub operands: Operands,
    /// One line of help.
    pub help: &'static str,
    /// Further lines for its own `--help`.
    pub more: &'static str,
    /// An example command line.
    pub example: &'static str,
    /// Its options, besides the common ones.
    pub options: &'static [&'static CtlOption],
    /// Runs it.
    pub run: fn(&CtlRequest<'_>) -> Result<u8, CtlError>,
}

const fn flag(long: &'static str, short: char, help: &'static str) -> CtlOption {
    CtlOption { long, short, value: "", help, words: &[] }
}

const fn valued(long: &'static str, short: char, value: &'static str, help: &'static str) -> CtlOption {
    CtlOption { long, short, value, help, words: &[] }
}

pub(super) static SOCKET: CtlOption =
    valued("socket", 's', "PATH", "where rinit listens (default: $RINIT_SOCKET, else /run/rinit.sock)");
pub(super) static HELP: CtlOption = flag("help", 'h', "print this");
pub(super) static VERSION: CtlOption = flag("version", 'V', "print the version");
pub(super) static JSON: CtlOption = flag("json", 'j', "print JSON");
pub(super) static WATCH: CtlOption = flag("watch", 'w', "go on, and print it again when something changes");
pub(super) static FOLLOW: CtlOption = flag("follow", 'f', "go on with what comes");
pub(super) static LINES: CtlOption = valued("lines", 'n', "LINES", "the last lines of each service");
pub(super) static REOPEN: CtlOption =
    flag("reopen", '\0', "open all log files anew, after something has moved them (logrotate)");
pub(super) static DRY_RUN: CtlOption = flag("dry-run", 'n', "only tell what would change");
pub(super) static NO_WAIT: CtlOption = flag("no-wait", '\0', "do not wait for the result");
pub(super) static TIMEOUT: CtlOption =
    valued("timeout", 't', "TIME", "wait at most so long, then end with 124");
pub(super) static ONLY: CtlOption = flag("only", '\0', "leave alone what depends on it");
pub(super) static ROLLING: CtlOption =
    flag("rolling", '\0', "one after the other, each when the one before is ready again");
pub(super) static HEALTHY: CtlOption =
    flag("healthy", '\0', "until healthy or running, or done (the default)");
pub(super) static STOPPED: CtlOption = flag("stopped", '\0', "until no process is left");
pub(super) static COMPLETED: CtlOption = flag("completed", '\0', "until done with success");
pub(super) static CODE: CtlOption = valued("code", '\0', "CODE", "the exit code of rinit, 0 to 255");
pub(super) static GRAPH_FORMAT: CtlOption = CtlOption {
    words: &["text", "dot", "mermaid"],
    ..valued("format", '\0', "FORMAT", "text, dot or mermaid (default: text)")
};
pub(super) static TIMELINE_FORMAT: CtlOption = CtlOption {
    words: &["text", "svg"],
    ..valued("format", '\0', "FORMAT", "text or svg (default: text on a terminal, else svg)")
};
pub(super) static METRICS_FORMAT: CtlOption = CtlOption {
    words: &["openmetrics", "prometheus"],
    ..valued("format", '\0', "FORMAT", "openmetrics or prometheus (default: openmetrics)")
};

/// Options of every verb.
pub(super) static COMMON: [&CtlOption; 3] = [&SOCKET, &HELP, &VERSION];

/// Shells with completions.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What the scripts request from `completions`: service names.
pub(super) const NAMES: &str = "names";

/// All verbs; the first is the default.
pub(super) static VERBS: &[CtlVerb] = &[
    CtlVerb {
        name: "status",
        usage: "[NAME]...",
        operands: Operands::Names,
        help: "what runs, how it is, since when, and why not",
        more: "Ends with 3 when a service that was named does not run, with 4 when there is none of that name.",
        example: "rinitctl status --json web 'worker-*'",
        options: &[&JSON, &WATCH],
        run: status::run,
    },
    CtlVerb {
        name: "start",
        usage: "NAME...",
        operands: Operands::SomeNames,
        help: "start services and what they need",
        more: "Waits until each is ready, or has run for a second. One that was given up gets all its attempts again.",
        example: "rinitctl start --timeout 30s web",
        options: &[&NO_WAIT, &TIMEOUT],
        run: orders::start,
    },
    CtlVerb {
        name: "stop",
        usage: "NAME...",
        operands: Operands::SomeNames,
        help: "stop services, first what depends on them",
        more: "They are not started again until somebody says so. The container goes on, with nothing left too.",
        example: "rinitctl stop web",
        options: &[&ONLY, &NO_WAIT, &TIMEOUT],
        run: orders::stop,
    },
    CtlVerb {
        name: "restart",
        usage: "NAME...",
        operands: Operands::SomeNames,
        help: "stop and start services; start those that are stopped",
        more: "Waits as start does. A rolling restart ends at the first that does not get ready: then it ends with 1.",
        example: "rinitctl restart --rolling web",
        options: &[&ROLLING, &NO_WAIT, &TIMEOUT],
        run: orders::restart,
    },
    CtlVerb {
        name: "reload",
        usage: "",
        operands: Operands::None,
        help: "read the configuration anew, and start, stop and restart what has changed",
        more: "What has not changed is not touched. A configuration with a fault is refused as a whole.",
        example: "rinitctl reload --dry-run",
        options: &[&DRY_RUN],
        run: orders::reload,
    },
    CtlVerb {
        name: "signal",
        usage: "SIGNAL NAME...",
        operands: Operands::SignalAndNames,
        help: "send a signal to the first process of services",
        more: "SIGNAL is a name with or without SIG, or a number.",
        example: "rinitctl signal HUP web",
        options: &[],
        run: orders::signal,
    },
    CtlVerb {
        name: "logs",
        usage: "[NAME]...",
        operands: Operands::Names,
        help: "the last lines of services, and what comes",
        more: "rinit keeps the last 4 KiB of each service whose output it relays (logging = \"prefix\", \"json\" or \"file\").",
        example: "rinitctl logs -f -n 20 web",
        options: &[&FOLLOW, &LINES, &REOPEN],
        run: logs::run,
    },
    CtlVerb {
        name: "wait",
        usage: "NAME...",
        operands: Operands::SomeNames,
        help: "wait until services are ready, stopped or done",
        more: "Ends with 1 as soon as that cannot come any more, with 124 when the time is over.",
        example: "rinitctl wait --healthy --timeout 1m web",
        options: &[&HEALTHY, &STOPPED, &COMPLETED, &TIMEOUT],
        run: wait::run,
    },
    CtlVerb {
        name: "healthcheck",
        usage: "[NAME]...",
        operands: Operands::Names,
        help: "end with 0 when all that should be is healthy or running, else with 1",
        more: "It answers within a second, even where rinit does not.",
        example: "HEALTHCHECK CMD [\"rinitctl\", \"healthcheck\"]",
        options: &[],
        run: health::run,
    },
    CtlVerb {
        name: "check",
        usage: "[CHECK]...",
        operands: Operands::Words,
        help: "run the checks of the start now: all, or kinds or names",
        more: "They see the environment that rinit was started with, where this user may read it.",
        example: "rinitctl check tcp",
        options: &[&JSON],
        run: check::run,
    },
    CtlVerb {
        name: "events",
        usage: "[NAME]...",
        operands: Operands::Names,
        help: "what has happened, and what comes",
        more: "rinit keeps the last 512. What was lost is told with its count.",
        example: "rinitctl events -f --json",
        options: &[&FOLLOW, &JSON],
        run: events::run,
    },
    CtlVerb {
        name: "graph",
        usage: "",
        operands: Operands::None,
        help: "what depends on what",
        more: "",
        example: "rinitctl graph --format dot | dot -Tsvg > graph.svg",
        options: &[&GRAPH_FORMAT],
        run: graph::run,
    },
    CtlVerb {
        name: "timeline",
        usage: "[NAME]...",
        operands: Operands::Names,
        help: "the first start: who waited, started and was ready when",
        more: "",
        example: "rinitctl timeline > boot.svg",
        options: &[&TIMELINE_FORMAT],
        run: timeline::run,
    },
    CtlVerb {
        name: "metrics",
        usage: "",
        operands: Operands::None,
        help: "numbers for Prometheus, as OpenMetrics text",
        more: "",
        example: "rinitctl metrics",
        options: &[&METRICS_FORMAT],
        run: metrics::run,
    },
    CtlVerb {
        name: "exec",
        usage: "NAME -- COMMAND [ARG]...",
        operands: Operands::NameAndCommand,
        help: "run a command as a service is run: user, environment, directory, limits",
        more: "For root and the user that rinit runs as: the environment may hold secrets.",
        example: "rinitctl exec web -- sh",
        options: &[],
        run: exec::run,
    },
    CtlVerb {
        name: "shutdown",
        usage: "",
        operands: Operands::None,
        help: "stop everything in order, and end rinit",
        more: "",
        example: "rinitctl shutdown --code 3",
        options: &[&CODE, &NO_WAIT, &TIMEOUT],
        run: orders::shutdown,
    },
    CtlVerb {
        name: "completions",
        usage: "SHELL",
        operands: Operands::Shell,
        help: "print what makes bash, zsh or fish complete verbs, options and services",
        more: "",
        example: "rinitctl completions bash > /etc/bash_completion.d/rinitctl",
        options: &[],
        run: super::completions::run,
    },
];

/// Finds a verb by name.
pub(super) fn verb(name: &str) -> Option<&'static CtlVerb> {
    VERBS.iter().find(|verb| verb.name == name)
}

impl CtlVerb {
    /// Returns its own options and the common ones.
    pub(super) fn all_options(&self) -> impl Iterator<Item = &'static CtlOption> {
        self.options.iter().chain(&COMMON).copied()
    }
}
