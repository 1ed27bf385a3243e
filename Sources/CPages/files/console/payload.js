// Payloads as people read them: text, folded JSON, hex.
import { make } from "./dom.js";

export const shownBytes = 2048;
const longestJSON = 256 * 1024, foldedBelow = 2, mostMembers = 200;

export const byteCount = n => `${n.toLocaleString("en")} byte${n === 1 ? "" : "s"}`;
export const utf8Length = text => new TextEncoder().encode(text).length;
export const lengthOf = payload => typeof payload === "string" ? utf8Length(payload) : payload.length;
const equalBytes = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
export const same = (a, b) => typeof a === "string" || typeof b === "string" ? a === b : equalBytes(a, b);

export function hexDump(bytes, most = shownBytes / 4) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16));
    const ascii = row.map(byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·").join("");
    lines.push(row.map(byte => byte.toString(16).padStart(2, "0")).join(" ").padEnd(49) + ascii);
  }
  return lines.join("\n") + (bytes.length > most ? "\n…" : "");
}

export function parseHex(text) {
  const digits = text.replace(/0x/gi, "").replace(/[\s,:;_-]/g, "");
  if (/[^0-9a-f]/i.test(digits)) throw new Error("hex is 0-9 and a-f; spaces may stand between bytes");
  if (digits.length % 2) throw new Error("hex needs two digits for each byte");
  return Uint8Array.from(digits.match(/../g) || [], pair => parseInt(pair, 16));
}

export const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");

// The value of a text that is an object or an array in JSON; undefined for all others.
export function parseJSON(text) {
  if (typeof text !== "string" || text.length > longestJSON || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// A tree whose branches fold. What is deep is made when it is opened.
export function tree(value, name, depth = 0) {
  const label = name === undefined ? [] : [make("span", { className: "key" }, `${name}: `)];
  if (value === null || typeof value !== "object") {
    return make("div", { className: "leaf" }, ...label,
      make("span", { className: value === null ? "null" : typeof value }, JSON.stringify(value)));
  }
  const isList = Array.isArray(value), members = isList ? value.map((each, index) => [index, each]) : Object.entries(value);
  if (members.length === 0) return make("div", { className: "leaf" }, ...label, isList ? "[]" : "{}");
  const count = isList ? `[ ${members.length} ]` : `{ ${members.map(([key]) => key).join(", ").slice(0, 60)} }`;
  const branch = make("details", {}, make("summary", {}, ...label, make("span", { className: "count" }, count)));
  const fill = () => {
    if (!branch.open || branch.childElementCount > 1) return;
    branch.append(...members.slice(0, mostMembers).map(([key, each]) => tree(each, key, depth + 1)));
    if (members.length > mostMembers) branch.append(make("div", { className: "leaf" }, `… ${members.length - mostMembers} more`));
  };
  branch.addEventListener("toggle", fill);
  branch.open = depth < foldedBelow;
  fill();
  return branch;
}

export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without TLS, and not from this machine, pages have no clipboard.
  const area = make("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (!isCopied) throw new Error("this browser lets pages copy over https only");
}
