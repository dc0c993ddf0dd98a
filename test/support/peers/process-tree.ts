// What a process and all its descendants use, by Linux's /proc.
import { readFileSync, readdirSync } from 'node:fs';

/** One process at one moment. */
export interface ProcessUse {
  readonly pid: number;
  /** The name of the program file behind it, or of its script where it is an interpreter. */
  readonly name: string;
  /** Processor time of it and of the children it has waited for, s; the kernel counts in 10 ms. */
  readonly cpuS: number;
  /** Proportional share of memory, bytes; null where /proc does not say. */
  readonly pssBytes: number | null;
  readonly rssBytes: number;
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100;

/** The process and its descendants; empty when it is gone. `hasMemory` also reads memory, which takes milliseconds. */
export function readTree(pid: number, hasMemory = false): ProcessUse[] {
  const children = new Map<number, number[]>();
  const cpu = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = read(`/proc/${entry}/stat`);
    // The name in brackets may hold anything, brackets too.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields === undefined) continue;
    const parent = Number(fields[1]);
    cpu.set(Number(entry), fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_S);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const tree: ProcessUse[] = [];
  const visit = (at: number): void => {
    const cpuS = cpu.get(at);
    if (cpuS === undefined) return;
    tree.push({ pid: at, name: toName(at), cpuS, ...(hasMemory ? readMemory(at) : { pssBytes: null, rssBytes: 0 }) });
    for (const child of children.get(at) ?? []) visit(child);
  };
  visit(pid);
  return tree;
}

/** Processor time of the whole tree, s. Throws when the process is gone: a difference against nothing would lie. */
export function readCpuS(pid: number): number {
  const tree = readTree(pid);
  if (tree.length === 0) throw new Error(`process ${pid} is gone`);
  return tree.reduce((sum, { cpuS }) => sum + cpuS, 0);
}

function readMemory(pid: number): { pssBytes: number | null; rssBytes: number } {
  const find = (text: string | null, key: string): number | null => {
    const match = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text ?? '');
    return match === null ? null : Number(match[1]) * 1024;
  };
  return {
    pssBytes: find(read(`/proc/${pid}/smaps_rollup`), 'Pss'),
    rssBytes: find(read(`/proc/${pid}/status`), 'VmRSS') ?? 0,
  };
}

function toName(pid: number): string {
  const words = (read(`/proc/${pid}/cmdline`) ?? '').split('\0').filter((word) => word !== '' && !word.startsWith('-'));
  const script = words.slice(1).find((word) => /\.(?:m?js|ts)$/.test(word));
  return (script ?? words[0] ?? '').split('/').at(-1) ?? '';
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended while we looked, or is not ours to read.
    return null;
  }
}
