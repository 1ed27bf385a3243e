// Buttons that change something: each says what will happen, and then what has.
import { byId, write } from "./dom.js";
import { call } from "./session.js";
import { plural } from "./format.js";

// Asks in a dialog, does it, and shows what `gateway` itself would print.
function ask({ title, text, button, isDangerous = false, path, name }) {
  const [dialog, yes, no, outcome] = ["confirm", "confirmYes", "confirmNo", "confirmOutcome"].map(byId);
  write(byId("confirmTitle"), title);
  write(byId("confirmText"), text);
  write(yes, button);
  write(no, "Cancel");
  yes.className = isDangerous ? "danger primary" : "primary";
  yes.hidden = yes.disabled = false;
  outcome.hidden = true;
  no.onclick = () => dialog.close();
  yes.onclick = async () => {
    yes.disabled = true;
    write(yes, "Under way…");
    const said = await perform(path, name);
    yes.hidden = true;
    write(no, "Close");
    write(byId("confirmTitle"), said.accepted ? `${title.replace("?", "")}: done` : `${title.replace("?", "")}: refused`);
    write(outcome, said.outcome.trim());
    outcome.dataset.tone = said.accepted ? "good" : "bad";
    outcome.hidden = false;
    no.focus();
  };
  dialog.showModal();
}

async function perform(path, name) {
  try {
    const answer = await call(path, name);
    if (answer.headers.get("content-type")?.includes("json")) return await answer.json();
    return { accepted: false, outcome: `${answer.status}: ${await answer.text()}` };
  } catch (error) {
    return { accepted: false, outcome: `the gateway does not answer: ${error.message}` };
  }
}

const query = handler => `?handler=${encodeURIComponent(handler)}`;

export const actions = {
  reloadAll: () => ask({
    title: "Reload everything?", button: "Reload", path: "reload", name: "reload",
    text: "gateway.conf is read again, and handlers whose files have changed are replaced. What is wrong is refused, and"
      + " what serves now goes on. Connections stay wherever a handler can hand them over.",
  }),
  reload: handler => ask({
    title: `Reload ${handler}?`, button: "Reload", path: `reload${query(handler)}`, name: "reload",
    text: `The file of ${handler} is tried in a process of its own and then takes over. If it is no good, it is refused`
      + " and the present generation serves on.",
  }),
  rollback: handler => ask({
    title: `Roll ${handler} back?`, button: "Roll back", path: `rollback${query(handler)}`, name: "rollback",
    text: "The build that served before becomes current again, and the file is not loaded until it changes.",
  }),
  drain: connections => ask({
    title: "Drain the gateway?", button: "Drain and end", isDangerous: true, path: "drain", name: "drain",
    text: `New connections are refused from now on, ${plural(connections, "connection")} may stay for drain_timeout, and`
      + " then the process ends. This cannot be undone from here.",
  }),
};
