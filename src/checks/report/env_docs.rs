//! `--env-docs`: the variables that the checks speak of, as a Markdown table and as an example env file.

use crate::checks::Check;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::template::fill;

/// What is known of a variable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Doc {
    /// Its name.
    pub name: String,
    /// What it must be, in words.
    pub form: String,
    /// Whether the container does not start without it.
    pub required: bool,
    /// What it is when it is not set; never a secret.
    pub default: Option<String>,
    /// A value that would do.
    pub example: String,
    /// The image author's words.
    pub description: String,
    /// Whether its value is never shown.
    pub secret: bool,
    /// The label of the checks of which one must hold.
    pub any_of: String,
    /// The variable that may name a file with the value.
    pub file: Option<String>,
    /// Variables that the check knows besides: its old name, and those that it depends on.
    pub others: Vec<String>,
}

/// Both forms, one after the other.
#[must_use]
pub fn render(checks: &[Check]) -> String {
    let doc = |check: &Check| {
        let mut doc = check.spec.variable.as_ref()?.doc();
        // Of those that share a label, another may hold in its place.
        if let Some(label) = &check.any_of {
            let others = checks.iter().filter(|other| other.any_of.as_ref() == Some(label));
            doc.required &= others.count() < 2;
            doc.any_of.clone_from(label);
        }
        Some(doc)
    };
    let docs: Vec<Doc> = checks.iter().filter_map(doc).gather();
    let mut text =
        String::from("| variable | required | default | what it is |\n| --- | --- | --- | --- |\n");
    for doc in &docs {
        let required = if doc.required { "yes" } else { "no" };
        let default = doc.default.as_deref().map_or_else(String::new, code);
        let mut what = on_one_line(&doc.description);
        if !what.is_empty() {
            what.push_str("; ");
        }
        what.push_str(&doc.form);
        if !doc.any_of.is_empty() {
            what.push_str(&fill!("; one is needed for: {}", &on_one_line(&doc.any_of)));
        }
        if doc.secret {
            what.push_str("; secret");
        }
        if let Some(file) = &doc.file {
            what.push_str(&fill!("; or {}, the path of a file that holds it", &code(file)));
        }
        let cells = [&code(&doc.name), required, &default, &what].map(|cell| cell.replace('|', "\\|"));
        text.push_str(&fill!("| {} |\n", &cells.join(" | ")));
    }
    text.push_str("\n```sh\n");
    for doc in &docs {
        let value = if doc.example.is_empty() { doc.default.as_deref().unwrap_or("") } else { &doc.example };
        let off = if doc.required { "" } else { "# " };
        if !doc.description.is_empty() {
            text.push_str(&fill!("# {}\n", &on_one_line(&doc.description)));
        }
        text.push_str(&fill!("{}{}={}\n", off, doc.name, &on_one_line(value)));
    }
    text.push_str("```\n");
    text
}

/// A text as code of Markdown, which is closed by as many backquotes as it is opened by.
fn code(text: &str) -> String {
    let text = on_one_line(text);
    if text.contains('`') { fill!("`` {} ``", text) } else { fill!("`{}`", text) }
}

#[cfg(test)]
mod tests {
    use crate::checks::read::testing::checks;

    #[test]
    fn variables_are_a_table_and_an_example() {
        let (checks, _) = checks(
            "[checks.env.PORT]\ntype = \"port\"\ndefault = 80\ndescription = \"where it listens\"\n\
             [checks.env.KEY]\nsecret = true\nfile = true\nexample = \"abc|d\"\n[checks.user]\nroot = true\n",
        );
        let text = super::render(&checks);
        assert!(text.contains("| `PORT` | no | `80` | where it listens; a port, 1 to 65535 |\n"), "{text}");
        assert!(
            text.contains("| `KEY` | yes |  | a string that is not empty; secret; or `KEY_FILE`, the path"),
            "{text}"
        );
        assert!(text.contains("# where it listens\n# PORT=80\nKEY=abc|d\n"), "{text}");
    }

    /// It was called required, though a link in its place would do.
    #[test]
    fn a_variable_that_another_check_stands_in_for_is_not_required() {
        let (checks, _) = checks(
            "[checks.env.WEB_HOST]\nany_of = \"where web is\"\n[checks.link.web]\nport = 80\nany_of = \"where web is\"\n\
             [checks.env.ALONE]\nany_of = \"itself\"\n",
        );
        let text = super::render(&checks);
        let row = "| `WEB_HOST` | no |  | a string that is not empty; one is needed for: where web is |";
        assert!(text.contains(row) && text.contains("# WEB_HOST="), "{text}");
        assert!(text.contains("| `ALONE` | yes |"), "{text}");
    }

    /// Neither a row nor a comment is left by what stands in it.
    #[test]
    fn what_is_documented_keeps_its_line() {
        let (checks, _) =
            checks("[checks.env.A]\ndescription = \"one\\ntwo | `three`\"\ndefault = \"x\\n`y`\"\n");
        let text = super::render(&checks);
        assert_eq!(text.lines().count(), 8, "{text}");
        assert!(text.contains("| `A` | no | `` x\\n`y` `` | one\\ntwo \\| `three`; a string"), "{text}");
        assert!(text.contains("# one\\ntwo | `three`\n# A=x\\n`y`\n"), "{text}");
    }
}
