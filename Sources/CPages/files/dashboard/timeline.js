// What was replaced, why, what came of it, and what became of the connections meanwhile.
import { byId, fromTemplate, make, mark, part, sync, write } from "./dom.js";
import { clock, day, grouped, plural } from "./format.js";

const kept = 100;
const results = {
  switched: { tone: "good", words: { reload: "replaced", rollback: "rolled back", configuration: "in effect", start: "started" } },
  unchanged: { tone: "off", words: { reload: "unchanged", rollback: "unchanged", configuration: "unchanged", start: "unchanged" } },
  refused: { tone: "bad", words: { reload: "refused", rollback: "refused", configuration: "refused", start: "did not start" } },
};

export class Timeline {
  #entries = new Map();

  // Answers what is new, but for what lies before this page.
  add(news) {
    const isFirst = this.#entries.size === 0;
    const fresh = news.filter(entry => !this.#entries.has(entry.number));
    for (const entry of news) this.#entries.set(entry.number, entry);
    for (const number of Array.from(this.#entries.keys()).sort((a, b) => a - b).slice(0, -kept)) this.#entries.delete(number);
    return isFirst ? [] : fresh;
  }

  reset() { this.#entries.clear(); }

  show(status) {
    const entries = Array.from(this.#entries.values()).sort((a, b) => b.number - a.number);
    byId("noReloads").hidden = entries.length > 0;
    write(byId("timelineCount"), entries.length ? `the last ${entries.length}, newest first` : "");
    sync(byId("timeline"), entries, entry => entry.number, () => fromTemplate("eventTemplate"),
      (item, entry) => this.#update(item, entry, new Date(status.process.reported_at)));
  }

  #update(item, { kind, handler, result, before, after, reload }, now) {
    const { tone, words } = results[result], at = new Date(reload.at);
    mark(item, "result", result);
    const time = part(item, "time");
    time.dateTime = reload.at;
    time.title = `${day(at)}, ${clock(at)}`;
    write(time, now - at < 86400000 ? clock(at) : day(at));
    write(part(item, "result"), words[kind]);
    mark(part(item, "result"), "tone", tone);
    write(part(item, "what"), handler ?? "gateway.conf");
    const isStep = result === "switched" && after !== null;
    write(part(item, "steps"), !isStep ? "" : before === null ? `generation ${after}` : `generation ${before} → ${after}`);
    this.#fate(part(item, "fate"), part(item, "words"), reload, isStep);
    const took = [`by ${reload.cause}`, `${grouped(reload.duration_ms)} ms`];
    write(part(item, "took"), took.join(", "));
    const text = reload.outcome, first = text.split("\n")[0];
    write(part(item, "summary"), first);
    write(part(item, "text"), text);
    mark(part(item, "details"), "plain", text === first && first.length < 90);
  }

  // What became of the connections, each in words; a bar says how they compare.
  #fate(element, said, reload, isStep) {
    const parts = [
      ["moved", reload.moved], ["draining", reload.draining], ["refused", reload.refused], ["closed", reload.closed],
    ].filter(([, count]) => count > 0);
    const moving = reload.moving_ms === null ? "" : ` in ${reload.moving_ms < 10 ? reload.moving_ms.toFixed(2) : Math.round(reload.moving_ms)} ms`;
    const words = parts.map(([name, count]) => name === "moved"
      ? `${plural(count, "connection")} moved${moving}` : `${grouped(count)} ${name}`);
    sync(element, parts, ([name]) => name, ([name]) => make("i", { className: "fate-bar", dataset: { fate: name } }),
      (bar, [, count]) => { bar.style.flexGrow = count; });
    element.title = words.join(", ");
    write(said, words.length ? words.join(", ") : isStep ? "no connections" : "");
    element.hidden = parts.length === 0;
  }
}
