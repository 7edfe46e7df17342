//! `rinitctl completions`: shell completions, generated from rinitctl's table and rinit's options.

use super::table::{COMMON, CtlOption, CtlVerb, Operands, SHELLS, VERBS};
use super::{CtlError, CtlRequest, print};
use crate::cli::options::{OPTIONS, OptionSpec};
use crate::text::gather::Gather;
use crate::text::template::fill;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let text = match request.arguments.words.first().map(String::as_str) {
        Some("bash") => bash() + &rinit_in_bash(),
        // The last lines check whether zsh has loaded the file as a function or sourced it.
        Some("zsh") => rinit_in_zsh() + &zsh(),
        Some("fish") => fish() + &rinit_in_fish(),
        // Used by the scripts themselves.
        _ => return names(request),
    };
    Ok(print(&text))
}

/// Prints the names of all services, one per line.
fn names(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let (rows, _) = request.connect()?.services(&[])?;
    let mut text = String::new();
    for name in rows.iter().filter_map(|row| row.text("name")) {
        text.extend([name, "\n"]);
    }
    Ok(print(&text))
}

/// Returns whether service names may follow.
fn takes_names(verb: &CtlVerb) -> bool {
    matches!(
        verb.operands,
        Operands::Names | Operands::SomeNames | Operands::SignalAndNames | Operands::NameAndCommand
    )
}

fn words_of(option: &CtlOption) -> Vec<String> {
    let short = (option.short != '\0').then(|| format!("-{}", option.short));
    std::iter::once(fill!("--{}", option.long)).chain(short).gather()
}

fn bash() -> String {
    let mut text = String::from(
        "_rinitctl() {\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= words= names= i\n    \
         for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n            \
         -s|--socket) ((i++));;\n            -*) ;;\n            --) return;;\n            *) verb=${COMP_WORDS[i]}; break;;\n        esac\n    done\n    \
         case $verb in\n",
    );
    let mut line = |pattern: &str, words: &[String], names: bool| {
        let names = if names { " names=1" } else { "" };
        text.push_str(&fill!("        {}) words='{}'{};;\n", pattern, words.join(" "), names));
    };
    let common: Vec<String> = COMMON.iter().flat_map(|option| words_of(option)).gather();
    let verbs = VERBS.iter().map(|verb| verb.name.to_string());
    line("''", &verbs.chain(common).gather(), false);
    for verb in VERBS {
        let mut words: Vec<String> = verb.all_options().flat_map(words_of).gather();
        if verb.operands == Operands::Shell {
            words.extend(SHELLS.map(String::from));
        }
        line(verb.name, &words, takes_names(verb));
    }
    text.push_str("    esac\n    case \"$verb $prev\" in\n");
    for (verb, option) in options_with_words() {
        text.push_str(&fill!(
            "        '{} --{}') words='{}' names=;;\n",
            verb.name,
            option.long,
            option.words.join(" ")
        ));
    }
    text.push_str(
        "    esac\n    [[ $names ]] && words=\"$words all $(rinitctl completions names 2>/dev/null)\"\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _rinitctl rinitctl\n",
    );
    text
}

/// Returns the options with a fixed list of values.
fn options_with_words() -> impl Iterator<Item = (&'static CtlVerb, &'static CtlOption)> {
    let of = |verb: &'static CtlVerb| verb.options.iter().map(move |option| (verb, *option));
    VERBS.iter().flat_map(of).filter(|(_, option)| !option.words.is_empty())
}

/// Quotes a text with single quotes for a shell; escapes colons, which are special in zsh.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:")
}

fn zsh() -> String {
    let mut text = String::from(
        "_rinitctl() {\n    local -a choices\n    local verb i\n    \
         for ((i = 2; i < CURRENT; i++)); do\n        case $words[i] in\n            -s|--socket) ((i++));;\n            -*) ;;\n            \
         *) verb=$words[i]; break;;\n        esac\n    done\n    case $verb in\n        '')\n            choices=(\n",
    );
    for verb in VERBS {
        text.push_str(&fill!("                '{}:{}'\n", verb.name, quoted(verb.help)));
    }
    text.push_str("            )\n            _describe verb choices\n            ;;\n");
    for verb in VERBS {
        text.push_str(&fill!("        {})\n            choices=(\n", verb.name));
        for option in verb.all_options() {
            for word in words_of(option) {
                text.push_str(&fill!("                '{}:{}'\n", word, quoted(option.help)));
            }
        }
        text.push_str("            )\n            _describe option choices\n");
        if verb.operands == Operands::Shell {
            text.push_str(&fill!("            compadd -- {}\n", SHELLS.join(" ")));
        }
        for option in verb.options.iter().filter(|option| !option.words.is_empty()) {
            let words = option.words.join(" ");
            text.push_str(&fill!(
                "            [[ $words[CURRENT-1] == --{} ]] && compadd -- {}\n",
                option.long,
                words
            ));
        }
        if takes_names(verb) {
            text.push_str("            compadd -- all ${(f)\"$(rinitctl completions names 2>/dev/null)\"}\n");
        }
        text.push_str("            ;;\n");
    }
    text.push_str(
        "    esac\n}\nif [[ $funcstack[1] == _rinitctl ]]; then\n    case $service in\n        rinit) _rinit \"$@\";;\n        \
         *) _rinitctl \"$@\";;\n    esac\nelse\n    compdef _rinitctl rinitctl\n    compdef _rinit rinit\nfi\n",
    );
    text
}

fn fish() -> String {
    let mut text = String::from("complete -c rinitctl -f\n");
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut option_line = |when: &str, option: &CtlOption| {
        let short = if option.short == '\0' { String::new() } else { format!(" -s {}", option.short) };
        let value = match (option.value.is_empty(), option.words) {
            (true, _) => String::new(),
            (false, []) => " -r".into(),
            (false, words) => fill!(" -x -a '{}'", words.join(" ")),
        };
        text.push_str(&fill!(
            "complete -c rinitctl{} -l {}{}{} -d '{}'\n",
            when,
            option.long,
            short,
            value,
            quote(option.help)
        ));
    };
    COMMON.iter().for_each(|option| option_line("", option));
    for verb in VERBS {
        let when = fill!(" -n '__fish_seen_subcommand_from {}'", verb.name);
        verb.options.iter().for_each(|option| option_line(&when, option));
    }
    for verb in VERBS {
        let line = fill!(
            "complete -c rinitctl -n __fish_use_subcommand -a {} -d '{}'\n",
            verb.name,
            quote(verb.help)
        );
        text.push_str(&line);
    }
    let with_names: Vec<&str> = VERBS.iter().filter(|verb| takes_names(verb)).map(|verb| verb.name).gather();
    text.push_str(&fill!("complete -c rinitctl -n '__fish_seen_subcommand_from {}' -a 'all (rinitctl completions names 2>/dev/null)'\n\
         complete -c rinitctl -n '__fish_seen_subcommand_from completions' -a '{}'\n", with_names.join(" "), SHELLS.join(" ")));
    text
}

/// Returns the long and short name of one of rinit's options.
fn names_of(option: &OptionSpec) -> impl Iterator<Item = String> {
    let short = option.short.map(|letter| ['-', letter].iter().collect());
    std::iter::once(fill!("--{}", option.long)).chain(short)
}

/// Completes options up to the COMMAND, then the COMMAND's own words.
fn rinit_in_bash() -> String {
    let list = |valued: bool, by: &str| {
        let all = OPTIONS.iter().filter(|option| !valued || option.takes_value());
        all.flat_map(names_of).collect::<Vec<_>>().join(by)
    };
    fill!(
        "_rinit() {\n    local cur=${COMP_WORDS[COMP_CWORD]} i\n    \
         for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n            {}) ((i++));;\n            --) ((i++)); break;;\n            -*) ;;\n            *) return;;\n        esac\n    done\n    \
         ((i > COMP_CWORD)) && return\n    if [[ $cur == -* && ${COMP_WORDS[i-1]} != -- ]]; then\n        COMPREPLY=($(compgen -W '{}' -- \"$cur\"))\n    else\n        COMPREPLY=($(compgen -c -- \"$cur\"))\n    fi\n}\ncomplete -o default -F _rinit rinit\n",
        &list(true, "|"),
        &list(false, " ")
    )
}

/// Returns the help of one of rinit's options on one line.
fn help_of(option: &OptionSpec) -> String {
    option.help.replace('\n', " ")
}

fn rinit_in_zsh() -> String {
    let mut text = String::from("#compdef rinitctl rinit\n_rinit() {\n    _arguments -s -S \\\n");
    for option in OPTIONS {
        let value = if option.takes_value() { fill!(":{}:_files", option.value) } else { String::new() };
        let help = quoted(&help_of(option)).replace('[', "\\[").replace(']', "\\]");
        for name in names_of(option) {
            text.extend(["        '*", &name, "[", &help, "]", &value, "' \\\n"]);
        }
    }
    text.push_str("        '*::command: _normal'\n}\n");
    text
}

fn rinit_in_fish() -> String {
    let mut text = String::new();
    for option in OPTIONS {
        text.extend(["complete -c rinit -l ", option.long]);
        if let Some(letter) = option.short {
            text.extend([" -s ", letter.encode_utf8(&mut [0; 4])]);
        }
        let help = help_of(option).replace('\\', "\\\\").replace('\'', "\\'");
        text.extend([if option.takes_value() { " -r" } else { "" }, " -d '", &help, "'\n"]);
    }
    text.push_str("complete -c rinit -x -a '(__fish_complete_subcommand)'\n");
    text
}
