// The tiles at the top: a figure each, and how it has been for up to five minutes.
import { byId, fromTemplate, part, write } from "./dom.js";
import { Chart } from "./chart.js";
import { bytes, compact, grouped, latency } from "./format.js";

const perSecond = value => compact(value);
const size = value => bytes(value);
const share = value => value === null || value === undefined ? "–" : `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;

const tiles = [
  {
    name: "Connections", series: [{ key: "connections", name: "connections", format: value => compact(value) }],
    aside: ({ status }) => `of ${grouped(status.process.max_connections)} at most`,
  },
  {
    name: "Messages", unit: "in/s",
    series: [{ key: "received", name: "in", format: perSecond }, { key: "sent", name: "out", format: perSecond }],
    aside: (_, point) => `${compact(point.sent)} out/s`,
  },
  {
    name: "Traffic", unit: "in/s",
    series: [{ key: "bytesIn", name: "in", format: size }, { key: "bytesOut", name: "out", format: size }],
    aside: (_, point) => `${bytes(point.bytesOut)} out/s`,
  },
  {
    name: "Callbacks, p99", series: [{ key: "p99", name: "p99", format: latency }],
    aside: () => "of the last 30 s",
  },
  {
    name: "Refused", unit: "/s", series: [{ key: "refused", name: "refused", format: perSecond }],
    aside: ({ metrics }) => `${grouped(sum(metrics.gateway_handshakes_rejected))} since the start`,
  },
  {
    name: "Processor", series: [{ key: "cpu", name: "processor", format: share }],
    aside: ({ status }) => `of ${status.process.workers} worker${status.process.workers === 1 ? "" : "s"}`,
  },
  {
    name: "Memory", series: [{ key: "memory", name: "memory", format: size }],
    aside: ({ metrics }) => `${compact(sum(metrics.process_open_fds))} descriptors open`,
  },
];

const sum = samples => (samples ?? []).reduce((all, sample) => all + sample.value, 0);

export class Tiles {
  #tiles = tiles.map(definition => {
    const element = fromTemplate("tileTemplate");
    write(part(element, "name"), definition.name);
    write(part(element, "unit"), definition.unit ?? "");
    byId("tiles").append(element);
    return { ...definition, element, chart: new Chart(part(element, "chart"), definition.name, definition.series) };
  });

  show(snapshot, points) {
    const point = points.at(-1);
    for (const { element, series, aside, chart } of this.#tiles) {
      write(part(element, "value"), series[0].format(point[series[0].key]));
      write(part(element, "aside"), aside(snapshot, point));
      chart.draw(points);
    }
  }
}
