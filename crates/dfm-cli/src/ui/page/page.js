// What does the page show, and when does it ask again?
//
// Whatever a site has written is set as text, and drawings are copied piece by piece: nothing of it becomes markup.
"use strict";

const PAUSE = 1000;
const LONGEST_PAUSE = 15000;
const DRAWINGS_PAUSE = 5000;
const MOST_LOST = 8;
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
  made.append(...within.flat(2).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
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

/** Does something, once unless it may be done `again`, and says what went wrong. */
function button(label, act, again = false) {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await act();
      made.disabled = !again;
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

const TARGETS = { local: "this machine, a process for each site", poc: "the federation that dfm poc runs here", flare: "its sites, by its startup kits" };

function submit({ pipelines, schemas }) {
  const one = (pipeline) => {
    const fields = Object.entries(pipeline.params).map(([name, { schema, description, default: usual }]) => {
      const about = { name, description, needed: usual === null, usual: usual ?? undefined, schemas: schemas[pipeline.federation] };
      return { name, ...field(schema, about) };
    });
    const target = element("select", { name: "target" }, Object.entries(TARGETS).map(([value, text]) => element("option", { value }, text)));
    const amiss = element("p", { class: "bad", role: "alert" });
    const form = element("form", { novalidate: "" }, fields.map((one) => one.shown), element("label", {}, "Where it runs", target), amiss, element("button", {}, "Submit"));
    form.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const send = form.querySelector("button:not([type])");
      send.disabled = true;
      amiss.textContent = "";
      try {
        const params = Object.fromEntries(fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined));
        await post("/api/submit", { federation: pipeline.federation, file: pipeline.file, target: target.value, params });
        location.hash = "#/";
      } catch (error) {
        amiss.textContent = error.message;
        send.disabled = false;
        error.input?.setAttribute("aria-invalid", "true");
        (error.input || send).focus();
      }
    });
    return element("section", { class: "panel" }, folded(`pipeline ${pipeline.file} ${pipeline.federation}`,
      [pipeline.name || pipeline.shown, " ", element("small", {}, `${pipeline.federation}, ${pipeline.shown}`)], form, pipelines.length === 1));
  };
  return [element("h1", {}, "Submit a saved pipeline"), pipelines.length ? pipelines.map(one)
    : empty("There is no saved pipeline in the federations' folders, nor where dfm ui was started. Pipeline.save_to_file, or dfm fed plan --save, makes one.")];
}

/** What failed, where, by which line of the user's, with the adapter's own words, and what came of it. */
function story(error, lost, plan, lines) {
  const same = (line) => line.site === error.site && line.operation === error.operation && JSON.stringify(line.frame) === JSON.stringify(error.frame);
  const said = lines.filter((line) => same(line) && line.level === "ERROR").map((line) => line.text).at(-1);
  const place = error.operation || (error.node === null ? "The site" : `Node ${error.node}`);
  const key = JSON.stringify([error.site, error.node, error.frame]);
  const step = (at) => element("li", {}, plan.steps[at].label, ` at ${plan.steps[at].site}`);
  return element("section", { class: "panel story" },
    element("p", {}, element("strong", {}, place), ` failed at ${error.site}`, error.frame ? `, in frame ${error.frame.join(".")}` : ""),
    error.line && element("p", {}, "It was asked for by ", element("code", {}, error.line)),
    element("pre", {}, `${error.kind}: ${error.message}`),
    error.trace ? folded(`trace ${key}`, "The adapter's traceback", element("pre", { class: "log", tabindex: "0" }, error.trace))
      : said && folded(`said ${key}`, "What the site logged of it", element("pre", { class: "log", tabindex: "0" }, said)),
    lost.length > 0 && [element("p", {}, `So ${counted(lost.length, "step")} could not be done:`), element("ul", {}, lost.slice(0, MOST_LOST).map(step)),
      lost.length > MOST_LOST && element("p", { class: "dim" }, `and ${lost.length - MOST_LOST} more`)]);
}

function operations(nodes) {
  const head = ["operation", "site", "calls", "failed", "each", "longest", "waited", "sent"];
  const cell = (text, at) => element("td", { class: at > 1 ? "number" : null }, text);
  const row = (node) => element("tr", {}, [node.operation || "what parts or puts together", node.provider ? `${node.site}/${node.provider}` : node.site,
    node.calls.toLocaleString("en"), node.failed.toLocaleString("en"), node.timed ? lasted(node.seconds / node.timed) : "",
    node.timed ? lasted(node.longest) : "", node.timed ? lasted(node.waited / node.timed) : "", node.sent ? bytes(node.sent) : ""].map(cell));
  return element("div", { class: "panel wide", tabindex: "0" }, element("table", {},
    element("thead", {}, element("tr", {}, head.map((text, at) => element("th", { class: at > 1 ? "number" : null, scope: "col" }, text)))),
    element("tbody", {}, nodes.map(row))));
}

const short = (count) => {
  if (count < 10000) return String(count);
  const at = count < 1e6 ? [1e3, "k"] : count < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${(count / at[0]).toFixed(1)}${at[1]}`;
};

const exactly = (count) => count.toLocaleString("en");

/** A plan that is drawn once, and told from then on how far it is. */
function followed(text, name) {
  const shown = drawing(text, "The plan: its steps by site, and what goes between them");
  const svg = shown.querySelector("svg");
  if (!svg) return { shown, tell: () => {}, calm: () => {} };
  svg.setAttribute("role", "group");
  const by = (name) => new Map([...svg.querySelectorAll(`[data-${name}]`)].map((one) => [Number(one.getAttribute(`data-${name}`)), one]));
  const [steps, told, moving, moved] = ["step", "told", "moving", "moved"].map(by);
  const about = element("div", { class: "about", "aria-live": "polite" });
  const waits = element("div", {});
  const frame = element("section", { class: "plan" }, shown, saves(shown, `${name}-plan`), about, waits);
  let now = null;
  let before = [];
  let chosen = null;

  const named = (at) => {
    const { label, site, node } = now.plan.steps[at];
    return [element("strong", {}, label), ` at ${site} `, element("small", {}, `(${node})`), " "];
  };
  const state = (at, number = short) => {
    const flow = now.flow.steps[at];
    if (now.plan.steps[at].kind === "other") return [];
    const parts = [];
    if (flow.done) parts.push(`${number(flow.done)} ${now.plan.steps[at].kind === "yield" ? "came" : "done"}`);
    if (flow.failed) parts.push(`${number(flow.failed)} failed`);
    else if (flow.without) parts.push(`${number(flow.without)} without input`);
    if (!now.over && flow.waits_for.length) parts.push("waits");
    else if (!now.over && flow.ready) parts.push(`${number(flow.ready)} at work`);
    return parts;
  };
  const look = (at) => {
    const flow = now.flow.steps[at];
    if (flow.failed) return "failed";
    if (flow.without && !flow.done) return "without";
    if (!now.over && flow.waits_for.length) return "waiting";
    if (!now.over && flow.ready) return "busy";
    return flow.done ? "done" : "";
  };
  const place = (edge, from) => {
    const { moved: count, bytes: size, rest } = now.flow.edges[edge];
    const signal = now.plan.edges[edge].signal;
    const facts = [];
    if (count) facts.push(signal ? `${short(count)} times over` : counted(count, "value"));
    if (size) facts.push(bytes(size));
    if (rest && !now.over) facts.push(`${short(rest)} not used yet`);
    const missing = !now.over && now.flow.steps[now.plan.edges[edge].to].waits_for.includes(edge);
    if (missing) facts.unshift("waited for");
    return element("li", { class: missing ? "missing" : null }, named(from), facts.join(", "));
  };
  const tellOf = (at) => {
    chosen = at;
    const edges = (mine, other) => now.plan.edges.flatMap((edge, index) => (edge[mine] === at ? [place(index, edge[other])] : []));
    const [needs, gives] = [edges("to", "from"), edges("from", "to")];
    about.replaceChildren(element("p", {}, named(at), state(at, exactly).join(", ")),
      ...(needs.length ? [element("p", { class: "dim" }, "It needs"), element("ul", {}, needs)] : []),
      ...(gives.length ? [element("p", { class: "dim" }, "It gives to"), element("ul", {}, gives)] : []));
  };
  /** What others wait for and that waits for nothing itself. */
  const causes = () => {
    const needed = new Map();
    now.flow.steps.forEach(({ waits_for }) => waits_for.forEach((edge) => {
      const from = now.plan.edges[edge].from;
      if (!now.flow.steps[from].waits_for.length) needed.set(from, (needed.get(from) || 0) + 1);
    }));
    return [...needed].sort((one, other) => other[1] - one[1]);
  };
  const middle = (group) => {
    const box = group.querySelector("rect");
    return [Number(box.getAttribute("x")), Number(box.getAttribute("y"))];
  };
  const focus = (at) => {
    for (const [index, group] of steps) group.setAttribute("tabindex", index === at ? "0" : "-1");
    steps.get(at).focus();
    steps.get(at).scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  for (const [at, group] of steps) {
    group.setAttribute("tabindex", at === 0 ? "0" : "-1");
    group.setAttribute("role", "button");
    group.addEventListener("focus", () => now && tellOf(at));
    group.addEventListener("click", () => focus(at));
    group.addEventListener("keydown", (event) => {
      const way = WAYS[event.key];
      if (!way) return;
      event.preventDefault();
      const [x, y] = middle(group);
      // The nearest one on that side, and of those the one that is least beside the way.
      const far = [...steps].map(([index, other]) => {
        const [dx, dy] = [middle(other)[0] - x, middle(other)[1] - y];
        const [along, beside] = way[0] ? [dx * way[0], Math.abs(dy)] : [dy * way[1], Math.abs(dx)];
        return [along > 0 ? along + 2 * beside : Infinity, index];
      });
      const [how, index] = far.reduce((best, one) => (one[0] < best[0] ? one : best));
      if (how < Infinity) focus(index);
    });
  }

  const tell = (answer) => {
    now = { ...answer, over: answer.summary.status === "FINISHED" };
    const running = answer.summary.status === "RUNNING";
    for (const [at, group] of steps) {
      const text = state(at).join(", ");
      if (told.get(at).textContent !== text) told.get(at).textContent = text;
      group.setAttribute("class", look(at));
      const { label, site } = now.plan.steps[at];
      group.setAttribute("aria-label", [`${label} at ${site}`, text].filter(Boolean).join(": "));
    }
    now.flow.edges.forEach((edge, at) => {
      const count = edge.moved === null ? now.flow.steps[now.plan.edges[at].to].done : edge.moved;
      moving.get(at)?.setAttribute("class", running && count > (before[at] || 0) ? "moving" : "");
      before[at] = count;
      if (moved.has(at)) moved.get(at).textContent = edge.moved && !now.plan.edges[at].signal ? short(edge.moved) : "";
    });
    const all = now.over ? [] : causes();
    const one = ([from, count]) => {
      return element("li", {}, named(from), [...state(from), `waited for by ${counted(count, "step")}`].join(", "));
    };
    waits.replaceChildren(...(all.length ? [element("p", { class: "dim" }, running ? "What is waited for" : "What was waited for at its end"),
      element("ul", {}, all.slice(0, 10).map(one)), all.length > 10 ? element("p", { class: "dim" }, `and ${counted(all.length - 10, "more step")}`) : ""] : []));
    if (chosen !== null) tellOf(chosen);
  };
  const calm = () => moving.forEach((path) => path.setAttribute("class", ""));
  return { shown: frame, tell, calm };
}

function job({ summary, timeline, lines, plan, made_fail, follow }, federation) {
  const facts = [["Federation", federation], ["Target", summary.target], ["Began", moment(summary.since)],
    ["Took", summary.ended ? lasted(Math.max(0, summary.ended - summary.since)) : null], ["Frames", summary.frames.toLocaleString("en")],
    ["Values", summary.tokens.toLocaleString("en")], ["Errors", summary.errors.toLocaleString("en")],
    ["Sent between sites", bytes(summary.nodes.reduce((sum, node) => sum + node.sent, 0))],
    ["Parameters", summary.params.join(", ") || null]];
  const more = summary.errors - summary.failures.length;
  const times = drawing(timeline, "Timeline of the job's calls, by site");
  return [
    element("h1", {}, summary.name, " ", status(summary.status), " ", summary.status === "RUNNING" && summary.target === "flare" &&
      button("Cancel", () => post(`/api/jobs/${encodeURIComponent(federation)}/${encodeURIComponent(summary.id)}/cancel`))),
    element("dl", { class: "panel facts" }, facts.filter(([, value]) => value !== null)
      .map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    !summary.whole && summary.status !== "RUNNING" && element("p", { class: "dim" },
      "The record is not whole: it was cut short, or has lines that this dfm does not know. What it has is shown."),
    summary.left_out > 0 && element("p", { class: "dim" }, `${counted(summary.left_out, "event")} more than a record holds: they are counted, and times are of the others.`),
    summary.failures.length > 0 && [element("h2", {}, "What went wrong"), summary.failures.map((failure, at) => story(failure, made_fail[at], plan, lines)),
      more > 0 && element("p", { class: "dim" }, `${counted(more, "more error")}.`)],
    element("h2", {}, "The plan"), follow ? follow.shown : element("p", { class: "dim" }, "The record does not have it: it is of an older dfm, or the plan is too large to be drawn."),
    element("h2", {}, "Operations"), operations(summary.nodes),
    element("h2", {}, "When what was done"), times, saves(times, `${summary.id}-timeline`),
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
    let follow = null;
    let drawn = null;
    let until = 0;
    const path = `/api/jobs/${encodeURIComponent(federation)}/${encodeURIComponent(id)}`;
    const look = async () => {
      const answer = await ask(`${path}?seen=${seen}`);
      if (!answer) {
        if (follow) follow.calm();
        return null;
      }
      seen = answer.seen;
      // Large, and of no hurry: while a job runs, its numbers are asked for more often than its drawings.
      if (answer.summary.status !== "RUNNING" || Date.now() >= until) {
        drawn = await ask(`${path}/drawings`);
        until = Date.now() + DRAWINGS_PAUSE;
        if (!follow && drawn.plan) follow = followed(drawn.plan, id);
      }
      return { ...answer, timeline: drawn.timeline };
    };
    const show = (answer) => {
      if (follow) follow.tell(answer);
      return job({ ...answer, follow }, federation);
    };
    return { title: id, ask: look, show, again: () => PAUSE };
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
  const next = within.flat(2).filter(Boolean);
  const kept = new Set(next);
  for (const one of [...main.childNodes]) if (!kept.has(one)) one.remove();
  // What is there already stays where it is, with what moves in it and where it was scrolled to.
  let at = main.firstChild;
  for (const one of next) {
    if (one === at) at = at.nextSibling;
    else main.insertBefore(one, at);
  }
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
