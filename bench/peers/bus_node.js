// bench/bus.lua's client in node, with npm's nats: URL COUNT.
const { connect } = require("nats");

async function measure(name, count, f) {
  const cpu = process.cpuUsage(), began = process.hrtime.bigint();
  await f();
  const used = process.cpuUsage(cpu);
  console.log([name, count / (Number(process.hrtime.bigint() - began) / 1e9),
    (used.user + used.system) / count].join("\t"));
}

async function main() {
  const servers = process.argv[2], data = new Uint8Array(64).fill(120);
  let count = Number(process.argv[3]);
  const publisher = await connect({ servers }), subscriber = await connect({ servers });
  const sub = subscriber.subscribe("bench.one", { max: count });
  await subscriber.flush();
  await measure("messages", count, async () => {
    const reader = (async () => { for await (const _ of sub); })();
    for (let i = 0; i < count; i++) {
      publisher.publish("bench.one", data);
      if (i % 1000 === 999) await publisher.flush(); // it has no backpressure of its own
    }
    await reader;
  });
  count = Math.floor(count / 10);
  const questions = subscriber.subscribe("bench.ask");
  (async () => { for await (const m of questions) m.respond(m.data); })();
  await subscriber.flush();
  await measure("requests", count, () => Promise.all(Array.from({ length: 32 }, async () => {
    for (let i = 0; i < Math.floor(count / 32); i++) await publisher.request("bench.ask", data, { timeout: 20000 });
  })));
  await publisher.close();
  await subscriber.close();
}

main();
