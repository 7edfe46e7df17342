//! Whatever services write, in whatever pieces: what comes out is that, line by line.

use crate::harness::{Init, Launch, eventually};
use rinit::text::json;
use std::fmt::Write as _;

/// xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

const TOKEN: &str = "hunter2\"x";

/// Lines of all lengths, with control characters, quotes, a secret, and no end of the last one. `odd`: and what is no text.
fn anything(dice: &mut Dice, odd: bool) -> Vec<u8> {
    const PLAIN: [&[u8]; 9] = [b"a", b"word ", b"\"", b"\\", b"\t\r", b"\x1b[31m", b"\0", b"\x7f", b"hunter"];
    const ODD: [&[u8]; 4] = [b"\xff", "\u{e4}".as_bytes(), "\u{20ac}\u{2028}".as_bytes(), b"\xe2\x82"];
    let mut bytes = Vec::new();
    while bytes.len() < 60_000 {
        let parts = [0, 1, 3, 20, 200, 4000][dice.below(6)];
        for _ in 0..dice.below(parts + 1) {
            match dice.below(30) {
                0 => bytes.extend_from_slice(TOKEN.as_bytes()),
                1..5 if odd => bytes.extend_from_slice(ODD[dice.below(ODD.len())]),
                5 => bytes.extend(std::iter::repeat_n(b'x', dice.below(300))),
                _ => bytes.extend_from_slice(PLAIN[dice.below(PLAIN.len())]),
            }
        }
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"no end");
    bytes
}

/// Writes a file in pieces of all sizes, and rests now and then for longer than a half line is waited for.
const WRITER: &str = r"
import os, random, sys, time
dice = random.Random(int(sys.argv[1]))
data = open('/mnt/files/' + sys.argv[2], 'rb').read()
while data:
    count = os.write(1, data[:dice.randrange(1, dice.choice([2, 50, 1000, 9000, 70000]))])
    data = data[count:]
    if dice.random() < 0.01: time.sleep(0.15)
";

/// What a piece may cut a character into.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\u{fffd}', "")
}

/// Three services a driver: the configuration, and what each writes.
fn services(seed: u64) -> (String, Vec<(String, Vec<u8>)>) {
    let mut dice = Dice(seed);
    let mut config = String::from("[checks.env.TOKEN]\nsecret = true\n");
    let mut written = Vec::new();
    for (driver, logging) in [
        ("prefix", "\"prefix\""),
        ("json", "\"json\""),
        ("file", "{ driver = \"file\", file = \"/mnt/files/NAME.log\" }"),
    ] {
        for number in 0..3 {
            let name = format!("{driver}{number}");
            let logging = logging.replace("NAME", &name);
            let _ = writeln!(
                config,
                "[services.{name}]\ntype = \"oneshot\"\nlogging = {logging}\ncommand = [\"/usr/bin/python3\", \"/mnt/files/writer\", \"{seed}{number}\", \"{name}\"]"
            );
            written.push((name, anything(&mut dice, driver != "prefix")));
        }
    }
    (config, written)
}

/// One run of them.
fn round(seed: u64, launch: impl Fn(Launch) -> Launch) {
    let (config, written) = services(seed);
    let mut launched = Init::config(&config).env("TOKEN", TOKEN).file("writer", WRITER);
    for (name, bytes) in &written {
        launched = launched.bytes(name, bytes);
    }
    let run = launch(launched).start();
    let err = |text: &str| run.err().contains(text);
    eventually("all have written", || (0..9).all(|at| err(&format!("{}: exited", written[at].0))));
    let files: Vec<String> = written
        .iter()
        .map(|(name, _)| {
            let path = run.directory().join(format!("{name}.log"));
            if name.starts_with("file") {
                eventually("the end is in the file", || {
                    std::fs::read(&path).is_ok_and(|text| text.ends_with(b"no end\n"))
                });
            }
            shown(&std::fs::read(&path).unwrap_or_default())
        })
        .collect();
    let ended = run.end().expect(0);
    for ((name, bytes), file) in written.iter().zip(files) {
        let want = shown(&[bytes.as_slice(), b"\n"].concat()).replace(TOKEN, "***");
        let (got, want) = match &name[..name.len() - 1] {
            "file" => (file, want),
            // Pieces are not told from lines; whatever stands between them is no half line.
            "prefix" => {
                let label = format!("{name} | ");
                let lines = ended.out.split('\n').filter_map(|line| line.strip_prefix(&label));
                (lines.collect::<String>(), want.replace('\n', ""))
            }
            _ => {
                let mut text = String::new();
                for line in ended.out.lines().filter(|line| line.contains(&format!("\"service\":\"{name}\"")))
                {
                    let line = json::parse(line).unwrap_or_else(|| panic!("{line:?}"));
                    text.push_str(&line.text("line").unwrap().replace('\u{fffd}', ""));
                    text.push_str(if line.is_true("partial") { "" } else { "\n" });
                }
                (text, want)
            }
        };
        let differs = got.bytes().zip(want.bytes()).position(|(a, b)| a != b);
        let around = |text: &str| {
            let at = differs.unwrap_or(text.len().min(want.len()));
            String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(40)..(at + 40).min(text.len())])
                .into_owned()
        };
        assert!(got == want, "seed {seed}, {name}: {:?} for {:?}", around(&got), around(&want));
    }
    assert!(!ended.out.contains("hunter2"), "seed {seed}");
}

#[test]
fn whatever_is_written_comes_out_line_by_line() {
    for seed in 1..4 {
        round(seed, |launch| launch);
    }
}

/// No tee(2), no splice(2), no /dev/null: lines went nowhere, or came again and again.
#[test]
fn lines_come_out_where_the_kernel_refuses_to_peek() {
    round(5, |launch| launch.refusing(&[(libc::SYS_tee, libc::EPERM)]));
    round(6, |launch| launch.refusing(&[(libc::SYS_tee, libc::ENOSYS), (libc::SYS_splice, libc::ENOSYS)]));
    round(7, |launch| launch.refusing(&[(libc::SYS_splice, libc::EINVAL)]));
    round(8, |launch| launch.hide("/dev"));
}
