//! An example of `config-examples/` in the ten scenarios that an image meets, in real containers with the real program:
//! root, `--user`, a read-only root, an empty volume, a volume of another owner, another COMMAND, an option as COMMAND, a
//! variable that is missing, a secret by file, and the second start on the same volume and in the same container. Those
//! that need no container are in `tests/it/scenarios.rs`.

use crate::engine::{Container, Ran, Volume, docker_ok, run};
use crate::eventually;
use crate::images::{Config, debian, workplace};

/// One example, as the image's ENTRYPOINT starts it.
struct Image {
    config: Config,
    entry: &'static [&'static str],
}

impl Image {
    fn example(name: &str, entry: &'static [&'static str]) -> Self {
        Self { config: Config::example(name), entry }
    }

    /// `docker run OPTIONS… IMAGE COMMAND…`, in the background.
    #[track_caller]
    fn start(&self, options: &[&str], command: &[&str]) -> Container {
        let options = [options, &[self.config.mount.as_str()]].concat();
        Container::start(&options, debian(), &[self.entry, command].concat())
    }

    /// The same to its end.
    fn run(&self, options: &[&str], command: &[&str]) -> Ran {
        let options = [options, &[self.config.mount.as_str()]].concat();
        run(&options, debian(), &[self.entry, command].concat())
    }
}

/// What redis answers, asked inside of its container.
#[track_caller]
fn answers(container: &Container, words: &[&str], want: &str) {
    eventually(&format!("{want:?} of redis-cli {words:?}"), || {
        let ran = container.exec(&[&["redis-cli"], words].concat());
        (ran.out.trim() == want).then_some(())
    });
}

fn owner(container: &Container, path: &str) -> String {
    container.exec(&["stat", "-c", "%U %a", path]).out.trim().to_owned()
}

#[test]
fn redis_without_its_script() {
    let image = Image::example("redis.toml", &["--exec", "--"]);
    let user =
        |container: &Container| container.exec(&["ps", "-o", "user=", "-p", "1"]).out.trim().to_owned();
    // root, an empty volume.
    let volume = Volume::new();
    let mount = format!("--volume={}:/data", volume.0);
    let container = image.start(&[&mount], &[]);
    answers(&container, &["ping"], "PONG");
    assert_eq!(user(&container), "redis");
    answers(&container, &["set", "kept", "yes"], "OK");
    assert_eq!(owner(&container, "/data"), "redis 755");
    container.stop();
    assert_eq!(container.wait(), 0);
    // The restart of the same container, and the second start on the same volume.
    docker_ok(&["start", &container.name]);
    answers(&container, &["get", "kept"], "yes");
    drop(container);
    let container = image.start(&[&mount], &["redis-server"]);
    assert_eq!(user(&container), "redis");
    answers(&container, &["get", "kept"], "yes");
    drop(container);
    // A volume of another owner, with what is in it.
    let script = "chown -R 4321:4321 /data; touch /data/x";
    run(&[&mount, "--entrypoint=sh"], debian(), &["-c", script]);
    let container = image.start(&[&mount], &[]);
    answers(&container, &["get", "kept"], "yes");
    assert_eq!(
        (owner(&container, "/data"), owner(&container, "/data/dump.rdb")),
        ("redis 755".into(), "redis 600".into())
    );
    drop(container);
    // An option as COMMAND.
    let container = image.start(&[], &["--port", "7000"]);
    answers(&container, &["-p", "7000", "ping"], "PONG");
    assert_eq!(user(&container), "redis");
    drop(container);
    // A read-only root.
    let container = image.start(&["--read-only", "--tmpfs=/run", &mount, "--env=REDIS_PASSWORD=p w"], &[]);
    answers(&container, &["--no-auth-warning", "-a", "p w", "get", "kept"], "yes");
    assert_eq!(owner(&container, "/run/redis-auth.conf"), "redis 400");
    drop(container);
    // --user, with a volume that is theirs, and one that is not.
    let theirs = Volume::new();
    let mount_of_theirs = format!("--volume={}:/data", theirs.0);
    run(&[&mount_of_theirs, "--entrypoint=chown"], debian(), &["1234", "/data"]);
    let container = image.start(&["--user=1234", &mount_of_theirs], &[]);
    answers(&container, &["ping"], "PONG");
    assert_eq!(user(&container), "1234");
    container.says("runs as who rinit is, uid 1234");
    drop(container);
    let ran = image.run(&["--user=1234", &mount], &[]);
    assert!(ran.code == 69 && ran.err.contains("/data"), "{ran:?}");
    // Another COMMAND: nothing of it is for that.
    let ran = image
        .run(&["--env=REDIS_PASSWORD_FILE=/none"], &["sh", "-c", "id -un; ls /data /run/redis-auth.conf"]);
    assert!(ran.code != 0 && ran.out == "root\n" && !ran.err.contains("rinit"), "{ran:?}");
}

/// It reaches neither the arguments nor the environment; one that is missing is told.
#[test]
fn redis_with_a_secret_by_file() {
    let image = Image::example("redis.toml", &["--exec", "--"]);
    let secret = workplace().join(crate::engine::unique("secret"));
    std::fs::write(&secret, "s3cret\n").unwrap();
    let file = format!("--volume={}:/run/secrets/redis:ro", secret.display());
    let container = image.start(&[&file, "--env=REDIS_PASSWORD_FILE=/run/secrets/redis"], &[]);
    answers(&container, &["--no-auth-warning", "-a", "s3cret", "ping"], "PONG");
    answers(&container, &["ping"], "NOAUTH Authentication required.");
    let given = container.exec(&["sh", "-c", "cat /proc/1/environ /proc/1/cmdline"]).out;
    assert!(!given.contains("s3cret") && !given.contains("REDIS_"), "{given}");
    drop(container);
    std::fs::remove_file(secret).unwrap();
    let ran = image.run(&["--env=REDIS_PASSWORD_FILE=/none"], &[]);
    assert!(ran.code == 69 && ran.err.contains("REDIS_PASSWORD_FILE"), "{ran:?}");
}
