// The console: routes on one side, connections as tabs on the other, and news of reloads between them.
import { byId, mark, write } from "./dom.js";
import { Connection, socketOrigin } from "./connection.js";
import { clock, plural } from "./format.js";
import { Routes } from "./routes.js";
import { State } from "./state.js";
import { toast } from "./toast.js";

const rememberedTabs = "gateway-console.tabs";
const connections = [];
let selected = null, process = null;

// ---- tabs

const owner = {
  routes: () => routes.list,
  isSelected: connection => connection === selected,
  select,
  leave,
  changed(connection) {
    remember();
    if (connection.isOpen) state?.ask();
  },
};

function select(connection) {
  selected = connection ?? null;
  byId("empty").hidden = connections.length > 0;
  for (const each of connections) {
    const isOn = each === selected;
    each.panel.hidden = !isOn;
    each.tab.setAttribute("aria-selected", isOn);
    each.frame.dataset.selected = isOn;
    each.tab.tabIndex = isOn ? 0 : -1;
  }
  if (!selected) return;
  selected.unread = 0;
  write(selected.frame.querySelector("[data-part=unread]"), "");
  selected.frame.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function add(path) {
  const connection = new Connection(path, owner);
  connections.push(connection);
  connection.tab.addEventListener("keydown", event => tabKey(connection, event));
  select(connection);
  showSide(false);
  remember();
  return connection;
}

function leave(connection) {
  const at = connections.indexOf(connection);
  if (at < 0) return;
  connections.splice(at, 1);
  const hadFocus = connection.frame.contains(document.activeElement) || connection.panel.contains(document.activeElement);
  connection.dispose();
  if (selected === connection) select(connections[Math.min(at, connections.length - 1)]);
  else select(selected);
  if (hadFocus) (selected?.tab ?? byId("routes").querySelector("button"))?.focus();
  remember();
}

function tabKey(connection, event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Delete") leave(connection);
  else if (event.key === "Home" || event.key === "End") moveTo(event.key === "Home" ? 0 : connections.length - 1);
  else if (step) moveTo((connections.indexOf(connection) + step + connections.length) % connections.length);
  else return;
  event.preventDefault();
}

function moveTo(index) {
  select(connections[index]);
  selected.tab.focus();
}

// A page that is loaded again has its tabs again, closed.
function remember() {
  try {
    sessionStorage.setItem(rememberedTabs, JSON.stringify(connections.map(each => each.part("path").value)));
  } catch {
    // A browser that keeps nothing gives an empty page the next time.
  }
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(rememberedTabs)) ?? [];
  } catch {
    return [];
  }
}

// ---- the list of routes, which a phone shows on demand

function showSide(isShown) {
  mark(document.body, "side", isShown ? "shown" : "hidden");
  byId("showRoutes").setAttribute("aria-expanded", isShown);
}

const routes = new Routes(path => add(path).connect());
byId("showRoutes").addEventListener("click", () => showSide(document.body.dataset.side !== "shown"));
byId("blank").addEventListener("click", () => {
  const path = add("/").part("path");
  path.focus();
  path.select();
});

// ---- what the gateway says

function learn(askedAt) {
  const news = new Map();
  for (const connection of connections) {
    const each = connection.learn(askedAt);
    if (!each) continue;
    const key = `${connection.route().pattern} ${each.kind} ${each.from} ${each.to}`;
    news.set(key, { ...each, pattern: connection.route().pattern, count: (news.get(key)?.count ?? 0) + 1 });
  }
  for (const { kind, pattern, from, to, count } of news.values()) {
    const step = `${pattern}: generation ${from} → ${to}`;
    if (kind === "moved") {
      toast(step, `A reload. ${count === 1 ? "Your connection moved along" : `Your ${count} connections moved along`};`
        + " nothing was closed.", { tone: "good", seconds: 10 });
    } else {
      toast(step, "A reload. New connections get the new generation; some are still with the old one.", { tone: "warn" });
    }
  }
}

const state = new State({
  state(news, askedAt) {
    if (process !== null && process !== news.process) toast("The gateway was started again", `version ${news.version}`);
    process = news.process;
    write(byId("feed"), "live");
    mark(byId("feed"), "tone", "good");
    byId("feed").title = `gateway ${news.version}; the routes are as they were a second ago`;
    routes.show(news.routes);
    showSecure(news.secure_port);
    learn(askedAt);
  },
  lost(since) {
    write(byId("feed"), `no answer since ${clock(since)}`);
    mark(byId("feed"), "tone", "bad");
    byId("feed").title = "";
  },
});

function showSecure(port) {
  const link = byId("secure");
  link.hidden = !port || location.protocol === "https:";
  if (link.hidden) return;
  link.href = `https://${location.hostname}:${port}${location.pathname}`;
  link.title = "The same console over TLS";
  write(link, `wss://${location.hostname}:${port}`);
}

write(byId("origin"), socketOrigin);
for (const path of recall()) add(path);
showSide(connections.length === 0);
select(connections[0]);
setInterval(() => {
  for (const connection of connections) connection.showFacts();
  document.title = connections.some(each => each.unread) ? `(${connections.reduce((sum, each) => sum + each.unread, 0)}) gateway console`
    : "gateway console";
}, 1000);
