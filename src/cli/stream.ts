// Manifests in and out for the filters: from files or stdin to stdout, with what was done told on stderr.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { MorphlingError, formatIssue, toMessage } from '../core/errors.ts';
import { applyPatch } from '../core/json-patch.ts';
import type { FilterResult, Outcome } from '../inject/filter.ts';
import { toOneObject } from '../inject/filter.ts';
import type { Call, OptionSpec } from './command.ts';
import { toSafeText } from './output.ts';

/** `-f` and `-o` of a filter. */
export const STREAM_OPTIONS: Readonly<Record<'filename' | 'output', OptionSpec>> = {
  filename: { type: 'string', short: 'f', value: 'FILE', multiple: true, doc: 'YAML or JSON to read; - is stdin.' },
  output: {
    type: 'string',
    short: 'o',
    value: 'FORMAT',
    choices: ['yaml', 'json'],
    doc: 'How to print; else as it came. JSON is one document, a List where there are several objects.',
  },
};

/**
 * Reads every file, filters all objects together, prints them. Nothing is printed before everything is understood, so
 * a pipe into `kubectl apply` gets the whole stream or none of it.
 */
export async function runFilter(
  call: Call,
  filter: (objects: readonly unknown[]) => FilterResult,
): Promise<readonly Outcome[] | string> {
  const files = [...(call.lists['filename'] ?? []), ...call.positionals];
  if (files.length === 0) return 'nothing to read: name a file with -f, or - for stdin';
  const { parseStream, patchYaml, toYamlDocument } = await import('../config/yaml-stream.ts');
  const streams = [];
  for (const file of files) {
    const name = file === '-' ? 'stdin' : file;
    const stream = parseStream(await read(file), name);
    if (stream.kind === 'bad')
      throw new MorphlingError('BAD_REQUEST', stream.issues.map(formatIssue).join('\n'), { issues: stream.issues });
    streams.push(stream);
  }
  const documents = streams.flatMap((stream) => stream.documents);
  const { patches, outcomes } = filter(documents.map(({ value }) => value));
  const values = documents.map(({ value }, index) => applyPatch(value, patches[index] ?? []));
  const isJson = streams.every((stream) => stream.isJson);
  const format = call.texts['output'] ?? (isJson ? 'json' : 'yaml');
  if (format === 'json') call.output.write(`${JSON.stringify(toOneObject(values), null, 2)}\n`);
  else {
    const parts = streams.flatMap((stream) =>
      stream.documents.map((document) => {
        const index = documents.indexOf(document);
        const patch = patches[index] ?? [];
        if (stream.isJson) return toYamlDocument(values[index]);
        return patch.length === 0 ? document.source : patchYaml(document, patch);
      }),
    );
    call.output.write(joinDocuments(parts));
  }
  for (const outcome of outcomes) tell(call, outcome);
  return outcomes;
}

/** Between documents there has to be a `---` line, and a line has to end before it. */
function joinDocuments(parts: readonly string[]): string {
  let joined = '';
  for (const part of parts) {
    const isFirst = joined === '';
    if (!isFirst && !joined.endsWith('\n')) joined += '\n';
    const isMarked = /^(?:---|%)/.test(part) || part.trim() === '' || !/\S/.test(joined);
    joined += isFirst || isMarked ? part : `---\n${part}`;
  }
  return joined;
}

async function read(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    throw new MorphlingError('NOT_FOUND', `${file}: ${toMessage(cause)}`, { cause });
  }
}

const MARKS = {
  injected: 'ok',
  labelled: 'ok',
  retargeted: 'ok',
  removed: 'ok',
  present: 'ok',
  skipped: 'ok',
} as const;

function tell({ output }: Call, { subject, kind, message, notes }: Outcome): void {
  const mark = kind === 'refused' ? 'error' : kind === 'noted' ? 'warning' : MARKS[kind];
  output.say(toSafeText(`${output.style.mark(mark)} ${subject}: ${kind === 'noted' ? '' : `${kind}: `}${message}`));
  for (const note of notes) {
    const remedy = note.remedy === undefined ? '' : `; ${note.remedy}`;
    output.say(toSafeText(`    ${output.style.mark('warning')} ${note.message}${remedy}`));
  }
}
