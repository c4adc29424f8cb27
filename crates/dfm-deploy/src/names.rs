//! What are a federation and its sites called where not every name is allowed?

/// The longest name of a site in Kubernetes: a federation's name and a hash beside it must stay a label.
const LONGEST: usize = 20;

/// As Kubernetes and compose take it; the chart's templates make the same one.
pub fn slug(name: &str) -> String {
    let mut slug: String = name.to_lowercase().replace(['_', '.', '@'], "-");
    slug.truncate(slug.char_indices().nth(LONGEST).map_or(slug.len(), |(end, _)| end));
    slug.trim_end_matches('-').to_owned()
}

/// The longest name of a federation in Kubernetes, for the same reason.
const LONGEST_FEDERATION: usize = 30;

/// A federation as containers and clusters take it: compose's project, and the namespace and release of its chart.
/// `name` is the one in the registry, where no two are the same.
pub fn container_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = name.chars().map(plain).collect();
    let label = label.trim_matches('-');
    let mut label =
        if label.starts_with(|c: char| c.is_ascii_lowercase()) { label.to_owned() } else { format!("fed-{label}") };
    label.truncate(LONGEST_FEDERATION);
    label.trim_end_matches('-').to_owned()
}

/// The port of the server that provisioning makes up for a federation without a project: the same for ever, and most
/// likely another one for each federation. Between NVFlare's usual ports and those that systems give away.
pub fn port(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    20_000 + (hash % 10_000) as u16
}

/// As a part of an environment variable's name.
pub fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_tools_take() {
        assert_eq!(
            (slug("North_Sea.2"), variable("North-Sea.2")),
            ("north-sea-2".to_owned(), "NORTH_SEA_2".to_owned())
        );
        assert_eq!(slug("a_very_long_name_of_x_site"), "a-very-long-name-of");
        assert_eq!(container_name("My_Federation.2"), "my-federation-2");
        assert_eq!((container_name("2nd"), container_name("-ü-")), ("fed-2nd".to_owned(), "fed".to_owned()));
        assert_eq!(container_name("a_very_long_name_of_a_federation"), "a-very-long-name-of-a-federati");
    }

    #[test]
    fn federations_without_a_project_have_ports_of_their_own() {
        assert_eq!((port("orchard"), port("meadow")), (20_620, 24_880));
    }
}
