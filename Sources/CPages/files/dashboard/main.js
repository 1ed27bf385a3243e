// The dashboard: what the gateway tells goes to the parts of the page.
import { byId, make, mark, sync, write } from "./dom.js";
import { actions } from "./actions.js";
import { Feed } from "./feed.js";
import { Handlers } from "./routes.js";
import { Samples } from "./samples.js";
import { SignIn, signOut } from "./session.js";
import { Tiles } from "./traffic.js";
import { Timeline } from "./timeline.js";
import { age, clock, grouped, plural } from "./format.js";
import { showPanels } from "./panels.js";
import { toast } from "./toast.js";

const samples = new Samples(), timeline = new Timeline(), tiles = new Tiles(), handlers = new Handlers(actions);
let last = null, process = null, lostAt = null;

const tones = { serving: "good", degraded: "bad", starting: "warn", draining: "warn", stopping: "warn" };

function view(name) { mark(document.body, "view", name); }

function take(snapshot) {
  const { status } = snapshot, identity = `${status.process.pid} ${status.process.started_at}`;
  if (process !== null && process !== identity) {
    samples.reset();
    timeline.reset();
    toast("The gateway was started again", `process ${status.process.pid}, version ${status.process.version}`);
  }
  process = identity;
  if (lostAt) toast("Connected again", `nothing was heard for ${age(Date.now() - lostAt)}`, { tone: "good" });
  lostAt = null;
  last = snapshot;
  samples.add(snapshot);
  const news = timeline.add(snapshot.timeline);
  for (const entry of news) announce(entry);
  byId("commands").hidden = false;
  view("live");
  if (!document.hidden) show();
}

function announce({ kind, handler, result, before, after, reload }) {
  if (kind === "configuration" && result === "unchanged") return;
  const what = handler ?? "gateway.conf";
  if (result === "refused") return toast(`${what}: refused`, reload.outcome.split("\n")[0], { tone: "bad", seconds: 15 });
  if (result === "unchanged") return toast(`${what}: unchanged`, reload.outcome.split("\n")[0]);
  const step = after === null ? "in effect" : before === null ? `generation ${after}` : `generation ${before} → ${after}`;
  toast(`${what}: ${step}`, handler ? `${plural(reload.moved, "connection")} moved, ${grouped(reload.closed)} closed`
    : reload.outcome.split("\n")[0], { tone: "good" });
}

function show() {
  const { status, unready } = last, { state } = status.process;
  write(byId("health"), state);
  mark(byId("health"), "tone", tones[state] ?? "warn");
  write(byId("version"), status.process.version);
  write(byId("facts"), `up ${age(status.process.uptime_ms)}, process ${status.process.pid}, ${status.process.configuration}`);
  byId("facts").title = status.process.configuration;
  document.title = `${grouped(status.process.connections)} · ${state} · gateway`;
  const isServing = state === "serving" || state === "degraded";
  byId("drain").disabled = byId("reloadAll").disabled = !isServing;
  const refusal = status.process.configuration_reload;
  const lines = [...unready];
  if (refusal && !refusal.accepted) lines.push(`gateway.conf as it is now was refused: ${refusal.outcome}`);
  for (const each of status.handlers) {
    if (each.trouble && each.file) lines.push(`handler "${each.handler}": ${each.trouble.split("\n")[0]}`);
  }
  banner(lines.length ? isServing ? "Not everything is served" : `The gateway is ${state}` : null, lines, isServing ? "bad" : "warn");
  tiles.show(last, samples.points);
  handlers.show(last, samples);
  timeline.show(status);
  showPanels(last, samples);
}

function banner(title, lines = [], tone = "bad") {
  const element = byId("banner");
  element.hidden = title === null;
  if (title === null) return;
  mark(element, "tone", tone);
  write(byId("bannerTitle"), title);
  sync(byId("bannerLines"), lines, line => line, line => make("li", {}, line), () => {});
}

const feed = new Feed({
  welcome({ token }) { byId("signOut").hidden = !token; },
  snapshot: take,
  lost(since, why) {
    lostAt ??= since;
    byId("commands").hidden = true;
    write(byId("health"), "disconnected");
    mark(byId("health"), "tone", "off");
    document.title = "disconnected · gateway";
    banner(`Disconnected since ${clock(since)}: ${why}`, [
      last ? "The figures below are the last ones. It is tried again every few seconds." : "It is tried again every few seconds.",
    ], "warn");
    view(last ? "stale" : "loading");
  },
  refused() {
    byId("commands").hidden = true;
    byId("signOut").hidden = true;
    banner(null);
    write(byId("health"), "signed out");
    mark(byId("health"), "tone", "off");
    view("signed-out");
    signIn.ask();
  },
});
const signIn = new SignIn(() => {
  view("loading");
  feed.open();
});

byId("reloadAll").addEventListener("click", actions.reloadAll);
byId("drain").addEventListener("click", () => actions.drain(last.status.process.connections));
byId("signOut").addEventListener("click", async () => {
  feed.close();
  await signOut();
  feed.open();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && last && !lostAt) show(); });
feed.open();
