// Draws the charts, keeps a growing log at its end, opens what an address names. Everything else is the server's.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Dates as they are written elsewhere on the pages; hours when the chart spans a few days.
  function days(plot, splits) {
    const short = plot.scales.x.max - plot.scales.x.min < 3 * 86400;
    const form = short ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short" };
    return splits.map((at) => new Date(at * 1000).toLocaleString("en-GB", { ...form, timeZone: "UTC" }));
  }

  function options(box, chart) {
    const hues = ["--share0", "--share1", "--share2", "--share3", "--info", "--muted"].map(css);
    const grid = { stroke: css("--line"), width: 1 };
    const axis = { stroke: css("--muted"), grid, ticks: grid, font: "11px " + css("--sans") };
    const series = [{ value: (_, at) => (at == null ? "–" : new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")) }];
    const data = [chart.times];
    const value = (_, number) => (number == null ? "–" : Number(number.toPrecision(4)).toString());
    chart.lines.forEach((line, index) => {
      const hue = hues[index % hues.length];
      series.push({ label: line.label, stroke: hue, width: 1.75, spanGaps: false, value, points: { size: 4, fill: hue } });
      data.push(line.values);
    });
    if (chart.threshold !== null) {
      series.push({ label: "threshold", stroke: css("--bad"), width: 1, dash: [5, 4], value, points: { show: false } });
      data.push(chart.times.map(() => chart.threshold));
    }
    const alerts = chart.times.map((_, at) => chart.lines.reduce((worst, line) => {
      const here = line.alerts[at];
      return here == null ? worst : worst == null ? here : Math.max(worst, here);
    }, null));
    if (alerts.some((each) => each !== null)) {
      series.push({ label: "alert", stroke: css("--bad"), width: 0, paths: () => null, value, points: { show: true, size: 9, width: 2, stroke: css("--bad"), fill: css("--bad-soft") } });
      data.push(alerts);
    }
    const pad = (_, low, high) => {
      const room = (high - low || Math.abs(high) || 1) * 0.1;
      return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
    };
    // A single run is drawn in the middle of its day, not in that of three years.
    // (uPlot has padded a single time to a thousand days before it asks.)
    const first = Math.min(...chart.times), last = Math.max(...chart.times);
    const around = (_, low, high) => (first === last ? [first - 43200, last + 43200] : [low, high]);
    return [{ width: box.clientWidth, height: 220, series, axes: [{ ...axis, values: days }, { ...axis, size: 56 }], scales: { x: { range: around }, y: { range: pad } }, legend: { live: true }, tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), "Etc/UTC"), cursor: { drag: { x: true, y: false } } }, data];
  }

  function draw(box) {
    box.replaceChildren();
    const [settings, data] = options(box, JSON.parse(box.dataset.chart));
    box.chart = new uPlot(settings, data, box);
  }

  const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
  const sized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.chart && Math.abs(target.chart.width - target.clientWidth) > 1) {
        target.chart.setSize({ width: target.clientWidth, height: 220 });
      }
    }
  });

  function openTarget() {
    const found = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (found && found.tagName === "DETAILS") found.open = true;
  }

  // Whoever has scrolled up wants to read there: only a log that stands at its end follows.
  let follows = true;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const log = event.target.closest && event.target.closest(".follow");
    if (log) follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const log = document.querySelector(".follow");
    if (log && follows) log.scrollTop = log.scrollHeight;
  });
  // A part that is refused is shown where it was asked for.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400 && event.detail.xhr.status !== 401) event.detail.shouldSwap = event.detail.target.id === "curl" || event.detail.target.id === "chain";
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  addEventListener("hashchange", openTarget);
  all();
  document.querySelectorAll("[data-chart]").forEach((box) => sized.observe(box));
  openTarget();
})();
