//! What a scan found, and what it did not look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::excerpt::Excerpt;

/// The result of one sample.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ScanReport {
    pub size: u64,
    pub hashes: SampleHashes,
    /// In the order in which the members were looked at, then in the order of the rules.
    pub matches: Vec<RuleMatch>,
    /// What was not looked at, by reason. Empty if everything was.
    pub gaps: BTreeMap<GapReason, Gap>,
    /// Members of archives that were scanned.
    pub members: u32,
    /// Bytes given to the rules, the sample's own included.
    pub bytes_scanned: u64,
}

impl ScanReport {
    pub(crate) fn gap(&mut self, reason: GapReason, at: &str) {
        let gap = self.gaps.entry(reason).or_insert_with(|| Gap { first: at.chars().take(512).collect(), count: 0 });
        gap.count += 1;
    }
}

/// Hashes of the whole sample, in lower-case hex.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SampleHashes {
    pub md5: String,
    pub sha256: String,
}

/// A rule that matches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleMatch {
    pub rule: String,
    /// The file that the rule comes from; see [`crate::RuleFile`].
    pub namespace: String,
    pub tags: Vec<String>,
    /// In the order of the rule, the first 32.
    pub meta: Vec<Meta>,
    /// `None` if it is the sample itself that matches.
    pub member: Option<Member>,
    pub hits: Vec<Hit>,
    /// Hits that are not listed, because of the limits.
    pub hits_left_off: u64,
}

impl RuleMatch {
    /// The first metadata of this name, for example `author`, `description`, `reference`, `severity` or `score`.
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.iter().find(|meta| meta.name.eq_ignore_ascii_case(name)).map(|meta| meta.value.as_str())
    }
}

/// One line of a rule's `meta`. Long values are cut at 1,024 characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meta {
    pub name: String,
    pub value: String,
}

/// A member of an archive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Where it was, from the outside in: `a.zip!/b.tar!/c.exe`.
    pub path: String,
    pub size: u64,
    /// In lower-case hex.
    pub sha256: String,
}

/// A place where a string of a rule matched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// With its `$`; an anonymous string is `$` alone.
    pub identifier: String,
    /// From the start of the sample or member, in bytes.
    pub offset: u64,
    /// In bytes. The excerpt may be shorter.
    pub len: u64,
    pub excerpt: Excerpt,
}

/// Something that was not looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// The first place where it happened: a path of members, and a rule if it was about one. Empty for the sample
    /// itself.
    pub first: String,
    pub count: u64,
}

/// Why something was not looked at. The one list; docs and metrics walk [`GapReason::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum GapReason {
    /// The sample, or a member, is longer than the limit; its beginning was scanned.
    FileBytes,
    /// The time for the sample was up.
    Time,
    /// A string matched more often than is counted, so a rule that counts may be wrong.
    StringMatches,
    /// Hits of a rule are left off the report.
    Hits,
    /// Matching rules are left off the report.
    Rules,
    /// Archives in archives, deeper than the limit.
    Depth,
    /// More members than the limit.
    Members,
    /// Everything unpacked together is longer than the limit.
    UnpackedBytes,
    /// An archive unpacks to suspiciously many times its size.
    Ratio,
    /// A member needs a password.
    Encrypted,
    /// An archive is damaged, or lies about itself.
    Damaged,
    /// A packing that is known and not opened: RAR, 7-Zip, bzip2, or a rare method inside a zip.
    NotOpened,
    /// The engine failed on these bytes. That is a fault of the program; please report it.
    Engine,
}

impl GapReason {
    pub const ALL: [Self; 13] = [
        Self::FileBytes,
        Self::Time,
        Self::StringMatches,
        Self::Hits,
        Self::Rules,
        Self::Depth,
        Self::Members,
        Self::UnpackedBytes,
        Self::Ratio,
        Self::Encrypted,
        Self::Damaged,
        Self::NotOpened,
        Self::Engine,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::FileBytes => "file_bytes",
            Self::Time => "time",
            Self::StringMatches => "string_matches",
            Self::Hits => "hits",
            Self::Rules => "rules",
            Self::Depth => "depth",
            Self::Members => "members",
            Self::UnpackedBytes => "unpacked_bytes",
            Self::Ratio => "ratio",
            Self::Encrypted => "encrypted",
            Self::Damaged => "damaged",
            Self::NotOpened => "not_opened",
            Self::Engine => "engine",
        }
    }

    /// One line for people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::FileBytes => "only the beginning was scanned, the file is longer than the limit",
            Self::Time => "the time for the file was up",
            Self::StringMatches => "a string matched more often than is counted",
            Self::Hits => "hits of a rule are left off this report",
            Self::Rules => "matching rules are left off this report",
            Self::Depth => "an archive inside archives was not opened, it is too deep",
            Self::Members => "an archive has more members than the limit",
            Self::UnpackedBytes => "what archives unpack to is longer than the limit",
            Self::Ratio => "an archive unpacks to suspiciously many times its size",
            Self::Encrypted => "a member needs a password",
            Self::Damaged => "an archive is damaged or lies about itself",
            Self::NotOpened => "an archive of a kind that is not opened",
            Self::Engine => "the engine failed on these bytes; please report it",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reasons_have_their_own_names() {
        let names: BTreeSet<_> = GapReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), GapReason::ALL.len());
    }
}
