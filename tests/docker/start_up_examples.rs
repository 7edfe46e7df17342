//! Examples that take the place of a start-up script, in real containers: PostgreSQL and cron as Debian has them.

use crate::engine::{Container, Volume, docker_ok, run};
use crate::eventually;
use crate::images::{Config, RINIT, build, import};
use std::sync::LazyLock;

/// Debian with a PostgreSQL server and cron, and rinit as its entry point. The cluster that the package made is gone.
fn image() -> &'static str {
    static IMAGE: LazyLock<String> = LazyLock::new(|| {
        let base = import("start-up", "postgresql,cron,procps", "", |_| {});
        let file = format!(
            "FROM {base}\nRUN rm -rf /var/lib/postgresql && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ 2>/dev/null; true\n\
             COPY rinit {RINIT}\nENV LC_ALL=C.UTF-8\nENTRYPOINT [\"{RINIT}\"]\nCMD [\"--\", \"postgres\"]\n"
        );
        build("start-up", &file, &[])
    });
    &IMAGE
}

const SERVER: [&str; 2] = ["--", "postgres"];

#[track_caller]
fn is_ready(container: &Container, starts: usize) {
    eventually("the server is ready", || {
        let told = container.logs().err.matches("database system is ready to accept connections").count();
        (told == starts).then_some(())
    });
}

/// What the server answers over its network to who knows this password.
fn ask(container: &Container, password: &str, query: &str) -> Result<String, String> {
    let url = format!("host=127.0.0.1 user=postgres dbname=app password={password}");
    let done = container.exec(&["psql", "-w", "-Atqc", query, &url]);
    if done.code == 0 { Ok(done.out.trim().into()) } else { Err(done.err) }
}

/// An empty volume, the same container again, another container on that volume, and a read-only root.
#[test]
fn postgres_in_a_container() {
    let (config, volume) = (Config::example("postgres.toml"), Volume::new());
    let mount = format!("--volume={}:/var/lib/postgresql", volume.0);
    let read_only = ["--read-only", "--tmpfs=/run/postgresql", "--tmpfs=/tmp"];
    let given = ["--env=POSTGRES_PASSWORD=pass", "--env=POSTGRES_DB=app", &mount, &config.mount];
    let container = Container::start(&[&given[..], &read_only].concat(), image(), &SERVER);
    is_ready(&container, 1);
    assert_eq!(
        ask(&container, "pass", "create table kept as select 42 as n; select n from kept"),
        Ok("42".into())
    );
    assert!(
        ask(&container, "wrong", "select 1")
            .is_err_and(|told| told.contains("password authentication failed"))
    );
    let who = container.exec(&["ps", "-o", "user:16=,args=", "-C", "postgres"]).out;
    assert!(who.lines().all(|line| line.starts_with("postgres ")), "{who}");
    docker_ok(&["restart", &container.name]);
    is_ready(&container, 2);
    assert_eq!(ask(&container, "pass", "select n from kept"), Ok("42".into()));
    container.stop();
    assert_eq!(container.wait(), 0, "{:?}", container.logs());
    // Without a password, for the cluster has it.
    let container = Container::start(&[&mount, &config.mount], image(), &SERVER);
    is_ready(&container, 1);
    assert_eq!(ask(&container, "pass", "select n from kept"), Ok("42".into()));
    assert!(!container.logs().out.contains("initdb") && !container.logs().err.contains("initdb"));
    // On a volume that is empty there is none.
    let ran = run(&[&config.mount], image(), &SERVER);
    assert!(ran.code == 69 && ran.err.contains("say which password the superuser is to have"), "{ran:?}");
    let ran = run(&[&config.mount], image(), &["--", "id", "-un"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "root\n"), "{ran:?}");
}

/// Debian's cron empties the environment and mails what jobs write.
#[test]
fn cron_beside_an_application_in_a_container() {
    let config = Config::new(
        &std::fs::read_to_string("config-examples/cron-beside-app.toml")
            .expect("an example")
            .replace("/app/clean", "echo clean $DATABASE_URL as $(id -un)"),
    );
    let environment = ["--env=DATABASE_URL=postgres://u:p@db/app", "--env=CLEAN_AT=* * * * *", &config.mount];
    let app = [
        "--",
        "sh",
        "-c",
        "trap 'echo bye; exit 0' TERM; echo app as $(id -un); while :; do sleep 0.1; done",
    ];
    let container = Container::start(&environment, image(), &app);
    container.says("app as www-data");
    // At the next full minute.
    let mut patience = 5;
    while !container.logs().out.contains("clean postgres://u:p@db/app as root") {
        patience -= 1;
        assert!(patience > 0, "{:?}", container.logs());
        std::thread::sleep(std::time::Duration::from_secs(25));
    }
    container.stop();
    assert_eq!(container.wait(), 0, "{:?}", container.logs());
}
