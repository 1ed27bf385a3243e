// What the gateway tells each second, over a WebSocket that comes back by itself.

const firstPause = 500, longestPause = 5000, silence = 5000;

// Calls `handlers`: snapshot(object), welcome({ token }), lost(since, why), refused() when nobody is signed in.
export class Feed {
  #handlers;
  #socket;
  #pause = firstPause;
  #timer;
  #heardAt = 0;
  #lostAt = null;

  constructor(handlers) {
    this.#handlers = handlers;
    setInterval(() => this.#watch(), 1000);
    for (const [target, name] of [[window, "online"], [document, "visibilitychange"]]) {
      target.addEventListener(name, () => { if (!document.hidden) this.#hurry(); });
    }
  }

  async open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Pages are not told why a handshake failed.
    const session = await fetch("/api/session", { cache: "no-store" }).catch(() => null);
    if (session?.status === 401) return this.#handlers.refused();
    if (!session?.ok) return this.#lose(session ? `it answers ${session.status}` : "the gateway does not answer");
    this.#handlers.welcome(await session.json());
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
    socket.onmessage = event => {
      this.#heardAt = performance.now();
      this.#pause = firstPause;
      this.#lostAt = null;
      this.#handlers.snapshot(JSON.parse(event.data));
    };
    socket.onclose = event => {
      if (this.#socket !== socket) return;
      this.#lose(event.code === 1001 ? "the gateway has ended" : event.code === 1008 ? "another token is in effect"
        : "the connection broke");
    };
    this.#heardAt = performance.now();
    this.#socket = socket;
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #lose(why) {
    this.#socket = undefined;
    this.#lostAt ??= new Date();
    this.#handlers.lost(this.#lostAt, why);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, longestPause);
  }

  #hurry() {
    if (this.#timer && this.#lostAt) this.open();
  }

  // A connection may break without a word: a machine that slept, a cable.
  #watch() {
    if (!this.#socket || performance.now() - this.#heardAt < silence) return;
    const socket = this.#socket;
    this.#lose("it says nothing any more");
    socket.close();
  }
}
