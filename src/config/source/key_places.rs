//! Where those keys stand that a start may fail by: all that is kept of the files while services run.

use super::diagnostic::Span;
use super::document::Entry;
use super::files::Files;
use crate::model::ServiceId;
use crate::text::gather::Gather;

/// The keys whose places are kept.
pub const KEYS: [&str; 15] = [
    "user",
    "command",
    "working_dir",
    "ulimits",
    "nice",
    "ionice",
    "oom_score_adj",
    "cpu_affinity",
    "cap_add",
    "cap_drop",
    "sockets",
    "pre_start",
    "post_start",
    "pre_stop",
    "post_stop",
];

/// See the module.
#[derive(Debug, Default)]
pub struct KeyPlaces {
    files: Box<[Box<str>]>,
    /// By service and key.
    places: Box<[KeyPlace]>,
}

#[derive(Debug)]
struct KeyPlace {
    line: u32,
    column: u32,
    /// `None`: of `[defaults]`.
    service: Option<ServiceId>,
    file: u16,
    key: u8,
}

impl KeyPlaces {
    /// Those of these services, whose names are in the order of their ids.
    #[must_use]
    pub fn new<'n>(files: &Files, names: impl Iterator<Item = &'n str>) -> Self {
        let written = |key| files.root.get(key).map_or(&[][..], |node| node.entries());
        let mut order: Vec<&Entry> = written("services").iter().gather();
        crate::text::sort::sort_by_key(&mut order, |entry| entry.key.as_str());
        let mut places = Places { files, last: (Span::default(), 1), found: Vec::new() };
        places.add(None, written("defaults"));
        for (name, id) in names.zip(0..) {
            let found = order.binary_search_by(|entry| entry.key.as_str().cmp(name)).ok();
            if let Some(entry) = found.and_then(|at| order.get(at)) {
                places.add(Some(ServiceId(id)), entry.node.entries());
            }
        }
        let names = files.sources.names().map(Box::from).collect();
        Self { files: names, places: places.found.into() }
    }

    /// The names of the files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|name| &**name)
    }

    /// Where a key of a service stands, or that of `[defaults]`: `/etc/rinit.toml:3:11`.
    #[must_use]
    pub fn of(&self, service: ServiceId, key: &str) -> Option<String> {
        let key = KEYS.iter().position(|known| *known == key)?;
        let of = |service| {
            let start = self.places.partition_point(|place| place.service < service);
            let mut own = self.places.get(start..)?.iter().take_while(|place| place.service == service);
            own.find(|place| usize::from(place.key) == key)
        };
        let place = of(Some(service)).or_else(|| of(None))?;
        let file = self.files.get(usize::from(place.file))?;
        Some(format!("{file}:{}:{}", place.line, place.column))
    }
}

struct Places<'f> {
    files: &'f Files,
    /// The last place and its column: many may stand on one line.
    last: (Span, usize),
    found: Vec<KeyPlace>,
}

impl Places<'_> {
    fn add(&mut self, service: Option<ServiceId>, entries: &[Entry]) {
        for entry in entries {
            let Some(key) = (0..).zip(KEYS).find(|(_, key)| *key == entry.key).map(|(n, _)| n) else {
                continue;
            };
            let at = entry.node.at;
            let (line, column) = self.files.sources.place_after(at, self.last);
            self.last = (at, column);
            let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
            let (line, column) = (number(line), number(column));
            self.found.push(KeyPlace { line, column, service, file: at.file, key });
        }
    }
}
