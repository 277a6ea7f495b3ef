//! Tar archives: each regular file is a member.

use crate::report::GapReason;
use crate::unpack::{Sink, member};

pub(super) fn open(bytes: &[u8], sink: &mut dyn Sink) {
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return sink.gap(GapReason::Damaged, "") };
    for entry in entries {
        if sink.is_over() {
            return;
        }
        let Ok(entry) = entry else { return sink.gap(GapReason::Damaged, "") };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        member(entry, &name, sink);
    }
}
