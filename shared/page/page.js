// The notebook: highlighting, diagrams in the prose, copy buttons.
"use strict";

const byId = (id) => document.getElementById(id);

/**
 * How many milliseconds an answer's Retry-After asks for: seconds, or a date, which is read by
 * the answer's own Date, as this clock may be off; a day at most, 0 where nothing can be read.
 */
const retryAfter = ({ headers }) => {
  const after = headers.get("Retry-After");
  const ms = /^\d+$/.test(after) ? 1000 * after
    : Date.parse(after) - (Date.parse(headers.get("Date")) || Date.now());
  return Math.min(Math.max(ms || 0, 0), 86_400_000);
};

/** setTimeout as a promise; an aborted signal ends the pause at once. */
const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(done, ms);
  signal?.addEventListener("abort", done);
  if (signal?.aborted) done();
  function done() {
    clearTimeout(timer);
    signal?.removeEventListener("abort", done);
    resolve();
  }
});

/** Sends a JSON body; an undefined body is none. */
const send = (method, path, body) => fetch(path, {
  method,
  body: body === undefined ? undefined : JSON.stringify(body),
  headers: body === undefined ? {} : { "Content-Type": "application/json" },
});

/** The cable before the server, where a lesson has one: all that is served here is served there, too. */
const cable = {
  host: document.documentElement.dataset.cable,
  freeze: () => send("POST", "/_/page/cable/freeze"),
  thaw: () => send("POST", "/_/page/cable/thaw"),
  cut: () => send("POST", "/_/page/cable/cut"),
};

/** Says what came out of a button of the demo. */
const tell = (text) => (byId("outcome").textContent = text);

/** Ties buttons to actions by id; a button rests while its action runs. */
function buttons(actions) {
  for (const [id, action] of Object.entries(actions)) {
    byId(id).addEventListener("click", async () => {
      if (byId(id).ariaBusy === "true") return;
      byId(id).ariaBusy = "true";
      try {
        await action();
      } catch (error) {
        tell("This failed: " + error.message);
      }
      byId(id).ariaBusy = "false";
    });
  }
}

/** A Java cell; a text block is highlighted in the language that the comment above it names. */
function highlightCell(code) {
  const block = /(\/\/ language=(\w+)\n[^]*?""")(\n[^]*?)(""")/g;
  const source = code.textContent;
  let html = "";
  let done = 0;
  const java = (text) => hljs.highlight(text, { language: "java" }).value;
  for (const [all, before, language, inside, after] of source.matchAll(block)) {
    const at = source.indexOf(all, done);
    const known = { HTML: "xml", JavaScript: "javascript" }[language];
    html += java(source.slice(done, at) + before.slice(0, -3)) + '<span class="hljs-string">"""</span>'
      + hljs.highlight(inside, { language: known }).value + `<span class="hljs-string">${after}</span>`;
    done = at + all.length;
  }
  code.innerHTML = html + java(source.slice(done));
}

/** A small part of Mermaid's sequence diagrams: participant, ->>, -->>, Note over. */
function drawDiagram(pre) {
  const names = [];
  const titles = [];
  const figure = element("figure", "diagram");
  const lane = (name) => {
    if (!names.includes(name)) titles[names.push(name) - 1] = name;
    return names.indexOf(name);
  };
  const lines = [];
  const bars = [];
  for (const text of pre.textContent.split("\n")) {
    let found;
    if ((found = /^\s*participant (\w+)(?: as (.+))?$/.exec(text))) titles[lane(found[1])] = found[2] ?? found[1];
    else if ((found = /^\s*(\w+)(--?)>>([+-]?)(\w+): (.+)$/.exec(text))) {
      const [from, to] = [lane(found[1]), lane(found[4])];
      if (found[3] === "+") bars.push({ lane: to, shift: 0, begins: true });
      const closing = found[3] === "-" ? bars.findLast((bar) => bar.lane === from) : null;
      if (closing) closing.ends = true;
      lines.push({ from, to, label: found[5], dashed: found[2] === "--", bars: bars.map((bar) => ({ ...bar })) });
      for (const bar of bars) bar.begins = false;
      if (closing) bars.splice(bars.indexOf(closing), 1);
    } else if ((found = /^\s*Note over [\w,]+: (.+)$/.exec(text))) {
      lines.push({ label: found[1], note: true, bars: bars.map((bar) => ({ ...bar })) });
    }
  }
  const heads = element("div", "lanes");
  drawLanes(heads, titles);
  figure.append(heads, ...lines.map((line) => drawLine(names.length, line)));
  pre.replaceWith(figure);
}

for (const code of document.querySelectorAll("#notebook .code code")) highlightCell(code);
for (const code of document.querySelectorAll("#notebook .prose pre code")) {
  if (code.className === "language-mermaid") drawDiagram(code.parentElement);
}
// What scrolls sideways can be reached with the keyboard; the rest is no stop.
for (const pre of document.querySelectorAll("#notebook pre")) {
  if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}
