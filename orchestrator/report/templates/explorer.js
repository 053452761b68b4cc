// The sequence explorer. Data comes in files that call explorerData(name, data); see orchestrator/report/explorer.
(() => {
  const root = document.getElementById("explorer"), given = document.getElementById("explorer-sets");
  if (!root || !given) return;
  const sets = JSON.parse(given.textContent);
  const part = (name) => document.getElementById(`explorer-${name}`);
  const stage = part("stage"), strip = part("strip"), time = part("time"), player = part("player");
  const SKIPPED = "0", INITIALIZED = "1", FAILED = "2";
  const PLAY = "M4 2v12l10-6z", PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";
  const LISTED = 10, AT_FIRST = 5, SHEETS = 12;
  const NAMED = 8; // trackers whose names still find room on a frame
  const EDGE = { left: 30, right: 8, top: 9, bottom: 18 }; // of the plot in the strip, in CSS pixels

  // What is shown now. k: the set. i: the sequence. steps: the frames that can be shown. at: the place among these.
  const now = { k: -1, i: 0, index: null, data: null, video: null, steps: [0], at: 0, tiles: null, on: new Set(), playing: false };
  let request = 0, plotted = null;

  // Loading

  const files = new Map();
  window.explorerData = (name, data) => files.get(name)?.arrived(data);
  const load = (name) => {
    if (!files.has(name)) {
      const file = {};
      file.promise = new Promise((resolve, reject) => {
        file.arrived = resolve;
        const script = document.createElement("script");
        script.src = `explorer/${name}.js`;
        script.onload = () => script.remove();
        script.onerror = () => { files.delete(name); reject(new Error(`The file ${script.getAttribute("src")} is not beside this page.`)); };
        document.head.append(script);
      });
      files.set(name, file);
    }
    return files.get(name).promise;
  };

  const sheets = new Map(); // images by name, the last used last
  const sheet = (name) => {
    let image = sheets.get(name);
    if (!image) {
      image = new Image();
      image.src = `frames/${name}.webp`;
      image.decoded = image.decode().then(() => { image.ready = true; }, () => { image.broken = true; });
      if (sheets.size >= SHEETS) sheets.delete(sheets.keys().next().value);
    }
    sheets.delete(name);
    sheets.set(name, image);
    return image;
  };

  // Choosing

  const link = (set, sequence, t, trackers) => {
    const names = [set.study, set.benchmark, set.protocol, sequence].map(encodeURIComponent).join("/");
    const some = trackers ? `&trackers=${trackers.map(encodeURIComponent).join(",")}` : "";
    return `#explorer=${names}${t ? `&t=${t}` : ""}${some}`;
  };
  const linked = (hash) => {
    if (!hash.startsWith("#explorer=")) return null;
    try {
      const [place, ...rest] = hash.slice(10).split("&");
      const [study, benchmark, protocol, sequence] = place.split("/").map(decodeURIComponent);
      const more = Object.fromEntries(rest.map((one) => [one.split("=")[0], one.slice(one.indexOf("=") + 1)]));
      const k = sets.findIndex((set) => set.study === study && set.benchmark === benchmark && set.protocol === protocol);
      const trackers = more.trackers ? more.trackers.split(",").map(decodeURIComponent) : null;
      return k < 0 ? null : { k, sequence, t: Number(more.t) || 0, trackers };
    } catch { return null; }
  };
  const remember = () => { // in the address, so that it can be passed on
    const shown = [...now.on].filter((name) => set().trackers.includes(name));
    try { history.replaceState(null, "", link(set(), now.index.sequences[now.i], frame(), shown)); } catch { /* a sandbox */ }
  };
  const set = () => sets[now.k];
  const frame = () => now.steps[now.at];
  const shown = () => now.data.trackers.filter((one) => now.on.has(set().trackers[one.tracker]));
  const nameOf = (one) => set().trackers[one.tracker];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (tracker) => { // on a dark page the darkest ones are mixed with white
    const given = set().colours[tracker], light = dark.matches ? Math.max(0, 0.5 - luminance(given) / 220) : 0;
    return `#${channels(given).map((c) => Math.round(c + (255 - c) * light).toString(16).padStart(2, "0")).join("")}`;
  };
  const channels = (given) => [1, 3, 5].map((at) => parseInt(given.slice(at, at + 2), 16));
  const luminance = (given) => channels(given).reduce((sum, c, place) => sum + [0.3, 0.59, 0.11][place] * c, 0);
  const colourOf = (one) => colour(one.tracker);
  const shared = (tracker) => set().colours.indexOf(set().colours[tracker]) < tracker; // a colour that another had: dashed

  const open = async (k, wanted = {}) => {
    const mine = ++request;
    pause();
    root.setAttribute("aria-busy", "true");
    try {
      const index = await load(String(k));
      if (mine !== request) return;
      if (k !== now.k) choose(k, index);
      if (wanted.trackers) {
        const known = wanted.trackers.filter((name) => set().trackers.includes(name));
        if (known.length) now.on = new Set(known);
        tick();
      }
      const i = Math.max(0, wanted.i ?? index.sequences.indexOf(wanted.sequence));
      const data = await load(`${k}-${i}`);
      const video = data.video === undefined ? null : await load(`video-${data.video}`);
      if (mine !== request) return;
      Object.assign(now, { i, data, video, tiles: null });
      lay(wanted.t);
    } catch (error) {
      if (mine === request) part("status").textContent = error.message;
    } finally {
      if (mine === request) root.removeAttribute("aria-busy");
    }
  };

  // The frames that can be shown, of which some or all have pictures.
  const lay = (t) => {
    const { data, video } = now, n = data.truth.length;
    now.steps = [...Array(n).keys()];
    if (video) {
      const places = new Map(video.frames.map((number, place) => [number, place]));
      const tiles = now.steps.map((one) => places.get(data.numbers ? data.numbers[one] : one));
      now.steps = now.steps.filter((one) => tiles[one] !== undefined);
      now.tiles = tiles;
    }
    const starts = data.trackers.map((one) => one.events.indexOf(INITIALIZED)).filter((one) => one >= 0);
    time.max = now.steps.length - 1;
    part("sequence").value = String(now.i);
    const thinned = now.steps.length < n ? `Of ${n} frames ${now.steps.length} have pictures; boxes and IoU are of all.` : "";
    const blank = video ? "" : "The frames of this sequence were not beside the results when this report was made: boxes are on a blank page.";
    part("note").textContent = [set().note, thinned, blank].filter(Boolean).join(" ");
    part("previous").disabled = now.i === 0;
    part("next").disabled = now.i === now.index.sequences.length - 1;
    offer();
    mark();
    plotted = null;
    part("pictures").style.minHeight = "";
    seek(nearest(t || Math.min(...starts, n - 1)));
  };
  const nearest = (t) => {
    let best = 0;
    now.steps.forEach((one, place) => { if (Math.abs(one - t) < Math.abs(now.steps[best] - t)) best = place; });
    return best;
  };

  const options = (select, names, groups) => {
    select.replaceChildren();
    const groupsSeen = new Map();
    names.forEach((name, value) => {
      const option = new Option(name, String(value));
      const group = groups?.[value];
      if (group === undefined) return select.append(option);
      if (!groupsSeen.has(group)) {
        const around = document.createElement("optgroup");
        around.label = group;
        groupsSeen.set(group, around);
        select.append(around);
      }
      groupsSeen.get(group).append(option);
    });
  };

  const choose = (k, index) => {
    const elsewhere = set()?.study !== sets[k].study;
    Object.assign(now, { k, index });
    part("set").value = String(k);
    const telling = index.sequences.map((name, i) => (index.said[i].length ? `${name} (pictures)` : name));
    options(part("sequence"), telling);
    const names = set().trackers;
    const mean = (tracker) => {
      const scores = index.scores.map((row) => row[tracker]).filter((one) => one !== null);
      return scores.length ? scores.reduce((sum, one) => sum + one, 0) / scores.length : -1;
    };
    // The study's own tracker, which is its first, and then the best of the others.
    const [first, ...others] = names.map((_, tracker) => tracker);
    const ranked = [first, ...others.sort((a, b) => mean(b) - mean(a))];
    if (elsewhere || ![...now.on].some((name) => names.includes(name))) now.on = new Set(ranked.slice(0, AT_FIRST).map((one) => names[one]));
    const rows = names.map((name, tracker) => {
      const row = document.createElement("div"), box = document.createElement("input");
      row.className = "explorer-row";
      Object.assign(box, { type: "checkbox", id: `explorer-tracker-${tracker}`, value: name });
      box.addEventListener("change", () => { now.on[box.checked ? "add" : "delete"](name); again(); });
      const swatch = document.createElement("span"), label = document.createElement("label"), value = document.createElement("span");
      swatch.className = shared(tracker) ? "swatch again" : "swatch";
      swatch.style.borderColor = colour(tracker);
      label.htmlFor = box.id;
      label.textContent = name;
      value.className = "value";
      value.setAttribute("aria-hidden", "true");
      row.append(box, swatch, label, value);
      return row;
    });
    part("trackers").replaceChildren(...rows);
    tick();
    for (const name of ["worst-tracker", "one", "other"]) options(part(name), names);
    part("worst-tracker").value = part("one").value = String(ranked[0]);
    part("other").value = String(ranked[1] ?? ranked[0]);
    rankWorst();
    rankDifferences();
  };
  const tick = () => part("trackers").querySelectorAll("input").forEach((box) => { box.checked = now.on.has(box.value); });
  const again = () => { plotted = null; offer(); draw(); remember(); };

  // Lists of sequences

  const shape = (kind, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const bar = (...parts) => {
    const picture = shape("svg", { viewBox: "-4 0 108 16", preserveAspectRatio: "none", "aria-hidden": "true" });
    picture.append(shape("rect", { x: 0, y: 7, width: 100, height: 2, fill: "var(--line)" }), ...parts);
    return picture;
  };
  const score = (thousandths) => (thousandths / 1000).toFixed(2);
  const list = (place, entries, whole) => {
    const rows = (whole ? entries : entries.slice(0, LISTED)).map(({ i, trackers, picture, text }) => {
      const row = document.createElement("li"), way = document.createElement("a"), value = document.createElement("span");
      way.textContent = now.index.sequences[i];
      way.href = link(set(), now.index.sequences[i], 0, trackers);
      way.dataset.sequence = i;
      value.className = "value";
      value.textContent = text;
      row.append(way, picture, value);
      return row;
    });
    if (!whole && entries.length > LISTED) {
      const row = document.createElement("li"), button = document.createElement("button");
      row.className = "more";
      button.type = "button";
      button.textContent = `all ${entries.length}`;
      button.addEventListener("click", () => { list(place, entries, true); mark(); place.children[LISTED]?.firstChild.focus(); });
      row.append(button);
      rows.push(row);
    }
    place.replaceChildren(...rows);
  };
  const rankWorst = () => {
    const tracker = Number(part("worst-tracker").value), { scores, failures } = now.index;
    const entries = scores.map((row, i) => ({ i, value: row[tracker], lost: failures[i][tracker] }))
      .filter((one) => one.value !== null).sort((a, b) => a.value - b.value || a.i - b.i)
      .map(({ i, value, lost }) => ({
        i, trackers: shownWith([tracker]), text: score(value) + (lost ? `, ${lost} × lost` : ""),
        picture: bar(shape("rect", { x: 0, y: 4, width: value / 10, height: 8, fill: colour(tracker) })),
      }));
    list(part("worst-list"), entries);
    mark();
  };
  const rankDifferences = () => {
    const pair = [Number(part("one").value), Number(part("other").value)];
    const entries = now.index.scores.map((row, i) => ({ i, a: row[pair[0]], b: row[pair[1]] }))
      .filter((one) => one.a !== null && one.b !== null)
      .sort((a, b) => Math.abs(b.a - b.b) - Math.abs(a.a - a.b) || a.i - b.i)
      .map(({ i, a, b }) => ({
        i, trackers: pair.map((one) => set().trackers[one]), text: `${score(a)} and ${score(b)}`,
        picture: bar(
          shape("rect", { x: Math.min(a, b) / 10, y: 7, width: Math.abs(a - b) / 10, height: 2, fill: "var(--soft)" }),
          shape("rect", { x: a / 10 - 3, y: 2, width: 6, height: 12, rx: 2, fill: colour(pair[0]) }),
          shape("rect", { x: b / 10 - 3, y: 2, width: 6, height: 12, rx: 2, fill: colour(pair[1]) }),
        ),
      }));
    list(part("differences-list"), entries);
    mark();
  };
  const shownWith = (trackers) => {
    const names = trackers.map((one) => set().trackers[one]);
    return [...new Set([...names, ...set().trackers.filter((name) => now.on.has(name))])].slice(0, Math.max(AT_FIRST, names.length));
  };
  const mark = () => root.querySelectorAll("a[data-sequence]").forEach((one) => {
    if (now.data && Number(one.dataset.sequence) === now.i) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  });

  // The frame

  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const fitted = (canvas) => { // a context in CSS pixels
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  };
  const tileOf = (t) => { // of the video: which image, and which part of it
    const place = now.tiles?.[t];
    if (place === undefined) return null;
    const { columns, rows, sheets: names, frames } = now.video, each = columns * rows, which = Math.floor(place / each);
    return { image: sheet(names[which]), which, ...cut(place % each, Math.min(each, frames.length - which * each), columns) };
  };
  const cut = (place, count, columns = 8) => {
    const across = Math.min(columns, count), down = Math.ceil(count / across);
    return { column: place % across, row: Math.floor(place / across), across, down };
  };
  const paste = (context, { image, column, row, across, down }, x, y, width, height) => {
    const w = image.naturalWidth / across, h = image.naturalHeight / down;
    context.imageSmoothingEnabled = width < 3 * w; // pixels of small frames stay squares
    context.drawImage(image, column * w, row * h, w, h, x, y, width, height);
  };
  const path = (region, scale, x, y) => {
    const made = new Path2D(), place = (v, o) => v / 10 * scale + o;
    const polygon = (corners) => {
      for (let c = 0; c < corners.length; c += 2) made[c ? "lineTo" : "moveTo"](place(corners[c], x), place(corners[c + 1], y));
      made.closePath();
    };
    if (Array.isArray(region[0])) region.forEach(polygon);
    else if (region.length === 4) made.rect(place(region[0], x), place(region[1], y), region[2] / 10 * scale, region[3] / 10 * scale);
    else polygon(region);
    return made;
  };
  const corner = (region) => { // top left, in tenths
    if (!Array.isArray(region[0])) {
      if (region.length === 4) return region;
      return [0, 1].map((odd) => Math.min(...region.filter((_, c) => c % 2 === odd)));
    }
    const all = region.flat();
    return [0, 1].map((odd) => all.reduce((least, v, c) => (c % 2 === odd && v < least ? v : least), Infinity));
  };

  const draw = () => {
    if (!now.data) return;
    const t = frame(), { context, width, height } = fitted(stage), [w, h] = now.data.size;
    const scale = Math.min(width / w, height / h), x = (width - w * scale) / 2, y = (height - h * scale) / 2;
    const tile = tileOf(t);
    if (tile?.image.ready) paste(context, tile, x, y, w * scale, h * scale);
    else {
      context.fillStyle = css("--paper");
      context.fillRect(x, y, w * scale, h * scale);
      if (tile?.image.broken) {
        Object.assign(context, { fillStyle: css("--soft"), font: "13px system-ui, sans-serif" });
        context.fillText("The picture of this frame could not be read.", x + 10, y + 22);
      }
    }
    context.save();
    context.beginPath();
    context.rect(x, y, w * scale, h * scale);
    context.clip();
    const over = attention(t);
    if (over?.image.ready) paste(context, over, x, y, w * scale, h * scale);
    for (const one of [tile, over])
      if (one && !one.image.ready && !one.image.broken) one.image.decoded.then(() => { if (frame() === t) draw(); });
    const outline = (region, colour, dashes, fill) => {
      const around = path(region, scale, x, y);
      if (fill && Array.isArray(region[0])) { context.fillStyle = `${colour}59`; context.fill(around, "evenodd"); }
      context.lineJoin = "round";
      Object.assign(context, { lineWidth: 4, strokeStyle: "#0009" });
      context.stroke(around);
      context.setLineDash(dashes);
      Object.assign(context, { lineWidth: 2, strokeStyle: colour });
      context.stroke(around);
      context.setLineDash([]);
    };
    const taken = [];
    for (const one of shown()) if (one.regions[t]) outline(one.regions[t], colourOf(one), shared(one.tracker) ? [7, 3] : [], true);
    if (part("truth").checked && now.data.truth[t]) outline(now.data.truth[t], "#ffffff", [5, 4]);
    context.restore();
    if (part("labels").checked && shown().length <= NAMED) for (const one of shown()) if (one.regions[t]) {
      const [left, top] = corner(one.regions[t]);
      name(context, nameOf(one), colourOf(one), left / 10 * scale + x, top / 10 * scale + y, width, height, taken);
    }
    values(t);
    plot();
    pictures(t);
    preload(tile);
  };
  // A tracker's name above its region, moved out of the way of the others.
  const name = (context, text, colour, left, top, width, height, taken) => {
    context.font = "600 12px system-ui, sans-serif";
    const wide = context.measureText(text).width + 8, high = 17;
    const x = Math.max(0, Math.min(left - 1, width - wide));
    let y = Math.max(0, Math.min(top - high - 2, height - high));
    const free = (at) => at >= 0 && at + high <= height && !taken.some(([a, b, c]) => x < a + c && a < x + wide && at < b + high && b < at + high);
    for (let away = 0; away < height; away += high) {
      const place = [y - away, y + away].find(free);
      if (place !== undefined) { y = place; break; }
    }
    taken.push([x, y, wide]);
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(x, y, wide, high - 1, 3);
    context.fill();
    context.fillStyle = luminance(colour) > 135 ? "#000" : "#fff";
    context.fillText(text, x + 4, y + 12.5);
  };

  const say = (one, t) => {
    if (one.events[t] === FAILED) return "lost";
    if (one.events[t] === INITIALIZED) return "started";
    if (one.events[t] === SKIPPED) return "not running";
    return one.iou[t] === null ? "–" : score(one.iou[t]);
  };
  const values = (t) => {
    const rows = part("trackers").children;
    for (const row of rows) row.lastChild.textContent = "";
    for (const one of now.data.trackers) {
      const value = rows[one.tracker].lastChild;
      value.textContent = say(one, t).replace("not running", "–");
      value.classList.toggle("lost", one.events[t] === FAILED);
    }
    const said = shown().map((one) => `${nameOf(one)} ${say(one, t).replace("–", "not judged")}`);
    const absent = now.data.truth[t] ? [] : ["the target is not annotated"];
    const text = [`frame ${t} of ${now.data.truth.length}`, ...absent, ...said].join(", ");
    part("status").textContent = text;
    stage.setAttribute("aria-label", `${now.index.sequences[now.i]}, ${text}`);
    time.value = now.at;
    time.setAttribute("aria-valuetext", `frame ${t} of ${now.data.truth.length}`);
  };
  const preload = (tile) => {
    if (!tile) return;
    const { sheets: names } = now.video;
    if (tile.which + 1 < names.length) sheet(names[tile.which + 1]);
    else if (part("loop").checked) sheet(names[0]);
    sheet(names[tile.which]); // used last
  };

  // The strip of IoU over time

  const across = (t, width) => EDGE.left + t / Math.max(1, now.data.truth.length - 1) * (width - EDGE.left - EDGE.right);
  const plot = () => {
    const { context, width, height } = fitted(strip);
    if (!plotted || plotted.width !== strip.width || plotted.height !== strip.height) {
      plotted = document.createElement("canvas");
      Object.assign(plotted, { width: strip.width, height: strip.height });
      const behind = plotted.getContext("2d");
      behind.setTransform(context.getTransform());
      lines(behind, width, height);
    }
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(plotted, 0, 0);
    context.restore();
    const x = across(frame(), width);
    context.fillStyle = css("--ink");
    context.fillRect(x - 0.75, EDGE.top - 5, 1.5, height - EDGE.top - EDGE.bottom + 5);
    context.beginPath();
    context.moveTo(x - 5, EDGE.top - 9);
    context.lineTo(x + 5, EDGE.top - 9);
    context.lineTo(x, EDGE.top - 2);
    context.fill();
  };
  const lines = (context, width, height) => {
    const { truth } = now.data, n = truth.length, up = (iou) => height - EDGE.bottom - iou / 1000 * (height - EDGE.top - EDGE.bottom);
    const step = (width - EDGE.left - EDGE.right) / Math.max(1, n - 1);
    context.font = "11px system-ui, sans-serif";
    let absent = false, failed = false, reset = false;
    context.fillStyle = css("--line");
    truth.forEach((region, t) => {
      if (region) return;
      absent = true;
      context.fillRect(across(t, width) - Math.max(1, step) / 2, up(1000), Math.max(1, step), up(0) - up(1000));
    });
    context.fillStyle = css("--soft");
    for (const iou of [0, 500, 1000]) {
      context.globalAlpha = iou ? 0.35 : 1;
      context.fillRect(EDGE.left, up(iou), width - EDGE.left - EDGE.right, 1);
      context.globalAlpha = 1;
      context.textAlign = "right";
      context.fillText(["0", "0.5", "1"][iou / 500], EDGE.left - 5, up(iou) + 4);
    }
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].find((one) => one * step > 44) || n;
    context.textAlign = "center";
    for (let t = 0; t < n; t += every) context.fillText(String(t), across(t, width), height - 4);
    for (const one of shown()) {
      Object.assign(context, { strokeStyle: colourOf(one), fillStyle: colourOf(one), lineWidth: 1.6, lineJoin: "round" });
      context.setLineDash(shared(one.tracker) ? [5, 3] : []);
      context.beginPath();
      one.iou.forEach((iou, t) => {
        if (iou === null) return;
        const before = t > 0 && one.iou[t - 1] !== null;
        context[before ? "lineTo" : "moveTo"](across(t, width), up(iou));
        if (!before && (t + 1 === n || one.iou[t + 1] === null)) context.rect(across(t, width) - 0.5, up(iou) - 0.5, 1, 1);
      });
      context.stroke();
      context.setLineDash([]);
      const first = one.events.indexOf(INITIALIZED);
      [...one.events].forEach((event, t) => {
        const x = across(t, width);
        context.beginPath();
        if (event === FAILED) {
          failed = true;
          context.moveTo(x - 4, up(0) - 4); context.lineTo(x + 4, up(0) + 4);
          context.moveTo(x + 4, up(0) - 4); context.lineTo(x - 4, up(0) + 4);
          context.stroke();
        } else if (event === INITIALIZED && t > first) {
          reset = true;
          context.moveTo(x - 4, up(1000) + 7); context.lineTo(x + 4, up(1000) + 7); context.lineTo(x, up(1000));
          context.fill();
        }
      });
    }
    context.fillStyle = css("--ink");
    const pictured = said();
    for (const t of pictured) context.fillRect(across(t, width) - 2, up(0) - 2, 4, 4);
    const legend = ["IoU in every frame", failed && "× lost", reset && "▲ started again", absent && "grey: not annotated", pictured.length && "■ with pictures"];
    part("legend").textContent = `${legend.filter(Boolean).join("; ")}. Click to go there.`;
  };

  // What trackers say of single frames

  const offer = () => {
    const telling = shown().filter((one) => one.said), places = now.index.said;
    const other = places.flatMap((some, i) => (some.length && i !== now.i ? [i] : []));
    part("said").hidden = !places.some((some) => some.length);
    const looking = telling.filter((one) => one.said.some((each) => each.kind === "attention"));
    const before = part("overlay").value;
    part("overlay").replaceChildren(new Option("none", ""), ...looking.map((one) => new Option(nameOf(one), nameOf(one))));
    part("overlay").value = looking.some((one) => nameOf(one) === before) ? before : "";
    part("overlay-choice").hidden = !looking.length;
    const line = part("said-frames");
    line.replaceChildren();
    if (telling.length) {
      line.append("There are pictures of frames ");
      for (const t of said()) {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: String(t) });
        button.setAttribute("aria-label", `frame ${t}`);
        button.addEventListener("click", () => { pause(); seek(nearest(t)); remember(); });
        line.append(button);
      }
    } else {
      const who = places[now.i].filter((one) => !now.on.has(set().trackers[one])).map((one) => set().trackers[one]);
      line.append(who.length ? `Here ${who.join(", ")} would.` : "Not in this sequence; in ");
      (who.length ? [] : other.slice(0, 6)).forEach((i, place) => {
        const way = document.createElement("a");
        way.textContent = now.index.sequences[i];
        way.href = link(set(), now.index.sequences[i], 0, places[i].slice(0, AT_FIRST).map((one) => set().trackers[one]));
        line.append(place ? ", " : "", way);
      });
    }
  };
  const said = () => [...new Set(shown().flatMap((one) => (one.said || []).flatMap(({ at }) => at)))].sort((a, b) => a - b);
  const picture = (each, t) => {
    const place = each.at.indexOf(t);
    return place < 0 ? null : { image: sheet(each.sheet), ...cut(place, each.at.length) };
  };
  const attention = (t) => {
    const one = shown().find((each) => nameOf(each) === part("overlay").value);
    const looks = one?.said?.find((each) => each.kind === "attention");
    return looks ? picture(looks, t) : null;
  };
  const explained = (kind) => {
    if (kind === "recalled") return "remembered patches with their weights from -1 to 1, and the chosen one";
    if (kind === "contrast") return "correlations from -1 to 1 of the target's samples with each other (blue) and with others (orange)";
    return kind.startsWith("memory") ? `${kind} (blue: below 0, orange: above)` : kind;
  };
  let pictured = "";
  const pictures = (t) => {
    const found = shown().flatMap((one) => (one.said || []).map((each) => ({ one, each, tile: picture(each, t) })).filter((it) => it.tile));
    part("said-frames").querySelectorAll("button").forEach((button) => {
      if (button.textContent === String(t)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    const key = [now.k, now.i, t, ...found.map(({ one, each }) => `${one.tracker} ${each.kind}`)].join("|");
    if (key === pictured) return;
    pictured = key;
    part("pictures").replaceChildren(...found.map(({ one, each, tile }) => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${nameOf(one)}, ${each.kind}, frame ${t}`);
      caption.textContent = `${nameOf(one)}: ${explained(each.kind)}`;
      const below = each.kind === "attention" ? tileOf(t) : null;
      Promise.all([tile.image.decoded, below?.image.decoded]).then(() => {
        if (!tile.image.ready) return;
        const size = [tile.image.naturalWidth / tile.across, tile.image.naturalHeight / tile.down].map(Math.round);
        [canvas.width, canvas.height] = size;
        if (below?.image.ready) paste(canvas.getContext("2d"), below, 0, 0, ...size);
        paste(canvas.getContext("2d"), tile, 0, 0, ...size);
        const place = part("pictures"); // keeps its height, so that nothing jumps in frames that have none
        place.style.minHeight = `${Math.max(parseFloat(place.style.minHeight) || 0, place.offsetHeight)}px`;
      });
      if (each.kind === "recalled") figure.className = "wide";
      figure.append(canvas, caption);
      return figure;
    }));
  };

  // Playing

  const seek = (at) => {
    now.at = Math.max(0, Math.min(now.steps.length - 1, at));
    draw();
  };
  const step = (by) => { pause(); seek(now.at + by); remember(); };
  const worst = (towards) => { // the next of the worst frames that way; 0: the worst of all, and from there the next worst
    const least = new Map();
    for (const one of shown()) for (const t of one.worst) least.set(t, Math.min(one.iou[t], least.get(t) ?? 1000));
    const all = [...least.keys()].sort(towards ? (a, b) => a - b : (a, b) => least.get(a) - least.get(b) || a - b);
    if (!all.length) return;
    const t = frame();
    let found = all[(all.indexOf(t) + 1) % all.length];
    if (towards > 0) found = all.find((one) => one > t) ?? all[0];
    if (towards < 0) found = all.findLast((one) => one < t) ?? all.at(-1);
    pause();
    seek(nearest(found));
    remember();
  };
  let last = 0;
  const advance = (moment) => {
    if (!now.playing) return;
    requestAnimationFrame(advance);
    if (moment - last < 1000 / Number(part("speed").value) - 4) return;
    const end = now.at === now.steps.length - 1;
    if (end && !part("loop").checked) return pause();
    const next = end ? 0 : now.at + 1, tile = tileOf(now.steps[next]);
    if (tile && !tile.image.ready && !tile.image.broken) return;
    last = moment;
    seek(next);
  };
  const play = () => {
    if (!now.data || now.playing) return;
    if (now.at === now.steps.length - 1) seek(0);
    now.playing = true;
    buttons();
    requestAnimationFrame(advance);
  };
  const pause = () => {
    if (!now.playing) return;
    now.playing = false;
    buttons();
    remember();
  };
  const buttons = () => {
    part("play").setAttribute("aria-label", now.playing ? "pause" : "play");
    part("play").querySelector("path").setAttribute("d", now.playing ? PAUSE : PLAY);
    part("status").setAttribute("aria-live", now.playing ? "off" : "polite"); // nobody listens to ten frames a second
  };
  const toggle = () => (now.playing ? pause() : play());

  // Hands

  const on = (name, event, act) => part(name).addEventListener(event, act);
  on("set", "change", () => open(Number(part("set").value), { i: 0 }).then(remember));
  on("sequence", "change", () => open(now.k, { i: Number(part("sequence").value) }).then(remember));
  on("previous", "click", () => open(now.k, { i: now.i - 1 }).then(remember));
  on("next", "click", () => open(now.k, { i: now.i + 1 }).then(remember));
  on("play", "click", toggle);
  on("stage", "click", toggle);
  on("start", "click", () => step(-now.at));
  on("back", "click", () => step(-1));
  on("forward", "click", () => step(1));
  on("worst", "click", () => worst(0));
  on("time", "input", () => { const at = Number(time.value); pause(); seek(at); });
  on("time", "change", remember);
  for (const name of ["truth", "labels", "overlay"]) on(name, "change", draw);
  on("all", "click", () => { now.on = new Set(set().trackers); tick(); again(); });
  on("none", "click", () => { now.on = new Set(); tick(); again(); });
  on("worst-tracker", "change", rankWorst);
  on("one", "change", rankDifferences);
  on("other", "change", rankDifferences);
  const point = (event) => {
    const share = (event.offsetX - EDGE.left) / (strip.clientWidth - EDGE.left - EDGE.right);
    pause();
    seek(nearest(share * (now.data.truth.length - 1)));
  };
  on("strip", "pointerdown", (event) => { if (now.data) { strip.setPointerCapture(event.pointerId); point(event); } });
  on("strip", "pointermove", (event) => { if (event.buttons && now.data) point(event); });
  on("strip", "pointerup", () => now.data && remember());
  player.addEventListener("keydown", (event) => {
    if (!now.data || event.ctrlKey || event.altKey || event.metaKey) return;
    const kind = event.target.type ?? event.target.localName;
    if (kind === "select-one" || (event.key === " " && ["button", "checkbox"].includes(kind))) return;
    if (kind === "range" && ![" ", "[", "]"].includes(event.key)) return; // it has the arrows itself
    const acts = {
      " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1), "[": () => worst(-1), "]": () => worst(1),
      Home: () => step(-now.at), End: () => step(now.steps.length),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
  const redraw = () => { plotted = null; draw(); };
  new ResizeObserver(redraw).observe(player);
  dark.addEventListener("change", () => { if (now.data) { choose(now.k, now.index); part("sequence").value = String(now.i); redraw(); } });

  const words = (protocol) => protocol.replaceAll("_", " ");
  options(part("set"), sets.map((one) => `${one.benchmark}, ${words(one.protocol)}`), sets.map((one) => one.study));
  root.querySelector(".explorer-body").hidden = false;
  part("labels").checked = innerWidth > 640; // on a phone they would hide what they name
  const follow = () => {
    const wanted = linked(location.hash);
    if (!wanted) return false;
    root.scrollIntoView();
    open(wanted.k, wanted).then(() => player.focus({ preventScroll: true }));
    return true;
  };
  addEventListener("hashchange", follow);
  if (!follow()) {
    const near = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      near.disconnect();
      if (!request) open(0, { i: 0 }); // else a link was followed meanwhile
    }, { rootMargin: "400px" });
    near.observe(root);
  }
})();
