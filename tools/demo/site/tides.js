/* The Tides: the curves that are drawn, the simulator, and how this page came here. */
"use strict";

/* Degrees an hour, and metres on an ocean that covers the whole earth. */
const CONSTITUENTS = [
  { name: "M2", speed: 28.9841042, metres: 0.2423 },
  { name: "S2", speed: 30.0, metres: 0.1128 },
  { name: "N2", speed: 28.4397295, metres: 0.0464 },
  { name: "K2", speed: 30.0821373, metres: 0.0307 },
  { name: "K1", speed: 15.0410686, metres: 0.1416 },
  { name: "O1", speed: 13.9430356, metres: 0.1005 },
];
const MONTH_DAYS = 29.53; /* new moon to new moon */

const byId = (id) => document.getElementById(id);
const radians = (degrees) => (degrees * Math.PI) / 180;

function height(hours, names) {
  return CONSTITUENTS.filter((c) => names.includes(c.name)).reduce(
    (sum, c) => sum + c.metres * Math.cos(radians(c.speed * hours)),
    0,
  );
}

/* The path of a tide from one hour to another in a box of width x depth, `full` metres high. */
function curve(from, to, names, width, depth, full) {
  const points = [];
  const steps = 600;
  for (let i = 0; i <= steps; i++) {
    const x = (width * i) / steps;
    const y = depth / 2 - (height(from + ((to - from) * i) / steps, names) * depth) / (2 * full);
    points.push(`${x.toFixed(1)},${y.toFixed(1)}`);
  }
  return `M${points.join("L")}`;
}

function phaseName(day) {
  const names = [
    "new moon", "waxing crescent", "first quarter", "waxing gibbous",
    "full moon", "waning gibbous", "last quarter", "waning crescent",
  ];
  return names[Math.round((day / MONTH_DAYS) * 8) % 8];
}

/* The lit part of a disc of radius r, as a path: one half circle and one half ellipse. */
function litDisc(day, r) {
  const turn = (2 * Math.PI * day) / MONTH_DAYS;
  const waxing = day <= MONTH_DAYS / 2;
  const bulge = Math.abs(Math.cos(turn)) * r;
  const limb = waxing ? 1 : 0;
  const crescent = Math.cos(turn) > 0 ? 1 - limb : limb;
  return `M0,${-r}A${r},${r} 0 0 ${limb} 0,${r}A${bulge.toFixed(2)},${r} 0 0 ${crescent} 0,${-r}Z`;
}

/* The simulator: the age of the moon sets the two bulges and the day's tide. */
function simulate() {
  const slider = byId("age");
  if (!slider) {
    return;
  }
  const show = () => {
    const day = Number(slider.value);
    const turn = (360 * day) / MONTH_DAYS;
    const together = Math.cos(radians(2 * turn)); /* 1: springs, -1: neaps */
    byId("age-words").textContent = `day ${day.toFixed(1)}, ${phaseName(day)}`;
    byId("lit").setAttribute("d", litDisc(day, 34));
    byId("orbit").setAttribute("transform", `rotate(${-turn})`);
    const lag = (Math.atan2(0.1128 * Math.sin(radians(2 * turn)), 0.2423 + 0.1128 * together) * 90) / Math.PI;
    const bulge = byId("bulge");
    bulge.setAttribute("transform", `rotate(${-turn + lag})`);
    bulge.setAttribute("rx", 42 + 6 * together + 4);
    bulge.setAttribute("ry", 35 - 3 * together);
    const hours = day * 24;
    byId("day-curve").setAttribute("d", curve(hours, hours + 25, ["M2", "S2"], 420, 170, 0.4));
    const kind = together > 0.5 ? "springs" : together < -0.5 ? "neaps" : "in between";
    const range = 2 * Math.hypot(0.2423 + 0.1128 * together, 0.1128 * Math.sin(radians(2 * turn)));
    byId("range-words").textContent = `${kind}: ${(range * 100).toFixed(0)} cm from low to high water`;
  };
  slider.addEventListener("input", show);
  show();
}

function drawCurves() {
  for (const path of document.querySelectorAll("path[data-tide]")) {
    const { tide, days, width, depth, full } = path.dataset;
    path.setAttribute("d", curve(0, 24 * days, tide.split(" "), Number(width), Number(depth), Number(full)));
  }
}

/* Ask for this very page again, head only, and show what the edge says of it. */
async function ask() {
  const began = performance.now();
  let fields;
  try {
    const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
    const took = `${(performance.now() - began).toFixed(1)} ms`;
    const of = (name) => answer.headers.get(name) || "none";
    fields = { "cache-status": of("cache-status"), age: of("age"), etag: of("etag"), took };
  } catch {
    fields = { "cache-status": "no answer", age: "none", etag: "none", took: "none" };
  }
  for (const [name, value] of Object.entries(fields)) {
    byId(`arrival-${name}`).textContent = value;
  }
}

simulate();
drawCurves();
byId("ask").addEventListener("click", ask);
ask();
