//! The lists of keys beside the readers: they are what the readers ask for, and the documentation is written from them.

use super::common::keys::COMMON;
use super::key_tests::{known, named};
use super::{COMMON_KEYS, KEYS};

/// What a kind lists is what its reader asks for.
#[test]
fn every_key_is_listed_beside_its_reader() {
    let common: Vec<&str> = COMMON_KEYS.iter().map(|key| key.name).collect();
    let mut common_named: Vec<&str> = COMMON.split(", ").collect();
    common_named.sort_unstable_by_key(|key| common.iter().position(|known| known == key));
    assert_eq!(common_named, common);
    for (kind, name) in named() {
        let (_, parts) = KEYS.iter().find(|(of, _)| *of == kind).expect("a kind has a list");
        let mut listed: Vec<&str> = parts.iter().flat_map(|part| part.iter()).map(|key| key.name).collect();
        let mut asked = known(kind, name);
        asked.retain(|key| !common.contains(&key.as_str()) && !key.starts_with("when_"));
        listed.sort_unstable();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, listed, "{kind}: KEYS beside its reader lists other keys than it asks for");
    }
}

/// `docs/checks.md`, as the lists have it.
fn page() -> String {
    let mut page = String::from(
        "# The keys of checks\n\nWritten from the lists in `src/checks/kinds`; `RINIT_WRITE_DOCS=1 cargo test --lib key_list_tests` writes it anew. Each takes the conditions `when_*` too ([configuration.md](configuration.md)).\n",
    );
    let every = [("KIND.NAME", &[COMMON_KEYS][..])];
    for (kind, parts) in every.iter().chain(KEYS) {
        page.push_str(&format!(
            "\n## `[checks.{kind}]`\n\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n"
        ));
        for key in parts.iter().flat_map(|part| part.iter()) {
            let [takes, default, help] =
                [key.takes, key.default, key.help].map(|text| text.replace('|', "\\|"));
            page.push_str(&format!("| `{}` | {takes} | {default} | {help} |\n", key.name));
        }
    }
    page
}

#[test]
fn the_documentation_lists_the_same_keys() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
    if std::env::var_os("RINIT_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/checks.md differs; RINIT_WRITE_DOCS=1 cargo test --lib key_list_tests writes it anew"
    );
}
