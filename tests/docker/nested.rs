//! rinit called again in a container whose PID 1 it is.

use crate::engine::{Container, docker};
use crate::images::{Config, scratch};

/// `docker exec C rinit -- x` started every service a second time, whoever called.
#[test]
fn docker_exec_of_rinit_just_runs_the_command() {
    let config =
        Config::new("[services.web]\ncommand = [\"sh\", \"-c\", \"echo web up; exec sleep 1000\"]\n");
    let container = Container::start(&[&config.mount], scratch(), &[]);
    container.says("web up");
    for user in ["0", "65534", "1000:1000"] {
        let ran = docker(&[
            "exec",
            "--user",
            user,
            &container.name,
            "rinit",
            "--",
            "sh",
            "-c",
            "echo $PPID; exit 7",
        ]);
        assert_eq!(ran.code, 7, "{user}: {ran:?}");
        assert_ne!(ran.out, "1\n", "{user}: it has a rinit of its own");
        let refused = docker(&["exec", "--user", user, &container.name, "rinit"]);
        assert_eq!(refused.code, 64, "{user}: {refused:?}");
        assert!(refused.err.contains("PID 1 is rinit already"), "{user}: {refused:?}");
    }
    assert_eq!(container.exec(&["rinit", "--validate"]).code, 0);
    let started = container.logs().out.matches("web up").count();
    assert_eq!(started, 1, "{:?}", container.logs());
    container.stop();
    assert_eq!(container.wait(), 0);
}
