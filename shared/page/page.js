// The notebook: highlighting, diagrams in the prose, copy buttons.
"use strict";

const byId = (id) => document.getElementById(id);

const onWindows = /^Win/.test(navigator.userAgentData?.platform || navigator.platform);

/** A command as one types it here: cmd.exe finds `jbang` in the current folder, and knows double quotes alone. */
function typed(command) {
  if (!onWindows) return command;
  const text = command.replace(/(?<![\w./])\.\/jbang\b/g, "jbang");
  return !/^(curl|jbang) /.test(text) ? text
    : text.replace(/'([^']*)'/g, (all, inner) => `"${inner.replaceAll('"', '\\"')}"`);
}

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

/** How long it has been since a time of performance.now(), in words. */
const since = (start) => milliseconds(performance.now() - start);

/** Looks until it is so; `what` says in an error what was waited for. */
async function until(what, isSo, ms = 10_000) {
  for (const start = performance.now(); !await isSo(); await pause(50)) {
    if (performance.now() - start > ms) throw new Error(`${what}: not within ${ms / 1_000} s`);
  }
}

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
  network: (faults) => send("POST", "/_/page/cable/network", { upgradedMs: 0, ms: 0, ...faults }),
  hold: (bytes, ms) => send("POST", "/_/page/cable/hold", { bytes, ms }),
  throttle: (bytesPerSecond) => send("POST", "/_/page/cable/throttle", { bytesPerSecond }),
};

/** The second process of a lesson that has one; each resolves when it has ended, or is ready. */
const node = {
  kill: () => node.ask("kill"),
  start: () => node.ask("start"),
  async ask(action) {
    const answer = await send("POST", `/_/page/node/${action}`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
  },
};

/** The experiment that was begun last, and where the prose about it shows what came of it. */
let experiment = null;
const outcomes = new Map(); // button -> paragraph
let asks = false; // a question stands there, which an experiment that still runs must not replace

/** Says what came out of a button of the demo, there and beside the prose about it. */
function tell(text) {
  if (asks) return;
  byId("outcome").textContent = text;
  if (outcomes.has(experiment)) outcomes.get(experiment).textContent = text;
}

/** How often a prediction was right, and how many there were. */
const score = { right: 0, of: 0 };

/** Asks for a prediction, where the outcome will be told; resolves with the one that is chosen. */
const predicted = (question, guesses) => new Promise((resolve) => {
  tell(`${question} `);
  asks = true;
  for (const place of [byId("outcome"), outcomes.get(experiment)]) {
    for (const guess of place ? guesses : []) {
      const choice = element("button", "guess", guess);
      choice.addEventListener("click", () => resolve(guess));
      place.append(choice, " ");
    }
  }
});

/** Says whether what was predicted is what was seen. */
function compare(question, guess, seen) {
  score.of++;
  if (guess === seen) score.right++;
  tell(`${byId("outcome").textContent} ${question} You predicted: ${guess}. `
    + `${guess === seen ? "Right" : `It was: ${seen}`} (${score.right} of ${score.of}).`);
}

/** Buttons that are pressed before a lesson's server is ready: each runs once it is tied. */
const early = new Set();
for (const button of document.querySelectorAll("#demo [data-expect]")) {
  button.addEventListener("click", () => early.add(button), { once: true });
}

/**
 * Ties buttons to actions by id; a button rests while its action runs. One with `data-expect` asks first what will
 * happen. With `data-guesses` there are answers to choose from, and its action returns the one that came true.
 */
function buttons(actions) {
  for (const [id, action] of Object.entries(actions)) {
    const button = byId(id);
    button.addEventListener("click", async () => {
      if (button.ariaBusy === "true") return;
      asks = false;
      const { expect, guesses } = button.dataset;
      const other = guesses && document.querySelector('#demo [data-guesses][aria-busy="true"]');
      if (other) return tell(`${other.textContent}: it still runs. One experiment at a time.`);
      if (expect) experiment = button;
      const guess = expect && await predicted(`${button.textContent}: ${expect}`, (guesses ?? "Run it").split("|"));
      asks = false;
      button.ariaBusy = "true";
      if (expect) {
        tell(`${button.textContent}: it runs. ${expect}`);
        byId("wire-rows").scrollTop = byId("wire-rows").scrollHeight; // and follows what comes
      }
      try {
        const seen = await action();
        if (guesses) compare(expect, guess, seen);
      } catch (error) {
        tell("This failed: " + error.message);
      }
      button.ariaBusy = "false";
    });
    if (early.has(button)) button.click();
  }
}

/** Beside the prose about an experiment stands its button, too. */
function placeExperiments() {
  for (const button of document.querySelectorAll("#demo [data-expect]")) {
    const name = button.textContent;
    const lead = [...document.querySelectorAll("#notebook strong")].find((each) => each.textContent === name + ".");
    if (!lead) continue;
    const twin = element("button", "try", "Run it");
    twin.ariaLabel = "Run: " + name;
    twin.addEventListener("click", () => button.click());
    const outcome = element("p", "outcome");
    outcomes.set(button, outcome);
    lead.after(" ", twin);
    lead.closest("p, li").append(outcome);
  }
}

/** Which lessons there are: a link where one runs, else the command that starts it. */
async function showCourse() {
  const { name: here, recording } = document.documentElement.dataset;
  const lessons = await (await fetch(recording ? "lessons.json" : "/_/page/lessons")).json();
  byId("course").replaceChildren(...lessons.map(({ name, title, port, running, done }) => {
    const item = element("li");
    const isHere = name === here;
    const command = typed(`./jbang lessons/${name}.java`);
    const step = element(running && !isHere ? "a" : "button", done ? "done" : "", name.slice(0, 2) + (done ? "\u2713" : ""));
    const where = isHere ? "you are here" : running && !recording && "runs";
    step.title = [`${name.slice(0, 2)} ${title}`, done && "done", where].filter(Boolean).join(", ");
    step.ariaLabel = step.title;
    if (isHere) step.ariaCurrent = "page";
    if (running) step.href = recording ? name + ".html" : `http://localhost:${port}/`;
    if (step.localName === "button") {
      step.addEventListener("click", async () => {
        const copied = await navigator.clipboard.writeText(command).then(() => ", copied", () => "");
        byId("course-says").textContent = isHere ? `Here: ${title}` : `${title}: ${command}${copied}`;
      });
    }
    item.append(step);
    return item;
  }));
}

/** Links to the headings of the page. */
function listContents() {
  for (const [i, heading] of [...document.querySelectorAll("#notebook h2")].entries()) {
    heading.id = `part-${i + 1}`;
    const link = element("a", "", heading.textContent);
    link.href = "#" + heading.id;
    link.addEventListener("click", () => (byId("contents").open = false));
    const item = element("li");
    item.append(link);
    byId("contents").querySelector("ol").append(item);
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
      lines.push({ from, to, label: found[5], prose: true, dashed: found[2] === "--", bars: bars.map((bar) => ({ ...bar })) });
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

if (onWindows) for (const code of document.querySelectorAll("code")) code.textContent = typed(code.textContent);
for (const code of document.querySelectorAll("article .code code")) highlightCell(code);
for (const code of document.querySelectorAll("article .prose pre code")) {
  if (code.className === "language-mermaid") drawDiagram(code.parentElement);
}
// What scrolls sideways can be reached with the keyboard; the rest is no stop.
for (const pre of document.querySelectorAll("article pre")) {
  if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
}
for (const code of document.querySelectorAll("article .prose :not(.commands *) > code")) {
  if (!/^(curl|nc|(\.\/)?jbang|printf) /.test(code.textContent)) continue;
  const pre = code.closest("pre");
  const copy = element("button", "copy", "Copy");
  if (pre) pre.append(copy);
  else code.after(" ", copy);
}
placeExperiments();
listContents();
showCourse();

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
