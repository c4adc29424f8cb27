// What does the page show, and when does it ask again?
//
// Whatever a site has written is set as text, and drawings are copied piece by piece: nothing of it becomes markup.
"use strict";

const PAUSE = 1000;
const LONGEST_PAUSE = 15000;
const main = document.getElementById("main");
const banner = document.getElementById("banner");
const opened = new Set();

const token = (() => {
  if (/^#[0-9a-f]{64}$/.test(location.hash)) {
    sessionStorage.setItem("token", location.hash.slice(1));
    history.replaceState(null, "", "/#/");
  }
  return sessionStorage.getItem("token") || "";
})();

/** What the server answers; null where there is nothing new. */
async function ask(path, options = {}) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

function element(name, about = {}, ...within) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(about)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...within.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

const DRAWN = new Set(["svg", "g", "rect", "path", "text", "title", "defs", "marker"]);
const SAYS = new Set(["width", "height", "viewBox", "x", "y", "rx", "d", "fill", "stroke", "stroke-width", "stroke-opacity",
  "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor", "pointer-events", "id", "refX", "refY",
  "markerWidth", "markerHeight", "orient", "marker-end", "data-node", "data-from", "data-to"]);

/** A drawing of dfm's own kinds of pieces, and of no others. */
function drawing(text, label) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const copy = (from) => {
    if (from.nodeType === Node.TEXT_NODE) return document.createTextNode(from.data);
    if (from.nodeType !== Node.ELEMENT_NODE || !DRAWN.has(from.localName)) return null;
    const made = document.createElementNS("http://www.w3.org/2000/svg", from.localName);
    for (const { name, value } of from.attributes) if (SAYS.has(name)) made.setAttribute(name, value);
    made.append(...[...from.childNodes].map(copy).filter(Boolean));
    return made;
  };
  const made = copy(parsed) || document.createTextNode("this cannot be drawn");
  if (made.setAttribute) {
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
  }
  return element("div", { class: "panel wide drawing", tabindex: "0" }, made);
}

const counted = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const bytes = (count) => {
  const step = ["bytes", "kB", "MB", "GB", "TB"].findIndex((_, at) => count < 1000 ** (at + 1));
  const at = step < 0 ? 4 : step;
  return `${(count / 1000 ** at).toLocaleString("en", { maximumFractionDigits: at ? 1 : 0 })} ${["bytes", "kB", "MB", "GB", "TB"][at]}`;
};
const lasted = (seconds) => {
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
};
const moment = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 23);
const ago = (seconds) => {
  const gone = Math.max(0, Date.now() / 1000 - seconds);
  if (gone < 60) return "just now";
  if (gone < 3600) return `${Math.floor(gone / 60)} min ago`;
  return gone < 86400 ? `${Math.floor(gone / 3600)} h ago` : `${Math.floor(gone / 86400)} d ago`;
};

const status = (word) => element("span", { class: `status ${word.toLowerCase()}` }, word.toLowerCase());
const empty = (text) => element("p", { class: "panel empty" }, text);

/** A part that can be folded away, and stays so when it is drawn anew. */
function folded(key, summary, within, open = false) {
  const made = element("details", { open: opened.has(key) !== open ? "" : null }, element("summary", {}, summary), within);
  made.addEventListener("toggle", () => (made.open !== open ? opened.add(key) : opened.delete(key)));
  return made;
}

/** Does something, and says what went wrong. */
function button(label, act) {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await act();
    } catch (error) {
      tell(error.message, true);
      made.disabled = false;
    }
  });
  return made;
}

const post = (path, body) => ask(path, { method: "POST", body: body && JSON.stringify(body) });

function started({ submitted }) {
  const one = (of) => element("section", { class: "panel" },
    element("p", { class: "line" }, status(of.ended === null ? "running" : of.ended === 0 ? "finished" : "failed"),
      element("span", {}, of.name || of.file, " ", element("small", {}, of.federation)), element("small", {}, ago(of.at)),
      of.ended === null && button("Cancel", () => post(`/api/submitted/${of.id}/cancel`))),
    of.said && folded(`said ${of.id}`, "What it said", element("pre", { class: "log", tabindex: "0" }, of.said), of.ended > 0));
  return submitted.length ? [element("h2", {}, "Submitted from this page"), submitted.map(one), element("h2", {}, "All jobs")] : [];
}

function jobs({ jobs, submitted }) {
  const row = (job) => {
    if (job.problem) {
      return element("li", {}, element("div", { class: "row" }, status("unreadable"),
        element("span", {}, job.id, " ", element("small", {}, job.federation)), element("span", { class: "counts" }, job.problem)));
    }
    const counts = [counted(job.frames, "frame"), counted(job.tokens, "value")];
    if (job.errors) counts.push(counted(job.errors, "error"));
    const took = job.ended ? `${lasted(Math.max(0, job.ended - job.since))}, ` : "";
    const where = `#/job/${encodeURIComponent(job.federation)}/${encodeURIComponent(job.id)}`;
    return element("li", {}, element("a", { class: "row", href: where, "data-key": where }, status(job.status),
      element("span", {}, job.name, " ", element("small", {}, job.federation)),
      element("span", { class: "counts" }, counts.join(", "), element("small", {}, ` at ${counted(job.sites.length, "site")}`)),
      element("time", { class: "when", title: moment(job.since) }, took, ago(job.since))));
  };
  return [element("h1", {}, "Jobs"), started({ submitted }), jobs.length ? element("ul", { class: "rows" }, jobs.map(row))
    : empty("No job has left a record yet. Run one with dfm fed submit, and it is shown here.")];
}

function federations({ federations, registry }) {
  const site = (of) => element("section", { class: "site" }, element("h3", {}, of.name, " ", of.health && element("small", {}, of.health)),
    of.operations.length ? element("ul", {}, of.operations.map((one) => element("li", { title: one.description || null }, one.name,
      one.parameters.length ? element("small", {}, ` (${one.parameters.join(", ")})`) : null,
      one.provider && element("small", {}, ` by ${one.provider}`)))) : element("small", {}, "offers no operations"));
  const one = (of) => element("section", { class: "panel" },
    folded(`federation ${of.name}`, [of.name, " ", element("small", {}, counted(of.sites.length, "site"), of.poc ? ", runs on this machine" : "")],
      [of.description && element("p", { class: "dim" }, of.description), of.problem && element("pre", { class: "bad" }, of.problem),
        element("div", { class: "sites" }, of.sites.map(site))], of.sites.length <= 24));
  return [element("h1", {}, "Federations"), federations.length ? federations.map(one)
    : empty(`${registry} has no federation yet. dfm fed init begins one.`)];
}

/** A field for a parameter, by its JSON Schema; what it gives is read with `value`. */
function field(name, { schema, description, default: usual }) {
  const kind = schema?.enum ? "enum" : [schema?.type].flat()[0];
  const choices = kind === "enum" ? schema.enum : kind === "boolean" ? [true, false] : null;
  const optional = usual !== null;
  const input = choices
    ? element("select", { name }, optional && element("option", { value: "" }, "(as usual)"), choices.map((one) => element("option", { value: JSON.stringify(one) }, String(one))))
    : element("input", { name, required: optional ? null : "", placeholder: optional ? JSON.stringify(usual) : null,
      type: kind === "integer" || kind === "number" ? "number" : "text", step: kind === "integer" ? "1" : "any" });
  const value = () => {
    const text = input.value;
    if (text === "" && (optional || kind !== "string")) return undefined;
    if (kind === "string" && !choices) return text;
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`${name}: write a value as JSON, such as 7, "text" or [1, 2]`);
    }
  };
  const about = [choices ? null : kind || "JSON", description].filter(Boolean).join(": ");
  return { name, value, shown: element("label", {}, name, " ", element("small", {}, about), input) };
}

const TARGETS = { local: "this machine, a process for each site", poc: "the federation that dfm poc runs here", flare: "its sites, by its startup kits" };

function submit({ pipelines }) {
  const one = (pipeline) => {
    const fields = Object.entries(pipeline.params).map(([name, about]) => field(name, about));
    const target = element("select", { name: "target" }, Object.entries(TARGETS).map(([value, text]) => element("option", { value }, text)));
    const form = element("form", {}, fields.map((one) => one.shown), element("label", {}, "Where it runs", target), element("button", {}, "Submit"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const send = form.querySelector("button");
      send.disabled = true;
      try {
        const params = Object.fromEntries(fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined));
        await post("/api/submit", { federation: pipeline.federation, file: pipeline.file, target: target.value, params });
        location.hash = "#/";
      } catch (error) {
        tell(error.message, true);
        send.disabled = false;
      }
    });
    return element("section", { class: "panel" }, folded(`pipeline ${pipeline.file} ${pipeline.federation}`,
      [pipeline.name || pipeline.shown, " ", element("small", {}, `${pipeline.federation}, ${pipeline.shown}`)], form, pipelines.length === 1));
  };
  return [element("h1", {}, "Submit a saved pipeline"), pipelines.length ? pipelines.map(one)
    : empty("There is no saved pipeline in the federations' folders, nor where dfm ui was started. Pipeline.save_to_file, or dfm fed plan --save, makes one.")];
}

function story(error, lines) {
  const same = (line) => line.site === error.site && line.operation === error.operation && JSON.stringify(line.frame) === JSON.stringify(error.frame);
  const trace = lines.filter((line) => same(line) && line.level === "ERROR").map((line) => line.text).at(-1);
  const place = error.operation || (error.node === null ? "the site" : `node ${error.node}`);
  return element("section", { class: "panel story" },
    element("p", {}, element("strong", {}, place), ` failed at ${error.site}`, error.frame ? `, in frame ${error.frame}` : ""),
    element("pre", {}, `${error.kind}: ${error.message}`),
    trace && element("details", {}, element("summary", {}, "What the site logged of it"), element("pre", {}, trace)));
}

function operations(nodes) {
  const head = ["operation", "site", "calls", "failed", "each", "longest", "waited", "sent"];
  const cell = (text, at) => element("td", { class: at > 1 ? "number" : null }, text);
  const row = (node) => element("tr", {}, [node.operation || "(none)", node.provider ? `${node.site}/${node.provider}` : node.site,
    node.calls.toLocaleString("en"), node.failed.toLocaleString("en"), node.calls ? lasted(node.seconds / node.calls) : "",
    node.calls ? lasted(node.longest) : "", node.calls ? lasted(node.waited / node.calls) : "", node.sent ? bytes(node.sent) : ""].map(cell));
  return element("div", { class: "panel wide", tabindex: "0" }, element("table", {},
    element("thead", {}, element("tr", {}, head.map((text, at) => element("th", { class: at > 1 ? "number" : null, scope: "col" }, text)))),
    element("tbody", {}, nodes.map(row))));
}

function job({ summary, timeline, lines }, federation) {
  const facts = [["Federation", federation], ["Target", summary.target], ["Began", moment(summary.since)],
    ["Took", summary.ended ? lasted(Math.max(0, summary.ended - summary.since)) : null], ["Frames", summary.frames.toLocaleString("en")],
    ["Values", summary.tokens.toLocaleString("en")], ["Errors", summary.errors.toLocaleString("en")],
    ["Sent between sites", bytes(summary.nodes.reduce((sum, node) => sum + node.sent, 0))],
    ["Parameters", summary.params.join(", ") || null]];
  const more = summary.errors - summary.failures.length;
  return [
    element("h1", {}, summary.name, " ", status(summary.status), " ", summary.status === "RUNNING" && summary.target === "flare" &&
      button("Cancel", () => post(`/api/jobs/${encodeURIComponent(federation)}/${encodeURIComponent(summary.id)}/cancel`))),
    element("dl", { class: "panel facts" }, facts.filter(([, value]) => value !== null)
      .map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    !summary.whole && summary.status !== "RUNNING" && element("p", { class: "dim" },
      "The record is not whole: it was cut short, or has lines that this dfm does not know. What it has is shown."),
    summary.left_out > 0 && element("p", { class: "dim" }, `${counted(summary.left_out, "event")} more than a record holds.`),
    summary.failures.length > 0 && [element("h2", {}, "What went wrong"), summary.failures.map((failure) => story(failure, lines)),
      more > 0 && element("p", { class: "dim" }, `${counted(more, "more error")}.`)],
    element("h2", {}, "Operations"), operations(summary.nodes),
    element("h2", {}, "When what was done"), drawing(timeline, "Timeline of the job's calls, by site"),
    lines.length > 0 && [element("h2", {}, "What adapters said"), element("pre", { class: "panel log", tabindex: "0" },
      lines.map((line) => `${clock(line.at)} ${line.site} ${line.operation || ""} ${line.level} ${line.logger}: ${line.text}\n`))],
  ];
}

/** The page that the address names: what it asks for, how it shows that, and whether it asks again. */
function page() {
  const [, what, federation, id] = location.hash.split("/").map(decodeURIComponent);
  if (what === "federations") return { title: "Federations", ask: () => ask("/api/federations"), show: federations, again: () => 10 * PAUSE };
  if (what === "job") {
    let seen = "";
    const path = `/api/jobs/${encodeURIComponent(federation)}/${encodeURIComponent(id)}`;
    const follow = async () => {
      const answer = await ask(`${path}?seen=${seen}`);
      if (answer) seen = answer.seen;
      return answer;
    };
    return { title: id, ask: follow, show: (answer) => job(answer, federation), again: () => PAUSE };
  }
  if (what === "submit") return { title: "Submit", ask: () => ask("/api/pipelines"), show: submit, again: null };
  const all = async () => Object.assign({}, ...(await Promise.all([ask("/api/jobs"), ask("/api/submitted")])));
  return { title: "Jobs", ask: all, show: jobs, again: () => PAUSE };
}

let turn = 0;

/** Shows a page, and asks again as long as it is the one that is shown and somebody sees it. */
async function go() {
  const mine = ++turn;
  const current = page();
  let shown = "";
  let wait = PAUSE;
  let failing = true;
  document.title = `${current.title} · dfm`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === (location.hash || "#/");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  while (mine === turn) {
    try {
      const answer = await current.ask();
      if (mine !== turn) return;
      // What a button has told stays.
      if (failing) tell("");
      failing = false;
      const text = JSON.stringify(answer);
      if (answer && text !== shown) {
        const first = shown === "";
        shown = text;
        await new Promise(requestAnimationFrame);
        draw(current.show(answer), first);
      }
      // A form is not drawn anew under who fills it in.
      if (!current.again) return;
      wait = current.again();
    } catch (error) {
      if (mine !== turn) return;
      if (error.status) {
        // It answers, and asking again would not change what.
        tell(error.message, true);
        if (shown === "") main.replaceChildren();
        return;
      }
      failing = true;
      tell("dfm ui does not answer. If it has ended, start it again; this page goes on asking.", true);
      wait = Math.min(LONGEST_PAUSE, wait * 2);
    }
    await later(wait);
  }
}

function draw(within, first) {
  const focused = document.activeElement?.dataset?.key;
  const places = [...main.querySelectorAll("[tabindex]")].map((one) => [one.scrollLeft, one.scrollTop]);
  main.replaceChildren(...within.flat(2).filter(Boolean));
  if (first) return;
  [...main.querySelectorAll("[tabindex]")].forEach((one, at) => places[at] && one.scrollTo(...places[at]));
  if (focused) [...main.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
}

function tell(text, bad = false) {
  banner.hidden = text === "";
  banner.className = bad ? "bad" : "";
  if (banner.textContent !== text) banner.textContent = text;
}

/** After so many milliseconds; a page that nobody sees waits until somebody does, and then asks at once. */
function later(milliseconds) {
  return new Promise((done) => {
    const timer = setTimeout(() => { if (!document.hidden) finish(); }, milliseconds);
    const look = () => { if (!document.hidden) finish(); };
    const finish = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("online", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", look);
  });
}

window.addEventListener("hashchange", () => {
  // The address of a new run was put where this page was.
  if (/^#[0-9a-f]{64}$/.test(location.hash)) return location.reload();
  main.focus();
  go();
});
go();
