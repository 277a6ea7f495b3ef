//! `docs/configuration.md` from the configuration types themselves: a table of a struct's keys with its doc comments and
//! defaults. Reads the sources as text; a struct takes part when its doc comment begins with its table's name in
//! back-ticks, for example ``/// `[journal]` ``.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::tree;

const PATH: &str = "docs/configuration.md";

const HEAD: &str = "\
# Configuration

<!-- Written by `./dev codegen` from the doc comments of the code. Edit those. -->

`canh serve --config canh.toml` and `canh-agent run --config agent.toml` read TOML. Every key may be left out. An unknown
key is an error that shows the line and the nearest known key; `canh config check FILE` and `canh-agent config check
--config FILE` look for such mistakes without starting anything. Sizes are written `64KiB`, times `30s`, `5m` or `1h`.

Above all tables of the server stands `data`, its data directory (`\"data\"`). Above those of the agent stand `host_name`
(the system's name), `state_dir` (`\"/var/lib/canh-agent\"`), `queue_len` and `stop_grace`.
";

/// Which sources make which chapter.
const CHAPTERS: &[(&str, &[&str])] = &[
    (
        "The server",
        &[
            "server/src/config.rs",
            "collector/src/config.rs",
            "collector/src/geo/mod.rs",
            "collector/src/journal/mod.rs",
            "collector/src/door",
            "collector/src/door/tls/mod.rs",
        ],
    ),
    (
        "The agent",
        &[
            "agents/agent/src/config.rs",
            "agents/agent/src/tls.rs",
            "agents/agent/src/input",
            "agents/agent/src/input/samples/config.rs",
            "agents/agent/src/input/samples/traffic/config.rs",
        ],
    ),
];

struct Table {
    name: String,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    about: String,
    default: String,
}

pub(crate) fn write() -> anyhow::Result<()> {
    fs::write(tree::root().join(PATH), text()?).with_context(|| format!("cannot write `{PATH}`"))
}

pub(crate) fn problems() -> anyhow::Result<Vec<String>> {
    let kept = fs::read_to_string(tree::root().join(PATH)).unwrap_or_default();
    Ok((kept != text()?).then(|| format!("{PATH} is stale; run `./dev codegen`")).into_iter().collect())
}

fn text() -> anyhow::Result<String> {
    let mut text = HEAD.to_owned();
    for (chapter, sources) in CHAPTERS {
        text.push_str(&format!("\n## {chapter}\n"));
        for path in files(sources)? {
            let source = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            for table in tables(&source).into_iter().filter(|table| !table.keys.is_empty()) {
                text.push_str(&format!("\n### {}\n\n| key | default | meaning |\n|---|---|---|\n", table.name));
                for Key { name, about, default } in table.keys {
                    text.push_str(&format!("| `{name}` | {default} | {about} |\n"));
                }
            }
        }
    }
    Ok(text)
}

/// The named files, and all sources directly in the named folders.
fn files(names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in names {
        let path = tree::root().join(name);
        if path.is_dir() {
            let entries = fs::read_dir(&path)?.collect::<Result<Vec<_>, _>>()?;
            let mut inside: Vec<PathBuf> = entries
                .iter()
                .map(fs::DirEntry::path)
                .filter(|path| path.extension().is_some_and(|end| end == "rs"))
                .collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn tables(source: &str) -> Vec<Table> {
    let mut tables = Vec::new();
    let lines: Vec<&str> = source.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.strip_prefix("/// `[").and_then(|rest| rest.split('`').next()) else { continue };
        let Some(start) = lines[at..].iter().position(|line| line.contains("struct ")).map(|n| at + n) else {
            continue;
        };
        let kind = lines[start]
            .split("struct ")
            .nth(1)
            .and_then(|rest| rest.split([' ', '{', '<']).next())
            .unwrap_or_default();
        tables.push(Table { name: format!("`[{name}`"), keys: keys(&lines[start + 1..], &defaults(source, kind)) });
    }
    tables
}

fn keys(lines: &[&str], defaults: &[(String, String)]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut about = Vec::new();
    for line in lines.iter().map(|line| line.trim()).take_while(|line| *line != "}") {
        if let Some(doc) = line.strip_prefix("/// ") {
            about.push(doc.replace('|', "\\|"));
        } else if let Some(name) = line.strip_suffix(',').and_then(|line| line.split_once(": ")).map(|(head, _)| head) {
            let name = name.rsplit(' ').next().unwrap_or(name).to_owned();
            let default =
                defaults.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
            // Keys without a comment are tables of their own.
            if !about.is_empty() {
                keys.push(Key { name, about: about.join(" "), default });
            }
            about.clear();
        }
    }
    keys
}

/// What `impl Default` sets, as it would be written in the file.
fn defaults(source: &str, kind: &str) -> Vec<(String, String)> {
    let heads = [format!("Default for {kind} {{"), format!("Default for {kind}<")];
    let Some((_, body)) = heads.iter().find_map(|head| source.split_once(head)) else { return Vec::new() };
    let body = body.split("\n}\n").next().unwrap_or(body);
    let on_one_line = |line: &str| Some(line.strip_prefix("Self { ")?.strip_suffix(" }")?.replace(", ", ",\n") + ",");
    let lines = body.lines().map(str::trim).map(|line| on_one_line(line).unwrap_or_else(|| line.to_owned()));
    let lines: Vec<String> = lines.flat_map(|lines| lines.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines
        .iter()
        .filter_map(|line| line.strip_suffix(',')?.split_once(": "))
        .filter_map(|(key, value)| Some((key.to_owned(), shown(value)?)))
        .collect()
}

/// A default as TOML writes it; `None` for what is no single value.
fn shown(value: &str) -> Option<String> {
    let inside = |head: &str| value.strip_prefix(head).and_then(|rest| rest.strip_suffix(')'));
    let quoted = |text: String| Some(format!("`\"{text}\"`"));
    for (head, unit) in [
        ("ByteSize::kib(", "KiB"),
        ("ByteSize::mib(", "MiB"),
        ("ByteSize::gib(", "GiB"),
        ("Duration::from_secs(", "s"),
        ("Duration::from_millis(", "ms"),
    ] {
        if let Some(number) =
            inside(head).filter(|number| number.chars().all(|char| char.is_ascii_digit() || char == '_'))
        {
            return quoted(format!("{}{unit}", number.replace('_', "")));
        }
    }
    if let Some(address) =
        inside("SocketAddr::from(([127, 0, 0, 1], ").or_else(|| inside("SocketAddr::from((Ipv4Addr::LOCALHOST, "))
    {
        return quoted(format!("127.0.0.1:{}", address.trim_end_matches(')').replace('_', "")));
    }
    if let Some(text) = value.strip_prefix("PathBuf::from(\"").and_then(|rest| rest.strip_suffix("\")")) {
        return quoted(text.to_owned());
    }
    if let Some(number) =
        value.strip_prefix("const { NonZeroUsize::new(").and_then(|rest| rest.strip_suffix(").unwrap() }"))
    {
        let is_number = number.chars().all(|char| char.is_ascii_digit() || char == '_');
        return is_number.then(|| format!("`{}`", number.replace('_', "")));
    }
    let plain = value == "true" || value == "false" || value.chars().all(|char| char.is_ascii_digit() || char == '_');
    plain.then(|| format!("`{}`", value.replace('_', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_becomes_a_table() {
        let source = "/// `[door]`\n#[derive(Deserialize)]\npub struct DoorConfig {\n    /// Address.\n    pub listen: SocketAddr,\n    /// Longest\n    /// message.\n    #[serde(x)]\n    pub max: ByteSize,\n    pub rest: Other,\n}\n\nimpl Default for DoorConfig {\n    fn default() -> Self {\n        Self {\n            listen: SocketAddr::from(([127, 0, 0, 1], 5514)),\n            max: ByteSize::kib(64),\n        }\n    }\n}\n";
        let tables = tables(source);
        let rows: Vec<_> =
            tables[0].keys.iter().map(|key| (key.name.as_str(), key.default.as_str(), key.about.as_str())).collect();
        assert_eq!(tables[0].name, "`[door]`");
        assert_eq!(rows, [("listen", "`\"127.0.0.1:5514\"`", "Address."), ("max", "`\"64KiB\"`", "Longest message.")]);
    }

    #[test]
    fn defaults_of_a_generic_struct_and_on_one_line() {
        let source = "impl<U: Usual> Default for Limits<U> {\n    fn default() -> Self {\n        Self { max: const { NonZeroUsize::new(64).unwrap() }, timeout: Duration::from_secs(10), own: const { NonZeroUsize::new(U::OWN).unwrap() } }\n    }\n}\n";
        let expected = [("max", "`64`"), ("timeout", "`\"10s\"`")];
        assert_eq!(defaults(source, "Limits"), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_manual_is_not_stale() {
        assert_eq!(problems().expect("the sources can be read"), Vec::<String>::new());
    }
}
