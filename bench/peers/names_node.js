// usage: node names_node.js resolve|lookup LOOKUPS AT-ONCE
const dns = require('dns').promises;

const [how, lookups, atOnce] = [process.argv[2], +process.argv[3], +process.argv[4]];
let next = 0;

const asks = {
  resolve: (name) => Promise.all([dns.resolve4(name), dns.resolve6(name)]).then((all) => all.flat()),
  lookup: (name) => dns.lookup(name, {all: true}),
};

async function work() {
  while (next < lookups) {
    const found = await asks[how](`n${++next}.test`);
    if (found.length !== 2) throw new Error(`${found.length} addresses`);
  }
}

const began = process.hrtime.bigint(), computed = process.cpuUsage();
Promise.all(Array.from({length: atOnce}, work)).then(() => {
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const used = process.cpuUsage(computed);
  console.log(lookups / seconds, (used.user + used.system) / lookups);
});
