// node http ENDPOINT
const fs = require("fs");
const http = require("http");

const text = { text: "x".repeat(1012) };
const large = process.env.BUILD + "/large";
const file = Buffer.alloc(100 * 1024, "x");

const send = (res, type, body) => {
  res.writeHead(200, { "content-type": type, "content-length": Buffer.byteLength(body) });
  res.end(body);
};

const server = http.createServer((req, res) => {
  if (req.url === "/") return send(res, "text/plain; charset=utf-8", "hello\n");
  if (req.url === "/json") return send(res, "application/json", JSON.stringify(text) + "\n");
  if (req.url === "/file") return send(res, "application/octet-stream", file);
  if (req.url === "/large") {
    res.writeHead(200, { "content-length": fs.statSync(large).size });
    return fs.createReadStream(large).pipe(res);
  }
  let count = 0;
  req.on("data", (chunk) => (count += chunk.length));
  req.on("end", () => send(res, "text/plain; charset=utf-8", count + "\n"));
});
try {
  const { WebSocketServer } = require("ws"); // Debian: node-ws
  new WebSocketServer({ server, path: "/ws" }).on("connection", (ws) =>
    ws.on("message", (data, binary) => ws.send(data, { binary }))
  );
} catch (_) {}
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  console.log("tcp://127.0.0.1:" + server.address().port)
);
