// Plots: a picture each until it comes near; then a drawing in the page's colours, which says what the pointer is on.
(() => {
  const trackmeet = (window.trackmeet = window.trackmeet || {});
  const specs = new Map();
  trackmeet.plot = (name, spec) => specs.set(name, spec);

  const ink = "var(--ink)", soft = "var(--soft)", line = "var(--line)";
  const config = {
    aria: false, background: null, font: "system-ui, sans-serif", padding: 4, view: { stroke: null },
    axis: {
      domainColor: soft, gridColor: line, labelColor: ink, labelFontSize: 11, labelLimit: 170,
      tickColor: soft, tickSize: 4, titleColor: ink, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 6,
    },
    axisQuantitative: { labelOverlap: "greedy" }, legend: { disable: true },
    line: { strokeWidth: 1.8 }, point: { filled: true, size: 40, opacity: 1 }, rule: { color: ink },
    text: { color: ink, fontSize: 11 },
  };

  const load = (address) => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${address}: expected this file beside the page`));
    document.head.append(script);
  });

  const element = (name, attributes = {}) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const shapes = {
    circle: "M4 0a4 4 0 1 1-8 0a4 4 0 1 1 8 0z", square: "M-4-4h8v8h-8z", diamond: "M0-5L4 0L0 5L-4 0z",
    cross: "M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z", "triangle-up": "M0-5L5 4h-10z", "triangle-down": "M0 5L5-4h-10z",
  };

  // What tells the series apart: [{label, colour, dash, shape}], as the first layer that has a legend says.
  const series = (spec) => {
    const layer = spec.layer.find((one) => {
      const colour = one.encoding && one.encoding.color;
      return colour && colour.type === "nominal" && colour.legend !== null && colour.scale && colour.scale.domain;
    });
    if (!layer) return [];
    const { color, strokeDash } = layer.encoding;
    const marks = spec.layer.map((one) => one.mark.type || one.mark), lines = marks.includes("line");
    const { shape } = spec.layer.map((one) => one.encoding).find((one) => one && one.shape) || {};
    return color.scale.domain.map((label, i) => ({
      label, colour: color.scale.range[i], dash: lines ? (strokeDash ? strokeDash.scale.range[i] : [1, 0]) : null,
      shape: shape ? shape.scale.range[i] : marks.includes("bar") ? "square" : "circle",
    }));
  };

  const swatch = ({ colour, dash, shape }) => {
    const picture = element("svg", { width: dash ? 20 : 12, height: 12, viewBox: dash ? "0 -6 20 12" : "-6 -6 12 12", "aria-hidden": "true" });
    picture.append(dash
      ? element("path", { d: "M0 0H20", stroke: colour, "stroke-width": 2.2, "stroke-dasharray": dash[1] ? dash : "none" })
      : element("path", { d: shapes[shape], fill: colour }));
    return picture;
  };

  const legend = (entries, pick) => {
    const list = document.createElement("div");
    list.className = "legend";
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", "Bring out");
    for (const entry of entries) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.append(swatch(entry), entry.label);
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
        const buttons = [...list.children];
        pick(entries.filter((_, i) => buttons[i].getAttribute("aria-pressed") === "true").map((one) => one.label));
      });
      list.append(button);
    }
    return list;
  };

  // The nearest point is found through cells around the points; of a cell, the library looks for names in the wrong place.
  const patch = (spec) => {
    for (const mark of (spec.marks || []).flatMap(function all(one) { return [one, ...(one.marks || []).flatMap(all)]; })) {
      const said = mark.encode && mark.encode.update && mark.encode.update.isVoronoi && mark.encode.update.tooltip;
      if (said && said.signal) said.signal = said.signal.replace(/\bdatum(\.datum)?\[/g, "datum.datum[");
    }
    return spec;
  };

  let library = null;
  const draw = async (figure) => {
    const name = figure.dataset.plot, box = figure.querySelector(".picture"), picture = box.querySelector("img");
    await (library = library || load("assets/vega.js"));
    if (!specs.has(name)) await load(`charts/${encodeURIComponent(name)}.js`);
    const spec = specs.get(name), entries = series(spec);
    specs.delete(name);
    const stage = document.createElement("div"), canvas = document.createElement("div");
    stage.setAttribute("role", "img");
    stage.setAttribute("aria-label", picture.alt);
    canvas.setAttribute("aria-hidden", "true");  // thousands of marks, which its label sums up
    stage.append(canvas);
    const size = () => Math.max(box.clientWidth, figure.classList.contains("wide") ? 544 : 0);
    const { view } = await vegaEmbed(canvas, { ...spec, width: size() || spec.width }, {
      renderer: "svg", actions: false, defaultStyle: false, config, patch, tooltip: { disableDefaultStyle: true },
    });
    const parts = [stage];
    if (entries.length) parts.push(legend(entries, (labels) => view.signal("pick", labels).runAsync()));
    box.replaceChildren(...parts);  // the box keeps its height: nothing on the page moves
    let drawn = 0;
    const fit = () => {
      if (!box.clientWidth || size() === drawn) return;  // without a width while its chapter is not shown
      drawn = size();
      const room = spec.height - (parts[1] ? parts[1].offsetHeight : 0);
      view.width(drawn).height(room).runAsync();
    };
    fit();
    new ResizeObserver(fit).observe(box);
  };

  // One after the other, and only what is still near: a quick scroll through the page draws little.
  const near = new Set();
  let busy = false;
  const next = async () => {
    if (busy) return;
    busy = true;
    while (near.size) {
      const [figure] = near;
      near.delete(figure);
      observer.unobserve(figure);
      try {
        await draw(figure);
      } catch (error) {
        console.warn(`${figure.dataset.plot}: ${error.message}`);  // its picture stays
      }
    }
    busy = false;
  };
  const observer = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) near[isIntersecting ? "add" : "delete"](target);
    next();
  }, { rootMargin: "300px" });
  document.querySelectorAll("[data-plot]").forEach((figure) => observer.observe(figure));
})();
