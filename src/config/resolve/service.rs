//! One `[services.NAME]` table, without what it says of other services.

use super::depends_on::{self, Draft};
use super::main::MainCommand;
use super::{
    DEFAULTS, environment, health, hooks, logging, main, privileges, readiness, restart, schedule,
    service_hooks, sockets, ulimits, words,
};
use crate::config::read::condition;
use crate::config::read::interpolate::Scope;
use crate::config::read::scalar;
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::diagnostic::{SourceMap, Span};
use crate::config::source::document::{Node, Value};
use crate::config::{ExportEnv, GateCheck, Logging, Off, ProbeSpec, ProgramSettings, UserSpec};
use crate::model::{HookKind, KillMode, ServicePolicy, ServiceType};
use crate::text::assignments::is_name;
use crate::text::escape::escaped;
use crate::text::template::fill;
use std::ffi::CString;
use std::time::Duration;

/// What is being read, and from where.
pub struct ServiceSite<'p> {
    /// NAME.
    pub name: &'p str,
    /// Where NAME stands.
    pub at: Option<Span>,
    /// Its table.
    pub node: &'p Node,
    /// `[defaults]`.
    pub defaults: Option<&'p Node>,
    /// The files, whose directories relative paths begin at.
    pub sources: &'p SourceMap,
}

/// Reads a service, or this instance of one that has `replicas`. `command` is the COMMAND when it is `main`.
pub fn read(
    outer: &ReadContext<'_>,
    place: &ServiceSite<'_>,
    instance: u16,
    command: Option<MainCommand<'_>>,
) -> Draft {
    let variable = |name: &str| match name {
        "RINIT_SERVICE" => Some(place.name.to_string()),
        "RINIT_INSTANCE" if instance > 0 => Some(instance.to_string()),
        _ => (outer.scope.variable)(name),
    };
    let reading = ReadContext::new(Scope { variable: &variable, ..outer.scope });
    let path = fill!("services.{}", place.name);
    let mut draft = Draft::new(place.name, place.at, command.is_some());
    if instance > 0 {
        draft.service.name = fill!("{}.{}", place.name, &instance.to_string());
        draft.service.program.instance = instance;
    }
    if let Some(table) = Table::open(&reading, path, place.at.unwrap_or_default(), place.node) {
        let table = table.with_fallback(place.defaults);
        draft.service.off = off(&table, command);
        if draft.service.off.is_some() {
            reading.forgive_unset();
        }
        fill(&table, place.sources, &mut draft, command);
        table.close();
    }
    outer.absorb(reading.into_faults());
    draft
}

/// Reads `[defaults]` for the faults in it, which would be told for no service if there is none.
pub fn check_defaults(table: &Table<'_>, sources: &SourceMap) {
    const OWN: &[&str] = &[
        "command",
        "depends_on",
        "after",
        "type",
        "when_command",
        "export_env",
        "replicas",
        "pid_file",
        "sockets",
        "start",
    ];
    let reading = table.reading();
    for entry in table.entries().iter().filter(|entry| OWN.contains(&entry.key.as_str())) {
        let key = &entry.key;
        let message = fill!("defaults.{}: is each service's own; write it under [services.NAME]", key);
        reading.fault(entry.at, message);
    }
    health::check_defaults(table);
    // Unset variables are told where they are used, if they are.
    let lenient = ReadContext::new(reading.scope);
    lenient.forgive_unset();
    let node = Node { value: Value::Table(table.entries().to_vec()), at: table.at };
    if let Some(shadow) = Table::open(&lenient, table.path.clone(), table.at, &node) {
        let mut draft = Draft::new(DEFAULTS, None, false);
        let _ = off(&shadow, None);
        shadow.ignore(OWN);
        keys(&shadow, sources, &mut draft);
        shadow.close();
    }
    reading.absorb(lenient.into_faults());
}

/// Why it is off. A COMMAND that was typed runs, whatever the file says.
fn off(table: &Table<'_>, command: Option<MainCommand<'_>>) -> Option<Off> {
    let enabled = table.flag("enabled");
    let is_main = command.is_some();
    let profiles = profiles(table);
    let condition = if is_main { condition::condition_of_main(table) } else { condition::condition(table) };
    if command.is_some_and(|command| !command.words.is_empty()) {
        return None;
    }
    if command.is_some() && !table.has("command") {
        return Some(Off::NoCommand);
    }
    if enabled == Some(false) {
        return Some(Off::Disabled);
    }
    if profiles.is_some() {
        return profiles;
    }
    condition.err().map(Off::Skipped)
}

/// Why it is off, when it has profiles and none of them is on.
fn profiles(table: &Table<'_>) -> Option<Off> {
    const KEY: &str = "profiles";
    let own = table.list(KEY)?;
    if own.is_empty() {
        table.fault(KEY, "is an empty list; name a profile, or drop the key");
    }
    let asked = table.reading().scope.start.profiles;
    if own.is_empty() || asked.iter().any(|one| one == "*" || own.contains(one)) {
        return None;
    }
    let names = own.join(" or ");
    Some(Off::Profiles(fill!("its profile is not on: start rinit with --profile {}", names)))
}

fn fill(table: &Table<'_>, sources: &SourceMap, draft: &mut Draft, command: Option<MainCommand<'_>>) {
    // What the clock starts ends by itself.
    let standard = if schedule::is_written(table) { ServiceType::Oneshot } else { ServiceType::default() };
    let kind = table.word("type").unwrap_or(standard);
    draft.service.rules.kind = kind;
    keys(table, sources, draft);
    depends_on::read(table, draft);
    // Read before, by `replicas`.
    table.ignore(&[super::replicas::KEY]);
    let directory = table.node("command").is_some_and(|node| matches!(node.value, Value::Table(_)));
    let written = argv(table);
    if directory && table.has("command") {
        if kind != ServiceType::Oneshot {
            table.fault("command", "a directory of scripts is for a oneshot; give it type = \"oneshot\"");
        }
        // Each script has a session of its own.
        if table.node("kill_mode").is_none() {
            draft.service.rules.kill_mode = KillMode::All;
        }
    }
    match command {
        Some(command) => {
            if table.has(super::replicas::KEY) {
                table.fault(super::replicas::KEY, "the COMMAND is one process; give another service the key");
            }
            main::check_when_command(table);
            main::check_prepend_for(table);
            if table.flag("essential") == Some(false) {
                table.fault("essential", "found false, but rinit ends with main in any case; drop the key");
            }
            draft.service.rules.essential = true;
            draft.service.program.argv = command.argv(written);
        }
        None => {
            if !table.has("command") {
                table.fault_here("has no command; expected command = [\"program\", \"argument\"]");
            }
            draft.service.program.argv = written.unwrap_or_default();
        }
    }
}

fn argv(table: &Table<'_>) -> Option<Vec<CString>> {
    // `[defaults]` has none; what is written there is told as a fault of its own.
    if !table.has("command") {
        let _ = table.node("command");
        return None;
    }
    if matches!(table.node("command")?.value, Value::Table(_)) {
        let below = table.table("command")?;
        let found = hooks::command(&below);
        below.close();
        return Some(words(found));
    }
    Some(words(table.command("command")?))
}

/// All keys that `[defaults]` may have too.
#[expect(clippy::too_many_lines, reason = "one table")]
fn keys(table: &Table<'_>, sources: &SourceMap, draft: &mut Draft) {
    let kind = draft.service.rules.kind;
    let standard = ServicePolicy::default();
    let health = health::read(table, kind);
    let (rules_health, probe, probe_user) =
        health.map_or((None, None, None), |found| (Some(found.rules), found.probe, found.user));
    let reports = readiness::read(table, kind);
    let stop_grace = table.duration("stop_grace_period").unwrap_or(standard.stop_grace);
    let (hooks, hook_commands) = service_hooks::read(table, kind, stop_grace);
    let post_start = hooks.as_ref().and_then(|hooks| hooks.of(HookKind::PostStart));
    let says_so = rules_health.is_some() || reports.is_some() || post_start.is_some();
    let start_timeout = start_timeout(table, kind != ServiceType::Daemon || says_so);
    let min_uptime = min_uptime(table, kind, start_timeout);
    let (sockets, on_demand) = sockets::read(table, draft, kind);
    if let (Some(sockets), Some((_, reports))) = (&sockets, &reports) {
        sockets::check_notify(table, sockets, reports);
    }
    draft.service.rules = ServicePolicy {
        kind,
        enabled: draft.service.off.is_none(),
        // A job that fails is started again by the clock.
        essential: table.flag("essential").unwrap_or(!schedule::is_written(table)),
        depends_on: Vec::new(),
        restart: restart::read(table, kind, draft.is_main),
        success: restart::outcomes(table, "success_exit_codes"),
        on_demand,
        start_timeout,
        run_timeout: limit(table, "run_timeout"),
        stop_signal: table.signal("stop_signal").unwrap_or(standard.stop_signal),
        stop_grace,
        kill_mode: table.word("kill_mode").unwrap_or_default(),
        health: rules_health,
        readiness: reports.as_ref().map(|(rules, _)| Box::new(*rules)),
        min_uptime,
        hooks,
        schedule: schedule::read(table, kind, draft.is_main),
        update: super::replicas::update(table),
    };
    let (logging, clear_env) = (logging::read(table), table.flag("clear_env").unwrap_or(false));
    check_log_probe(table, probe.as_ref(), &logging);
    let unset = environment::unset(table, clear_env);
    let settings = ProgramSettings {
        environment: environment::read(table, sources, clear_env, &unset),
        clear_env,
        unset: unset.into(),
        passwd: table.flag("passwd").unwrap_or(false),
        working_dir: working_dir(table),
        user: user(table),
        umask: umask(table),
        ulimits: ulimits::read(table),
        privileges: privileges::read(table),
        rights_level: privileges::level(table),
        logging,
        probe,
        probe_user,
        gate: gate(table),
        export_env: export_env(table, kind),
        notify: reports.map(|(_, settings)| Box::new(settings)),
        sockets,
        hooks: hook_commands,
        reload_signal: table.signal("reload_signal"),
    };
    draft.service.program.settings = settings.into();
}

/// A healthcheck of its output needs rinit to see that.
fn check_log_probe(table: &Table<'_>, probe: Option<&ProbeSpec>, logging: &Logging) {
    if matches!(probe, Some(ProbeSpec::Log(_))) && !logging.driver.is_relayed() {
        let why =
            "needs rinit to carry its output; add logging = { driver = \"prefix\" }, or \"json\" or \"file\"";
        table.fault("healthcheck", &fill!("log {}", why));
    }
}

/// `start_timeout`, which needs a moment at which a service is ready after its start.
fn start_timeout(table: &Table<'_>, becomes_ready: bool) -> Option<Duration> {
    const KEY: &str = "start_timeout";
    let timeout = limit(table, KEY);
    if !becomes_ready && timeout.is_some() && table.has(KEY) && table.path != DEFAULTS {
        table.fault(
            KEY,
            "can never act: a daemon without a healthcheck, notify or post_start is ready once it runs; add one, or drop the key",
        );
    }
    timeout
}

/// `checks`: the names of checks.
fn gate(table: &Table<'_>) -> Box<[GateCheck]> {
    const KEY: &str = "checks";
    let names = table.list(KEY);
    if names.as_ref().is_some_and(Vec::is_empty) {
        table.fault(KEY, "is an empty list; name checks, such as [\"tcp.db\"], or drop the key");
    }
    let named = |name| GateCheck { name, ..GateCheck::default() };
    names.unwrap_or_default().into_iter().map(named).collect()
}

/// `export_env`: true, or a list of names.
fn export_env(table: &Table<'_>, kind: ServiceType) -> Option<Box<ExportEnv>> {
    const KEY: &str = "export_env";
    if !table.has(KEY) || table.path == DEFAULTS {
        // What `[defaults]` says is told as a fault of its own.
        table.ignore(&[KEY]);
        return None;
    }
    let exports = export_names(table)?;
    if kind != ServiceType::Oneshot {
        table.fault(KEY, "is for a oneshot, which is done before others start; give it type = \"oneshot\"");
    }
    Some(Box::new(exports))
}

/// `export_env`, as it is written; `None`: false, or a fault.
pub fn export_names(table: &Table<'_>) -> Option<ExportEnv> {
    const KEY: &str = "export_env";
    Some(match &table.node(KEY)?.value {
        Value::List(items) => {
            let names = table.items(KEY, items);
            if items.is_empty() {
                table.fault(KEY, "is an empty list; name the variables, or drop the key");
            }
            for name in &names {
                if !is_name(name.as_bytes()) {
                    table.fault(KEY, &fill!("\"{}\" is no name of a variable", escaped(name)));
                } else if ExportEnv::is_rinits(name) {
                    table.fault(KEY, &fill!("{} is for rinit alone to set", name));
                }
            }
            ExportEnv::Names(names)
        }
        Value::Bool(_) | Value::Text(_) => table.flag(KEY)?.then_some(ExportEnv::All)?,
        _ => {
            table.wrong(KEY, table.node(KEY)?, "true, or an array of names, such as [\"DB_HOST\"]");
            return None;
        }
    })
}

/// `min_uptime`, which is for a daemon: a oneshot is done when it ends.
fn min_uptime(table: &Table<'_>, kind: ServiceType, start_timeout: Option<Duration>) -> Duration {
    const KEY: &str = "min_uptime";
    let span = table.duration(KEY).unwrap_or_default();
    if kind == ServiceType::Oneshot && table.has(KEY) && table.path != DEFAULTS {
        table.fault(KEY, "a oneshot is done when it ends; drop it, or make it type = \"daemon\"");
    }
    if start_timeout.is_some_and(|limit| limit <= span) {
        table.fault(
            KEY,
            "is not shorter than start_timeout, so that no start could succeed; lower it, or raise that",
        );
    }
    span
}

fn limit(table: &Table<'_>, key: &'static str) -> Option<Duration> {
    let span = table.duration_or_none(key)??;
    if span.is_zero() {
        table.fault(key, "found no time at all, expected a duration, or \"none\" for no limit");
    }
    Some(span)
}

fn working_dir(table: &Table<'_>) -> Option<String> {
    const KEY: &str = "working_dir";
    let path = table.text(KEY)?;
    scalar::is_absolute(table, KEY, &path);
    Some(path)
}

fn umask(table: &Table<'_>) -> Option<u32> {
    const EXPECTED: &str = "an octal number as a string, such as \"0077\"";
    table.parse(
        "umask",
        EXPECTED,
        |_| None,
        |text| {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let mask = u32::from_str_radix(digits, 8).ok().filter(|mask| *mask <= 0o777);
            mask.ok_or_else(|| format!("expected {EXPECTED}, at most \"0777\""))
        },
    )
}

fn user(table: &Table<'_>) -> Option<UserSpec> {
    let user = table.text_or_number("user");
    let group = table.text_or_number("group");
    let groups = table.list("groups");
    let keep_groups = table.flag("keep_groups").unwrap_or(false);
    if user.is_none() && group.is_none() && groups.is_none() {
        return None;
    }
    let mut spec = UserSpec { user: String::new(), group, groups: groups.unwrap_or_default(), keep_groups };
    if let Some(user) = user {
        let (name, with) = user.split_once(':').map_or((user.as_str(), None), |(u, g)| (u, Some(g)));
        owner(table, "user", name);
        name.clone_into(&mut spec.user);
        if let Some(with) = with {
            owner(table, "user", with);
            if table.has("group") && table.has("user") {
                table.fault("group", "found a group in user too; keep one of them");
            }
            // What the service says of its group stands above what `[defaults]` says of the user's.
            if spec.group.is_none() || table.has("user") {
                spec.group = Some(with.to_string());
            }
        }
    }
    if let Some(group) = spec.group.as_deref().filter(|_| table.node("group").is_some()) {
        owner(table, "group", group);
    }
    spec.groups.iter().for_each(|group| owner(table, "groups", group));
    Some(spec)
}

/// A user's or group's name or number.
pub fn owner(table: &Table<'_>, key: &'static str, text: &str) {
    if text.is_empty() {
        table.fault(key, "is empty; expected a name or a number, such as \"app\" or \"1000:1000\"");
    } else if text.starts_with('-')
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':')
    {
        table.fault(key, "is neither a name nor a number; expected one, such as \"app\" or \"1000:1000\"");
    } else if text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().map_or(true, |n| n == u32::MAX)
    {
        table.fault(key, &format!("the number is too large; expected at most {}", u32::MAX - 1));
    }
}
