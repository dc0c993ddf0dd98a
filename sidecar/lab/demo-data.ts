// Where the measured data lies: beside the sources, or in the package beside dist/.
import { existsSync } from 'node:fs';

/** Published latency profiles of GPUs, as `parseProfiles` reads them. */
export function toProfilesFile(): URL {
  return toDataUrl('gpu-latency-profiles.csv');
}

/** Real arrivals of an LLM coding service, as `parseTrace` reads them. */
export function toArrivalsFile(): URL {
  return toDataUrl('arrivals-azure-llm-code-2023.csv');
}

function toDataUrl(name: string): URL {
  const beside = new URL(`data/${name}`, import.meta.url);
  // dist/sidecar/lab/demo-data.js: the compiler copies no data, the package has it where the sources have it.
  return existsSync(beside) ? beside : new URL(`../../../sidecar/lab/data/${name}`, import.meta.url);
}
