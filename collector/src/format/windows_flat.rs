//! Windows events as one flat object, the names of Windows at the top: NXLog, OTRF's data sets, many others.

use canh_schema::Event;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::windows;

/// NXLog's shape.
pub(super) struct WindowsFlat;

impl Format for WindowsFlat {
    fn name(&self) -> &'static str {
        "windows_flat"
    }

    fn about(&self) -> &'static str {
        "Windows event as flat JSON with `EventID` and `Channel`, for example of NXLog"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"EventTime":"2026-11-22 15:31:48","Hostname":"quantri.tinh.local","EventID":4688,"SourceName":"Microsoft-Windows-Security-Auditing","Channel":"Security","SubjectUserName":"minh","SubjectDomainName":"TINH","NewProcessId":"0x1f4","NewProcessName":"C:\\Windows\\System32\\cmd.exe","ParentProcessName":"C:\\Windows\\explorer.exe","CommandLine":"cmd.exe /c whoami","Message":"A new process has been created."}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::EVENT_ID) && json.has_any(mark::CHANNEL | mark::PROVIDER) => (),
            _ => return Fit::No,
        }
        let Some(mut json) = text.take_json(context) else { return Fit::No };
        for (key, _) in &mut json.entries {
            if key.as_bytes().contains(&b' ') {
                *key = windows::without_spaces(key);
            }
        }
        json.into_event(event);
        windows::apply(event, context, None);
        Fit::Yes
    }
}
