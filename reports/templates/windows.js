(() => {
  const form = document.querySelector(".windows");
  if (!form) return;
  const packed = JSON.parse(document.getElementById("packed").textContent);
  const decoded = new Map(); // packed pictures as codes, each decoded once
  const tables = new Map(); // of a domain: the window as text, and the grey of every code

  function decode(place) {
    if (!decoded.has(place)) {
      const image = new Image();
      image.src = `data:image/png;base64,${packed[place]}`;
      decoded.set(place, image.decode().then(() => {
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const codes = new Uint16Array(data.length / 4);
        for (let pixel = 0; pixel < codes.length; pixel++) codes[pixel] = 256 * data[4 * pixel] + data[4 * pixel + 1];
        return { codes, width: canvas.width, height: canvas.height };
      }));
    }
    return decoded.get(place);
  }

  function halfToEven(number) {
    const below = Math.floor(number);
    if (number - below !== 0.5) return Math.round(number);
    return below % 2 ? below + 1 : below;
  }

  function greyOfCodes(offset, step, low, high) {
    const greys = new Uint8Array(65536);
    const scale = 255 / (high - low);
    for (let code = 0; code < 65536; code++) {
      greys[code] = Math.min(255, Math.max(0, halfToEven((offset + code * step - low) * scale)));
    }
    return greys;
  }

  async function draw(image, table) {
    const { codes, width, height } = await decode(image.dataset.numbers);
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    for (let pixel = 0; pixel < codes.length; pixel++) {
      pixels.data.fill(table.greys[codes[pixel]], 4 * pixel, 4 * pixel + 3);
      pixels.data[4 * pixel + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    if (tables.get(image.dataset.domain) !== table) return; // the window has moved on
    image.src = canvas.toDataURL();
    image.dataset.shown = table.text;
  }

  // Pictures that are not seen now are drawn when they are: another seed, direction or order of the gallery.
  function drawVisible() {
    const stale = [...document.querySelectorAll("main img[data-numbers]")].filter((image) => {
      const table = tables.get(image.dataset.domain);
      return table && image.offsetParent && image.dataset.shown !== table.text;
    });
    return Promise.all(stale.map((image) => draw(image, tables.get(image.dataset.domain))));
  }

  let wanted = 0;
  function soon() {
    const mine = ++wanted;
    delete document.documentElement.dataset.drawn;
    requestAnimationFrame(async () => {
      if (mine !== wanted) return;
      await drawVisible();
      if (mine === wanted) document.documentElement.dataset.drawn = "true";
    });
  }

  function setWindow(fieldset) {
    const [low, high] = ["low", "high"].map((name) => fieldset.querySelector(`[name=${name}]`));
    const [from, to] = [low, high].map((input) => input.valueAsNumber);
    const valid = from < to; // false for an empty field, too
    for (const input of [low, high]) input.setAttribute("aria-invalid", String(!valid));
    const { domain, name, unit, offset, step } = fieldset.dataset;
    form.querySelector(".invalid").textContent = valid ? "" : `${name}: black has to be below white.`;
    if (!valid) return;
    const text = `shown: ${from} to ${to}${unit ? ` ${unit}` : ""} as black to white`;
    tables.set(domain, { text, greys: greyOfCodes(Number(offset), Number(step), from, to) });
    for (const note of document.querySelectorAll(`[data-window="${domain}"]`)) note.textContent = text;
    soon();
  }

  form.addEventListener("input", (event) => setWindow(event.target.closest("fieldset")));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("click", (event) => {
    const preset = event.target.closest("button");
    if (!preset) return;
    const fieldset = preset.closest("fieldset");
    for (const name of ["low", "high"]) fieldset.querySelector(`[name=${name}]`).value = preset.dataset[name];
    setWindow(fieldset);
  });
  document.addEventListener("change", soon);
  form.hidden = false;
})();
