//! One row for each thing that a modifier or pattern must and must not match.

use canh_schema::Value;

use super::*;
use crate::diagnostic::Place;
use crate::rule::{Item, Literal, Modifier};

fn item(key: &str, value: Literal) -> Item {
    let (field, modifiers) = key.split_once('|').unwrap_or((key, ""));
    let names = modifiers.split('|').filter(|name| !name.is_empty());
    Item {
        field: (!field.is_empty()).then(|| field.into()),
        modifiers: names.map(|name| Modifier::from_name(name).expect("a modifier of the list")).collect(),
        written: modifiers.into(),
        values: vec![value],
        at: Place::START,
    }
}

#[track_caller]
fn check(key: &str, pattern: impl Into<Lit>, value: impl Into<Value>, expected: bool) {
    let compiled = compile_item(&item(key, pattern.into().0)).expect("the item compiles");
    let value = value.into();
    let mut lower = String::new();
    lower_into(&value.as_text().unwrap_or_default(), &mut lower);
    let found = compiled.values.iter().flatten().any(|matcher| matcher.matches(&value, &lower));
    assert_eq!(found, expected, "{key} against {value:?}: {compiled:?}");
}

struct Lit(Literal);

impl From<&str> for Lit {
    fn from(text: &str) -> Self {
        Self(Literal::Text(text.to_owned()))
    }
}

impl From<i64> for Lit {
    fn from(number: i64) -> Self {
        Self(Literal::Integer(number))
    }
}

#[track_caller]
fn check_error(key: &str, pattern: impl Into<Lit>, expected: &str) {
    let error = compile_item(&item(key, pattern.into().0)).expect_err("the item is refused");
    assert_eq!(error.message, expected);
}

#[test]
fn plain_values_and_wildcards() {
    check("f", "Abc", "aBC", true);
    check("f", "abc", "abcd", false);
    check("f", "a*c", "A\nb C", true);
    check("f", "a*c", "ac", true);
    check("f", "a?c", "aéc", true);
    check("f", "a?c", "ac", false);
    check("f", "*", "", true);
    check("f", "", "", true);
    check("f", "", "x", false);
    check("f", r"a\*c", "a*c", true);
    check("f", r"a\*c", "abc", false);
    check("f", r"C:\Windows\x", r"c:\windows\X", true);
    check("f", r"a\\*", r"a\b", true); // an escaped backslash, then a wildcard
    check("f", "*ab*ab", "abab", true);
    check("f", "ab*ab", "ab", false); // the two parts must not share text
    check("f", "*a?b*c", "xxaab c", true);
    check("f", "??", "é", false);
    check("f", "ÄÖ", "äö", true);
    check("f|contains", "ΑΣ", "ΑΣΑ", true);
    check("f", "*b", "ab\n", false);
}

#[test]
fn where_in_the_text() {
    check("f|contains", "b", "abc", true);
    check("f|contains", "x?z", "wxyzw", true);
    check("f|startswith", "ab", "ABC", true);
    check("f|startswith", "b", "abc", false);
    check("f|endswith", "c", "abc", true);
    check("f|endswith", "b", "abc", false);
    check("f|cased", "Ab", "Ab", true);
    check("f|cased", "Ab", "ab", false);
    check("f|contains|cased", "B", "aBc", true);
    check("", "b c", "a b c", true);
}

#[test]
fn numbers_and_texts_meet() {
    check("f", 4625, "4625", true);
    check("f", "4625", 4625, true);
    check("f", 1, 1.0, true);
    check("f", 4625, "46250", false);
    check("f", "true", true, true);
    check("f|gt", 5, "6", true);
    check("f|gt", 5, 5, false);
    check("f|gte", 5, 5, true);
    check("f|lt", 5, 4.5, true);
    check("f|lte", 5, "x", false);
    check_error("f|lt", "many", "`many` is not a number");
}

#[test]
fn encodings() {
    check("f|base64", "foobar", "Zm9vYmFy", true);
    for text in ["/bin/sh", "x/bin/sh", "xy/bin/shz"] {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        check("f|base64offset|contains", "/bin/sh", encoded.as_str(), true);
    }
    check("f|wide|base64offset|contains", "ping", "cABpAG4AZwA=", true);
    check("f|utf16be", "a", "\0a", true);
    check_error("f|base64", "a*b", "`base64` cannot encode the wildcards of `a*b`");
}

#[test]
fn windash() {
    for dash in ["-", "/", "–", "—", "―"] {
        check("f|contains|windash", " -enc -x", format!("a {dash}enc {dash}x"), true);
    }
    check("f|windash|contains", "a-b", "a/b", false); // not the beginning of an option
    check("f|contains|windash", "-f", "x /f", true);
}

#[test]
fn expressions() {
    check("f|re", "b.d", "abcd", true);
    check("f|re", "B", "b", false);
    check("f|re|i", "B", "b", true);
    check("f|re", "^b", "a\nb", false);
    check("f|re|m", "^b", "a\nb", true);
    check("f|re", "a.b", "a\nb", false);
    check("f|re|s", "a.b", "a\nb", true);
    check_error(
        "f|re",
        "a{1000}{1000}{1000}",
        "cannot compile the expression `a{1000}{1000}{1000}`: it would need too much memory; use smaller repetitions",
    );
    check_error("f|i", "a", "`i` belongs behind `re`");
}

#[test]
fn networks_and_dates() {
    check("f|cidr", "10.0.0.0/8", "10.200.3.4", true);
    check("f|cidr", "10.0.0.0/8", "11.0.0.1", false);
    check("f|cidr", "10.0.0.0/8", "::ffff:10.0.0.1", true);
    check("f|cidr", "fe80::/10", "fe80::1", true);
    check("f|cidr", "10.0.0.0/8", "not an address", false);
    check_error("f|cidr", "10.0.0/8", "`10.0.0/8` is not a network such as `10.0.0.0/8`");
    check("f|hour", 23, "2026-01-31T23:05:00+07:00", true);
    check("f|minute|gte", 5, "2026-01-31 23:05:00", true);
    check("f|month", 1, 1_769_817_900, true);
    check("f|year|lt", 2000, "2026-01-31", false);
    check("f|week", 5, "2026-01-31", true);
}

#[test]
fn things_that_do_not_fit_are_refused() {
    check_error("f|re|cidr", "a", "`re` and `cidr` cannot be used together");
    check_error("f|exists", "yes", "`exists` takes true or false, not `yes`");
    check_error("f|expand", "%admins%", "placeholder `%admins%` has no values here");
    check_error("|exists", "x", "`exists` and `fieldref` need a field");
}
