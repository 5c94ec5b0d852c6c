"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAUSE_MS = 700; // blank time before each pair
  const LARGEST = 400; // largest side of a shown image, CSS pixels
  const byId = (id) => document.getElementById(id);
  const pair = byId("pair");
  const sides = Object.fromEntries([...pair.querySelectorAll("button")].map((button) => [button.dataset.side, button]));
  const canvases = [...pair.querySelectorAll("canvas")];
  const KEYS = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right" };
  const frame = () => new Promise(requestAnimationFrame);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let answers = null; // the answers file of the session; a reload loses it, and the next one has another `session`
  let underway = false;

  function say(text, kind = "") {
    byId("message").textContent = text;
    byId("message").className = kind;
  }

  // Earlier starts of this study under this number in this browser; null where the browser keeps nothing.
  function countStart(participant) {
    try {
      const name = `cgbench-study-${data.study}-${participant}`;
      const earlier = Number(localStorage.getItem(name)) || 0;
      localStorage.setItem(name, earlier + 1);
      return earlier;
    } catch {
      return null;
    }
  }

  // Whole multiples of a pixel where there is room, so that no image is blurred; both images alike.
  function fit() {
    const { width, height } = canvases[0];
    const room = Math.min((innerWidth - 60) / 2, ((innerHeight - 270) * width) / height, LARGEST);
    const times = Math.floor((room * devicePixelRatio) / width);
    const shown = times >= 1 ? (times * width) / devicePixelRatio : Math.max(room, 60);
    for (const canvas of canvases) {
      canvas.style.width = `${shown}px`;
      canvas.classList.toggle("sharp", times >= 1);
    }
    return Math.round(shown * devicePixelRatio);
  }

  async function draw(canvas, number) {
    const image = new Image();
    image.src = `data:image/webp;base64,${data.images[number]}`;
    await image.decode();
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0);
  }

  async function visible() {
    while (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }

  // Both images are decoded and drawn before the clock starts. The time is that between two frames: the one that
  // shows them and the one that hides them. A hidden window ends it early.
  async function show([left, right]) {
    await Promise.all([draw(canvases[0], left), draw(canvases[1], right), wait(PAUSE_MS)]);
    await visible();
    fit();
    await frame();
    let left_at = 0;
    const leave = () => {
      if (!document.hidden) return;
      pair.classList.remove("shown");
      left_at = left_at || performance.now();
    };
    const began = await frame();
    pair.classList.add("shown");
    document.addEventListener("visibilitychange", leave);
    let now = began;
    for (let last = now; !left_at; last = now) {
      now = await frame();
      if (now - began >= data.shown_ms - (now - last) / 2) break;
    }
    pair.classList.remove("shown");
    document.removeEventListener("visibilitychange", leave);
    return Math.round((left_at || now) - began);
  }

  function choice() {
    return new Promise((resolve) => {
      const done = (side) => {
        document.removeEventListener("keydown", press);
        pair.removeEventListener("click", click);
        pair.classList.remove("asking");
        for (const button of Object.values(sides)) button.disabled = true;
        resolve(side);
      };
      const press = (event) => {
        if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || !(event.key in KEYS)) return;
        event.preventDefault();
        done(KEYS[event.key]);
      };
      const click = (event) => {
        const button = event.target.closest("button");
        if (button) done(button.dataset.side);
      };
      for (const button of Object.values(sides)) button.disabled = false;
      pair.classList.add("asking");
      pair.addEventListener("click", click);
      document.addEventListener("keydown", press);
    });
  }

  async function goOn(text) {
    const button = byId("next");
    button.textContent = text;
    button.classList.add("ready");
    button.focus();
    await new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
    button.classList.remove("ready");
    button.blur();
  }

  async function feedback(real, chosen) {
    sides[real].classList.add("answer");
    if (chosen === real) say("Right.", "right");
    else say(`No, the ${real} one was real.`, "wrong");
    await goOn("Continue");
    sides[real].classList.remove("answer");
  }

  async function play(session) {
    let correct = 0;
    for (const [place, shownPair] of session.entries()) {
      const practice = place < data.practice;
      const [number, total] = practice
        ? [place + 1, data.practice]
        : [place + 1 - data.practice, session.length - data.practice];
      byId("count").textContent = `${practice ? "Practice" : "Pair"} ${number} of ${total}`;
      byId("bar").value = place / session.length;
      if (place && place === data.practice) {
        say(`Practice is over: ${correct} of ${data.practice} were right. Now ${total} pairs, without a word on your answers.`);
        await goOn("Begin");
      }
      say("Look…");
      const shown_ms = await show(shownPair);
      say("Which one was real?");
      const asked = performance.now();
      const chosen = await choice();
      const response_ms = Math.round(performance.now() - asked);
      const [left, right, real] = shownPair;
      answers.trials.push({ trial: place + 1, left, right, chosen, response_ms, shown_ms });
      if (practice) {
        correct += chosen === real;
        await feedback(real, chosen);
      }
    }
  }

  function crc32(text) {
    let sum = ~0;
    for (const byte of new TextEncoder().encode(text)) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
    }
    return (~sum >>> 0).toString(16).padStart(8, "0");
  }

  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function finish() {
    answers.finished = new Date().toISOString();
    answers.checksum = crc32(JSON.stringify(answers)); // shows cut or edited files; it proves nothing
    const text = `${JSON.stringify(answers)}\n`;
    const name = `cgbench-study-${answers.study}-${answers.participant}-${answers.session.slice(0, 6)}.json`;
    byId("file").textContent = name;
    byId("answers").value = text;
    byId("answers").addEventListener("focus", () => byId("answers").select());
    byId("save").addEventListener("click", () => save(name, text));
    byId("test").hidden = true;
    byId("end").hidden = false;
    byId("save").focus();
    save(name, text);
    underway = false;
  }

  async function begin(participant) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    answers = {
      kind: "cgbench study answers",
      schema: 1,
      study: data.study,
      run: data.run,
      participant,
      session: [...random].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      started: new Date().toISOString(),
      earlier_starts: countStart(participant),
      window: [innerWidth, innerHeight],
      image_pixels: 0,
      trials: [],
    };
    underway = true;
    byId("intro").hidden = true;
    byId("test").hidden = false;
    const session = data.sessions[participant - 1];
    await draw(canvases[0], session[0][0]); // gives the empty frames their size
    canvases[1].width = canvases[0].width;
    canvases[1].height = canvases[0].height;
    answers.image_pixels = fit();
    await play(session);
    finish();
  }

  byId("participant").value = new URLSearchParams(location.hash.slice(1)).get("participant") ?? "";
  byId("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("participant").value.trim();
    const participant = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
    if (participant < 1 || participant > data.sessions.length) {
      byId("problem").textContent = `Please enter a number from 1 to ${data.sessions.length}.`;
      byId("participant").focus();
    } else if (!underway) {
      begin(participant).catch((error) => say(`This browser cannot show the images (${error.message}).`, "wrong"));
    }
  });
  window.addEventListener("resize", () => { if (underway) fit(); });
  window.addEventListener("beforeunload", (event) => { if (underway) event.preventDefault(); });
  document.documentElement.dataset.ready = "true";
})();
