// The whole corpus of requests, written for this project over the classes of bugs known from HTTP servers and proxies.
import type { WireCase } from './case.ts';
import { chunkCases } from './chunks.ts';
import { codingCases } from './codings.ts';
import { headCases } from './heads.ts';
import { lengthCases } from './lengths.ts';
import { meaningCases } from './meaning.ts';

export function allCases(): WireCase[] {
  return [...lengthCases(), ...codingCases(), ...chunkCases(), ...headCases(), ...meaningCases()];
}
