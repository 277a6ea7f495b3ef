//! What is wrong with a configuration file, shown the way a compiler shows it.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::nearest::nearest;

/// Why a configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read configuration `{}`", .path.display())]
    Read { path: PathBuf, source: io::Error },

    /// The whole text for a person, several lines: place, line, hint.
    #[error("{0}")]
    Wrong(String),
}

impl ConfigError {
    /// A mistake at `span` (bytes of `text`). Also for checks that a program makes after reading.
    pub fn at(path: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Self {
        let (message, hint) = explain(message);
        let Some(span) = span else {
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Self::Wrong(format!("{}: {message}{hint}", path.display()));
        };
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let number = text[..start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let marked = text[start..floor(text, span.end.max(start))].lines().next().unwrap_or_default();
        let width = marked.trim_end().chars().count().max(1);

        let mut shown = format!("{}:{number}:{column}: {message}", path.display());
        let margin = " ".repeat(number.to_string().len());
        let indent: String = line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let numbered = format!("  {number} | {line}");
        let _ = write!(shown, "\n{}\n  {margin} | {indent}{}", numbered.trim_end(), "^".repeat(width));
        if let Some(hint) = hint {
            let _ = write!(shown, " {hint}");
        }
        Self::Wrong(shown)
    }
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Puts the library's words into ours. Answers the message and, for an unknown name, what may have been meant.
fn explain(message: &str) -> (String, Option<String>) {
    let first = message.lines().next().unwrap_or_default();
    for (prefix, what, known_as) in
        [("unknown field `", "unknown key", "known keys"), ("unknown variant `", "unknown value", "known values")]
    {
        let Some((name, rest)) = first.strip_prefix(prefix).and_then(|rest| rest.split_once('`')) else { continue };
        let known: Vec<_> = rest.split('`').skip(1).step_by(2).collect();
        let meant = nearest(name, known.iter().copied()).map(|meant| format!("did you mean `{meant}`? "));
        let hint = match known.as_slice() {
            [] => "no key is known here".to_owned(),
            known => format!("{}{known_as}: {}", meant.unwrap_or_default(), known.join(", ")),
        };
        return (format!("{what} `{name}`"), Some(hint));
    }
    if let Some(name) = first.strip_prefix("missing field ") {
        return (format!("key {name} is missing"), None);
    }
    let mut letters = first.chars();
    let lower = letters.next().map(|c| c.to_lowercase().collect::<String>() + letters.as_str());
    (lower.unwrap_or_default(), None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use canh_schema::ByteSize;
    use expect_test::{Expect, expect};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Config {
        input: Input,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Input {
        listen: String,
        #[serde(default = "size", with = "crate::byte_size")]
        message_max: ByteSize,
        #[serde(default)]
        mode: Mode,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        #[default]
        Fast,
        Careful,
    }

    fn size() -> ByteSize {
        ByteSize::kib(64)
    }

    fn check(text: &str, expected: Expect) {
        let error = crate::parse::<Config>(Path::new("server.toml"), text).unwrap_err();
        expected.assert_eq(&error.to_string());
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        check(
            "[input]\nlisten = \"a\"\nmesage_max = \"1KiB\"\n",
            expect![[r#"
                server.toml:3:1: unknown key `mesage_max`
                  3 | mesage_max = "1KiB"
                    | ^^^^^^^^^^ did you mean `message_max`? known keys: listen, message_max, mode"#]],
        );
        check(
            "[input]\nlisten = \"a\"\n  mode = \"fats\" # quick\n",
            expect![[r#"
                server.toml:3:10: unknown value `fats`
                  3 |   mode = "fats" # quick
                    |          ^^^^^^ did you mean `fast`? known values: fast, careful"#]],
        );
        check(
            "[input]\nlisten = \"a\"\nmessage_max = \"64 kilos\"\n",
            expect![[r#"
                server.toml:3:15: `64 kilos` is not a size; write a number with `B`, `KiB`, `MiB`, `GiB` or `TiB`, for example `64KiB`
                  3 | message_max = "64 kilos"
                    |               ^^^^^^^^^^"#]],
        );
        check(
            "\n[input]\nmode = \"fast\"\n",
            expect![[r#"
                server.toml:2:1: key `listen` is missing
                  2 | [input]
                    | ^^^^^^^"#]],
        );
        check(
            "[input]\nlisten = 5\n",
            expect![[r#"
                server.toml:2:10: invalid type: integer `5`, expected a string
                  2 | listen = 5
                    |          ^"#]],
        );
        check(
            "[input\n",
            expect![[r#"
                server.toml:1:7: unclosed table, expected `]`
                  1 | [input
                    |       ^"#]],
        );
        check(
            "",
            expect![[r#"
                server.toml:1:1: key `input` is missing
                  1 |
                    | ^"#]],
        );
    }
}
