// Handlers with their generations and routes: who serves what, with how many connections, and what moves.
import { byId, fromTemplate, make, mark, part, sync, write } from "./dom.js";
import { age, compact, grouped, latency, plural } from "./format.js";

const steps = ["settling", "staging", "probing", "loading", "starting", "switching", "handing over"];
const shown = generation => generation.state !== "ended" && generation.state !== "pinned";

export class Handlers {
  // `actions` has reload(handler) and rollback(handler).
  constructor(actions) { this.actions = actions; }

  show({ status }, samples) {
    const routes = new Map();
    for (const route of status.routes) {
      if (!routes.has(route.handler)) routes.set(route.handler, []);
      routes.get(route.handler).push(route);
    }
    byId("noHandlers").hidden = status.handlers.length > 0;
    sync(byId("handlers"), status.handlers, handler => handler.handler, handler => this.#create(handler),
      (element, handler) => this.#update(element, handler, routes.get(handler.handler) ?? [], samples));
  }

  #create({ handler }) {
    const element = fromTemplate("handlerTemplate");
    element.setAttribute("aria-label", `Handler ${handler}`);
    write(part(element, "name"), handler);
    part(element, "reload").addEventListener("click", () => this.actions.reload(handler));
    part(element, "rollback").addEventListener("click", () => this.actions.rollback(handler));
    return element;
  }

  #update(element, handler, routes, samples) {
    const live = handler.generations.find(generation => generation.state === "live");
    const isBusy = steps.includes(handler.state);
    const state = part(element, "state");
    const unserved = routes.some(route => route.state !== "serving");
    write(state, isBusy ? handler.state : !live ? "not served" : unserved || handler.trouble ? "in trouble" : "serving");
    mark(state, "tone", isBusy ? "warn" : !live || unserved || handler.trouble ? "bad" : "good");
    write(part(element, "about"), live ? [live.language, live.version && `version ${live.version}`].filter(Boolean).join(", ") : "");
    const rollback = part(element, "rollback");
    rollback.disabled = handler.older_builds === 0;
    rollback.title = handler.older_builds ? `${plural(handler.older_builds, "older build")} kept` : "no older build is kept";
    this.#say(part(element, "trouble"), handler.trouble ?? (live ? null : routes.find(route => route.reason)?.reason));
    this.#say(part(element, "note"), handler.note);
    const generations = handler.generations.filter(shown);
    this.#share(part(element, "share"), generations, handler.handler);
    sync(part(element, "generations"), generations, generation => `${generation.generation}${generation.why ?? ""}`,
      () => fromTemplate("generationTemplate"), (item, generation) => this.#generation(item, generation));
    sync(part(element, "routes"), routes, route => `${route.host ?? ""} ${route.route}`,
      () => make("tr"), (row, route) => this.#route(row, route, samples));
  }

  #say(element, text) {
    write(element, text ?? "");
    element.hidden = !text;
  }

  // One bar: the live generation first, those that leave behind it.
  #share(bar, generations, handler) {
    const held = generations.filter(generation => generation.connections > 0);
    const all = held.reduce((sum, generation) => sum + generation.connections, 0);
    sync(bar, held, generation => generation.generation, () => make("span"), (item, generation) => {
      mark(item, "state", generation.state);
      item.style.flexGrow = generation.connections / all;
      item.title = `generation ${generation.generation}: ${plural(generation.connections, "connection")}`;
    });
    bar.setAttribute("aria-label", held.length === 0 ? `${handler}: no connections`
      : `${handler}: ${held.map(each => `${each.connections} with generation ${each.generation}`).join(", ")}`);
  }

  #generation(item, generation) {
    mark(item, "state", generation.state);
    write(part(item, "number"), `Generation ${generation.generation}`);
    write(part(item, "state"), generation.state);
    write(part(item, "connections"), plural(generation.connections, "connection"));
    const facts = [
      `for ${age(generation.since_ms)}`, generation.built_at && `built ${generation.built_at.slice(0, 16).replace("T", " ")}`,
      generation.errors > 0 && plural(generation.errors, "error"),
      generation.stalls > 0 && plural(generation.stalls, "stall"), generation.why,
    ];
    write(part(item, "about"), facts.filter(Boolean).join(", "));
  }

  #route(row, route, samples) {
    if (!row.firstChild) {
      row.append(make("th", { scope: "row" }), ...["connections", "in/s", "out/s", "p99"].map(name =>
        make("td", { dataset: { name } })));
    }
    const [name, connections, received, sent, p99] = row.children;
    const rates = samples.routes.get(route.host ? `${route.host}${route.route}` : route.route);
    write(name, route.host ? `${route.host}${route.route}` : route.route);
    mark(row, "serving", route.state === "serving");
    row.title = route.reason ?? "";
    write(connections, grouped(route.connections));
    write(received, rates ? compact(rates.received) : "–");
    write(sent, rates ? compact(rates.sent) : "–");
    write(p99, rates ? latency(rates.p99) : "–");
  }
}
