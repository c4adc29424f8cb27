//! How does one get from one folder to another?

use std::path::{Component, Path, PathBuf};

/// The way from a folder to a path, both absolute or both relative to one place, by their words alone.
pub fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to) = (normal(from), normal(to));
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let mut way: PathBuf = from[common..].iter().map(|_| "..").collect();
    way.extend(&to[common..]);
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}

fn normal(path: &Path) -> Vec<&std::ffi::OsStr> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => (),
            Component::ParentDir if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part.as_os_str()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_the_shortest() {
        for (from, to, way) in [
            ("/a/b/deploy/docker", "/a", "../../.."),
            ("/a/b/./c/..", "/a/b", "."),
            ("/a/b", "/a/b/c/d", "c/d"),
            ("deploy", "..", "../.."),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(way), "{from} -> {to}");
        }
    }
}
