//! `--explain`: the start order, what is off, how long a stop may take, and every key with its source position.

use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Node, Value};
use crate::config::{Files, Off, Plan, Service};
use crate::model::{Condition, Dependency, ServiceType};
use crate::supervisor::Supervisor;
use crate::text::escape::toml_key;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::fmt::Write as _;
use std::time::Duration;

/// Formats a plan and its files. Shows values as written, not expanded, so that no secret of the environment is shown.
/// Checks are formatted elsewhere.
#[must_use]
pub fn explain(files: Option<&Files>, plan: &Plan) -> String {
    let mut text = String::new();
    let rules = plan.services.iter().map(|service| service.rules.clone()).gather();
    // Ask the supervisor itself for the order and the bound.
    let core = Supervisor::new(rules, plan.whole.clone());
    let order = core.start_order().into_iter();
    let services = order.filter_map(|id| Some((id, plan.services.get(id.index())?)));
    let started: Vec<_> = services.filter(|(_, service)| service.is_on()).gather();
    if !started.is_empty() {
        text.push_str("start order:\n");
    }
    for (number, (id, service)) in started.iter().enumerate() {
        let kind = match service.rules.kind {
            _ if plan.whole.main == Some(*id) => "the command",
            _ if service.rules.schedule.is_some() => "by the clock",
            ServiceType::Daemon => "daemon",
            ServiceType::Oneshot => "oneshot",
        };
        let _ = write!(text, "{:>4}. {} ({kind})", number + 1, service.name);
        let mut waits: Vec<String> =
            service.rules.depends_on.iter().filter_map(|edge| wait(plan, edge)).gather();
        // Of several instances of which one is enough, each says the same.
        waits.dedup();
        if !waits.is_empty() {
            let _ = write!(text, ", waits for {}", waits.join(", "));
        }
        text.push('\n');
    }
    let off: Vec<&Service> = plan.services.iter().filter(|service| service.off.is_some()).gather();
    if !off.is_empty() {
        text.push_str("off:\n");
    }
    for service in off {
        let _ = writeln!(text, "      {}: {}", service.name, service.off.as_ref().map_or("", Off::why));
    }
    if !started.is_empty() {
        text.push_str(&stop(&core, plan.whole.stop_within));
    }
    if let Some(files) = files {
        text.push_str("keys:\n");
        keys(files, &files.root, "", files.root.at, &mut text);
    }
    text
}

/// Describes what a dependency waits for.
fn wait(plan: &Plan, edge: &Dependency) -> Option<String> {
    let on = plan.services.get(edge.on.index())?;
    let one = if edge.any > 0 { fill!("one of {}", on.base()) } else { on.name.clone() };
    let name = &one;
    let what = match edge.condition {
        _ if !on.is_on() => return Some(fill!("{} (off)", name)),
        None => "if it starts",
        Some(Condition::Started) => "started",
        Some(Condition::Healthy) => "healthy",
        Some(Condition::Completed) => "completed",
    };
    let optional = if edge.required || edge.condition.is_none() { "" } else { ", not required" };
    Some(fill!("{} ({}{})", name, what, optional))
}

/// Describes the longest time that a stop can take.
fn stop(core: &Supervisor, within: Option<Duration>) -> String {
    let bound = show_duration(core.stop_bound());
    match within.filter(|within| *within < core.stop_bound_without_within()) {
        Some(_) => {
            let alone = show_duration(core.stop_bound_without_within());
            fill!(
                "a stop takes at most {} (stop.within; the grace periods alone would allow {})\n",
                bound,
                alone
            )
        }
        None => fill!("a stop takes at most {}\n", bound),
    }
}

fn keys(files: &Files, node: &Node, path: &str, at: Span, text: &mut String) {
    match &node.value {
        Value::Table(entries) if !entries.is_empty() => {
            let secret =
                entries.iter().any(|entry| entry.key == "secret" && entry.node.value != Value::Bool(false));
            for entry in entries {
                let key = toml_key(&entry.key);
                let path = if path.is_empty() { key } else { fill!("{}.{}", path, key) };
                let is_value = path.starts_with("secrets.") && entry.key == "content";
                if is_value || secret && entry.key == "default" {
                    let place = files.sources.file_line(entry.node.at);
                    let _ = writeln!(text, "  {path} is not shown  ({place})");
                } else {
                    keys(files, &entry.node, &path, entry.at, text);
                }
            }
        }
        Value::Table(_) if path.is_empty() => {}
        Value::Table(_) => {
            let _ = writeln!(text, "  {path} = {{}}  ({})", files.sources.file_line(at));
        }
        _ => {
            let place = files.sources.file_line(node.at);
            let written = files.sources.text(node.at.file);
            let written = written.get(node.at.start as usize..node.at.end as usize).unwrap_or("");
            let line: Vec<&str> = written.lines().map(str::trim).filter(|line| !line.is_empty()).gather();
            let _ = writeln!(text, "  {path} = {}  ({place})", line.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use crate::config::read::interpolate::{Scope, StartFacts};
    use crate::config::resolve;
    use crate::config::source::files::{Io, load};
    use std::io;

    /// Returns the explanation of this configuration and COMMAND.
    fn told(text: &str, command: &[std::ffi::CString]) -> String {
        let read = |_: &str| Ok(text.as_bytes().to_vec());
        let list = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
        let mut faults = Vec::new();
        let io = Io { read: &read, list: &list, why: &|_, _| String::new() };
        let files = load(&["/e".to_string()], None, &io, &mut faults);
        let variable = |name: &str| (name == "TOKEN").then(|| "hidden".to_string());
        let scope = Scope {
            variable: &variable,
            exists: &|_| false,
            read: &|_| Err(String::new()),
            later: &[],
            start: StartFacts::default(),
        };
        let plan = resolve(files.as_ref(), &scope, command, &mut faults);
        assert_eq!(faults, []);
        explain(files.as_ref(), &plan)
    }

    /// For two chained daemons it said "at most 22s", without the time for kills and leftovers; the supervisor allows
    /// 28 s.
    #[test]
    fn the_bound_of_a_stop_is_the_supervisors() {
        let two = "[services.a]\ncommand = 'a'\n[services.b]\ncommand = 'b'\ndepends_on = ['a']\n";
        assert!(told(two, &[]).contains("\na stop takes at most 28s\n"), "{}", told(two, &[]));
        // A limit that is larger than needed has no effect.
        let much = format!("stop.within = '1m'\n{two}");
        assert!(told(&much, &[]).contains("\na stop takes at most 28s\n"), "{}", told(&much, &[]));
    }

    #[test]
    fn a_plan_is_shown_with_order_reasons_and_places_and_no_secret() {
        let text = "stop.within = '9s'\n[services.web]\ncommand = ['nginx',\n  '-q']\ndepends_on = { once = 'completed', cache = { required = false } }
stop_grace_period = '8s'\n[services.once]\ntype = 'oneshot'\ncommand = 'a ${TOKEN}'\n[services.cache]\ncommand = 'c'
[services.'off.1']\ncommand = 'o'\nwhen_env = 'DEBUG'\n[checks.user]\n";
        let shown = told(text, &[c"app".into()]);
        assert_eq!(
            shown,
            "start order:
   1. once (oneshot)
   2. cache (daemon)
   3. web (daemon), waits for once (completed), cache (started, not required)
   4. main (the command), waits for web (started), once (completed), cache (started)
off:
      off.1: DEBUG is not set
a stop takes at most 9s (stop.within; the grace periods alone would allow 38s)
keys:
  stop.within = '9s'  (/e:1)
  services.web.command = ['nginx', '-q']  (/e:3)
  services.web.depends_on.once = 'completed'  (/e:5)
  services.web.depends_on.cache.required = false  (/e:5)
  services.web.stop_grace_period = '8s'  (/e:6)
  services.once.type = 'oneshot'  (/e:8)
  services.once.command = 'a ${TOKEN}'  (/e:9)
  services.cache.command = 'c'  (/e:11)
  services.\"off.1\".command = 'o'  (/e:13)
  services.\"off.1\".when_env = 'DEBUG'  (/e:14)
  checks.user = {}  (/e:15)
"
        );
    }
}
