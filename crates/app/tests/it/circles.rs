//! No circle between files: no file needs another one that needs it, itself or by way of others.
//!
//! A file needs the files that define the names which it uses, wherever these are re-exported, and those that have the methods of
//! its own types which it calls. A module and its parts are read together, so what a part has from the files of the modules that
//! contain it does not count. Tests are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// A file by its place among the modules of its crate; that of the crate itself is empty.
type Module = Vec<String>;

/// Needs of one file for another that may close a circle, each with the reason.
const ALLOWED: [(&str, &str, &str); 1] = [(
    "model/collaborative/blend",
    "model/collaborative/registry",
    "a blend of fitted models is one of the models that it may blend; a trait between them would have one implementation",
)];

/// The words and signs of a source, without comments, texts, lifetimes and what is compiled for tests alone.
fn tokens(source: &str) -> Vec<String> {
    let bytes = source.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &source[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            text_len(rest)
        };
        if skipped > 0 {
            at += skipped;
        } else if is_word(bytes[at]) {
            let n = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
            all.push(source[at..at + n].to_owned());
            at += n;
        } else {
            let n = if rest.starts_with("::") || rest.starts_with("->") { 2 } else { 1 };
            if !bytes[at].is_ascii_whitespace() {
                all.push(rest[..n].to_owned());
            }
            at += n;
        }
    }
    without_tests(&all)
}

/// The bytes of the text, the character or the lifetime that a source begins with; 0 if it begins with none of them.
fn text_len(source: &str) -> usize {
    let prefix = ["br", "b", "c", "r", ""].into_iter().find(|prefix| {
        source.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || (prefix.ends_with('r') && rest.starts_with('#') && rest.trim_start_matches('#').starts_with('"'))
        })
    });
    if let Some(prefix) = prefix {
        let n_hashes = source[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
        let start = prefix.len() + n_hashes + 1;
        if prefix.ends_with('r') {
            let end = format!("\"{}", "#".repeat(n_hashes));
            return source[start..].find(&end).map_or(source.len(), |at| start + at + end.len());
        }
        return start + escaped_len(&source[start..], '"');
    }
    let Some(rest) = source.strip_prefix('\'') else { return 0 };
    let mut chars = rest.char_indices();
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => 1 + escaped_len(rest, '\''),
        (Some(_), Some((at, '\''))) => 1 + at + 1,
        _ => 1 + rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
    }
}

/// The bytes up to an end that no backslash stands before, with it.
fn escaped_len(text: &str, end: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == end => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn without_tests(all: &[String]) -> Vec<String> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < all.len() {
        if starts(&all[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = end_of_item(all, at + 7);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// The place after an item: after its semicolon or its block.
fn end_of_item(all: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in all.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" if depth == 0 => return at,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    all.len()
}

fn starts(tokens: &[String], with: &[&str]) -> bool {
    tokens.len() >= with.len() && tokens.iter().zip(with).all(|(token, with)| token == with)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// What a file defines and what it names.
#[derive(Default)]
struct File {
    code: Vec<String>,
    /// Names that it imports, with their paths; whether it re-exports them makes no difference to what they are.
    imported: BTreeMap<String, Vec<String>>,
    /// The paths among these that it uses itself, because it does not re-export them.
    own_imports: Vec<Vec<String>>,
    /// The modules of which it imports everything.
    opened: Vec<Vec<String>>,
    defined: BTreeSet<String>,
}

impl File {
    fn of(source: &str) -> Self {
        let all = tokens(source);
        let (mut file, mut at) = (Self::default(), 0);
        while at < all.len() {
            let before = at.checked_sub(1).map_or(";", |before| &all[before]);
            if all[at] == "use" && [";", "{", "}", "]", ")", "pub"].contains(&before) {
                let end = end_of_use(&all, at);
                file.import(&all[at + 1..end], &[], before == "pub" || before == ")");
                at = end;
                continue;
            }
            let is_kept_name = |name: &String| is_name(name) && name != "_" && name != "fn";
            let is_definition =
                ["fn", "struct", "enum", "trait", "type", "const", "static", "union"].contains(&all[at].as_str());
            if is_definition && let Some(name) = all.get(at + 1).filter(|name| is_kept_name(name)) {
                file.defined.insert(name.clone());
            }
            file.code.push(all[at].clone());
            at += 1;
        }
        file
    }

    /// Takes in the tree of a `use`.
    fn import(&mut self, tree: &[String], before: &[String], is_public: bool) {
        if let Some(open) = tree.iter().position(|token| token == "{") {
            let before = [before, &names(&tree[..open])].concat();
            let inside = &tree[open + 1..tree.len() - 1];
            let mut depth = 0;
            for part in inside.split(|token| {
                depth += i32::from(token == "{") - i32::from(token == "}");
                token == "," && depth == 0
            }) {
                self.import(part, &before, is_public);
            }
            return;
        }
        if tree.is_empty() {
            return;
        }
        let renamed = tree.iter().position(|token| token == "as");
        let mut path = [before, &names(&tree[..renamed.unwrap_or(tree.len())])].concat();
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if tree.last().is_some_and(|last| last == "*") {
            self.opened.push(path);
            return;
        }
        let name = renamed.and_then(|at| tree.get(at + 1)).or(path.last()).cloned();
        if !is_public {
            self.own_imports.push(path.clone());
        }
        if let Some(name) = name.filter(|name| name != "_") {
            self.imported.insert(name, path);
        }
    }

    /// The paths in the code that have at least two names.
    fn paths(&self) -> Vec<Vec<String>> {
        let (mut all, mut at) = (Vec::new(), 0);
        while at < self.code.len() {
            let mut path = vec![self.code[at].clone()];
            let mut end = at + 1;
            while is_name(&path[0])
                && self.code.get(end).is_some_and(|token| token == "::")
                && self.code.get(end + 1).is_some_and(|token| is_name(token))
            {
                path.push(self.code[end + 1].clone());
                end += 2;
            }
            let is_behind = at > 0 && self.code[at - 1] == "::";
            if path.len() > 1 && !is_behind {
                all.push(path);
            }
            at = end;
        }
        all
    }

    /// The types with blocks of methods, with the names of these.
    fn methods(&self) -> Vec<(Vec<String>, BTreeSet<String>)> {
        let mut all = Vec::new();
        for at in (0..self.code.len()).filter(|&at| self.code[at] == "impl") {
            let is_item = at == 0 || [";", "{", "}", "]"].contains(&self.code[at - 1].as_str());
            let Some(open) = self.code[at..].iter().position(|token| token == "{").map(|n| at + n) else { continue };
            let head = &self.code[at + 1..open];
            if !is_item || head.iter().any(|token| token == "for") {
                continue;
            }
            let end = end_of_item(&self.code, open);
            let body = &self.code[open..end];
            let named = body.windows(2).filter(|pair| pair[0] == "fn").map(|pair| pair[1].clone());
            all.push((names(without_parameters(head)), named.collect()));
        }
        all
    }

    /// Whether the code calls a method of its own type.
    fn calls(&self, own: &str, method: &str) -> bool {
        self.code.windows(4).any(|tokens| starts(tokens, &["self", ".", method, "("]))
            || self
                .code
                .windows(3)
                .any(|tokens| starts(tokens, &[own, "::", method]) || starts(tokens, &["Self", "::", method]))
    }
}

/// The semicolon of a `use`.
fn end_of_use(all: &[String], from: usize) -> usize {
    all.iter().skip(from).position(|token| token == ";").map_or(all.len(), |n| from + n)
}

/// The names of a path up to its first parameters.
fn names(path: &[String]) -> Vec<String> {
    path.iter().take_while(|token| *token != "<").filter(|token| is_name(token)).cloned().collect()
}

/// The head of an `impl` without its own parameters.
fn without_parameters(head: &[String]) -> &[String] {
    if head.first().is_none_or(|token| token != "<") {
        return head;
    }
    let mut depth = 0;
    for (at, token) in head.iter().enumerate() {
        depth += i32::from(token == "<") - i32::from(token == ">");
        if depth == 0 {
            return &head[at + 1..];
        }
    }
    head
}

/// The files of a crate.
struct Crate {
    files: BTreeMap<Module, File>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                    let relative = path.strip_prefix(folder).unwrap().with_extension("");
                    let mut module: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                    if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                        module.pop();
                    }
                    files.insert(module, File::of(&std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self { files }
    }

    /// The file that defines what a path in `from` names. `n_followed` ends what re-exports itself.
    fn definition(&self, from: &Module, path: &[String], n_followed: usize) -> Option<Module> {
        let n_up = path.iter().take_while(|name| *name == "super").count();
        match path.first()?.as_str() {
            "crate" => self.inside(&[], &path[1..], n_followed),
            "self" => self.inside(from, &path[1..], n_followed),
            "super" => self.inside(from.get(..from.len().checked_sub(n_up)?)?, &path[n_up..], n_followed),
            _ => self
                .inside(from, path, n_followed)
                .filter(|found| found != from || self.files[from].defined.contains(&path[0])),
        }
    }

    /// The file that defines a path below a module; the module's own if no other is known.
    fn inside(&self, module: &[String], path: &[String], n_followed: usize) -> Option<Module> {
        let module = module.to_vec();
        let file = self.files.get(&module)?;
        let Some(name) = path.first().filter(|_| n_followed < 16) else { return Some(module) };
        let child = [module.as_slice(), std::slice::from_ref(name)].concat();
        let imported = file.imported.get(name).filter(|imported| imported[..] != path[..1]);
        if self.files.contains_key(&child) && (path.len() > 1 || imported.is_none()) {
            return self.inside(&child, &path[1..], n_followed + 1);
        }
        if let Some(imported) = imported {
            return self.definition(&module, &[imported.as_slice(), &path[1..]].concat(), n_followed + 1);
        }
        if !file.defined.contains(name) {
            for opened in &file.opened {
                let found = self.definition(&module, &[opened.as_slice(), path].concat(), n_followed + 1);
                let defines = |found: &Module| self.files[found].defined.contains(name);
                if let Some(found) = found.filter(|found| *found != module && defines(found)) {
                    return Some(found);
                }
            }
        }
        Some(module)
    }

    /// The files that each file needs, without those of the modules that contain it, each with one name that it needs.
    fn needs(&self) -> BTreeMap<&Module, BTreeMap<Module, String>> {
        let mut needs: BTreeMap<&Module, BTreeMap<Module, String>> =
            self.files.keys().map(|file| (file, BTreeMap::new())).collect();
        let mut add = |from: &Module, needed: Module, name: String| {
            if !from.starts_with(&needed) {
                needs.get_mut(from).unwrap().entry(needed).or_insert(name);
            }
        };
        for (from, file) in &self.files {
            for path in file.own_imports.iter().cloned().chain(file.paths()) {
                if let Some(needed) = self.definition(from, &path, 0) {
                    add(from, needed, path.join("::"));
                }
            }
            // Of an opened module each word of the code that the module defines is used.
            for opened in &file.opened {
                let words = file.code.iter().filter(|word| is_name(word) && !file.defined.contains(*word));
                for word in words.collect::<BTreeSet<_>>() {
                    let path = [opened.as_slice(), std::slice::from_ref(word)].concat();
                    let found = self.definition(from, &path, 0);
                    if let Some(needed) = found.filter(|needed| self.files[needed].defined.contains(word)) {
                        add(from, needed, path.join("::"));
                    }
                }
            }
            for (own, methods) in file.methods() {
                let home = self.definition(from, &own, 0).filter(|home| home != from);
                let Some((home, own)) = home.zip(own.last()) else { continue };
                let other = &self.files[&home];
                let is_called = |method: &&String| !other.defined.contains(*method) && other.calls(own, method);
                if let Some(method) = methods.iter().find(is_called) {
                    add(&home, from.clone(), format!("{own}::{method}"));
                }
            }
        }
        needs
    }
}

/// The needs between the files of all crates below a folder, by names such as `event/check/rules`.
fn needs_of_crates(crates: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for folder in std::fs::read_dir(crates).unwrap() {
        let folder = folder.unwrap();
        let source = folder.path().join("src");
        if !source.is_dir() {
            continue;
        }
        let name = folder.file_name().to_string_lossy().into_owned();
        let shown = |module: &Module| [std::slice::from_ref(&name), module.as_slice()].concat().join("/");
        let read = Crate::read(&source);
        for (from, needed) in read.needs() {
            let needed = needed.into_iter().map(|(needed, why)| (shown(&needed), why)).collect();
            all.insert(shown(from), needed);
        }
    }
    all
}

/// The shortest way from a file to another one, with both.
fn way<'n>(needs: &'n BTreeMap<String, BTreeMap<String, String>>, from: &'n str, to: &str) -> Option<Vec<&'n str>> {
    let (mut ways, mut reached) = (VecDeque::from([vec![from]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        for next in needs.get(last).into_iter().flat_map(BTreeMap::keys) {
            if next == to {
                return Some([way.as_slice(), &[next.as_str()]].concat());
            }
            if reached.insert(next) {
                ways.push_back([way.as_slice(), &[next.as_str()]].concat());
            }
        }
    }
    None
}

/// The circles, each once, as `file (name) → file (name) → file`.
fn circles(needs: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
    let (mut found, mut told) = (Vec::new(), BTreeSet::new());
    for file in needs.keys() {
        let Some(circle) = way(needs, file, file).filter(|_| !told.contains(file.as_str())) else { continue };
        let steps = circle.windows(2).map(|step| format!("{} ({})", step[0], needs[step[0]][step[1]]));
        found.push(format!("{} → {file}", steps.collect::<Vec<_>>().join(" → ")));
        told.extend(circle);
    }
    found
}

#[test]
fn no_file_needs_one_that_needs_it() {
    let mut needs = needs_of_crates(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    assert!(needs.len() > 500, "{} files are too few: the folders are not read", needs.len());
    for (from, to, why) in ALLOWED {
        assert!(needs[from].contains_key(to), "{from} no longer needs {to}: take it from the list ({why})");
        assert!(way(&needs, to, from).is_some(), "{from} → {to} closes no circle: take it from the list ({why})");
    }
    for (from, to, _) in ALLOWED {
        needs.get_mut(from).unwrap().remove(to);
    }
    let found = circles(&needs);
    assert!(
        found.is_empty(),
        "move what both need into a third file, or pass to one of them what it needs of the other:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_circle_is_found_by_way_of_re_exports_methods_and_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let circles_of = |files: &[(&str, &str)]| {
        let source = folder.path().join("shop/src");
        let _ = std::fs::remove_dir_all(&source);
        for (name, text) in files {
            let path = source.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        circles(&needs_of_crates(folder.path()))
    };
    let check = |files: &[(&str, &str)], expected: &[&str]| assert_eq!(circles_of(files), expected, "{files:?}");
    let root = ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\npub use b::{self, B as Bee};\n");
    let a = ("a.rs", "use crate::b::{\n    self,\n    B,\n};\npub struct A(B);\n");
    check(&[root, a, ("b.rs", "pub struct B;")], &[]);
    check(&[root, a, ("b.rs", "pub struct B(crate::A);")], &["shop/a (crate::b) → shop/b (crate::A) → shop/a"]);
    check(
        &[root, a, ("b.rs", "use super::c::*;\npub struct B(C);"), ("c.rs", "use crate::A;\npub struct C(A);")],
        &["shop/a (crate::b) → shop/b (super::c::C) → shop/c (crate::A) → shop/a"],
    );
    // A part may use what its module has; another file may not have it back by way of the module.
    let part = ("b/part.rs", "use super::B;\nimpl B { pub fn sum(&self) -> i64 { 7 } }");
    check(&[root, a, ("b/mod.rs", "mod part;\npub struct B;\nfn f(b: B) { part::g(); self.sum(); }"), part], &[]);
    let opened = ("b/part.rs", "use super::C;\npub struct P(C);");
    check(
        &[
            root,
            ("b/mod.rs", "mod part;\nuse crate::c::C;\npub struct B(part::P);"),
            opened,
            ("c.rs", "pub struct C(crate::Bee);"),
        ],
        &[
            "shop/b (crate::c::C) → shop/c (crate::Bee) → shop/b",
            "shop/b/part (super::C) → shop/c (crate::Bee) → shop/b (part::P) → shop/b/part",
        ],
    );
    // A method of the file's own type that another file has.
    let far = ("c.rs", "use crate::A;\nimpl A { pub fn far(&self) {} }");
    check(
        &[root, ("a.rs", "pub struct A;\nimpl A { fn near(&self) { self.far(); } }"), far],
        &["shop/a (A::far) → shop/c (crate::A) → shop/a"],
    );
    // Comments, texts and tests say nothing.
    let silent = "// crate::A\npub struct B;\nconst T: &str = \"crate::A\\\"\";\n#[cfg(test)]\nmod tests {\n    use crate::A;\n}\n";
    check(&[root, a, ("b.rs", silent)], &[]);
}

/// The crates that a crate of the program depends on, without those of its tests.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let lines = text.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.strip_prefix("accrue-")?.split(' ').next()?.to_owned())).collect()
}

#[test]
fn a_crate_uses_those_above_it_in_the_table_alone() {
    let text = include_str!("../../../../ARCHITECTURE.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | holds")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let crates: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert!(crates.len() > 10, "{crates:?}");
    for (place, name) in crates.iter().enumerate() {
        for used in dependencies(name) {
            assert!(crates[..place].contains(&used.as_str()), "{name} uses {used}, which is not above it");
        }
    }
    let uses = |name: &str, other: &str| dependencies(name).iter().any(|used| used == other);
    for (name, other) in [("train", "serve"), ("serve", "train"), ("lab", "serve"), ("ingest", "engine")] {
        assert!(!uses(name, other), "{name} uses {other}");
    }
}
