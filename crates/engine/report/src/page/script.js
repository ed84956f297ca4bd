// The timeline and the table. Data is text from a build: it is only ever set as text, never as HTML.
"use strict";
// What stands in the page as HTML is shown first.
requestAnimationFrame(() => setTimeout(() => {
const $ = (id) => document.getElementById(id);
const report = JSON.parse($("data").textContent);
const units = report.units;
const critical = new Set(report.critical_path);
const GROUP = {
  lookup: "store", restore_unit: "store", materialise: "store", remote_wait: "remote", publish: "store", frontend: "frontend",
  codegen: "codegen", compile: "compile", link: "link", script: "script", unnamed: "unnamed",
};
const TITLE = {
  lookup: "look-up", restore_unit: "restoring", materialise: "placeholders", remote_wait: "waiting for the remote", publish: "storing",
  frontend: "front end", codegen: "code generation", compile: "compiling", link: "linking",
  script: "running", unnamed: "not accounted for",
};
const FATE = {
  hit: "from the store", miss: "compiled", uncacheable: "compiled, not stored", replayed: "replayed",
  ran: "ran", refused: "ran, not stored", unknown: "ran",
};

// ---- words ------------------------------------------------------------------------------------
function time(us) {
  const ms = us / 1000;
  if (us <= 0) return "0";
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return (tenths / 10).toFixed(1) + " s";
  const s = Math.round(ms / 1000);
  if (s < 3600) return Math.floor(s / 60) + " min " + String(s % 60).padStart(2, "0") + " s";
  return Math.floor(s / 3600) + " h " + String(Math.floor(s / 60) % 60).padStart(2, "0") + " min";
}
const clock = (us) => us < 1e7 ? (us / 1e6).toFixed(2) + " s" : time(us);
function element(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

// What stands between backquotes is a name.
function prose(e, text) {
  const pieces = text.split("`");
  pieces.forEach((piece, i) => {
    if (i % 2 && i < pieces.length - 1) e.append(element("code", "", piece)); else e.append((i % 2 ? "`" : "") + piece);
  });
  return e;
}

// ---- what is known of each unit ---------------------------------------------------------------
const sum = (unit, ...parts) =>
  unit.parts.reduce((all, p) => all + (parts.includes(p.part) ? p.time_us : 0), 0);
const rowsOf = units.map((unit, index) => ({
  index, unit, name: unit.name, fate: FATE[unit.fate] || unit.fate,
  time: unit.time_us, at: unit.at_us, waited: Math.max(0, unit.at_us - unit.ready_us),
  front: sum(unit, "frontend", "compile", "script"), codegen: sum(unit, "codegen"), link: sum(unit, "link"),
  saved: unit.saved_us, critical: critical.has(index),
  text: [unit.name, unit.package, unit.kind, unit.fate, FATE[unit.fate], unit.reason, unit.message, unit.linker]
    .filter(Boolean).join(" ").toLowerCase(),
}));
const end = (unit) => unit.at_us + unit.time_us;
const wall = Math.max(report.run.wall_us, ...units.map(end), 1);
const cores = report.machine ? report.machine.cores : 0;

// Lanes: each unit goes into the first that is free, so that there are as many as ran at once.
const lane = new Int32Array(units.length);
const free = [];
units.forEach((unit, index) => {
  let at = free.findIndex((until) => until <= unit.at_us);
  if (at < 0) at = free.length;
  free[at] = end(unit);
  lane[index] = at;
});
const lanes = Math.max(1, free.length);

// How many run and how many wait, as steps.
function steps(begin, stop) {
  const edges = [];
  for (const unit of units) {
    if (stop(unit) > begin(unit)) edges.push([begin(unit), 1], [stop(unit), -1]);
  }
  edges.sort((a, b) => a[0] - b[0]);
  const all = [[0, 0]];
  let count = 0;
  for (const [at, change] of edges) {
    count += change;
    const last = all[all.length - 1];
    if (last[0] === at) last[1] = count; else all.push([at, count]);
  }
  return all;
}
const running = steps((u) => u.at_us, end);
const waiting = steps((u) => u.ready_us, (u) => u.at_us);
const peak = (all) => all.reduce((most, s) => Math.max(most, s[1]), 0);

// ---- the chart --------------------------------------------------------------------------------
const chart = $("chart"), canvas = $("canvas"), tip = $("tip"), context = canvas.getContext("2d");
const PAD = 14, AXIS = 26;
const laneHeight = lanes <= 24 ? 20 : Math.max(3, Math.floor(480 / lanes));
let view = { from: 0, to: wall }, chosen = -1, hovered = -1, layout = null, colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "faint", "line", "raised", "ember", "frontend", "codegen", "compile", "link",
    "script", "store", "remote", "cargo", "own", "unnamed", "running", "waiting", "cpu", "memory"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}
function measure() {
  let y = AXIS;
  const strips = [];
  const add = (kind, height, title) => {
    strips.push({ kind, title, top: y + (title ? 20 : 4), height });
    y += height + (title ? 20 : 4) + 8;
  };
  if (critical.size) add("critical", 18, "Critical path");
  add("lanes", lanes * laneHeight, units.length ? "Units and build scripts" : "No unit was built");
  if (units.length) add("running", 56, waiting.length > 1 ? "Running, and waiting" : "Running");
  if (report.samples.at_ms.length) {
    add("cpu", 40, report.machine && report.machine.limited ? "Processors of this container" : "Processors of the machine");
    if (report.samples.memory_mib.length) add("memory", 40, "Memory");
  }
  layout = { strips, height: y + 6 };
}
const x = (us) => PAD + (us - view.from) / (view.to - view.from) * (layout.width - 2 * PAD);
const usAt = (px) => view.from + (px - PAD) / (layout.width - 2 * PAD) * (view.to - view.from);

function draw() {
  const ratio = window.devicePixelRatio || 1;
  layout.width = chart.clientWidth;
  canvas.style.height = layout.height + "px";
  canvas.width = Math.round(layout.width * ratio);
  canvas.height = Math.round(layout.height * ratio);
  const c = context;
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, layout.width, layout.height);
  c.font = "12px ui-sans-serif, system-ui, sans-serif";
  c.textBaseline = "middle";
  axis(c);
  for (const strip of layout.strips) {
    if (strip.title) {
      c.fillStyle = colours.soft;
      c.fillText(strip.title, PAD, strip.top - 10);
    }
    c.save();
    c.beginPath();
    c.rect(PAD, strip.top - 1, layout.width - 2 * PAD, strip.height + 2);
    c.clip();
    if (strip.kind === "critical") units.forEach((u, i) => critical.has(i) && bar(c, u, i, strip.top, 18));
    if (strip.kind === "lanes") units.forEach((u, i) => bar(c, u, i, strip.top + lane[i] * laneHeight, laneHeight));
    if (strip.kind === "running") load(c, strip);
    if (strip.kind === "cpu") {
      curve(c, strip, report.samples.cpu_milli.map((v) => v / 1000), cores, "cpu");
    }
    if (strip.kind === "memory") {
      const total = report.machine ? report.machine.memory_bytes / 1048576 : 0;
      curve(c, strip, report.samples.memory_mib, total, "memory");
    }
    c.restore();
    bound(c, strip);
  }
}
// Steps that people count in: 1, 2, 5 and tens of these below a second, then seconds, minutes and hours.
const STEPS = [3, 4, 5].flatMap((e) => [1, 2, 5].map((n) => n * 10 ** e)).concat([1, 60, 3600].flatMap((unit) =>
  [1, 2, 5, 10, 15, 30].map((n) => n * unit * 1e6)));
function axis(c) {
  const span = view.to - view.from;
  const step = STEPS.find((s) => span / s <= Math.max(2, layout.width / 110)) || span;
  c.strokeStyle = colours.line;
  c.lineWidth = 1;
  c.textAlign = "left";
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const px = Math.round(x(at)) + .5;
    c.beginPath();
    c.moveTo(px, 0);
    c.lineTo(px, layout.height);
    c.stroke();
    c.fillStyle = colours.soft;
    const text = step >= 1e6 ? (at >= 6e7 ? time(at) : at / 1e6 + " s") : step >= 1e4 ? (at / 1e6).toFixed(2) + " s" : (at / 1000).toFixed(0) + " ms";
    if (px + c.measureText(text).width + 6 < layout.width) c.fillText(text, px + 5, 12);
  }
  for (const phase of report.phases) {
    if (phase.phase === "cargo") continue;
    const from = x(phase.at_us), to = x(phase.at_us + phase.time_us);
    if (to < PAD || from > layout.width - PAD || to - from < 1) continue;
    c.globalAlpha = .35;
    c.fillStyle = colours.cargo;
    c.fillRect(from, AXIS - 4, to - from, layout.height - AXIS);
    c.globalAlpha = 1;
    const name = phase.phase === "restore" ? "restore" : phase.phase;
    if (to - from > c.measureText(name).width + 10) {
      c.fillStyle = colours.soft;
      c.fillText(name, from + 5, layout.height - 14);
    }
  }
}
function bar(c, unit, index, top, height) {
  const from = x(unit.at_us), to = x(end(unit));
  if (to < PAD - 2 || from > layout.width - PAD + 2) return;
  const inset = height > 8 ? 2 : height > 4 ? 1 : 0;
  const h = height - inset, scale = (to - from) / Math.max(1, unit.time_us);
  if (to - from < 1.2) {
    c.fillStyle = colours[GROUP[dominant(unit)]] || colours.own;
    c.fillRect(from, top, 1.2, h);
  } else {
    for (const part of unit.parts) {
      c.fillStyle = colours[GROUP[part.part]] || colours.own;
      c.fillRect(from + part.at_us * scale, top, Math.max(.5, part.time_us * scale), h);
    }
  }
  const text = unit.package + (unit.kind === "run-build-script" ? " (script)" : "");
  if (h > 11 && to - from > 30 && to - from > Math.min(64, c.measureText(text).width + 8)) {
    c.save();
    c.beginPath();
    c.rect(from, top, to - from - 3, h);
    c.clip();
    // A dark edge keeps light letters readable across parts of any colour.
    c.strokeStyle = "#1b1714aa";
    c.lineWidth = 2.6;
    c.lineJoin = "round";
    c.strokeText(text, Math.max(from, PAD) + 5, top + h / 2 + .5);
    c.fillStyle = "#fff";
    c.fillText(text, Math.max(from, PAD) + 5, top + h / 2 + .5);
    c.restore();
  }
  if (critical.has(index) && h > 5) {
    c.fillStyle = colours.ember;
    c.fillRect(from, top + h - 2, Math.max(1, to - from), 2);
  }
  if (index === chosen || index === hovered) {
    c.strokeStyle = colours.ink;
    c.lineWidth = index === chosen ? 2 : 1.2;
    c.strokeRect(from - .5, top - .5, Math.max(3, to - from) + 1, h + 1);
  }
}
const DARK = matchMedia("(prefers-color-scheme: dark)");
const dominant = (unit) =>
  unit.parts.reduce((most, p) => (p.time_us > most.time_us ? p : most), { part: "unnamed", time_us: -1 }).part;

function area(c, strip, all, most, colour, base) {
  const y = (value) => strip.top + strip.height - Math.min(1, value / most) * strip.height;
  c.fillStyle = colour;
  c.beginPath();
  c.moveTo(x(0), y(0));
  let last = 0;
  for (const [at, value] of all) {
    c.lineTo(x(at), y(last));
    last = value + (base ? base(at) : 0);
    c.lineTo(x(at), y(last));
  }
  c.lineTo(x(all[all.length - 1][0]), y(0));
  c.closePath();
  c.fill();
}
function load(c, strip) {
  // Waiting is drawn above running: both as steps of their sum.
  const both = [];
  let r = 0, w = 0, i = 0, j = 0;
  while (i < running.length || j < waiting.length) {
    const at = Math.min(running[i] ? running[i][0] : Infinity, waiting[j] ? waiting[j][0] : Infinity);
    if (running[i] && running[i][0] === at) r = running[i++][1];
    if (waiting[j] && waiting[j][0] === at) w = waiting[j++][1];
    both.push([at, r + w]);
  }
  // A long queue is cut off: what matters is whether there is one.
  const most = Math.max(cores * 2, peak(running), Math.min(peak(both), Math.max(cores, peak(running)) * 3), 1);
  strip.most = most;
  area(c, strip, both, most, colours.waiting);
  area(c, strip, running, most, colours.running);
  limit(c, strip, cores / most);
  strip.legend = (cores ? cores + (cores === 1 ? " core" : " cores") + ", " : "") + "most at once " + peak(running) +
    (waiting.length > 1 ? ", most waiting " + peak(waiting) : "");
}
function curve(c, strip, values, most, colour) {
  const top = Math.max(most, ...values, 1e-9);
  const at = report.samples.at_ms.map((ms) => ms * 1000);
  const y = (value) => strip.top + strip.height - value / top * strip.height;
  c.fillStyle = colours[colour];
  c.beginPath();
  c.moveTo(x(0), y(0));
  // A sample of processor time stands for the span before it; memory is what it was then.
  let before = 0;
  values.forEach((value, i) => {
    c.lineTo(x(before), y(value));
    c.lineTo(x(at[i]), y(value));
    before = at[i];
  });
  c.lineTo(x(before), y(0));
  c.closePath();
  c.fill();
  if (most) limit(c, strip, most / top);
  const average = values.reduce((a, v, i) => a + v * (at[i] - (at[i - 1] || 0)), 0) / Math.max(1, at[at.length - 1]);
  strip.legend = colour === "cpu"
    ? average.toFixed(1) + (most ? " of " + most : "") + " in use on average"
    : "at most " + gib(Math.max(...values)) + (most ? " of " + gib(most) : "");
}
const gib = (mib) => (mib / 1024).toFixed(1) + " GiB";
function limit(c, strip, share) {
  if (!share) return;
  const y = Math.round(strip.top + strip.height - Math.min(1, share) * strip.height) + .5;
  c.strokeStyle = colours.soft;
  c.setLineDash([3, 3]);
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(PAD, y);
  c.lineTo(layout.width - PAD, y);
  c.stroke();
  c.setLineDash([]);
}
function bound(c, strip) {
  if (!strip.legend) return;
  const width = c.measureText(strip.legend).width, title = c.measureText(strip.title).width;
  if (width + title + 3 * PAD > layout.width) return;
  c.fillStyle = colours.faint;
  c.textAlign = "right";
  c.fillText(strip.legend, layout.width - PAD, strip.top - 10);
  c.textAlign = "left";
}

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}
function zoom(factor, around) {
  const at = around === undefined ? (chosen >= 0 ? units[chosen].at_us : (view.from + view.to) / 2) : around;
  const span = Math.min(wall, Math.max(2000, (view.to - view.from) * factor));
  const share = Math.min(1, Math.max(0, (at - view.from) / (view.to - view.from)));
  look(at - share * span, span);
}
function look(from, span) {
  from = Math.min(Math.max(0, from), wall - span);
  view = { from, to: from + span };
  redraw();
}
function hit(px, py) {
  for (const strip of layout.strips) {
    if (py < strip.top || py > strip.top + strip.height) continue;
    if (strip.kind !== "lanes" && strip.kind !== "critical") return -1;
    const wanted = Math.floor((py - strip.top) / laneHeight);
    let best = -1, distance = 3;
    units.forEach((unit, i) => {
      if (strip.kind === "lanes" ? lane[i] !== wanted : !critical.has(i)) return;
      const from = x(unit.at_us), to = x(end(unit));
      const d = px < from ? from - px : px > to ? px - to : 0;
      if (d < distance || (d === 0 && best < 0)) { best = i; distance = d; }
    });
    return best;
  }
  return -1;
}
function says(unit) {
  const parts = unit.parts.filter((p) => p.part !== "unnamed" && p.time_us >= 1000)
    .map((p) => TITLE[p.part] + " " + time(p.time_us));
  const waited = unit.at_us - unit.ready_us;
  return [FATE[unit.fate] || unit.fate, "from " + clock(unit.at_us), ...parts,
    ...(waited >= 1000 ? ["waited " + time(waited)] : [])].join(", ");
}
function showTip(px, py) {
  if (hovered < 0) { tip.hidden = true; return; }
  const unit = units[hovered];
  tip.replaceChildren(element("b", "", unit.name + ": " + time(unit.time_us)), element("span", "", says(unit)));
  tip.hidden = false;
  tip.style.left = Math.min(Math.max(6, px + 12), Math.max(6, layout.width - tip.offsetWidth - 6)) + "px";
  tip.style.top = (py + 18 + tip.offsetHeight > layout.height ? Math.max(4, py - tip.offsetHeight - 12) : py + 18) + "px";
}
function choose(index, scroll) {
  chosen = index;
  const detail = $("detail");
  detail.replaceChildren();
  if (index >= 0) {
    const unit = units[index], box = element("div");
    box.append(element("h3", "", unit.name), element("p", "", time(unit.time_us) + ": " + says(unit) +
      (critical.has(index) ? ", on the critical path" : "")));
    const stack = element("div", "stack");
    stack.setAttribute("aria-hidden", "true");
    for (const part of unit.parts) {
      const piece = element("i");
      piece.style.flexGrow = part.time_us;
      piece.style.background = "var(--" + (GROUP[part.part] || "own") + ")";
      stack.append(piece);
    }
    box.append(stack);
    if (unit.message) box.append(prose(element("p", "", "Why: "), unit.message));
    if (unit.linker) box.append(element("p", "", "Linked with " + unit.linker));
    if (unit.saved_us) box.append(element("p", "", "When it was stored it took " + time(unit.saved_us)));
    detail.append(box);
    if (unit.at_us < view.from || end(unit) > view.to) {
      const span = Math.max(view.to - view.from, unit.time_us * 1.2);
      look(unit.at_us - (span - unit.time_us) / 2, Math.min(wall, span));
    }
    if (scroll) chart.scrollIntoView({ block: "nearest" });
  }
  for (const row of $("rows").children) row.classList.toggle("chosen", Number(row.dataset.index) === index);
  redraw();
}
const point = (event) => {
  const box = chart.getBoundingClientRect();
  return [event.clientX - box.left - chart.clientLeft, event.clientY - box.top - chart.clientTop];
};
let drag = null;
chart.addEventListener("pointerdown", (event) => {
  drag = { x: point(event)[0], from: view.from, moved: false };
});
chart.addEventListener("pointermove", (event) => {
  const [px, py] = point(event);
  if (drag && event.buttons) {
    const span = view.to - view.from;
    if (Math.abs(px - drag.x) > 4) drag.moved = true;
    if (drag.moved) {
      tip.hidden = true;
      look(drag.from - (px - drag.x) / (layout.width - 2 * PAD) * span, span);
      return;
    }
  }
  const found = hit(px, py);
  if (found !== hovered) { hovered = found; redraw(); }
  showTip(px, py);
});
chart.addEventListener("pointerleave", () => { hovered = -1; tip.hidden = true; redraw(); });
chart.addEventListener("pointerup", (event) => {
  const moved = drag && drag.moved;
  drag = null;
  if (!moved) choose(hit(...point(event)));
});
chart.addEventListener("dblclick", (event) => zoom(.4, usAt(point(event)[0])));
chart.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : .8, usAt(point(event)[0]));
}, { passive: false });
chart.addEventListener("keydown", (event) => {
  const last = units.length - 1;
  const act = {
    ArrowRight: () => choose(Math.min(last, chosen + 1)), ArrowLeft: () => choose(Math.max(0, chosen - 1)),
    ArrowDown: () => choose(Math.min(last, chosen + 10)), ArrowUp: () => choose(Math.max(0, chosen - 10)),
    Home: () => choose(0), End: () => choose(last), Escape: () => choose(-1),
    "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), 0: () => look(0, wall),
  }[event.key];
  if (!act || !units.length || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
$("zoom-in").addEventListener("click", () => zoom(.5));
$("zoom-out").addEventListener("click", () => zoom(2));
$("zoom-all").addEventListener("click", () => look(0, wall));

// ---- the table --------------------------------------------------------------------------------
const FIRST = 100;
let order = { key: "time", down: true }, all = false;
function wanted() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const which = $("which").value;
  const fits = (row) => words.every((word) => row.text.includes(word)) && ({
    "": true, compiled: !["hit", "replayed"].includes(row.unit.fate), hit: ["hit", "replayed"].includes(row.unit.fate),
    script: row.unit.what === "script", critical: row.critical, link: row.link > 0,
  })[which];
  const sign = order.down ? -1 : 1;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return rowsOf.filter(fits).sort((a, b) => sign * compare(a[order.key], b[order.key]) || a.index - b.index);
}
function number(us, wide) {
  const cell = element("td", "number" + (wide ? " wide" : ""), us ? time(us) : "–");
  if (!us) cell.classList.add("zero");
  return cell;
}
const slowest = Math.max(1, ...units.map((unit) => unit.time_us));
function fill() {
  const found = wanted(), shown = all ? found : found.slice(0, FIRST), rows = $("rows");
  const fragment = document.createDocumentFragment();
  for (const row of shown) {
    const tr = element("tr", (row.critical ? "critical" : "") + (row.index === chosen ? " chosen" : ""));
    tr.dataset.index = row.index;
    const name = element("td", "name"), button = element("button", "", row.name);
    button.type = "button";
    button.addEventListener("click", () => choose(row.index, true));
    name.append(button);
    // What was never built before needs no explanation.
    if (row.unit.message && row.unit.reason !== "never_seen") name.append(prose(element("span", "why"), row.unit.message));
    const took = number(row.time);
    const meter = element("span", "meter");
    meter.style.width = Math.max(2, row.time / slowest * 90) + "px";
    for (const part of row.unit.parts) {
      const piece = element("i");
      piece.style.flex = part.time_us + " 0 0";
      piece.style.background = "var(--" + (GROUP[part.part] || "own") + ")";
      meter.append(piece);
    }
    took.append(meter);
    const at = element("td", "number wide", clock(row.at));
    tr.append(name, element("td", "fate", row.fate), took, at, number(row.waited >= 1000 ? row.waited : 0, true),
      number(row.front, true), number(row.codegen, true), number(row.link, true), number(row.saved, true));
    fragment.append(tr);
  }
  rows.replaceChildren(fragment);
  $("count").textContent = found.length === units.length ? units.length + " in all" : found.length + " of " + units.length;
  const more = $("more");
  more.hidden = shown.length === found.length;
  more.textContent = "Show all " + found.length;
}
for (const head of document.querySelectorAll("#table th")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.key;
    order = { key, down: order.key === key ? !order.down : !["name", "fate", "at"].includes(key) };
    for (const other of document.querySelectorAll("#table th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    fill();
  });
}
$("filter").addEventListener("input", fill);
$("which").addEventListener("change", fill);
$("more").addEventListener("click", () => { all = true; fill(); });
if (!critical.size) $("which").querySelector("[value=critical]").remove();

readColours();
measure();
draw();
fill();
new ResizeObserver(redraw).observe(chart);
DARK.addEventListener("change", () => { readColours(); redraw(); });
}));
