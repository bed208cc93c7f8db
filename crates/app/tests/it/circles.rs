//! No circle between files: what two files need of each other lies in a third.
//!
//! A file may use what the files above it in its module path have, so an edge from a module to one that contains it does not
//! count; `pub use` does not either, and what a re-export names is where it is defined. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Circles that are part of a definition: a blend of fitted models is a fitted model itself, and its parts may be any.
const ALLOWED: [(&str, &str); 1] = [("model/collaborative/blend", "model/collaborative/registry")];

type Module = Vec<String>;

/// The source files of a crate by their module paths, without comments and tests.
fn modules(folder: &Path) -> BTreeMap<Module, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let is_source = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".rs") && !name.ends_with("tests.rs")
    };
    let of = |path: PathBuf| {
        let relative = path.strip_prefix(folder).unwrap().with_extension("");
        let mut module: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
            module.pop();
        }
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        (module, code.join("\n"))
    };
    files.into_iter().filter(is_source).map(of).collect()
}

/// The paths of a tree such as `a::{b, c::{self, d as e}}`.
fn expand(before: &[String], tree: &str, found: &mut Vec<Module>) {
    let names = |text: &str| -> Module {
        let text = text.split(" as ").next().unwrap_or_default();
        text.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    };
    let Some((path, inside)) = tree.split_once('{') else {
        found.push([before, &names(tree)].concat());
        return;
    };
    let before = [before, &names(path)].concat();
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let mut depth = 0;
    let parts = inside.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).for_each(|part| expand(&before, part, found));
}

/// What a file uses: by `use`, with whether it re-exports that, and by paths in its code.
fn uses(code: &str) -> Vec<(Module, bool)> {
    let (mut all, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let (public, tree) = line.split_once("use ").unwrap_or(("-", ""));
        let public = public.trim();
        let is_keyword = public.is_empty() || public == "pub" || (public.starts_with("pub(") && public.ends_with(')'));
        let after = tree.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        // A line of a text may begin with the word.
        if !is_keyword || !(after.starts_with("::") || after.starts_with([';', '{'])) {
            rest.push_str(line);
            rest.push('\n');
            continue;
        }
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().expect("a `use` ends with a semicolon"));
        }
        let mut found = Vec::new();
        expand(&[], tree.split(';').next().unwrap_or_default(), &mut found);
        all.extend(found.into_iter().map(|path| (path, !public.is_empty())));
    }
    for path in rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        let names: Module = path.split("::").map(|name| name.trim_matches(':').to_owned()).collect();
        if names.len() > 1 && names.iter().all(|name| !name.is_empty()) {
            all.push((names, false));
        }
    }
    all
}

/// The files of a crate, and what each file uses of the others.
struct Graph {
    files: BTreeMap<Module, Vec<(Module, bool)>>,
}

impl Graph {
    fn of(folder: &Path) -> Self {
        let modules = modules(folder);
        let names: BTreeSet<&Module> = modules.keys().collect();
        let absolute = |from: &Module, path: &[String]| -> Option<Module> {
            let n_up = path.iter().take_while(|name| *name == "super").count();
            match path.first()?.as_str() {
                "crate" => Some(path[1..].to_vec()),
                "self" => Some([from.as_slice(), &path[1..]].concat()),
                "super" => Some([from.get(..from.len().checked_sub(n_up)?)?, &path[n_up..]].concat()),
                child => {
                    let of_child = [from.as_slice(), &[child.to_owned()]].concat();
                    names.contains(&of_child).then(|| [from.as_slice(), path].concat())
                }
            }
        };
        let used = |(from, code): (&Module, &String)| {
            let paths = uses(code).into_iter();
            let paths = paths.filter_map(|(path, is_public)| Some((absolute(from, &path)?, is_public))).collect();
            (from.clone(), paths)
        };
        Self { files: modules.iter().map(used).collect() }
    }

    /// The file in which a path is defined: re-exports are followed.
    fn file_of(&self, path: &[String], n_followed: usize) -> Option<Module> {
        let n = (0..=path.len()).rev().find(|&n| self.files.contains_key(&path[..n]))?;
        let file = &path[..n];
        let named = path.get(n).filter(|_| n_followed < 8);
        let exported = named.and_then(|name| {
            let all = self.files[file].iter();
            all.filter(|(_, is_public)| *is_public).map(|(path, _)| path).find(|path| path.last() == Some(name))
        });
        match exported.filter(|exported| exported[..] != path[..=n]) {
            Some(exported) => self.file_of(&[exported.as_slice(), &path[n + 1..]].concat(), n_followed + 1),
            None => Some(file.to_vec()),
        }
    }

    /// The files that a file needs, without those that contain it.
    fn needs(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(from, paths): (&Module, &Vec<(Module, bool)>)| {
            let used = paths.iter().filter(|(_, is_public)| !is_public);
            let files = used.filter_map(|(path, _)| self.file_of(path, 0));
            files.filter(|file| !from.starts_with(file)).collect::<BTreeSet<_>>()
        };
        self.files.iter().map(|entry| (entry.0, of(entry))).collect()
    }
}

/// The pairs of files of which each needs the other, itself or by way of others.
fn circles(name: &str, folder: &Path) -> BTreeSet<(String, String)> {
    let graph = Graph::of(folder);
    let needs = graph.needs();
    let reached = |from: &Module| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = open.pop() {
            let next = needs[&file].iter().filter(|next| reached.insert((*next).clone()));
            open.extend(next.cloned().collect::<Vec<_>>());
        }
        reached
    };
    let all: BTreeMap<&Module, BTreeSet<Module>> = needs.keys().map(|file| (*file, reached(file))).collect();
    let shown = |module: &Module| format!("{name}/{}", module.join("/"));
    let mut found = BTreeSet::new();
    for (file, reached) in &all {
        let back = reached.iter().filter(|&other| *file < other && all[other].contains(*file));
        found.extend(back.map(|other| (shown(file), shown(other))));
    }
    found
}

#[test]
fn no_two_files_need_each_other() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut n_files = 0;
    let mut found = BTreeSet::new();
    for folder in std::fs::read_dir(crates).unwrap() {
        let folder = folder.unwrap();
        let source = folder.path().join("src");
        n_files += modules(&source).len();
        found.extend(circles(&folder.file_name().to_string_lossy(), &source));
    }
    let allowed = ALLOWED.map(|(one, other)| (one.to_owned(), other.to_owned()));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), allowed, "move what both need into a third file");
    assert!(n_files > 500, "{n_files} files are too few: the folders are not read");
}

#[test]
fn a_circle_is_found_through_re_exports_and_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;\n");
    write("a.rs", "use crate::b::{\n    self,\n    B,\n};\npub struct A;\n");
    write("b/mod.rs", "mod inner;\nuse super::c::C;\npub struct B;\n");
    write("b/inner.rs", "use super::B;\n// use crate::d::D;\n");
    write("c.rs", "pub struct C(crate::A);\n");
    write("d.rs", "use crate::a::A;\npub struct D;\n");
    let found = circles("shop", folder.path());
    let names: Vec<(&str, &str)> = found.iter().map(|(one, other)| (&**one, &**other)).collect();
    assert_eq!(names, [("shop/a", "shop/b"), ("shop/a", "shop/c"), ("shop/b", "shop/c")]);
}
