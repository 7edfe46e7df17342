//! Faults as they are told: what several services have in common once, and a long list once.

use super::diagnostic::{Diagnostic, SourceMap};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::fmt::Write as _;

/// Before the list of all keys that a table may have, at the end of a message.
pub const KNOWN_HERE: &str = "; known here: ";

/// As many of the others as are named.
const MAX_NAMED: usize = 10;

/// Of which key of a service, what is said, and the number of the fault.
type Kind<'f> = (&'f str, &'f str, usize);

/// Every fault as it is shown, in the order of the first of its kind.
#[must_use]
pub fn told(faults: &[Diagnostic], sources: &SourceMap) -> Vec<String> {
    // By kind, and then as they come: the first of each kind tells of the others.
    let mut order: Vec<Kind<'_>> = Vec::with_capacity(faults.len());
    for (at, fault) in faults.iter().enumerate() {
        let (_, key, rest) = parts(&fault.message);
        order.push((key, rest, at));
    }
    crate::text::sort::sort(&mut order);
    let mut firsts: Vec<(usize, &[Kind<'_>])> = Vec::new();
    for group in order.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        // What is about no service is about itself alone.
        let many = group.first().is_some_and(|(key, ..)| !key.is_empty());
        for part in group.chunks(if many { group.len() } else { 1 }) {
            firsts.extend(part.first().map(|(.., at)| (*at, part)));
        }
    }
    crate::text::sort::sort_by_key(&mut firsts, |(at, _)| *at);
    let mut lists: Vec<&str> = Vec::new();
    firsts
        .into_iter()
        .filter_map(|(at, group)| Some(one(faults.get(at)?, group, faults, sources, &mut lists)))
        .gather()
}

fn one<'f>(
    fault: &'f Diagnostic,
    group: &[Kind<'_>],
    faults: &[Diagnostic],
    sources: &SourceMap,
    lists: &mut Vec<&'f str>,
) -> String {
    let mut fault_shown = None;
    if let Some((message, list)) = fault.message.split_once(KNOWN_HERE) {
        if lists.contains(&list) {
            let message = fill!("{}; the keys that are known here stand above", message);
            fault_shown = Some(Diagnostic { at: fault.at, message });
        } else {
            lists.push(list);
        }
    }
    let mut shown = sources.render(fault_shown.as_ref().unwrap_or(fault));
    let others = group.get(1..).unwrap_or_default();
    if others.is_empty() {
        return shown;
    }
    let _ = write!(shown, "\n      and {} more: ", others.len());
    for (n, (.., at)) in others.iter().take(MAX_NAMED).enumerate() {
        let Some(other) = faults.get(*at) else { continue };
        let place = other.at.map_or_else(String::new, |at| sources.file_line(at));
        let _ = write!(shown, "{}{} ({place})", if n > 0 { ", " } else { "" }, parts(&other.message).0);
    }
    if others.len() > MAX_NAMED {
        shown.push_str(", …");
    }
    shown
}

/// Of a message about a service, the service (`services.web`), which key of it, and what is said of that.
fn parts(message: &str) -> (&str, &str, &str) {
    let split = || {
        let (path, rest) = message.split_once(": ")?;
        let name = path.strip_prefix("services.")?;
        // A name of a service that has a dot in it is cut elsewhere, which only keeps what is alike apart.
        let end = name.find('.').map_or(path.len(), |dot| path.len() - name.len() + dot);
        let (service, key) = path.split_at_checked(end)?;
        Some((service, if key.is_empty() { "." } else { key }, rest))
    };
    split().unwrap_or(("", "", message))
}

#[cfg(test)]
mod tests {
    use super::super::grouping::*;
    use crate::config::source::diagnostic::Span;

    fn shown(messages: &[&str]) -> Vec<String> {
        let mut sources = SourceMap::default();
        let file = sources.add("f".into(), "x\n".repeat(messages.len()));
        let fault = |(n, message): (usize, &&str)| {
            let start = u32::try_from(2 * n).expect("small");
            Diagnostic { at: Some(Span { file, start, end: start + 1 }), message: (*message).to_string() }
        };
        let faults: Vec<Diagnostic> = messages.iter().enumerate().map(fault).collect();
        let lines =
            |text: String| text.lines().filter(|line| !line.contains('|')).collect::<Vec<_>>().join("\n");
        told(&faults, &sources).into_iter().map(lines).collect()
    }

    #[test]
    fn what_services_have_in_common_is_told_once() {
        let messages = [
            "services.a.user: bad",
            "x: y",
            "services.b.user: bad",
            "services.b.group: bad",
            "services.c.user: bad",
            "x: y",
        ];
        assert_eq!(
            shown(&messages),
            [
                "f:1:1: services.a.user: bad\n      and 2 more: services.b (f:3), services.c (f:5)",
                "f:2:1: x: y",
                "f:4:1: services.b.group: bad",
                "f:6:1: x: y",
            ]
        );
        let many: Vec<String> = (0..20).map(|n| format!("services.s{n}: unknown key \"k\"")).collect();
        let told = shown(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("and 19 more: services.s1 (f:2), ") && told[0].ends_with(", …"), "{told:?}");
    }

    #[test]
    fn a_list_of_keys_is_told_once() {
        let told = shown(&[
            "a: no \"x\"; known here: b, c",
            "a: no \"y\"; known here: b, c",
            "d: no \"x\"; known here: e",
        ]);
        assert_eq!(
            told,
            [
                "f:1:1: a: no \"x\"; known here: b, c",
                "f:2:1: a: no \"y\"; the keys that are known here stand above",
                "f:3:1: d: no \"x\"; known here: e",
            ]
        );
    }
}
