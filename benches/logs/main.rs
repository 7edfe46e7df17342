//! What rinit's relay carries beside s6-log and supervisord: `cargo bench --bench logs [-- ROUNDS]`.
//!
//! One service writes lines of 4,000 or of 100 bytes, each with a write(2) of its own, as fast as it can. What is counted:
//! megabytes a second, from its first write until the reader (a pipe that this program drains, or a file) has all; and the
//! CPU time of all that stands between (not the writer's, not the reader's), a gigabyte. Medians of all rounds, in which
//! everybody takes turns. `RINIT_BIN` names the binary under test (else the musl release build is taken). Needs Debian's
//! packages s6 and supervisor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "a measurement that meets the unexpected is to stop, loudly"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BYTES: usize = 128 << 20;

fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// CPU time of this process.
fn own_cpu() -> f64 {
    // SAFETY: zero is valid, and the kernel fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The service: lines of that size; when it began and what it took goes to a file.
fn write(size: usize, report: &Path) {
    let line = ["x".repeat(size - 1), "\n".into()].concat();
    let begin = now();
    for _ in 0..BYTES / size {
        // SAFETY: our bytes.
        let count = unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
        assert!(count == line.len() as isize);
    }
    fs::write(report, format!("{begin} {}", own_cpu())).unwrap();
}

/// A relay that can be measured.
struct Contestant {
    name: &'static str,
    /// Starts it, with the writer; standard output is the reader's.
    start: fn(&Place, usize) -> Child,
    /// Whether it writes the file `log` instead.
    is_file: bool,
}

struct Place {
    directory: PathBuf,
    writer: PathBuf,
    rinit: PathBuf,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn words(&self, size: usize) -> [String; 4] {
        let words = [self.writer.as_path(), Path::new("write"), Path::new(""), &self.path("report")];
        let [program, verb, _, report] = words.map(|word| word.to_str().unwrap().to_owned());
        [program, verb, size.to_string(), report]
    }
}

fn rinit(place: &Place, size: usize, logging: &str) -> Child {
    let words = place.words(size).map(|word| format!("\"{word}\"")).join(", ");
    let config = format!("[services.w]\ntype = \"oneshot\"\ncommand = [{words}]\nlogging = {logging}\n");
    fs::write(place.path("rinit.toml"), config).unwrap();
    let mut command = Command::new(&place.rinit);
    command.arg("-q").arg("-c").arg(place.path("rinit.toml")).env("RINIT_SOCKET", place.path("socket"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn rinit_file(place: &Place, size: usize) -> Child {
    let file = place.path("log");
    rinit(place, size, &format!("{{ driver = \"file\", file = \"{}\" }}", file.display()))
}

fn s6_log(place: &Place, size: usize, action: &Path) -> Child {
    let [program, words @ ..] = place.words(size);
    let mut writer = Command::new(program).args(words).stdout(Stdio::piped()).spawn().unwrap();
    let input = writer.stdout.take().unwrap();
    std::thread::spawn(move || writer.wait());
    let mut command = Command::new("s6-log");
    command.args(["-b", "n2", "s268435455"]).arg(action);
    command.stdin(input).stdout(Stdio::piped()).spawn().expect("Debian's package s6")
}

fn supervisord(place: &Place, size: usize) -> Child {
    let config = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n[program:w]\ncommand={}\nstartsecs=0\nautorestart=false\nstdout_logfile={}\nstdout_logfile_maxbytes=0\n",
        place.path("pid").display(),
        place.words(size).join(" "),
        place.path("log").display()
    );
    fs::write(place.path("supervisord.conf"), config).unwrap();
    let mut command = Command::new("supervisord");
    command.arg("-c").arg(place.path("supervisord.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("Debian's package supervisor")
}

const CONTESTANTS: [Contestant; 6] = [
    Contestant {
        name: "rinit, prefix",
        start: |place, size| rinit(place, size, "\"prefix\""),
        is_file: false,
    },
    Contestant { name: "rinit, json", start: |place, size| rinit(place, size, "\"json\""), is_file: false },
    Contestant {
        name: "s6-log, to its output",
        start: |place, size| s6_log(place, size, Path::new("1")),
        is_file: false,
    },
    Contestant { name: "rinit, file", start: rinit_file, is_file: true },
    Contestant {
        name: "s6-log, file",
        start: |place, size| s6_log(place, size, &place.path("s6")),
        is_file: true,
    },
    Contestant { name: "supervisord, file", start: supervisord, is_file: true },
];

/// Megabytes a second, and seconds of CPU time a gigabyte.
fn measure(place: &Place, contestant: &Contestant, size: usize) -> [f64; 2] {
    let _ = fs::remove_file(place.path("report"));
    let _ = fs::remove_file(place.path("log"));
    let _ = fs::remove_dir_all(place.path("s6"));
    let mut child = (contestant.start)(place, size);
    if contestant.is_file {
        let file = place.path(if contestant.name.starts_with("s6") { "s6/current" } else { "log" });
        let begin = Instant::now();
        while fs::metadata(&file).map_or(0, |found| found.len()) < (BYTES / size * size) as u64 {
            assert!(begin.elapsed() < Duration::from_secs(120), "{}", contestant.name);
            std::thread::sleep(Duration::from_micros(500));
        }
    } else {
        let mut output = child.stdout.take().unwrap();
        let mut buffer = vec![0; 1 << 20];
        while output.read(&mut buffer).unwrap() > 0 {}
    }
    let end = now();
    if contestant.name.starts_with("supervisord") {
        // SAFETY: a child that has not been waited for.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    }
    let (mut status, pid) = (0, child.id() as i32);
    // SAFETY: our child, and places of ours; zero is valid.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert!(libc::wait4(pid, &raw mut status, 0, &raw mut usage) == pid);
        usage
    };
    let report = fs::read_to_string(place.path("report")).unwrap();
    let (begin, writer) = report.split_once(' ').unwrap();
    let (begin, writer): (f64, f64) = (begin.parse().unwrap(), writer.parse().unwrap());
    let mut cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    if !contestant.name.starts_with("s6") {
        // It is their child.
        cpu -= writer;
    }
    [BYTES as f64 / 1e6 / (end - begin), cpu * 1e9 / BYTES as f64]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [verb, size, report] = words.as_slice()
        && verb == "write"
    {
        return write(size.parse().unwrap(), Path::new(report));
    }
    let rounds: usize = words.first().map_or(9, |word| word.parse().expect("a number of rounds"));
    let built =
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("x86_64-unknown-linux-musl/release/rinit");
    let place = Place {
        directory: std::env::temp_dir().join(format!("rinit-bench-logs-{}", std::process::id())),
        writer: std::env::current_exe().unwrap(),
        rinit: std::env::var_os("RINIT_BIN").map_or(built, PathBuf::from),
    };
    fs::create_dir_all(&place.directory).unwrap();
    for size in [4000, 100] {
        println!("\n### lines of {size} bytes\n\n| relay | MB/s | CPU (s/GB) |\n| --- | ---: | ---: |");
        let mut samples = CONTESTANTS.map(|_| [Vec::new(), Vec::new()]);
        for _ in 0..rounds {
            for (contestant, samples) in CONTESTANTS.iter().zip(&mut samples) {
                for (samples, value) in samples.iter_mut().zip(measure(&place, contestant, size)) {
                    samples.push(value);
                }
            }
        }
        for (contestant, samples) in CONTESTANTS.iter().zip(samples) {
            let [rate, cpu] = samples.map(median);
            println!("| {} | {rate:.0} | {cpu:.2} |", contestant.name);
            let _ = std::io::stdout().flush();
        }
    }
    fs::remove_dir_all(&place.directory).unwrap();
}
