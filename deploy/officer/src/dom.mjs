// Small ways to make and keep elements. Text is only ever set as text.

/** An element; `on*` properties are listeners, the others attributes (true: present, null: absent). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make `parent` hold exactly `nodes`, moving only what must move, so that focus stays. */
export function arrange(parent, nodes) {
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}

/** A label above its field. */
export function field(label, input) {
  return h("label", {}, h("span", {}, label), input);
}

/**
 * A form that runs `submit(values)` once at a time and shows what went wrong.
 * `explain` turns a thrown error into words.
 */
export function form(submit, explain, ...children) {
  const alert = h("p", { role: "alert", class: "fault", dir: "auto" });
  const body = h("fieldset", {}, children);
  const onsubmit = async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(element));
    alert.textContent = "";
    body.disabled = true;
    element.setAttribute("aria-busy", "true");
    try {
      await submit(values);
    } catch (error) {
      alert.textContent = explain(error);
    } finally {
      body.disabled = false;
      element.removeAttribute("aria-busy");
    }
  };
  const element = h("form", { onsubmit }, body, alert);
  return element;
}
