//! `rinitctl metrics`: OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), or the older
//! Prometheus format.

use super::client::CtlClient;
use super::table::METRICS_FORMAT;
use super::{CtlError, CtlRequest, print};
use crate::sys::process::procfs::{self, Usage};
use crate::text::json::Json;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let mut client = request.connect()?;
    let open = request.arguments.value(&METRICS_FORMAT) != Some("prometheus");
    Ok(print(&of(&mut client, open)?))
}

/// Returns the complete exposition.
pub(super) fn of(client: &mut CtlClient, open: bool) -> Result<String, CtlError> {
    let mut services = Vec::new();
    let last = client.ask("metrics", &[], "", &mut |row| services.push(ServiceSample::new(row)))?;
    let processes = procfs::usage_of_all();
    for service in &mut services {
        let pid = service.row.number("pid").and_then(|pid| i32::try_from(pid).ok());
        service.usage = pid.and_then(|pid| procfs::usage_below(pid, &processes));
    }
    Ok(render(&services, &last, open))
}

struct ServiceSample {
    row: Json,
    usage: Option<Usage>,
}

impl ServiceSample {
    fn new(row: Json) -> Self {
        Self { row, usage: None }
    }

    fn name(&self) -> &str {
        self.row.text("name").unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Counter,
    Gauge,
    StateSet,
}

/// The states of a service in the protocol.
const STATES: [&str; 11] = [
    "off",
    "scheduled",
    "waiting",
    "listening",
    "starting",
    "running",
    "stopping",
    "backoff",
    "done",
    "failed",
    "stopped",
];
const HEALTH: [&str; 3] = ["starting", "healthy", "unhealthy"];

/// Adds the metrics of rinit as a whole.
fn whole(page: &mut Exposition, last: &Json) {
    page.family("rinit_uptime_seconds", MetricKind::Gauge, "seconds", "Since rinit was started.");
    page.sample("", "", last.number("uptime_ms").map(seconds));
    page.family("rinit_stopping", MetricKind::Gauge, "", "Whether the container stops.");
    page.sample("", "", Some(u8::from(last.text("state") == Some("stopping")).to_string()));
    page.family(
        "rinit_orphans_reaped",
        MetricKind::Counter,
        "",
        "Processes of nobody that rinit has reaped.",
    );
    page.sample("", "", last.number("orphans_reaped").map(|n| n.to_string()));
    page.family("rinit_clients", MetricKind::Gauge, "", "Connections to the control socket.");
    page.sample("", "", last.number("clients").map(|n| n.to_string()));
}

fn render(services: &[ServiceSample], last: &Json, open: bool) -> String {
    let mut page = Exposition { text: String::new(), open, name: "", suffix: "" };
    whole(&mut page, last);
    page.states(services, "rinit_service_state", "What a service is doing.", "state", &STATES);
    page.states(services, "rinit_service_health", "What a service's healthcheck says.", "health", &HEALTH);
    let number =
        |name: &'static str| move |service: &ServiceSample| service.row.number(name).map(|n| n.to_string());
    let time = |name: &'static str| move |service: &ServiceSample| service.row.number(name).map(seconds);
    let ready = |service: &ServiceSample| Some(u8::from(service.row.is_true("ready")).to_string());
    page.each(
        services,
        ("rinit_service_ready", MetricKind::Gauge, "", "Whether a service is ready, or a oneshot done."),
        &ready,
    );
    let help = "Restarts of a service.";
    page.each(services, ("rinit_service_restarts", MetricKind::Counter, "", help), &number("restarts"));
    let help = "Since a service's process was started.";
    page.each(
        services,
        ("rinit_service_uptime_seconds", MetricKind::Gauge, "seconds", help),
        &time("uptime_ms"),
    );
    let help = "How a service ended last; 128 and the signal that killed it.";
    page.each(services, ("rinit_service_last_exit_code", MetricKind::Gauge, "", help), &exit_code);
    let help = "Processor time of a service's processes.";
    let cpu = |service: &ServiceSample| service.usage.map(|usage| seconds(usage.cpu_ms));
    page.each(services, ("rinit_service_cpu_seconds", MetricKind::Counter, "seconds", help), &cpu);
    let help = "Memory of a service's processes that is in RAM; what they share counts for each.";
    let memory = |service: &ServiceSample| service.usage.map(|usage| usage.resident_bytes.to_string());
    page.each(services, ("rinit_service_resident_memory_bytes", MetricKind::Gauge, "bytes", help), &memory);
    let help = "Processes of a service.";
    let processes = |service: &ServiceSample| service.usage.map(|usage| usage.processes.to_string());
    page.each(services, ("rinit_service_processes", MetricKind::Gauge, "", help), &processes);
    let help = "Output of a service that was relayed.";
    page.each(
        services,
        ("rinit_service_log_bytes", MetricKind::Counter, "bytes", help),
        &number("log_bytes"),
    );
    let help = "Lines of a service that were relayed.";
    page.each(services, ("rinit_service_log_lines", MetricKind::Counter, "", help), &number("log_lines"));
    let help = "Output of a service that could not be written.";
    page.each(
        services,
        ("rinit_service_log_dropped_bytes", MetricKind::Counter, "bytes", help),
        &number("log_dropped"),
    );
    if open {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn exit_code(service: &ServiceSample) -> Option<String> {
    let exit = service.row.get("last_exit")?;
    let signal = || {
        crate::model::Signal::parse(exit.text("signal")?)
            .map(|signal| u64::from(crate::exit_code::of_signal(signal)))
    };
    exit.number("code").or_else(signal).map(|code| code.to_string())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// The text being built. Each family is completed before the next begins.
struct Exposition {
    text: String,
    open: bool,
    /// The name of the current family.
    name: &'static str,
    /// The suffix of its samples.
    suffix: &'static str,
}

/// Name, type, unit and help of a family.
type Family<'a> = (&'static str, MetricKind, &'a str, &'a str);

impl Exposition {
    /// Begins a family; its samples follow.
    fn family(&mut self, name: &'static str, kind: MetricKind, unit: &str, help: &str) {
        // The older format uses the sample's name, and has no state sets.
        let (suffix, word) = match (self.open, kind) {
            (true, MetricKind::Counter) => ("", "counter"),
            (false, MetricKind::Counter) => ("_total", "counter"),
            (true, MetricKind::StateSet) => ("", "stateset"),
            (_, MetricKind::Gauge | MetricKind::StateSet) => ("", "gauge"),
        };
        self.text.extend(["# TYPE ", name, suffix, " ", word, "\n"]);
        if self.open && !unit.is_empty() {
            self.text.extend(["# UNIT ", name, " ", unit, "\n"]);
        }
        self.text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
        self.name = name;
        self.suffix = if kind == MetricKind::Counter { "_total" } else { "" };
    }

    /// Adds a sample, if the value is known. `labels` go in braces.
    fn sample(&mut self, service: &str, state: &str, value: Option<String>) {
        let Some(value) = value else { return };
        self.text.extend([self.name, self.suffix]);
        if !service.is_empty() {
            self.text.push_str("{service=\"");
            label(service, &mut self.text);
            if !state.is_empty() {
                self.text.extend(["\",", self.name, "=\"", state]);
            }
            self.text.push_str("\"}");
        }
        self.text.extend([" ", &value, "\n"]);
    }

    fn each(
        &mut self,
        services: &[ServiceSample],
        family: Family<'_>,
        value: &dyn Fn(&ServiceSample) -> Option<String>,
    ) {
        let (name, kind, unit, help) = family;
        self.family(name, kind, unit, help);
        for service in services {
            self.sample(service.name(), "", value(service));
        }
    }

    /// Adds a sample per state; the current one is 1.
    fn states(
        &mut self,
        services: &[ServiceSample],
        name: &'static str,
        help: &str,
        field: &str,
        states: &[&str],
    ) {
        self.family(name, MetricKind::StateSet, "", help);
        for service in services {
            let Some(now) = service.row.text(field) else { continue };
            for state in states {
                self.sample(service.name(), state, Some(u8::from(*state == now).to_string()));
            }
        }
    }
}

/// Writes a label value, escaped.
fn label(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::*;
    use crate::text::json::parse;
    use std::collections::{HashMap, HashSet};

    fn page(open: bool) -> String {
        let row = |text: &str| ServiceSample::new(parse(text).expect("JSON"));
        let mut web =
            row(r#"{"name":"we\"b\\","state":"running","ready":true,"health":"healthy","pid":7,"restarts":2,
            "uptime_ms":61500,"last_exit":{"signal":"SIGKILL"},"log_bytes":10}"#);
        web.usage = Some(Usage { cpu_ms: 1230, resident_bytes: 4096, processes: 2 });
        let once = row(
            r#"{"name":"once","state":"done","ready":true,"health":null,"restarts":0,"last_exit":{"code":0}}"#,
        );
        let last = parse(r#"{"ok":true,"state":"up","uptime_ms":70001,"orphans_reaped":3,"clients":1}"#)
            .expect("JSON");
        render(&[web, once], &last, open)
    }

    /// Parses a sample: name, labels and value.
    fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
        let end = line.find([' ', '{']).expect("a name");
        let (name, mut rest) = line.split_at(end);
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
        let mut labels = Vec::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                let (key, text) = inside.split_once("=\"").expect("a label");
                let mut value = String::new();
                let mut chars = text.char_indices();
                let after = loop {
                    match chars.next().expect("a quote") {
                        (at, '"') => break &text[at + 1..],
                        (_, '\\') => value.push(match chars.next().expect("an escape").1 {
                            'n' => '\n',
                            c @ ('"' | '\\') => c,
                            c => panic!("\\{c}: {line}"),
                        }),
                        (_, c) => value.push(c),
                    }
                };
                labels.push((key.to_string(), value));
                match after.strip_prefix(',') {
                    Some(more) => inside = more,
                    None => {
                        rest = after.strip_prefix('}').expect("a brace");
                        break;
                    }
                }
            }
        }
        let number = rest.strip_prefix(' ').expect("one blank");
        (name.into(), labels, number.parse().expect(line))
    }

    /// A strict parser of the exposition: each family once and complete, metadata in order, only samples of its names.
    fn read(text: &str, open: bool) -> HashMap<String, f64> {
        assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'));
        let body = if open { text.strip_suffix("# EOF\n").expect("the end is told") } else { text };
        let (mut seen, mut found) = (HashSet::new(), HashMap::new());
        let (mut family, mut kind, mut order) = (String::new(), String::new(), 0);
        for line in body.lines() {
            if let Some(meta) = line.strip_prefix("# ") {
                let words: Vec<&str> = meta.splitn(3, ' ').collect();
                let [word, name, what] = words[..] else { panic!("{line}") };
                let place = ["TYPE", "UNIT", "HELP"].iter().position(|known| *known == word).expect(line) + 1;
                if word == "TYPE" {
                    assert!(seen.insert(name.to_string()), "twice: {line}");
                    (family, kind, order) = (name.into(), what.into(), 0);
                    assert!(["counter", "gauge", "stateset"].contains(&what), "{line}");
                    assert!(open || what != "stateset");
                    assert_eq!(name.ends_with("_total"), !open && what == "counter", "{line}");
                }
                assert!(name == family && place > order, "{line}");
                order = place;
                assert!(word != "UNIT" || open && name.ends_with(&format!("_{what}")), "{line}");
                continue;
            }
            let (name, labels, value) = sample(line);
            let want = if open && kind == "counter" { format!("{family}_total") } else { family.clone() };
            assert_eq!((name, order), (want, 3), "{line}");
            let keys: HashSet<_> = labels.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), labels.len());
            if kind == "stateset" {
                assert!(labels.iter().any(|(key, _)| *key == family) && [0.0, 1.0].contains(&value));
            }
            assert!(kind != "counter" || value >= 0.0);
            assert!(
                found.insert(line.rsplit_once(' ').expect("a value").0.to_string(), value).is_none(),
                "{line}"
            );
        }
        found
    }

    #[test]
    fn a_strict_reader_reads_both_forms() {
        for open in [true, false] {
            let found = read(&page(open), open);
            let web = "{service=\"we\\\"b\\\\\"}";
            for (name, value) in [
                ("rinit_uptime_seconds".to_string(), 70.001),
                ("rinit_orphans_reaped_total".into(), 3.0),
                (format!("rinit_service_restarts_total{web}"), 2.0),
                (format!("rinit_service_last_exit_code{web}"), 137.0),
                (format!("rinit_service_cpu_seconds_total{web}"), 1.23),
                (format!("rinit_service_resident_memory_bytes{web}"), 4096.0),
                ("rinit_service_state{service=\"once\",rinit_service_state=\"done\"}".into(), 1.0),
                ("rinit_service_state{service=\"once\",rinit_service_state=\"failed\"}".into(), 0.0),
            ] {
                assert_eq!(found.get(&name), Some(&value), "{name}\n{}", page(open));
            }
            assert!(!found.keys().any(|name| name.starts_with("rinit_service_health{service=\"once")));
        }
    }
}
