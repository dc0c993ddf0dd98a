// YAML in and out, with what a hostile or careless file could do switched off.
import { parseDocument, stringify, visit } from 'yaml';
import type { Issue } from '../core/errors.ts';

/** A configuration file is a few kilobytes; more is a mistake or an attack. */
export const MAX_YAML_BYTES = 256 * 1024;

export type YamlResult =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'bad'; readonly issues: readonly Issue[] };

/**
 * One YAML 1.2 document as plain JSON values. Refused: anchors and aliases (a page of them expands to gigabytes),
 * tags of its own, merge keys, duplicate keys, several documents, keys that are not text, more than 256 KiB.
 */
export function parseYaml(text: string, name: string): YamlResult {
  const bad = (issues: readonly Issue[]): YamlResult => ({ kind: 'bad', issues });
  if (Buffer.byteLength(text) > MAX_YAML_BYTES) {
    return bad([{ field: name, expected: `at most ${MAX_YAML_BYTES} bytes`, got: `${Buffer.byteLength(text)} bytes` }]);
  }
  try {
    const document = parseDocument(text, { uniqueKeys: true, stringKeys: true, merge: false, schema: 'core' });
    const problems = [...document.errors, ...document.warnings];
    if (problems.length > 0) {
      return bad(
        problems
          .slice(0, 20)
          .map((problem) => ({ field: name, expected: 'valid YAML', got: firstLine(problem.message) })),
      );
    }
    let anchored: string | null = null;
    visit(document, {
      Alias: (_, node) => {
        anchored = `*${node.source}`;
        return visit.BREAK;
      },
      Node: (_, node) => {
        if (node.anchor === undefined) return undefined;
        anchored = `&${node.anchor}`;
        return visit.BREAK;
      },
    });
    if (anchored !== null)
      return bad([{ field: name, expected: 'YAML without anchors and aliases', got: String(anchored).slice(0, 80) }]);
    return { kind: 'value', value: document.toJS({ maxAliasCount: 0 }) as unknown };
  } catch (cause) {
    // Deep nesting overflows the parser's stack; that is a bad file, not a fault of ours.
    return bad([
      {
        field: name,
        expected: 'valid YAML',
        got: cause instanceof Error ? firstLine(cause.message) : 'a file that cannot be read',
      },
    ]);
  }
}

/** Block style, short lists on one line, no line folding. */
export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/:$/, '') ?? '';
}
