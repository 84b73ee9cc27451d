//! Reads the sources as text: what is left of a file without its comments, its strings and its tests, and the paths
//! that it names.
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of `src/`.
pub struct Source {
    /// From `src/` on, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without comments, the inside of strings and `#[cfg(test)]` items; every line is where it was.
    pub code: String,
    /// Every path it names, `use` trees spelled out.
    pub names: Vec<Named>,
}

/// A path that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    /// Its segments; `$crate` is `crate`.
    pub path: Vec<String>,
    /// The function whose body or signature it stands in or after.
    pub function: String,
    /// Whether `(` follows.
    pub called: bool,
}

impl Named {
    /// Whether these segments stand next to each other in it.
    pub fn has(&self, segments: &[&str]) -> bool {
        self.path.windows(segments.len()).any(|w| w == segments)
    }
    /// What follows `crate`, if it begins there.
    pub fn in_crate(&self) -> Option<&[String]> {
        self.path.split_first().filter(|(first, _)| *first == "crate").map(|(_, rest)| rest)
    }
}

impl Source {
    pub fn read(path: &str, text: &str) -> Self {
        let code = without_tests(&without_comments(text));
        let names = names(&code);
        Self { path: path.into(), text: text.into(), code, names }
    }
    /// The folders and the file's stem.
    pub fn parts(&self) -> Vec<&str> {
        self.path.trim_end_matches(".rs").split('/').collect()
    }
    /// Where this text stands in the code.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let found = self.code.lines().enumerate().filter(|(_, line)| line.contains(text));
        found.map(|(n, _)| self.at(n + 1, text)).collect()
    }
    /// A place, for a message.
    pub fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }
}

/// Every file of `src/` that is not itself a test.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let of_tests: Vec<PathBuf> = files.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    files.retain(|(path, _)| !of_tests.contains(path));
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
    files.iter().map(|(path, text)| Source::read(&relative(path), text)).collect()
}

/// Every file of `src/`, tests too, as path and text.
pub fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// The files that `#[cfg(test)] mod name;` of this file stands for.
fn test_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let code = without_comments(text);
    let items = code.split(TEST_ONLY).skip(1).filter_map(|rest| rest[..rest.find([';', '{'])? + 1].strip_suffix(';'));
    let names: Vec<_> = items.filter_map(|item| item.rsplit_once("mod ")).map(|(_, name)| name.trim()).collect();
    let stem = path.file_stem().unwrap();
    let folder = if stem == "mod" || stem == "lib" || stem == "main" {
        path.parent().unwrap().to_owned()
    } else {
        path.with_extension("")
    };
    names.iter().flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]).collect()
}

/// Blanks from one place to another, but not the ends of lines.
fn blank(chars: &mut [char]) {
    chars.iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
}

/// Comments and the inside of strings become spaces.
pub fn without_comments(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        let end = match (chars[at], next) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => string_end(&chars, at + 1),
            ('r', Some('"' | '#')) if at == 0 || !is_word(chars[at - 1]) => raw_end(&chars, at + 1),
            ('\'', Some('\\')) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').unwrap_or(chars.len()),
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 2,
            _ => at,
        };
        if end > at {
            let keeps_quotes = chars[at] == '"';
            let from = if keeps_quotes { at + 1 } else { at };
            let to = end.min(chars.len());
            blank(&mut chars[from..to.max(from)]);
        }
        at = end + 1;
    }
    chars.into_iter().collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}
fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())
}
fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}
fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at
}
/// The end of `r"…"` or `r#"…"#`; a raw identifier ends where it begins.
fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return at - 1;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let from = at + hashes + 1;
    let found = chars[from..].windows(closing.len()).position(|w| w == closing);
    found.map_or(chars.len(), |i| from + i + closing.len())
}

/// What stands under `#[cfg(test)]` becomes spaces.
fn without_tests(code: &str) -> String {
    let mut chars: Vec<char> = code.chars().collect();
    let marker: Vec<char> = TEST_ONLY.chars().collect();
    let mut at = 0;
    while let Some(found) = chars[at..].windows(marker.len()).position(|w| w == marker) {
        let from = at + found;
        let mut end = from;
        let mut depth = 0;
        while end < chars.len() {
            match chars[end] {
                '{' => depth += 1,
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ';' if depth == 0 => break,
                _ => {}
            }
            end += 1;
        }
        blank(&mut chars[from..(end + 1).min(code.chars().count())]);
        at = end.min(chars.len());
    }
    chars.into_iter().collect()
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Colons,
    Mark(char),
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    for (n, line) in code.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let from = at;
            at += 1;
            let token = match chars[from] {
                c if c.is_whitespace() => continue,
                c if is_word(c) => {
                    while at < chars.len() && is_word(chars[at]) {
                        at += 1;
                    }
                    let word: String = chars[from..at].iter().collect();
                    Token::Word(if word == "$crate" { "crate".into() } else { word })
                }
                ':' if chars.get(at) == Some(&':') => {
                    at += 1;
                    Token::Colons
                }
                c => Token::Mark(c),
            };
            found.push((n + 1, token));
        }
    }
    found
}

fn names(code: &str) -> Vec<Named> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut function = String::new();
    let mut at = 0;
    while at < tokens.len() {
        let (line, Token::Word(word)) = &tokens[at] else {
            at += 1;
            continue;
        };
        match &**word {
            "use" => at = tree(&tokens, at + 1, &[], &function, &mut found),
            "fn" => {
                if let Some((_, Token::Word(name))) = tokens.get(at + 1) {
                    function.clone_from(name);
                }
                at += 1;
            }
            _ => {
                let mut path = vec![word.clone()];
                at += 1;
                while let (Some((_, Token::Colons)), Some((_, Token::Word(next)))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    path.push(next.clone());
                    at += 2;
                }
                let called = matches!(tokens.get(at), Some((_, Token::Mark('('))));
                found.push(Named { line: *line, path, function: function.clone(), called });
            }
        }
    }
    found
}

/// Spells out a `use` tree from here; answers where it ends.
fn tree(tokens: &[(usize, Token)], mut at: usize, prefix: &[String], function: &str, found: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    loop {
        match tokens.get(at).map(|(_, token)| token) {
            Some(Token::Word(word)) if word == "as" => at += 2,
            Some(Token::Word(word)) => {
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                at += 1;
            }
            Some(Token::Colons) => at += 1,
            Some(Token::Mark('*')) => at += 1,
            Some(Token::Mark('{')) => {
                at += 1;
                while !matches!(tokens.get(at), Some((_, Token::Mark('}'))) | None) {
                    at = tree(tokens, at, &path, function, found);
                    if matches!(tokens.get(at), Some((_, Token::Mark(',')))) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => {
                found.push(Named { line, path, function: function.into(), called: false });
                return at;
            }
        }
    }
}
