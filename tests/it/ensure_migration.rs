//! `docs/migration.md`, "Directories, owners, stale files": what a start-up script does and what says the same here leave the
//! same behind, row by row.

use super::ensure::script;

/// What is there at first | what the script does | the check that says the same. Both run in a directory of their own.
const ROWS: &[(&str, &str, &str)] = &[
    ("true", "mkdir -p var/data", "dir var/data"),
    ("true", "mkdir -p data; chown 77 data; chmod 700 data", "dir data; owner = 77; mode = \"0700\""),
    ("mkdir data", "chown 77:78 data", "dir data; owner = 77; group = 78"),
    (
        "mkdir -p data/a/b; touch data/f data/a/g; chown 77 data/f",
        "find data ! -user 77 -exec chown -h 77 {} +",
        "dir data; owner = 77; recursive = true",
    ),
    (
        "mkdir -p data/a/b; touch data/f; ln -s f data/l",
        "chown -hR 77:78 data",
        "dir data; owner = 77; group = 78; recursive = true",
    ),
    (
        "mkdir -p data/a/b; touch data/f data/a/g; chmod 777 data/f data/a",
        "find data -type d -exec chmod 750 {} +; find data -type f -exec chmod 640 {} +",
        "dir data; recursive = true; dir_mode = \"0750\"; file_mode = \"0640\"",
    ),
    (
        "mkdir -p seed/a data; echo x > seed/a/f; chown 77 seed/a; chmod 600 seed/a/f; ln -s a seed/l",
        "[ -z \"$(ls -A data)\" ] && cp -a seed/. data/; chmod 755 data",
        "dir data; from = \"HERE/seed\"",
    ),
    (
        "mkdir seed data; touch seed/f data/mine",
        "[ -z \"$(ls -A data)\" ] && cp -a seed/. data/ || true",
        "dir data; from = \"HERE/seed\"",
    ),
    ("mkdir run; echo 1 > run/pid", "rm -f run/pid", "file run/pid; absent = \"always\""),
    (
        "mkdir data etc; ln -s /old etc/app",
        "ln -sfn ../data etc/app",
        "link_target etc/app; target = \"../data\"",
    ),
    (
        "true",
        "touch app.log; chown 77 app.log; chmod 640 app.log",
        "file app.log; owner = 77; mode = \"0640\"",
    ),
    ("mkdir data; chmod 2775 data", "chmod g-w,o-rwx data", "dir data; max_mode = \"2750\""),
];

#[test]
fn each_row_leaves_the_same_behind() {
    for (setup, does, check) in ROWS {
        let check = check.replace("HERE", "/mnt/files/rinit");
        let (subject, keys) = check.split_once("; ").unwrap_or((&check, ""));
        let (kind, path) = subject.split_once(' ').expect("kind and path");
        let config = format!(
            "[checks.{kind}.\"/mnt/files/rinit/{path}\"]\nensure = true\n{}\n",
            keys.replace("; ", "\n")
        );
        let text = format!(
            "look() {{ find . -printf '%P %y %U:%G %m %l\\n' | sort; }}
             mkdir script rinit; for d in script rinit; do (cd $d; {setup}); done
             (cd script; {does}; look > ../1); $R -- true && (cd rinit; look > ../2); diff 1 2 && wc -l < 1"
        );
        let ended = script(&config, &text).expect(0);
        assert!(ended.out.trim().parse::<u32>().is_ok_and(|lines| lines > 0), "{does}\n{}", ended.story());
    }
}
