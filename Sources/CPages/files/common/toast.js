// Short news in a corner. They are also read out, and stay while the focus is on them.
import { byId, glyph, make } from "./dom.js";

const shownAtMost = 4;

export function toast(title, text = "", { tone = "info", seconds = 7 } = {}) {
  const area = byId("toasts");
  const close = make("button", { type: "button", className: "quiet icon small", "aria-label": "Dismiss" }, glyph("close"));
  const item = make("div", { className: "toast", dataset: { tone } }, make("strong", {}, title), close);
  if (text) item.append(make("p", {}, text));
  let timer;
  const leave = () => item.remove();
  const wait = () => { timer = setTimeout(leave, seconds * 1000); };
  close.addEventListener("click", leave);
  item.addEventListener("focusin", () => clearTimeout(timer));
  item.addEventListener("focusout", wait);
  wait();
  area.append(item);
  while (area.childElementCount > shownAtMost) area.firstElementChild.remove();
  return item;
}
