// The input of the model `magika`: what a file's bytes look like to it, and a few of the labels it answers with.

const WINDOW = 1024;
const PADDING = 256;

/** Positions of labels in the model's 214 scores (model standard_v3_3 of the package magika 1.0.3). */
export const MAGIKA_LABELS = { html: 71, json: 87, markdown: 100, python: 143, shell: 161 } as const;

/** [2048] int32: the first 1024 bytes, padded behind, then the last 1024, padded in front; white space trimmed. */
export function toMagikaRow(content: string): number[] {
  const bytes = [...Buffer.from(content.trim())];
  const first = bytes.slice(0, WINDOW);
  const last = bytes.slice(-WINDOW);
  const padding = (length: number): number[] => Array<number>(WINDOW - length).fill(PADDING);
  return [...first, ...padding(first.length), ...padding(last.length), ...last];
}
