// The page of `ganlm serve`. Text from models and runs is only ever set as text, never as HTML; figures come from the
// server, which made them.
"use strict";

const models = JSON.parse(document.body.dataset.models);
const runs = JSON.parse(document.body.dataset.runs);
const $ = (id) => document.getElementById(id);
const PLACES = ["watch", "write", "judge", "duel"];

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const found = await response.json();
  if (!response.ok) throw new Error(found.error.message);
  return found;
}

async function tried(errorId, work) {
  $(errorId).textContent = "";
  try { await work(); } catch (error) { $(errorId).textContent = error.message; }
}

const model = () => models.find((each) => each.name === $("model").value) || models[0];
const percent = (share) => `${(100 * share).toFixed(share < 0.01 || share > 0.99 ? 1 : 0)}%`;

// ---- the four places ----

function show(place) {
  for (const each of PLACES) {
    const chosen = each === place;
    $(each).hidden = !chosen;
    $(`tab-${each}`).setAttribute("aria-selected", chosen);
    $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
  }
  if (location.hash !== `#${place}`) history.replaceState(null, "", `#${place}`);
}

for (const place of PLACES) {
  $(`tab-${place}`).addEventListener("click", () => show(place));
  $(`tab-${place}`).addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = PLACES[(PLACES.indexOf(place) + move + PLACES.length) % PLACES.length];
    show(next);
    $(`tab-${next}`).focus();
  });
}

// ---- watch ----

function watch(name) {
  const box = element("article", undefined, { class: "run" });
  const title = element("h3", name), status = element("p", "waiting for the run"), bar = element("progress");
  const warnings = element("ul", undefined, { class: "warning" });
  const slider = element("input", undefined, { type: "range", min: 0, max: 0, value: 0, "aria-label": `samples of ${name} through time` });
  const at = element("p"), samples = element("ul", undefined, { class: "samples" });
  const figures = element("div", undefined, { class: "figures" });
  bar.setAttribute("aria-label", `progress of ${name}`);
  box.append(title, status, bar, warnings, figures, element("h3", "Samples"),
    element("p", "Move the slider to read what the generator wrote earlier. Sentences should get better and stay different from each other.", { class: "caption" }),
    slider, at, samples);
  $("runs").append(box);
  let state = { samples: [] }, follows = true;

  function showSamples() {
    const chosen = state.samples[slider.value];
    at.textContent = chosen ? `after step ${chosen.step}` : "no samples yet";
    samples.replaceChildren(...(chosen ? chosen.texts.map((text) => element("li", text)) : []));
  }
  slider.addEventListener("input", () => { follows = Number(slider.value) === state.samples.length - 1; showSamples(); });

  const events = new EventSource(`/v1/runs/${encodeURIComponent(name)}/events`);
  events.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.problem) { status.textContent = now.problem; return; }
    state = now;
    title.textContent = `${name}: ${now.title}`;
    status.textContent = now.status === "started" ? `step ${now.step} of ${now.steps}` : `${now.status} at step ${now.step} of ${now.steps}`;
    bar.max = now.steps;
    bar.value = now.step;
    warnings.replaceChildren(...now.warnings.map((warning) => element("li", warning)));
    figures.replaceChildren(...now.figures.map(drawn));
    slider.max = Math.max(0, now.samples.length - 1);
    if (follows) slider.value = slider.max;
    showSamples();
  });
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) status.textContent = "the server has ended"; });
}

function drawn(figure) {
  const made = element("figure");
  const picture = new DOMParser().parseFromString(figure.svg, "image/svg+xml").documentElement;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", figure.title);
  made.append(element("h3", figure.title), picture, element("figcaption", figure.caption));
  return made;
}

// ---- write ----

function request() {
  const form = new FormData($("write-form"));
  const number = (name) => Number(form.get(name));
  return {
    model: model().name, prompt: form.get("prompt") || "", n: number("n"), temperature: number("temperature"),
    top_k: number("top_k"), top_p: number("top_p"), seed: number("seed"), select: form.get("select") || "",
  };
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function command(asked) {
  const flags = [
    ["--prompt", asked.prompt, ""], ["--temperature", asked.temperature, 1], ["--top-k", asked.top_k, 0],
    ["--top-p", asked.top_p, 1], ["--select", asked.select, ""], ["--seed", asked.seed, 0],
  ].filter(([, value, usual]) => value !== usual);
  return ["ganlm sample", quoted(model().address), "-n", asked.n, ...flags.flatMap(([flag, value]) => [flag, quoted(String(value))])].join(" ");
}

function alternatives(word) {
  const table = element("table");
  for (const [text, probability] of word.alternatives) {
    const row = element("tr");
    row.append(element("td", text || "(end of the sentence)"), element("td", percent(probability)));
    table.append(row);
  }
  $("alternatives").replaceChildren(element("p", `${word.text || "(end of the sentence)"}: ${percent(word.probability)}. The likeliest words here:`), table);
  $("alternatives").hidden = false;
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let writing = 0;

async function write() {
  const asked = request(), turn = ++writing;
  for (const id of ["alternatives", "command-line", "words-caption"]) $(id).hidden = true;
  $("words").replaceChildren();
  $("sentences").replaceChildren();
  const { texts, words } = await post("/v1/sample", { ...asked, words: !asked.select });
  if (turn !== writing) return;
  if (words) {
    $("words").append(element("span", asked.prompt ? `${asked.prompt} ` : ""));
    $("words-caption").hidden = false;
    for (const word of words) {
      const made = element("button", word.text || "■", { type: "button", class: "word", title: percent(word.probability) });
      if (!word.text) made.setAttribute("aria-label", "end of the sentence");
      made.style.background = `rgba(var(--blue), ${0.05 + 0.35 * word.probability})`;
      for (const event of ["mouseenter", "focus", "click"]) made.addEventListener(event, () => alternatives(word));
      $("words").append(made, " ");
      if (!calm.matches) await pause(90);
      if (turn !== writing) return;
    }
  }
  $("sentences").replaceChildren(...texts.map((text) => element("li", text)));
  $("command").textContent = command(asked);
  $("command-line").hidden = false;
}

$("write-form").addEventListener("submit", (event) => { event.preventDefault(); tried("write-error", write); });
$("another").addEventListener("click", () => {
  $("write-form").seed.value = Math.floor(Math.random() * 1e9);
  tried("write-error", write);
});
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("command").textContent);
  $("copy").textContent = "Copied";
});

// ---- judge ----

function weighted(words) {
  const most = Math.max(0.01, ...words.map((word) => Math.abs(word.weight)));
  return words.flatMap((word) => {
    const made = element("span", word.text, { class: word.known ? "word" : "word unknown" });
    const colour = word.weight > 0 ? "--blue" : "--orange";
    made.style.background = `rgba(var(${colour}), ${(0.45 * Math.abs(word.weight)) / most})`;
    made.title = `${word.weight > 0 ? "for" : "against"} a real sentence: ${word.weight.toFixed(2)} in log-odds`;
    if (word.rank !== null) made.append(element("small", word.rank));
    return [made, " "];
  });
}

let judging = 0, pending;

async function judge() {
  const text = $("judge-text").value, turn = ++judging;
  if (!text.trim()) { $("judgement").hidden = true; return; }
  const { results: [found] } = await post("/v1/score", { model: model().name, texts: [text], words: true });
  if (turn !== judging) return;
  $("judge-meter").value = found.probability;
  $("judge-number").textContent = `${percent(found.probability)} real${found.cut ? " (only the beginning was read)" : ""}`;
  $("judge-words").replaceChildren(...weighted(found.words));
  $("judgement").hidden = false;
}

$("judge-text").addEventListener("input", () => {
  clearTimeout(pending);
  pending = setTimeout(() => tried("judge-error", judge), 200);
});

// ---- duel ----

let round = null;

async function startDuel() {
  const seed = Math.floor(Math.random() * 1e9);
  const { texts } = await post("/v1/duel", { model: model().name, seed });
  round = { seed, texts, number: 0, person: 0, discriminator: 0, open: true, model: model().name };
  for (const id of ["duel-answer", "duel-next", "duel-caption"]) $(id).hidden = true;
  $("duel-start").hidden = true;
  $("round").hidden = false;
  ask();
}

function ask() {
  round.open = true;
  $("duel-count").textContent = `Sentence ${round.number + 1} of ${round.texts.length}`;
  $("duel-text").textContent = round.texts[round.number];
  $("duel-answer").hidden = $("duel-next").hidden = true;
  $("duel-score").textContent = round.number ? `You ${round.person}, discriminator ${round.discriminator}, of ${round.number}` : "";
}

async function guess(real) {
  if (!round || !round.open) return;
  round.open = false;
  const found = await post("/v1/answer", { model: round.model, seed: round.seed, number: round.number, real });
  round.person += found.person_is_right;
  round.discriminator += found.discriminator_is_right;
  const words = element("p", undefined, { class: "words" });
  words.append(...weighted(found.words));
  $("duel-answer").replaceChildren(
    element("p", `${found.person_is_right ? "Right" : "Wrong"}: it was ${found.real ? "real" : "generated"}. The discriminator gave it ${percent(found.probability)} to be real, and was ${found.discriminator_is_right ? "right" : "wrong"}.`),
    words,
    element("p", "Blue words spoke for a real sentence, orange ones against it.", { class: "caption" }),
  );
  $("duel-answer").hidden = false;
  round.number += 1;
  $("duel-score").textContent = `You ${round.person}, discriminator ${round.discriminator}, of ${round.number}`;
  const over = round.number === round.texts.length;
  $("duel-next").hidden = over;
  $("duel-caption").hidden = $("duel-start").hidden = !over;
  if (over) { $("round").hidden = true; $("duel-start").textContent = "Start again"; } else $("duel-next").focus();
}

$("duel-start").addEventListener("click", () => tried("duel-error", startDuel));
$("duel-next").addEventListener("click", ask);
$("duel-real").addEventListener("click", () => tried("duel-error", () => guess(true)));
$("duel-generated").addEventListener("click", () => tried("duel-error", () => guess(false)));
document.addEventListener("keydown", (event) => {
  if ($("duel").hidden || event.ctrlKey || event.metaKey || event.altKey || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
  const real = { r: true, g: false }[event.key.toLowerCase()];
  if (real !== undefined) tried("duel-error", () => guess(real));
});

// ---- what the chosen model can do ----

function fit() {
  const chosen = model();
  if (!chosen) return;
  $("write-form").prompt.disabled = !chosen.writes_word_by_word;
  if (!chosen.writes_word_by_word) {
    $("write-form").prompt.value = "";
    $("write-about").textContent = "This generator writes all words at once, so it cannot go on from a prompt. Touch a word to see what else was likely in its place.";
  } else {
    $("write-about").textContent = "The generator draws one word after the other. Touch a word to see what else was likely in its place.";
  }
  $("write-form").select.disabled = !chosen.judges;
  const silent = "This bundle has no discriminator that can judge: it was trained without one, or too little text was held out. Choose another model.";
  $("judge-about").textContent = chosen.judges ? "The discriminator reads your sentence while you type." : silent;
  $("judge-text").disabled = !chosen.judges;
  const real = chosen.real_sentences >= 10;
  $("duel-about").textContent = !chosen.judges ? silent : real
    ? "Real or generated? You and the discriminator judge the same twenty sentences."
    : "A duel wants real sentences, and the text of this bundle is not here. Start the server with --data FILE.";
  $("duel-start").disabled = !chosen.judges || !real;
}

for (const each of models) $("model").append(element("option", each.name, { value: each.name }));
$("model").addEventListener("change", () => { fit(); tried("judge-error", judge); });
document.querySelector("label.model").hidden = models.length === 0;
for (const run of runs) watch(run);
if (!runs.length) $("runs").append(element("p", "No run is served. Start one with: ganlm run --watch, or show one with: ganlm serve RUN"));
for (const place of ["write", "judge", "duel"]) $(`tab-${place}`).disabled = models.length === 0;
fit();
const asked = location.hash.slice(1);
show(PLACES.includes(asked) && !$(`tab-${asked}`).disabled ? asked : runs.length ? "watch" : "write");
