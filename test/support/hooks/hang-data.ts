// Loaded into every process of an agent under test: the event loop of data stops for ever at SIGUSR2.
if (process.argv[1]?.endsWith('main.ts') === true) {
  process.on('SIGUSR2', () => {
    for (;;);
  });
}
