// Ends a child's process group when this process ends, however it ends: no handler runs on SIGKILL.
import { spawn } from 'node:child_process';

/** $1 the group, $2 a folder that is its own or nothing; shared memory is named after the folder. */
const SCRIPT = `read -r _
kill -s KILL -- "-$1" 2>/dev/null
[ -z "$2" ] || rm -rf -- "$2" "/dev/shm/\${2##*/}"*`;

/**
 * Watches over the group that `pid` leads (a child spawned `detached`). A small shell reads a pipe that only this
 * process holds: the pipe closes with this process, the shell wakes, kills the group and removes the folder. Disposing
 * it calls that off, which is to be done once the group is gone, before its number can be given to another.
 */
export function guardGroup(pid: number, folder = ''): Disposable {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', String(pid), folder], {
    detached: true, // a Ctrl-C meant for us must not end it before us
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => process.kill(-pid, 'SIGKILL'));
  shell.unref();
  return { [Symbol.dispose]: () => shell.kill('SIGKILL') };
}
