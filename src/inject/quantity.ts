// Kubernetes quantities as numbers, for comparing; they are written as the user wrote them.

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** `256Mi` in bytes; NaN when it is none. */
export function toBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|)$/.exec(text);
  return match === null ? NaN : Number(match[1]) * (FACTORS[match[2] ?? ''] ?? NaN);
}

/** `250m` or `0.25` in thousandths of a core; NaN when it is none. */
export function toMillicores(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(m|)$/.exec(text);
  return match === null ? NaN : Number(match[1]) * (match[2] === 'm' ? 1 : 1000);
}
