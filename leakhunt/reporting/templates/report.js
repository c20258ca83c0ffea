"use strict";
// Draws the curves that the page's data holds. Without it, or in a browser that cannot unpack Plotly,
// the page shows the same curves as a still picture.
(async () => {
  const page = document.documentElement;
  const element = (id) => document.getElementById(id);
  const copy = element("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", () => {
      const command = element("command");
      const select = () => getSelection().selectAllChildren(command); // where copying is not allowed
      navigator.clipboard.writeText(command.textContent).then(() => { copy.textContent = copy.dataset.done; }, select);
    });
  }
  const plot = element("plot");
  const data = JSON.parse(element("plot-data").textContent);
  if (!data.series.length || typeof DecompressionStream === "undefined") return;
  const packed = Uint8Array.from(atob(element("plotly").textContent), (sign) => sign.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(unpacked).text();
  document.head.append(library);

  const words = data.words;
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "10px,3px,2px,3px", "2px,6px"];
  const SCALES = { bytes: [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]], ns: [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]] };
  const inputs = Object.fromEntries(["series", "along", "from", "trend", "at"].map((id) => [id, element(id)]));
  const titles = Object.fromEntries(data.series.map((each) => [each.name, each]));

  // Plotly reads tags, entities and mathematics in its texts: none of ours is meant as one.
  const plain = (text) => String(text).replace(/[&<>$%]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const colour = (name) => getComputedStyle(page).getPropertyValue(name).trim();
  const scaleOf = (unit, most) => (SCALES[unit] || [[1, unit === "count" ? "" : unit]]).find(([size]) => most >= size) || SCALES[unit]?.at(-1) || [1, ""];
  const shown = (value, unit) => {
    const [size, sign] = scaleOf(unit, Math.abs(value));
    const number = value / size;
    const digits = size === 1 && Number.isInteger(number) ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(number), 1))));
    return `${number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${sign}`.trim();
  };
  // The last place whose call is not above this one; -1 before the first.
  const place = (calls, call) => {
    let low = 0, high = calls.length;
    while (low < high) { const middle = (low + high) >> 1; if (calls[middle] <= call) low = middle + 1; else high = middle; }
    return low - 1;
  };
  const between = (from, to, value) => {
    const at = Math.max(Math.min(place(from, value), from.length - 2), 0);
    if (from.length < 2 || from[at + 1] === from[at]) return to[at] ?? 0;
    return to[at] + (to[at + 1] - to[at]) * (value - from[at]) / (from[at + 1] - from[at]);
  };
  const along = (variant, call, axis) => axis === "call" ? call : between(variant.along.call, variant.along[axis], call);
  const baseOf = (variant, name, from) => {
    if (from === "zero" || titles[name].absolute) return 0;
    return from === "start" ? variant.curves[name].value[0] : variant.base[name];
  };
  const judged = (variant, name) => {
    const { call, value } = variant.curves[name];
    const measured = value.filter((_, at) => call[at] >= variant.judgedFrom);
    return measured.length ? measured : value;
  };

  function traces(choice) {
    const { name, axis, from, withTrend } = choice;
    const { unit } = titles[name];
    const drawn = data.variants.map((variant, index) => ({ variant, index })).filter(({ variant }) => variant.curves[name] && variant.along[axis]);
    let most = 0;
    for (const { variant } of drawn) for (const value of judged(variant, name)) most = Math.max(most, Math.abs(value - baseOf(variant, name, from)));
    const [size, sign] = scaleOf(unit, most / 2);
    const made = [];
    for (const { variant, index } of drawn) {
      const curve = variant.curves[name], base = baseOf(variant, name, from), hue = colour(`--v${index % 8}`);
      const xs = curve.call.map((call) => along(variant, call, axis)), ys = curve.value.map((value) => (value - base) / size);
      const group = `v${index}`, title = plain(variant.name);
      made.push({
        type: "scatter", mode: "lines", name: title, legendgroup: group, x: xs, y: ys, meta: index,
        line: { color: hue, dash: DASHES[index % DASHES.length], width: index === 0 ? 3 : 1.8 },
        text: curve.value.map((value) => shown(value - base, unit)), hovertemplate: "%{text}<extra>" + title + "</extra>",
      });
      if (variant.ended) made.push({
        type: "scatter", mode: "markers+text", legendgroup: group, showlegend: false, x: [xs.at(-1)], y: [ys.at(-1)], meta: index,
        marker: { symbol: "x", size: 11, color: hue }, text: [plain(variant.ended)], textposition: "top left", cliponaxis: false,
        textfont: { color: hue }, hovertemplate: plain(variant.ended) + "<extra>" + title + "</extra>",
      });
      const trend = withTrend && variant.trends[name];
      if (!trend) continue;
      const ends = trend.calls.map((call) => along(variant, call, axis));
      const bound = (heights) => heights.map((value) => (value - base) / size);
      made.push({
        type: "scatter", mode: "lines", legendgroup: group, showlegend: false, hoverinfo: "skip", fill: "toself", fillcolor: hue, opacity: 0.18,
        x: [...ends, ...[...ends].reverse()], y: [...bound(trend.lowest), ...bound(trend.highest).reverse()], line: { width: 0, color: hue },
      }, {
        type: "scatter", mode: "lines", legendgroup: group, showlegend: false, hoverinfo: "skip", x: ends, y: bound(trend.heights), line: { color: hue, width: 1, dash: "dot" },
      });
    }
    return { made, drawn, size, sign };
  }

  function marks(choice, drawn, size) {
    const { name, axis, from } = choice, shapes = [], annotations = [];
    const warm = Math.min(...drawn.map(({ variant }) => along(variant, variant.warmUp, axis)));
    if (warm > 0 && Number.isFinite(warm)) {
      shapes.push({ type: "rect", xref: "x", yref: "paper", x0: 0, x1: warm, y0: 0, y1: 1, fillcolor: colour("--shade"), line: { width: 0 }, layer: "below" });
      annotations.push({ xref: "x", yref: "paper", x: warm / 2, y: 0.99, text: plain(words.warm_up), showarrow: false, font: { size: 11, color: colour("--soft") } });
    }
    if (from !== "zero") return { shapes, annotations };
    const limits = drawn.map(({ variant }) => variant.limited === name && variant.limit);
    for (const limit of new Set(limits.filter(Boolean))) {
      shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: limit / size, y1: limit / size, line: { color: colour("--leak"), width: 1.5, dash: "dash" } });
      annotations.push({ xref: "paper", x: 1, y: limit / size, yanchor: "bottom", text: `${plain(words.limit)} ${shown(limit, "bytes")}`, showarrow: false, font: { color: colour("--leak") } });
    }
    return { shapes, annotations };
  }

  // What the warm-up alone reaches is left outside, so that it does not flatten what follows.
  function reach(choice, drawn, size) {
    const { name, from } = choice;
    let low = from === "zero" && titles[name].absolute ? 0 : Infinity, high = -Infinity;
    for (const { variant } of drawn) {
      const base = baseOf(variant, name, from);
      const values = from === "warm-up" || titles[name].absolute ? judged(variant, name) : variant.curves[name].value;
      for (const value of values) { low = Math.min(low, (value - base) / size); high = Math.max(high, (value - base) / size); }
      if (name === variant.limited && from === "zero" && variant.limit && variant.limit / size < 2 * high) high = Math.max(high, variant.limit / size);
    }
    if (titles[name].absolute) low = 0;
    const room = Math.max((high - low) * 0.08, 1e-9);
    return [titles[name].absolute ? 0 : low - room, high + room];
  }

  function draw() {
    const choice = { name: inputs.series.value, axis: inputs.along.value, from: inputs.from.value, withTrend: inputs.trend.checked };
    const { made, drawn, size, sign } = traces(choice);
    const ink = colour("--ink"), grid = colour("--line");
    const axis = { gridcolor: grid, zerolinecolor: colour("--soft"), linecolor: grid, automargin: true };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, family: "system-ui, sans-serif", size: 13 },
      margin: { l: 64, r: 14, t: 36, b: 48 }, hovermode: "x unified", hoverlabel: { bgcolor: colour("--card"), bordercolor: grid, font: { color: ink }, namelength: -1 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, uirevision: [choice.name, choice.axis, choice.from].join(),
      xaxis: { ...axis, title: { text: plain(words[choice.axis]) }, rangemode: "tozero", hoverformat: choice.axis === "call" ? ",d" : ",.2f" },
      yaxis: { ...axis, title: { text: titles[choice.name].absolute ? sign : `${sign}${plain(words[`from_${choice.from}`])}` }, range: reach(choice, drawn, size), zeroline: choice.from !== "zero" },
      ...marks(choice, drawn, size),
    };
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], toImageButtonOptions: { filename: "leakhunt", scale: 2 } };
    Plotly.react(plot, made, layout, config);
    readOut();
  }

  function readOut() {
    const call = Number(inputs.at.value), body = element("readout").tBodies[0];
    element("at-call").textContent = call.toLocaleString("en");
    body.replaceChildren(...data.variants.map((variant, index) => {
      const row = document.createElement("tr"), head = row.appendChild(document.createElement("th"));
      head.scope = "row";
      const key = head.appendChild(document.createElement("span"));
      key.className = "key";
      key.style.color = colour(`--v${index % 8}`);
      key.style.borderTopStyle = ["solid", "dashed", "dotted"][index % 3];
      head.append(variant.name);
      for (const { name, unit } of data.series) {
        const curve = variant.curves[name], at = curve ? place(curve.call, call) : -1;
        const last = curve ? curve.call.at(-1) : 0;
        row.appendChild(document.createElement("td")).textContent = at < 0 || call > last ? "–" : shown(curve.value[at], unit);
      }
      return row;
    }));
  }

  for (const name of ["series", "along", "from", "trend"]) inputs[name].addEventListener("change", draw);
  inputs.at.addEventListener("input", readOut);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  element("curves-live").hidden = false;
  try {
    draw();
  } catch (error) {
    element("curves-live").hidden = true; // the still picture stays
    throw error;
  }
  page.classList.add("drawn");
  plot.on("plotly_hover", ({ points }) => {
    const [point] = points, curve = data.variants[point.data.meta]?.curves[inputs.series.value];
    if (curve && point.data.mode === "lines") { inputs.at.value = curve.call[point.pointIndex]; readOut(); }
  });
  page.dataset.drawnMs = Math.round(performance.now());
})();
