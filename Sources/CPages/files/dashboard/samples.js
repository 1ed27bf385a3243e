// Rates and latencies, made of the counters of one second and the next.

export const kept = 300;
const latencyWindow = 30;

const total = (samples, accepts = () => true) =>
  (samples ?? []).reduce((sum, sample) => accepts(sample) ? sum + (sample.value ?? 0) : sum, 0);

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

// The value below which a share of what was counted between two readings lies; nil where nothing was.
export function quantile(now, before, share) {
  if (!now) return null;
  const counts = now.counts.map((count, index) => Math.max(0, count - (before?.counts[index] ?? 0)));
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (let index = 0; index < counts.length; index += 1) {
    if (below + counts[index] >= share * all) {
      const low = index === 0 ? 0 : now.bounds[index - 1], high = now.bounds[index] ?? now.bounds.at(-1);
      return low + (high - low) * (share * all - below) / counts[index];
    }
    below += counts[index];
  }
  return now.bounds.at(-1);
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
    const { metrics, status } = snapshot;
    // Two come within a moment when there is news: too short a time for rates.
    if (this.#last && status.process.uptime_ms / 1000 - this.#last.at < 0.5) {
      this.points.at(-1).connections = status.process.connections;
      return;
    }
    const reading = {
      at: status.process.uptime_ms / 1000,
      received: total(metrics.gateway_messages_received), sent: total(metrics.gateway_messages_sent),
      bytesIn: total(metrics.gateway_received_bytes), bytesOut: total(metrics.gateway_sent_bytes),
      refused: total(metrics.gateway_handshakes_rejected), cpu: total(metrics.process_cpu_seconds),
      routes: this.#byRoute(metrics),
    };
    const callbacks = metrics.gateway_callback_duration_seconds ?? [];
    this.#histograms.push({ at: reading.at, samples: callbacks });
    while (this.#histograms.length > 1 && reading.at - this.#histograms[1].at >= latencyWindow) this.#histograms.shift();
    const before = this.#histograms[0] === this.#histograms.at(-1) ? [] : this.#histograms[0].samples;
    this.callbacks = this.#latencies(callbacks, before, sample => sample.callback);
    this.routes = this.#rates(reading, this.#latencies(callbacks, before, sample => sample.route));
    const seconds = this.#last ? reading.at - this.#last.at : 0;
    const rate = name => seconds > 0 ? Math.max(0, reading[name] - this.#last[name]) / seconds : null;
    this.points.push({
      at: Date.now(), connections: status.process.connections, received: rate("received"), sent: rate("sent"),
      bytesIn: rate("bytesIn"), bytesOut: rate("bytesOut"), refused: rate("refused"), cpu: rate("cpu"),
      p99: quantile(merged(callbacks), merged(before), 0.99), memory: total(metrics.process_resident_memory_bytes),
    });
    if (this.points.length > kept) this.points.splice(0, this.points.length - kept);
    this.#last = reading;
  }

  #byRoute(metrics) {
    const routes = new Map();
    for (const name of ["received", "sent"]) {
      for (const sample of metrics[`gateway_messages_${name}`] ?? []) {
        const counts = routes.get(sample.route) ?? { received: 0, sent: 0 };
        counts[name] += sample.value;
        routes.set(sample.route, counts);
      }
    }
    return routes;
  }

  #rates(reading, latencies) {
    const seconds = this.#last ? reading.at - this.#last.at : 0;
    const rates = new Map();
    for (const [route, counts] of reading.routes) {
      const before = this.#last?.routes.get(route);
      const rate = name => seconds > 0 ? Math.max(0, counts[name] - (before?.[name] ?? 0)) / seconds : null;
      rates.set(route, { received: rate("received"), sent: rate("sent"), p99: latencies.get(route)?.p99 ?? null });
    }
    return rates;
  }

  // Quantiles of the window, and how many were looked at, by what `name` says of a sample.
  #latencies(now, before, name) {
    const result = new Map();
    for (const key of new Set(now.map(name))) {
      const of = samples => merged(samples.filter(sample => name(sample) === key));
      const [counts, earlier] = [of(now), of(before)];
      const seen = counts.counts.reduce((sum, count, index) => sum + count - (earlier?.counts[index] ?? 0), 0);
      result.set(key, {
        seen, p50: quantile(counts, earlier, 0.5), p99: quantile(counts, earlier, 0.99),
        most: quantile(counts, earlier, 1),
      });
    }
    return result;
  }
}
