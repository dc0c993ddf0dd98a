// Words for people: what a schema expects, and what came.
import type { TSchema } from 'typebox';

/** The parts of JSON schema that this project uses. */
export interface JsonSchema {
  readonly type?: string;
  readonly title?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
}

/** TypeBox schemas are plain JSON schema: the same object under its other name. */
export function toJsonSchema(schema: TSchema): JsonSchema {
  return schema;
}

/** `a whole number from 1 to 64`, `one of performance, cost, balanced`; a schema's `title` wins over made-up words. */
export function describeSchema(schema: JsonSchema): string {
  if (schema.title !== undefined) return schema.title;
  if (schema.const !== undefined) return describeValue(schema.const);
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(describeSchema).join(' or ');
  switch (schema.type) {
    case 'integer':
      return `a whole number${describeBounds(schema)}`;
    case 'number':
      return `a number${describeBounds(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return schema.maxLength === undefined ? 'a text' : `a text of at most ${schema.maxLength} characters`;
    case 'array':
      return describeList(schema);
    case 'object':
      return 'a mapping';
    case 'null':
      return 'null';
    case undefined:
    default:
      return 'anything';
  }
}

/** The value that came, short, on one line, without the password of a URL. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  let text: string;
  try {
    text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
  } catch {
    text = typeof value;
  }
  text = text.replaceAll(/\/\/[^/@\s"]*@/g, '//***@');
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function describeBounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum;
  if (least !== undefined && maximum !== undefined) {
    return exclusiveMinimum === undefined ? ` from ${least} to ${maximum}` : ` above ${least}, up to ${maximum}`;
  }
  if (least !== undefined) return exclusiveMinimum === undefined ? ` of at least ${least}` : ` above ${least}`;
  if (maximum !== undefined) return ` of at most ${maximum}`;
  return exclusiveMaximum === undefined ? '' : ` below ${exclusiveMaximum}`;
}

function describeList({ items, minItems, maxItems }: JsonSchema): string {
  const item = items === undefined ? 'anything' : describeSchema(items);
  if (minItems === 2 && maxItems === 2) return `[min, max], each ${item}`;
  const count = maxItems === undefined ? '' : ` of ${minItems ?? 0} to ${maxItems} entries`;
  return `a list${count}, each ${item}`;
}
