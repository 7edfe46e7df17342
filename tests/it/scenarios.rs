//! Examples of `config-examples/` in the scenarios that an image meets: root and any other user, a read-only root, a volume
//! that is empty or somebody else's, another COMMAND, an option as COMMAND, a variable that is missing, a secret by file, and
//! the second start on the same volume in the same container. The programs are stand-ins that tell what they were given, or
//! the real ones.

use crate::harness::{Ended, FILES, Init, Launch, PROBE, Running, eventually, needs_root};

/// One example, with its places moved below [`FILES`].
pub struct Example {
    text: String,
    files: Vec<(String, String)>,
    env: Vec<(&'static str, String)>,
    rinit: &'static str,
}

impl Example {
    /// The example of this name; `rinit` are the options that its image's ENTRYPOINT gives.
    pub fn of(name: &str, rinit: &'static str) -> Self {
        let path = format!("{}/config-examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let env = vec![("PATH", format!("{FILES}/bin:/usr/sbin:/usr/bin:/sbin:/bin"))];
        Self { text, files: Vec::new(), env, rinit }
    }

    /// Every `from` of the file is `to`.
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "the example has no {from}");
        self.text = self.text.replace(from, to);
        self
    }

    /// A program that tells its arguments and all that it was given.
    pub fn stand_in(self, name: &str) -> Self {
        self.program(name, &format!("#!/bin/sh\necho \"args=$*\"\nexec {PROBE} report\n"))
    }

    /// A program.
    pub fn program(mut self, name: &str, script: &str) -> Self {
        self.files.push((format!("bin/{name}"), script.into()));
        self
    }

    /// A variable that every scenario has but the one in which it is missing.
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The same without that variable.
    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| *known != name);
        self
    }

    /// A start as root with this COMMAND, after `prelude`, a shell script in which `$RINIT` is the whole start.
    pub fn after(&self, prelude: &str, command: &[&str]) -> Launch {
        needs_root();
        let mut launch = Init::SHELL.launch().file("rinit.toml", &self.text).file("passwd", "").cwd("/");
        for (name, text) in &self.files {
            launch = launch.file_with_mode(name, text, 0o755);
        }
        for (name, value) in &self.env {
            launch = launch.env(name, value);
        }
        // The machine's own /etc/passwd is not to be written.
        let script = format!(
            "set -e\ncp /etc/passwd {FILES}/passwd\nmount --bind {FILES}/passwd /etc/passwd\nrinit() {{ {}/mnt/rinit {} -c {FILES}/rinit.toml -- \"$@\"; }}\n{prelude}\n",
            "${AS:-} ", self.rinit
        );
        launch.args(&["-c", &script, "sh"]).args(command)
    }

    /// A start to its end, after `prelude`.
    #[track_caller]
    pub fn run(&self, prelude: &str, command: &[&str]) -> Ended {
        self.after(&format!("{prelude}\nrinit \"$@\""), command).run()
    }

    /// `docker run --user ID`, after `prelude`.
    #[track_caller]
    pub fn run_as(&self, id: u32, prelude: &str, command: &[&str]) -> Ended {
        let prelude = format!("{prelude}\nAS=\"setpriv --reuid {id} --regid {id} --clear-groups\"");
        self.run(&prelude, command)
    }

    /// Two starts, one after the other.
    #[track_caller]
    pub fn run_again(&self, prelude: &str, command: &[&str]) -> Ended {
        self.after(&format!("{prelude}\nrinit \"$@\"; echo ---; rinit \"$@\""), command).run()
    }

    /// A start on a read-only root.
    #[track_caller]
    pub fn run_read_only(&self, prelude: &str, command: &[&str]) -> Ended {
        self.after(&format!("{prelude}\nrinit \"$@\""), command).bare().run()
    }
}

#[track_caller]
pub fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

/// Shown behind a start: whose a file is.
pub fn owners(paths: &str) -> String {
    format!("trap 'cd {FILES}; stat -c \"%n %u:%g %a\" {paths}' EXIT")
}

#[test]
fn an_image_with_puid_and_pgid() {
    let example = || {
        Example::of("puid-and-pgid.toml", "")
            .with("/config", "/mnt/files/config")
            .stand_in("app")
            .env("API_KEY", "k")
    };
    let app = ["app", "--config", "/mnt/files/config"];
    // root, an empty volume.
    let ended =
        example().run(&format!("mkdir {FILES}/config\n{}", owners("config config/*")), &app).expect(0);
    has(
        &ended,
        &["args=--config /mnt/files/config", "Uid=911 911 911 911", "Gid=911 911 911 911", "Groups=911"],
    );
    has(&ended, &["umask=0022", "$HOME=/mnt/files/config", "$USER=user911", "$API_KEY=k"]);
    has(&ended, &["config 911:911 755", "config/settings.ini 911:911 644"]);
    // A volume of another owner.
    let prelude = format!(
        "mkdir {FILES}/config; echo mine > {FILES}/config/settings.ini; chown -R 4321:99 {FILES}/config\n{}",
        owners("config config/*")
    );
    let ended =
        example().env("PUID", "99").env("PGID", "100").env("UMASK", "077").run(&prelude, &app).expect(0);
    has(&ended, &["Uid=99 99 99 99", "umask=0077", "config 99:100 755", "config/settings.ini 99:100 644"]);
    // docker run --user, with a volume of theirs: PUID says nothing, which is told once.
    let prelude = format!("mkdir {FILES}/config; chown 1234 {FILES}/config\n{}", owners("config config/*"));
    let ended = example().run_as(1234, &prelude, &app).expect(0);
    has(&ended, &["Uid=1234 1234 1234 1234", "config/settings.ini 1234:1234 644"]);
    assert_eq!(ended.err.matches("runs as who rinit is, uid 1234").count(), 1, "{}", ended.story());
    // With one of somebody else's: told, with what to do.
    example()
        .run_as(1234, &format!("mkdir {FILES}/config"), &app)
        .expect(69)
        .tells(&["/mnt/files/config", "1234"]);
    // A read-only root.
    let ended = example().run_read_only(&format!("mkdir {FILES}/config"), &app).expect(0);
    has(&ended, &["Uid=911 911 911 911", "$API_KEY=k"]);
    // Another COMMAND: nothing is made, nobody's rights are changed.
    let ended = example().without("API_KEY").run("", &["sh", "-c", "id -u; ls /mnt/files/config"]).expect(2);
    assert_eq!(ended.out, "0\n", "{}", ended.story());
    // An option as COMMAND.
    let ended = example().run("", &["--verbose"]).expect(0);
    has(&ended, &["args=--config /mnt/files/config --verbose", "Uid=911 911 911 911"]);
    // A variable that is missing.
    let ended = example().without("API_KEY").run("", &app).expect(69).tells(&["API_KEY"]);
    assert!(!ended.out.contains("args="), "{}", ended.story());
    // A secret by file.
    let ended = example()
        .without("API_KEY")
        .env("API_KEY_FILE", "/mnt/files/key")
        .run(&format!("echo f > {FILES}/key"), &app);
    has(&ended.expect(0), &["$API_KEY=f"]);
    // The second start: what the user changed stays, and no second entry is made.
    let change = format!(
        "rinit \"$@\" > /dev/null; echo mine > {FILES}/config/settings.ini; rinit \"$@\"; cat {FILES}/config/settings.ini; grep -c user911 /etc/passwd"
    );
    let ended = example().after(&change, &app).run().expect(0);
    assert!(ended.out.ends_with("\nmine\n1\n"), "{}", ended.story());
}

#[test]
fn a_node_service() {
    const URL: &str = "postgres://u:p@db/app";
    let example = || {
        let example = Example::of("node-service.toml", "").with("/app", "/mnt/files/app").stand_in("node");
        let example = example
            .with("user = \"node\"", "user = \"daemon\"")
            .with("owner = \"node\"", "owner = \"daemon\"");
        example.env("DATABASE_URL", URL)
    };
    let app = format!("mkdir -p {FILES}/app");
    // root.
    let ended = example().run(&format!("{app}\n{}", owners("app/uploads")), &[]).expect(0);
    let who =
        ["args=server.js", "Uid=1 1 1 1", "Gid=1 1 1 1", "Groups=1", "umask=0022", "cwd=/mnt/files/app"];
    has(&ended, &who);
    has(
        &ended,
        &[
            "$NODE_ENV=production",
            "$PORT=3000",
            "$HOME=/usr/sbin",
            "$USER=daemon",
            &format!("$DATABASE_URL={URL}"),
            "app/uploads 1:0 755",
        ],
    );
    // --user.
    let ended = example().run_as(1234, &format!("{app}/uploads"), &[]).expect(0);
    has(&ended, &["args=server.js", "Uid=1234 1234 1234 1234"]);
    assert_eq!(ended.err.matches("runs as who rinit is").count(), 1, "{}", ended.story());
    // A read-only root.
    has(&example().run_read_only(&app, &[]).expect(0), &who);
    // A volume of another owner.
    let prelude = format!("{app}/uploads; chown 4321 {FILES}/app/uploads\n{}", owners("app/uploads"));
    has(&example().run(&prelude, &[]).expect(0), &["app/uploads 1:0 755"]);
    // Another COMMAND.
    let ended = example().without("DATABASE_URL").run("", &["sh", "-c", "id -u; pwd"]).expect(0);
    assert_eq!(ended.out, "0\n/\n", "{}", ended.story());
    // An option as COMMAND, flags of the deployer's, and the names of commands.
    for (flags, command, args) in [
        ("", &["--port=1"][..], "args=server.js --port=1"),
        ("--inspect --trace-gc", &[], "args=--inspect --trace-gc server.js"),
        ("", &["migrate", "--dry"], "args=migrate.js --dry"),
        ("", &["debug"], "args=--inspect=0.0.0.0:9229 server.js"),
        ("", &["node", "other.js"], "args=other.js"),
    ] {
        has(&example().env("NODE_FLAGS", flags).run(&app, command).expect(0), &[args, "Uid=1 1 1 1"]);
    }
    // A variable that is missing, and one that is no URL, under every name.
    for command in [&[][..], &["migrate"], &["node", "x.js"]] {
        example().without("DATABASE_URL").run(&app, command).expect(69).tells(&["DATABASE_URL"]);
    }
    let ended = example().without("DATABASE_URL").env("DATABASE_URL", "s3cret").run(&app, &[]).expect(69);
    assert!(!ended.err.contains("s3cret"), "{}", ended.story());
    // A secret by file.
    let prelude = format!("{app}; echo {URL} > {FILES}/url");
    let ended =
        example().without("DATABASE_URL").env("DATABASE_URL_FILE", "/mnt/files/url").run(&prelude, &[]);
    let ended = ended.expect(0);
    has(&ended, &[&format!("$DATABASE_URL={URL}")]);
    assert!(!ended.out.contains("$DATABASE_URL_FILE"), "{}", ended.story());
    // The second start.
    let ended = example().run_again(&app, &[]).expect(0);
    let (one, other) = ended.out.split_once("---\n").expect("two starts");
    assert!(one.contains("args=server.js") && other.contains("args=server.js"), "{}", ended.story());
}

fn redis_example() -> Example {
    let example = Example::of("redis.toml", "--exec").with("/data", "/mnt/files/data");
    example.with("/run/redis-auth.conf", "/mnt/files/auth.conf")
}

/// Starts the real program, in a network of its own, and waits until it serves.
#[track_caller]
fn serve(example: &Example, prelude: &str, command: &[&str]) -> Running {
    let script = format!("ip link set lo up 2> /dev/null || true\n{prelude}\nrinit \"$@\"");
    let run = example.after(&script, command).network().start();
    run.wait_for("eady to accept connections");
    run
}

/// Stops it, and not the shell around it.
#[track_caller]
fn stop(run: Running) {
    let server = run.the("redis-server");
    run.signal_to(&server, libc::SIGTERM);
    run.end().expect(0);
}

fn uid(run: &Running) -> Option<String> {
    run.the("redis-server").status("Uid").split_whitespace().next().map(str::to_owned)
}

/// The number of the user redis, whom Debian's redis-server brings.
fn redis() -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let entry = passwd.lines().find_map(|line| line.strip_prefix("redis:x:")).expect("a user redis");
    entry.split(':').next().map(str::to_owned)
}

/// root: without and with options, a file, on an empty volume and one of somebody else's; passwords.
#[test]
fn redis_as_root() {
    let other = format!(
        "mkdir {FILES}/data; touch {FILES}/data/x; chown -R 4321 {FILES}/data; echo 'port 7001' > {FILES}/my.conf; chmod 644 {FILES}/my.conf"
    );
    for (prelude, command, told) in [
        ("", &[][..], "port=6379"),
        ("", &["--port", "7000"], "port=7000"),
        (&other, &["/mnt/files/my.conf"], "port=7001"),
    ] {
        let run = serve(&redis_example(), prelude, command);
        run.wait_for(told);
        assert_eq!(uid(&run), redis());
        assert_eq!(run.the("redis-server").cwd(), "/mnt/files/data");
        stop(run);
    }
    // The password reaches neither the arguments nor the environment.
    for (name, value) in [("REDIS_PASSWORD", "s3cret"), ("REDIS_PASSWORD_FILE", "/mnt/files/secret")] {
        let example = redis_example().env(name, value);
        let run = serve(&example, &format!("echo s3cret > {FILES}/secret"), &[]);
        let server = run.the("redis-server");
        assert!(!server.command.contains("s3cret"), "{server:?}");
        assert_eq!(run.file("auth.conf"), "requirepass \"s3cret\"\n");
        stop(run);
    }
}

/// Any other user, a read-only root, another COMMAND, the second start.
#[test]
fn redis_elsewhere() {
    // docker run --user.
    let run = serve(
        &redis_example(),
        &format!(
            "mkdir {FILES}/data; chown 1234 {FILES}/data; AS='setpriv --reuid 1234 --regid 1234 --clear-groups'"
        ),
        &[],
    );
    assert_eq!(uid(&run).as_deref(), Some("1234"));
    eventually("it is told once", || run.err().matches("runs as who rinit is").count() == 1);
    stop(run);
    redis_example()
        .run_as(1234, &format!("mkdir {FILES}/data"), &[])
        .expect(69)
        .tells(&["/mnt/files/data", "1234"]);
    // A read-only root: what is written lies on the volume, and in the tmpfs that stands for /run.
    let launch = redis_example()
        .env("REDIS_PASSWORD", "p")
        .after("ip link set lo up 2> /dev/null || true\nrinit", &[]);
    let run = launch.network().bare().start();
    run.wait_for("eady to accept connections");
    assert_eq!(uid(&run), redis());
    stop(run);
    // Another COMMAND is just run; nothing is made.
    let ended = redis_example().run("", &["sh", "-c", "id -u; ls /mnt/files/data"]).expect(2);
    assert_eq!(ended.out, "0\n", "{}", ended.story());
    // The second start on the same volume.
    let again = serve(&redis_example(), "rinit redis-server --version", &[]);
    assert_eq!(uid(&again), redis());
    stop(again);
}
