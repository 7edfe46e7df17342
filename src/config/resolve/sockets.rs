//! `sockets` and `start`: what rinit opens for a service, and whether the first connection starts it.

use super::DEFAULTS;
use super::depends_on::Draft;
use super::service::owner;
use crate::config::read::scalar;
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::document::{Node, Value};
use crate::config::{NotifyChannel, NotifySettings, SocketSettings, SocketSpec};
use crate::model::ServiceType;
use crate::model::listen::{ListenAddress, ListenSpec};
use crate::text::template::fill;
use crate::text::words::words;
use std::rc::Rc;

/// `type` of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SocketType {
    Stream,
    Datagram,
}

words!(SocketType { "stream" => Stream, "tcp" => Stream, "datagram" => Datagram, "udp" => Datagram });

/// `start`
#[derive(Clone, Copy, PartialEq, Eq)]
enum StartWhen {
    Auto,
    OnDemand,
}

words!(StartWhen { "auto" => Auto, "on-demand" => OnDemand });

/// As many sockets as one service may have.
const MAX_SOCKETS: usize = 64;

/// Reads both keys. Returns the sockets, and whether it is started on demand.
pub fn read(table: &Table<'_>, draft: &Draft, kind: ServiceType) -> (Option<Rc<SocketSettings>>, bool) {
    if table.path == DEFAULTS {
        // What `[defaults]` says is told as a fault of its own.
        table.ignore(&["sockets", "start"]);
        return (None, false);
    }
    let sockets = sockets(table, draft.service.base()).unwrap_or_default();
    let on_demand = table.word("start") == Some(StartWhen::OnDemand);
    if !sockets.is_empty() && kind == ServiceType::Oneshot {
        table.fault("sockets", "is for a daemon, which accepts connections; drop it, or type = \"oneshot\"");
    }
    if on_demand && table.node("sockets").is_none() {
        table.fault(
            "start",
            "needs sockets, for the first connection starts it; add sockets.NAME = \"ADDRESS\"",
        );
    }
    if on_demand && draft.is_main {
        table.fault("start", "is not for main, which is the COMMAND and runs from the start; drop the key");
    }
    if draft.service.program.instance == 1 {
        // Each instance has a queue of its own, and what waits in it is lost with it.
        if let Some(one) = sockets.iter().find(|one| one.listen.reuse_port) {
            let why = "reuse_port is not for a service with replicas, which share its sockets; drop it";
            table.reading().fault(one.at, [&table.path_of("sockets"), ": ", why].concat());
        }
        if on_demand {
            table.fault(
                "start",
                "is not for a service with replicas: a connection starts one process; drop one of them",
            );
        }
    }
    let settings = (!sockets.is_empty()).then(|| Rc::new(SocketSettings { sockets }));
    (settings, on_demand)
}

fn sockets(table: &Table<'_>, service: &str) -> Option<Vec<SocketSpec>> {
    const KEY: &str = "sockets";
    let below = table.table(KEY)?;
    let mut found: Vec<SocketSpec> = Vec::new();
    for entry in below.entries() {
        let named = entry.key != "listen" || matches!(entry.node.value, Value::Table(_));
        // As systemd, which passes the unit's name; a colon ends a name.
        let name = if named { entry.key.clone() } else { service.replace(':', "_") };
        let fault =
            |why: &str| table.reading().fault(entry.at, fill!("{}: {}", &below.path_of(&entry.key), why));
        if name.is_empty() || name.len() > 255 || name.contains(|c: char| c == ':' || c.is_control()) {
            fault("cannot name a socket (LISTEN_FDNAMES); expected at most 255 characters and no \":\"");
        }
        let before = found.len();
        match &entry.node.value {
            Value::Table(_) => {
                let path = below.path_of(&entry.key);
                if let Some(long) = Table::open(table.reading(), path, entry.at, &entry.node) {
                    long_form(&long, &name, &mut found);
                    long.close();
                }
            }
            _ => addresses(&below, &entry.key, &entry.node, &name, &mut found),
        }
        if found.len() == before && matches!(&entry.node.value, Value::List(items) if items.is_empty()) {
            fault("is an empty list; name an address, or drop the key");
        }
    }
    if below.entries().is_empty() {
        table.fault(KEY, "is empty; add NAME = \"ADDRESS\", or drop it");
    }
    for at in 0..found.len() {
        let (before, rest) = found.split_at(at);
        if let Some(one) =
            rest.first().filter(|one| before.iter().any(|other| other.listen.is_same_place(&one.listen)))
        {
            twice(table.reading(), one, &table.path);
        }
    }
    if found.len() > MAX_SOCKETS {
        table.fault(KEY, "has more than 64 sockets");
    }
    Some(found)
}

fn twice(reading: &ReadContext<'_>, socket: &SocketSpec, whose: &str) {
    let address = socket.listen.address.to_string();
    let why = fill!("{} is a socket of {} already; drop one of them", &address, whose);
    reading.fault(socket.at, why);
}

/// An address, or a list of them.
fn addresses(table: &Table<'_>, key: &str, node: &Node, name: &str, found: &mut Vec<SocketSpec>) {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for item in items {
        let text = match &item.value {
            Value::Text(text) => table.expand_node(key, item, text),
            Value::Integer(port) => Some(port.to_string()),
            _ => {
                table.wrong(key, item, "an address, such as \"0.0.0.0:80\" or \"/run/app.sock\"");
                None
            }
        };
        match text.map(|text| ListenSpec::parse(&text)) {
            Some(Ok(listen)) => found.push(SocketSpec { name: name.into(), at: item.at, listen }),
            Some(Err(why)) => {
                table.reading().fault(item.at, fill!("{}: {}", &table.path_of(key), why));
            }
            None => {}
        }
    }
}

/// `{ listen = …, type = …, … }`
fn long_form(table: &Table<'_>, name: &str, found: &mut Vec<SocketSpec>) {
    let from = found.len();
    match table.node("listen") {
        Some(node) => addresses(table, "listen", node, name, found),
        None => table.fault_here("has no address; expected listen = \"0.0.0.0:80\""),
    }
    let datagram = table.word::<SocketType>("type").map(|kind| kind == SocketType::Datagram);
    let mode = scalar::mode(table, "mode");
    let [user, group] = ["owner", "group"].map(|key| {
        let text = table.text_or_number(key)?;
        owner(table, key, &text);
        Some(text)
    });
    let backlog = table.integer("backlog", 1, i64::from(i32::MAX)).and_then(|most| u32::try_from(most).ok());
    let reuse_port = table.flag("reuse_port").unwrap_or(false);
    let made = found.get_mut(from..).unwrap_or_default();
    for SocketSpec { listen, .. } in &mut *made {
        listen.datagram = datagram.unwrap_or(listen.datagram);
        (listen.backlog, listen.reuse_port) = (backlog, reuse_port);
        listen.mode = mode.unwrap_or(listen.mode);
        (listen.owner, listen.group) = (user.clone(), group.clone());
    }
    let is_path = |one: &SocketSpec| matches!(one.listen.address, ListenAddress::Path(_));
    for key in ["mode", "owner", "group"] {
        if table.has(key) && !made.is_empty() && !made.iter().any(is_path) {
            table.fault(key, "can never act: it is of a Unix socket's file; drop the key");
        }
    }
    if backlog.is_some() && made.iter().all(|one| one.listen.datagram) && !made.is_empty() {
        table.fault("backlog", "can never act: datagrams make no connections; drop the key");
    }
    let inet = |one: &SocketSpec| one.listen.address.inet().next().is_some();
    if reuse_port && !made.is_empty() && !made.iter().any(inet) {
        table.fault("reuse_port", "can never act: a Unix socket has no port; drop the key");
    }
}

/// A descriptor that a service reports on must not have the number of one of its sockets.
pub fn check_notify(table: &Table<'_>, sockets: &SocketSettings, reports: &NotifySettings) {
    if let Some(NotifyChannel::Descriptor(number)) = reports.channel
        && number < sockets.first_free_number()
    {
        let free = sockets.first_free_number().to_string();
        table.fault(
            "notify",
            &fill!("found the number of one of its sockets, which begin at 3; {} is free", &free),
        );
    }
}

/// Tells of each address that two services name: both could not have all connections.
pub fn check_shared(reading: &ReadContext<'_>, drafts: &[Draft]) {
    let all = || {
        drafts.iter().flat_map(|draft| {
            let sockets = draft.service.program.sockets();
            sockets.iter().map(move |socket| (draft, socket))
        })
    };
    for (at, (draft, socket)) in all().enumerate() {
        let other = all().take(at).find(|(by, other)| {
            by.service.base() != draft.service.base() && other.listen.is_same_place(&socket.listen)
        });
        if let Some((by, _)) = other {
            twice(reading, socket, &fill!("services.{}", by.service.base()));
        }
    }
}
