//! Walks a TOML document and goes on after a fault, so that a document is refused with all of them.
//!
//! Knows TOML and paths such as `moves[3].gates[0].role`; knows nothing of lifecycles.
use super::DocumentFault;
use crate::{fault::check_text, vocabulary::UnknownValue};
use std::{ops::RangeInclusive, str::FromStr};
use toml::{Table, Value};

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<DocumentFault>);

impl Report {
    pub(super) fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(DocumentFault { path: path.into(), message: message.into() });
    }

    pub(super) fn into_faults(self) -> Vec<DocumentFault> {
        self.0
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) path: String,
    pub(super) value: &'a Value,
}

impl<'a> Node<'a> {
    /// The table this is, after naming the members it should not have.
    pub(super) fn section(&self, known: &'static [&'static str], report: &mut Report) -> Option<Section<'a>> {
        let Value::Table(table) = self.value else {
            return self.wrong_type("a table", report);
        };
        Some(Section::new(self.path.clone(), table, known, report))
    }

    pub(super) fn string(&self, report: &mut Report) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong_type("a string", report),
        }
    }

    /// Text of 1 to `max` characters.
    pub(super) fn text(&self, max: usize, report: &mut Report) -> Option<String> {
        let text = self.string(report)?;
        match check_text(text, 1, max) {
            Ok(()) => Some(text.to_owned()),
            Err((_, message)) => self.refuse(message, report),
        }
    }

    pub(super) fn flag(&self, report: &mut Report) -> Option<bool> {
        match self.value {
            Value::Boolean(flag) => Some(*flag),
            _ => self.wrong_type("true or false", report),
        }
    }

    pub(super) fn integer(&self, bounds: RangeInclusive<i64>, report: &mut Report) -> Option<i64> {
        match self.value {
            Value::Integer(number) if bounds.contains(number) => Some(*number),
            Value::Integer(_) => self.refuse(format!("must be from {} to {}", bounds.start(), bounds.end()), report),
            _ => self.wrong_type("an integer", report),
        }
    }

    /// A member of a closed vocabulary.
    pub(super) fn word<T: FromStr<Err = UnknownValue>>(&self, report: &mut Report) -> Option<T> {
        let word = self.string(report)?;
        match word.parse() {
            Ok(member) => Some(member),
            Err(unknown) => self.refuse(format!("{} {unknown}", quoted(word)), report),
        }
    }

    /// The members of a list of 1 to `max`.
    pub(super) fn items(&self, max: usize, report: &mut Report) -> Option<Vec<Node<'a>>> {
        let items = self.items_or_none(max, report)?;
        if items.is_empty() {
            return self.refuse("must not be empty", report);
        }
        Some(items)
    }

    /// The members of a list of 0 to `max`.
    pub(super) fn items_or_none(&self, max: usize, report: &mut Report) -> Option<Vec<Node<'a>>> {
        let Value::Array(members) = self.value else {
            return self.wrong_type("a list", report);
        };
        if members.len() > max {
            return self.refuse(format!("must have at most {max} members, has {}", members.len()), report);
        }
        let node = |(index, value)| Node { path: format!("{}[{index}]", self.path), value };
        Some(members.iter().enumerate().map(node).collect())
    }

    /// The good members of a list of different words; the bad ones are reported.
    pub(super) fn words<T: FromStr<Err = UnknownValue> + PartialEq>(&self, report: &mut Report) -> Option<Vec<T>> {
        const MOST: usize = 100;
        let mut words = Vec::new();
        for item in self.items(MOST, report)? {
            let Some(word) = item.word(report) else { continue };
            if words.contains(&word) {
                report.fault(&item.path, "is there twice");
            }
            words.push(word);
        }
        Some(words)
    }

    pub(super) fn refuse<T>(&self, message: impl Into<String>, report: &mut Report) -> Option<T> {
        report.fault(&self.path, message);
        None
    }

    fn wrong_type<T>(&self, expected: &str, report: &mut Report) -> Option<T> {
        self.refuse(format!("must be {expected}, not {}", type_name(self.value)), report)
    }
}

/// A table and where it stands.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    table: &'a Table,
}

impl<'a> Section<'a> {
    pub(super) fn new(path: String, table: &'a Table, known: &[&str], report: &mut Report) -> Self {
        let section = Self { path, table };
        for member in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let message = format!("is not known here; known members: {}", known.join(", "));
            report.fault(section.path_of(member), message);
        }
        section
    }

    pub(super) fn optional(&self, member: &str) -> Option<Node<'a>> {
        self.table.get(member).map(|value| Node { path: self.path_of(member), value })
    }

    pub(super) fn required(&self, member: &str, report: &mut Report) -> Option<Node<'a>> {
        let node = self.optional(member);
        if node.is_none() {
            report.fault(self.path_of(member), "is required");
        }
        node
    }

    /// An optional flag, false where absent.
    pub(super) fn flag(&self, member: &str, report: &mut Report) -> bool {
        self.optional(member).and_then(|node| node.flag(report)).unwrap_or(false)
    }

    /// An optional list of words, empty where absent.
    pub(super) fn words<T: FromStr<Err = UnknownValue> + PartialEq>(
        &self,
        member: &str,
        report: &mut Report,
    ) -> Vec<T> {
        self.optional(member).and_then(|node| node.words(report)).unwrap_or_default()
    }

    /// Every member, in the order of the table.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.table.iter().map(|(key, value)| (key.as_str(), Node { path: self.path_of(key), value }))
    }

    fn path_of(&self, member: &str) -> String {
        let member: String = member.chars().take(60).collect();
        if self.path.is_empty() { member } else { format!("{}.{member}", self.path) }
    }
}

/// A piece of the document inside a message, cut where it is too long to read.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("`{shown}`")
}

const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
