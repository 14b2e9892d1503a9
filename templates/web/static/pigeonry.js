/* What pages do beyond HTML: charts from their tables, questions before what cannot be undone, forms that
   are sent once. Every page works without it for reading. */
"use strict";

(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const series = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];

  // Whiskers from data-low to data-high.
  const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart) {
      const { ctx } = chart;
      ctx.save();
      ctx.strokeStyle = colour("--text");
      ctx.lineWidth = 1.5;
      chart.data.datasets.forEach((set, index) => {
        if (!set.ranges || !chart.isDatasetVisible(index)) return;
        const flat = chart.options.indexAxis === "y";
        const scale = chart.scales[flat ? "x" : "y"];
        chart.getDatasetMeta(index).data.forEach((bar, i) => {
          const range = set.ranges[i];
          if (!range) return;
          const [a, b] = range.map((value) => scale.getPixelForValue(value));
          const c = flat ? bar.y : bar.x;
          const line = (x1, y1, x2, y2) => { ctx.moveTo(x1, y1); ctx.lineTo(x2, y2); };
          ctx.beginPath();
          if (flat) { line(a, c, b, c); line(a, c - 4, a, c + 4); line(b, c - 4, b, c + 4); }
          else { line(c, a, c, b); line(c - 4, a, c + 4, a); line(c - 4, b, c + 4, b); }
          ctx.stroke();
        });
      });
      ctx.restore();
    },
  };

  function draw(figure) {
    const table = figure.querySelector("table");
    const plot = figure.querySelector(".plot");
    if (!table || !plot || !window.Chart || figure.dataset.drawn) return;
    const rows = [...table.tBodies[0].rows];
    const columns = [...table.tHead.rows[0].cells].map((cell, i) => [cell.textContent.trim(), i])
      .filter(([, i]) => i > 0 && rows.some((row) => row.cells[i] && "value" in row.cells[i].dataset));
    if (!rows.length || !columns.length) return;
    figure.dataset.drawn = "yes";
    plot.hidden = false;
    const kind = figure.dataset.chart;  // line, bar, bars (lying)
    const language = document.documentElement.lang;
    const share = figure.dataset.unit === "share";
    const written = (value) => new Intl.NumberFormat(language, share
      ? { style: "percent", maximumFractionDigits: 2 } : { maximumFractionDigits: 2 }).format(value);
    const value = (cell, name) => (cell && cell.dataset[name] ? Number(cell.dataset[name]) : null);
    const grid = { color: colour("--line") };
    const ticks = { color: colour("--soft") };
    const flat = kind === "bars";
    const highest = Math.max(...rows.flatMap((row) => columns.map(([, i]) => value(row.cells[i], "high") ?? 0)));
    const numbers = { beginAtZero: kind !== "line" || share, suggestedMax: highest || undefined, grid, ticks: { ...ticks, callback: written } };
    const names = { grid: { display: false }, ticks };
    new window.Chart(plot.querySelector("canvas"), {
      type: kind === "line" ? "line" : "bar",
      plugins: [whiskers],
      data: {
        labels: rows.map((row) => row.cells[0].textContent.trim()),
        datasets: columns.map(([label, i], n) => ({
          label,
          data: rows.map((row) => value(row.cells[i], "value")),
          ranges: rows.map((row) => {
            const low = value(row.cells[i], "low"), high = value(row.cells[i], "high");
            return low === null || high === null ? null : [low, high];
          }),
          backgroundColor: colour(series[n % series.length]),
          borderColor: colour(series[n % series.length]),
          borderWidth: kind === "line" ? 2 : 0,
          pointRadius: rows.length > 40 ? 0 : 2,
          maxBarThickness: 36,
        })),
      },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false,
        indexAxis: flat ? "y" : "x",
        interaction: { mode: "index", intersect: false, axis: flat ? "y" : "x" },
        scales: flat ? { x: numbers, y: names } : { x: names, y: numbers },
        plugins: {
          legend: { display: columns.length > 1, labels: { color: colour("--text") } },
          tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${written(item.raw)}` } },
        },
      },
    });
  }

  function ready(root) {
    root.querySelectorAll("figure[data-chart]").forEach(draw);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) { event.preventDefault(); return; }
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
    }
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
  ready(document);
})();
