// Signing in and out. The token is shown once; what stays is a cookie that no script reads.
import { byId, write } from "./dom.js";

// What changes something has a header that no form of another page can have.
export const call = (path, name, options = {}) => fetch(`/api/${path}`, {
  method: "POST", cache: "no-store", ...options, headers: { "X-Gateway-Action": name, ...options.headers },
});

export class SignIn {
  // `done` is called when somebody has signed in.
  constructor(done) {
    byId("signIn").addEventListener("submit", async event => {
      event.preventDefault();
      const button = byId("signIn").querySelector("button");
      button.disabled = true;
      write(byId("signInError"), await this.#try(byId("token").value.trim()));
      button.disabled = false;
      if (byId("signInError").textContent) return byId("token").select();
      byId("token").value = "";
      byId("signIn").hidden = true;
      done();
    });
  }

  ask() {
    byId("signIn").hidden = false;
    byId("token").focus();
  }

  // Answers what went wrong; nothing when it worked.
  async #try(token) {
    let answer;
    try {
      answer = await call("session", "session", { headers: { Authorization: `Bearer ${token}` } });
    } catch (error) {
      return error instanceof TypeError && navigator.onLine ? "A token is one word of ASCII, and the gateway has to answer."
        : "The gateway does not answer.";
    }
    if (answer.ok) return "";
    return answer.status === 401 ? "This is not the token." : (await answer.text()).trim();
  }
}

export const signOut = () => call("session", "session", { method: "DELETE" });
