//! What does each diagnostic's code mean, what brings it about, and what is to be done?
//!
//! `dfm explain` prints it, and the reference is made of it.

/// What there is to know of a code.
#[derive(Debug)]
pub struct Code {
    /// As diagnostics have it; it keeps its meaning.
    pub code: &'static str,
    /// What is wrong.
    pub meaning: &'static str,
    /// What brings it about.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

const fn code(code: &'static str, meaning: &'static str, example: &'static str, remedy: &'static str) -> Code {
    Code { code, meaning, example, remedy }
}

/// Every code, by name.
pub static CODES: &[Code] = &[
    code(
        "adapter-annotation",
        "The adapter's `body` says of an argument that it is of another type than the operation's parameter, or the constant, that it gets.",
        "`def body(self, city: int)` with `parameters: {city: {type: string}}`",
        "Write the type that is delivered in `body`, or mend the operation's parameter.",
    ),
    code(
        "adapter-constructor",
        "The constructor of an adapter does not take what the binding's `adapter: {path, args}` gives, or needs more.",
        "`adapter: {path: shop.lib.Count, args: {unit: kg}}` where `Count.__init__(self, site)` has no `unit`",
        "Give the constructor these arguments by keyword, or correct `args` at the place shown.",
    ),
    code(
        "adapter-is-async",
        "`is-async` says that `body` is a coroutine and it is not, or the other way round.",
        "`def body(self)` in a binding without `is-async: false`",
        "Write `async def body`, or `is-async: false` in the binding.",
    ),
    code(
        "adapter-missing-argument",
        "The adapter's `body` needs an argument that the binding does not give.",
        "`def body(self, words, tone)` with `args: {words: {from-param: words}}`",
        "Add the argument under the binding's `args`, or give it a default in `body`.",
    ),
    code(
        "adapter-not-importable",
        "The module of an adapter's class cannot be imported, or has no such class.",
        "`adapter: shop.lib.Grete` where the class is `Greet`",
        "Correct the path, or mend what the import raises; install missing packages into the environment beside `dfm`.",
    ),
    code(
        "adapter-optional-argument",
        "The adapter's `body` needs an argument that a call may lack, as its parameter is optional and has no default.",
        "`def body(self, city, days)` where `required` names `city` alone and `days` has no `default`",
        "Name the parameter in `required`, give it a `default`, or give the argument one in `body`.",
    ),
    code(
        "adapter-unknown-argument",
        "The binding gives the adapter's `body` an argument that it does not take.",
        "`args: {wordz: {from-param: words}}`",
        "Correct the argument's name, or add it to `body`.",
    ),
    code(
        "adapter-without-body",
        "The adapter's class has no method `body`.",
        "`class Greet: pass`",
        "Write `body`, which gets the binding's `args`.",
    ),
    code(
        "check-no-configuration",
        "What is to be checked is neither a federation's name nor the path of a `.dfm.yaml`.",
        "`dfm fed check shop/patch.yaml`",
        "Name a file that exists and ends in `.dfm.yaml`, or one of the federations of `dfm fed config list-all`.",
    ),
    code(
        "check-not-offered",
        "An operation is declared, and no site offers it.",
        "`operations: {records.Sum: …}` without `\"#/operations/records.Sum\"` in an `interface`",
        "Bind it at a site or a provider, or take it out.",
    ),
    code(
        "check-python",
        "Python cannot be asked about the adapters.",
        "the Python beside `dfm` ends before it answers",
        "Read the message; `dfm doctor` says which Python is used and what it lacks.",
    ),
    code(
        "check-python-of-site",
        "The Python that a site's `python` names is not on this machine.",
        "`python: ../north/bin/python`, checked where that environment was not made",
        "Make that environment with dfm in it, or check where it is; all else is checked all the same.",
    ),
    code(
        "check-timeout",
        "The time for importing a class is not a number of seconds above 0.",
        "`dfm fed check shop --adapters --import-timeout 0`",
        "Give a number of seconds above 0.",
    ),
    code(
        "class-constructor",
        "The constructor of a site's, provider's or vault's class does not take what `args` gives, or needs more.",
        "`impl: {path: shop.lib.Office, args: {flor: 2}}`",
        "Correct `args`, or the constructor.",
    ),
    code(
        "class-not-importable",
        "The class of a site, provider or vault cannot be imported.",
        "`impl: shop.lib.Ofice`",
        "Correct the path, or mend what the import raises.",
    ),
    code(
        "completion-home",
        "`HOME` is not set, so there is no place for a shell's completion.",
        "`env -u HOME dfm completion setup`",
        "Set `HOME`.",
    ),
    code(
        "completion-not-read",
        "A file that completion is set up in cannot be read.",
        "`~/.bashrc` belongs to somebody else",
        "Mend the file's permissions.",
    ),
    code(
        "completion-not-written",
        "A file that completion is set up in cannot be written.",
        "a home folder that is read-only",
        "Mend the permissions, or use `dfm completion generate` and keep its output yourself.",
    ),
    code(
        "completion-shell",
        "`SHELL` names no shell that dfm can complete in.",
        "`SHELL=/bin/dash dfm completion setup`",
        "Say which: `--shell bash`, `zsh` or `fish`.",
    ),
    code(
        "config-argument-source",
        "An adapter's argument has no source or more than one.",
        "`args: {words: {from-param: words, const: 1}}`",
        "Keep exactly one of `from-param`, `from-secrets`, `const`, `from-provider` and `from-site`.",
    ),
    code(
        "config-bad-ref",
        "A `$ref` is no text or list of texts, or leads to nothing, or to something that cannot stand there.",
        "`$ref: \"#/schemas/Poitn\"`",
        "Write `\"file.yaml#/json/pointer\"`, and see that the pointer's keys exist.",
    ),
    code(
        "config-cache-group",
        "A group of a site's cache has nobody in it, or a user who is in another one.",
        "`groups: {study: [ann@x], trial: [ann@x]}`",
        "Put each user into one group of a site's cache, or make one group of two.",
    ),
    code(
        "config-duplicate-key",
        "A key stands twice in one dictionary, perhaps in its other spelling.",
        "`is-async: true` and `is_async: true`",
        "Remove one of them.",
    ),
    code(
        "config-empty-file",
        "A file has nothing but comments or blanks.",
        "an empty `shop.dfm.yaml`",
        "Write the configuration, or name another file; `dfm fed init` writes one to begin with.",
    ),
    code(
        "config-invalid-name",
        "A name cannot be what it has to become, mostly a Python name.",
        "`operations: {\"hello.my-op\": …}`",
        "Use letters, digits and `_`, beginning with a letter, and no word of Python's own.",
    ),
    code(
        "config-literal-secret",
        "A password or token stands in the configuration itself.",
        "`password: hunter2`",
        "Take it from the environment with `$NAME`, or from the site's vault with `from-secrets`; then change the secret, for it has been written down.",
    ),
    code(
        "config-many-faults",
        "There are more faults than are shown.",
        "a file with hundreds of them",
        "Mend the first ones, and check again.",
    ),
    code(
        "config-missing-file",
        "A file does not exist.",
        "`$ref: \"parts.yaml#/sites\"` without `parts.yaml`",
        "Create it, or correct the path, which begins at the folder of the file that names it.",
    ),
    code(
        "config-missing-key",
        "A key that is needed is not there.",
        "`info: {code-package: shop}` without `api-version`",
        "Add the key; the message says what it is.",
    ),
    code(
        "config-name-clash",
        "Two things would have the same name in generated code or in deployment files.",
        "`expose-as: {param: words}` where the operation has `words` already",
        "Give one of them another name.",
    ),
    code(
        "config-no-address",
        "A provider of HTTP operations does not say where their interface is, or in a form that no request can use.",
        "`info: {address: \"\"}` at a provider whose adapters are `dfm.http.Call`",
        "Write the address that the description's paths begin with, such as `https://pets.example/v1`.",
    ),
    code(
        "config-not-checked",
        "A keyword of a schema is kept but not checked when values arrive.",
        "`if: {…}` in a schema of objects",
        "Nothing, if that is meant; otherwise say it with keywords that are checked, as the page on schemas lists them.",
    ),
    code("config-not-utf8", "A file is not UTF-8.", "a file saved as Latin-1", "Save it as UTF-8."),
    code(
        "config-not-yaml",
        "A file is not YAML.",
        "`description: a colon: here`",
        "Mend the line shown; texts with `:` or `#` need quotes.",
    ),
    code(
        "config-outside-file",
        "A `$ref` leads to a file outside of the federation's folder and of the repository around it.",
        "`$ref: \"/etc/passwd#/x\"`",
        "Move the file, or allow its folder with `--allow-refs DIR`.",
    ),
    code(
        "config-ref-base",
        "A path begins where it seems not to be meant.",
        "`$ref: \"configs/parts.yaml#/x\"` in `configs/shop.dfm.yaml`",
        "Write the path from the folder of the file that it stands in, as the help shows.",
    ),
    code(
        "config-ref-cycle",
        "References lead to each other in a circle.",
        "`A: {$ref: \"#/schemas/B\"}` and `B: {$ref: \"#/schemas/A\"}`",
        "Let one of them say what it is.",
    ),
    code("config-too-deep", "Values lie too deep in each other.", "a thousand `[` in a row", "Make the file flatter."),
    code(
        "config-too-large",
        "A configuration is too large, or its aliases or references multiply to too much.",
        "an alias of ten aliases of ten aliases …",
        "Write fewer files or values, and no references to references that multiply.",
    ),
    code(
        "config-unknown-key",
        "A dictionary has no such key.",
        "`adaptor: shop.lib.Greet`",
        "Correct the spelling; the help names the nearest key. The reference of the configuration has all of them.",
    ),
    code(
        "config-unknown-operation",
        "A binding is not of an operation of this configuration.",
        "`interface: {\"#/operations/hello.Gret\": …}`",
        "Correct the name, or add the operation.",
    ),
    code(
        "config-unknown-parameter",
        "A parameter is named that the operation does not have.",
        "`required: [wrods]`",
        "Correct the name, or add the parameter.",
    ),
    code(
        "config-unknown-property",
        "A site's or provider's object has no such property, as far as its class tells.",
        "`from-site: cache_dir` at a site without an `impl`",
        "Give the site a class with the property, or name another one.",
    ),
    code(
        "config-unknown-provider",
        "The site has no such provider.",
        "`from-provider: sensor.unit` where `providers` has no `sensor`",
        "Correct the name, or add the provider.",
    ),
    code(
        "config-unknown-site",
        "There is no such site.",
        "`send_cost: {offce: …}`",
        "Correct the name; the help has the nearest.",
    ),
    code(
        "config-unknown-tag",
        "YAML's tag means nothing here.",
        "`const: !decimal 1.5`",
        "Remove the tag, and write the value in quotes if it is a text.",
    ),
    code(
        "config-unknown-type",
        "A `type` is no type of JSON Schema and no class's dotted path.",
        "`type: strng`",
        "Write `string`, `number`, `integer`, `boolean`, `object`, `array` or `null`, or the path of a class.",
    ),
    code(
        "config-unquoted-reference",
        "A reference to an operation is not in quotes, so that YAML takes its line for a comment.",
        "`#/operations/records.Sum: {adapter: sales.lib.Sum}`",
        "Write it in quotes: `\"#/operations/records.Sum\": …`.",
    ),
    code(
        "config-unreachable-url",
        "A URL that a `$ref` leads to cannot be read.",
        "`$ref: \"https://example.org/x.yaml#/a\"` without a network",
        "See whether the address is right and answers; keep a copy in the repository.",
    ),
    code(
        "config-unreadable-file",
        "A file exists and cannot be read.",
        "a file without permission to read",
        "Mend its permissions.",
    ),
    code(
        "config-unused-key",
        "A key has no effect where it stands.",
        "`state: {base_path: /data}` without `on-disk: true`",
        "Remove it, or add what gives it an effect, as the help says.",
    ),
    code(
        "config-unused-parameter",
        "An operation requires a parameter that the site's adapter never gets.",
        "`required: [tone]` with a binding whose `args` leave `tone` out",
        "Give it to the adapter under `args`, or do not require it.",
    ),
    code(
        "config-url-ref",
        "A `$ref` leads to the network, which dfm does not read unasked.",
        "`$ref: \"https://example.org/x.yaml#/a\"`",
        "Keep a copy beside the configuration, or allow it with `--allow-url-refs`.",
    ),
    code(
        "config-variable",
        "A text looks like a variable, and dfm replaces none.",
        "`const: ${HOME}`",
        "Write the value; a secret goes into the site's vault and comes with `from-secrets`.",
    ),
    code(
        "config-wrong-constant",
        "A binding's constant is not a value that the parameter may have.",
        "`const: 9` for `maximum: 5`",
        "Give a value that fits, or let users give one with `expose-as`.",
    ),
    code(
        "config-wrong-default",
        "A default is not a value that the parameter may have.",
        "`{type: integer, default: three}`",
        "Give a default that fits, or another type.",
    ),
    code(
        "config-wrong-type",
        "A value is of another type than is wanted there.",
        "`sites: [office, store]`",
        "Write what the message expects.",
    ),
    code(
        "config-wrong-value",
        "A value has the right type and is not one of those that are possible.",
        "`api-version: 1.0`",
        "Write what the message expects, such as `1.0.0`.",
    ),
    code(
        "config-wrong-version",
        "The file is of a version of the format that this dfm does not read.",
        "`dfm: 2.0.0`",
        "Write a version that the message names, or install a dfm that reads this one.",
    ),
    code(
        "deploy-direct-port",
        "Direct connections and NVFlare's server would have the same port.",
        "`direct: {server: {host: fed.example.org, ports: 8000-8007}}` beside `fed_learn_port: 8002`",
        "Write other `ports`, or another port into the NVFlare project.",
    ),
    code(
        "deploy-existing-files",
        "Files would change that may have been changed by hand, so nothing has been written.",
        "`dfm fed gen helm shop` for the second time, after a change",
        "Keep your changes elsewhere, or replace the files with `--force`.",
    ),
    code(
        "deploy-files",
        "A deployment file cannot be read or written.",
        "a folder without permission",
        "Mend what is there, or its permissions.",
    ),
    code(
        "deploy-missing-keys",
        "`provision.docker` or `provision.helm` lacks what files are generated from.",
        "`provision: {docker: {image: shop}}` without a tag",
        "Add the lines that the help shows.",
    ),
    code(
        "deploy-no-section",
        "The configuration does not say what to generate.",
        "`dfm fed gen docker shop` without `provision.docker`",
        "Add the lines that the help shows.",
    ),
    code(
        "deploy-odd-text",
        "A path, a registry or a name has letters in it that scripts would take for more than a text.",
        "`dockerfile: deploy/$(id)/Dockerfile`",
        "Write it with what the message lists, and call folders and sites so.",
    ),
    code(
        "deploy-outside-context",
        "The folder that the image is built from does not hold what goes into it.",
        "`build: {context: docs}`",
        "Let `context` be a folder that holds the federation's package.",
    ),
    code(
        "deploy-outside-folder",
        "A file would be written outside of the federation's folder.",
        "`dockerfile: ../../Dockerfile`",
        "Name a place inside, or say `--allow-outside`.",
    ),
    code(
        "deploy-path-base",
        "A path begins where it seems not to be meant.",
        "`context: shop` in a folder `shop`",
        "Write the path from the federation's folder, as the help shows.",
    ),
    code(
        "deploy-same-image",
        "Two federations' images have the same name and tag.",
        "two federations with `image: dfm, tag: latest`",
        "Name one of them differently: the one that is built last replaces the other.",
    ),
    code(
        "deploy-same-name",
        "Two federations have the same name in containers and clusters, where fewer letters are possible.",
        "`my_shop` and `my-shop`",
        "Register one of them under another name with `dfm fed config set`.",
    ),
    code(
        "deploy-same-port",
        "Two federations' servers listen on the same port.",
        "two projects with `fed_learn_port: 8002`",
        "Give one another port in its project and provision it again, if they run on one machine.",
    ),
    code(
        "deploy-servers",
        "The NVFlare project has no server, or several.",
        "two participants of `type: server`",
        "Give it exactly one.",
    ),
    code(
        "explain-unknown-code",
        "No problem has this code.",
        "`dfm explain config-unknown-kye`",
        "Copy what stands in brackets before the problem's text.",
    ),
    code(
        "flare-broken",
        "NVIDIA FLARE's process ended without an answer.",
        "a package of its own that cannot be imported",
        "Read the last line that it said; `dfm doctor` says what is missing.",
    ),
    code(
        "flare-not-installed",
        "NVIDIA FLARE is not installed in the environment beside `dfm`.",
        "`dfm poc start` after `pip install data-federation-mesh`",
        "Run `pip install 'data-federation-mesh[flare]'`.",
    ),
    code(
        "flare-project",
        "The NVFlare project, or what was asked with it, is wrong.",
        "a `project.yaml` without a server",
        "Mend what the message names.",
    ),
    code(
        "flare-refused",
        "NVIDIA FLARE did not do what was asked.",
        "a server that is not reachable",
        "Read the message: it says who refused what; `dfm poc status` says what runs.",
    ),
    code(
        "gen-code-files",
        "Generated code cannot be written or removed.",
        "a folder without permission",
        "Mend the permissions, or use `--output-dir`.",
    ),
    code(
        "gen-code-foreign-file",
        "A file that dfm did not write stands where it would write one.",
        "a `fed/__init__.py` of your own",
        "Move it, delete it if another tool generated it, or use `--output-dir`.",
    ),
    code(
        "gen-code-none-and-site",
        "`--runtime-site` is `none` and a site at the same time.",
        "`--runtime-site none --runtime-site office`",
        "Give `none` alone, or only sites.",
    ),
    code(
        "gen-code-outside",
        "A symbolic link leads a generated file out of the folder that code is generated in.",
        "a package's folder `fed` that is a link to another folder",
        "Remove the link, or use `--output-dir`.",
    ),
    code(
        "gen-code-stale",
        "The generated code is not what the configuration says now.",
        "`dfm fed gen code shop --check` after a change",
        "Run `dfm fed gen code` with the same options.",
    ),
    code(
        "gen-code-unknown-site",
        "The federation has no such site.",
        "`--runtime-site offce`",
        "Correct the name; the help has the nearest.",
    ),
    code(
        "import-files",
        "A file of an import cannot be read or written.",
        "a configuration without permission",
        "Mend its permissions.",
    ),
    code(
        "import-invalid-name",
        "What is imported cannot become a Python module of this name.",
        "`--name my-pets`",
        "Give a name of letters, digits and `_`.",
    ),
    code(
        "import-unknown-site",
        "The federation has no such site.",
        "`--site offce`",
        "Correct the name; the help has the nearest.",
    ),
    code(
        "import-which",
        "There is more than one federation.",
        "`dfm fed import openapi pets.yaml --site store` with two federations",
        "Add `-f NAME`.",
    ),
    code(
        "init-exists",
        "The folder for the new federation exists already.",
        "`dfm fed init shop` twice",
        "Choose another name, or register what is there with `dfm fed config set`.",
    ),
    code(
        "init-files",
        "The new federation cannot be written.",
        "a folder without permission",
        "Mend the permissions, then run it again.",
    ),
    code(
        "init-invalid-name",
        "The name cannot be that of a Python package, or hides one.",
        "`dfm fed init json`",
        "Choose a name that begins with a letter and is neither a word of Python's nor a module that is installed.",
    ),
    code(
        "init-known-federation",
        "There is a federation of this name already.",
        "`dfm fed init shop` elsewhere for the second time",
        "Choose another name, or forget that one with `dfm fed config delete`.",
    ),
    code(
        "jobs-no-record",
        "There is no record of this job, or none that this dfm can read.",
        "`dfm jobs trace shop a1b2c3d4-1` where `dfm jobs list shop` has no such job",
        "Take an id that `dfm jobs list` has; the oldest records go first, and `DFM_HISTORY=0` keeps none.",
    ),
    code(
        "jobs-not-left",
        "The job's application is still there, and gets the results itself.",
        "`dfm jobs results shop ID` while its program runs",
        "Wait until the application has ended, or ask it.",
    ),
    code(
        "jobs-not-started",
        "A process cannot be started.",
        "a machine without free processes",
        "Read the message; free what it lacks.",
    ),
    code(
        "jobs-not-written",
        "A drawing or a trace of a job cannot be written where it should be.",
        "`dfm jobs trace shop ID --svg file.svg/job.svg`",
        "Name a file in a folder that you may write in.",
    ),
    code(
        "jobs-over",
        "The job has ended, so that it cannot be cancelled.",
        "`dfm jobs cancel shop ID` of one that `dfm jobs list shop` has as finished",
        "There is nothing to do; `dfm jobs show` says how it ended.",
    ),
    code(
        "jobs-timeout",
        "The time limit is not a number of seconds from 0 on.",
        "`--timeout -1`",
        "Give a number of seconds.",
    ),
    code(
        "migrate-engine",
        "Something of another engine is used that dfm does not have.",
        "`from nv_dfm_core.exec import NetRunner`",
        "Adapters and applications need none of it; see the page on moving.",
    ),
    code(
        "migrate-files",
        "A file cannot be read or changed.",
        "`dfm migrate nowhere.py`",
        "Name a file or folder that may be read and changed.",
    ),
    code(
        "migrate-finished",
        "A job's end is compared with `FINISHED`, which a job with errors is not here.",
        "`if job.get_status() is JobStatus.FINISHED`",
        "See whether `FAILED` should be taken too; `job.errors` has the errors.",
    ),
    code(
        "migrate-no-module",
        "A module is imported that dfm does not have.",
        "`import nv_dfm_core.gen.irgen`",
        "Do without it; the page on moving says what takes its place.",
    ),
    code(
        "migrate-private",
        "A private part of the other package is used.",
        "`from nv_dfm_core._x import y`",
        "Use what is public; the page on moving has the names.",
    ),
    code(
        "migrate-requirement",
        "A requirement says of `nv-dfm-core` what does not hold for dfm: an extra, or where it comes from.",
        "`nv-dfm-core = { git = \"https://pets.example/mesh\" }`",
        "Take it out, or say it of `data-federation-mesh`.",
    ),
    code("openapi-empty", "The OpenAPI description is empty.", "an empty file", "Name the right file."),
    code(
        "openapi-left-out",
        "Something of an OpenAPI description is left out, because dfm cannot offer it.",
        "an operation that takes `application/xml` alone",
        "Nothing, if it is not needed; otherwise write an adapter for it.",
    ),
    code(
        "openapi-no-address",
        "The description does not say where the interface is.",
        "no `servers`",
        "Write it at the provider, as `address` of its `info`; until then that is empty, which `dfm fed check` refuses.",
    ),
    code(
        "openapi-no-operations",
        "No operation can be taken from the description.",
        "no `paths`, or none with an `operationId` that is wanted",
        "Name another description, or other operations.",
    ),
    code(
        "openapi-not-read",
        "The description cannot be read.",
        "`dfm fed import openapi https://example.org/no.yaml …`",
        "See whether the file or address is right.",
    ),
    code(
        "openapi-unknown-operation",
        "The description has no such operation.",
        "`--operation listPet`",
        "Correct the `operationId`; the help has the nearest.",
    ),
    code(
        "openapi-wrong-version",
        "The description is not of OpenAPI 3.",
        "`swagger: \"2.0\"`",
        "Have its tools convert it, as `swagger2openapi` does.",
    ),
    code(
        "plan-advise",
        "`Advise()` stands where it cannot be answered.",
        "`GreetMe(names=[Advise()])`",
        "Give it as a whole parameter of an operation, in a pipeline for discovery.",
    ),
    code(
        "plan-api-version",
        "The pipeline was built with code of another major version of the API.",
        "a saved pipeline of `1.x`, for a federation of `2.0.0`",
        "Generate the code again with `dfm fed gen code`, and build the pipeline anew.",
    ),
    code(
        "plan-block",
        "A statement of a block stands where it cannot.",
        "an `otherwise` that follows no `If`",
        "Write pipelines with `dfm.api`, which places them rightly.",
    ),
    code(
        "plan-cache",
        "A cache of a pipeline is not looked up and written as it has to be.",
        "a `TryFromCache` whose body has no `WriteToCache`",
        "Write one node's result to the cache, once, in the body of its `TryFromCache`.",
    ),
    code(
        "plan-collect",
        "What is collected is not made once for each element of the block beside it.",
        "`x.collect(node)` inside the loop",
        "Collect a node of the loop's body, in the block around the loop; inner collections one by one.",
    ),
    code(
        "plan-cycle",
        "Nodes wait for each other.",
        "`a` after `b`, and `b` after `a`",
        "Remove one of these dependencies.",
    ),
    code(
        "plan-duplicate-node",
        "Two nodes have the same id.",
        "a saved pipeline that was changed by hand",
        "Give each node an id of its own.",
    ),
    code(
        "plan-each-site",
        "An `EachSite` is used where it cannot be.",
        "`station.collect(x)` with an `x` that is not of its body",
        "Collect a node of its body, after it.",
    ),
    code(
        "plan-fed-info",
        "`fed_info.json` is not what this dfm's code generator writes.",
        "a package generated by another version of dfm",
        "Run `dfm fed gen code`.",
    ),
    code(
        "plan-format",
        "The file is no pipeline, or of a version that this dfm does not read.",
        "`dfm fed plan shop notes.json`",
        "Save it again with `pipeline.save_to_file`, by a dfm that reads it.",
    ),
    code(
        "plan-if-as-input",
        "A node depends on an `If`, which has no result.",
        "`after=[test]` with `with If(…) as test`",
        "Depend on the nodes of its condition.",
    ),
    code("plan-key", "A dictionary's key is made by the run.", "`{node: 1}` as an argument", "Give keys as literals."),
    code(
        "plan-limits",
        "A `Retry` or a timeout is out of bounds.",
        "`timeout=-1`",
        "Give numbers as the message says.",
    ),
    code(
        "plan-meets",
        "A saved plan has parts of an aggregation meet where they cannot.",
        "`\"meets\": [{\"site\": \"north\", \"of\": [\"east\", \"west\"]}]` where `north` no longer offers the operation",
        "Plan the pipeline that it was saved from again.",
    ),
    code(
        "plan-missing-parameter",
        "An operation needs a parameter that is not given.",
        "`GreetMe(site=\"office\")` without `name`",
        "Give it.",
    ),
    code(
        "plan-mode",
        "A pipeline is for executing or for discovering, and this is for neither.",
        "`mode=\"dry\"`",
        "Build it with `Pipeline(…)`, or with `Pipeline(mode=\"discovery\")`.",
    ),
    code("plan-no-file", "The pipeline's file cannot be read.", "`dfm fed plan shop nowhere.py`", "Correct the path."),
    code(
        "plan-not-available",
        "The pipeline has a statement that this dfm does not know.",
        "a pipeline saved by a newer dfm",
        "Install a dfm that is at least as new as the one that saved it.",
    ),
    code(
        "plan-not-offered",
        "No site that may be used offers the operation like this.",
        "`GreetMe(site=\"store\")` where only `office` binds it",
        "Name one of the sites of the help, or bind the operation there.",
    ),
    code(
        "plan-not-written",
        "A plan or a picture cannot be written.",
        "`--svg /nowhere/plan.svg`",
        "Name a folder that is there and can be written.",
    ),
    code(
        "plan-other-federation",
        "The pipeline is for another federation.",
        "a pipeline built with `shop`, submitted to `store`",
        "Submit it to its own federation.",
    ),
    code(
        "plan-out-of-block",
        "A node is used outside of the block that makes it.",
        "a `Yield` after a `ForEach`, of a node in it",
        "Collect it: `x.collect(node)`.",
    ),
    code(
        "plan-place-reused",
        "A place is used more than once.",
        "two `Yield(…, place=\"result\")`",
        "Use it once, or let every use say `multiuse=True`.",
    ),
    code(
        "plan-place-shared",
        "A place takes a parameter and a result.",
        "`PlaceParam(\"x\")` and `Yield(…, place=\"x\")`",
        "Give one of them another name.",
    ),
    code(
        "plan-policy",
        "A site's policy lets a value not leave that the pipeline would have leave, or there is no such site.",
        "`dfm fed plan shop p.py --policy-of hospital=policy.yaml`, of a pipeline that returns records",
        "Change what the pipeline has leave that site, or ask who answers for its data; correct the site's name.",
    ),
    code(
        "plan-repeat",
        "The body of a `Repeat` does not say what goes into its next round, or `at_most` is out of bounds.",
        "`with Repeat(…) as rounds:` without `rounds.next(…)`",
        "Call `rounds.next(…)` once in the body.",
    ),
    code(
        "plan-restricted",
        "A node has to be at a site that the session's restriction excludes.",
        "`restrict_to_sites=[\"office\"]` with a node at `store`",
        "Allow the site, or place the node elsewhere.",
    ),
    code(
        "plan-secure-sum",
        "A `SecureSum` or `SecureMean` has terms on which nothing would stay hidden, no sum could be counted, or adds what sites refuse.",
        "`SecureSum(here, count, bound=1e12, precision=1e-9)`, or `EachSite(at_least=2)` with four sites",
        "Let more than half of the sites suffice, give a bound and a precision that numbers have, and add what an operation makes at each site.",
    ),
    code(
        "plan-store-as-input",
        "A node depends on what writes to a cache, which has no result.",
        "`after=[WriteToCache(…)]`",
        "Depend on the `TryFromCache`, outside of its body.",
    ),
    code(
        "plan-too-many-inputs",
        "A node has too many inputs.",
        "an argument with a list of thousands of nodes",
        "Gather them through operations in between, or through a `ForEach`.",
    ),
    code(
        "plan-type",
        "A node's result can never be what the parameter that it is given to takes.",
        "`Total(numbers=greeting)` where `greeting` is a text and `numbers` a list",
        "Give it another node or one of its fields, or correct the types in the configuration.",
    ),
    code(
        "plan-unknown-node",
        "A node is named that the pipeline does not have.",
        "a saved pipeline that was changed by hand",
        "Build it again with `dfm.api`.",
    ),
    code(
        "plan-unknown-operation",
        "The federation has no such operation.",
        "an operation of generated code that is older than the configuration",
        "Run `dfm fed gen code`; the help has the nearest name.",
    ),
    code(
        "plan-unknown-parameter",
        "The operation takes no such parameter there.",
        "a parameter that only another site's binding adds",
        "Leave it out, or name one of the sites that take it.",
    ),
    code(
        "plan-unknown-provider",
        "The site has no such provider for the operation.",
        "`provider=\"sensr\"`",
        "Correct the name, or leave it out.",
    ),
    code(
        "plan-unknown-site",
        "The federation has no such site.",
        "`site=\"offce\"`",
        "Correct the name; the help has the nearest.",
    ),
    code(
        "plan-unsound",
        "The plan's nets might not come to an end, which is a fault of dfm.",
        "none is known",
        "Nothing was run. Please report it with the pipeline.",
    ),
    code(
        "plan-yield-as-input",
        "A node depends on a `Yield`, which has no result.",
        "`after=[Yield(…)]`",
        "Depend on the node whose value is yielded.",
    ),
    code(
        "poc-no-kits",
        "There are no startup kits, and none were to be made.",
        "`dfm poc start --skip-prepare` at first",
        "Run `dfm poc start` without `--skip-prepare`.",
    ),
    code(
        "poc-not-own",
        "The folder of the federation on this machine may be somebody else's work.",
        "a `workspace` that came with a repository",
        "If you have made it, close it to others with `chmod -R go=`; else run `dfm poc restart --do-cleanup`.",
    ),
    code(
        "poc-not-ready",
        "Not every site was connected in time.",
        "a site whose adapters cannot be imported",
        "Read what the site said: `dfm poc logs SITE`.",
    ),
    code(
        "poc-not-running",
        "The federation does not run here.",
        "`dfm poc wait` before `dfm poc start`",
        "Run `dfm poc start`.",
    ),
    code(
        "poc-path",
        "NVFlare cannot run jobs in a folder of this name.",
        "a workspace in `/home/me/my work`",
        "Name another folder with `--workspace DIR` or `DFM_WORKSPACE`.",
    ),
    code(
        "poc-port",
        "Another program has the server's port.",
        "two federations with the same `fed_learn_port`",
        "Stop the other program, or give the federation's server another port; then start it again.",
    ),
    code(
        "poc-system",
        "The operating system refused something.",
        "a full disk",
        "Read the message; free what it lacks.",
    ),
    code(
        "poc-timeout",
        "The time limit is not a number of seconds from 0 on.",
        "`dfm poc wait --timeout -1`",
        "Give a number of seconds.",
    ),
    code(
        "poc-unknown-site",
        "The federation has no such site.",
        "`dfm poc logs offce`",
        "Correct the name; the help has the nearest.",
    ),
    code("poc-which", "It is not clear which federation is meant.", "`dfm poc stop` while two run", "Add `-f NAME`."),
    code(
        "policy-default-first",
        "A site's policy does not begin with what holds for all that it says nothing of.",
        "`rules: {…}` above `default: deny`",
        "Move `default` to the file's first line.",
    ),
    code(
        "policy-no-kit",
        "What should be a site's startup kit is none.",
        "`dfm site policy show .` elsewhere",
        "Name the folder that has the folders `local` and `startup`.",
    ),
    code("policy-unwritable", "A site's policy cannot be shown.", "none is known", "Please report it with the policy."),
    code(
        "project-application-admin",
        "An application's participant has the role of an admin, who operates the whole federation.",
        "`{name: app, type: admin, role: project_admin}`",
        "Write `role: lead`, and add an admin of another name for operators.",
    ),
    code(
        "project-argument-left-out",
        "An argument of the project's builders has no effect with dfm.",
        "`overseer_agent: …`",
        "Remove it.",
    ),
    code(
        "project-builder-left-out",
        "A builder of the project has no effect with dfm.",
        "a builder of NVFlare 2.6 that later ones have not",
        "Remove it; dfm generates these files itself.",
    ),
    code(
        "project-invalid-name",
        "NVFlare takes no project, participant, organisation or role of this name.",
        "`{name: \"my site\", type: client}`",
        "Use the letters and signs that the message names.",
    ),
    code("project-many-servers", "There is a second server.", "two participants of `type: server`", "Keep one."),
    code(
        "project-missing-client",
        "A site of the federation is not in the project, so that only an application can run there.",
        "a new site under `sites`, and none in `project.yaml`",
        "Add a participant of its name with `type: client`, unless the site is an application's.",
    ),
    code(
        "project-name-clash",
        "Two participants have the same name, or the server has that of a site, and is the site `server`.",
        "two clients `office`",
        "Give each a name of its own.",
    ),
    code(
        "project-no-admin",
        "The project has no admin, so nobody could submit.",
        "only a server and clients",
        "Add one, as the help shows.",
    ),
    code(
        "project-no-name",
        "The project has no name.",
        "a `project.yaml` without `name`",
        "Add it: it becomes the name of the root certificate and of the kits' folder.",
    ),
    code(
        "project-no-number",
        "What is written into kits as a number is none.",
        "`{name: server, type: server, fed_learn_port: 8002x}`",
        "Write digits.",
    ),
    code(
        "project-no-participants",
        "The project has no list of participants.",
        "a `project.yaml` without `participants`",
        "Add a server, a client for each other site, and an admin.",
    ),
    code(
        "project-no-scheme",
        "The project does not say how sites connect, and the default has changed.",
        "a project written for NVFlare 2.6",
        "Write `scheme: tcp`, or `scheme: grpc`, under the builder's `args`.",
    ),
    code("project-no-server", "The project has no server.", "only clients", "Add one, as the help shows."),
    code(
        "project-no-server-site",
        "The federation has no site `server`, which NVFlare's server is.",
        "a server in the project, and no `server` under `sites`",
        "Add `server: {}` under `sites`.",
    ),
    code(
        "project-open-argument",
        "An argument of a builder could be a program in the scripts of the kits, or a file of the user's in an image.",
        "`config_folder: \"$(id)\"`",
        "Write a word, or name a file in the project's folder; or read the builder, and make kits with `--allow-builder PATH`.",
    ),
    code(
        "project-overseer",
        "The project has an overseer, and NVFlare has none any more.",
        "`{name: overseer, type: overseer}`",
        "Remove this participant.",
    ),
    code(
        "project-own-builder",
        "A builder is none of NVFlare's: code that would run when kits are made, and may give them a policy of its own.",
        "`path: shop.builders.Policy`",
        "Read it; make kits with `--allow-builder PATH`. Have it write `byoc: none` for every role, else code travels to sites.",
    ),
    code(
        "project-unknown-site",
        "A client of the project is no site of the federation.",
        "`{name: offce, type: client}`",
        "Correct the name, or add the site.",
    ),
    code(
        "project-unknown-type",
        "NVFlare has no participants of this type.",
        "`type: clinet`",
        "Write `server`, `client` or `admin`.",
    ),
    code(
        "project-wrong-builder",
        "A builder is missing, in the wrong place, without its `path`, or one that NVFlare has no more.",
        "`builders` without `CertBuilder`",
        "Write what the help shows, or remove `builders` for the usual ones.",
    ),
    code(
        "project-wrong-participant",
        "A participant lacks a text that it needs.",
        "`{type: client}`",
        "Write `{name: …, type: …, org: …}`.",
    ),
    code(
        "project-wrong-version",
        "The project is of a version that NVFlare does not read.",
        "`api_version: 2`",
        "Write `api_version: 3`.",
    ),
    code(
        "python-has-no-dfm",
        "The Python that dfm's command runs does not find the package dfm.",
        "a `dfm` that was copied out of its environment",
        "Use the `dfm` of an environment that it is installed in; `dfm doctor` says which Python is used.",
    ),
    code(
        "python-not-active",
        "The command runs with another Python than the environment that is active.",
        "a dfm installed with pipx, in a shell with an active environment",
        "Install dfm into that environment and run its `dfm`, or leave the environment.",
    ),
    code(
        "python-not-found",
        "There is no Python beside this command, in `VIRTUAL_ENV` or on the `PATH`.",
        "the command copied elsewhere",
        "Install Python 3.11 or newer, and dfm into an environment of it.",
    ),
    code(
        "python-not-started",
        "A process of Python cannot be started.",
        "a Python without permission to run",
        "Read the message; `dfm doctor` says which Python is used.",
    ),
    code(
        "python-of-site",
        "The Python that a site's `python` names is not on this machine, where the site is to be started.",
        "`dfm poc start` with `python: ../north/bin/python`, where that environment was not made",
        "Make that environment and install dfm into it, or have `python` lead to another one.",
    ),
    code(
        "registry-exists",
        "There is a registry already, and it was left as it is.",
        "`dfm fed config create-default` twice",
        "Name another file with `--path`.",
    ),
    code(
        "registry-incomplete",
        "A new federation needs its folder and its configuration.",
        "`dfm fed config set shop --federation-dir shop` where no `.dfm.yaml` is found",
        "Give `--config-path` too.",
    ),
    code(
        "registry-invalid-name",
        "This cannot be the name of a federation.",
        "`dfm fed config set \"my shop\" …`",
        "Use letters, digits, `_`, `-` and `.`, beginning with a letter or digit.",
    ),
    code(
        "registry-many-configs",
        "The folder has more than one configuration.",
        "two files `*.dfm.yaml`",
        "Name one with `--config-path`.",
    ),
    code(
        "registry-missing",
        "There is no `federations.yaml`, so no federation is known.",
        "`dfm fed check shop` in a folder that belongs to no federation",
        "Run it where your `federations.yaml` is or below, or name the file with `--config`.",
    ),
    code(
        "registry-missing-file",
        "A path that was registered does not exist yet.",
        "`--config-path later.dfm.yaml`",
        "Nothing, if it will; otherwise correct it.",
    ),
    code(
        "registry-no-config",
        "The registry names no configuration for the federation.",
        "an entry without `config_path`",
        "Run `dfm fed config set NAME --config-path FILE`.",
    ),
    code(
        "registry-not-editable",
        "The federation's entry is written in a way that dfm cannot edit.",
        "an entry that is a YAML alias",
        "Write it as a plain dictionary, or change it by hand.",
    ),
    code("registry-not-utf8", "A path is not UTF-8.", "a folder named in Latin-1", "Rename it."),
    code(
        "registry-not-written",
        "The registry cannot be written.",
        "a folder without permission",
        "Mend the permissions, or name another file with `--config`.",
    ),
    code(
        "registry-unknown-federation",
        "The registry has no such federation.",
        "`dfm fed check shpo`",
        "Correct the name; `dfm fed config list-all` has all of them, and the message the registry's file.",
    ),
    code("registry-unknown-key", "A federation's entry has no such key.", "`config_pat: …`", "Correct the spelling."),
    code("registry-wrong-type", "A value of the registry is no path.", "`config_path: 3`", "Write it in quotes."),
    code(
        "replay-no-recording",
        "The file is none that `dfm fed submit --record` has written, or it was damaged.",
        "`dfm fed replay results.json`",
        "Name the recording; have one that was damaged on its way sent again.",
    ),
    code(
        "replay-other-federation",
        "The recording is of a job of another federation, or of one whose application's site is not there any more.",
        "`dfm fed replay bug.jsonl --federation shop`, where the job ran in `weather`",
        "Replay it where its federation is configured; `--tell` needs none.",
    ),
    code(
        "replay-unreadable",
        "The file to be replayed is not there, or cannot be read.",
        "`dfm fed replay nowhere.jsonl`",
        "Correct the path.",
    ),
    code(
        "replay-version",
        "The recording has a version of the format that this dfm does not read.",
        "a file from a newer dfm",
        "Replay it with the version of dfm that has recorded it.",
    ),
    code(
        "simulate-lost-home",
        "The application's own site is lost in a simulation, which would be its end.",
        "`lost_at: 3` at the homesite",
        "Lose another site.",
    ),
    code(
        "site-not-started",
        "The process that reads a site's log, or what waits for its admin, cannot be started.",
        "no memory for another process",
        "See to what the system says.",
    ),
    code(
        "submit-measure-script",
        "A script was to be measured, and only a pipeline can be.",
        "`dfm fed submit shop --measure script a.sh`",
        "Leave `--measure`, `--svg` and `--save-costs` out; use `execute(…, measure=True)` in the script.",
    ),
    code(
        "submit-no-file",
        "What was submitted does not exist or is no file.",
        "`dfm fed submit shop pipeline nowhere.py`",
        "Correct the path.",
    ),
    code("submit-no-sites", "The federation has no sites.", "`sites: {}`", "Add one to the configuration."),
    code(
        "submit-not-executable",
        "A script is neither executable nor a `.py` or `.sh` file.",
        "`dfm fed submit shop script notes.txt`",
        "Run `chmod +x` on it.",
    ),
    code(
        "submit-not-provisioned",
        "The federation has no startup kits here.",
        "`dfm fed submit shop pipeline p.py` before `dfm poc start`",
        "Start it with `dfm poc start`, or use `--target local`.",
    ),
    code(
        "submit-not-started",
        "A process cannot be started.",
        "a machine without free processes",
        "Read the message; free what it lacks.",
    ),
    code(
        "submit-param-script",
        "`--param` is for pipelines, and a script was submitted.",
        "`dfm fed submit shop --param days=7 script a.sh`",
        "Give a script its arguments after `--`.",
    ),
    code(
        "submit-param-twice",
        "The command line gives a parameter two values.",
        "`--param days=7 --param days=8`",
        "Leave one out; for several parameter sets, return a list of them from `get_pipeline_parameters`.",
    ),
    code(
        "submit-path",
        "The federation's folder has a name that cannot be passed on.",
        "a folder with a `:` in its name",
        "Rename it.",
    ),
    code(
        "submit-pipeline",
        "The pipeline raised an error, or ended with one.",
        "an exception in `get_pipeline()`",
        "The message has the line of the pipeline, the site and the operation.",
    ),
    code(
        "submit-poc-local",
        "`--poc` and `--target local` exclude each other.",
        "`dfm fed submit shop --poc --target local pipeline p.py`",
        "Leave one of them out.",
    ),
    code(
        "submit-policy",
        "A policy cannot be tried like this.",
        "`--policy-of home=policy.yaml`, where the application is at `home`",
        "Do what the help says.",
    ),
    code(
        "submit-receipt-script",
        "A script was to have a receipt, and only a pipeline has one.",
        "`dfm fed submit shop --receipt r.json script a.sh`",
        "Leave `--receipt` out; use `execute(…, receipt=True)` in the script.",
    ),
    code(
        "submit-record-script",
        "A script was to be recorded, and only a pipeline can be.",
        "`dfm fed submit shop --record bug.jsonl script a.sh`",
        "Leave `--record` out; use `execute(…, record=FILE)` in the script.",
    ),
    code(
        "submit-save",
        "A result cannot be saved.",
        "`--output` names a folder without permission",
        "Mend the permissions, or name another folder.",
    ),
    code(
        "submit-stale-code",
        "The generated code is not that of the configuration any more.",
        "a changed configuration, and no `dfm fed gen code`",
        "Run `dfm fed gen code`.",
    ),
    code(
        "submit-timeout",
        "The time limit is not a number of seconds from 0 on.",
        "`--timeout -1`",
        "Give a number of seconds.",
    ),
    code(
        "submit-unknown-site",
        "The federation has no such site.",
        "`--homesite offce`",
        "Correct the name; the help has the nearest.",
    ),
    code(
        "type-not-importable",
        "A class that a `type` or `returns` names cannot be imported.",
        "`returns: numpy.ndaray`",
        "Correct the path, or install its package into the environment beside `dfm`.",
    ),
    code(
        "ui-failed",
        "The page of `dfm ui` cannot be served, as the system refuses what it needs.",
        "no more files can be opened",
        "Do what the message says.",
    ),
    code(
        "ui-port",
        "The page of `dfm ui` cannot be served at this port.",
        "`--port 8080`, where something else listens",
        "Leave `--port` out, and a free one is taken.",
    ),
    code(
        "workspace-link",
        "The `workspace` beside the registry is a link, which a repository may have brought to get at kits of other federations.",
        "a stranger's repository whose `workspace` leads to `../mine/workspace`",
        "Remove it; or name where it leads, if you have made it, with `--workspace DIR` or DFM_WORKSPACE.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// What looks like a code and is none: a limit of a policy.
    const OTHERS: [&str; 3] = ["jobs-per-session", "site-calls-at-once", "site-packages"];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
                found.push(path);
            }
        }
    }

    fn is_code(text: &str) -> bool {
        let words: Vec<&str> = text.split('-').collect();
        let word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let kinds = || CODES.iter().filter_map(|known| known.code.split('-').next());
        words.len() > 1 && words.iter().all(word) && kinds().any(|kind| kind == words[0])
    }

    #[test]
    fn every_code_of_the_sources_is_here_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut paths = vec![];
        for entry in std::fs::read_dir(root.join("crates")).unwrap() {
            sources(&entry.unwrap().path().join("src"), &mut paths);
        }
        sources(&root.join("python/dfm/_command"), &mut paths);
        let mut used = BTreeSet::new();
        for path in paths.iter().filter(|path| !path.ends_with("dfm-diag/src/codes.rs")) {
            let text = std::fs::read_to_string(path).unwrap();
            let pieces: Vec<&str> = text.split("#[cfg(test)]").next().unwrap_or_default().split('"').collect();
            for pair in pieces.windows(2) {
                let made = ["Diagnostic::error(", "Diagnostic::warning(", "Problem::new("];
                let made = made.iter().any(|made| pair[0].trim_end().ends_with(made));
                if made || is_code(pair[1]) && !OTHERS.contains(&pair[1]) {
                    used.insert(pair[1].to_owned());
                }
            }
        }
        let known: BTreeSet<String> = CODES.iter().map(|known| known.code.to_owned()).collect();
        assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "codes that nothing explains");
        assert_eq!(known.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "codes that nothing has");
    }

    #[test]
    fn they_are_in_order_and_say_everything() {
        assert!(CODES.is_sorted_by(|one, next| one.code < next.code));
        for known in CODES {
            assert!(known.meaning.ends_with('.') && known.remedy.ends_with('.'), "{}", known.code);
            assert!(!known.example.is_empty() && !known.example.ends_with('.'), "{}", known.code);
        }
    }
}
