// What the headers must say before a body may be read as JSON.
import type { HeaderView } from './codec.ts';

/**
 * Types that callers are known to give to a JSON body; `curl -d` sends the form type. CloudEvents carry an envelope
 * in headers of their own, which no merged call could keep, so they are not ours to read.
 */
const JSON_TYPES = ['application/json', 'text/json', 'text/plain', 'application/x-www-form-urlencoded'];

/** The content type is JSON, silent or one of `moreTypes`; UTF-8, not compressed, no CloudEvent. */
export function isJsonRequest(headers: HeaderView, moreTypes: readonly string[] = []): boolean {
  if (!isIdentity(headers) || headers['ce-specversion'] !== undefined) return false;
  const type = headers['content-type'];
  return type === undefined || (isOneOf(type, [...JSON_TYPES, ...moreTypes]) && isUtf8Charset(type));
}

/** The same for the binary tensor extension, whose clients say octet-stream. */
export function isBinaryRequest(headers: HeaderView): boolean {
  if (!isIdentity(headers) || headers['ce-specversion'] !== undefined) return false;
  const type = headers['content-type'];
  return type === undefined || isOneOf(type, [...JSON_TYPES, 'application/octet-stream']);
}

/** The body is as it is, not compressed. */
export function isIdentity(headers: HeaderView): boolean {
  const encoding = headers['content-encoding'];
  return encoding === undefined || encoding === '' || encoding.toLowerCase() === 'identity';
}

function isOneOf(contentType: string, types: readonly string[]): boolean {
  const type = contentType.split(';', 1)[0] ?? '';
  return types.includes(type.trim().toLowerCase());
}

function isUtf8Charset(contentType: string): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(contentType)?.[1];
  return charset === undefined || charset.toLowerCase() === 'utf-8' || charset.toLowerCase() === 'us-ascii';
}
