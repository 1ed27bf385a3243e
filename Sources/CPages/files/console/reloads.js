// What a reload does to the connections of this page. A page is not told which generation serves it; but a route whose
// connections are all with one generation leaves no doubt, and so does one that no older generation has any of.

// Which route of a list a path comes to, in the gateway's order: exact, then parameters, then the longest `/*`.
export function routeOf(path, routes) {
  const wanted = path.split(/[?#]/)[0].split("/");
  let best = null, bestRank = -1;
  for (const route of routes) {
    const parts = route.pattern.split("/"), isOpen = parts.at(-1) === "*";
    const fixed = isOpen ? parts.slice(0, -1) : parts;
    if (isOpen ? wanted.length < fixed.length : wanted.length !== fixed.length) continue;
    if (!fixed.every((part, index) => part === wanted[index] || part.startsWith(":") && wanted[index] !== "")) continue;
    const parameters = fixed.filter(part => part.startsWith(":")).length;
    const rank = isOpen ? fixed.length : 10000 - parameters;
    if (rank > bestRank) [best, bestRank] = [route, rank];
  }
  return best;
}

// What is known of one connection: it is with no generation below `least` and none above `most`.
export class Generation {
  known = null;
  #least = 0;
  #pending = null;
  #openedAt;

  // `openedAt` is of performance.now().
  constructor(openedAt) { this.#openedAt = openedAt; }

  // Takes in the route as it was when it was asked for; answers news: { kind: "moved" | "waiting", from, to, left }.
  learn(route, askedAt) {
    // It may not have been among those that were counted.
    if (!route || askedAt < this.#openedAt || route.generation === null) return null;
    const held = route.generations.filter(share => share.connections > 0).map(share => share.generation);
    if (held.length === 0) return null;
    this.#least = Math.max(this.#least, Math.min(...held));
    const most = Math.max(route.generation, ...held);
    if (this.#least >= most) return this.#settle(most);
    if (this.known === null || this.known >= most || this.#pending === most) return null;
    this.#pending = most;
    const left = route.generations.filter(share => share.generation < most);
    return { kind: "waiting", from: this.known, to: most, left: left.reduce((sum, share) => sum + share.connections, 0) };
  }

  #settle(generation) {
    const from = this.known;
    this.known = generation;
    this.#pending = null;
    return from !== null && from !== generation ? { kind: "moved", from, to: generation } : null;
  }
}
