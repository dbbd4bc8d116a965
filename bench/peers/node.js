// node MODE ENDPOINT [UPSTREAM]
const fs = require("fs");
const net = require("net");
const tls = require("tls");
const [mode, endpoint, upstream] = process.argv.slice(2);
const port = (e) => Number(e.split(":").pop());

const handlers = {
  echo: (s) => s.on("data", (data) => s.write(data)),
  lines: (s) => {
    let rest = "";
    s.setEncoding("latin1");
    s.on("data", (data) => {
      const parts = (rest + data).split("\n");
      rest = parts.pop();
      s.cork();
      for (const line of parts) s.write(line + "\n", "latin1");
      s.uncork();
    });
  },
  relay: (s) => {
    const other = net.connect(port(upstream), "127.0.0.1");
    other.setNoDelay(true);
    s.pipe(other).pipe(s);
    other.on("error", () => s.destroy());
  },
};

handlers.tls = handlers.files = handlers.echo;

const read = () =>
  fs.readFile(upstream, (err) => {
    if (err) throw err;
    setTimeout(read, 100);
  });
if (mode === "files") for (let i = 0; i < 8; i++) read();

const serve = (s) => {
  s.setNoDelay(true);
  s.on("error", () => {});
  handlers[mode](s);
};
const server =
  mode === "tls"
    ? tls.createServer({ cert: fs.readFileSync(process.env.TLS_CERT), key: fs.readFileSync(process.env.TLS_KEY) }, serve)
    : net.createServer(serve);
const path = endpoint.startsWith("unix:") && endpoint.slice(5);
server.listen(path ? { path, backlog: 4096 } : { port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  console.log(path ? endpoint : "tcp://127.0.0.1:" + server.address().port)
);
