//! Options of Docker's, as remedies name them.

use crate::text::template::fill;
/// A size as an option of Docker's takes it.
pub(in crate::checks) fn docker_size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { fill!("{}m", &(bytes >> 20).to_string()) } else { bytes.to_string() }
}

/// `docker run --volume …`, with a name for a volume where none is asked for.
pub(in crate::checks) fn volume_option(path: &str, name: &str) -> String {
    let name = if name.is_empty() { path.rsplit('/').next().unwrap_or("") } else { name };
    fill!("docker run --volume {}:{}", name, path)
}
