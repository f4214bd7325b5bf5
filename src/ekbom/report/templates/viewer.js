/* Three linked slices of a statistic over a background. No libraries. */
(function () {
  "use strict";
  async function unpack(text, Kind) {
    const raw = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Kind(await new Response(stream).arrayBuffer());
  }
  function inverse(a) { // of a 3 x 4 affine
    const [[a0, a1, a2, t0], [b0, b1, b2, t1], [c0, c1, c2, t2]] = a;
    const d = a0 * (b1 * c2 - b2 * c1) - a1 * (b0 * c2 - b2 * c0) + a2 * (b0 * c1 - b1 * c0);
    const m = [[b1 * c2 - b2 * c1, a2 * c1 - a1 * c2, a1 * b2 - a2 * b1],
               [b2 * c0 - b0 * c2, a0 * c2 - a2 * c0, a2 * b0 - a0 * b2],
               [b0 * c1 - b1 * c0, a1 * c0 - a0 * c1, a0 * b1 - a1 * b0]].map(r => r.map(v => v / d));
    return m.map(r => [...r, -(r[0] * t0 + r[1] * t1 + r[2] * t2)]);
  }
  async function volume(v, Kind) {
    const data = await unpack(v.data, Kind), [nx, ny, nz] = v.shape, m = inverse(v.affine);
    const row = (r, w) => m[r][0] * w[0] + m[r][1] * w[1] + m[r][2] * w[2] + m[r][3];
    const pick = (i, j, k) => i < nx && j < ny && k < nz ? data[i + nx * (j + ny * k)] : 0;
    return {shape: v.shape, affine: v.affine, smooth(w) { // linear; 0 when the nearest voxel is outside
      if (!this.at(w, 0)) return 0;
      const x = Math.max(0, row(0, w)), y = Math.max(0, row(1, w)), z = Math.max(0, row(2, w));
      const i = Math.floor(x), j = Math.floor(y), k = Math.floor(z);
      let sum = 0, share = 0;
      for (let n = 0; n < 8; n++) {
        const a = n & 1, b = n >> 1 & 1, c = n >> 2;
        const s = (a ? x - i : 1 - x + i) * (b ? y - j : 1 - y + j) * (c ? z - k : 1 - z + k);
        const g = s > 0 ? pick(i + a, j + b, k + c) : 0;
        if (g) { sum += s * g; share += s; }
      }
      return sum / share;
    }, at(w, none) {
      const i = Math.round(row(0, w)), j = Math.round(row(1, w)), k = Math.round(row(2, w));
      return i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz ? none : data[i + nx * (j + ny * k)];
    }};
  }
  function bounds(v) {
    const lo = [1e9, 1e9, 1e9], hi = [-1e9, -1e9, -1e9], a = v.affine;
    for (const i of [0, v.shape[0] - 1]) for (const j of [0, v.shape[1] - 1]) for (const k of [0, v.shape[2] - 1])
      for (let d = 0; d < 3; d++) {
        const w = a[d][0] * i + a[d][1] * j + a[d][2] * k + a[d][3];
        lo[d] = Math.min(lo[d], w); hi[d] = Math.max(hi[d], w);
      }
    return [lo, hi];
  }
  const stops = [[8, 48, 107], [33, 113, 181], [158, 202, 225], [242, 240, 235], [253, 190, 133], [230, 85, 13], [127, 39, 4]];
  function colour(x) { // -1 .. 1
    const s = Math.min(5.9999, Math.max(0, (x + 1) * 3)), k = Math.floor(s), f = s - k;
    return stops[k].map((c, d) => c + f * (stops[k + 1][d] - c));
  }
  const fixed = (x, n) => x.toFixed(n).replace("-", "\u2212");
  async function start(box) {
    const data = JSON.parse(document.getElementById(box.dataset.source).textContent);
    const shared = JSON.parse(document.getElementById(box.dataset.under).textContent);
    const under = await volume(shared, Uint8Array), stat = await volume(data.stat, Int16Array);
    const labels = data.labels ? await volume(data.labels, Uint16Array) : null;
    const [lo, hi] = bounds(shared), step = 1, at = data.peak.slice();
    const slider = box.querySelector("input"), out = box.querySelector("output"), says = box.querySelector(".says");
    // the plane of each canvas: which axis runs right, which up, which through
    const planes = [[1, 2, 0], [0, 2, 1], [0, 1, 2]].map((axes, n) => {
      const canvas = box.querySelectorAll("canvas")[n], [u, v] = axes;
      canvas.width = Math.round((hi[u] - lo[u]) / step) + 1;
      canvas.height = Math.round((hi[v] - lo[v]) / step) + 1;
      canvas.style.flex = String(canvas.width);  // one scale for all three
      return {canvas, axes};
    });
    const value = w => { const s = stat.at(w, -32768); return s === -32768 ? NaN : s * data.stat.scale; };
    function draw() {
      const limit = Number(slider.value);
      for (const {canvas, axes: [u, v, through]} of planes) {
        const pen = canvas.getContext("2d"), picture = pen.createImageData(canvas.width, canvas.height), px = picture.data;
        const w = [0, 0, 0];
        w[through] = at[through];
        for (let r = 0, o = 0; r < canvas.height; r++) for (let c = 0; c < canvas.width; c++, o += 4) {
          w[u] = lo[u] + c * step; w[v] = hi[v] - r * step;
          const g = under.smooth(w), t = value(w);
          let rgb = g ? [70 + 0.66 * g, 70 + 0.66 * g, 70 + 0.66 * g] : null;
          if (Math.abs(t) >= limit && t !== 0) rgb = colour(t / data.full);
          if (!rgb) continue;
          px[o] = rgb[0]; px[o + 1] = rgb[1]; px[o + 2] = rgb[2]; px[o + 3] = 255;
        }
        pen.putImageData(picture, 0, 0);
        pen.strokeStyle = "rgba(0,0,0,.55)"; pen.lineWidth = 0.7; pen.beginPath();
        const cx = (at[u] - lo[u]) / step + 0.5, cy = (hi[v] - at[v]) / step + 0.5;
        pen.moveTo(cx, 0); pen.lineTo(cx, canvas.height); pen.moveTo(0, cy); pen.lineTo(canvas.width, cy); pen.stroke();
      }
      const t = value(at), n = labels ? labels.at(at, 0) : 0;
      const name = n ? data.labels.names[n] : "";
      out.textContent = fixed(limit, 2);
      says.textContent = "x " + fixed(at[0], 0) + ", y " + fixed(at[1], 0) + ", z " + fixed(at[2], 0) + " mm:  " +
        (Number.isNaN(t) ? "outside the mask" : data.name + " = " + fixed(t, 2)) + (name ? ", " + name : "");
    }
    function clamp() { for (let d = 0; d < 3; d++) at[d] = Math.min(hi[d], Math.max(lo[d], at[d])); }
    for (const {canvas, axes: [u, v, through]} of planes) {
      const go = e => {
        const r = canvas.getBoundingClientRect();
        at[u] = lo[u] + (e.clientX - r.left) / r.width * (hi[u] - lo[u]);
        at[v] = hi[v] - (e.clientY - r.top) / r.height * (hi[v] - lo[v]);
        clamp(); draw();
      };
      canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); go(e); });
      canvas.addEventListener("pointermove", e => { if (e.buttons) go(e); });
      canvas.addEventListener("keydown", e => {
        const move = {ArrowLeft: [u, -2], ArrowRight: [u, 2], ArrowDown: [v, -2], ArrowUp: [v, 2],
                      PageUp: [through, 2], PageDown: [through, -2]}[e.key];
        if (!move) return;
        e.preventDefault(); at[move[0]] += move[1]; clamp(); draw();
      });
    }
    slider.max = data.top; slider.step = data.top / 200; slider.value = Math.min(data.threshold, data.top);
    slider.addEventListener("input", draw);
    for (const link of document.querySelectorAll("[data-goto='" + box.id + "']"))
      link.addEventListener("click", () => { link.dataset.at.split(" ").forEach((x, d) => { at[d] = Number(x); }); draw(); box.scrollIntoView({block: "nearest"}); });
    box.classList.add("ready");
    draw();
  }
  for (const box of document.querySelectorAll(".viewer"))
    start(box).catch(() => {
      box.textContent = "This browser cannot unpack the images of the viewer; the slices above show the same.";
      box.classList.add("ready");
    });
})();
