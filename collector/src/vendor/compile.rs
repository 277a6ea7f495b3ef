//! From `source.toml` to what decoding uses. Everything that can be wrong is found here, with its line.

use canh_schema::{FieldId, LogSource, Value, field_by_name};
use compact_str::CompactString;
use regex::{Regex, RegexBuilder};
use rustc_hash::FxHashMap;

use super::Problem;
use super::definition::{Definition, Filled, Form, Join, Kind, LogSourceNames, Mapping, Recognise, Times, Web};
use super::join::{Rule, Which};
use super::source::{Change, Fill, KindRules, Recognition, Rules, Shape, Source, WebNames};
use crate::format::{Layout, Marks, Zone};
use crate::source::project;

/// Memory that one regular expression may need, in bytes.
const REGEX_LEN_MAX: usize = 1 << 20;
/// Bounds of one folder, so that a mistake in it costs nobody else.
const KINDS_MAX: usize = 256;
const ROWS_MAX: usize = 512;

/// What is wrong, and a text of the file that is near it.
type Wrong = (String, String);

fn wrong(near: &str, reason: impl Into<String>) -> Wrong {
    (near.to_owned(), reason.into())
}

/// Reads one `source.toml`. `path` is for people.
pub(super) fn source(name: &str, path: &str, text: &str) -> Result<Source, Problem> {
    let problem = |line: Option<usize>, reason: String| Problem { path: path.to_owned(), line, reason };
    if !name.contains('-')
        || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    {
        let reason =
            format!("the folder is named `{name}`; name it `vendor-product`, in small letters, digits, `-` and `_`");
        return Err(problem(None, reason));
    }
    let definition: Definition = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        problem(line, error.message().trim().to_owned())
    })?;
    compiled(name, definition).map_err(|(near, reason)| {
        let line = text.lines().position(|line| !near.is_empty() && line.contains(&near)).map(|at| at + 1);
        problem(line, reason)
    })
}

fn compiled(name: &str, mut definition: Definition) -> Result<Source, Wrong> {
    let mapping = definition.take_mapping();
    // One that only says which lines belong together means nothing by itself.
    let only_joins = definition.join.is_some() && definition.kind.is_empty() && definition.extract.form == Form::Lines;
    if only_joins {
        // Its lines are those of whoever reads them.
    } else if mapping.logsource.is_none() && definition.kind.iter().any(|kind| kind.logsource.is_none())
        || mapping.logsource.is_none() && definition.kind.is_empty()
    {
        return Err(wrong(
            "",
            "no `[logsource]`: write the product, service or category that Sigma's rules know it by",
        ));
    }
    let recognition = recognition(&definition.recognise)?;
    let form = definition.extract.form;
    let is_given = !recognition.cef.is_empty() || !recognition.leef.is_empty() || !recognition.json.is_empty();
    match form {
        Form::Given if !is_given => {
            return Err(wrong(
                "given",
                "`form = \"given\"` is for sources that are recognised by `cef`, `leef` or `json`",
            ));
        }
        Form::Lines | Form::Csv if definition.kind.is_empty() && !is_given && !only_joins => {
            return Err(wrong("[extract]", "no `[[kind]]`: write how the values stand in the line"));
        }
        _ => (),
    }
    if definition.kind.len() > KINDS_MAX {
        return Err(wrong("[[kind]]", format!("more than {KINDS_MAX} kinds")));
    }
    let join = definition.join.as_ref().map(|join| join_rule(join, &recognition)).transpose()?;
    let zone = match &definition.time_zone {
        Some(name) => Some(name.parse::<Zone>().map_err(|error| wrong(name, error.to_string()))?),
        None => None,
    };
    let one_byte = |mark: Option<char>, usual: u8| match mark {
        None => Ok(usual),
        Some(mark) => u8::try_from(mark)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| wrong("[extract]", format!("`{mark}` is not one byte"))),
    };
    let usual = if form == Form::Csv { b',' } else { b' ' };
    let marks = Marks {
        between: one_byte(definition.extract.separator, usual)?,
        assign: one_byte(definition.extract.assign, b'=')?,
    };
    let written = match definition.time {
        None => Vec::new(),
        Some(Times::One(time)) => vec![time],
        Some(Times::Several(times)) => times,
    };
    let mut times = Vec::new();
    for time in written {
        let layouts = time.layouts.iter().map(|text| Layout::parse(text).map_err(|reason| wrong(text, reason)));
        let names: Vec<CompactString> = time.from.into_vec().into_iter().map(CompactString::from).collect();
        times.push((names, layouts.collect::<Result<Vec<_>, _>>()?));
    }
    let kinds = definition.kind.into_iter().map(|kind| kind_rules(kind, form)).collect::<Result<Vec<_>, _>>()?;
    if let Some(inner) = &definition.extract.inner
        && kinds.iter().any(|kind| swallows(&kind.shape, inner, &recognition))
    {
        let reason = format!(
            "`inner = \"{inner}\"` can be the whole line, which would be read again and again; leave out of it what the line begins with"
        );
        return Err(wrong("inner", reason));
    }
    Ok(Source {
        name: name.into(),
        about: definition.about,
        zone,
        masks: definition.mask.iter().map(|text| regex(text)).collect::<Result<_, _>>()?,
        hidden: definition.hide.into_iter().map(CompactString::from).collect(),
        absent: definition.absent.into_iter().map(CompactString::from).collect(),
        recognition,
        join,
        form,
        marks,
        inner: definition.extract.inner.map(CompactString::from),
        times,
        rules: rules(mapping)?,
        kinds,
    })
}

fn regex(text: &str) -> Result<Regex, Wrong> {
    RegexBuilder::new(text).size_limit(REGEX_LEN_MAX).build().map_err(|error| {
        // The last line says what is wrong, the others draw it.
        let shown = error.to_string();
        wrong(text, format!("`{text}` is not a regular expression: {}", shown.lines().last().unwrap_or(&shown).trim()))
    })
}

fn recognition(recognise: &Recognise) -> Result<Recognition, Wrong> {
    let texts = |list: &[String]| -> Result<Vec<CompactString>, Wrong> {
        match list.iter().any(String::is_empty) {
            true => Err(wrong("[recognise]", "an empty text recognises everything")),
            false => Ok(list.iter().map(CompactString::from).collect()),
        }
    };
    let products = |list: &[String]| -> Result<Vec<(CompactString, CompactString)>, Wrong> {
        let pair = |text: &String| {
            let (vendor, product) = text.split_once('|')?;
            Some((vendor.into(), product.into()))
        };
        let read = |text| pair(text).ok_or_else(|| wrong(text, format!("`{text}` is not `vendor|product`")));
        list.iter().map(read).collect()
    };
    let found = Recognition {
        programs: texts(&recognise.programs)?.iter().map(|name| name.to_lowercase()).collect(),
        prefixes: texts(&recognise.prefixes)?,
        contains: texts(&recognise.contains)?,
        regex: recognise.regex.as_deref().map(regex).transpose()?,
        cef: products(&recognise.cef)?,
        leef: products(&recognise.leef)?,
        json: texts(&recognise.json)?,
    };
    let has_way = !found.programs.is_empty()
        || !found.prefixes.is_empty()
        || !found.contains.is_empty()
        || !found.cef.is_empty()
        || !found.leef.is_empty()
        || !found.json.is_empty();
    match has_way {
        true => Ok(found),
        // A regular expression alone would be asked of every line that nobody else knows.
        false => Err(wrong("[recognise]", "write `programs`, `prefixes`, `contains`, `cef`, `leef` or `json`")),
    }
}

/// Most lines and bytes of one record that may be configured.
const JOIN_LINES_MAX: u32 = 10_000;
const JOIN_BYTES_MAX: usize = 1 << 20;

fn join_rule(join: &Join, recognition: &Recognition) -> Result<Rule, Wrong> {
    if recognition.programs.is_empty() {
        return Err(wrong("[join]", "`[join]` is for messages of syslog; write `programs` in `[recognise]`"));
    }
    let which = match (&join.continues, &join.start) {
        (Some(text), None) => Which::Continues(regex(text)?),
        (None, Some(text)) => Which::NotStart(regex(text)?),
        _ => return Err(wrong("[join]", "write `continues` or `start`, and not both")),
    };
    if !(2..=JOIN_LINES_MAX).contains(&join.lines_max) {
        return Err(wrong("lines_max", format!("`lines_max` is between 2 and {JOIN_LINES_MAX}")));
    }
    if !(1..=JOIN_BYTES_MAX).contains(&join.bytes_max) {
        return Err(wrong("bytes_max", format!("`bytes_max` is between 1 and {JOIN_BYTES_MAX}")));
    }
    let into = join.into.iter().map(CompactString::from).collect();
    Ok(Rule { which, into, lines_max: join.lines_max, bytes_max: join.bytes_max })
}

fn kind_rules(mut kind: Kind, form: Form) -> Result<KindRules, Wrong> {
    let mapping = kind.take_mapping();
    let shape = match (form, kind.template, kind.regex, kind.columns) {
        (Form::Lines, Some(template), None, None) => {
            let (text, names) = template_regex(&template)?;
            Shape::Regex { regex: regex(&text)?, names }
        }
        (Form::Lines, None, Some(text), None) => {
            let regex = regex(&text)?;
            let names = regex.capture_names().skip(1).map(|name| name.map(CompactString::from)).collect();
            Shape::Regex { regex, names }
        }
        (Form::Csv, None, None, Some(columns)) => {
            Shape::Columns(columns.into_iter().map(CompactString::from).collect())
        }
        (Form::Pairs | Form::Given, None, None, None) => Shape::Any,
        (Form::Lines, ..) => return Err(wrong("[[kind]]", "a kind of `lines` has a `template` or a `regex`")),
        (Form::Csv, ..) => return Err(wrong("[[kind]]", "a kind of `csv` has `columns`")),
        _ => return Err(wrong("[[kind]]", "a kind of `pairs` or `given` has no `template`, `regex` or `columns`")),
    };
    let mut when = Vec::new();
    for (name, values) in kind.when {
        if let Shape::Columns(columns) = &shape
            && !columns.iter().any(|column| *column == name)
        {
            return Err(wrong(&name, format!("`when` asks for `{name}`, which is not among the columns")));
        }
        when.push((CompactString::from(name), values.into_vec().into_iter().map(CompactString::from).collect()));
    }
    Ok(KindRules { shape, when, rules: rules(mapping)? })
}

/// The regular expression of a template, and the names of its holes. `{name}` reaches to where the text behind it first
/// stands, `{name*}` to the last such place, `{name#}` is digits, `{name.}` one word; `{}` is passed over.
fn template_regex(template: &str) -> Result<(String, Vec<Option<CompactString>>), Wrong> {
    let mut text = String::from("^");
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        text.push_str(&regex::escape(literal));
        let (hole, after) =
            after.split_once('}').ok_or_else(|| wrong(template, format!("`{template}` has a `{{` without `}}`")))?;
        let (name, inside) = match hole.as_bytes().last() {
            Some(b'*') => (&hole[..hole.len() - 1], "(.*)"),
            Some(b'#') => (&hole[..hole.len() - 1], "([0-9]+)"),
            Some(b'.') => (&hole[..hole.len() - 1], r"([^\s]+)"),
            // At the end a hole takes the rest of the line.
            _ if after.is_empty() => (hole, "(.*)"),
            _ => (hole, "(.*?)"),
        };
        text.push_str(inside);
        names.push((!name.is_empty()).then(|| CompactString::from(name)));
        rest = after;
    }
    text.push_str(&regex::escape(rest));
    Ok((text, names))
}

/// Whether a kind gives the whole line out as the record inside of it. Asked with what the source is recognised by.
fn swallows(shape: &Shape, inner: &str, recognition: &Recognition) -> bool {
    match shape {
        Shape::Any => false,
        Shape::Columns(columns) => matches!(columns.as_slice(), [only] if only == inner),
        Shape::Regex { regex, names } => {
            let Some(at) = names.iter().position(|name| name.as_deref() == Some(inner)) else { return false };
            let known = recognition.prefixes.iter().chain(&recognition.contains).map(CompactString::as_str);
            let starts = recognition.prefixes.iter().map(CompactString::as_str).chain([""]);
            let both = starts.flat_map(|start| recognition.contains.iter().map(move |word| format!("{start}{word}x")));
            let probes =
                known.map(|text| format!("{text}x")).chain(both).chain(["x".to_owned(), "x=1 y: z".to_owned()]);
            let whole = |probe: String| {
                let found = regex.captures(&probe).and_then(|groups| groups.get(at + 1));
                found.is_some_and(|found| found.as_str().trim() == probe.trim())
            };
            probes.take(64).any(whole)
        }
    }
}

fn catalogue_field(name: &str) -> Result<FieldId, Wrong> {
    field_by_name(name).ok_or_else(|| {
        let near = canh_config::nearest(name, FieldId::all().map(FieldId::name));
        let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        wrong(name, format!("`{name}` is not a field of the catalogue{meant}"))
    })
}

fn rules(mapping: Mapping) -> Result<Rules, Wrong> {
    if mapping.fields.len() > ROWS_MAX || mapping.constants.len() > ROWS_MAX || mapping.also.len() > ROWS_MAX {
        return Err(wrong("fields]", format!("more than {ROWS_MAX} rows")));
    }
    let mut fields = Vec::new();
    for (name, filled) in mapping.fields {
        fields.push((catalogue_field(&name)?, fill(&name, filled)?));
    }
    let mut constants = Vec::new();
    for (name, value) in mapping.constants {
        let id = catalogue_field(&name)?;
        let written = match value {
            toml::Value::String(text) => Value::Text(text.into()),
            toml::Value::Integer(number) => Value::Integer(number),
            toml::Value::Float(number) => Value::Float(number),
            toml::Value::Boolean(flag) => Value::Bool(flag),
            _ => return Err(wrong(&name, format!("the constant of `{name}` is a text, a number or a flag"))),
        };
        let value = project::typed(id.kind(), &written);
        let value =
            value.ok_or_else(|| wrong(&name, format!("`{name}` is {}; the constant is not", id.kind().name())))?;
        constants.push((id, value));
    }
    let mut also = Vec::new();
    for (name, filled) in mapping.also {
        also.push((CompactString::from(&name), fill(&name, filled)?));
    }
    Ok(Rules { fields, constants, also, web: mapping.web.map(web_names), logsource: mapping.logsource.map(logsource) })
}

fn fill(name: &str, Filled(full): Filled) -> Result<Fill, Wrong> {
    let change = match (full.unit.as_deref(), full.change.as_deref()) {
        (None, None) => Change::Nothing,
        (Some("ns"), None) => Change::Times(1.0),
        (Some("us"), None) => Change::Times(1e3),
        (Some("ms"), None) => Change::Times(1e6),
        (Some("s"), None) => Change::Times(1e9),
        (None, Some("lower")) => Change::Lower,
        (None, Some("base_name")) => Change::BaseName,
        (None, Some("transport")) => Change::Transport,
        (None, Some("labels")) => Change::Labels,
        (Some(unit), _) if !matches!(unit, "ns" | "us" | "ms" | "s") => {
            return Err(wrong(unit, format!("`{unit}` of `{name}` is not a unit; write `s`, `ms`, `us` or `ns`")));
        }
        (_, Some(change)) => {
            let reason = format!(
                "`{change}` of `{name}` is not a change; write `lower`, `base_name`, `transport` or `labels`, and no unit"
            );
            return Err(wrong(change, reason));
        }
        (Some(_), None) => Change::Nothing,
    };
    let values: FxHashMap<CompactString, CompactString> =
        full.values.into_iter().map(|(theirs, ours)| (theirs.to_lowercase().into(), ours.into())).collect();
    Ok(Fill {
        from: full.from.into_vec().into_iter().map(CompactString::from).collect(),
        values,
        otherwise: full.otherwise.map(CompactString::from),
        change,
    })
}

fn web_names(web: Web) -> WebNames {
    let name = |name: Option<String>| name.map(CompactString::from);
    WebNames {
        method: name(web.method),
        url: name(web.url),
        host: name(web.host),
        status: name(web.status),
        bytes: name(web.bytes),
        agent: name(web.agent),
        referrer: name(web.referrer),
    }
}

fn logsource(names: LogSourceNames) -> LogSource {
    let mut logsource = LogSource { product: names.product.map(CompactString::from), ..LogSource::default() };
    let mut services = names.service.into_iter().map(CompactString::from);
    logsource.service = services.next();
    logsource.other_services.extend(services);
    logsource.categories.extend(names.category.into_iter().map(CompactString::from));
    logsource
}
