//! `Dockerfile.example`, built as a user builds it, but of base images that are made here.

use crate::engine::{Container, docker_ok};
use crate::eventually;
use crate::images::{answers_pings, debian_base, import, serves_pages};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image with this machine's Rust, in the places of the official one, and with the crates that Cargo.lock names.
fn rust() -> String {
    let tag = import("rust", "gcc,libc6-dev,ca-certificates", |tree| {
        let rustup = home("RUSTUP_HOME", ".rustup");
        let cargo = home("CARGO_HOME", ".cargo");
        let toolchain = output("rustc", &["--print", "sysroot"]);
        let name = Path::new(&toolchain).file_name().expect("a toolchain").to_str().expect("UTF-8");
        for (from, to) in [
            (rustup.join("settings.toml"), "usr/local/rustup/settings.toml".to_owned()),
            (cargo.join("bin"), "usr/local/cargo/bin".to_owned()),
            (cargo.join("registry"), "usr/local/cargo/registry".to_owned()),
            (Path::new(&toolchain).join("bin"), format!("usr/local/rustup/toolchains/{name}/bin")),
            (Path::new(&toolchain).join("lib"), format!("usr/local/rustup/toolchains/{name}/lib")),
        ] {
            let to = tree.join(to);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            let copied = Command::new("cp").arg("-a").arg(&from).arg(&to).status().expect("cp");
            assert!(copied.success(), "{} to {}", from.display(), to.display());
        }
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

fn home(variable: &str, folder: &str) -> PathBuf {
    std::env::var_os(variable)
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(folder), PathBuf::from)
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
