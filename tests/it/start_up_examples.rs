//! Examples that take the place of a start-up script, with the real program where it is at hand: an empty volume, a second
//! start, a read-only root, another user, another COMMAND.

use crate::harness::{Ended, INIT, Init, Launch, Running, eventually, ms, needs_root};
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Instant;

fn example(name: &str) -> String {
    let path = format!("{}/config-examples/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("an example")
}

// ------------------------------------------------------------------------------ PostgreSQL

const PASSWORD: &str = "it's \"$HOME\" \\ and more";

/// Where Debian keeps initdb and the server.
fn binaries() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql");
    let newest = versions.map(|entry| entry.expect("an entry").path()).max().expect("a version");
    newest.join("bin").to_str().expect("text").to_string()
}

/// The example behind this script, which may prepare a volume; `words` is what rinit itself is given.
fn postgres(set_up: &str, words: &str) -> Launch {
    needs_root();
    let script = format!("{set_up}\nexec {INIT} --config /mnt/files/rinit.toml {words}");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries());
    // The places that are always writable.
    let text = example("postgres.toml").replace("/var/lib/postgresql", "/mnt/files/volume");
    let text = text.replace("/run/postgresql", "/mnt/files/sockets");
    Init::SHELL.launch().file("rinit.toml", &text).args(&["-c", &script]).env("PATH", &path).network()
}

/// A server that can be asked.
const SERVER: &str = "-- postgres -c unix_socket_directories=/mnt/files/sockets -c fsync=off";

#[track_caller]
fn ready(launch: Launch) -> Running {
    let run = launch.start();
    let start = Instant::now();
    while !run.err().contains("database system is ready to accept connections") {
        assert!(start.elapsed() < ms(20_000), "no server\n{}\n{}", run.out(), run.err());
        std::thread::sleep(ms(5));
    }
    run
}

/// What the server answers over its network, to who knows this password.
fn ask(run: &Running, user: &str, database: &str, password: &str, query: &str) -> Result<String, String> {
    let done = Command::new("nsenter")
        .args(["--net", "--target", &run.pid_outside().to_string(), "psql", "-h", "127.0.0.1", "-w", "-Atq"])
        .args(["-U", user, "-d", database, "-c", query])
        .env("PGPASSWORD", password)
        .output()
        .expect("the commands nsenter and psql");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

#[track_caller]
fn stops(run: Running) -> Ended {
    run.signal(libc::SIGTERM);
    let ended = run.end().expect(0);
    ended.tells(&["received fast shutdown request", "database system is shut down"])
}

#[test]
fn postgres_makes_its_cluster_on_an_empty_volume() {
    let launch = postgres("", SERVER).env("POSTGRES_PASSWORD", PASSWORD).env("POSTGRES_DB", "app").bare();
    let run = ready(launch);
    assert_eq!(ask(&run, "postgres", "app", PASSWORD, "select current_database()"), Ok("app".into()));
    let refused = ask(&run, "postgres", "app", "another", "select 1").expect_err("refused");
    assert!(refused.contains("password authentication failed"), "{refused}");
    let server = run.the("postgres -c unix_socket");
    let owner = std::fs::metadata(run.directory().join("volume/data")).expect("the cluster");
    assert_eq!(server.status("Uid").split_whitespace().next(), Some(owner.uid().to_string().as_str()));
    assert_eq!(
        (owner.mode() & 0o777, owner.uid() != 0, server.status("Umask")),
        (0o700, true, "0077".into())
    );
    let left = "create temp table e (l text); copy e from program 'env'; select count(*) from e where l like 'POSTGRES_PASSW%'";
    assert_eq!(ask(&run, "postgres", "app", PASSWORD, left), Ok("0".into()));
    assert!(!run.err().contains("more"), "the password is in the log: {}", run.err());
    stops(run);
}

/// A second start, after one that was killed half way and one that was not; and a restart needs no password.
#[test]
fn postgres_starts_again_on_its_volume() {
    let first = format!(
        "mkdir -p /mnt/files/volume/data.new; echo half > /mnt/files/volume/data.new/PG_VERSION; chown -R postgres /mnt/files/volume/data.new
        POSTGRES_PASSWORD_FILE=/mnt/files/password POSTGRES_USER=boss {INIT} --config /mnt/files/rinit.toml -- postgres -C port || exit 99
        stat -c 'made %i' /mnt/files/volume/data/PG_VERSION"
    );
    let run = ready(postgres(&first, SERVER).file("password", "from a file\n"));
    let made = std::fs::metadata(run.directory().join("volume/data/PG_VERSION")).expect("a file").ino();
    assert!(run.out().contains("\n5432\n") && run.out().contains(&format!("made {made}\n")), "{}", run.out());
    assert_eq!(ask(&run, "boss", "postgres", "from a file", "select 6 * 7"), Ok("42".into()));
    assert!(!run.directory().join("volume/data.new").exists());
    let ended = stops(run);
    assert_eq!(ended.out.matches("Success").count(), 1, "{}", ended.story());
}

#[test]
fn postgres_without_a_password_or_with_another_command() {
    let ended = postgres("", SERVER).run().expect(69);
    ended.tells(&["POSTGRES_PASSWORD", "the volume is empty; say which password the superuser is to have"]);
    let ended = postgres("", SERVER).env("POSTGRES_PASSWORD", "a").env("POSTGRES_DB", "a;b").run().expect(69);
    ended.tells(&["POSTGRES_DB"]);
    let ended = postgres("", "-- sh -c 'echo just run; ls /mnt/files'").run().expect(0);
    assert_eq!(ended.out, "just run\nrinit.toml\n", "{}", ended.story());
    // An option comes behind `postgres`; a volume of another owner becomes the server's.
    let launch = postgres(
        "mkdir -m 700 /mnt/files/volume; chown 4321 /mnt/files/volume",
        "-- -C max_connections -c max_connections=7",
    );
    let ended = launch.env("POSTGRES_PASSWORD", "a").run().expect(0);
    assert!(ended.out.ends_with("\n7\n"), "{}", ended.story());
}

/// `docker run --user`: the same file, with a volume that is that user's.
#[test]
fn postgres_as_a_user_that_is_given() {
    let id = String::from_utf8(Command::new("id").args(["-u", "postgres"]).output().expect("id").stdout)
        .expect("text");
    let user = id.trim().parse().expect("a number");
    let launch = postgres("mkdir /mnt/files/volume /mnt/files/sockets", SERVER)
        .env("POSTGRES_PASSWORD", PASSWORD)
        .user(user);
    let run = ready(launch);
    assert_eq!(ask(&run, "postgres", "postgres", PASSWORD, "select 1"), Ok("1".into()));
    assert!(
        run.err().contains(&format!("runs as who rinit is, uid {user}")) || !run.err().contains("not root")
    );
    stops(run);
}

// ------------------------------------------------------------------------------ cron

/// The example, with a stand-in for cron that runs its jobs as soon as somebody says so.
fn cron(words: &str) -> Launch {
    let text = example("cron-beside-app.toml").replace("/etc/cron.d", "/mnt/files/cron.d");
    let stand_in = "#!/bin/sh\necho \"cron $*\"\nwhile ! [ -e /mnt/files/now ]; do sleep 0.01; done; rm /mnt/files/now\n\
        grep ' root ' /mnt/files/cron.d/app | sed 's/.* root //' | env -i $(grep ^DATABASE_URL /mnt/files/cron.d/app | tr -d '\"') sh\n\
        exec sleep 1000\n";
    Init::config(&text.replace("/app/clean", "echo clean $DATABASE_URL"))
        .args(&["--", "sh", "-c", words])
        .file_with_mode("bin/cron", stand_in, 0o755)
        .file("cron.d/empty", "")
        .env("PATH", "/mnt/files/bin:/usr/bin:/bin")
        .env("APP_USER", "1234")
}

#[test]
fn cron_runs_beside_an_application() {
    needs_root();
    let url = "postgres://u:hidden@db/app";
    let app = "echo app as $(id -u); exec sleep 1001";
    let run = cron(app).env("DATABASE_URL", url).start();
    run.wait_for("cron -f\n");
    run.wait_for("app as 1234\n");
    let crontab = run.directory().join("cron.d/app");
    assert!(run.file("cron.d/app").contains("\n17 3 * * * root echo clean"), "{}", run.file("cron.d/app"));
    assert_eq!(std::fs::metadata(crontab).expect("a crontab").mode() & 0o777, 0o600);
    std::fs::write(run.directory().join("now"), "").expect("a file");
    // In the container's log, and with the variable that cron itself would have taken away.
    run.wait_for(&format!("clean {url}\n"));
    run.stop().expect(143);
    // Its end is the container's.
    let ended = cron("sleep 0.1; exit 5").env("DATABASE_URL", url).run().expect(5);
    assert!(ended.left.is_empty() && !ended.err.contains("hidden"), "{}", ended.story());
    cron(app).run().expect(78).tells(&["DATABASE_URL is not set"]);
    // A cron that dies is started again.
    let run = cron(app).env("DATABASE_URL", url).start();
    run.wait_for("cron -f\n");
    run.signal_to(&run.the("bin/cron -f"), libc::SIGKILL);
    eventually("it is there again", || run.out().matches("cron -f\n").count() == 2);
    run.stop();
}
