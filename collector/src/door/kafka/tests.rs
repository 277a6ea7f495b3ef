//! What a configuration has to be, and what offsets mean that a broker does not have.

use super::partition::{Judged, judge};
use super::*;

#[track_caller]
fn check(text: &str, words: &[&str]) {
    let config: KafkaConfig = toml::from_str(&format!("enabled = true\n{text}")).unwrap();
    let error = config.check().unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "expected `{word}`: {error}");
    }
}

#[test]
fn a_cluster_that_cannot_be_read_is_an_error_that_says_why() {
    let cluster = |more: &str| format!("[[cluster]]\nname = 'a'\nbrokers = ['b:9092']\ntopics = ['t']\n{more}");
    let good: KafkaConfig = toml::from_str(&format!("enabled = true\n{}", cluster(""))).unwrap();
    assert_eq!(good.check(), Ok(()));
    check("", &["`[[collector.kafka.cluster]]`"]);
    check(&format!("fetch_max = '1KiB'\n{}", cluster("")), &["`fetch_max`", "`64KiB`"]);
    check(&[cluster(""), cluster("")].concat(), &["cluster `a`", "two of this name"]);
    check(&cluster("").replace("b:9092", "b"), &["`b`", "`host:port`"]);
    check(&cluster("").replace("'t'", "'t.*'"), &["`t.*`", "not patterns"]);
    check(&cluster("").replace("'t'", "'t', 't'"), &["`t`", "twice"]);
    check(&cluster("").replace("'a'", "'a/b'"), &["`/`"]);
    check(&cluster("tls = true"), &["`authorities`"]);
    check(&cluster("authorities = '/ca.pem'"), &["`tls` is not `true`"]);
    check(&cluster("tls = true\nauthorities = '/no/ca.pem'"), &["`/no/ca.pem`", "cannot be read"]);
    check(&cluster("sasl = 'plain'"), &["`user`", "`password_file`"]);
    check(&cluster("sasl = 'gssapi'\nuser = 'u'\npassword_file = '/p'"), &["`gssapi`", "`scram-sha-512`"]);
    check(&cluster("sasl = 'plain'\nuser = 'u'\npassword_file = '/no/p'"), &["`/no/p`"]);
}

#[test]
fn what_an_offset_that_is_not_there_means() {
    assert_eq!(judge(5, 9, 20, true), Judged::Gone { next: 9 });
    assert_eq!(judge(9, 9, 20, true), Judged::Transient);
    assert_eq!(judge(20, 9, 20, true), Judged::Transient);
    assert_eq!(judge(21, 9, 20, true), Judged::Shorter { next: 20 }, "a leader has lost what was read");
    assert_eq!(judge(21, 0, 20, false), Judged::Shorter { next: 0 }, "it may be another topic");
}
