// The smaller panels: tables of a few lines, each with a bar beside its number.
import { byId, make, mark, sync, write } from "./dom.js";
import { age, bytes, compact, day, grouped, latency } from "./format.js";

const closeNames = {
  1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "unsupported", 1005: "no code", 1006: "broken",
  1007: "not UTF-8", 1008: "policy", 1009: "too big", 1011: "internal error", 1012: "service restart",
  1013: "try again later",
};

// Lines of { key, name, about, value, share, tone }; `nothing` stands there when there is none.
function table(place, lines, nothing, caption) {
  if (!place.firstChild) place.append(make("p", { className: "empty" }), make("ul", { className: "bars" }));
  const [empty, list] = place.children;
  write(empty, nothing);
  empty.hidden = lines.length > 0;
  list.hidden = lines.length === 0;
  list.setAttribute("aria-label", caption);
  sync(list, lines, line => line.key ?? line.name, () => make("li", {},
    make("span", { className: "name" }), make("small"), make("b"), make("i", { "aria-hidden": "true" })),
  (item, line) => {
    const [name, about, value, bar] = item.children;
    write(name, line.name);
    write(about, line.about ?? "");
    write(value, line.value);
    bar.style.width = `${Math.round((line.share ?? 0) * 100)}%`;
    bar.hidden = line.share === undefined;
    mark(item, "tone", line.tone ?? "");
  });
}

function grouping(samples, key) {
  const sums = new Map();
  for (const sample of samples ?? []) {
    if (sample.value > 0) sums.set(key(sample), (sums.get(key(sample)) ?? 0) + sample.value);
  }
  return Array.from(sums).sort((a, b) => b[1] - a[1]);
}

function counted(place, samples, key, nothing, caption, describe) {
  const sums = grouping(samples, key), most = sums[0]?.[1] ?? 1;
  table(byId(place), sums.slice(0, 12).map(([name, count]) => ({
    key: name, value: grouped(count), share: count / most, ...describe(name),
  })), nothing, caption);
}

export function showPanels({ status, metrics }, samples) {
  counted("refusals", metrics.gateway_handshakes_rejected, sample => sample.reason, "Nobody was refused.",
    "Refused requests by reason", name => ({ name }));
  counted("closes", metrics.gateway_connections_closed, sample => `${sample.code} ${sample.initiator}`,
    "No connection has ended.", "Closed connections by code and by who closed", name => {
      const [code, initiator] = name.split(" ");
      return { name: `${code} ${closeNames[code] ?? ""}`, about: `by ${initiator}` };
    });
  showLatency(samples);
  showResources(status, metrics);
  showCertificates(status);
  table(byId("listeners"), status.listeners.map(address => ({ name: address, value: "" })), "It listens nowhere.", "Listeners");
}

function showLatency(samples) {
  const rows = Array.from(samples.callbacks).filter(([, each]) => each.seen > 0).sort((a, b) => b[1].p99 - a[1].p99);
  const most = Math.max(...rows.map(([, each]) => each.p99));
  table(byId("latency"), rows.map(([name, each]) => ({
    name, about: `median ${latency(each.p50)}, longest ${latency(each.most)}, ${compact(each.seen)} looked at`,
    value: latency(each.p99), share: each.p99 / most, tone: each.p99 > 0.1 ? "bad" : "",
  })), "No callback has run lately.", "Callbacks: 99 of 100 took no longer");
}

function showResources(status, metrics) {
  const value = name => (metrics[name] ?? []).reduce((sum, sample) => sum + sample.value, 0);
  const lines = [{
    name: "Memory of the process", value: bytes(value("process_resident_memory_bytes")),
    about: `${grouped(value("process_threads"))} threads`,
  }];
  const { memory } = status.process;
  if (memory) {
    lines.push({
      name: "Buffers of connections", value: bytes(memory.held), share: memory.held / memory.max,
      about: `of ${bytes(memory.max)}; ${grouped(memory.refused)} refused, ${grouped(memory.shed)} shed`,
      tone: memory.held > 0.9 * memory.max ? "bad" : "",
    });
  }
  lines.push({ name: "Waiting for slow peers", value: bytes(value("gateway_send_queue_bytes")) });
  const slow = slowConsumers(status);
  if (slow) lines.push({ name: "Slow peers since the start", value: grouped(slow.closed), about: slow.about });
  const open = value("process_open_fds"), limit = value("process_max_fds");
  lines.push({
    name: "Descriptors", value: grouped(open), share: limit ? open / limit : undefined,
    about: limit ? `of ${grouped(limit)}` : "", tone: limit && open > 0.9 * limit ? "bad" : "",
  });
  const stuck = new Map((metrics.gateway_worker_unresponsive_seconds ?? []).map(each => [each.worker, each.value]));
  const most = Math.max(1, ...status.process.worker_connections);
  status.process.worker_connections.forEach((count, index) => {
    const seconds = stuck.get(String(index)) ?? 0, isStuck = seconds > 1;
    lines.push({
      key: `worker ${index}`, name: `Worker ${index}`, value: grouped(count), share: count / most,
      about: isStuck ? `blocked for ${latency(seconds)} by a callback` : "peers", tone: isStuck ? "bad" : "",
    });
  });
  table(byId("resources"), lines, "", "Memory and workers");
}

// What `slow_consumer` and `write_timeout` did on all routes; nothing where they never had to.
function slowConsumers(status) {
  const sum = count => [status.process, ...status.routes].reduce((all, each) => all + count(each), 0);
  const closed = sum(each => each.slow_consumer.close + each.write_timeouts);
  const dropped = sum(each => each.slow_consumer.drop_new + each.slow_consumer.drop_old);
  const paused = sum(each => each.slow_consumer.pause_reads);
  if (closed + dropped + paused === 0) return null;
  return { closed, about: `closed; ${grouped(dropped)} messages dropped, ${grouped(paused)} pauses of reading` };
}

function showCertificates(status) {
  const now = new Date(status.process.reported_at);
  table(byId("certificates"), status.certificates.map(each => {
    const end = new Date(each.expires_at), left = end - now, days = left / 86400000;
    return {
      key: each.file + each.listeners, name: each.certificate, tone: days < 3 ? "bad" : days < 14 ? "warn" : "",
      value: left <= 0 ? "expired" : `${age(left)} left`,
      about: `until ${day(end)}, ${each.file.split("/").pop()}, ${each.listeners.join(" ")}`,
    };
  }), "No listener speaks TLS.", "Certificates");
}
