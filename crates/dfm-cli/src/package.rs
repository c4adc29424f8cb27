//! What is generated in a folder already, and what has to be written or removed there?

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use dfm_codegen::{File, MARKER};

/// What a folder lacks to be as generated.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that do not exist.
    pub missing: Vec<PathBuf>,
    /// Files that were generated, but not like this.
    pub changed: Vec<PathBuf>,
    /// Files with something in them that dfm did not write.
    pub foreign: Vec<PathBuf>,
    /// How many files are as they should be.
    pub same: usize,
}

/// Compares `files` with what is in `folder`; all paths are relative to it.
///
/// # Errors
/// A path, and why it cannot be read.
pub fn compare(folder: &Path, files: &[File]) -> Result<Changes, (PathBuf, io::Error)> {
    let mut changes = Changes::default();
    for file in files {
        let path = folder.join(&file.path);
        let list = match std::fs::read(&path) {
            Ok(text) if text == file.text.as_bytes() => {
                changes.same += 1;
                continue;
            }
            Ok(text) if is_generated(&path) || text.trim_ascii().is_empty() => &mut changes.changed,
            Ok(_) => &mut changes.foreign,
            Err(error) if error.kind() == io::ErrorKind::NotFound => &mut changes.missing,
            Err(error) => return Err((path, error)),
        };
        list.push(file.path.clone());
    }
    Ok(changes)
}

/// The generated files below `folder/inside` that are not among `files`; all paths are relative to `folder`.
///
/// # Errors
/// A path, and why it cannot be read.
pub fn left_over(folder: &Path, inside: &Path, files: &[File]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let wanted: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    let mut found = BTreeSet::new();
    let mut folders = vec![inside.to_owned()];
    while let Some(current) = folders.pop() {
        let entries = match std::fs::read_dir(folder.join(&current)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err((folder.join(current), error)),
        };
        for entry in entries.flatten() {
            let path = current.join(entry.file_name());
            // What a link leads to is not the package's.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && !wanted.contains(path.as_path()) && is_generated(&entry.path()) => {
                    found.insert(path);
                }
                _ => {}
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Removes files of `folder`, and the folders that they leave empty, `inside` included.
///
/// # Errors
/// A path, and why it cannot be removed.
pub fn remove(folder: &Path, inside: &Path, files: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    // An `__init__.py` goes after what it tells to be generated, should something come between.
    for file in files.iter().rev() {
        let path = folder.join(file);
        std::fs::remove_file(&path).map_err(|error| (path, error))?;
    }
    let mut emptied: Vec<&Path> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1).take_while(|folder| folder.starts_with(inside)))
        .collect();
    emptied.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    emptied.dedup();
    for path in emptied {
        let path = folder.join(path);
        let holds_only_bytecode = || {
            std::fs::read_dir(&path)
                .is_ok_and(|mut all| all.all(|one| one.is_ok_and(|one| one.file_name() == "__pycache__")))
        };
        if path.is_dir() && holds_only_bytecode() {
            std::fs::remove_dir_all(&path).map_err(|error| (path.clone(), error))?;
        }
    }
    Ok(())
}

/// Whether dfm wrote a file: Python says so in its first line, and JSON belongs to the `__init__.py` beside it.
fn is_generated(path: &Path) -> bool {
    let says_so = |path: &Path| std::fs::read(path).is_ok_and(|text| text.starts_with(MARKER.as_bytes()));
    match path.file_name().and_then(|name| name.to_str()) {
        Some("fed_info.json" | "site.json") => says_so(&path.with_file_name("__init__.py")),
        Some(name) if name.ends_with(".py") => says_so(path),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: PathBuf::from(path), text: text.to_owned() }
    }

    fn folder(files: &[File]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &file.text).unwrap();
        }
        folder
    }

    fn names(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    const OURS: &str = "# Generated by dfm\n";

    #[test]
    fn the_users_files_are_told_from_generated_ones() {
        let there = folder(&[
            file("p/fed/__init__.py", OURS),
            file("p/fed/fed_info.json", "{}"),
            file("p/fed/empty/__init__.py", "\n"),
            file("p/fed/mine/__init__.py", "x = 1\n"),
            file("p/fed/mine/site.json", "{}"),
        ]);
        let wanted: Vec<File> = ["", "empty/", "mine/", "new/"]
            .iter()
            .flat_map(|at| {
                [file(&format!("p/fed/{at}__init__.py"), OURS), file(&format!("p/fed/{at}site.json"), "{1}")]
            })
            .chain([file("p/fed/fed_info.json", "{2}")])
            .collect();
        let changes = compare(there.path(), &wanted).unwrap();
        assert_eq!(changes.same, 1);
        assert_eq!(names(&changes.changed), ["p/fed/empty/__init__.py", "p/fed/fed_info.json"]);
        assert_eq!(names(&changes.foreign), ["p/fed/mine/__init__.py", "p/fed/mine/site.json"]);
        let missing = ["p/fed/site.json", "p/fed/empty/site.json", "p/fed/new/__init__.py", "p/fed/new/site.json"];
        assert_eq!(names(&changes.missing), missing);
    }

    #[test]
    fn only_generated_files_and_empty_folders_are_removed() {
        let there = folder(&[
            file("p/fed/__init__.py", OURS),
            file("p/fed/old/__init__.py", OURS),
            file("p/fed/old/site.json", "{}"),
            file("p/fed/old/__pycache__/x.pyc", ""),
            file("p/fed/mixed/deep/a.py", OURS),
            file("p/fed/mixed/mine.py", "x = 1\n"),
            file("p/lib.py", OURS),
        ]);
        let inside = Path::new("p/fed");
        let old = left_over(there.path(), inside, &[file("p/fed/__init__.py", OURS)]).unwrap();
        assert_eq!(names(&old), ["p/fed/mixed/deep/a.py", "p/fed/old/__init__.py", "p/fed/old/site.json"]);
        remove(there.path(), inside, &old).unwrap();
        assert!(there.path().join("p/fed/mixed/mine.py").exists() && there.path().join("p/lib.py").exists());
        assert!(!there.path().join("p/fed/mixed/deep").exists() && !there.path().join("p/fed/old").exists());
    }

    #[test]
    fn what_does_not_exist_has_nothing_left_over() {
        assert_eq!(left_over(Path::new("/nowhere/at/all"), Path::new("p/fed"), &[]).unwrap(), Vec::<PathBuf>::new());
    }
}
