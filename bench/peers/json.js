// json.js FILE: MB/s of JSON.stringify and JSON.parse, by processor time
const text = require("fs").readFileSync(process.argv[2], "utf8");
const value = JSON.parse(text);

function seconds(f, n) {
  const start = process.cpuUsage();
  for (let i = 0; i < n; i++) f();
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1e6;
}

function speed(f) {
  let n = 1, best = Infinity;
  while (seconds(f, n) < 0.02) n *= 2;
  for (let i = 0; i < 9; i++) best = Math.min(best, seconds(f, n) / n);
  return Buffer.byteLength(text) / best / 1e6;
}

console.log(speed(() => JSON.stringify(value)).toFixed(1), speed(() => JSON.parse(text)).toFixed(1));
