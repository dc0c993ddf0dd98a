// Addresses to listen on and URLs to call, as a person writes them.
import type { Address } from '../core/agent-config.ts';

export const ADDRESS_EXPECTED = 'an address such as 127.0.0.1:9465, :9465 or [::1]:9465';
export const URL_EXPECTED = 'a URL such as http://127.0.0.1:8000';

/** host:port, :port, [IPv6]:port; the port is checked to be at most 65535 by `parseAddress`. */
export const ADDRESS_PATTERN = '^(?:\\[[0-9A-Fa-f:.]{2,45}\\]|[0-9A-Za-z.-]{0,253}):[0-9]{1,5}$';
/** http only (the model is on loopback or in the pod's network), no user, password or fragment. */
export const URL_PATTERN =
  '^http://(?:\\[[0-9A-Fa-f:.]{2,45}\\]|[0-9A-Za-z._-]{1,253})(?::[0-9]{1,5})?(?:/[!-"$-~]*)?$';

/** Null when it is none. A missing host (`:9465`) becomes `defaultHost`; port 0 lets the system choose. */
export function parseAddress(text: string, defaultHost: string): Address | null {
  if (!new RegExp(ADDRESS_PATTERN, 'u').test(text)) return null;
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (port > 65_535) return null;
  const written = text.slice(0, colon);
  const host = written.startsWith('[') ? written.slice(1, -1) : written;
  if (written.startsWith('[') && !isUrl(`http://${written}/`)) return null;
  return Object.freeze({ host: host === '' ? defaultHost : host, port });
}

/** `[::1]:9465` */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for `localhost`, 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host);
}

/** True for an address that listens on every interface. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** A URL that both our pattern and the platform understand. */
export function isUrl(text: string): boolean {
  return new RegExp(URL_PATTERN, 'u').test(text) && URL.canParse(text);
}

/** Host without brackets and the port, 80 when none is written. The text must be one `isUrl` accepts. */
export function toUrlAddress(text: string): Address {
  const { hostname, port } = new URL(text);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
}
