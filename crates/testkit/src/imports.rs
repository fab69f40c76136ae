//! Checks that the files of a crate import from one another in one direction.
//!
//! The graph has an edge from each file to the files that define what its `use` lines name, and its paths that begin with
//! `crate::` or `super::`. Re-exports are followed to the definition. Tests (`#[cfg(test)]`) do not count.
//!
//! Not seen: methods that a file adds to a type of another file, and paths that begin with an imported module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names of a module and its parents, from the root of the crate: empty for `lib.rs`.
type Module = Vec<String>;

/// What the code of a module names.
#[derive(Default)]
struct Names {
    imports: Vec<Module>,
    exports: BTreeMap<String, Module>,
}

/// Asserts that no file in `src` imports, by way of other files, from itself.
///
/// # Panics
/// Panics if one does, with the names of the files in the circle, if a file cannot be read, or if there is none.
pub fn assert_acyclic(src: &str) {
    let (mut sources, mut tests) = (BTreeMap::new(), Vec::new());
    read(Path::new(src), &Module::new(), &mut sources, &mut tests);
    assert!(!sources.is_empty(), "there is no file in {src}");
    sources.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    let names: BTreeMap<Module, Names> =
        sources.iter().map(|(module, code)| (module.clone(), names_in(&tokens(code)))).collect();
    let graph: BTreeMap<&Module, BTreeSet<Module>> = names
        .iter()
        .map(|(module, named)| {
            let imported = named.imports.iter().filter_map(|path| definition(&names, module, path, 0));
            (module, imported.filter(|other| other != module).collect())
        })
        .collect();
    let mut visited = BTreeSet::new();
    for module in graph.keys() {
        if let Some(circle) = circle_from(&graph, module, &mut Vec::new(), &mut visited) {
            panic!("files in {src} import from one another: {}", circle.join(" → "));
        }
    }
}

/// Collects the code of every file in `folder`, which belongs to `module`, and the modules that are tests.
fn read(folder: &Path, module: &Module, sources: &mut BTreeMap<Module, String>, tests: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let (path, file) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && file != "bin" {
            read(&path, &[module.clone(), vec![file]].concat(), sources, tests);
        } else if let Some(name) = file.strip_suffix(".rs").filter(|name| *name != "main") {
            let own = if matches!(name, "lib" | "mod") { Vec::new() } else { vec![name.to_owned()] };
            let own = [module.clone(), own].concat();
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let code = without_tests(&text, |test| tests.push([own.clone(), vec![test.to_owned()]].concat()));
            sources.insert(own, code);
        }
    }
}

/// Returns the lines without comments and tests. A module of tests that is a file of its own is passed to `test`.
fn without_tests(text: &str, mut test: impl FnMut(&str)) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let item = lines.next().unwrap_or_default().trim();
            match item.strip_prefix("mod ") {
                Some(name) if name.ends_with(';') => test(name.trim_end_matches(';')),
                Some(_) => break,
                None => {}
            }
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
            code.push('\n');
        }
    }
    code
}

/// Splits code into words, `::`, and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn names_in(tokens: &[&str]) -> Names {
    let mut names = Names::default();
    let mut words = BTreeSet::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at).copied() {
        let before = at.checked_sub(1).map_or(";", |before| tokens[before]);
        at += 1;
        match token {
            "use" if matches!(before, ";" | "}" | "{" | "]" | "pub" | ")") => {
                let mut paths = Vec::new();
                tree(tokens, &mut at, &Module::new(), &mut paths);
                match before {
                    "pub" | ")" => names.exports.extend(paths),
                    _ => names.imports.extend(paths.into_iter().map(|(_, path)| path)),
                }
            }
            "crate" | "super" if before != "::" && tokens.get(at) == Some(&"::") => {
                let mut path = vec![token.to_owned()];
                while tokens.get(at) == Some(&"::") && tokens.get(at + 1).is_some_and(|word| is_word(word)) {
                    path.push(tokens[at + 1].to_owned());
                    at += 2;
                }
                names.imports.push(path);
            }
            word => {
                words.insert(word);
            }
        }
    }
    // A re-exported name that the module itself uses is an import too.
    let used = names.exports.iter().filter(|(name, _)| words.contains(name.as_str()));
    names.imports.extend(used.map(|(_, path)| path.clone()).collect::<Vec<_>>());
    names
}

/// Reads a `use` tree below `prefix`: each name that it brings into scope, and its path.
fn tree(tokens: &[&str], at: &mut usize, prefix: &Module, paths: &mut Vec<(String, Module)>) {
    let (mut path, mut alias) = (prefix.clone(), None);
    while let Some(token) = tokens.get(*at).copied().filter(|token| !matches!(*token, "," | "}" | ";")) {
        *at += 1;
        match token {
            "::" => {}
            "as" => alias = tokens.get(*at).map(|name| (*name).to_owned()),
            "self" if !path.is_empty() => {}
            "{" => {
                while tokens.get(*at).is_some_and(|token| !matches!(*token, "}" | ";")) {
                    tree(tokens, at, &path, paths);
                    *at += usize::from(tokens.get(*at) == Some(&","));
                }
                *at += 1;
                return;
            }
            _ if alias.is_some() => {}
            word => path.push(word.to_owned()),
        }
    }
    if let Some(name) = alias.or_else(|| path.last().cloned()) {
        paths.push((name, path));
    }
}

/// Returns the module that defines the item at `path`, as seen from `module`; `None` for items of other crates.
fn definition(names: &BTreeMap<Module, Names>, module: &Module, path: &[String], depth: usize) -> Option<Module> {
    let (mut at, mut rest) = (module.clone(), path);
    match path.first()?.as_str() {
        "crate" => (at, rest) = (Module::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        child if names.contains_key(&[at.clone(), vec![child.to_owned()]].concat()) => {}
        _ => return None,
    }
    for name in rest {
        at.push(name.clone());
        if names.contains_key(&at) {
            continue;
        }
        at.pop();
        return match names.get(&at)?.exports.get(name).filter(|_| depth < 8) {
            Some(path) => definition(names, &at, path, depth + 1),
            None => Some(at),
        };
    }
    Some(at)
}

/// Returns a circle that can be reached from `module`, beginning and ending with the same file.
fn circle_from<'a>(
    graph: &'a BTreeMap<&'a Module, BTreeSet<Module>>, module: &'a Module, path: &mut Vec<&'a Module>,
    visited: &mut BTreeSet<&'a Module>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|earlier| *earlier == module) {
        return Some(path[start..].iter().chain([&module]).map(|module| name(module)).collect());
    }
    if !visited.insert(module) {
        return None;
    }
    path.push(module);
    let circle = graph.get(module)?.iter().find_map(|next| circle_from(graph, next, path, visited));
    path.pop();
    circle
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

fn is_word(token: &str) -> bool {
    token.chars().all(|c| c.is_alphanumeric() || c == '_')
}
