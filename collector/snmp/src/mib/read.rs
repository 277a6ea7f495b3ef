//! What a MIB module says of names.

use std::iter::Peekable;

use rustc_hash::FxHashMap;

use super::tokens::{Token, Tokens};
use super::{Kind, Limits};
use crate::ber::ARCS_MAX;

/// Words that say what is defined, and what that is.
const MACROS: &[(&str, Kind)] = &[
    ("OBJECT-TYPE", Kind::Object),
    ("NOTIFICATION-TYPE", Kind::Notification),
    ("TRAP-TYPE", Kind::Notification),
    ("MODULE-IDENTITY", Kind::Node),
    ("OBJECT-IDENTITY", Kind::Node),
    ("OBJECT-GROUP", Kind::Node),
    ("NOTIFICATION-GROUP", Kind::Node),
    ("MODULE-COMPLIANCE", Kind::Node),
    ("AGENT-CAPABILITIES", Kind::Node),
];

/// What the numbers of an enumeration are called.
pub(super) type Labels = Box<[(i64, Box<str>)]>;

/// One module.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) definitions: FxHashMap<Box<str>, Definition>,
    /// Types that are enumerations.
    pub(super) types: FxHashMap<Box<str>, Labels>,
    /// From which module a name comes.
    pub(super) imports: FxHashMap<Box<str>, Box<str>>,
}

/// Where a name stands in the tree.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) kind: Kind,
    pub(super) parent: Parent,
    /// The numbers below the parent.
    pub(super) arcs: Vec<u32>,
    pub(super) syntax: Syntax,
}

/// The type of an object.
#[derive(Clone, Debug)]
pub(super) enum Syntax {
    Labels(Labels),
    /// A type that may be an enumeration.
    Named(Box<str>),
}

#[derive(Debug)]
pub(super) enum Parent {
    Root,
    Name(Box<str>),
}

/// All modules of a file. `left` is how many more names may be read.
pub(super) fn modules(text: &str, limits: &Limits, left: &mut usize) -> Vec<(Box<str>, Module)> {
    let mut modules = Vec::new();
    let mut tokens = Tokens::new(text).peekable();
    let mut before = None;
    while let Some(token) = tokens.next() {
        match (token, before) {
            (Token::Word("DEFINITIONS"), Some(name)) => {
                // `DEFINITIONS ::= BEGIN`, or with tags in between.
                while tokens.next_if(|token| *token != Token::Word("BEGIN")).is_some() {}
                tokens.next();
                modules.push((Box::from(name), Reader { tokens: &mut tokens, limits, left }.module()));
                before = None;
            }
            (Token::Word(word), _) if word.len() <= limits.name_len => before = Some(word),
            // A number in braces may stand behind the name.
            _ => (),
        }
    }
    modules
}

struct Reader<'r, 'a> {
    tokens: &'r mut Peekable<Tokens<'a>>,
    limits: &'r Limits,
    left: &'r mut usize,
}

impl<'a> Reader<'_, 'a> {
    /// Up to the end of the module.
    fn module(&mut self) -> Module {
        let mut module = Module::default();
        let mut name = "";
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Word("END") => break,
                Token::Word("IMPORTS") => self.imports(&mut module),
                Token::Word("MACRO") => while self.tokens.next().is_some_and(|token| token != Token::Word("END")) {},
                Token::Word("OBJECT") => {
                    let is_identifier = self.tokens.next_if_eq(&Token::Word("IDENTIFIER")).is_some();
                    if is_identifier && self.tokens.next_if_eq(&Token::Is).is_some() {
                        self.define(&mut module, name, Kind::Node, "", Syntax::Labels(Labels::default()));
                    }
                }
                Token::Word("TEXTUAL-CONVENTION") => self.convention(&mut module, name),
                Token::Word(word) => match MACROS.iter().find(|(macro_name, _)| *macro_name == word) {
                    Some((_, kind)) if is_name(name) => self.definition(&mut module, name, *kind),
                    _ => name = word,
                },
                _ => (),
            }
        }
        module
    }

    /// `a, b FROM X c FROM Y;`
    fn imports(&mut self, module: &mut Module) {
        let mut names = Vec::new();
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Mark(b';') => return,
                Token::Word("FROM") => {
                    let Some(Token::Word(from)) = self.tokens.next() else { continue };
                    for name in names.drain(..) {
                        if module.imports.len() < self.limits.names {
                            module.imports.insert(Box::from(name), Box::from(from));
                        }
                    }
                }
                Token::Word(word) => names.push(word),
                _ => (),
            }
        }
    }

    /// What stands behind the word for a macro: clauses, `::=`, and the place in the tree.
    fn definition(&mut self, module: &mut Module, name: &str, kind: Kind) {
        let mut syntax = Syntax::Labels(Labels::default());
        let mut enterprise = "";
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Is => return self.define(module, name, kind, enterprise, syntax),
                Token::Word("SYNTAX") if kind == Kind::Object => syntax = self.syntax(),
                // The old notifications hang below what they name here.
                Token::Word("ENTERPRISE") => {
                    self.tokens.next_if_eq(&Token::Mark(b'{'));
                    if let Some(Token::Word(word)) = self.tokens.next() {
                        enterprise = word;
                    }
                }
                _ => (),
            }
        }
    }

    /// `State ::= TEXTUAL-CONVENTION … SYNTAX INTEGER { on(1), off(2) }`
    fn convention(&mut self, module: &mut Module, name: &str) {
        while let Some(token) = self.tokens.next_if(|token| *token != Token::Is) {
            if token == Token::Word("SYNTAX") {
                if let Syntax::Labels(labels) = self.syntax()
                    && !labels.is_empty()
                    && name.len() <= self.limits.name_len
                    && *self.left > 0
                {
                    *self.left -= 1;
                    module.types.insert(name.into(), labels);
                }
                return;
            }
        }
    }

    /// `INTEGER { up(1), down(2) }`, or the name of a type.
    fn syntax(&mut self) -> Syntax {
        let mut labels = Vec::new();
        match self.tokens.next_if(|token| matches!(token, Token::Word(_))) {
            Some(Token::Word("INTEGER" | "Integer32")) => (),
            Some(Token::Word(word)) if word.len() <= self.limits.name_len => return Syntax::Named(word.into()),
            _ => return Syntax::Labels(Labels::default()),
        }
        if self.tokens.next_if_eq(&Token::Mark(b'{')).is_none() {
            return Syntax::Labels(Labels::default());
        }
        let mut label = None;
        while let Some(token) = self.tokens.next_if(|token| !matches!(token, Token::Mark(b'}') | Token::Is)) {
            match (token, label.take()) {
                (Token::Word(word), _) => label = Some(word),
                (Token::Mark(b'('), held) => label = held,
                (Token::Number(number), Some(word))
                    if labels.len() < self.limits.labels && word.len() <= self.limits.name_len =>
                {
                    labels.push((number, Box::from(word)));
                }
                _ => (),
            }
        }
        Syntax::Labels(labels.into_boxed_slice())
    }

    /// Behind `::=`: `{ parent 1 }`, `{ iso org(3) 6 }`, or for the old notifications a number.
    fn define(&mut self, module: &mut Module, name: &str, kind: Kind, enterprise: &str, syntax: Syntax) {
        let mut arcs: Vec<u32> = Vec::new();
        let mut parent = Parent::Root;
        match self.tokens.next_if(|token| matches!(token, Token::Mark(b'{') | Token::Number(_))) {
            Some(Token::Number(number)) if !enterprise.is_empty() => {
                let Ok(number) = u32::try_from(number) else { return };
                parent = Parent::Name(enterprise.into());
                // `snmp` stands for the generic ones, which are numbered from 1 in version 2.
                if enterprise == "snmp" {
                    return;
                }
                arcs = vec![0, number];
            }
            Some(Token::Mark(_)) => {
                if let Some(Token::Word(word)) = self.tokens.next_if(|token| matches!(token, Token::Word(_))) {
                    parent = Parent::Name(word.into());
                    // `iso(1)`: the number is that of the name itself.
                    if self.tokens.next_if_eq(&Token::Mark(b'(')).is_some() {
                        self.tokens.next();
                    }
                }
                // `org(3)` says the same as `3`.
                while let Some(token) = self.tokens.next_if(|token| *token != Token::Is) {
                    match token {
                        Token::Mark(b'}') => break,
                        Token::Number(number) => {
                            let Ok(number) = u32::try_from(number) else { return };
                            if arcs.len() >= ARCS_MAX {
                                return;
                            }
                            arcs.push(number);
                        }
                        _ => (),
                    }
                }
            }
            _ => return,
        }
        if !is_name(name) || name.len() > self.limits.name_len || arcs.is_empty() || *self.left == 0 {
            return;
        }
        *self.left -= 1;
        module.definitions.insert(name.into(), Definition { kind, parent, arcs, syntax });
    }
}

/// Names of objects begin with a small letter; types with a large one.
fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
}
