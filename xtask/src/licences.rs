//! Licences of everything that is compiled in. Only permissive ones and the weak copyleft of MPL are taken.

use serde_json::Value;

const ACCEPTED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
];

pub(crate) fn problems(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().filter_map(problem).collect()
}

fn problem(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some(expression) = package["license"].as_str() else {
        return Some(format!("dependency `{name}` names no licence"));
    };
    (!accepts(expression))
        .then(|| format!("dependency `{name}` has licence `{expression}`, which is not in xtask/src/licences.rs"))
}

/// Whether an SPDX expression can be met by accepted licences. `AND` binds tighter than `OR`; the old `/` means `OR`.
/// Brackets occur only around `OR` groups joined by `AND` (or the reverse); each group is judged by itself.
fn accepts(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    Parser { words: tokens(&expression), at: 0 }.either()
}

fn tokens(expression: &str) -> Vec<String> {
    expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "\u{1}")
        .split_whitespace()
        .map(|word| word.replace('\u{1}', " WITH "))
        .collect()
}

struct Parser {
    words: Vec<String>,
    at: usize,
}

impl Parser {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> bool {
        let mut accepted = self.all();
        while self.take("OR") {
            accepted |= self.all();
        }
        accepted
    }

    fn all(&mut self) -> bool {
        let mut accepted = self.one();
        while self.take("AND") {
            accepted &= self.one();
        }
        accepted
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let accepted = self.either();
            return self.take(")") && accepted;
        }
        let accepted = self.words.get(self.at).is_some_and(|word| ACCEPTED.contains(&word.as_str()));
        self.at += 1;
        accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        assert_eq!(accepts(expression), expected, "expression: {expression}");
    }

    #[test]
    fn expressions() {
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0 AND MIT", false);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MIT OR Apache-2.0) AND GPL-2.0", false);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("LGPL-2.1", false);
        check("", false);
    }
}
