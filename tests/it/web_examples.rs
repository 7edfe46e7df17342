//! The examples of a Django, a Rails and a worker's image, each in the scenarios of [`super::scenarios`]; the programs are
//! stand-ins that tell what they were given.

use super::scenarios::{Example, has, owners};
use crate::harness::{Ended, FILES, PROBE};

/// A server that accepts connections, in the background.
fn listening(port: u16) -> String {
    format!("ip link set lo up 2> /dev/null || true; {PROBE} listen {port} 0 > /dev/null &\n")
}

/// All scenarios of an image: `prelude` makes what the image has, `secret` is the variable that must be there, `first` what is
/// run before the program, `volume` the directory that is given to the user.
struct Image {
    example: fn() -> Example,
    prelude: String,
    secret: &'static str,
    first: &'static str,
    program: &'static str,
    option: (&'static str, &'static str),
    volume: Option<&'static str>,
}

impl Image {
    #[track_caller]
    fn runs(&self, ended: Ended, uid: u32) -> Ended {
        let ended = ended.expect(0);
        has(&ended, &[self.first, self.program, &format!("Uid={uid} {uid} {uid} {uid}")]);
        let (before, _) = ended.out.split_once(self.program).expect("the program runs");
        assert!(before.contains(self.first), "{}", ended.story());
        ended
    }

    fn start(&self, more: &str) -> String {
        format!("{}\n{more}", self.prelude)
    }

    fn in_every_scenario(&self) {
        let example = self.example;
        let run = |prelude: &str, command: &[&str]| {
            example().after(&format!("{prelude}\nrinit \"$@\""), command).network().run()
        };
        // root, an empty volume; what only the preparation needs is not the program's.
        let ended = self.runs(run(&self.start(""), &[]), 1);
        assert!(!ended.out.contains(&format!("${}_FILE", self.secret)), "{}", ended.story());
        // --user.
        let volume =
            self.volume.map_or_else(String::new, |path| format!("mkdir -p {path}; chown 1234 {path}\n"));
        let prelude = self.start(&format!(
            "{volume}mkdir -p {FILES}/run; chmod 777 {FILES}/run\nAS='setpriv --reuid 1234 --regid 1234 --clear-groups'"
        ));
        let ended = self.runs(run(&prelude, &[]), 1234);
        assert_eq!(ended.err.matches("runs as who rinit is").count(), 1, "{}", ended.story());
        // A read-only root.
        let launch = example().after(&self.start("rinit \"$@\""), &[]);
        self.runs(launch.network().bare().run(), 1);
        // A volume of another owner.
        if let Some(path) = self.volume {
            let name = path.trim_start_matches(&format!("{FILES}/"));
            let prelude = self.start(&format!("mkdir -p {path}; chown 4321 {path}\n{}", owners(name)));
            let ended = self.runs(run(&prelude, &[]), 1);
            assert!(ended.out.contains(&format!("{name} 1:")), "{}", ended.story());
        }
        // Another COMMAND is just run.
        let ended = example().without(self.secret).run("", &["sh", "-c", "id -u; pwd"]).expect(0);
        assert_eq!(ended.out, "0\n/\n", "{}", ended.story());
        // An option as COMMAND.
        let (option, line) = self.option;
        has(&run(&self.start(""), &[option]).expect(0), &[line]);
        // A variable that is missing: nothing was run.
        let ended = example().without(self.secret).after(&self.start("rinit \"$@\""), &[]).network().run();
        let ended = ended.expect(69).tells(&[self.secret]);
        assert!(!ended.out.contains("args="), "{}", ended.story());
        // A secret by file.
        let value =
            format!("echo {} > {FILES}/secret; export {}_FILE={FILES}/secret", "f".repeat(40), self.secret);
        let launch =
            example().without(self.secret).after(&self.start(&format!("{value}\nrinit \"$@\"")), &[]);
        let ended = self.runs(launch.network().run(), 1);
        assert!(!ended.err.contains(&"f".repeat(40)), "{}", ended.story());
        // The second start on the same volume, in the same container.
        let again = self.start("rinit \"$@\"; echo ---; rinit \"$@\"");
        let ended = example().after(&again, &[]).network().run().expect(0);
        assert_eq!(ended.out.matches(self.program).count(), 2, "{}", ended.story());
    }
}

#[test]
fn a_django_application() {
    let example = || {
        let example = Example::of("django-application.toml", "").with("/app", "/mnt/files/app");
        let example =
            example.with("user = \"app\"", "user = \"daemon\"").with("owner = \"app\"", "owner = \"daemon\"");
        example.stand_in("gunicorn").stand_in("python").env("SECRET_KEY", "k3y")
    };
    let image = Image {
        example,
        prelude: format!("mkdir -p {FILES}/app\n{}", listening(5432)),
        secret: "SECRET_KEY",
        first: "args=manage.py migrate --noinput",
        program: "args=--bind 0.0.0.0:8000 --workers 2 config.wsgi",
        option: ("--reload", "args=--bind 0.0.0.0:8000 --workers 2 config.wsgi --reload"),
        volume: Some("/mnt/files/app/media"),
    };
    image.in_every_scenario();
    let ended = example().run("", &["manage", "createsuperuser"]).expect(0);
    has(&ended, &["args=/mnt/files/app/manage.py createsuperuser"]);
    let skipped =
        example().env("SKIP_MIGRATIONS", "true").after(&image.start("rinit"), &[]).network().run().expect(0);
    assert!(!skipped.out.contains("migrate"), "{}", skipped.story());
}

#[test]
fn a_rails_application() {
    let example = || {
        let example = Example::of("rails-application.toml", "").with("/rails/bin/rails", "/mnt/files/bin/@");
        let example = example.with("\"/rails", "\"/mnt/files/rails").with("bin/@", "bin/rails");
        // The directory of the tests is a volume.
        let example = example.with("absent = true", "absent = \"always\"");
        let example = example
            .with("user = \"rails\"", "user = \"daemon\"")
            .with("owner = \"rails\"", "owner = \"daemon\"");
        example.stand_in("puma").stand_in("rails").env("RAILS_MASTER_KEY", "0123456789abcdef0123456789abcdef")
    };
    let image = Image {
        example,
        prelude: format!("mkdir -p {FILES}/rails/tmp/pids"),
        secret: "RAILS_MASTER_KEY",
        first: "args=db:prepare",
        program: "args=-C config/puma.rb -p 3000",
        option: ("--quiet", "args=-C config/puma.rb -p 3000 --quiet"),
        volume: Some("/mnt/files/rails/storage"),
    };
    image.in_every_scenario();
    // The pid file of the start before.
    let stale = format!(
        "echo 31000 > {FILES}/rails/tmp/pids/server.pid\ntrap 'ls {FILES}/rails/tmp/pids' EXIT\nrinit \"$@\""
    );
    let ended = example().after(&image.start(&stale), &[]).network().run().expect(0);
    assert!(!ended.out.contains("server.pid"), "{}", ended.story());
    has(&example().run("", &["console"]).expect(0), &["args=console"]);
}

#[test]
fn a_worker_on_a_mariadb() {
    const MIGRATION: &str = "#!/bin/sh\necho args=migration\n";
    let example = || {
        let example =
            Example::of("mariadb-client-with-migrations.toml", "").with("/run/app/", "/mnt/files/run/");
        let example = example.with("\"/app", "\"/mnt/files/app");
        // Everybody may write into the directory of the tests.
        let example = example.with("migrations\" }", "migrations\", trusted = true }");
        let example =
            example.with("user = \"app\"", "user = \"daemon\"").with("uid = \"app\"", "uid = \"daemon\"");
        example.stand_in("worker").program("10-tables.sh", MIGRATION).env("DB_PASSWORD", "pa\"ss")
    };
    let image = Image {
        example,
        prelude: format!(
            "mkdir -p {FILES}/app/migrations; cp {FILES}/bin/10-tables.sh {FILES}/app/migrations; {}",
            listening(3306)
        ),
        secret: "DB_PASSWORD",
        first: "10-tables.sh | args=migration",
        program: "args=--defaults-file=/mnt/files/run/client.cnf",
        option: ("--once", "args=--defaults-file=/mnt/files/run/client.cnf --once"),
        volume: None,
    };
    image.in_every_scenario();
    let shown =
        format!("rinit \"$@\"; cat {FILES}/run/client.cnf; stat -c 'mode %a %u' {FILES}/run/client.cnf");
    let ended = example().after(&image.start(&shown), &[]).network().run().expect(0);
    has(&ended, &["host=127.0.0.1", "user=app", "password=\"pa\"ss\"", "mode 400 1"]);
    assert!(!ended.out.contains("$DB_PASSWORD"), "{}", ended.story());
}
