// The wire view: a sequence diagram that draws itself from the rows that the
// server's tap sends. The diagrams in the prose are drawn by the same code.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const KEEP = 250; // rows on the page
const QUIET = 700; // milliseconds of silence that are drawn as a gap
const LATE = 200; // milliseconds that rows wait for earlier ones of other processes

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The horizontal place of lane i of n, in percent. */
const place = (i, n) => ((i + 0.5) / n) * 100;

/**
 * One line of a sequence diagram: the lifelines of n lanes, the bars of what
 * is held open, and an arrow from one lane to another with its label.
 */
function drawLine(n, { from, to, label, dashed, bars = [], note, prose }) {
  const line = element("span", "line" + (note ? " note" : ""));
  const svg = shape("svg", { "aria-hidden": "true" });
  for (let i = 0; i < n; i++) {
    const x = place(i, n) + "%";
    svg.append(shape("line", { class: "life", x1: x, x2: x, y1: 0, y2: "100%" }));
  }
  for (const bar of bars) {
    const left = shape("svg", { x: place(bar.lane, n) + "%", overflow: "visible" });
    const y = bar.begins ? "60%" : 0;
    const height = bar.begins ? "40%" : bar.ends ? "70%" : "100%";
    left.append(shape("rect", { class: "bar", x: bar.shift - 3, y, width: 6, height }));
    svg.append(left);
  }
  // Where there is no room for all of it, its end stays: a cursor, how long it was held. JSON begins with what it is.
  const caption = element("span", "label");
  const end = label.includes("{") ? label.length : -9;
  caption.append(element("span", "start", label.slice(0, end)), element("span", "", label.slice(end)));
  if (from !== undefined && from !== to) {
    const right = to > from;
    const [x1, x2] = [place(from, n), place(to, n)];
    const y = "70%";
    svg.append(shape("line", { class: dashed ? "arrow dashed" : "arrow", x1: x1 + "%", x2: x2 + "%", y1: y, y2: y }));
    const tip = shape("svg", { x: x2 + "%", y, overflow: "visible" });
    tip.append(shape("path", { class: "tip", d: right ? "M-8,-4.5L0,0L-8,4.5z" : "M8,-4.5L0,0L8,4.5z" }));
    svg.append(tip);
    const middle = (x1 + x2) / 2;
    caption.style.left = middle + "%";
    caption.style.maxWidth = prose ? 2 * Math.min(middle, 100 - middle) + "%"
      : `calc(${Math.abs(x2 - x1)}% - 12px)`; // covers no other lifeline
  }
  if (note) caption.style.left = (Math.floor(n / 2) / n) * 100 + "%"; // between two lanes
  line.append(svg, caption);
  return line;
}

function drawLanes(target, lanes, details = []) {
  target.replaceChildren(...lanes.map((lane, i) => {
    const head = element("span", "lane");
    head.append(element("b", "", lane), element("small", "", details[i] ?? ""));
    return head;
  }));
}

const milliseconds = (ms) =>
  ms < 9.95 ? ms.toFixed(1) + " ms" : ms < 999.5 ? ms.toFixed(0) + " ms" : (ms / 1000).toFixed(1) + " s";

const size = (bytes) =>
  bytes < 10_000 ? bytes + " B" : bytes < 10_000_000 ? (bytes / 1024).toFixed(0) + " KiB" : (bytes / 1048576).toFixed(0) + " MiB";

/**
 * What a lesson's script may set: the lanes in their order, and which two of
 * them a request runs between, given its method, path, query and headers, the
 * place that saw it, and the peer that the place has sent it to; null where
 * the place is the server. A command of RESP has no path, query and headers.
 */
const wire = {
  lanes: ["Browser", "Server"],
  place: ({ headers, place, peer }) =>
    peer ? [place, peer] : [fromBrowser(headers) ? "Browser" : client(headers), place],
};

const fromBrowser = (headers) => /^Mozilla/.test(headers["user-agent"]);
const client = (headers) => (headers["user-agent"] ?? "a client").split("/")[0];

const view = {
  rows: [],
  exchanges: new Map(), // process and number -> {from, to, get, open, count}
  counts: new Map(), // lane -> {requests, empty}
  last: null,
  zero: null, // when the server's clock began, in milliseconds since 1970
  waiting: [], // rows that may not be the next ones
  sources: new Map(), // process, 0 is the server -> {totals, base, dropped}
  plot: null,
  points: [[], []],
};

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

const utf8 = (bytes) => new TextDecoder().decode(bytes);

function parseRequest(row) {
  const { kind, place, peer } = row;
  if (kind !== "request" && kind !== "open") {
    return { method: row.label.split(" ")[0], path: "", query: new URLSearchParams(), headers: {}, place, peer };
  }
  const [first, ...fields] = utf8(bytesOf(row.raw)).split("\r\n\r\n")[0].split("\r\n");
  const [method, target] = first.split(" ");
  const url = new URL(target, location.origin);
  const headers = Object.fromEntries(fields.map((field) => {
    const at = field.indexOf(":");
    return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()];
  }));
  return { method, path: url.pathname, query: url.searchParams, headers, place, peer };
}

/** Which window's script has sent a request, by its Referer; null where it does not say. */
const windowOf = ({ referer }) => (referer ? Number(new URL(referer).searchParams.get("window") ?? 1) : null);

/** The lanes of a request; what another window has sent stands in a lane of its own. */
function lanesOf(row) {
  const request = parseRequest(row);
  const [from, to] = wire.place(request);
  const window = windowOf(request.headers);
  return [window === null || window === wire.window ? from : `Window ${window}`, to];
}

/** What was held or streamed before this page came. */
function takeOpened(row) {
  const [from, to] = lanesOf(row);
  const { place, peer, conn } = row;
  const count = view.counts.get(from) ?? { requests: 0, empty: 0 };
  view.exchanges.set(row.from + " " + row.exchange,
    { from, to, place, peer, conn, get: row.label === "GET", open: true, stream: row.status > 0, count });
}

function laneOf(name) {
  if (!wire.lanes.includes(name)) wire.lanes.push(name);
  return wire.lanes.indexOf(name);
}

/** Works out where a row is drawn; must see every row once, in order. */
function arrange(row) {
  row.key = row.from + " " + row.exchange;
  let exchange = view.exchanges.get(row.key);
  const begins = row.kind === "request" || row.kind === "command";
  if (begins) {
    const [from, to] = lanesOf(row);
    const { place, peer, conn } = row;
    const get = row.label.startsWith("GET ");
    exchange = { from, to, place, peer, conn, get, open: true, count: view.counts.get(from) ?? { requests: 0, empty: 0 } };
    exchange.count.requests++;
    view.counts.set(from, exchange.count);
    view.exchanges.set(row.key, exchange);
  }
  if (!exchange) {
    const [from, to] = row.peer ? wire.place(parseRequest({ ...row, kind: "" }))
      : ["Somebody", row.place];
    exchange = { from, to, open: false, count: { requests: 0, empty: 0 } };
  }
  const ends = row.kind === "end" || row.kind === "reply" || (row.kind === "response" && !exchange.stream && !streams(row));
  if (row.kind === "response" && streams(row)) exchange.stream = true;
  row.empty = exchange.get === true && (row.status === 204 || row.status === 304);
  if (row.empty) exchange.count.empty++;
  const asks = row.dir === (row.peer ? "out" : "in");
  row.way = !row.dir ? [] : asks ? [exchange.from, exchange.to] : [exchange.to, exchange.from];
  row.bars = [...view.exchanges].filter(([, each]) => each.open).map(([key, each]) => ({
    lane: each.to, shift: each.shift ??= shiftOf(each),
    begins: begins && key === row.key, ends: ends && key === row.key,
  }));
  if (ends) exchange.open = false;
  if (!exchange.open && view.exchanges.size > 2 * KEEP) view.exchanges.delete(row.key);
}

const streams = (row) => row.status === 101 || /^content-type: *text\/event-stream/im.test(utf8(bytesOf(row.raw)));

/** Bars of exchanges that overlap stand side by side, on the side of their client. */
function shiftOf(exchange) {
  const taken = [...view.exchanges.values()].filter((each) => each.open && each !== exchange && each.to === exchange.to
    && each.shift !== undefined).map((each) => each.shift);
  const step = laneOf(exchange.from) > laneOf(exchange.to) ? 7 : -7;
  let shift = 0;
  while (taken.includes(shift) && Math.abs(shift) < 42) shift += step;
  return shift;
}

const failed = (row) => (row.kind === "response" && row.status >= 400) || (row.kind === "reply" && row.status > 0);

function caption(row) {
  switch (row.kind) {
    case "response": case "reply": return (failed(row) ? "\u2717 " : "") + (row.empty ? row.status + ", empty" : row.label)
       + (row.ms > 200 ? ", held " + milliseconds(row.ms) : "");
    case "frame": return row.label + (row.text ? " " + row.text : "");
    case "event": return row.label + " " + dataOf(row.text);
    case "comment": return row.text.trim();
    default: return row.label;
  }
}

const dataOf = (text) => [...text.matchAll(/^data: ?(.*)$/gm)].map((found) => found[1]).join(" ");

function classOf(row) {
  if (row.kind === "end") return "end";
  if (failed(row)) return "error";
  if (row.empty || row.kind === "comment" || row.kind === "frame" && /^(ping|pong)/.test(row.label)) return "empty";
  return { command: "request", reply: "response", push: "event" }[row.kind] ?? row.kind;
}

/** The row's list item, with a gap before it where nothing was sent for a while. */
function render(row) {
  const made = [];
  const n = wire.lanes.length;
  const bars = row.bars.map((bar) => ({ ...bar, lane: laneOf(bar.lane) }));
  if (row.quiet > QUIET) {
    const gap = element("li", "gap");
    const open = bars.filter((bar) => !bar.begins).map((bar) => ({ ...bar, ends: false }));
    gap.append(element("span", "time"), drawLine(n, { label: "nothing for " + milliseconds(row.quiet), bars: open, note: true }));
    made.push(gap);
  }
  const item = element("li", classOf(row));
  const button = element("button", "row");
  button.tabIndex = -1; // the list is one stop; arrow keys go on
  button.setAttribute("aria-expanded", "false");
  button.title = `${caption(row)}\n${row.dir === "in" ? "read" : "written"} by ${row.place === "Server" ? "the server" : row.place}`;
  const [from, to] = row.way.map(laneOf);
  button.ariaLabel = `${row.way.join(" to ")}: ${caption(row)}, ${size(row.size)}`;
  button.append(
    element("span", "time", (row.at / 1000).toFixed(2) + " s"),
    drawLine(n, { from, to, label: caption(row), dashed: classOf(row) === "empty", bars, note: from === undefined }),
    element("span", "size", row.kind === "end" ? "" : size(row.size)));
  button.addEventListener("click", () => toggle(item, button, row));
  item.append(button);
  made.push(item);
  return made;
}

function toggle(item, button, row) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) item.querySelector(".detail").remove();
  else item.append(detail(row));
  item.scrollIntoView({ block: "nearest" });
}

/** The exact bytes of a row: as text, and for a frame bit by bit. */
function detail(row) {
  const raw = bytesOf(row.raw);
  const box = element("div", "detail");
  const way = row.way.length ? row.way.join(" to ") + ", " : "";
  const time = row.ms === null ? "" : row.kind === "response" || row.kind === "reply" ? ", answered after " + milliseconds(row.ms)
    : ", " + milliseconds(row.ms) + " after the last message read";
  box.append(element("p", "", way + "connection " + row.conn + ", " + row.size + " bytes" + time
    + (row.size > raw.length ? "; the first " + raw.length + " are shown" : "")));
  if (row.kind === "frame") {
    const long = raw[1] & 127;
    const head = 2 + (long < 126 ? 0 : long === 126 ? 2 : 8) + (raw[1] & 128 ? 4 : 0);
    box.append(element("pre", "", `FIN ${raw[0] >> 7}  RSV ${(raw[0] >> 4) & 7}  opcode ${raw[0] & 15} (${row.label})`
      + `  MASK ${raw[1] >> 7}  length ${row.size - head}\nhead ${hex(raw.slice(0, head))}`
      + (raw[1] & 128 ? "  (the last four bytes are the masking key)" : "")));
    box.append(element("pre", "", row.text));
    box.append(element("pre", "hex", hexdump(raw.slice(0, 128))));
  } else {
    const text = element("pre");
    for (const line of utf8(raw).split(/(?<=\r\n)/)) {
      const ends = line.endsWith("\r\n");
      text.append(ends ? line.slice(0, -2) : line);
      if (ends) text.append(element("span", "crlf", "\\r\\n"), "\n");
    }
    box.append(text);
  }
  return box;
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

function hexdump(bytes) {
  const lines = [];
  for (let i = 0; i < bytes.length; i += 16) {
    const part = bytes.slice(i, i + 16);
    const text = [...part].map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(hex(part).padEnd(48) + " " + text);
  }
  return lines.join("\n");
}

/** Scripts of this window say its number in the Referer of what they send; a WebSocket sends none. */
function beWindow(number) {
  wire.window = number;
  history.replaceState(null, "", (number > 1 ? `?window=${number}` : location.pathname) + location.hash);
}

/** Rows of several processes come in batches of their own, and go on in the order of their times. */
function receive({ from = 0, rows = [], opened = [], window, totals, dropped, began, gone }) {
  const source = view.sources.get(from);
  if (gone && !source) return;
  view.zero ??= began;
  if (from === 0 && window) beWindow(window);
  for (const row of opened) takeOpened({ ...row, from });
  for (const row of rows) view.waiting.push({ ...row, from, at: row.at + began - view.zero });
  if (gone) {
    source.totals.open = 0;
    view.waiting.push({ kind: "gone", from, at: gone - view.zero });
  } else {
    view.sources.set(from, { totals, dropped, base: source?.base ?? { ...totals } });
  }
  view.waiting.sort((a, b) => a.at - b.at);
  const last = view.waiting.at(-1);
  const pass = () => show(view.waiting.splice(0, view.waiting.indexOf(last) + 1));
  if (view.sources.size > 1) setTimeout(pass, LATE);
  else pass();
}

/** The rows that end what was open in a process that is gone. */
const endsOf = ({ from, at }) => [...view.exchanges].filter(([key, each]) => each.open && key.startsWith(from + " "))
  .map(([key, { place, peer, conn }]) => ({ at, from, place, peer, conn, exchange: Number(key.split(" ")[1]), kind: "end", dir: "",
    label: "process ended", status: 0, size: 0, ms: null, text: null, raw: "" }));

function show(rows) {
  const list = document.getElementById("wire-rows");
  const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const lanes = wire.lanes.length;
  for (const row of rows.flatMap((each) => each.kind === "gone" ? endsOf(each) : each)) {
    row.quiet = view.last === null ? 0 : row.at - view.last;
    view.last = row.at;
    arrange(row);
    if (row.ms !== null && row.peer === null && (row.kind !== "frame" || row.dir === "out")) plot(row);
    row.way.forEach(laneOf);
    view.rows.push(row);
    list.append(...render(row));
  }
  view.rows.splice(0, view.rows.length - KEEP);
  if (wire.lanes.length !== lanes) list.replaceChildren(...view.rows.flatMap(render));
  while (list.children.length > 1.5 * KEEP) list.firstChild.remove();
  headings();
  if (follow) list.scrollTop = list.scrollHeight;
  document.getElementById("wire-newest").hidden = follow || rows.length === 0;
}

function headings() {
  drawLanes(document.getElementById("wire-lanes"), wire.lanes, wire.lanes.map((lane) => {
    const count = view.counts.get(lane);
    return count ? `${count.requests} request${count.requests === 1 ? "" : "s"}, ${count.empty} empty` : "";
  }));
  const sum = (of) => [...view.sources.values()].map(of).reduce((a, b) => a + b, 0);
  const since = (name) => sum(({ totals, base }) => totals[name] - base[name]);
  const facts = [["requests", since("requests")], ["empty answers", since("empty")],
    ...(since("messages") ? [["frames and events", since("messages")]] : []), ["bytes in", size(since("bytesIn"))],
    ["bytes out", size(since("bytesOut"))], ["open connections", sum(({ totals }) => totals.open)]];
  document.getElementById("wire-totals").replaceChildren(...facts.map(([name, value]) => {
    const fact = element("div");
    fact.append(element("dt", "", name), element("dd", "", value));
    return fact;
  }));
  const dropped = sum((source) => source.dropped);
  say(dropped ? `Too fast to draw: ${dropped} rows were left out, the totals count them.`
    : "Click a row for its exact bytes.");
}

function say(text) {
  const state = document.getElementById("wire-state");
  if (state.textContent !== text) state.textContent = text;
}

function plot(row) {
  const [times, values] = view.points;
  times.push(row.at / 1000);
  values.push(Math.max(row.ms, 0.05));
  if (times.length > KEEP) view.points = [times.slice(-KEEP), values.slice(-KEEP)];
  drawPlot();
}

function drawPlot() {
  if (document.getElementById("wire-plot").hidden || !view.points[0].length) return;
  view.plot ??= makePlot();
  view.plot.setData(view.points);
}

function makePlot() {
  const target = document.getElementById("wire-plot");
  const style = getComputedStyle(target);
  const axis = { stroke: style.color, grid: { stroke: style.borderColor, width: 1 }, ticks: { show: false }, font: "11px sans-serif" };
  const made = new uPlot({
    width: target.clientWidth, height: 76, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false }, y: { distr: 3, range: [0.05, 100_000] } },
    axes: [{ ...axis, size: 20, values: (_, all) => all.map((value) => value + " s") },
      { ...axis, size: 52, label: "latency", labelSize: 14, labelFont: axis.font, filter: (_, splits) => splits,
        splits: () => [0.1, 10, 1000, 100_000], values: (_, all) => all.map(milliseconds) }],
    series: [{}, { stroke: style.outlineColor, points: { show: true, size: 5, fill: style.outlineColor }, paths: () => null }],
  }, view.points, target);
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", "Latency of each answer in milliseconds, over time");
  new ResizeObserver(() => made.setSize({ width: target.clientWidth, height: 76 })).observe(target);
  return made;
}

/** An empty wire says what to press. */
function hint() {
  const first = document.querySelector("#demo button.primary")?.textContent;
  document.getElementById("wire-rows").dataset.empty = first ? `Nothing yet. Press "${first}", and watch.` : "Nothing yet.";
}

function watch() {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/_/page/wire`);
  socket.addEventListener("message", (message) => receive(JSON.parse(message.data)));
  socket.addEventListener("close", () => {
    say("The server is gone. Trying again every two seconds.");
    view.zero = view.last = null;
    view.waiting = [];
    view.sources.clear();
    view.exchanges.clear();
    setTimeout(watch, 2000);
  });
  return new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
}

document.getElementById("wire-rows").addEventListener("keydown", (event) => {
  const rows = [...event.currentTarget.querySelectorAll(".row")];
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? rows.length - 1 : at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  rows[Math.min(Math.max(to, 0), rows.length - 1)]?.focus();
});

document.getElementById("wire-newest").addEventListener("click", ({ target }) => {
  target.hidden = true;
  target.previousElementSibling.scrollTop = target.previousElementSibling.scrollHeight;
});

document.getElementById("wire-clear").addEventListener("click", () => {
  view.rows = [];
  view.points = [[], []];
  view.counts.clear();
  for (const exchange of view.exchanges.values()) exchange.count = { requests: 0, empty: 0 };
  for (const source of view.sources.values()) source.base = { ...source.totals };
  view.plot?.setData(view.points);
  document.getElementById("wire-rows").replaceChildren();
  if (view.sources.size) headings();
});

document.getElementById("wire-latency").addEventListener("click", ({ target }) => {
  const folded = (document.getElementById("wire-plot").hidden ^= true);
  target.setAttribute("aria-expanded", String(!folded));
  drawPlot();
});
hint();

/** Resolves when the tap is watching; a demo that begins by itself waits for it. A recording has no tap. */
wire.ready = document.documentElement.dataset.recording ? Promise.resolve() : watch();
