//! Which registry of federations is meant?

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The registry's usual name.
pub const FILE_NAME: &str = "federations.yaml";

/// The path of the registry: the one asked for, that of the environment's `DFM_CONFIG`, the one in the nearest parent
/// folder that has one, or the user's own, which need not exist. Relative paths start at `here`.
pub fn find(asked: Option<&Path>, here: &Path, environment: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    asked_or_nearest(asked, here, &environment).unwrap_or_else(|| {
        let configuration = set(&environment, "XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let configuration = configuration.or_else(|| set(&environment, "HOME").map(|home| home.join(".config")));
        configuration.map_or_else(|| here.to_owned(), |folder| folder.join("dfm")).join(FILE_NAME)
    })
}

/// The same for a federation that begins: where only the user's own would be left, it gets one beside it, so that who has
/// its folder has what belongs to it.
pub fn find_for_new(asked: Option<&Path>, here: &Path, environment: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    asked_or_nearest(asked, here, &environment).unwrap_or_else(|| here.join(FILE_NAME))
}

fn asked_or_nearest(
    asked: Option<&Path>,
    here: &Path,
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let asked = asked.map(Path::to_owned).or_else(|| set(environment, "DFM_CONFIG")).map(|path| here.join(path));
    asked.or_else(|| here.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file()))
}

fn set(environment: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    environment(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wins_unless_another_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let deep = root.join("fed/configs");
        std::fs::create_dir_all(&deep).unwrap();
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/me"));
        assert_eq!(find(None, &deep, home), Path::new("/home/me/.config/dfm/federations.yaml"));
        assert_eq!(find_for_new(None, &deep, home), deep.join(FILE_NAME));
        std::fs::write(root.join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, &deep, home), root.join(FILE_NAME));
        assert_eq!(find_for_new(None, &deep, home), root.join(FILE_NAME));
        std::fs::write(root.join("fed").join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, &deep, home), root.join("fed").join(FILE_NAME));
        let environment = |name: &str| (name == "DFM_CONFIG").then(|| OsString::from("mine.yaml"));
        assert_eq!(find(None, &deep, environment), deep.join("mine.yaml"));
        assert_eq!(find(Some(Path::new("/x.yaml")), &deep, environment), Path::new("/x.yaml"));
        let xdg = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("/etc/me"));
        std::fs::remove_file(root.join("fed").join(FILE_NAME)).unwrap();
        std::fs::remove_file(root.join(FILE_NAME)).unwrap();
        assert_eq!(find(None, &deep, xdg), Path::new("/etc/me/dfm/federations.yaml"));
    }
}
