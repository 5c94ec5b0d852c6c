(() => {
  const controls = document.querySelector(".case-controls");
  const zoom = document.getElementById("case-zoom");
  if (!controls) return;

  const scoresOf = (article) =>
    [...article.querySelectorAll(".shot")].map((shot) => [shot.dataset.method, JSON.parse(shot.dataset.scores)]);

  // How bad an image is: the score of one method, or the mean over all; or how far the methods are apart.
  function badness(article, metric, method, better, order) {
    const all = scoresOf(article).filter(([, scores]) => metric in scores);
    const numbers = (order === "apart" || !method ? all : all.filter(([name]) => name === method)).map(([, s]) => s[metric]);
    if (!numbers.length) return -Infinity;
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    if (order === "apart") {
      return Math.sqrt(numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0) / numbers.length);
    }
    return better === "higher" ? -mean : mean;
  }

  function fill(article, method, option) {
    for (const shot of article.querySelectorAll(".shot")) {
      shot.hidden = Boolean(method) && shot.dataset.method !== method;
      const score = JSON.parse(shot.dataset.scores)[option.value];
      const text = score === undefined ? "" : `${option.textContent} ${score.toFixed(option.dataset.digits)}`;
      shot.querySelector(".score").textContent = text;
    }
  }

  // The worst k by the chosen score, in order. One that was also drawn at random stays there and is shown here as a copy.
  function choose(gallery, form) {
    const method = form.get("method");
    const option = controls.elements[`metric-${gallery.dataset.direction}`].selectedOptions[0];
    const chosen = gallery.querySelector(".chosen");
    for (const copy of chosen.querySelectorAll("[data-copy]")) copy.remove();
    gallery.classList.toggle("one", Boolean(method));
    const articles = [...gallery.querySelectorAll(".sides .case")];
    const bad = new Map(articles.map((article) => [
      article, badness(article, option.value, method, option.dataset.better, form.get("order")),
    ]));
    const first = articles.filter((article) => bad.get(article) > -Infinity);
    first.sort((a, b) => bad.get(b) - bad.get(a) || a.dataset.key.localeCompare(b.dataset.key));
    first.length = Math.min(first.length, Number(gallery.dataset.count));
    for (const article of chosen.querySelectorAll(".case")) article.hidden = true;
    for (const article of first) {
      let shown = article;
      if (article.closest(".drawn")) {
        shown = article.cloneNode(true);
        shown.dataset.copy = "";
      }
      shown.hidden = false;
      chosen.append(shown);
    }
    for (const article of gallery.querySelectorAll(".case")) fill(article, method, option);
    const order = form.get("order") === "apart" ? "methods disagree most about" : "worst by";
    chosen.querySelector("h3").textContent = `Chosen by score: ${order} ${option.textContent}`;
  }

  function update() {
    const form = new FormData(controls);
    for (const gallery of document.querySelectorAll(".cases")) {
      gallery.hidden = form.has("direction") && gallery.dataset.direction !== form.get("direction");
      const label = controls.querySelector(`label[data-direction="${gallery.dataset.direction}"]`);
      label.hidden = gallery.hidden;
      choose(gallery, form);
    }
  }

  const visible = (selector, root = document) => [...root.querySelectorAll(selector)].filter((item) => item.offsetParent);

  function enlarge(article) {
    zoom.current = article;
    zoom.querySelector(".large").replaceChildren(
      ...visible("img", article).map((image) => {
        const figure = document.createElement("figure");
        const caption = document.createElement("figcaption");
        const score = image.closest(".output")?.parentElement.querySelector(".score").textContent;
        const text = [image.alt, image.dataset.shown].filter(Boolean).join(", ");
        caption.textContent = score ? `${text}: ${score}` : text;
        figure.append(image.cloneNode(), caption);
        return figure;
      })
    );
    if (!zoom.open) zoom.showModal();
  }

  controls.addEventListener("change", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("cases").addEventListener("click", (event) => {
    const article = event.target.closest(".case");
    if (article && event.target.closest("button, img")) enlarge(article);
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const from = zoom.open ? zoom.current : event.target.closest?.(".case h4 button")?.closest(".case");
    if (!step || !from || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const all = visible(".cases .case");
    const next = all[all.indexOf(from) + step];
    if (!next) return;
    if (zoom.open) enlarge(next);
    else next.querySelector("button").focus();
  });
  zoom.querySelector(".close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });
  zoom.addEventListener("close", () => zoom.current?.querySelector("button").focus());
  update();
})();
