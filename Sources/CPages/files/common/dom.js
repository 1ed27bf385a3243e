// The page as objects. What others say goes in as text, so it is never markup.

export const byId = id => document.getElementById(id);

// An element with properties, and attributes where there is no property: make("td", { className: "number" }, "12").
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// The same for shapes.
export function shape(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A drawing beside a word, or instead of one that is said by a label.
const drawings = {
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v7H6zM10 3H3v7",
  save: "M4 2.5h8v11l-4-3-4 3z",
  send: "M2.5 8h10M8.5 4l4 4-4 4",
  plus: "M8 3v10M3 8h10",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
};
export const glyph = name => shape(
  "svg", { class: "glyph", viewBox: "0 0 16 16", "aria-hidden": "true" }, shape("path", { d: drawings[name] }));

// Writes a text only where it differs: a reader's selection, and what assistive technology has read, stay.
export function write(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function mark(element, name, value) {
  if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

// Makes the children of a list those of `items`, in their order, and leaves alone what stays: focus and open details
// survive the next second.
export function sync(list, items, key, create, update) {
  const known = new Map(Array.from(list.children, child => [child.dataset.key, child]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
    update(child, item);
  }
  for (const child of known.values()) child.remove();
}

export const part = (element, role) => element.querySelector(`[data-part="${role}"]`);

export function fromTemplate(id) { return byId(id).content.firstElementChild.cloneNode(true); }
