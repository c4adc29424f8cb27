// How is a value typed in, by its JSON Schema, and what is wrong with it before it is sent?
//
// What a schema says and these fields do not know is typed in as JSON, which they check no further.
"use strict";

/** Objects and lists within each other beyond this are typed in as JSON. */
const MOST_NESTED = 8;
/** Fields within so many of them are there at once where they are needed, however many each has; others are when asked for. */
const MOST_OPEN = 3;

const ABOUT = ["title", "description", "default", "example", "examples", "deprecated", "format", "readOnly", "writeOnly", "$comment"];
const MINDED = {
  string: ["minLength", "maxLength", "pattern"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  boolean: [],
  null: [],
  array: ["items", "minItems", "maxItems", "uniqueItems"],
  object: ["properties", "required", "additionalProperties"],
};

/** What is wrong, and where to mend it. */
const wrong = (input, path, what) => Object.assign(new Error(`${path}: ${what}`), { input });
const isMap = (schema) => schema !== null && typeof schema === "object" && !Array.isArray(schema);
const says = (schema, ...more) => Object.keys(schema).every((key) => ABOUT.includes(key) || more.includes(key));

/**
 * A field for a value: what is `shown`, and what was typed in, by `value`, which is undefined where nothing was and throws
 * what is wrong. `of` says the field's name and path, whether it is `needed`, the `usual` value, and the `schemas` that others
 * refer to.
 */
function field(schema, of) {
  const { depth = 0, open = 0, schemas = {} } = of;
  of = { ...of, depth, open, schemas, path: of.path || of.name };
  if (!isMap(schema)) return written(of);
  of = { ...of, description: of.description || schema.description };
  if ("$ref" in schema) {
    const name = String(schema.$ref).replace(/^#\/schemas\//, "");
    const known = says(schema, "$ref") && Object.hasOwn(schemas, name) && depth < MOST_NESTED;
    return known ? field(schemas[name], { ...of, depth: depth + 1 }) : written(of);
  }
  if ("const" in schema && says(schema, "const", "type")) return fixed(schema.const, of);
  if (Array.isArray(schema.enum) && says(schema, "enum", "type")) return chosen(schema.enum, of);
  const ways = schema.anyOf || schema.oneOf;
  if (Array.isArray(ways) && ways.length > 0 && says(schema, "anyOf", "oneOf") && !(schema.anyOf && schema.oneOf)) {
    return depth < MOST_NESTED ? either(ways, of) : written(of);
  }
  if (Array.isArray(schema.type)) {
    const each = (type) => Object.fromEntries(Object.entries({ ...schema, type }).filter(([key]) => ["type", ...(MINDED[type] || [])].includes(key)));
    return says(schema, "type", ...schema.type.flatMap((type) => MINDED[type] || [])) ? either(schema.type.map(each), of) : written(of);
  }
  if (!Object.hasOwn(MINDED, schema.type) || !says(schema, "type", ...MINDED[schema.type])) return written(of);
  if (schema.type === "null") return fixed(null, of);
  if (schema.type === "boolean") return chosen([true, false], of);
  if (schema.type === "array") return isMap(schema.items) && depth < MOST_NESTED ? group(of, (now) => list(schema, now)) : written(of);
  if (schema.type === "object") return isMap(schema.properties) && depth < MOST_NESTED ? group(of, (now) => parts(schema, now)) : written(of);
  return typed(schema, of);
}

const labelled = ({ name, description }, kind, input) =>
  element("label", {}, name, " ", element("small", {}, [kind, description].filter(Boolean).join(": ")), input);
const usually = ({ usual }) => (usual === undefined ? null : JSON.stringify(usual));

/** Any value, as JSON. */
function written(of) {
  const input = element("textarea", { rows: "3", spellcheck: "false", placeholder: usually(of) });
  const value = () => {
    if (input.value.trim() === "") return nothing(input, of);
    try {
      return JSON.parse(input.value);
    } catch {
      throw wrong(input, of.path, 'write a value as JSON, such as 7, "text" or [1, 2]');
    }
  };
  return { shown: labelled(of, "JSON", input), value };
}

function nothing(input, { needed, path }) {
  if (needed) throw wrong(input, path, "a value is needed");
  return undefined;
}

/** A value that can be no other. */
function fixed(only, of) {
  return { shown: element("p", { class: "fixed" }, of.name, " ", element("small", {}, JSON.stringify(only))), value: () => only };
}

/** One of some values. */
function chosen(values, of) {
  const option = (value, text) => element("option", { value }, text);
  const input = element("select", {}, option("", of.needed ? "(choose)" : "(as usual)"),
    values.map((value, at) => option(String(at), typeof value === "string" ? value : JSON.stringify(value))));
  return { shown: labelled(of, null, input), value: () => (input.value === "" ? nothing(input, of) : values[Number(input.value)]) };
}

/** A text or a number. */
function typed(schema, of) {
  const { type } = schema;
  const mode = { integer: "numeric", number: "decimal" }[type] || null;
  const input = element("input", { type: "text", inputmode: mode, autocomplete: "off", placeholder: usually(of) });
  const value = () => {
    if (input.value === "") return nothing(input, of);
    const got = type === "string" ? input.value : Number(input.value.trim() || "none");
    const amiss = type === "string" ? amissInText(schema, got) : amissInNumber(schema, got);
    if (amiss) throw wrong(input, of.path, amiss);
    return got;
  };
  return { shown: labelled(of, [type, schema.format].filter(Boolean).join(", "), input), value };
}

function amissInText({ minLength, maxLength, pattern }, text) {
  const length = [...text].length;
  if (length < minLength) return `at least ${counted(minLength, "character")}`;
  if (length > maxLength) return `at most ${counted(maxLength, "character")}`;
  if (pattern === undefined) return null;
  try {
    return new RegExp(pattern, "u").test(text) ? null : `a text that ${pattern} matches`;
  } catch {
    return null; // another language's expression, which the site knows
  }
}

function amissInNumber({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }, number) {
  if (!Number.isFinite(number)) return type === "integer" ? "a whole number" : "a number";
  if (type === "integer" && !Number.isInteger(number)) return "a whole number";
  if (type === "integer" && !Number.isSafeInteger(number)) return "a number that a browser knows exactly; dfm fed submit takes larger ones";
  if (number < minimum) return `at least ${minimum}`;
  if (number > maximum) return `at most ${maximum}`;
  if (number <= exclusiveMinimum) return `more than ${exclusiveMinimum}`;
  if (number >= exclusiveMaximum) return `less than ${exclusiveMaximum}`;
  const times = number / multipleOf;
  return Math.abs(times - Math.round(times)) > 1e-9 * Math.abs(times) ? `a multiple of ${multipleOf}` : null;
}

/** What has fields of its own; where it is not needed, or lies deep, they are there when they are wanted. */
function group(of, make) {
  const box = element("fieldset", {}, element("legend", {}, of.name, " ", element("small", {}, of.description)));
  let made = null;
  const fill = (now) => {
    made = made || make(now);
    box.append(made.shown);
  };
  if (of.needed && of.open < MOST_OPEN) {
    fill(of);
    return { shown: box, value: () => made.value() };
  }
  const wanted = element("input", { type: "checkbox" });
  wanted.addEventListener("change", () => (wanted.checked ? fill({ ...of, open: 0 }) : made.shown.remove()));
  box.append(element("label", { class: "wanted" }, wanted, "fill in", " ", element("small", {}, of.usual === undefined ? null : `as usual: ${usually(of)}`)));
  return { shown: box, value: () => (wanted.checked ? made.value() : nothing(wanted, of)) };
}

const within = ({ depth, open, schemas, path }, name, more) =>
  ({ depth: depth + 1, open: open + 1, schemas, name, path: `${path}.${name}`, ...more });

/** An object's own properties and, where it takes more, those as JSON. */
function parts(schema, of) {
  const required = schema.required || [];
  const fields = Object.entries(schema.properties).map(([name, part]) =>
    [name, field(part, within(of, name, { needed: required.includes(name), usual: isMap(part) ? part.default : undefined }))]);
  const more = (schema.additionalProperties ?? true) === false ? null
    : written(within(of, "more keys", { description: "an object of what is named nowhere above" }));
  const value = () => {
    const all = fields.map(([name, { value }]) => [name, value()]).filter(([, part]) => part !== undefined);
    const rest = more?.value() ?? {};
    if (!isMap(rest)) throw wrong(more.shown.querySelector("textarea"), `${of.path}.more keys`, 'an object, such as {"key": 7}');
    return { ...rest, ...Object.fromEntries(all) };
  };
  return { shown: element("div", {}, fields.map(([, { shown }]) => shown), more?.shown), value };
}

/** Elements, each with its own field. */
function list(schema, of) {
  const rows = [];
  const shown = element("div", {});
  const more = element("button", { type: "button" }, "Add to ", of.name);
  const first = (row) => (row.shown.querySelector("input, select, textarea, button") || more).focus();
  const add = (open) => {
    const name = `${of.name} ${rows.length + 1}`;
    const part = field(schema.items, within(of, name, { needed: true, path: name, open }));
    const away = element("button", { type: "button", "aria-label": `Remove ${name}` }, "Remove");
    const row = { value: part.value, shown: element("div", { class: "element" }, part.shown, away) };
    away.addEventListener("click", () => {
      rows.splice(rows.indexOf(row), 1);
      row.shown.remove();
      more.focus();
    });
    rows.push(row);
    more.before(row.shown);
    return row;
  };
  more.addEventListener("click", () => first(add(0)));
  shown.append(more);
  for (let at = 0; at < Math.min(schema.minItems || 0, 20); at++) add(of.open + 1);
  const value = () => {
    const all = rows.map((row) => row.value());
    if (all.length < schema.minItems) throw wrong(more, of.path, `at least ${counted(schema.minItems, "element")}`);
    if (all.length > schema.maxItems) throw wrong(more, of.path, `at most ${counted(schema.maxItems, "element")}`);
    if (schema.uniqueItems && new Set(all.map((one) => JSON.stringify(one))).size < all.length) throw wrong(more, of.path, "no two elements that are the same");
    return all;
  };
  return { shown, value };
}

/** A value of one of some kinds, and which. */
function either(ways, of) {
  const named = (way, at) => way?.title || String(way?.$ref || "").replace(/^#\/schemas\//, "") || way?.type || `kind ${at + 1}`;
  const input = element("select", {}, element("option", { value: "" }, of.needed ? "(choose)" : "(as usual)"),
    ways.map((way, at) => element("option", { value: String(at) }, named(way, at))));
  const slot = element("div", { class: "element" });
  const made = new Map();
  const now = () => made.get(input.value);
  input.addEventListener("change", () => {
    const at = input.value;
    if (at !== "" && !made.has(at)) made.set(at, field(ways[Number(at)], { ...of, depth: of.depth + 1, open: 0, needed: true, usual: undefined, description: null }));
    slot.replaceChildren(...(now() ? [now().shown] : []));
  });
  const shown = element("div", {}, labelled({ ...of, name: `${of.name}, which kind` }, null, input), slot);
  return { shown, value: () => (input.value === "" ? nothing(input, of) : now().value()) };
}
