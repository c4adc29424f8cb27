//! How does a template become a file?

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value};

/// Every template, by the name it is included and rendered under.
const TEMPLATES: [(&str, &str); 22] = [
    ("docker/Dockerfile", include_str!("../templates/docker/Dockerfile")),
    ("docker/dockerignore", include_str!("../templates/docker/dockerignore")),
    ("docker/build_image.sh", include_str!("../templates/docker/build_image.sh")),
    ("docker/lock.py", include_str!("../templates/docker/lock.py")),
    ("docker/run.sh", include_str!("../templates/docker/run.sh")),
    ("docker/compose.yaml", include_str!("../templates/docker/compose.yaml")),
    ("helm/Chart.yaml", include_str!("../templates/helm/Chart.yaml")),
    ("helm/helmignore", include_str!("../templates/helm/helmignore")),
    ("helm/values.yaml", include_str!("../templates/helm/values.yaml")),
    ("helm/values.schema.json", include_str!("../templates/helm/values.schema.json")),
    ("helm/site.schema.json", include_str!("../templates/helm/site.schema.json")),
    ("helm/templates/_helpers.tpl", include_str!("../templates/helm/templates/_helpers.tpl")),
    ("helm/templates/serviceaccount.yaml", include_str!("../templates/helm/templates/serviceaccount.yaml")),
    ("helm/templates/services.yaml", include_str!("../templates/helm/templates/services.yaml")),
    ("helm/templates/ingress.yaml", include_str!("../templates/helm/templates/ingress.yaml")),
    ("helm/templates/statefulsets.yaml", include_str!("../templates/helm/templates/statefulsets.yaml")),
    ("helm/templates/networkpolicies.yaml", include_str!("../templates/helm/templates/networkpolicies.yaml")),
    ("helm/templates/direct.yaml", include_str!("../templates/helm/templates/direct.yaml")),
    ("helm/templates/extra.yaml", include_str!("../templates/helm/templates/extra.yaml")),
    ("helm/templates/tests/server.yaml", include_str!("../templates/helm/templates/tests/server.yaml")),
    ("helm/templates/NOTES.txt", include_str!("../templates/helm/templates/NOTES.txt")),
    ("helm/deploy.sh", include_str!("../templates/helm/deploy.sh")),
];

/// Renders a template. Its delimiters are `@{ }@`, `@% %@` and `@# #@`, which neither Helm nor a shell uses.
pub fn render(template: &str, context: &serde_json::Value) -> String {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters("@%", "%@")
        .variable_delimiters("@{", "}@")
        .comment_delimiters("@#", "#@")
        .keep_trailing_newline(true)
        .build();
    // The delimiters are constants and the templates are a part of this program: its tests render all of them.
    environment.set_syntax(syntax.expect("the delimiters differ"));
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("q", |text: String| quoted(&text));
    environment.add_filter("sh", |text: String| shell(&text));
    environment.add_filter("compose", |text: String| quoted(&text).replace('$', "$$"));
    environment.add_filter("docker", |text: String| quoted(&text).replace('$', "\\$"));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("a template of ours is valid");
    }
    let template = environment.get_template(template).expect("a template of ours is known");
    let text = template.render(Value::from(Serde(context)));
    text.expect("a template of ours needs nothing that it is not given")
}

/// A text in double quotes, for JSON and for YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text in single quotes, which means the same to every shell; words that need none get none.
pub fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
