// A small chart of the last minutes, five at most: one or two lines, drawn once a second, and a reading under the pointer.
import { make, shape } from "./dom.js";
import { age, clock } from "./format.js";

const width = 300, height = 56, longest = 300, shortest = 60;

export class Chart {
  #lines;
  #areas;
  #cursor;
  #reading;
  #points = [];

  // `series` are { key, name, format }; the first one has an area.
  constructor(place, name, series) {
    this.name = name;
    this.series = series;
    this.#areas = shape("path", { class: "area" });
    this.#lines = series.map((_, index) => shape("path", { class: `line series-${index + 1}` }));
    this.#cursor = shape("path", { class: "cursor" });
    this.drawing = shape(
      "svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", tabindex: "0" },
      shape("path", { class: "base", d: `M0 ${height - .5}H${width}` }), this.#areas, ...this.#lines, this.#cursor);
    this.#reading = make("output", { className: "reading", hidden: true });
    place.append(this.drawing, this.#reading);
    this.drawing.addEventListener("pointermove", event => this.#readAt(event));
    this.drawing.addEventListener("pointerleave", () => this.#endReading());
    this.drawing.addEventListener("keydown", event => this.#step(event));
    this.drawing.addEventListener("blur", () => this.#endReading());
  }

  draw(points) {
    const now = points.at(-1)?.at ?? Date.now();
    this.#points = points.filter(point => now - point.at <= longest * 1000);
    this.seconds = Math.max(shortest, (now - (this.#points[0]?.at ?? now)) / 1000);
    const values = this.#points.flatMap(point => this.series.map(({ key }) => point[key]));
    this.top = Math.max(1e-9, ...values.filter(value => Number.isFinite(value)));
    this.series.forEach(({ key }, index) => {
      const runs = this.#runs(key, now);
      this.#lines[index].setAttribute("d", runs.map(run => `M${run.map(at => at.join(" ")).join("L")}`).join(""));
      if (index > 0) return;
      this.#areas.setAttribute("d", runs.map(run =>
        `M${run[0][0]} ${height}L${run.map(at => at.join(" ")).join("L")}L${run.at(-1)[0]} ${height}Z`).join(""));
    });
    this.#describe();
    if (this.cursorAt !== undefined) this.#showReading();
  }

  #x(at, now) { return (width - (now - at) / 1000 * width / this.seconds).toFixed(1); }

  // Stretches without a gap, as places of the drawing.
  #runs(key, now) {
    const runs = [];
    let run = null;
    for (const point of this.#points) {
      const value = point[key];
      if (!Number.isFinite(value)) {
        run = null;
        continue;
      }
      if (!run) runs.push(run = []);
      run.push([this.#x(point.at, now), (height - 2 - value / this.top * (height - 6)).toFixed(1)]);
    }
    // One value alone would be a line without a length.
    for (const each of runs) if (each.length === 1) each.unshift([Math.max(0, each[0][0] - 1), each[0][1]]);
    return runs;
  }

  #describe() {
    const said = this.series.map(({ key, name, format }) => {
      const values = this.#points.map(point => point[key]).filter(Number.isFinite);
      if (!values.length) return `${name}: nothing yet`;
      return `${name}: now ${format(values.at(-1))}, highest ${format(Math.max(...values))}`;
    });
    this.drawing.setAttribute("aria-label", `${this.name}, the last ${age(this.seconds * 1000)}. ${said.join(". ")}`);
  }

  #readAt(event) {
    const box = this.drawing.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const now = this.#points.at(-1)?.at ?? 0, wanted = now - (1 - share) * this.seconds * 1000;
    let best = this.#points.length - 1;
    this.#points.forEach((point, index) => {
      if (Math.abs(point.at - wanted) < Math.abs(this.#points[best].at - wanted)) best = index;
    });
    this.cursorAt = this.#points[best]?.at;
    this.#showReading();
  }

  #step(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.#points.length) return;
    event.preventDefault();
    const at = this.#points.findIndex(point => point.at === this.cursorAt);
    const next = at < 0 ? this.#points.length - 1 : Math.min(Math.max(at + step, 0), this.#points.length - 1);
    this.cursorAt = this.#points[next].at;
    this.#showReading();
  }

  #showReading() {
    const point = this.#points.find(each => each.at === this.cursorAt);
    if (!point) return this.#endReading();
    const x = this.#x(point.at, this.#points.at(-1).at);
    this.#cursor.setAttribute("d", `M${x} 0V${height}`);
    const said = this.series.map(({ key, name, format }) =>
      `${this.series.length > 1 ? `${name} ` : ""}${format(point[key])}`);
    this.#reading.textContent = `${clock(new Date(point.at))}  ${said.join("  ")}`;
    this.#reading.hidden = false;
  }

  #endReading() {
    this.cursorAt = undefined;
    this.#cursor.setAttribute("d", "");
    this.#reading.hidden = true;
  }
}
