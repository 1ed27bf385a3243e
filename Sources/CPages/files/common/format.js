// Numbers as people read them.

export const plural = (count, word) => `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;

export const grouped = number => Math.round(number).toLocaleString("en");

// 950, 9.5k, 1.2M; what is not known is a dash.
export function compact(number, digits = 3) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const size = Math.abs(number);
  if (size >= 999.5e9) return scaled(number / 1e12, "T", digits);
  if (size >= 999.5e6) return scaled(number / 1e9, "G", digits);
  if (size >= 999.5e3) return scaled(number / 1e6, "M", digits);
  if (size >= 9999.5) return scaled(number / 1e3, "k", digits);
  if (size >= 100 || Number.isInteger(number)) return String(Math.round(number));
  return number.toFixed(size >= 10 ? 1 : 2).replace(/\.?0+$/, "");
}
const scaled = (number, unit, digits) => {
  const whole = Math.trunc(Math.abs(number)).toString().length;
  return number.toFixed(Math.max(0, digits - whole)) + unit;
};

export function bytes(count) {
  if (count === null || count === undefined || Number.isNaN(count)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = count, unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

// Of seconds: 1.2 µs, 340 µs, 12 ms, 1.2 s.
export function latency(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const micro = seconds * 1e6;
  if (micro < 1000) return `${micro < 10 ? micro.toFixed(1) : Math.round(micro)} µs`;
  if (micro < 1e6) return `${micro < 1e4 ? (micro / 1000).toFixed(1) : Math.round(micro / 1000)} ms`;
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

// Of milliseconds that people wait: 12 s, 4 min, 3 h, 5 d.
export function age(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60 ? `${seconds % 60} s` : ""}`.trim();
  if (seconds < 86400) {
    const minutes = Math.floor(seconds % 3600 / 60);
    return `${Math.floor(seconds / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  const hours = Math.floor(seconds % 86400 / 3600);
  return `${Math.floor(seconds / 86400)} d${hours ? ` ${hours} h` : ""}`;
}

const two = number => String(number).padStart(2, "0");

export const clock = date => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

export const preciseClock = date => `${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;

export function day(date) {
  return date.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}
