//! The conditions `when_*`, the same on every table that has them; [`KEYS`](super::super::keys::CONDITIONS) lists them.

use super::command_line::{self, MainProgram};
use super::env_file::check_name;
use super::interpolate::Scope;
use super::table::{ReadContext, Table};
use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Node, Value};
use crate::text::gather::Gather;
use crate::text::template::fill;

/// How one key is judged.
struct ConditionRule {
    key: &'static str,
    /// Whether of a list one is enough; else all must hold.
    alternatives: bool,
    judge: fn(&Scope<'_>, &ConditionText<'_>) -> Held,
    /// What is wrong with a text, if anything is.
    fault: fn(&ConditionText<'_>) -> Option<&'static str>,
}

/// Whether something holds, and why not. What needs a variable that a check may yet export counts as holding.
type Held = Result<(), String>;

/// One text of a condition, without its `!`.
struct ConditionText<'t> {
    text: &'t str,
    negated: bool,
}

const RULES: &[ConditionRule] = &[
    ConditionRule { key: "when_env", alternatives: false, judge: environment, fault: no_variable },
    ConditionRule {
        key: "when_exists",
        alternatives: false,
        judge: |scope, text| there(scope, text, true),
        fault: no_path,
    },
    ConditionRule {
        key: "when_missing",
        alternatives: false,
        judge: |scope, text| there(scope, text, false),
        fault: no_path,
    },
    ConditionRule { key: "when_empty", alternatives: false, judge: empty, fault: no_path },
    ConditionRule { key: "when_command", alternatives: true, judge: command, fault: nothing },
    ConditionRule { key: "when_arch", alternatives: true, judge: machine, fault: nothing },
    ConditionRule { key: "when_user", alternatives: true, judge: user, fault: nothing },
];

/// Whether a table is on. All conditions that it names must hold; the first that does not is the reason.
/// A variable that a check may yet export counts as holding.
pub fn condition(table: &Table<'_>) -> Result<(), String> {
    every(table, true)
}

/// The same for `main`, whose `when_command` says for which COMMAND the file is meant: who reads this has passed it.
pub fn condition_of_main(table: &Table<'_>) -> Result<(), String> {
    every(table, false)
}

fn every(table: &Table<'_>, by_command: bool) -> Held {
    let mut held = Ok(());
    for rule in RULES.iter().filter(|rule| by_command || rule.key != "when_command") {
        if let Some(texts) = texts(table, rule.key) {
            held = held.and(rule.of(table, &texts));
        }
    }
    held.and(any(table))
}

/// The texts of a condition; `None`: there is none, or it is not known yet.
fn texts(table: &Table<'_>, key: &'static str) -> Option<Vec<String>> {
    let list = table.list(key)?;
    if list.is_empty() {
        table.fault(key, "is an empty list, which asks for nothing; say what must hold, or drop the key");
    }
    Some(list)
}

impl ConditionRule {
    fn of(&self, table: &Table<'_>, texts: &[String]) -> Held {
        let scope = &table.reading().scope;
        let (mut held, mut one) = (Ok(()), None);
        for text in texts {
            let text = ConditionText::of(text);
            if let Some(fault) = (self.fault)(&text) {
                table.fault(self.key, fault);
            }
            let this = (self.judge)(scope, &text);
            if !self.alternatives || text.negated {
                held = held.and(this);
            } else if !matches!(one, Some(Ok(()))) {
                one = Some(this);
            }
        }
        held.and(one.unwrap_or(Ok(())))
    }
}

/// `when_any`: of its elements one must hold. A text is a `when_env`, a table has conditions that must all hold.
fn any(table: &Table<'_>) -> Held {
    const KEY: &str = "when_any";
    let Some(node) = table.node(KEY) else { return Ok(()) };
    let Value::List(items) = &node.value else {
        table.wrong(KEY, node, "a list, such as [\"A\", \"B=yes\", { when_exists = \"/c\" }]");
        return Ok(());
    };
    if items.is_empty() {
        table.fault(KEY, "is an empty list, of which nothing can hold; say what may, or drop the key");
    }
    let (mut why, mut holds) = (Vec::new(), items.is_empty());
    for item in items {
        match one_of_any(table, item) {
            Ok(()) => holds = true,
            Err(reason) => why.push(reason),
        }
    }
    if holds { Ok(()) } else { Err(why.join(", and ")) }
}

fn one_of_any(table: &Table<'_>, item: &Node) -> Held {
    const KEY: &str = "when_any";
    if let Value::Table(entries) = &item.value {
        let below = Table::open(table.reading(), table.path_of(KEY), item.at, item);
        if entries.is_empty() {
            table.fault(
                KEY,
                "an empty table, which asks for nothing; expected { when_exists = \"/c\" } and its like",
            );
        }
        return below.map_or(Ok(()), |below| {
            let held = condition(&below);
            below.close();
            held
        });
    }
    let Some(text) = table.text_of(KEY, item, "a string, or { when_… }") else { return Ok(()) };
    let text = ConditionText::of(&text);
    if let Some(fault) = no_variable(&text) {
        fault_at(table.reading(), item.at, &table.path_of(KEY), fault);
    }
    environment(&table.reading().scope, &text)
}

fn fault_at(reading: &ReadContext<'_>, at: Span, path: &str, fault: &str) {
    reading.fault(at, fill!("{}: {}", path, fault));
}

impl<'t> ConditionText<'t> {
    /// Blanks around a part are not meant.
    fn of(text: &'t str) -> Self {
        let text = text.trim();
        let (text, negated) = text.strip_prefix('!').map_or((text, false), |text| (text.trim_start(), true));
        Self { text, negated }
    }

    /// One of these must be it; `is` says whether a word is. The reason is that `what` is, or is not, the words.
    fn one_of(&self, what: &str, is: &dyn Fn(&str) -> bool) -> Held {
        let words: Vec<&str> = self.text.split('|').map(str::trim).gather();
        self.answer(words.iter().any(|word| is(word)), what, &words.join(" or "))
    }

    /// What holds, or the reason why it does not.
    fn answer(&self, holds: bool, what: &str, expected: &str) -> Held {
        if holds != self.negated {
            return Ok(());
        }
        Err([what, if self.negated { " is " } else { " is not " }, expected].concat())
    }
}

fn nothing(text: &ConditionText<'_>) -> Option<&'static str> {
    text.text.is_empty().then_some("is empty; expected a name, such as \"app\", \"!app\" or \"app|other\"")
}

fn no_path(text: &ConditionText<'_>) -> Option<&'static str> {
    let relative = !text.text.starts_with('/');
    relative.then_some("is not an absolute path; expected one that begins with \"/\" (or \"!/\")")
}

fn no_variable(text: &ConditionText<'_>) -> Option<&'static str> {
    let (name, ..) = variable(text);
    if name.contains('|') {
        return Some(
            "names several variables; write when_any = [\"A\", \"B\"] where one is enough, [\"A\", \"B\"] where all must be set",
        );
    }
    let bad = check_name(name).is_err() || name.contains('!');
    bad.then_some("names no variable; expected \"NAME\", \"!NAME\", \"NAME=one|two\" or \"NAME!=one|two\"")
}

/// `NAME`, `NAME=one|two` or `NAME!=one|two`: the name, whether `!` is before the `=`, and the values.
fn variable<'t>(text: &ConditionText<'t>) -> (&'t str, bool, Option<&'t str>) {
    let (name, values) =
        text.text.split_once('=').map_or((text.text, None), |(name, values)| (name, Some(values)));
    let bare = name.strip_suffix('!').filter(|_| values.is_some());
    (bare.unwrap_or(name).trim(), bare.is_some(), values)
}

fn environment(scope: &Scope<'_>, text: &ConditionText<'_>) -> Held {
    let (name, differs, wanted) = variable(text);
    let value = (scope.variable)(name).filter(|value| !value.is_empty());
    if value.is_none() && scope.later.iter().any(|later| later == name) {
        return Ok(());
    }
    let text = ConditionText { text: wanted.unwrap_or("set"), negated: text.negated != differs };
    match wanted {
        None => text.answer(value.is_some(), name, "set"),
        Some(_) => text.one_of(name, &|word| word == value.as_deref().unwrap_or("")),
    }
}

fn there(scope: &Scope<'_>, text: &ConditionText<'_>, wanted: bool) -> Held {
    let exists = (scope.exists)(text.text);
    let why = if exists { " exists" } else { " does not exist" };
    if (exists == wanted) != text.negated { Ok(()) } else { Err([text.text, why].concat()) }
}

fn empty(scope: &Scope<'_>, text: &ConditionText<'_>) -> Held {
    text.answer((scope.start.is_empty)(text.text), text.text, "empty")
}

fn command(scope: &Scope<'_>, text: &ConditionText<'_>) -> Held {
    let Some(root) = scope.start.root else { return Ok(()) };
    match command_line::program(root, scope.start.command, scope) {
        MainProgram::Named(program) => {
            text.one_of("the command", &|word| command_line::is_called(&program, word))
        }
        MainProgram::Absent if !text.negated => Err("there is no command".into()),
        // It is not known yet, or a fault that is told where it stands.
        MainProgram::Absent | MainProgram::Later => Ok(()),
    }
}

fn machine(scope: &Scope<'_>, text: &ConditionText<'_>) -> Held {
    let machine = (scope.start.arch)();
    text.one_of("the machine", &|word| word == machine || word == docker_arch(&machine))
}

/// Whether a program is one of these names; with `!` before them, none of them.
pub fn is_one_of<'t>(program: &str, names: impl Iterator<Item = &'t str>) -> bool {
    let (mut all, mut one) = (true, None);
    for name in names {
        let name = ConditionText::of(name);
        let is = name.one_of("", &|word| command_line::is_called(program, word)).is_ok();
        if name.negated {
            all &= is;
        } else {
            one = Some(one.unwrap_or(false) | is);
        }
    }
    all && one.unwrap_or(true)
}

/// As Docker calls a machine of this name of uname(1).
#[must_use]
pub fn docker_arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i686" => "386",
        "armv7l" => "arm",
        other => other,
    }
}

/// A number needs no entry, and root is 0 whatever the file says.
fn user(scope: &Scope<'_>, text: &ConditionText<'_>) -> Held {
    let own = (scope.start.uid)();
    let is = &|word: &str| {
        let number = word.parse().ok().or_else(|| (word == "root").then_some(0));
        number.or_else(|| uid_of(word, &(scope.read)("/etc/passwd").ok()?)) == Some(own)
    };
    text.one_of("the user", is)
}

fn uid_of(name: &str, passwd: &str) -> Option<u32> {
    let mut entries = passwd.lines().map(|line| line.split(':'));
    entries.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::super::interpolate::StartFacts;
    use super::*;
    use crate::config::source::diagnostic::SourceMap;
    use crate::config::source::document;

    /// Whether a table of these conditions is on, and its faults.
    fn judge(text: &str, command: &[&str]) -> (Held, Vec<String>) {
        let text = format!("[services.main]\ncommand = ['redis-server', '--save']\n[x]\n{text}");
        let mut sources = SourceMap::default();
        let file = sources.add("t".into(), text.clone());
        let mut faults = Vec::new();
        let root = document::parse(&sources, file, &mut faults);
        assert_eq!(faults, [], "{text}");
        let variable = |name: &str| match name {
            "A" => Some("a".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let read = |path: &str| match path {
            "/etc/passwd" => Ok("root:x:0:0::/root:/bin/sh\napp:x:1000:5::/:\nbad\n".to_string()),
            _ => Err(String::new()),
        };
        let command: Vec<_> =
            command.iter().map(|word| std::ffi::CString::new(*word).expect("no NUL")).collect();
        let start = StartFacts {
            profiles: &[],
            root: Some(&root),
            command: &command,
            uid: || 1000,
            arch: || "x86_64".into(),
            is_empty: |path| path == "/void",
            ..StartFacts::default()
        };
        let later = ["SOON".to_string()];
        let scope = Scope {
            variable: &variable,
            exists: &|path| path == "/there",
            read: &read,
            later: &later,
            start,
        };
        let reading = ReadContext::new(scope);
        let node = root.get("x").expect("x");
        let table = Table::open(&reading, "x".into(), node.at, node).expect("a table");
        let held = condition(&table);
        table.close();
        (held, reading.into_faults().into_iter().map(|fault| fault.message).collect())
    }

    /// Each line: the condition, the COMMAND's first word after a `@`, and why it does not hold; nothing: it holds.
    const TABLE: &str = r#"
when_env = "A"                                    | 
when_env = "NO"                                   | NO is not set
when_env = "EMPTY"                                | EMPTY is not set
when_env = "!A"                                   | A is set
when_env = "! NO"                                 | 
when_env = "A=a|b"                                | 
when_env = "A = b | a"                            | 
when_env = "A=b|c"                                | A is not b or c
when_env = "A!=b"                                 | 
when_env = "A != a"                               | A is a
when_env = "A!=b|a"                               | A is b or a
when_env = "!A=a"                                 | A is a
when_env = "!A!=a"                                | 
when_env = "NO!=trust"                            | 
when_env = "NO="                                  | 
when_env = ["A", "!NO", "A!=b"]                   | 
when_env = ["A", "NO", "!A"]                      | NO is not set
when_env = "SOON"                                 | 
when_env = "!SOON"                                | 
when_env = "SOON=x"                               | 
when_env = ["SOON", "NO"]                         | NO is not set
when_env = "${A}_X=1"                             | a_X is not 1
when_any = ["NO", "A=a"]                          | 
when_any = ["NO", "A=b"]                          | NO is not set, and A is not b
when_any = ["NO", { when_exists = "/there" }]     | 
when_any = [{ when_env = "A", when_exists = "/no" }, { when_user = 0 }] | /no does not exist, and the user is not 0
when_any = ["NO", { when_any = ["A"] }]           | 
when_exists = "/there"                            | 
when_exists = ["/there", "/no"]                   | /no does not exist
when_exists = "!/there"                           | /there exists
when_exists = "/${SOON}"                          | 
when_missing = "/no"                              | 
when_missing = "/there"                           | /there exists
when_missing = "!/there"                          | 
when_missing = ["/no", "!/no"]                    | /no does not exist
when_empty = "/void"                              | 
when_empty = "/there"                             | /there is not empty
when_empty = "!/void"                             | /void is empty
when_command = "redis-server"                     | 
when_command = ["x", "redis-server"]              | 
when_command = "x|redis-server"                   | 
when_command = "sh"                               | the command is not sh
when_command = "!redis-server"                    | the command is redis-server
when_command = ["!sh", "!bash"]                   | 
when_command = ["!sh", "!redis-server"]           | the command is redis-server
when_command = "sh"                               @/bin/sh| 
when_command = "/bin/sh"                          @/bin/sh| 
when_command = "/bin/sh"                          @sh| the command is not /bin/sh
when_command = "!sh"                              @sh| the command is sh
when_command = "redis-server"                     @--port| 
when_arch = "amd64"                               | 
when_arch = "x86_64"                              | 
when_arch = ["arm64", "amd64"]                    | 
when_arch = "arm64|riscv64"                       | the machine is not arm64 or riscv64
when_arch = "!amd64"                              | the machine is amd64
when_user = "root"                                | the user is not root
when_user = "!root"                               | 
when_user = "app"                                 | 
when_user = 1000                                  | 
when_user = ["root", "1000"]                      | 
when_user = ["0", "nobody"]                       | the user is not nobody
when_user = "!app"                                | the user is app
when_user = "!1000"                               | the user is 1000
when_user = "bad"                                 | the user is not bad
"#;

    #[test]
    fn conditions_hold_or_say_why_not() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            let (keys, why) = line.rsplit_once("| ").expect(line);
            let (keys, command) =
                keys.split_once('@').map_or((keys, vec![]), |(keys, word)| (keys, vec![word]));
            let want = if why.is_empty() { Ok(()) } else { Err(why.to_string()) };
            assert_eq!(judge(keys, &command), (want, Vec::new()), "{line}");
        }
        // All keys of a table must hold; the first that does not is the reason.
        let (held, _) = judge("when_exists = '/no'\nwhen_env = 'NO'", &[]);
        assert_eq!(held, Err("NO is not set".into()));
    }

    #[test]
    fn what_asks_for_nothing_is_a_fault() {
        for (keys, part) in [
            ("when_env = 'A|B'", "when_env: names several variables; write when_any"),
            ("when_env = 'A B'", "names no variable"),
            ("when_env = 'A!'", "names no variable"),
            ("when_env = '=x'", "names no variable"),
            ("when_env = []", "empty list"),
            ("when_any = []", "empty list"),
            ("when_any = 'A'", "found a string, expected a list"),
            ("when_any = ['']", "names no variable"),
            ("when_any = [{}]", "an empty table"),
            (
                "when_any = [{ when_exsts = '/x' }]",
                "unknown key \"when_exsts\"; did you mean \"when_exists\"?",
            ),
            ("when_exists = 'x'", "not an absolute path"),
            ("when_empty = '!x'", "not an absolute path"),
            ("when_user = ''", "is empty"),
            ("when_arch = '!'", "is empty"),
        ] {
            let (_, faults) = judge(keys, &[]);
            assert!(faults.len() == 1 && faults[0].contains(part), "{keys}: {faults:?}");
        }
    }
}
