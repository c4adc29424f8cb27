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
      responses: {\"200\": {headers: {Link: {schema: {type: string}}}}}
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
