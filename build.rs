//! Hands the linker its script, for the program alone: a test unwinds, and needs what the script drops.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        let directory = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-T{directory}/link.ld");
        println!("cargo::rustc-link-arg-bins=--no-eh-frame-hdr");
    }
}
