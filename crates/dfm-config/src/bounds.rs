//! Does a path that a configuration names stay within the folders that it may speak of?

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The folders that a configuration may name paths in, resolved; it names nothing elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    folders: Vec<PathBuf>,
}

impl Bounds {
    /// These folders, and all that is below them.
    pub fn of<'p>(folders: impl IntoIterator<Item = &'p Path>) -> Self {
        Self { folders: folders.into_iter().filter_map(resolved).collect() }
    }

    /// Where a path leads once its symbolic links are followed, if that is within; `None` if it is not.
    pub fn within(&self, path: &Path) -> Option<PathBuf> {
        resolved(path).filter(|path| self.folders.iter().any(|folder| path.starts_with(folder)))
    }
}

/// The folder of the repository that a folder belongs to: the nearest one around it, or itself, that holds `.git` and has
/// the same owner. Another user's `.git` in a folder for all would open that folder.
pub fn repository(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let owner = |path: &Path| path.symlink_metadata().ok().map(|found| found.uid());
    let own = owner(&folder);
    let top = folder.ancestors().find(|around| around.join(".git").symlink_metadata().is_ok())?;
    (owner(top) == own && owner(&top.join(".git")) == own).then(|| top.to_owned())
}

/// A path without symbolic links, whose end need not exist; `None` where that cannot be told.
fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    for there in path.ancestors() {
        // A link that leads nowhere may lead anywhere once something is made there.
        if there.symlink_metadata().is_err() {
            continue;
        }
        let rest = path.strip_prefix(there).ok()?;
        let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
        let there = there.canonicalize().ok()?;
        return plain.then(|| if rest.as_os_str().is_empty() { there } else { there.join(rest) });
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_dots_are_followed_before_a_path_is_within() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink(&outside, inside.join("away")).unwrap();
        symlink(outside.join("later"), inside.join("nowhere")).unwrap();
        symlink("deep", inside.join("home")).unwrap();
        let bounds = Bounds::of([inside.as_path()]);
        for path in ["", "deep", "new/file", "home/file", "deep/../new"] {
            assert!(bounds.within(&inside.join(path)).is_some(), "{path}");
        }
        for path in ["..", "../out", "../in2", "away", "away/file", "nowhere", "nowhere/file", "new/../../out", "/etc"]
        {
            assert!(bounds.within(&inside.join(path)).is_none(), "{path}");
        }
    }

    #[test]
    fn a_repository_is_the_nearest_folder_with_git() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(repository(&folder), None);
        std::fs::create_dir(place.path().join("a/.git")).unwrap();
        assert_eq!(repository(&folder), Some(place.path().join("a").canonicalize().unwrap()));
    }
}
