// How does a drawing come to the page, and from there into a file?
"use strict";

const DRAWN = new Set(["svg", "g", "rect", "path", "text", "title", "defs", "marker"]);
const SAYS = new Set(["width", "height", "viewBox", "x", "y", "rx", "d", "fill", "stroke", "stroke-width", "stroke-opacity",
  "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor", "pointer-events", "id", "refX", "refY",
  "markerWidth", "markerHeight", "orient", "marker-end", "data-step", "data-told", "data-moving", "data-moved"]);

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

/** Buttons that save a drawing as it looks now. */
function saves(shown, name) {
  const svg = shown.querySelector("svg");
  return svg && element("p", { class: "saves" }, button("Save as SVG", async () => save(asFile(svg), `${name}.svg`), true),
    button("Save as PNG", async () => save(await asPixels(svg), `${name}.png`), true));
}

/** With what the page's own style says of it, but for the dark. */
function asFile(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  from.forEach((one, at) => {
    const looks = getComputedStyle(one);
    for (const said of ["fill", "stroke", "stroke-width", "stroke-dasharray"]) if (looks[said]) to[at].setAttribute(said, looks[said]);
    for (const said of ["class", "tabindex", "role"]) to[at].removeAttribute(said);
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
}

/** Twice as fine as on the page, as far as a browser has so many pixels. */
async function asPixels(svg) {
  const image = new Image();
  image.src = URL.createObjectURL(asFile(svg));
  await image.decode();
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const scale = Math.min(2, 16000 / Math.max(width, height), Math.sqrt(1e8 / (width * height)));
  const canvas = element("canvas", { width: Math.floor(width * scale), height: Math.floor(height * scale) });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((done, fail) => canvas.toBlob((file) => (file ? done(file) : fail(new Error("this browser cannot draw so large a picture"))), "image/png"));
}

function save(file, name) {
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
