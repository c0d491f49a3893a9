// A tab of lesson 10, in a frame of its page or in a window: it shows what it has heard. `as` says
// how it hears: `own` and `socket` have a connection of their own, `shared` does not. The page,
// which is of another origin, gets its reports and gives orders by messages.
"use strict";

const query = new URLSearchParams(location.search);
const [tab, doc, person, as] =
  ["tab", "doc", "person", "as"].map((name) => query.get(name));
const orders = new BroadcastChannel("orders");
const byId = (id) => document.getElementById(id);
const heard = []; // the numbers, as they came
const told = []; // "ada gone"
let state = "loads";
let soon; // many events make one report

function report() {
  soon = undefined;
  const now = { tab, doc, state, heard, told };
  byId("state").textContent = state;
  byId("heard").textContent = heard.length;
  if (parent === window) orders.postMessage({ report: now });
  else parent.postMessage(now, "*");
}
function show(now) {
  state = now;
  soon ??= setTimeout(report, 20);
}
function hear({ n, type, person }) {
  heard.push(n);
  told.push(`${person} ${type}`);
  show(state);
}
function own(url) {
  const source = new EventSource(url);
  source.onopen = () => show("reads");
  source.onerror = () => show("error");
  source.onmessage = ({ data }) => hear(JSON.parse(data));
}
function socket(url) {
  const made = new WebSocket(url);
  made.onopen = () => show("reads");
  made.onclose = ({ code }) => show(`closed, ${code}`);
  made.onmessage = ({ data }) => hear(JSON.parse(data));
}
function obey({ to, block, close }) {
  if (to !== tab) return;
  if (close) window.close();
  for (const end = performance.now() + block; performance.now() < end;);
}
// The demo is of another origin: frames pass on what is said.
onmessage = ({ data, source }) => source === parent && orders.postMessage(data);
orders.onmessage = ({ data }) => data.report
  ? parent.postMessage(data.report, "*") : obey(data);

byId("name").textContent = `${person}, tab ${tab}`;
if (as === "shared") shared(doc, person, { hear, show });
else if (as === "socket") socket(`ws://${location.host}/socket?doc=${doc}`);
else for (let i = query.get("times") ?? 1; i > 0; i--) {
  own(`/events?doc=${doc}&person=${person}`);
}
