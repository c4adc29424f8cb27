//! Does `dfm fed import openapi` show what it would write, write nothing unasked, and say what it leaves out and why?

mod common;

use common::World;

const CONFIG: &str = "\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: shop}
operations:
  own.Say: # ours
    returns: string
sites:
  home:
    interface: {\"#/operations/own.Say\": {adapter: shop.lib.Say, is-async: false}}
  store:
    info: {description: It calls.}
";

const DESCRIPTION: &str = "\
openapi: 3.0.3
info: {title: \"Pets: a shop\", version: \"1\"}
servers: [{url: \"https://pets.example/{v}\", variables: {v: {default: v1}}}]
security: [{key: []}, {}]
paths:
  /pets:
    get:
      operationId: listPets
      summary: All pets
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1}, description: How many}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: session, in: cookie, schema: {type: string}}
      responses:
        \"200\":
          headers: {Link: {schema: {type: string}}}
          content: {application/json: {schema: {type: array, items: {$ref: \"#/components/schemas/Pet\"}}}}
    post:
      operationId: create-pet
      requestBody: {required: true, content: {application/json: {schema: {$ref: \"#/components/schemas/new-pet\"}}}}
  /pets/{petId}:
    parameters: [{$ref: \"#/components/parameters/Id\"}]
    get: {operationId: class}
    put: {requestBody: {required: true, content: {application/octet-stream: {schema: {type: string}}}}}
    delete: {parameters: [{name: z, in: query, required: true, style: spaceDelimited, schema: {type: array}}]}
  /circle: {get: {parameters: [{$ref: \"#/components/parameters/A\"}]}}
  /elsewhere: {get: {parameters: [{$ref: \"other.yaml#/a\"}]}}
  /nowhere: {get: {parameters: [{$ref: \"#/components/b\"}]}}
  /{unsaid}: {get: {}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
  parameters:
    Id: {name: petId, in: path, required: true, schema: {type: integer}}
    A: {$ref: \"#/components/parameters/B\"}
    B: {$ref: \"#/components/parameters/A\"}
  schemas:
    Tag: {type: object, properties: {name: {type: string}}}
    Unused: {type: object}
    Pet: {type: object, required: [name], properties: {name: {type: string, nullable: true}}}
    new-pet: {type: object, properties: {tag: {$ref: \"#/components/schemas/Tag\"}, mother: {$ref: \"#/components/schemas/new-pet\"}}}
";

fn shop() -> World {
    let world = World::new();
    world.write("federations.yaml", "federations: {shop: {federation_dir: shop, config_path: f.dfm.yaml}}");
    world.write("shop/f.dfm.yaml", CONFIG);
    world.write("pets.yaml", DESCRIPTION);
    world
}

#[test]
fn unasked_it_only_shows() {
    let world = shop();
    insta::assert_snapshot!("import_openapi", world.dfm(".", "fed import openapi pets.yaml --site store").all());
    assert_eq!(world.read("shop/f.dfm.yaml"), CONFIG);
    assert!(!world.root().join("shop/pets.imported.yaml").exists());
}

#[test]
fn what_it_writes_is_a_configuration_and_writing_it_again_changes_nothing() {
    let world = shop();
    let words = "fed import openapi pets.yaml --site store --write --json";
    let document: serde_json::Value = serde_json::from_str(&world.dfm(".", words).stdout).unwrap();
    assert_eq!(document["changed"].as_array().unwrap().len(), 3, "{document}");
    assert_eq!(world.read("shop/f.dfm.yaml.before-dfm"), CONFIG);
    let checked = world.dfm(".", "fed check shop");
    assert!(checked.exit == 0 && checked.stderr.contains("nothing is wrong"), "{}", checked.all());
    let document: serde_json::Value = serde_json::from_str(&world.dfm(".", words).stdout).unwrap();
    assert_eq!(document["changed"], serde_json::json!([]));
    let one = world.dfm(".", "fed import openapi pets.yaml --site store --operation listPets --write");
    assert!(one.stderr.contains("imported 1 operation as"), "{}", one.all());
    assert!(!world.read("shop/pets.imported.yaml").contains("CreatePet"));
}

#[test]
fn what_cannot_be_taken_is_said_with_its_place() {
    let world = shop();
    world.write("old.yaml", "swagger: \"2.0\"\npaths: {}\n");
    world.write("none.json", "{\"openapi\": \"3.1.0\", \"paths\": {}}");
    world.write("broken.yaml", "openapi: 3.0.0\npaths: [\n");
    let mut said = String::new();
    for words in [
        "old.yaml --site store",
        "none.json --site store",
        "broken.yaml --site store",
        "missing.yaml --site store",
        "pets.yaml --site stoer",
        "pets.yaml --site store --operation listPet",
        "pets.yaml --site store --name class",
        "pets.yaml --site store -f shoop",
    ] {
        let ran = world.dfm(".", &format!("fed import openapi {words}"));
        assert_eq!(ran.exit, 2, "{}", ran.all());
        said += &format!("$ {words}\n{}\n", ran.stderr);
    }
    insta::assert_snapshot!("import_openapi_wrong", said);
}

/// An operation for each of these responses, in a description that says nothing of where it is.
fn answering(responses: &[&str]) -> String {
    let paths = responses.iter().enumerate().map(|(number, responses)| {
        format!("  /{number}: {{get: {{operationId: get{number}, responses: {{{responses}}}}}}}\n")
    });
    let schemas =
        "components:\n  schemas:\n    Pet: {type: object, properties: {name: {type: string, nullable: true}}}\n";
    format!("openapi: 3.0.3\npaths:\n{}{schemas}", paths.collect::<String>())
}

#[test]
fn results_are_of_the_schema_of_all_good_answers_where_that_can_be_said() {
    let json = |schema: &str| format!("{{content: {{application/json: {{schema: {schema}}}}}}}");
    let pet = "{$ref: \"#/components/schemas/Pet\"}";
    let cases = [
        (format!("\"200\": {}, \"404\": {}", json(pet), json("{type: string}")), true),
        (format!("\"200\": {}, \"201\": {}", json(pet), json(pet)), true),
        (format!("\"201\": {}", json(&format!("{{type: array, items: {pet}}}"))), true),
        (format!("\"200\": {}", json("{type: integer}")), true),
        (format!("\"200\": {}, \"201\": {}", json(pet), json("{type: string}")), false),
        (format!("\"200\": {}, \"204\": {{description: none}}", json(pet)), false),
        ("\"200\": {content: {text/plain: {schema: {type: string}}}}".to_owned(), false),
        (format!("\"200\": {}", json("{}")), false),
        (format!("\"200\": {}", json("{type: string, nullable: true}")), false),
        (format!("\"200\": {}", json("{type: strin}")), false),
        (format!("\"200\": {}", json("{$ref: \"#/components/schemas/None\"}")), false),
        (format!("default: {}", json(pet)), false),
    ];
    let world = shop();
    let responses: Vec<&str> = cases.iter().map(|(responses, _)| responses.as_str()).collect();
    world.write("pets.yaml", &format!("{}servers: [{{url: https://pets.example}}]\n", answering(&responses)));
    let ran = world.dfm(".", "fed import openapi pets.yaml --site store --write");
    assert_eq!(ran.exit, 0, "{}", ran.all());
    let written = world.read("shop/pets.imported.yaml");
    let returns: Vec<&str> = written.lines().filter(|line| line.contains("returns:")).collect();
    for ((responses, typed), line) in cases.iter().zip(&returns) {
        assert_eq!(line.contains("$ref"), *typed, "{responses}: {line}");
        assert!(*typed || *line == "    returns: object");
    }
    assert!(written.contains("  Pet: {$ref: \"pets.openapi.yaml#/components/schemas/Pet\"}"), "{written}");
    let checked = world.dfm(".", "fed check shop");
    assert!(checked.exit == 0 && checked.stderr.contains("nothing is wrong"), "{}", checked.all());
    assert_eq!(world.dfm(".", "fed gen code shop").exit, 0);
    let code = world.read("shop/fed/api/pets.py");
    assert!(code.contains("class Get0(Operation[Pet]") && code.contains("class Get3(Operation[int]"), "{code}");
}

#[test]
fn a_description_that_says_no_address_leaves_one_that_a_check_refuses() {
    let world = shop();
    world.write("pets.yaml", &answering(&[""]));
    let ran = world.dfm(".", "fed import openapi pets.yaml --site store --write");
    assert!(ran.exit == 0 && ran.stderr.contains("warning[openapi-no-address]"), "{}", ran.all());
    insta::assert_snapshot!("no_address", world.dfm(".", "fed check shop").all());
    let config = world.read("shop/f.dfm.yaml");
    for (address, exit) in [("https://", 2), ("ftp://x.example", 2), ("http://x.example/v1", 0)] {
        world.write("shop/f.dfm.yaml", &config.replace("address: \"\"", &format!("address: \"{address}\"")));
        assert_eq!(world.dfm(".", "fed check shop").exit, exit, "{address}");
    }
}
