// Rates and latencies, made of the counters of one second and the next.

export const kept = 300;
const latencyWindow = 30;

const total = samples => (samples ?? []).reduce((sum, sample) => sum + (sample.value ?? 0), 0);

const labels = ({ value, count, sum, bounds, counts, ...others }) => JSON.stringify(others);

// What was counted since another reading, series by series: one that has left is no negative growth of the others.
function since(samples, before) {
  const earlier = new Map((before ?? []).map(sample => [labels(sample), sample]));
  return (samples ?? []).map(sample => {
    const old = earlier.get(labels(sample));
    return !old ? sample : sample.counts
      ? { ...sample, counts: sample.counts.map((count, index) => Math.max(0, count - old.counts[index])) }
      : { ...sample, value: Math.max(0, sample.value - old.value) };
  });
}

// The counts of all histograms of a list, bucket by bucket; nil where there is none.
function merged(samples) {
  let counts = null, bounds = null;
  for (const sample of samples ?? []) {
    bounds ??= sample.bounds;
    counts ??= sample.counts.map(() => 0);
    sample.counts.forEach((count, index) => { counts[index] += count; });
  }
  return counts && { counts, bounds };
}

// The value below which a share of what was counted lies; nil where nothing was.
function quantile(counted, share) {
  const all = counted?.counts.reduce((sum, count) => sum + count, 0) ?? 0;
  if (all === 0) return null;
  const { counts, bounds } = counted;
  let below = 0;
  for (let index = 0; index < counts.length; index += 1) {
    if (below + counts[index] >= share * all) {
      const low = index === 0 ? 0 : bounds[index - 1], high = bounds[index] ?? bounds.at(-1);
      return low + (high - low) * (share * all - below) / counts[index];
    }
    below += counts[index];
  }
  return bounds.at(-1);
}

// Everything that is remembered: `points`, one for each second, the oldest first.
export class Samples {
  points = [];
  callbacks = new Map();
  routes = new Map();
  #last = null;
  #histograms = [];

  // Another process counts from nothing.
  reset() {
    this.#last = null;
    this.#histograms = [];
    if (this.points.length) this.points.push({ at: Date.now(), isGap: true });
  }

  add(snapshot) {
    const { metrics, status } = snapshot, at = status.process.uptime_ms / 1000;
    // Two come within a moment when there is news: too short a time for rates.
    if (this.#last && at - this.#last.at < 0.5) {
      this.points.at(-1).connections = status.process.connections;
      return;
    }
    const callbacks = this.#recentCallbacks(at, metrics.gateway_callback_duration_seconds ?? []);
    this.callbacks = this.#latencies(callbacks, sample => sample.callback);
    this.routes = this.#rates(at, metrics, this.#latencies(callbacks, sample => sample.route));
    const rate = name => this.#rate(at, total(this.#grown(metrics, name)));
    this.points.push({
      at: Date.now(), connections: status.process.connections,
      received: rate("gateway_messages_received"), sent: rate("gateway_messages_sent"),
      bytesIn: rate("gateway_received_bytes"), bytesOut: rate("gateway_sent_bytes"),
      refused: rate("gateway_handshakes_rejected"), cpu: rate("process_cpu_seconds"),
      p99: quantile(merged(callbacks), 0.99), memory: total(metrics.process_resident_memory_bytes),
    });
    if (this.points.length > kept) this.points.splice(0, this.points.length - kept);
    this.#last = { at, metrics };
  }

  #grown(metrics, name) { return since(metrics[name], this.#last?.metrics[name]); }

  // A second of what grew by so much since the last reading; nil where there was none.
  #rate(at, growth) { return this.#last ? growth / (at - this.#last.at) : null; }

  // What the window has seen.
  #recentCallbacks(at, samples) {
    this.#histograms.push({ at, samples });
    while (this.#histograms.length > 1 && at - this.#histograms[1].at >= latencyWindow) this.#histograms.shift();
    return this.#histograms.length > 1 ? since(samples, this.#histograms[0].samples) : samples;
  }

  #rates(at, metrics, latencies) {
    const routes = new Map();
    for (const name of ["received", "sent"]) {
      for (const sample of this.#grown(metrics, `gateway_messages_${name}`)) {
        const route = routes.get(sample.route) ?? { received: null, sent: null, p99: latencies.get(sample.route)?.p99 ?? null };
        const rate = this.#rate(at, sample.value);
        if (rate !== null) route[name] = (route[name] ?? 0) + rate;
        routes.set(sample.route, route);
      }
    }
    return routes;
  }

  // Quantiles, and how many were looked at, by what `name` says of a sample.
  #latencies(samples, name) {
    const result = new Map();
    for (const key of new Set(samples.map(name))) {
      const counted = merged(samples.filter(sample => name(sample) === key));
      result.set(key, {
        seen: counted.counts.reduce((sum, count) => sum + count, 0), p50: quantile(counted, 0.5),
        p99: quantile(counted, 0.99), most: quantile(counted, 1),
      });
    }
    return result;
  }
}
