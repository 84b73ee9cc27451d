//! Query parameters: a closed set per operation, each fault named.
use crate::{
    Error, Result,
    error::Code,
    fault::{CodeOf, Faults, check_text},
    id::Id,
};
use actix_web::HttpRequest;
use std::str::FromStr;

/// How often a parameter that means "any of" may stand.
pub const MAX_REPEATED: usize = 100;

/// The parameters of one request. [`Params::finish`] says what was wrong with them.
pub struct Params {
    pairs: Vec<(String, String)>,
    /// What was wrong so far.
    pub faults: Faults,
}

impl Params {
    /// Reads the query string.
    ///
    /// # Errors
    /// 400 `unknown_parameter` for a name that is not among `known`.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self> {
        let pairs: Vec<(String, String)> =
            actix_web::web::Query::<Vec<(String, String)>>::from_query(request.query_string())
                .map_err(|_| Error::refused(Code::Malformed, "The query string cannot be read."))?
                .into_inner();
        if let Some((unknown, _)) = pairs.iter().find(|(name, _)| !known.contains(&&**name)) {
            let name: String = unknown.chars().take(60).collect();
            let detail = format!("`{name}` is no parameter here; known: {}.", known.join(", "));
            return Err(Error::refused(Code::UnknownParameter, detail).with("parameter", name));
        }
        Ok(Self { pairs, faults: Faults::default() })
    }

    /// Every parameter but one, as given.
    pub fn without(&self, name: &str) -> Vec<(String, String)> {
        self.pairs.iter().filter(|(n, _)| n != name).cloned().collect()
    }

    /// Whether a parameter was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// The text of a parameter that may stand once.
    pub fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(n, _)| n == name);
        let (_, text) = values.next()?;
        if values.next().is_some() {
            self.faults.push_parameter(name, "repeated", "may stand only once");
            return None;
        }
        match check_text(text, 0, max) {
            Ok(()) => Some(text.clone()),
            Err((code, message)) => {
                self.faults.push_parameter(name, code, message);
                None
            }
        }
    }

    /// A parameter that may stand once, parsed.
    pub fn one<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: CodeOf,
    {
        let text = self.text(name, 300)?;
        self.parse(name, &text)
    }

    /// A parameter that may be repeated for "any of", parsed.
    pub fn any<T: FromStr>(&mut self, name: &str) -> Vec<T>
    where
        T::Err: CodeOf,
    {
        let texts: Vec<_> = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect();
        if texts.len() > MAX_REPEATED {
            self.faults.push_parameter(name, "too_many", format!("may stand at most {MAX_REPEATED} times"));
            return Vec::new();
        }
        texts.iter().filter_map(|text| self.parse(name, text)).collect()
    }

    /// Any of these ids.
    pub fn ids<T>(&mut self, name: &str) -> Vec<Id<T>> {
        self.any::<Parsed<uuid::Uuid>>(name).into_iter().map(|p| Id::of(p.0)).collect()
    }

    /// Any of these people; `me` is the caller.
    pub fn people(&mut self, name: &str, me: crate::id::PersonId) -> Vec<crate::id::PersonId> {
        for (_, value) in self.pairs.iter_mut().filter(|(n, v)| n == name && v == "me") {
            *value = me.to_string();
        }
        self.ids(name)
    }

    /// The folded words of a search, at most 20.
    pub fn words(&mut self, name: &str, fold: fn(&str) -> String) -> Vec<String> {
        let text = self.text(name, 300).map(|text| fold(&text));
        let words: Vec<String> = text.iter().flat_map(|t| t.split_whitespace()).map(str::to_owned).collect();
        if words.len() > 20 {
            self.faults.push_parameter(name, "too_many", "must have at most 20 words");
        }
        words
    }

    /// Any of these texts, of at most 300 characters each.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        self.any::<Word<300>>(name).into_iter().map(|w| w.0).collect()
    }

    /// Any of these names of states and lifecycles, of at most 60 characters each.
    pub fn names(&mut self, name: &str) -> Vec<String> {
        self.any::<Word<60>>(name).into_iter().map(|w| w.0).collect()
    }

    /// A moment.
    pub fn time(&mut self, name: &str) -> Option<crate::db::columns::Time> {
        let text = self.text(name, 40)?;
        let time = crate::db::columns::Time::parse(&text);
        if time.is_none() {
            self.faults.push_parameter(name, "invalid_format", "must be an RFC 3339 time such as 2026-03-01T09:30:00Z");
        }
        time
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.one::<Parsed<bool>>(name).map(|p| p.0)
    }

    /// An integer in bounds.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let number = self.one::<Parsed<i64>>(name)?.0;
        if (min..=max).contains(&number) {
            return Some(number);
        }
        self.faults.push_parameter(name, "out_of_range", format!("must be from {min} to {max}"));
        None
    }

    fn parse<T: FromStr>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T::Err: CodeOf,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.faults.push_parameter(name, e.code(), e.to_string());
                None
            }
        }
    }

    /// # Errors
    /// 422 with every fault.
    pub fn finish(self) -> Result<()> {
        Ok(self.faults.into_result()?)
    }
}

/// No parameter is taken.
///
/// # Errors
/// 400 `unknown_parameter`.
pub fn none(request: &HttpRequest) -> Result<()> {
    Params::read(request, &[]).map(drop)
}

/// A plain value whose parse error needs a sentence.
struct Parsed<T>(T);
impl<T: FromStr> FromStr for Parsed<T> {
    type Err = NotOne<T>;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| NotOne(std::marker::PhantomData))
    }
}
struct NotOne<T>(std::marker::PhantomData<T>);
impl<T> std::fmt::Display for NotOne<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = std::any::type_name::<T>();
        f.write_str(match name {
            "bool" => "must be true or false",
            "i64" => "must be an integer",
            _ => "must be a UUID",
        })
    }
}
impl<T> CodeOf for NotOne<T> {}

/// A word of at most so many characters.
struct Word<const MAX: usize>(String);
impl<const MAX: usize> FromStr for Word<MAX> {
    type Err = BadWord;
    fn from_str(text: &str) -> Result<Self, BadWord> {
        check_text(text, 1, MAX).map(|()| Self(text.to_owned())).map_err(|(code, message)| BadWord(code, message))
    }
}
struct BadWord(&'static str, String);
impl std::fmt::Display for BadWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}
impl CodeOf for BadWord {
    fn code(&self) -> &'static str {
        self.0
    }
}
