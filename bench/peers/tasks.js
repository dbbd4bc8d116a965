// tasks [COUNT]: async functions
const count = Number(process.argv[2] || 200000);
const now = () => Number(process.hrtime.bigint());
(async () => {
  let start = now();
  for (let i = 0; i < count / 1000; i++) {
    const all = [];
    for (let j = 0; j < 1000; j++) all.push((async () => { await null; })());
    await Promise.all(all);
  }
  const spawn = (now() - start) / count;
  start = now();
  const yielding = async () => { for (let i = 0; i < count; i++) await null; };
  await Promise.all([yielding(), yielding()]);
  console.log(spawn.toFixed(1), ((now() - start) / count / 2).toFixed(1));
})();
