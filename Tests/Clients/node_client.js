// Says each line of its input to a WebSocket over TLS and prints what it hears. Frames are its own, since the Node of
// Debian 12 has no WebSocket yet; TLS is Node's.
"use strict";
const crypto = require("node:crypto");
const https = require("node:https");
const readline = require("node:readline");

function frame(opcode, payload) {
  const mask = crypto.randomBytes(4);
  const masked = payload.map((octet, index) => octet ^ mask[index % 4]);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
}

const request = https.get(process.argv[2].replace(/^wss/, "https"), {
  family: 4,
  headers: {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": crypto.randomBytes(16).toString("base64"),
  },
});
request.on("error", error => {
  console.log(error.code);
  process.exit(1);
});
request.on("response", answer => {
  console.log(answer.statusCode);
  process.exit(1);
});
request.on("upgrade", (answer, socket, head) => {
  let heard = head;
  function take() {
    while (heard.length >= 2 && heard.length >= 2 + heard[1]) {
      const opcode = heard[0] & 15, payload = heard.subarray(2, 2 + heard[1]);
      heard = heard.subarray(2 + heard[1]);
      if (opcode === 1) console.log(payload.toString());
      if (opcode === 9) socket.write(frame(10, payload));
      if (opcode === 8) socket.end();
    }
  }
  socket.on("data", more => {
    heard = Buffer.concat([heard, more]);
    take();
  });
  socket.on("end", () => process.exit(0));
  console.log("open");
  take();
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", line => socket.write(frame(1, Buffer.from(line))));
  lines.on("close", () => socket.write(frame(8, Buffer.from([3, 232]))));
});
