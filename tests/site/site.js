// A page of the site: it plays what the lesson's own page has drawn, at its pace.
"use strict";

const LONGEST = 2_000; // milliseconds that a silence takes here

const player = {
  recording: null,
  plays: 0,
};

/** Draws the rows one after the other; a second press begins anew. */
async function play() {
  const { lanes, rows, outcome } = player.recording;
  const mine = ++player.plays;
  const list = byId("wire-rows");
  wire.lanes = lanes;
  drawLanes(byId("wire-lanes"), lanes);
  list.replaceChildren();
  byId("seen").textContent = "";
  let last = rows[0].at;
  for (const [i, row] of rows.entries()) {
    await pause(Math.min(row.at - last, LONGEST));
    if (player.plays !== mine) return;
    last = row.at;
    const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    list.append(...render(row));
    if (follow) list.scrollTop = list.scrollHeight;
    told(i + 1);
  }
  byId("seen").textContent = outcome;
}

function told(count) {
  const fact = element("div");
  fact.append(element("dt", "", "recorded rows"), element("dd", "", `${count} of ${player.recording.rows.length}`));
  byId("wire-totals").replaceChildren(fact);
}

async function offer() {
  player.recording = await (await fetch(document.documentElement.dataset.recording)).json();
  byId("asks").textContent = player.recording.question;
  byId("wire-rows").dataset.empty = 'Press "Play", and watch.';
  say("A recording of the real wire. Click a row for its exact bytes.");
  for (const id of ["wire-latency", "wire-clear"]) byId(id).hidden = true;
  told(0);
  byId("play").addEventListener("click", play);
}

offer();
