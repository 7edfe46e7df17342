//! Links that lead nowhere, wherever on a path they are (path_resolution(7)).

use super::fs::stat;
use std::io;

/// As many links on links as the kernel follows.
const MAX_LINKS: u8 = 40;

/// A link that leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLink {
    /// The link: on the way to what was asked for, or that itself.
    pub path: String,
    /// What it says.
    pub target: String,
    /// Whether it leads round in a circle, back to itself.
    pub circle: bool,
}

/// The link because of which there is nothing at a path. Only looked for once something was not there.
#[must_use]
pub fn dead_link(path: &str) -> Option<DeadLink> {
    dead_link_by(path, &stat::read_link, &|path| stat::stat(path).is_ok())
}

/// The same by what the two functions tell.
pub fn dead_link_by(
    path: &str,
    read_link: &dyn Fn(&str) -> io::Result<String>,
    exists: &dyn Fn(&str) -> bool,
) -> Option<DeadLink> {
    let mut path = path.to_string();
    let mut found: Option<DeadLink> = None;
    let mut outermost = None;
    for _ in 0..MAX_LINKS {
        // The outermost component that is not there; all before it is.
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let first = ends.filter(|end| *end > 0).find(|end| !exists(path.get(..*end).unwrap_or("")));
        let Some(link) = first.and_then(|end| path.get(..end)) else { return found };
        let Ok(target) = read_link(link) else { return found };
        let next = joined(link, &target);
        found = Some(DeadLink { path: link.to_string(), target, circle: false });
        outermost = outermost.or_else(|| found.clone());
        // Where it leads to a link again, that one is to be mended.
        path = next;
    }
    // Of a circle each is as good as another; the first is the one that was named.
    outermost.map(|link| DeadLink { circle: true, ..link })
}

/// The target of a link as a path that does not begin at the link.
pub(super) fn joined(link: &str, target: &str) -> String {
    let dir = link.rsplit_once('/').map_or("", |(dir, _)| dir);
    if target.starts_with('/') || !link.contains('/') {
        return target.into();
    }
    [dir, "/", target].concat()
}

#[cfg(test)]
mod tests {
    use super::super::links::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_link_that_is_to_be_mended_is_found() {
        let base = std::env::temp_dir().join(format!("rinit-links-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real")).expect("a directory");
        for (target, link) in [
            ("gone", "dangling"),
            ("dangling", "chain"),
            ("b", "a"),
            ("a", "b"),
            ("real", "good"),
            ("/nowhere/here", "absolute"),
            ("../none", "real/up"),
        ] {
            symlink(target, base.join(link)).expect("a link");
        }
        let base = base.to_str().expect("utf-8");
        for (path, link, target) in [
            ("dangling", "dangling", "gone"),
            ("dangling/x/y", "dangling", "gone"),
            ("chain/x", "dangling", "gone"),
            ("absolute", "absolute", "/nowhere/here"),
            ("good/up", "good/up", "../none"),
        ] {
            let found = dead_link(&[base, "/", path].concat()).expect(path);
            assert_eq!(
                (found.path, &*found.target, found.circle),
                ([base, "/", link].concat(), target, false)
            );
        }
        assert!(
            dead_link(&[base, "/a/x"].concat()).is_some_and(|link| link.circle && link.path.ends_with("/a"))
        );
        for path in ["good", "good/none", "none", "none/x"] {
            assert_eq!(dead_link(&[base, "/", path].concat()), None, "{path}");
        }
        std::fs::remove_dir_all(base).expect("removed");
    }
}
