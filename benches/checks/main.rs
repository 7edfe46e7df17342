//! What checks cost: `cargo bench --bench checks [-- [--markdown] [--quick] SUBJECT…]`.
//!
//! In every round each program runs once, in turn; times are from exec to exit. The subjects define what is measured,
//! and the bars:
//!
//! | subject | file | what |
//! | --- | --- | --- |
//! | `many` | `running.rs` | 200 checks, beside one `sh -c true` |
//! | `ten` | `running.rs` | ten checks (`ten.toml`), beside the script that does the same (`ten.sh`) |
//! | `waits` | `running.rs` | 20 checks that wait 2 s each, beside one `sleep 2` |
//! | `reading` | `reading.rs` | a file of 2,000 lines, beside a bare TOML parser |
//!
//! Needs root for mounts in its own namespace. `RINIT_BIN` and `RINIT_SMALL` name the binaries under test, as in the
//! peers benchmark.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that meets the unexpected is to stop, loudly"
)]

#[path = "../common/mod.rs"]
mod common;
mod place;
mod reading;
mod running;

use common::{Options, Subject};
use place::Place;

/// The text above the tables in `benches/CHECKS.md`.
const PREFACE: &str = "\
# What checks cost

What is measured and how: [docs/performance.md](../docs/performance.md). To repeat it, as root:

```sh
cargo build --release --target x86_64-unknown-linux-musl
.ci/release
export RINIT_SMALL=$PWD/target/released/x86_64-unknown-linux-musl/release/rinit
cargo bench --bench checks -- --markdown >benches/CHECKS.md
```

`bare` is rinit with an empty file. n is the number of samples; ratios are of medians within this run.

";

const SUBJECTS: [Subject<Place>; 4] = [
    ("many", running::many),
    ("ten", running::ten),
    ("waits", running::waits),
    ("reading", reading::reading),
];

fn main() {
    let options = Options::read(&SUBJECTS);
    let place = Place::new();
    options.measure(&SUBJECTS, &place, || {
        let ours = place.ours.iter().map(|(name, path)| (*name, path.as_str()));
        format!("{PREFACE}{}\n", common::circumstances(ours))
    });
}
