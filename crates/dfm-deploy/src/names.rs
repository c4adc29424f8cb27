//! What is a site called where not every name is allowed?

/// The longest name of a site in Kubernetes: a federation's name and a hash beside it must stay a label.
const LONGEST: usize = 20;

/// As Kubernetes and compose take it; the chart's templates make the same one.
pub fn slug(name: &str) -> String {
    let mut slug: String = name.to_lowercase().replace(['_', '.', '@'], "-");
    slug.truncate(slug.char_indices().nth(LONGEST).map_or(slug.len(), |(end, _)| end));
    slug.trim_end_matches('-').to_owned()
}

/// A federation as compose takes it.
pub fn project(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(plain).collect::<String>().trim_start_matches(['-', '_']).to_owned()
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
    }
}
