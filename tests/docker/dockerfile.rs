//! `Dockerfile.example`, built as a user builds it, but of base images that are made here.

use crate::engine::{Container, docker_ok};
use crate::eventually;
use crate::images::{answers_pings, debian_base, import, serves_pages};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image with this machine's Rust, in the places of the official one, and with the crates that Cargo.lock names.
fn rust() -> String {
    const PACKAGES: &str = "gcc,libc6-dev,ca-certificates";
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let key = fs::read_to_string(lock).expect("Cargo.lock") + &output("rustc", &["--verbose", "--version"]);
    let tag = import("rust", PACKAGES, &key, |tree| {
        let rustup = home("RUSTUP_HOME", ".rustup");
        let cargo = home("CARGO_HOME", ".cargo");
        let toolchain = PathBuf::from(output("rustc", &["--print", "sysroot"]));
        let name = toolchain.file_name().expect("a toolchain").to_str().expect("UTF-8");
        let place = format!("usr/local/rustup/toolchains/{name}");
        copy(&rustup.join("settings.toml"), &tree.join("usr/local/rustup/settings.toml"));
        copy(&cargo.join("bin"), &tree.join("usr/local/cargo/bin"));
        copy(&cargo.join("registry"), &tree.join("usr/local/cargo/registry"));
        copy(&toolchain.join("bin"), &tree.join(&place).join("bin"));
        copy(&toolchain.join("lib"), &tree.join(&place).join("lib"));
    });
    // The variables of the official image; and there is nobody to ask.
    let base = docker_ok(&["image", "inspect", "--format", "{{.Id}}", &tag]);
    let container = docker_ok(&[
        "create",
        "--env=RUSTUP_HOME=/usr/local/rustup",
        "--env=CARGO_HOME=/usr/local/cargo",
        "--env=CARGO_NET_OFFLINE=true",
        "--env=PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        &base,
        "true",
    ]);
    let image = docker_ok(&["commit", &container]);
    docker_ok(&["rm", &container]);
    image
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success(), "{} to {}", from.display(), to.display());
}

fn home(variable: &str, directory: &str) -> PathBuf {
    std::env::var_os(variable)
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(directory), PathBuf::from)
}

fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect(program);
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// The whole way: rinit is compiled in one stage and starts real servers in the other.
#[test]
fn dockerfile_example_builds_an_image_that_works() {
    let source = env!("CARGO_MANIFEST_DIR");
    let image = docker_ok(&[
        "build",
        "--quiet",
        "--network=none",
        &format!("--build-arg=RUST_IMAGE={}", rust()),
        &format!("--build-arg=BASE_IMAGE={}", debian_base()),
        "--file",
        &format!("{source}/Dockerfile.example"),
        source,
    ]);
    let container = Container::start(&[], &image, &[]);
    eventually("nginx serves", || serves_pages(&container));
    assert_eq!(answers_pings(&container), None, "redis is for the container's own use");
    assert_eq!(container.exec(&["redis-cli", "ping"]).out, "PONG\n");
    assert!(container.logs().out.contains("app migrate: done"));
    container.stop();
    assert_eq!(container.wait(), 0);
}
