//! Windows events as `evtx_dump` and most other readers of EVTX files write them: the XML of the event as nested JSON,
//! `Event.System.*` and `Event.EventData.*`, XML attributes under `#attributes` and text under `#text`.
//!
//! As with Winlogbeat the values get the flat names that rules are written against.

use canh_schema::{Event, Value};
use compact_str::CompactString;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::windows;

/// `evtx_dump`'s shape.
pub(super) struct Evtx;

impl Format for Evtx {
    fn name(&self) -> &'static str {
        "evtx"
    }

    fn about(&self) -> &'static str {
        "Windows event as nested JSON of `evtx_dump` and other EVTX readers"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r##"{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon","Guid":"5770385F"}},"EventID":1,"Version":5,"Level":4,"TimeCreated":{"#attributes":{"SystemTime":"2026-11-22T08:31:48.165324Z"}},"EventRecordID":571146,"Correlation":null,"Execution":{"#attributes":{"ProcessID":3544,"ThreadID":4272}},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"quantri","Security":{"#attributes":{"UserID":"S-1-5-18"}}},"EventData":{"UtcTime":"2026-11-22 08:31:48.132","ProcessId":4460,"Image":"C:\\Windows\\System32\\whoami.exe","CommandLine":"whoami /all","User":"TINH\\minh","ParentProcessId":400,"ParentImage":"C:\\Windows\\System32\\cmd.exe","ParentCommandLine":"cmd.exe","Hashes":"SHA1=5E4F,MD5=0A1B"}}}"##,
            r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Service Control Manager"}},"EventID":{"#attributes":{"Qualifiers":16384},"#text":7045},"TimeCreated":{"#attributes":{"SystemTime":"2026-11-22T08:31:48.165324Z"}},"Channel":"System","Computer":"quantri"},"EventData":{"Data":[{"#attributes":{"Name":"ServiceName"},"#text":"PSEXESVC"},{"#attributes":{"Name":"ImagePath"},"#text":"%SystemRoot%\\PSEXESVC.exe"}]}}}"##,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::SYSTEM_EVENT_ID) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        event.issues.extend(json.issues);
        let mut names = None;
        let mut texts = None;
        let mut channel = None;
        event.attrs.reserve(json.entries.len() + 2);
        for (key, value) in json.entries {
            if matches!(key.as_str(), "Event.System.Channel" | "System.Channel") {
                channel = value.as_str().map(CompactString::from);
            }
            match place(&key) {
                Place::Drop => (),
                Place::Name(name) => set_last(&mut event.attrs, name, value),
                Place::DataNames => names = Some(value),
                Place::DataTexts => texts = Some(value),
            }
        }
        named_data(&mut event.attrs, names, texts);
        windows::apply(event, context, channel.as_deref());
        Fit::Yes
    }
}

/// Where a flattened name of the nested shape belongs.
enum Place {
    Name(CompactString),
    /// The names of a list of `Data` elements.
    DataNames,
    /// Their texts.
    DataTexts,
    Drop,
}

fn place(key: &str) -> Place {
    let key = key.strip_prefix("Event.").unwrap_or(key);
    if let Some(system) = key.strip_prefix("System.") {
        return match system {
            "TimeCreated.#attributes.SystemTime" => Place::Name(CompactString::const_new("TimeCreated")),
            "EventID.#text" => Place::Name(CompactString::const_new("EventID")),
            "Correlation" | "Execution" | "Security" => Place::Drop,
            _ => Place::Name(joined(system)),
        };
    }
    if let Some(data) = key.strip_prefix("EventData.") {
        return match data {
            "Data.#attributes.Name" => Place::DataNames,
            "Data.#text" => Place::DataTexts,
            _ if data.contains("#attributes") => Place::Drop,
            _ => Place::Name(windows::without_spaces(data.strip_suffix(".#text").unwrap_or(data))),
        };
    }
    if let Some(data) = key.strip_prefix("UserData.") {
        // The element below has the provider's own name, its children are the values.
        let name = data.split_once('.').map_or(data, |(_, name)| name);
        if name.contains("#attributes") {
            return Place::Drop;
        }
        return Place::Name(windows::without_spaces(name.strip_suffix(".#text").unwrap_or(name)));
    }
    match key {
        "EventData" | "UserData" | "#attributes.xmlns" => Place::Drop,
        _ => Place::Name(CompactString::from(key)),
    }
}

/// `Provider.#attributes.Name` is `Provider_Name`.
fn joined(key: &str) -> CompactString {
    match key.split_once(".#attributes.") {
        Some((element, attribute)) => {
            let mut name = CompactString::from(element);
            name.push('_');
            name.push_str(attribute);
            name
        }
        None => CompactString::from(key),
    }
}

/// Names are unique; the later value stays, as in the flat form that rules are tested with.
fn set_last(attrs: &mut Vec<(CompactString, Value)>, name: CompactString, value: Value) {
    match attrs.iter_mut().find(|(key, _)| *key == name) {
        Some((_, old)) => *old = value,
        None => attrs.push((name, value)),
    }
}

/// `Data` elements that were written as a list: each text gets its name. Without names they are one list, `Data`.
fn named_data(attrs: &mut Vec<(CompactString, Value)>, names: Option<Value>, texts: Option<Value>) {
    match (names, texts) {
        (Some(names), Some(texts)) if names.members().len() == texts.members().len() => {
            for (name, text) in names.members().iter().zip(texts.members()) {
                if let Some(name) = name.as_str() {
                    set_last(attrs, windows::without_spaces(name), text.clone());
                }
            }
        }
        (_, Some(texts)) => set_last(attrs, CompactString::const_new("Data"), texts),
        (_, None) => (),
    }
}
