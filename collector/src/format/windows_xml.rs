//! Windows events as XML, as `wevtutil`, NXLog and collectors of forwarded events write them. The values get the flat
//! names that the other shapes of a Windows event have too, and their meaning is read in the same place.

use canh_schema::{Event, Issue, IssueKind, Value};
use compact_str::{CompactString, format_compact};
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event as Part};
use quick_xml::{Reader, XmlVersion};

use super::{Context, Fit, Format, Text};
use crate::source::windows;

/// `<Event xmlns=…>`.
pub(super) struct WindowsXml;

impl Format for WindowsXml {
    fn name(&self) -> &'static str {
        "windows_xml"
    }

    fn about(&self) -> &'static str {
        "Windows event as XML of `wevtutil`, NXLog or event forwarding, also behind a head of syslog"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/><EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-11-22T08:31:48.165324900Z'/><EventRecordID>9911</EventRecordID><Correlation/><Execution ProcessID='700' ThreadID='712'/><Channel>Security</Channel><Computer>quantri.example</Computer><Security/></System><EventData><Data Name='TargetUserName'>administrator</Data><Data Name='TargetDomainName'>TINH</Data><Data Name='LogonType'>3</Data><Data Name='IpAddress'>10.10.9.77</Data><Data Name='IpPort'>50122</Data><Data Name='Status'>0xc000006d</Data></EventData><RenderingInfo Culture='en-US'><Message>An account failed to log on.</Message><Level>Information</Level></RenderingInfo></Event>",
            r#"<?xml version="1.0" encoding="UTF-8"?><Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-Sysmon"/><EventID>1</EventID><TimeCreated SystemTime="2026-11-22T08:31:48.165324Z"/><Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>quantri.example</Computer></System><EventData><Data Name="Image">C:\Windows\System32\cmd.exe</Data><Data Name="CommandLine">cmd /c &quot;echo a &amp; echo &#98;&quot;</Data><Data Name="User">TINH\minh</Data></EventData></Event>"#,
            r"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Eventlog'/><EventID Qualifiers='0'>1102</EventID><TimeCreated SystemTime='2026-11-22T08:31:48Z'/><Channel>Security</Channel><Computer>quantri.example</Computer></System><UserData><LogFileCleared xmlns='http://manifests.microsoft.com/win/2004/08/windows/eventlog'><SubjectUserName>minh</SubjectUserName><SubjectDomainName>TINH</SubjectDomainName></LogFileCleared></UserData></Event>",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        decode(text.as_str(), context, event)
    }
}

/// Fills the event if the text is one of Windows.
pub(crate) fn decode(text: &str, context: &Context<'_>, event: &mut Event) -> Fit {
    let text = text.trim_start_matches(['\u{feff}', ' ']);
    if !text.starts_with("<Event") && !text.starts_with("<?xml") {
        return Fit::No;
    }
    let mut flat =
        Flat { attrs: Vec::with_capacity(32), channel: None, issue: None, room: context.settings.fields_max };
    let outcome = flat.read(text, context.settings.depth_max);
    if !flat.attrs.iter().any(|(name, _)| name == "EventID") {
        return Fit::No;
    }
    if let Err(wrong) = outcome {
        event.push_issue(IssueKind::Malformed, format_compact!("XML: {wrong}"));
    }
    event.issues.extend(flat.issue);
    event.attrs.append(&mut flat.attrs);
    windows::apply(event, context, flat.channel.as_deref());
    Fit::Yes
}

struct Flat {
    attrs: Vec<(CompactString, Value)>,
    channel: Option<CompactString>,
    issue: Option<Issue>,
    room: usize,
}

/// The longest reason that is shown, in bytes.
const REASON_LEN_MAX: usize = 120;

impl Flat {
    /// Reads the first event of the text.
    fn read(&mut self, text: &str, depth_max: usize) -> Result<(), CompactString> {
        let shown = |error: &dyn std::fmt::Display| {
            let mut reason = format_compact!("{error}");
            reason.truncate(reason.floor_char_boundary(REASON_LEN_MAX));
            reason
        };
        let mut reader = Reader::from_str(text);
        let mut path: Vec<CompactString> = Vec::new();
        let mut content = String::new();
        // The name of the `Data` that the reader is in.
        let mut data: Option<CompactString> = None;
        loop {
            match reader.read_event().map_err(|error| shown(&error))? {
                Part::Start(start) => {
                    if path.len() >= depth_max {
                        return Err(format_compact!("more than {depth_max} elements in each other"));
                    }
                    path.push(start.local_name().into_inner().into());
                    content.clear();
                    data = self.attributes(&path, &start);
                }
                Part::Empty(start) => {
                    path.push(start.local_name().into_inner().into());
                    data = self.attributes(&path, &start);
                    self.value(&path, data.take(), "");
                    path.pop();
                }
                Part::End(_) => {
                    self.value(&path, data.take(), &content);
                    content.clear();
                    path.pop();
                    if path.is_empty() {
                        return Ok(());
                    }
                }
                Part::Text(part) => content.push_str(&part.xml10_content()),
                Part::CData(part) => content.push_str(&part.xml10_content()),
                Part::GeneralRef(reference) => resolve(&reference, &mut content),
                Part::Eof if path.is_empty() => return Ok(()),
                Part::Eof => return Err("it ends in the middle".into()),
                Part::Decl(_) | Part::DocType(_) | Part::Comment(_) | Part::PI(_) => (),
            }
        }
    }

    /// Attributes of an element of the head become values; answers the name that a `Data` has.
    fn attributes(&mut self, path: &[CompactString], start: &BytesStart<'_>) -> Option<CompactString> {
        let [_, section, element, ..] = path else { return None };
        let mut name = None;
        for attribute in start.attributes().with_checks(false).flatten() {
            let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else { continue };
            let key = attribute.key.into_inner();
            match (section.as_str(), key) {
                ("System", "SystemTime") => self.put(CompactString::const_new("TimeCreated"), Value::from(&*value)),
                ("System", _) => self.put(format_compact!("{element}_{key}"), number(&value)),
                ("EventData", "Name") => name = Some(CompactString::from(&*value)),
                _ => (),
            }
        }
        name
    }

    /// The text of an element that has ended.
    fn value(&mut self, path: &[CompactString], data: Option<CompactString>, content: &str) {
        let [_, section, element, inner @ ..] = path else { return };
        match section.as_str() {
            "System" if inner.is_empty() && !content.trim().is_empty() => {
                let content = content.trim();
                if element == "Channel" {
                    self.channel = Some(content.into());
                }
                let value = if element == "Keywords" { Value::from(content) } else { number(content) };
                self.put(element.clone(), value);
            }
            "EventData" if inner.is_empty() => match data {
                Some(name) => self.put(windows::without_spaces(&name), Value::from(content)),
                None if element == "Data" => self.unnamed(content),
                None => self.put(element.clone(), Value::from(content)),
            },
            // The element below has the provider's own name, its children are the values.
            "UserData" => {
                if let [name] = inner {
                    self.put(windows::without_spaces(name), Value::from(content));
                }
            }
            "RenderingInfo" if element == "Message" && !content.is_empty() => {
                self.put(element.clone(), Value::from(content));
            }
            _ => (),
        }
    }

    /// `Data` elements without names are one list.
    fn unnamed(&mut self, content: &str) {
        match self.attrs.iter_mut().find(|(name, _)| name == "Data") {
            Some((_, Value::List(members))) if members.len() < self.room => members.push(Value::from(content)),
            Some((_, Value::List(_))) => self.full(),
            Some((_, first)) => *first = Value::List(vec![first.clone(), Value::from(content)]),
            None => self.put(CompactString::const_new("Data"), Value::from(content)),
        }
    }

    /// Names are unique; the later value stays, as in the other shapes.
    fn put(&mut self, name: CompactString, value: Value) {
        if self.attrs.len() >= self.room {
            return self.full();
        }
        match self.attrs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.attrs.push((name, value)),
        }
    }

    fn full(&mut self) {
        let detail = format_compact!("limit is {}", self.room);
        self.issue.get_or_insert(Issue { kind: IssueKind::TooManyFields, detail });
    }
}

/// A whole number as one, as readers of the binary form have it.
fn number(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if !text.starts_with('+') => Value::Integer(number),
        _ => Value::from(text),
    }
}

/// A character that was written out; a name that XML does not know stays as it is.
fn resolve(reference: &BytesRef<'_>, content: &mut String) {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        content.push(letter);
        return;
    }
    let name = reference.xml10_content();
    match resolve_xml_entity(&name) {
        Some(text) => content.push_str(text),
        None => {
            content.push('&');
            content.push_str(&name);
            content.push(';');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&[(&str, &str)]>, complete: bool) {
        let mut flat = Flat { attrs: Vec::new(), channel: None, issue: None, room: 8 };
        let outcome = flat.read(text, 8);
        let shown: Vec<_> = flat.attrs.iter().map(|(name, value)| (name.as_str(), value.as_text())).collect();
        let shown: Vec<_> = shown.iter().map(|(name, value)| (*name, value.as_deref().unwrap_or("[…]"))).collect();
        assert_eq!(shown, expected.unwrap_or_default(), "input: {text:?}");
        assert_eq!(outcome.is_ok(), complete, "input: {text:?}");
    }

    #[test]
    fn events() {
        let event = |inner: &str| format!("<Event>{inner}</Event>");
        check(
            &event("<System><EventID Qualifiers='1'>7</EventID></System>"),
            Some(&[("EventID_Qualifiers", "1"), ("EventID", "7")]),
            true,
        );
        check(
            &event("<EventData><Data Name='A b'>x &lt;&#x41;&nope; y</Data></EventData>"),
            Some(&[("Ab", "x <A&nope; y")]),
            true,
        );
        check(&event("<EventData><Data>x</Data><Data>y</Data></EventData>"), Some(&[("Data", "[…]")]), true);
        check(&event("<EventData><Data><![CDATA[<x>]]></Data></EventData>"), Some(&[("Data", "<x>")]), true);
        check(&event("<UserData><P><A>1</A><B/></P></UserData>"), Some(&[("A", "1"), ("B", "")]), true);
        check("<Event><System><EventID>7</EventID>", Some(&[("EventID", "7")]), false);
        check("<Event><System></Event>", None, false);
        check(&"<Event>".repeat(20), None, false);
        let many: String = (0..20).map(|n| format!("<Data Name='n{n}'>1</Data>")).collect();
        let mut flat = Flat { attrs: Vec::new(), channel: None, issue: None, room: 8 };
        assert_eq!(flat.read(&event(&format!("<EventData>{many}</EventData>")), 8), Ok(()));
        assert_eq!((flat.attrs.len(), flat.issue.is_some()), (8, true));
        check("", None, true);
    }
}
