// Loaded into every process of an agent under test: the mind takes 100 MB a second and gives nothing back.
if (process.argv[1]?.endsWith('mind.ts') === true) {
  const taken: Buffer[] = [];
  setInterval(() => taken.push(Buffer.alloc(10 << 20, 1)), 100);
}
