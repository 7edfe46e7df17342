//! Files of the configuration: read whole, up to a bound.

use std::io::{self, Read as _};
use std::path::Path;

/// No file of a configuration is larger; `/dev/zero` as one must not fill the memory.
const MOST: u64 = 4 << 20;

/// The bytes of a file.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("is larger than 4 MiB"));
    }
    Ok(bytes)
}

/// The text of a file; the error is in words that follow its name.
pub fn read_text(path: &str) -> Result<String, String> {
    let bytes = read(path).map_err(|error| crate::config::files::reason(&error))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())
}

/// The `*.toml` of a folder in name order, as paths. As for a shell, a name that begins with a dot is none of them.
pub fn list_toml(dir: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.ends_with(".toml")
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    let dir = dir.trim_end_matches('/');
    Ok(names.into_iter().map(|name| format!("{dir}/{name}")).collect())
}

/// Whether a path exists (a link that leads nowhere does not).
#[must_use]
pub fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Writes at most `most` bytes over a file that exists; nothing is made, and a failure is nobody's business.
pub fn overwrite(path: &str, text: &str, most: usize) {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
    if let Ok(mut file) = file {
        let _ = file.write_all(text.as_bytes().get(..text.len().min(most)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_up_to_a_bound() {
        let root = env!("CARGO_MANIFEST_DIR");
        assert!(exists(root) && !exists("/no/such/path"));
        assert!(read_text(&format!("{root}/Cargo.toml")).expect("text").contains("rinit"));
        assert_eq!(read_text("/no/such/path").expect_err("nothing"), "does not exist");
        assert_eq!(read_text(root).expect_err("a folder"), "is a folder");
        assert_eq!(read_text("/dev/zero").expect_err("no end"), "is larger than 4 MiB");
        let examples = list_toml(&format!("{root}/config-examples/")).expect("a folder");
        assert!(
            examples.is_sorted() && examples.contains(&format!("{root}/config-examples/quickstart.toml"))
        );
        assert_eq!(list_toml("/no/such/path").expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }
}
