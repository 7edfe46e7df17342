//! What a container may do, and what it may do too much: `privileges`, and `port` below 1024.

use super::{COMMAND, checked, refuses, starts, tells};
use crate::engine::{Container, Ran, docker_ok, run};
use crate::images::{Config, RINIT, build, debian};

/// The engine lets everybody have low ports nowadays (20.10); this is what it was, and what Kubernetes has.
const AS_EVER: &str = "--sysctl=net.ipv4.ip_unprivileged_port_start=1024";

#[test]
fn port_80_as_a_user_without_the_capability() {
    let checks = "[checks.port.80]\n";
    refuses(
        checks,
        &["--user=1000", AS_EVER],
        &[
            "port 80 refused to uid 1000: below net.ipv4.ip_unprivileged_port_start = 1024",
            "use a port of 1024 or more, or docker run --sysctl net.ipv4.ip_unprivileged_port_start=0",
        ],
    );
    starts(checks, &["--user=1000", "--sysctl=net.ipv4.ip_unprivileged_port_start=0"]);
    starts("[checks.port.8080]\n", &["--user=1000", AS_EVER]);
}

/// Root may have it back by name.
#[test]
fn port_80_as_root_without_the_capability() {
    let checks = "[checks.port.80]\n";
    let hint = "docker run --cap-add NET_BIND_SERVICE";
    refuses(checks, &["--cap-drop=ALL", AS_EVER], &["port 80 refused to uid 0", hint]);
    starts(checks, &["--cap-drop=ALL", "--cap-add=NET_BIND_SERVICE", AS_EVER]);
}

/// A second container in the network of the first, as the containers of a pod are.
#[test]
fn port_80_that_another_container_of_the_pod_has() {
    let web = Container::start(&["--entrypoint=nginx"], debian(), &["-g", "daemon off;"]);
    let pod = format!("--network=container:{}", web.name);
    let listens = "[checks.port.80]\nstate = \"listening\"\nwait = \"20s\"\n";
    starts(listens, &[&pod]);
    refuses("[checks.port.80]\n", &[&pod], &["port 80 taken by another process", "or use another port"]);
    refuses("[checks.port.81]\nstate = \"listening\"\n", &[&pod], &["nobody listens on port 81"]);
}

#[test]
fn privileges_all_capabilities_dropped_where_two_are_needed() {
    let checks = "[checks.privileges]\ncapabilities = { has = [\"CHOWN\", \"SETUID\"] }\n";
    refuses(
        checks,
        &["--cap-drop=ALL"],
        &["uid 0 without CHOWN, SETUID", "docker run --cap-add CHOWN --cap-add SETUID, as root"],
    );
    starts(checks, &["--cap-drop=ALL", "--cap-add=CHOWN", "--cap-add=SETUID"]);
}

/// The same from the other side: a container that is to have none but one.
#[test]
fn privileges_more_capabilities_than_are_needed() {
    let checks = "[checks.privileges]\ncapabilities = { has = \"NET_BIND_SERVICE\", lacks = \"ALL\" }\n";
    let hint = "docker run --cap-drop ALL --cap-add NET_BIND_SERVICE, or run as another user";
    refuses(checks, &[], &["uid 0 with CHOWN, ", "no other capability", hint]);
    starts(checks, &["--cap-drop=ALL", "--cap-add=NET_BIND_SERVICE"]);
}

#[test]
fn privileges_that_an_option_hardens() {
    let checks = "[checks.privileges]\nno_new_privs = true\nseccomp = true\n";
    refuses(
        checks,
        &["--security-opt=seccomp=unconfined"],
        &[
            "no_new_privs off; seccomp off",
            "docker run --security-opt no-new-privileges",
            "docker run --security-opt seccomp=PROFILE.json",
        ],
    );
    starts(checks, &["--security-opt=no-new-privileges"]);
}

/// Whoever may write to the engine's socket is root on the machine; and a /proc of the machine's is nearly that.
/// (`--privileged` is found as well, but an engine in a container may not give it.)
#[test]
fn privileges_the_machine_exposed() {
    let checks = "[checks.privileges]\nexposed = \"none\"\n";
    let socket = "--volume=/var/run/docker.sock:/var/run/docker.sock";
    refuses(
        checks,
        &[socket, "--volume=/proc:/host/proc:ro"],
        &["exposed: /run/docker.sock, /host/proc", "leave out the volume or option that gives it"],
    );
    starts(checks, &[]);
}

const HARDENED: &str =
    "[checks.privileges]\nsetuid_files = \"none\"\npaths = [\"/usr/local\"]\npasswords = \"none empty\"\n";

/// What `docker run` of an image that is made with these lines says to [`HARDENED`].
fn hardened(name: &str, lines: &str) -> Ran {
    let image = build(name, &format!("FROM {}\n{lines}\nENTRYPOINT [\"{RINIT}\"]\n", debian()), &[]);
    let config = Config::new(HARDENED);
    let ran = run(&[&config.mount], &image, &COMMAND);
    // Without what it was made of, which other tests run.
    docker_ok(&["rmi", "--no-prune", &image]);
    ran
}

/// Left in the image by an installer; the message is the line of the Dockerfile that mends it.
#[test]
fn privileges_a_setuid_file_left_in_the_image() {
    let left = "RUN install -m 4755 /bin/true /usr/local/bin/helper";
    let ran = hardened("setuid", left);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    let mend = "chmod a-s /usr/local/bin/helper";
    tells(
        &ran,
        &["found setuid /usr/local/bin/helper", &format!("in the image: {mend}, or name them in allow")],
    );

    let ran = hardened("no-setuid", &format!("{left}\nRUN {mend}"));
    assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"), "{ran:?}");
}

#[test]
fn privileges_an_empty_password_left_in_the_image() {
    let left = "RUN useradd --password '' guest";
    let ran = hardened("password", left);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    tells(&ran, &["an empty password of guest", "in the image: passwd -l guest"]);

    let ran = hardened("locked", &format!("{left}\nRUN passwd -l guest"));
    assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"), "{ran:?}");
}

/// A plain user does not see all that is asked about, and cannot become root by a key: where it can be seen is told.
#[test]
fn privileges_that_a_plain_user_cannot_see() {
    let checks = "[checks.privileges]\nsetuid_files = \"none\"\npasswords = \"none empty\"\n";
    let ran = checked(checks, &["--user=1000"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    let hint = "in the Dockerfile: USER root, RUN rinit --check --only privileges";
    tells(&ran, &["a directory that cannot be searched, /", "/etc/shadow that cannot be read", hint]);
}
