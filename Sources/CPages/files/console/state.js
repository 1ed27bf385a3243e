// What the gateway serves, asked each second: a page in sight gets to know of a reload at once, and one in the background
// costs next to nothing.

const inSight = 1000, outOfSight = 5000;

// Calls `handlers`: state(object, askedAt), lost(since). `askedAt` is of performance.now().
export class State {
  #handlers;
  #timer;
  #lostAt = null;
  #isAsking = false;

  constructor(handlers) {
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", () => this.ask());
    this.ask();
  }

  async ask() {
    clearTimeout(this.#timer);
    if (this.#isAsking) return;
    this.#isAsking = true;
    const askedAt = performance.now();
    try {
      const answer = await fetch(new URL("state", import.meta.url), { cache: "no-store" });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      const state = await answer.json();
      this.#lostAt = null;
      this.#handlers.state(state, askedAt);
    } catch {
      this.#lostAt ??= new Date();
      this.#handlers.lost(this.#lostAt);
    }
    this.#isAsking = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), document.hidden ? outOfSight : inSight);
  }
}
