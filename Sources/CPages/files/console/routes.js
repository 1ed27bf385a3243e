// The list of routes: what serves each, with how many connections, and what has to be filled in to reach it.
import { byId, fromTemplate, make, mark, part, sync, write } from "./dom.js";
import { plural } from "./format.js";

const encodePath = text => text.split("/").map(encodeURIComponent).join("/");

export class Routes {
  list = [];

  // `open` is called with a path.
  constructor(open) {
    this.open = open;
    byId("routeSearch").addEventListener("input", () => this.#filter());
  }

  show(routes) {
    this.list = routes;
    byId("noRoutes").hidden = routes.length > 0;
    byId("routeSearch").hidden = routes.length < 6;
    sync(byId("routes"), routes, route => route.pattern, route => this.#create(route), (item, route) => this.#update(item, route));
    this.#filter();
  }

  #filter() {
    const words = byId("routeSearch").value.toLowerCase();
    for (const item of byId("routes").children) item.hidden = words !== "" && !item.textContent.toLowerCase().includes(words);
  }

  #create({ pattern }) {
    const item = fromTemplate("routeTemplate"), form = item.querySelector("form");
    part(form, "open").dataset.route = pattern;
    write(part(form, "pattern"), pattern);
    const parts = pattern.split("/").map(segment => segment.startsWith(":") || segment === "*" ? this.#input(segment) : segment);
    const inputs = parts.filter(each => typeof each !== "string");
    part(form, "parameters").append(...inputs.map(input => make("label", {}, input.dataset.parameter === "*" ? "rest " : `${input.dataset.parameter} `, input)));
    form.addEventListener("submit", event => {
      event.preventDefault();
      const value = each => typeof each === "string" ? each
        : each.dataset.parameter === "*" ? encodePath(each.value) : encodeURIComponent(each.value);
      this.open(parts.map(value).join("/") || "/");
    });
    return item;
  }

  // A parameter has to be something; what `/*` stands for need not.
  #input(segment) {
    const name = segment === "*" ? "*" : segment.slice(1);
    return make("input", {
      placeholder: segment === "*" ? "a/b" : segment, required: name !== "*", autocomplete: "off", spellcheck: false, autocapitalize: "off",
      dataset: { parameter: name }, className: "small mono",
    });
  }

  #update(item, { handler, unavailable, generation, connections }) {
    mark(item, "serving", unavailable === null);
    write(part(item, "handler"), handler);
    write(part(item, "state"), unavailable === null ? "serving" : "not served");
    mark(part(item, "state"), "tone", unavailable === null ? "good" : "bad");
    write(part(item, "generation"), unavailable ?? `generation ${generation}`);
    write(part(item, "connections"), unavailable === null || connections > 0 ? plural(connections, "connection") : "");
  }
}
