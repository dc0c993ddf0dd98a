// Where state may live, best first. Whether a folder can be written is for the caller to try.
import type { Environment } from './sources.ts';

/** The configured folder, then the user's XDG state folder; a relative XDG path counts as none (its specification). */
export function toStateDirs(configured: string, env: Environment): string[] {
  const xdg = env['XDG_STATE_HOME'];
  const home = env['HOME'];
  const base =
    xdg?.startsWith('/') === true ? xdg : home?.startsWith('/') === true ? `${home}/.local/state` : undefined;
  return base === undefined ? [configured] : [configured, `${base}/morphling`];
}
