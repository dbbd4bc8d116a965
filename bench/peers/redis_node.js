// bench/redis.lua's client in node, with npm's ioredis or redis: WHICH URL COUNT.
const [which, url, text] = process.argv.slice(2);
const count = Number(text);

async function measure(name, n, f) {
  const cpu = process.cpuUsage(), began = process.hrtime.bigint();
  await f(n);
  const used = process.cpuUsage(cpu);
  console.log([name, n / (Number(process.hrtime.bigint() - began) / 1e9), (used.user + used.system) / n].join("\t"));
}

async function main() {
  let client;
  if (which === "ioredis") {
    client = new (require("ioredis"))(url);
  } else {
    client = require("redis").createClient({ url });
    await client.connect();
  }
  await client.set("bench", "x".repeat(64));
  await measure("single", Math.floor(count / 10), async (n) => {
    for (let i = 0; i < n; i++) await client.get("bench");
  });
  await measure("together", count, (n) => Promise.all(Array.from({ length: 50 }, async () => {
    for (let i = 0; i < Math.floor(n / 50); i++) await client.get("bench");
  })));
  await measure("pipeline", count, async (n) => {
    for (let i = 0; i < Math.floor(n / 100); i++) {
      const batch = which === "ioredis" ? client.pipeline() : client.multi();
      for (let j = 0; j < 100; j++) batch.get("bench");
      await (which === "ioredis" ? batch.exec() : batch.execAsPipeline());
    }
  });
  await client.quit();
}

main();
