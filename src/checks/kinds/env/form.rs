//! What a value must look like: its type, its bounds, the words that are allowed.

use crate::checks::{listed, quoted};
use crate::config::read::table::Table;
use crate::config::source::document::{Node, Value};
use crate::text::gather::Gather;
use crate::text::json;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use crate::text::units::{self, Number};
use crate::text::words::words;
use std::net::IpAddr;

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Type {
    #[default]
    String,
    Int,
    Float,
    Bool,
    Port,
    Url,
    Host,
    HostPort,
    Ip,
    Path,
    Duration,
    Size,
    Email,
    Uuid,
    Semver,
    Json,
    Base64,
    List,
}

words!(Type { "string" => String, "int" => Int, "float" => Float, "bool" => Bool, "port" => Port, "url" => Url, "host" => Host, "host_port" => HostPort, "ip" => Ip, "path" => Path, "duration" => Duration, "size" => Size, "email" => Email, "uuid" => Uuid, "semver" => Semver, "json" => Json, "base64" => Base64, "list" => List });

/// All that is asked of a value.
#[derive(Default)]
pub struct Form {
    pub kind: Type,
    pattern: Option<(String, Pattern)>,
    one_of: Vec<String>,
    not_in: Vec<String>,
    min: Option<Number>,
    max: Option<Number>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    prefix: Option<String>,
    suffix: Option<String>,
    schemes: Vec<String>,
    domains: Vec<String>,
    separator: Option<String>,
    of: Type,
    /// Whether `prefix`, `suffix`, `not_in` and `pattern` of a secret hold what the environment gave.
    from_environment: bool,
    /// Of a secret, the values of `one_of` and `not_in` that stand in the file as they are: anybody may know them.
    literal: Vec<String>,
}

/// The texts of a value that stand in the file as they are, without a variable in them.
pub fn literals(node: Option<&Node>) -> impl Iterator<Item = &str> {
    let items = match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => node.map_or(&[][..], std::slice::from_ref),
    };
    items.iter().filter_map(|item| match &item.value {
        Value::Text(text) if !text.contains("${") => Some(text.as_str()),
        _ => None,
    })
}

/// Keys that tell a part of the value, or what it was.
const TELLING: [&str; 4] = ["prefix", "suffix", "not_in", "pattern"];

fn is_expanded(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text.contains("${"),
        Value::List(items) => items.iter().any(is_expanded),
        _ => false,
    }
}

/// Reads the keys that speak of the value. Keys that could never act together are faults.
pub fn read(table: &Table<'_>) -> Form {
    let words = |key: &'static str, what: &str| {
        let list = table.list(key);
        // No value that is judged is empty.
        if list.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty)) {
            table.fault(key, &fill!("is empty, so that {}", what));
        }
        list.unwrap_or_default()
    };
    let part = |key| {
        let part = table.text(key);
        if part.as_deref() == Some("") {
            table.fault(key, "is empty, which every value has; leave it out");
        }
        part
    };
    let length = |key| table.integer(key, 1, 1 << 20).and_then(|n| usize::try_from(n).ok());
    let (min, max) = (table.number("min"), table.number("max"));
    let bounded = min.is_some() || max.is_some();
    let form = Form {
        kind: table.word("type").unwrap_or(if bounded { Type::Float } else { Type::String }),
        pattern: pattern(table),
        one_of: words("one_of", "nothing would do; expected the values that are allowed"),
        not_in: words("not_in", "it forbids nothing; expected the values that are forbidden"),
        min,
        max,
        min_length: length("min_length"),
        max_length: length("max_length"),
        prefix: part("prefix"),
        suffix: part("suffix"),
        schemes: words("schemes", "nothing would do; expected schemes such as \"https\""),
        domains: words("domains", "nothing would do; expected domains such as \"example.org\""),
        separator: table.text("separator"),
        of: table.word("of").unwrap_or_default(),
        literal: match table.has("secret") || table.has("file") {
            true => {
                ["one_of", "not_in"].iter().flat_map(|key| literals(table.node(key))).map(Into::into).gather()
            }
            false => Vec::new(),
        },
        from_environment: table.has("secret")
            && TELLING.iter().any(|key| table.node(key).is_some_and(is_expanded)),
    };
    form.refuse_what_never_acts(table);
    form
}

fn pattern(table: &Table<'_>) -> Option<(String, Pattern)> {
    let text = table.text("pattern")?;
    if text.is_empty() {
        table.fault("pattern", "is empty, so that nothing would do; expected one for the whole value");
    }
    match Pattern::new(&text) {
        Ok(pattern) => Some((text, pattern)),
        Err(why) => {
            // Without the text, which the environment may have given.
            table.fault("pattern", &why);
            None
        }
    }
}

impl Form {
    fn refuse_what_never_acts(&self, table: &Table<'_>) {
        let numeric = matches!(self.kind, Type::Int | Type::Float | Type::Port);
        let is_list = self.kind == Type::List;
        let placed = matches!(self.kind, Type::Url | Type::Host | Type::HostPort | Type::Email);
        for (key, fits, expected) in [
            ("min", numeric, "bounds a number; expected type = \"int\", \"float\" or \"port\""),
            ("max", numeric, "bounds a number; expected type = \"int\", \"float\" or \"port\""),
            ("schemes", self.kind == Type::Url, "speaks of a URL; expected type = \"url\""),
            (
                "domains",
                placed,
                "speaks of a host; expected type = \"url\", \"host\", \"host_port\" or \"email\"",
            ),
            ("separator", is_list, "separates a list; expected type = \"list\""),
            ("of", is_list, "speaks of the items of a list; expected type = \"list\""),
        ] {
            if table.has(key) && !fits {
                table.fault(key, expected);
            }
        }
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min.value > max.value
        {
            table.fault("min", "is more than max, so that nothing would do");
        }
        if self.min_length > self.max_length && self.max_length.is_some() {
            table.fault("min_length", "is more than max_length, so that nothing would do");
        }
        if self.of == Type::List {
            table.fault("of", "a list of lists is not known; expected another type");
        }
        if self.separator.as_deref() == Some("") {
            table.fault("separator", "is empty; expected what stands between two items, such as \",\"");
        }
    }

    /// Whether a value is as it must be.
    pub fn fits(&self, value: &str) -> bool {
        let length = value.chars().count();
        !value.is_empty()
            && self.typed(value)
            && self.pattern.as_ref().is_none_or(|(_, pattern)| pattern.matches(value))
            && (self.one_of.is_empty() || self.one_of.iter().any(|one| one == value))
            && !self.not_in.iter().any(|one| one == value)
            && self.min_length.is_none_or(|least| length >= least)
            && self.max_length.is_none_or(|most| length <= most)
            && self.prefix.as_ref().is_none_or(|prefix| value.starts_with(prefix.as_str()))
            && self.suffix.as_ref().is_none_or(|suffix| value.ends_with(suffix.as_str()))
            && (self.schemes.is_empty()
                || scheme(value)
                    .is_some_and(|one| self.schemes.iter().any(|known| known.eq_ignore_ascii_case(one))))
            && (self.domains.is_empty()
                || self.domains.iter().any(|domain| within(host_of(self.kind, value), domain)))
            && self.bounded(value)
    }

    fn typed(&self, value: &str) -> bool {
        if self.kind != Type::List {
            return self.kind.fits(value);
        }
        let separator = self.separator.as_deref().unwrap_or(",");
        value.split(separator).map(str::trim).all(|item| !item.is_empty() && self.of.fits(item))
    }

    fn bounded(&self, value: &str) -> bool {
        if self.min.is_none() && self.max.is_none() {
            return true;
        }
        let Some(number) = units::number(value.trim()) else { return false };
        self.min.as_ref().is_none_or(|min| number.value >= min.value)
            && self.max.as_ref().is_none_or(|max| number.value <= max.value)
    }

    /// Whether a value is one that the file itself names, which is no secret.
    pub fn is_named_in_the_file(&self, value: &str) -> bool {
        self.literal.iter().any(|one| one == value)
    }

    /// What gives the value of a secret away: the values that would do, and what another variable tells of it.
    pub fn telling(&self) -> Vec<String> {
        let mut telling = self.one_of.clone();
        if self.from_environment {
            telling.extend(self.not_in.iter().chain(&self.prefix).chain(&self.suffix).cloned());
            telling.extend(self.pattern.iter().map(|(text, _)| text.clone()));
        }
        telling.retain(|value| !self.is_named_in_the_file(value));
        telling
    }

    /// The form in words that follow "expected".
    pub fn words(&self) -> String {
        let mut form =
            if self.one_of.is_empty() { self.kind.words().to_string() } else { listed(&self.one_of) };
        if self.kind == Type::List && self.of != Type::String {
            form = fill!("a list, each item of it {}", self.of.words());
        }
        let mut add = |before: &str, what: Option<String>| {
            if let Some(what) = what {
                form.push_str(before);
                form.push_str(&what);
            }
        };
        let number = |bound: &Option<Number>| bound.as_ref().map(|number| number.text.clone());
        let length = |bound: Option<usize>| bound.map(|n| n.to_string());
        add("", range(number(&self.min), number(&self.max), ""));
        add("", range(length(self.min_length), length(self.max_length), " characters"));
        add(" that begins with ", self.prefix.as_deref().map(quoted));
        add(" that ends with ", self.suffix.as_deref().map(quoted));
        let some = |list: &[String]| (!list.is_empty()).then(|| listed(list));
        add(" of the scheme ", some(&self.schemes));
        add(" within ", some(&self.domains));
        add(" other than ", some(&self.not_in));
        add(" that matches ", self.pattern.as_ref().map(|(text, _)| quoted(text)));
        form
    }
}

impl Type {
    pub fn words(self) -> &'static str {
        match self {
            Self::String => "a string that is not empty",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Port => "a port, 1 to 65535",
            Self::Url => "a URL such as \"https://host/path\"",
            Self::Host => "a host name or an address",
            Self::HostPort => "a host and a port, such as \"db:5432\"",
            Self::Ip => "an IP address",
            Self::Path => "an absolute path",
            Self::Duration => "a duration with its unit, such as \"10s\"",
            Self::Size => "a size such as \"64MiB\"",
            Self::Email => "an e-mail address",
            Self::Uuid => "a UUID",
            Self::Semver => "a version such as \"1.2.3\"",
            Self::Json => "JSON",
            Self::Base64 => "base64",
            Self::List => "a list",
        }
    }

    fn fits(self, value: &str) -> bool {
        match self {
            Self::String | Self::List => true,
            Self::Int => value.parse::<i64>().is_ok(),
            Self::Float => units::number(value).is_some(),
            Self::Bool => {
                let lower = value.to_ascii_lowercase();
                matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "1" | "0")
            }
            Self::Port => port(value),
            Self::Url => url(value),
            Self::Host => host(value),
            Self::HostPort => value
                .rsplit_once(':')
                .is_some_and(|(name, tail)| host(name.trim_matches(['[', ']'])) && port(tail)),
            Self::Ip => value.parse::<IpAddr>().is_ok(),
            Self::Path => value.starts_with('/'),
            Self::Duration => units::duration(value).is_ok(),
            Self::Size => units::size(value).is_ok(),
            Self::Email => matches("[^@\\s]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*", value),
            Self::Uuid => matches("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value),
            // semver.org: three numbers without leading zeros, then -pre.release and +build.
            Self::Semver => matches(
                "v?(0|[1-9]\\d*)(\\.(0|[1-9]\\d*)){2}(-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?(\\+[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?",
                value,
            ),
            Self::Json => json::is_json(value),
            Self::Base64 => value.len().is_multiple_of(4) && matches("[A-Za-z0-9+/_-]*={0,2}", value),
        }
    }
}

/// ` from 1 to 10`, ` of at least 1`, ` of at most 10`.
fn range(min: Option<String>, max: Option<String>, unit: &str) -> Option<String> {
    match (min, max) {
        (Some(min), Some(max)) => Some(fill!(" from {} to {}{}", min, max, unit)),
        (Some(min), None) => Some(fill!(" of at least {}{}", min, unit)),
        (None, Some(max)) => Some(fill!(" of at most {}{}", max, unit)),
        (None, None) => None,
    }
}

/// A pattern of rinit's own, which is well formed.
fn matches(pattern: &str, value: &str) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(value))
}

fn port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

fn scheme(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}

/// The part of a URL between `//` and the path, without the user.
fn place(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, place)| place)
}

/// The host in a value of this type.
fn host_of(kind: Type, value: &str) -> &str {
    let place = match kind {
        Type::Url => place(value),
        Type::Email => value.rsplit_once('@').map_or("", |(_, domain)| domain),
        _ => value,
    };
    match place.rsplit_once(':') {
        Some((host, tail)) if port(tail) => host,
        _ => place,
    }
}

/// Whether a host is the domain, or under it.
fn within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.trim_start_matches('.').to_ascii_lowercase());
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// `SCHEME://[USER[:PASSWORD]@][HOST][:PORT][/…]`, with a host or a path, and no blanks.
fn url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    // Several hosts, as databases have them: the last port is judged.
    let port_fits = match place(text).rsplit_once(':') {
        Some((_, tail)) if !tail.contains(']') => tail.is_empty() || port(tail),
        _ => true,
    };
    let blank = |c: char| c.is_ascii_whitespace() || c.is_ascii_control();
    scheme_fits && port_fits && !rest.is_empty() && !text.contains(blank)
}
