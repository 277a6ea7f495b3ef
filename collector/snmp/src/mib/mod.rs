//! Names of object identifiers, from MIB modules (RFC 2578, RFC 1212, RFC 1215) and from a table of the usual ones.
//!
//! The reader takes from a module what names need: which identifier a name stands for, whether it is an object or a
//! notification, and what the numbers of an enumeration are called. Everything else is passed over, so that a module with
//! mistakes in it, of which there are many, still gives its names.

mod builtin;
mod read;
mod tokens;

use std::fmt;

use rustc_hash::FxHashMap;

use crate::ber::{ARCS_MAX, Oid};
use read::{Labels, Module, Parent, Syntax};

/// Deepest chain of names that refer to each other.
const DEPTH_MAX: usize = 64;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A place in the tree.
    Node,
    /// Something that has values.
    Object,
    Notification,
}

/// What is known of an object identifier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    pub name: Box<str>,
    /// Empty for the built-in ones.
    pub module: Box<str>,
    pub kind: Kind,
    /// What the numbers of an enumeration are called.
    labels: Box<[(i64, Box<str>)]>,
}

impl Known {
    pub fn label(&self, number: i64) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == number).map(|(_, label)| &**label)
    }
}

/// The most that is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Names of all modules together.
    pub names: usize,
    /// Numbers with a name of one enumeration.
    pub labels: usize,
    /// Bytes of a name.
    pub name_len: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { names: 200_000, labels: 256, name_len: 128 }
    }
}

/// What came of reading modules.
#[derive(Debug, Default)]
pub struct Reading {
    pub modules: usize,
    pub names: usize,
    pub unread: Vec<Unread>,
}

/// Something that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unread {
    /// No module begins in this file.
    NoModule { file: String },
    /// Names whose place in the tree cannot be found, since a module that they refer to is not there.
    Unresolved { module: String, names: usize, first: String },
    /// There are more names than the limit.
    TooMany,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule { file } => {
                write!(f, "`{file}` is no MIB module: there is no `DEFINITIONS ::= BEGIN` in it")
            }
            Self::Unresolved { module, names, first } => write!(
                f,
                "module `{module}`: {names} names, the first is `{first}`, hang on a module that is not there; add what it imports from"
            ),
            Self::TooMany => f.write_str("there are more names than can be kept; the rest is left out"),
        }
    }
}

/// The names.
#[derive(Debug)]
pub struct Mibs {
    known: FxHashMap<Box<[u32]>, Known>,
}

impl Default for Mibs {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Mibs {
    /// The usual names: SNMPv2-MIB, IF-MIB, UPS-MIB and a few others.
    pub fn builtin() -> Self {
        let mut known = FxHashMap::default();
        for (name, kind, oid, labels) in builtin::entries() {
            known.insert(oid.into_boxed_slice(), Known { name: name.into(), module: "".into(), kind, labels });
        }
        Self { known }
    }

    /// The usual names, and those of these modules: pairs of the name of a file, for messages, and its text.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, limits: &Limits) -> (Self, Reading) {
        let mut reading = Reading::default();
        let mut modules: FxHashMap<Box<str>, Module> = FxHashMap::default();
        let mut left = limits.names;
        for (file, text) in files {
            let found = read::modules(text, limits, &mut left);
            if found.is_empty() {
                reading.unread.push(Unread::NoModule { file: file.to_owned() });
            }
            modules.extend(found);
        }
        if left == 0 {
            reading.unread.push(Unread::TooMany);
        }
        let mut mibs = Self::builtin();
        let resolver = Resolver::new(&modules);
        for (module, content) in &modules {
            reading.modules += 1;
            let mut unresolved = (0, String::new());
            for (name, definition) in &content.definitions {
                match resolver.resolve(module, name, 0) {
                    Some(oid) => {
                        reading.names += 1;
                        let labels = resolver.labels(module, &definition.syntax);
                        mibs.put(oid, module, name, (definition.kind, labels));
                    }
                    None => {
                        unresolved.0 += 1;
                        if unresolved.1.is_empty() {
                            unresolved.1 = name.to_string();
                        }
                    }
                }
            }
            if unresolved.0 > 0 {
                let (names, first) = unresolved;
                reading.unread.push(Unread::Unresolved { module: module.to_string(), names, first });
            }
        }
        (mibs, reading)
    }

    fn put(&mut self, oid: Oid, module: &str, name: &str, (kind, labels): (Kind, Labels)) {
        let new = Known { name: name.into(), module: module.into(), kind, labels };
        match self.known.get_mut(oid.as_slice()) {
            // Two names for one place: what has values or is sent says more; else the one that a module gives.
            Some(old) if old.kind != Kind::Node && new.kind == Kind::Node => (),
            Some(old) if !old.module.is_empty() && old.kind == new.kind && old.module <= new.module => (),
            Some(old) => *old = new,
            None => {
                self.known.insert(oid.into_boxed_slice(), new);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known of exactly this identifier.
    pub fn get(&self, oid: &[u32]) -> Option<&Known> {
        self.known.get(oid)
    }

    /// The nearest known name above an identifier, and the numbers below it: of a value, which instance it is.
    pub fn nearest<'o>(&self, oid: &'o [u32]) -> Option<(&Known, &'o [u32])> {
        (1..=oid.len().min(ARCS_MAX)).rev().find_map(|len| {
            let (head, tail) = oid.split_at(len);
            self.known.get(head).map(|known| (known, tail))
        })
    }
}

/// Finds the identifiers of names.
struct Resolver<'a> {
    modules: &'a FxHashMap<Box<str>, Module>,
    /// One module that defines a name, for modules that forgot to import it.
    anywhere: FxHashMap<&'a str, &'a str>,
    roots: FxHashMap<&'static str, Oid>,
}

impl<'a> Resolver<'a> {
    fn new(modules: &'a FxHashMap<Box<str>, Module>) -> Self {
        let mut anywhere: FxHashMap<&str, &str> = FxHashMap::default();
        for (module, content) in modules {
            for name in content.definitions.keys() {
                let known = anywhere.entry(name).or_insert(module);
                *known = (*known).min(module); // the same one at each start
            }
        }
        Self { modules, anywhere, roots: builtin::roots() }
    }

    /// The words of an enumeration: of the object itself, or of its type in this module or where that is imported from.
    fn labels(&self, module: &str, syntax: &Syntax) -> Labels {
        let name = match syntax {
            Syntax::Labels(labels) => return labels.clone(),
            Syntax::Named(name) => name,
        };
        let Some(content) = self.modules.get(module) else { return Labels::default() };
        let imported = || self.modules.get(content.imports.get(name)?)?.types.get(name);
        content.types.get(name).or_else(imported).cloned().unwrap_or_default()
    }

    fn resolve(&self, module: &str, name: &str, depth: usize) -> Option<Oid> {
        if depth > DEPTH_MAX {
            return None; // a circle
        }
        let Some(definition) = self.modules.get(module).and_then(|content| content.definitions.get(name)) else {
            return self.roots.get(name).cloned();
        };
        let mut oid = match &definition.parent {
            Parent::Root => Oid::new(),
            Parent::Name(parent) if **parent == *name => return self.roots.get(name).cloned(),
            Parent::Name(parent) => self.find(module, parent, depth + 1)?,
        };
        oid.extend_from_slice(&definition.arcs);
        (oid.len() <= ARCS_MAX).then_some(oid)
    }

    fn find(&self, module: &str, name: &str, depth: usize) -> Option<Oid> {
        let content = self.modules.get(module)?;
        if content.definitions.contains_key(name) {
            return self.resolve(module, name, depth);
        }
        let imported = content
            .imports
            .get(name)
            .map(|from| &**from)
            .filter(|from| self.modules.get(*from).is_some_and(|content| content.definitions.contains_key(name)));
        match imported.or_else(|| self.anywhere.get(name).copied()) {
            Some(from) => self.resolve(from, name, depth),
            None => self.roots.get(name).cloned(),
        }
    }
}
